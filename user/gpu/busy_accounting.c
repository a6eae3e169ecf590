// SPDX-License-Identifier: Apache-2.0
/* From sums that only grow to busy time of processes. */
#include "gpu/busy_accounting.h"

#define NS_PER_SECOND 1000000000u
/* The driver adds samples up once a second: what it has not added yet is waited for this long. */
#define WAIT_NS (5ull * NS_PER_SECOND)
/* The least that NVIDIA documents for one sample. */
#define SAMPLE_LEAST_NS (NS_PER_SECOND / 7)

/* What all accounts have grown by since the last time. */
struct growth {
	uint64_t ns;	  /* time that it took */
	uint64_t samples; /* of the device in that time */
	uint64_t sum[2];
	uint64_t whole[2]; /* what sums are parts of */
	bool survivors;	   /* some process was there at both ends, and saw all samples */
};

static bool is_same(const struct busy_row *row, const struct busy_account *account)
{
	return row->base.started_us == account->started_us;
}

static bool went_back(const struct busy_row *row, const struct busy_account *account)
{
	return account->samples < row->base.samples || account->sum[0] < row->base.sum[0] ||
	       account->sum[1] < row->base.sum[1];
}

static void set_base(struct busy_row *row, const struct busy_account *account)
{
	row->base.started_us = account->started_us;
	row->base.samples = account->samples;
	row->base.sum[0] = account->sum[0];
	row->base.sum[1] = account->sum[1];
}

/* Rows whose account is of another process now, or has fallen back, do not go on. */
static void take_out_others(struct busy_accounting *accounting, struct busy_rows *rows,
			    const struct busy_account *accounts, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		struct busy_row *row = busy_rows_find(rows, accounts[i].pid);

		if (!row)
			continue;
		if (!is_same(row, &accounts[i])) {
			accounting->reused++;
			busy_rows_remove(rows, row);
		} else if (went_back(row, &accounts[i])) {
			accounting->went_back++;
			set_base(row, &accounts[i]);
		}
	}
}

/* How many samples the device had: as many as the process that saw most of them. */
static void count_samples(struct busy_rows *rows, const struct busy_account *accounts, size_t nr,
			  struct growth *growth)
{
	uint64_t newcomers = 0;

	for (size_t i = 0; i < nr; i++) {
		const struct busy_row *row = busy_rows_find(rows, accounts[i].pid);
		uint64_t samples = accounts[i].samples - (row ? row->base.samples : 0);

		if (!row) {
			newcomers = samples > newcomers ? samples : newcomers;
		} else if (samples > growth->samples) {
			growth->samples = samples;
			growth->survivors = true;
		}
	}
	if (!growth->survivors)
		growth->samples = newcomers;
}

/* Nobody saw the whole time: it is as long as the samples that were seen take at least. */
static void shorten(struct growth *growth)
{
	uint64_t most = growth->ns / SAMPLE_LEAST_NS;

	if (growth->survivors)
		return;
	if (growth->samples > most)
		growth->samples = most;
	else
		growth->ns = growth->samples * SAMPLE_LEAST_NS;
}

/* A process of which more is told than fits into the time has run before. */
static bool is_older(const struct growth *growth, const struct busy_account *account)
{
	return account->samples > growth->samples + 1;
}

static void add_up(struct busy_rows *rows, const struct busy_account *accounts, size_t nr,
		   struct growth *growth)
{
	for (size_t i = 0; i < nr; i++) {
		const struct busy_row *row = busy_rows_find(rows, accounts[i].pid);

		if (!row && is_older(growth, &accounts[i]))
			continue;
		for (size_t k = 0; k < 2; k++)
			growth->sum[k] += accounts[i].sum[k] - (row ? row->base.sum[k] : 0);
	}
	for (size_t k = 0; k < 2; k++) {
		uint64_t whole = growth->samples * BUSY_SUM_WHOLE;

		growth->whole[k] = growth->sum[k] > whole ? growth->sum[k] : whole;
	}
}

static void credit(struct busy_row *row, const struct busy_account *account,
		   const struct growth *growth)
{
	for (size_t k = 0; k < 2; k++) {
		uint64_t of = account->sum[k] - row->base.sum[k];

		busy_time_add(&row->busy[k], growth->ns, of, growth->whole[k]);
		row->busy[k].variance_ns2 += busy_variance(growth->ns, of, growth->sum[k],
							   growth->whole[k], growth->samples);
	}
	row->samples += account->samples - row->base.samples;
}

static void credit_all(struct busy_accounting *accounting, struct busy_rows *rows,
		       const struct busy_account *accounts, size_t nr, const struct growth *growth)
{
	for (size_t i = 0; i < nr; i++) {
		struct busy_row *row = busy_rows_find(rows, accounts[i].pid);

		if (!row) {
			row = busy_rows_take(rows, accounts[i].pid);
			if (is_older(growth, &accounts[i]) || row == &rows->other) {
				accounting->adopted++;
				set_base(row, &accounts[i]);
			}
			row->base.started_us = accounts[i].started_us;
		}
		if (growth->samples)
			credit(row, &accounts[i], growth);
		set_base(row, &accounts[i]);
	}
}

static void mark_seen(struct busy_rows *rows, const struct busy_account *accounts, size_t nr,
		      uint64_t ns)
{
	for (size_t i = 0; i < nr; i++)
		busy_rows_take(rows, accounts[i].pid)->seen = ns;
	busy_rows_expire(rows, ns);
}

static bool tells_twice(const struct busy_account *accounts, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		for (size_t k = 0; k < i; k++)
			if (accounts[i].pid == accounts[k].pid)
				return true;
	return false;
}

static void begin(struct busy_accounting *accounting, struct busy_rows *rows,
		  const struct busy_account *accounts, size_t nr, uint64_t ns)
{
	for (size_t i = 0; i < nr; i++) {
		set_base(busy_rows_take(rows, accounts[i].pid), &accounts[i]);
		accounting->adopted++;
	}
	accounting->begun = true;
	accounting->credited_ns = ns;
}

void busy_accounting_credit(struct busy_accounting *accounting, struct busy_rows *rows,
			    const struct busy_account *accounts, size_t nr, uint64_t ns)
{
	struct growth growth = {0};

	if (accounting->begun && ns <= accounting->ns)
		return;
	if (tells_twice(accounts, nr)) {
		accounting->unclear++;
		return;
	}
	if (!accounting->begun) {
		begin(accounting, rows, accounts, nr, ns);
	} else {
		take_out_others(accounting, rows, accounts, nr);
		count_samples(rows, accounts, nr, &growth);
		growth.ns = ns - accounting->credited_ns;
		shorten(&growth);
		add_up(rows, accounts, nr, &growth);
		accounting->overfull += growth.sum[0] > growth.samples * BUSY_SUM_WHOLE;
		credit_all(accounting, rows, accounts, nr, &growth);
		accounting->observed_ns += ns - accounting->ns;
		if (growth.samples)
			accounting->credited_ns = ns;
		else if (ns - accounting->credited_ns > WAIT_NS)
			accounting->credited_ns = ns - WAIT_NS;
	}
	accounting->ns = ns;
	mark_seen(rows, accounts, nr, ns);
}
