// SPDX-License-Identifier: Apache-2.0
/*
 * Busy time out of samples and out of sums, against a device made here whose processes keep it busy
 * for known parts of the time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <math.h>

#include "gpu/busy_accounting.h"
#include "gpu/busy_samples.h"

#define PERIOD_US 167000u
#define START_US  1700000000000000u
#define SECOND_US 1000000u
#define SECOND_NS 1000000000u

/* A device with up to four processes, each with a part of the samples, in hundredths. */
struct model {
	unsigned int share[4]; /* what is left of 100 is nobody's */
	unsigned int percent;  /* how busy the device is in samples that are somebody's */
	uint64_t seed;
	bool single;
	/* Of the stretch in the making. */
	unsigned int sum[4], all;
	uint64_t last_us[4];
	struct busy_sample sample[128];
	size_t nr;
	uint64_t k;	   /* the next sample */
	uint64_t somebody; /* samples so far that were somebody's */
};

static uint64_t draw(struct model *model)
{
	model->seed = model->seed * 6364136223846793005u + 1442695040888963407u;
	return (model->seed >> 33) % 100;
}

static void take_sample(struct model *model, uint64_t us)
{
	uint64_t drawn = draw(model);

	model->all++;
	for (unsigned int i = 0; i < 4; i++) {
		if (drawn >= model->share[i]) {
			drawn -= model->share[i];
			continue;
		}
		model->somebody++;
		model->sum[i] += model->percent;
		model->last_us[i] = us;
		if (model->single)
			model->sample[model->nr++] =
				(struct busy_sample){i + 1, {(uint8_t)model->percent}, us};
		return;
	}
}

/* What the driver says at `to_us` of the time since it was last asked. */
static void ask(struct model *model, uint64_t to_us)
{
	model->nr = 0;
	model->all = 0;
	memset(model->sum, 0, sizeof(model->sum));
	for (; START_US + (model->k + 1) * PERIOD_US <= to_us; model->k++)
		take_sample(model, START_US + (model->k + 1) * PERIOD_US);
	for (unsigned int i = 0; i < 4 && !model->single; i++)
		if (model->sum[i])
			model->sample[model->nr++] = (struct busy_sample){
				i + 1, {(uint8_t)(model->sum[i] / model->all)}, model->last_us[i]};
}

/* Asks every `every_us`, but never on the beat of the samples. */
static void run(struct model *model, struct busy_samples *samples, struct busy_rows *rows,
		uint64_t every_us, uint64_t seconds)
{
	uint64_t from_us = START_US;

	while (from_us < START_US + seconds * SECOND_US) {
		uint64_t to_us = from_us + every_us + draw(model) * 137;
		struct busy_stretch stretch = {from_us, to_us, model->sample, 0};

		ask(model, to_us);
		stretch.nr = model->nr;
		busy_samples_credit(samples, rows, &stretch);
		from_us = to_us;
	}
}

static double busy(struct busy_rows *rows, uint32_t pid)
{
	const struct busy_row *row = busy_rows_find(rows, pid);

	return row ? (double)row->busy[BUSY_SM].ns : 0;
}

static double stated_error(struct busy_rows *rows, uint32_t pid)
{
	const struct busy_row *row = busy_rows_find(rows, pid);

	return row ? sqrt(row->busy[BUSY_SM].variance_ns2) : 0;
}

static double rounding(struct busy_rows *rows, uint32_t pid)
{
	const struct busy_row *row = busy_rows_find(rows, pid);

	return row ? (double)row->busy[BUSY_SM].rounding_ns : 0;
}

/* How busy the device was is measured and not drawn; whose that was is. */
static double true_busy(const struct model *model, uint32_t i)
{
	const unsigned int *share = model->share;

	return (double)(model->somebody * PERIOD_US) * 1000 * model->percent / 100 * share[i] /
	       (share[0] + share[1] + share[2] + share[3]);
}

