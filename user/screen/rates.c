// SPDX-License-Identifier: Apache-2.0
/* Differences of snapshots. Everything is an integer, so that the rows add up to the node. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "screen/rates.h"

#define MICRO 1000000u

/* Rows that are there whatever happened: the others of both kinds, four modes and the node. */
#define PINNED_ROWS 7

static int compare_owners(const struct usage_row *a, const struct usage_row *b)
{
	int order = (a->kind > b->kind) - (a->kind < b->kind);

	order = order ? order : strcmp(a->namespace_, b->namespace_);
	order = order ? order : strcmp(a->pod, b->pod);
	order = order ? order : strcmp(a->container, b->container);
	return order ? order : strcmp(a->unit, b->unit);
}

static int compare_owner_pointers(const void *a, const void *b)
{
	return compare_owners(*(const struct usage_row *const *)a,
			      *(const struct usage_row *const *)b);
}

/* By CPU time, largest first, then by waiting, then by name so that equals keep their places. */
static int compare_rates(const void *a, const void *b)
{
	const struct rate_row *x = a, *y = b;
	int order = (x->kind > y->kind) - (x->kind < y->kind);

	order = order ? order : (x->cpu_ns < y->cpu_ns) - (x->cpu_ns > y->cpu_ns);
	order = order ? order : (x->wait_ns < y->wait_ns) - (x->wait_ns > y->wait_ns);
	return order ? order : compare_owners(x->who, y->who);
}

/* The first bucket up to which at least `percent` of the waits are. */
static int quantile(const uint64_t *buckets, unsigned int percent)
{
	uint64_t count = 0, seen = 0, wanted;
	int k;

	for (k = 0; k < MLPROF_HIST_BUCKETS; k++)
		count += buckets[k];
	if (!count)
		return RATE_NO_BUCKET;
	wanted = count / 100 * percent + (count % 100 * percent + 99) / 100;
	for (k = 0; k < MLPROF_HIST_BUCKETS - 1; k++) {
		seen += buckets[k];
		if (seen >= wanted)
			break;
	}
	return k;
}

/* False if a counter went back. An owner that was not there before began at nothing. */
static bool subtract_row(struct rate_row *row, const struct usage_row *before,
			 const struct usage_row *now)
{
	static const struct usage_row nothing;
	uint64_t buckets[MLPROF_HIST_BUCKETS];

	before = before ? before : &nothing;
	if (now->cpu_ns < before->cpu_ns || now->wait_ns < before->wait_ns)
		return false;
	for (size_t k = 0; k < MLPROF_HIST_BUCKETS; k++) {
		if (now->wait.bucket[k] < before->wait.bucket[k])
			return false;
		buckets[k] = now->wait.bucket[k] - before->wait.bucket[k];
	}
	*row = (struct rate_row){
		.kind = now->kind == OWNER_POD ? RATE_POD : RATE_UNIT,
		.who = now,
		.cpu_ns = now->cpu_ns - before->cpu_ns,
		.has_wait = true,
		.wait_ns = now->wait_ns - before->wait_ns,
		.p50 = quantile(buckets, 50),
		.p99 = quantile(buckets, 99),
	};
	return true;
}

static const struct usage_row **sort_owners(const struct snapshot *snap)
{
	const struct usage_row **owners =
		calloc(snap->nr_rows + 1, sizeof(const struct usage_row *));

	for (size_t i = 0; owners && i < snap->nr_rows; i++)
		owners[i] = &snap->rows[i];
	if (owners)
		qsort(owners, snap->nr_rows, sizeof(const struct usage_row *),
		      compare_owner_pointers);
	return owners;
}

static int add_owner(struct rates *rates, const struct snapshot *before,
		     const struct usage_row **owners, const struct usage_row *now)
{
	const struct usage_row **found =
		bsearch(&now, owners, before->nr_rows, sizeof(const struct usage_row *),
			compare_owner_pointers);
	struct rate_row *row = &rates->rows[rates->nr_rows];

	if (!subtract_row(row, found ? *found : NULL, now))
		return -ESTALE;
	/* More than the node had: it got its name only now, and what it used before is in it. */
	if (row->cpu_ns <= rates->node_ns)
		rates->nr_rows++;
	return 0;
}

static int add_owners(struct rates *rates, const struct snapshot *before)
{
	const struct usage_row **owners = sort_owners(before);
	int err = owners ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < rates->now->nr_rows; i++)
		err = add_owner(rates, before, owners, &rates->now->rows[i]);
	free(owners);
	if (!err)
		qsort(rates->rows, rates->nr_rows, sizeof(*rates->rows), compare_rates);
	return err;
}

/* Keeps the largest units and drops the rows of the others; returns how many those are. */
static size_t drop_small_units(struct rates *rates)
{
	size_t pods = 0, keep = 0, units;

	while (pods < rates->nr_rows && rates->rows[pods].kind == RATE_POD)
		pods++;
	units = rates->nr_rows - pods;
	while (keep < units && keep < RATES_UNITS_SHOWN && rates->rows[pods + keep].cpu_ns)
		keep++;
	rates->nr_rows = pods + keep;
	return units - keep;
}