static void check_shares(const struct model *like, uint64_t seconds)
{
	struct model model = *like;
	struct busy_samples samples = {0};
	struct busy_rows rows = {0};

	run(&model, &samples, &rows, SECOND_US, seconds);
	for (uint32_t i = 0; i < 4; i++) {
		double error = stated_error(&rows, i + 1);
		double off = busy(&rows, i + 1) - true_busy(&model, i);

		assert_true(off <= 3 * error);
		assert_true(off >= -3 * error - rounding(&rows, i + 1));
	}
	assert_true(busy_rows_total(&rows, BUSY_SM) <= samples.observed_ns);
	assert_int_equal(samples.period_us, PERIOD_US);
	assert_int_equal(samples.unobserved_ns, 0);
	busy_rows_free(&rows);
}

static void test_shares(void **state)
{
	static const struct model models[] = {
		{.share = {50, 50}, .percent = 100},	 {.share = {90, 10}, .percent = 100},
		{.share = {33, 33, 34}, .percent = 100}, {.share = {50, 50}, .percent = 60},
		{.share = {80, 20}, .percent = 35},	 {.share = {20, 5}, .percent = 100},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		for (unsigned int single = 0; single < 2; single++) {
			struct model model = models[i];

			model.seed = 11 * i + single;
			model.single = single;
			check_shares(&model, 60);
			check_shares(&model, 1200);
		}
	}
}

/* What is stated is what is found: over many runs, estimates spread by as much as they say. */
static void test_error_is_honest(void **state)
{
	double spread = 0, stated = 0, mean = 0;
	int within = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 400; seed++) {
		struct model model = {.share = {30, 70}, .percent = 100, .seed = seed * 977};
		struct busy_samples samples = {0};
		struct busy_rows rows = {0};
		double off;

		model.single = true;
		run(&model, &samples, &rows, SECOND_US, 60);
		off = busy(&rows, 1) - 0.3 * (double)samples.observed_ns;
		mean += off / 400;
		spread += off * off / 400;
		stated += stated_error(&rows, 1) * stated_error(&rows, 1) / 400;
		within += fabs(off) <= 2 * stated_error(&rows, 1);
		busy_rows_free(&rows);
	}
	assert_true(within >= 360);
	/* What stretches have more than they have room for is cut, which is a percent or so. */
	assert_true(fabs(mean) < 0.02 * 18e9);
	assert_true(stated > 0.8 * spread && stated < 1.5 * spread);
}

static void test_error_formula(void **state)
{
	(void)state;
	/* sqrt(p(1-p)/n) of the time, n of 431 with one taken for the share itself. */
	assert_true(fabs(sqrt(busy_variance(60ull * SECOND_NS, 50, 100, 100, 431)) -
			 60e9 * sqrt(0.25 / 430)) < 1);
	/* Half as busy: the time that was given away spreads less. */
	assert_true(fabs(sqrt(busy_variance(60ull * SECOND_NS, 25, 50, 100, 431)) -
			 60e9 * sqrt(0.25 * 0.5 / 430)) < 1);
	assert_true(busy_variance(SECOND_NS, 100, 100, 100, 7) == 0);
	assert_true(busy_variance(SECOND_NS, 0, 0, 100, 7) == 0);
	assert_true(isfinite(busy_variance(SECOND_NS, 1, 2, 100, 0)));
}

/* One process alone is known without error, to the nanosecond. */
static void test_alone(void **state)
{
	struct model model = {.share = {100}, .percent = 100};
	struct busy_samples samples = {0};
	struct busy_rows rows = {0};

	(void)state;
	run(&model, &samples, &rows, SECOND_US, 100);
	assert_int_equal(busy_rows_total(&rows, BUSY_SM), samples.observed_ns);
	assert_true(stated_error(&rows, 1) == 0);
	assert_true(rounding(&rows, 1) == 0);
	busy_rows_free(&rows);
}

static void credit_one(struct busy_samples *samples, struct busy_rows *rows, uint64_t from_us,
		       uint64_t to_us, uint32_t pid, uint8_t percent)
{
	struct busy_sample sample = {pid, {percent, 1, 2, 3}, to_us};
	struct busy_stretch stretch = {from_us, to_us, &sample, 1};

	busy_samples_credit(samples, rows, &stretch);
}

static void test_remainders(void **state)
{
	struct busy_samples samples = {0};
	struct busy_rows rows = {0};
	struct busy_time time = {0};

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		credit_one(&samples, &rows, START_US + i, START_US + i + 1, 1, 33);
	assert_int_equal(busy_rows_find(&rows, 1)->busy[BUSY_SM].ns, 330000);
	assert_int_equal(busy_rows_find(&rows, 1)->busy[BUSY_DECODER].ns, 30000);
	busy_rows_free(&rows);
	for (int i = 0; i < 100; i++)
		busy_time_add(&time, 1, 7, 100);
	assert_int_equal(time.ns, 7);
	assert_int_equal(time.rest, 0);
	/* Years of it, and none of them lost. */
	busy_time_add(&time, UINT64_C(1) << 62, 100, 100);
	assert_true(time.ns == (UINT64_C(1) << 62) + 7);
	busy_time_add(&time, 5, 1, 0);
	assert_true(time.ns == (UINT64_C(1) << 62) + 7);
}

static void test_gaps(void **state)
{
	struct busy_samples samples = {0};
	struct busy_rows rows = {0};

	(void)state;
	credit_one(&samples, &rows, START_US, START_US + SECOND_US, 1, 100);
	assert_int_equal(samples.unobserved_ns, 0);
	/* Nobody asked for 3 s. */
	credit_one(&samples, &rows, START_US + 4 * SECOND_US, START_US + 5 * SECOND_US, 1, 100);
	assert_int_equal(samples.unobserved_ns, 3ull * SECOND_NS);
	assert_int_equal(busy_rows_total(&rows, BUSY_SM), 2ull * SECOND_NS);
	/* Asked after 30 s, the driver knows of the last 10. */
	credit_one(&samples, &rows, START_US + 5 * SECOND_US, START_US + 35 * SECOND_US, 1, 50);
	assert_int_equal(samples.unobserved_ns, 23ull * SECOND_NS);
	assert_int_equal(busy_rows_total(&rows, BUSY_SM), 7ull * SECOND_NS);
	assert_int_equal(samples.observed_ns, 12ull * SECOND_NS);
	/* A stretch without length, or that ends before it begins, is none. */
	credit_one(&samples, &rows, START_US, START_US, 1, 100);
	credit_one(&samples, &rows, START_US + 1, START_US, 1, 100);
	assert_int_equal(samples.observed_ns, 12ull * SECOND_NS);
	/* The clock was set back an hour: it goes on from there, and that is no gap. */
	credit_one(&samples, &rows, START_US - 3600ull * SECOND_US, START_US - 3599ull * SECOND_US,
		   1, 100);
	assert_int_equal(samples.unobserved_ns, 23ull * SECOND_NS);
	assert_int_equal(busy_rows_total(&rows, BUSY_SM), 8ull * SECOND_NS);
	busy_rows_free(&rows);
}

static void test_quiet(void **state)
{
	struct busy_samples samples = {0};
	struct busy_rows rows = {0};
	struct busy_stretch stretch = {START_US, START_US + SECOND_US, NULL, 0};

	(void)state;
	busy_samples_credit(&samples, &rows, &stretch);
	assert_int_equal(samples.quiet_ns, SECOND_NS);
	assert_int_equal(samples.observed_ns, SECOND_NS);
	assert_int_equal(rows.nr, 0);
	busy_rows_free(&rows);
}

static void test_stale(void **state)
{
	struct busy_sample sample[] = {{1, {50}, START_US},
				       {2, {50}, START_US + 1},
				       {3, {50}, START_US + SECOND_US},
				       {4, {50}, START_US + SECOND_US + 1}};
	struct busy_stretch stretch = {START_US, START_US + SECOND_US, sample, 4};
	struct busy_samples samples = {0};
	struct busy_rows rows = {0};

	(void)state;
	busy_samples_credit(&samples, &rows, &stretch);
	assert_int_equal(samples.stale, 2);
	assert_null(busy_rows_find(&rows, 1));
	assert_null(busy_rows_find(&rows, 4));
	assert_int_equal(busy_rows_total(&rows, BUSY_SM), SECOND_NS);
	busy_rows_free(&rows);
}