static struct rate_row *pin(struct rates *rates, enum rate_kind kind, uint64_t cpu_ns)
{
	struct rate_row *row = &rates->rows[rates->nr_rows++];

	*row = (struct rate_row){
		.kind = kind, .cpu_ns = cpu_ns, .p50 = RATE_NO_BUCKET, .p99 = RATE_NO_BUCKET};
	return row;
}

static uint64_t sum_of_kind(const struct rates *rates, enum rate_kind kind)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < rates->nr_rows; i++)
		if (rates->rows[i].kind == kind)
			sum += rates->rows[i].cpu_ns;
	return sum;
}

static uint64_t rest(uint64_t whole, uint64_t part)
{
	return whole > part ? whole - part : 0;
}

static void pin_rows(struct rates *rates, const struct snapshot *before, size_t other_units)
{
	uint64_t modes[NODE_MODES], pods_other, units_other;
	struct rate_row *row;

	for (size_t i = 0; i < NODE_MODES; i++)
		modes[i] = rates->now->node_ns[i] - before->node_ns[i];
	pods_other = rest(modes[NODE_PODS], sum_of_kind(rates, RATE_POD));
	units_other = rest(modes[NODE_UNITS], sum_of_kind(rates, RATE_UNIT));
	if (pods_other)
		pin(rates, RATE_PODS_OTHER, pods_other);
	if (units_other || other_units)
		pin(rates, RATE_UNITS_OTHER, units_other)->members = other_units;
	pin(rates, RATE_KERNEL, modes[NODE_KERNEL]);
	pin(rates, RATE_IDLE, modes[NODE_IDLE]);
	pin(rates, RATE_IRQ_STEAL, modes[NODE_IRQ_STEAL]);
	row = pin(rates, RATE_UNATTRIBUTED, modes[NODE_UNATTRIBUTED]);
	row->has_wait = true;
	row->wait_ns = rates->now->unattributed_wait_ns - before->unattributed_wait_ns;
	pin(rates, RATE_NODE, rates->node_ns);
}

static uint64_t all_losses(const struct snapshot *snap)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < snap->nr_losses; i++)
		sum += snap->losses[i].count;
	return sum;
}

/* Whether both are of one life of the agent, by everything that only ever grows. */
static bool same_life(const struct snapshot *before, const struct snapshot *now)
{
	for (size_t i = 0; i < NODE_MODES; i++)
		if (now->node_ns[i] < before->node_ns[i])
			return false;
	return now->self.start_realtime_ns == before->self.start_realtime_ns &&
	       now->seq >= before->seq && now->monotonic_ns >= before->monotonic_ns &&
	       now->elapsed_ns >= before->elapsed_ns &&
	       now->unattributed_wait_ns >= before->unattributed_wait_ns &&
	       all_losses(now) >= all_losses(before);
}

/*
 * CPUs are not all closed at the same instant, so the node's time is a little more or less than the
 * interval times the CPUs. Per core it is shared out, which makes the node exactly its CPUs; when a
 * CPU came or went there is no such number, and the clock is used.
 */
static void take_times(struct rates *rates, const struct snapshot *before)
{
	const struct snapshot *now = rates->now;

	rates->interval_ns = now->monotonic_ns - before->monotonic_ns;
	rates->node_ns = 0;
	for (size_t i = 0; i < NODE_MODES; i++)
		rates->node_ns += now->node_ns[i] - before->node_ns[i];
	rates->core_ns = rates->interval_ns;
	if (now->cpus_online && now->cpus_online == before->cpus_online)
		rates->core_ns = rates->node_ns / now->cpus_online;
}

int rates_make(struct rates *rates, const struct snapshot *before, const struct snapshot *now)
{
	int err;

	*rates = (struct rates){.now = now};
	if (!same_life(before, now))
		return -ESTALE;
	take_times(rates, before);
	if (now->seq == before->seq || !rates->core_ns || !rates->node_ns)
		return -EAGAIN;
	rates->lost = all_losses(now) - all_losses(before);
	rates->rows = calloc(now->nr_rows + PINNED_ROWS, sizeof(*rates->rows));
	err = rates->rows ? add_owners(rates, before) : -ENOMEM;
	if (err) {
		rates_free(rates);
		return err;
	}
	pin_rows(rates, before, drop_small_units(rates));
	return 0;
}

void rates_free(struct rates *rates)
{
	free(rates->rows);
	rates->rows = NULL;
	rates->nr_rows = 0;
}

static uint64_t scaled(uint64_t part, uint64_t whole)
{
	return (uint64_t)(((unsigned __int128)part * MICRO + whole / 2) / whole);
}

uint64_t rates_per_core_micro(const struct rates *rates, uint64_t ns)
{
	return scaled(ns, rates->core_ns);
}

uint64_t rates_of_node_micro(const struct rates *rates, uint64_t ns)
{
	return scaled(ns, rates->node_ns);
}