/* Shares of more than all, as rounding or a driver of another mind may give, are made less. */
static void test_overfull(void **state)
{
	struct busy_sample sample[] = {{1, {90, 50}, START_US + 1}, {2, {90, 50}, START_US + 2}};
	struct busy_stretch stretch = {START_US, START_US + SECOND_US, sample, 2};
	struct busy_samples samples = {0};
	struct busy_rows rows = {0};

	(void)state;
	busy_samples_credit(&samples, &rows, &stretch);
	assert_int_equal(samples.overfull, 1);
	assert_int_equal(busy_rows_find(&rows, 1)->busy[BUSY_SM].ns, SECOND_NS / 2);
	assert_int_equal(busy_rows_total(&rows, BUSY_SM), SECOND_NS);
	assert_int_equal(busy_rows_total(&rows, BUSY_MEMORY), SECOND_NS);
	busy_rows_free(&rows);
}

static void test_rows(void **state)
{
	struct busy_samples samples = {0};
	struct busy_rows rows = {0};
	uint64_t us = START_US, total;

	(void)state;
	for (uint32_t pid = 1; pid <= BUSY_ROWS_MAX + 10; pid++, us += 1000)
		credit_one(&samples, &rows, us, us + 1000, pid, 100);
	assert_int_equal(rows.nr, BUSY_ROWS_MAX);
	assert_int_equal(rows.no_room, 10);
	assert_int_equal(rows.other.busy[BUSY_SM].ns, 10 * 1000000);
	total = busy_rows_total(&rows, BUSY_SM);
	assert_int_equal(total, samples.observed_ns);
	/* A minute later they are gone, and what they had is not. */
	us += 61ull * SECOND_US;
	credit_one(&samples, &rows, us, us + 1000, 7, 100);
	assert_int_equal(rows.nr, 1);
	assert_int_equal(busy_rows_total(&rows, BUSY_SM), total + 1000000);
	/* It was quiet for so long that it is another row. */
	assert_int_equal(busy_rows_find(&rows, 7)->busy[BUSY_SM].ns, 1000000);
	assert_true(busy_rows_find(&rows, 7)->serial > BUSY_ROWS_MAX);
	busy_rows_free(&rows);
}

/* A driver that accounts: `account` of process i is its own sum and all samples since its start. */
struct books {
	unsigned int share[4], percent;
	uint64_t seed, k, ns;
	struct busy_account account[4];
	bool live[4];
};

static void open_account(struct books *books, uint32_t i)
{
	memset(&books->account[i], 0, sizeof(books->account[i]));
	books->account[i].pid = i + 1;
	books->account[i].started_us = START_US + books->ns / 1000;
	books->live[i] = true;
}

static void pass(struct books *books, uint64_t ns)
{
	struct model dice = {.seed = books->seed};

	books->ns += ns;
	for (; (books->k + 1) * PERIOD_US * 1000 <= books->ns; books->k++) {
		uint64_t drawn = draw(&dice);

		for (uint32_t i = 0; i < 4; i++)
			books->account[i].samples += books->live[i];
		for (uint32_t i = 0; i < 4; drawn -= books->share[i++]) {
			if (drawn >= books->share[i])
				continue;
			books->account[i].sum[0] += books->live[i] * books->percent * 100;
			break;
		}
	}
	books->seed = dice.seed;
}

static void read_books(struct busy_accounting *accounting, struct busy_rows *rows,
		       const struct books *books, size_t nr)
{
	busy_accounting_credit(accounting, rows, books->account, nr, books->ns + SECOND_NS);
}

static void test_accounting_shares(void **state)
{
	struct books books = {.share = {50, 30, 10}, .percent = 80, .seed = 3};
	struct busy_accounting accounting = {0};
	struct busy_rows rows = {0};

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		open_account(&books, i);
	/* What was before it was first read does not count. */
	pass(&books, 500ull * SECOND_NS);
	read_books(&accounting, &rows, &books, 3);
	assert_int_equal(busy_rows_total(&rows, BUSY_SM), 0);
	for (int i = 0; i < 1000; i++) {
		pass(&books, SECOND_NS + (uint64_t)i * 77777);
		read_books(&accounting, &rows, &books, 3);
	}
	for (uint32_t i = 0; i < 3; i++) {
		double all = (double)accounting.observed_ns;
		double off = busy(&rows, i + 1) - all * books.share[i] / 100 * 0.8;

		assert_true(fabs(off) <= 3 * stated_error(&rows, i + 1));
		assert_true(stated_error(&rows, i + 1) < 0.02 * all);
	}
	assert_true(busy_rows_total(&rows, BUSY_SM) <= accounting.observed_ns);
	assert_int_equal(accounting.adopted, 3);
	busy_rows_free(&rows);
}

/* Read once in an hour it gives what it gives when it is read each second. */
static void test_accounting_seldom(void **state)
{
	struct books books = {.share = {50, 50}, .percent = 100, .seed = 5};
	struct busy_accounting accounting = {0};
	struct busy_rows rows = {0};

	(void)state;
	open_account(&books, 0);
	open_account(&books, 1);
	pass(&books, SECOND_NS);
	read_books(&accounting, &rows, &books, 2);
	pass(&books, 3600ull * SECOND_NS);
	read_books(&accounting, &rows, &books, 2);
	assert_true(fabs(busy(&rows, 1) - 1800e9) <= 3 * stated_error(&rows, 1));
	assert_true(fabs(busy(&rows, 1) + busy(&rows, 2) - 3600e9) < 1e3);
	busy_rows_free(&rows);
}

static void test_accounting_life(void **state)
{
	struct books books = {.share = {50, 50}, .percent = 100, .seed = 9};
	struct busy_accounting accounting = {0};
	struct busy_rows rows = {0};
	uint64_t ended;

	(void)state;
	read_books(&accounting, &rows, &books, 0);
	open_account(&books, 0);
	pass(&books, 10ull * SECOND_NS);
	/* It began and was seen later: all of it counts, and no more than its samples take. */
	read_books(&accounting, &rows, &books, 1);
	assert_int_equal(accounting.adopted, 0);
	assert_true(busy(&rows, 1) > 2e9 && busy(&rows, 1) < 9e9);
	open_account(&books, 1);
	pass(&books, 10ull * SECOND_NS);
	books.live[0] = false;
	read_books(&accounting, &rows, &books, 2);
	ended = busy_rows_find(&rows, 1)->busy[BUSY_SM].ns;
	pass(&books, 10ull * SECOND_NS);
	read_books(&accounting, &rows, &books, 2);
	/* It has ended and is still told: nothing comes on top. */
	assert_int_equal(busy_rows_find(&rows, 1)->busy[BUSY_SM].ns, ended);
	/* The pid is another process. */
	open_account(&books, 0);
	pass(&books, 10ull * SECOND_NS);
	read_books(&accounting, &rows, &books, 2);
	assert_int_equal(accounting.reused, 1);
	assert_int_equal(rows.gone.busy[BUSY_SM].ns, ended);
	assert_true(busy(&rows, 1) > 1e9 && busy(&rows, 1) < 9e9);
	/* Not told any more: taken out, and not lost. */
	pass(&books, SECOND_NS);
	ended = busy_rows_total(&rows, BUSY_SM);
	read_books(&accounting, &rows, &books, 0);
	assert_int_equal(rows.nr, 0);
	assert_int_equal(busy_rows_total(&rows, BUSY_SM), ended);
	assert_true(ended <= accounting.observed_ns);
	busy_rows_free(&rows);
}

/* The driver adds up once a second: asked in between it has nothing new, and nothing gets lost. */
static void test_accounting_in_batches(void **state)
{
	struct books books = {.share = {100}, .percent = 100}, shown;
	struct busy_accounting accounting = {0};
	struct busy_rows rows = {0};

	(void)state;
	open_account(&books, 0);
	shown = books;
	for (int i = 0; i < 400; i++) {
		pass(&books, SECOND_NS / 4);
		if (i % 4 == 3)
			shown = books;
		busy_accounting_credit(&accounting, &rows, shown.account, 1, books.ns);
	}
	assert_true(busy(&rows, 1) > 98e9);
	assert_true(busy_rows_total(&rows, BUSY_SM) <= accounting.observed_ns);
	busy_rows_free(&rows);
}

static void test_accounting_never_back(void **state)
{
	struct busy_account account = {.pid = 1, .samples = 100, .sum = {500000}, .started_us = 5};
	struct busy_accounting accounting = {0};
	struct busy_rows rows = {0};
	uint64_t before;

	(void)state;
	busy_accounting_credit(&accounting, &rows, &account, 1, SECOND_NS);
	account.samples += 7;
	account.sum[0] += 35000;
	busy_accounting_credit(&accounting, &rows, &account, 1, 2ull * SECOND_NS);
	before = busy_rows_total(&rows, BUSY_SM);
	assert_int_equal(before, SECOND_NS / 2);
	account.samples = 3;
	account.sum[0] = 20000;
	busy_accounting_credit(&accounting, &rows, &account, 1, 3ull * SECOND_NS);
	assert_int_equal(accounting.went_back, 1);
	assert_int_equal(busy_rows_total(&rows, BUSY_SM), before);
	account.samples += 10;
	account.sum[0] += 100000;
	busy_accounting_credit(&accounting, &rows, &account, 1, 4ull * SECOND_NS);
	assert_true(busy_rows_total(&rows, BUSY_SM) > before + SECOND_NS / 2);
	/* A sum that no samples can have given does not give more than there was. */
	account.samples += 1;
	account.sum[0] = UINT64_MAX;
	busy_accounting_credit(&accounting, &rows, &account, 1, 5ull * SECOND_NS);
	assert_int_equal(accounting.overfull, 1);
	assert_true(busy_rows_total(&rows, BUSY_SM) <= accounting.observed_ns);
	/* A reading of the past is none. */
	busy_accounting_credit(&accounting, &rows, &account, 1, SECOND_NS);
	assert_int_equal(accounting.observed_ns, 4ull * SECOND_NS);
	busy_rows_free(&rows);
}

static void test_accounting_tells_twice(void **state)
{
	struct busy_account accounts[] = {{.pid = 1, .samples = 9, .sum = {90000}},
					  {.pid = 1, .samples = 6, .sum = {60000}}};
	struct busy_accounting accounting = {0};
	struct busy_rows rows = {0};

	(void)state;
	busy_accounting_credit(&accounting, &rows, NULL, 0, SECOND_NS);
	busy_accounting_credit(&accounting, &rows, accounts, 2, 2ull * SECOND_NS);
	assert_int_equal(accounting.unclear, 1);
	assert_int_equal(busy_rows_total(&rows, BUSY_SM), 0);
	busy_rows_free(&rows);
}

/* After an hour without processes a new one does not get that hour. */
static void test_accounting_invents_nothing(void **state)
{
	struct busy_account account = {.pid = 1, .samples = 6, .sum = {60000}, .started_us = 5};
	struct busy_accounting accounting = {0};
	struct busy_rows rows = {0};

	(void)state;
	busy_accounting_credit(&accounting, &rows, NULL, 0, SECOND_NS);
	busy_accounting_credit(&accounting, &rows, &account, 1, 3601ull * SECOND_NS);
	assert_true(busy_rows_total(&rows, BUSY_SM) <= SECOND_NS);
	assert_true(busy_rows_total(&rows, BUSY_SM) >= SECOND_NS / 2);
	busy_rows_free(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_error_is_honest),
		cmocka_unit_test(test_error_formula),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_remainders),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_overfull),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_accounting_shares),
		cmocka_unit_test(test_accounting_seldom),
		cmocka_unit_test(test_accounting_life),
		cmocka_unit_test(test_accounting_in_batches),
		cmocka_unit_test(test_accounting_never_back),
		cmocka_unit_test(test_accounting_tells_twice),
		cmocka_unit_test(test_accounting_invents_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
