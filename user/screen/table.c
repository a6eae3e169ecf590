// SPDX-License-Identifier: Apache-2.0
/* The table: columns as wide as the names at hand need, within what a line can hold. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "screen/names.h"
#include "screen/table.h"

#define NS_PER_S 1000000000ULL

/* The five numbers with the space before each. */
#define NUMBERS_COLUMNS	  (9 + 10 + 10 + 9 + 7)
#define NAMES_COLUMNS	  (TABLE_COLUMNS - NUMBERS_COLUMNS)

#define NAMESPACE_COLUMNS 14
#define CONTAINER_COLUMNS 13
/* So that the pinned rows' names fit, and the headings. */
#define LEAST_NAMES_COLUMNS 20

/* Of the pods that did nothing. */
#define IDLE_PODS_SHOWN 10

struct widths {
	size_t namespace_; /* 0 where no namespace is known: then there is no such column */
	size_t pod, container;
	size_t all; /* of the three with the spaces between them */
};

/* A pod's line. */
struct line {
	const struct rate_row *row;
	char namespace_[NAME_CELL_BYTES], pod[NAME_CELL_BYTES], container[NAME_CELL_BYTES];
};

static size_t widest(size_t so_far, const char *name, size_t most)
{
	size_t bytes = strlen(name);

	bytes = bytes > most ? most : bytes;
	return bytes > so_far ? bytes : so_far;
}

static struct widths measure(const struct rates *rates, size_t nr_pods)
{
	struct widths w = {.container = strlen("CONTAINER")};
	size_t most, least = LEAST_NAMES_COLUMNS;

	for (size_t i = 0; i < nr_pods; i++) {
		const struct usage_row *who = rates->rows[i].who;

		w.namespace_ = widest(w.namespace_, who->namespace_, NAMESPACE_COLUMNS);
		w.container = widest(w.container, who->container, CONTAINER_COLUMNS);
	}
	if (w.namespace_)
		w.namespace_ = widest(w.namespace_, "NAMESPACE", NAMESPACE_COLUMNS);
	most = NAMES_COLUMNS - w.container - 1 - (w.namespace_ ? w.namespace_ + 1 : 0);
	for (size_t i = 0; i < nr_pods; i++)
		w.pod = widest(w.pod, rates->rows[i].who->pod, most);
	for (size_t i = nr_pods; i < rates->nr_rows; i++)
		if (rates->rows[i].kind == RATE_UNIT)
			least = widest(least, rates->rows[i].who->unit, NAMES_COLUMNS - 5);
	w.all = NAMES_COLUMNS - most + w.pod;
	if (w.all < least + strlen("unit "))
		w.all = least + strlen("unit ");
	w.pod += w.all - (NAMES_COLUMNS - most + w.pod);
	return w;
}

static int compare_cells(const struct line *a, const struct line *b)
{
	int order = strcmp(a->namespace_, b->namespace_);

	order = order ? order : strcmp(a->pod, b->pod);
	return order ? order : strcmp(a->container, b->container);
}

/* Lines that look the same come by their whole names, so that each keeps its number. */
static int compare_lines(const void *a, const void *b)
{
	const struct line *x = *(struct line *const *)a, *y = *(struct line *const *)b;
	const struct usage_row *p = x->row->who, *q = y->row->who;
	int order = compare_cells(x, y);

	order = order ? order : strcmp(p->namespace_, q->namespace_);
	order = order ? order : strcmp(p->pod, q->pod);
	return order ? order : strcmp(p->container, q->container);
}

/* Cutting may have made two names one. */
static int tell_apart(struct line *lines, size_t count, const struct widths *w)
{
	struct line **sorted = calloc(count + 1, sizeof(struct line *));
	unsigned int number = 1;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		sorted[i] = &lines[i];
	qsort(sorted, count, sizeof(struct line *), compare_lines);
	for (size_t i = 0; i < count; i++) {
		bool next_same = i + 1 < count && !compare_cells(sorted[i], sorted[i + 1]);

		if (next_same || number > 1)
			name_number(sorted[i]->pod, w->pod, number);
		number = next_same ? number + 1 : 1;
	}
	free(sorted);
	return 0;
}

static const char *bucket_text(char *cell, size_t bytes, int bucket)
{
	unsigned long us = bucket < 0 ? 0 : 1UL << bucket, unit = us < 1000000 ? 1000 : 1000000;
	unsigned long hundredths = (us * 100 + unit - 1) / unit;
	const char *name = unit == 1000 ? "ms" : "s";

	/* Rounded up, as the wait was at most that. */
	if (bucket == RATE_NO_BUCKET)
		snprintf(cell, bytes, "-");
	else if (bucket == MLPROF_HIST_BUCKETS - 1)
		snprintf(cell, bytes, ">16.7s");
	else if (us < 1000)
		snprintf(cell, bytes, "<=%luus", us);
	else if (hundredths < 1000)
		snprintf(cell, bytes, "<=%lu.%02lu%s", hundredths / 100, hundredths % 100, name);
	else if (hundredths < 10000)
		snprintf(cell, bytes, "<=%lu.%lu%s", (hundredths + 9) / 100,
			 (hundredths + 9) / 10 % 10, name);
	else
		snprintf(cell, bytes, "<=%lu%s", (hundredths + 99) / 100, name);
	return cell;
}

static void put_numbers(struct buf *to, const struct rates *rates, const struct rate_row *row)
{
	char p50[24], p99[24], wait[24] = "-";

	if (row->has_wait)
		snprintf(wait, sizeof(wait), "%.3f",
			 (double)rates_per_core_micro(rates, row->wait_ns) / 1e6);
	buf_printf(to, " %8.3f %9s %9s %8s %6.1f\n",
		   (double)rates_per_core_micro(rates, row->cpu_ns) / 1e6,
		   bucket_text(p50, sizeof(p50), row->p50), bucket_text(p99, sizeof(p99), row->p99),
		   wait, (double)rates_of_node_micro(rates, row->cpu_ns) / 1e4);
}

static void put_names(struct buf *to, const struct widths *w, const char *namespace_,
		      const char *pod, const char *container)
{
	if (w->namespace_)
		buf_printf(to, "%-*s ", (int)w->namespace_, namespace_);
	buf_printf(to, "%-*s %-*s", (int)w->pod, pod, (int)w->container, container);
}

static void put_pinned(struct buf *to, const struct rates *rates, const struct widths *w,
		       const struct rate_row *row)
{
	static const char *const names[] = {
		[RATE_PODS_OTHER] = "other pods",
		[RATE_UNITS_OTHER] = "other units",
		[RATE_KERNEL] = "kernel",
		[RATE_IDLE] = "idle",
		[RATE_IRQ_STEAL] = "irq/steal",
		[RATE_UNATTRIBUTED] = "unattributed",
		[RATE_NODE] = "node",
	};
	char name[NAME_CELL_BYTES + 32];

	if (row->kind == RATE_UNIT)
		name_fit(stpcpy(name, "unit "), row->who->unit, w->all - strlen("unit "));
	else if (row->members)
		snprintf(name, sizeof(name), "%s (%zu)", names[row->kind], row->members);
	else
		snprintf(name, sizeof(name), "%s", names[row->kind]);
	buf_printf(to, "%-*s", (int)w->all, name);
	put_numbers(to, rates, row);
}

static void put_heading(struct buf *to, const struct rates *rates, size_t nr_pods,
			const struct widths *w)
{
	time_t when = (time_t)(rates->now->realtime_ns / NS_PER_S);
	unsigned int cpus = rates->now->cpus_online;
	char stamp[32] = "";
	struct tm local;

	if (localtime_r(&when, &local))
		strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &local);
	buf_printf(to, "%s  %u CPU%s online, %zu container%s, interval %.3f s\n", stamp, cpus,
		   cpus == 1 ? "" : "s", nr_pods, nr_pods == 1 ? "" : "s",
		   (double)rates->interval_ns / 1e9);
	put_names(to, w, "NAMESPACE", "POD", "CONTAINER");
	buf_printf(to, " %8s %9s %9s %8s %6s\n", "CPU", "WAIT-P50", "WAIT-P99", "WAIT", "NODE%");
}

static void put_pods(struct buf *to, const struct rates *rates, const struct line *lines,
		     size_t count, const struct widths *w)
{
	for (size_t i = 0; i < count; i++) {
		const struct line *l = &lines[i];

		put_names(to, w, l->namespace_, l->pod, *l->container ? l->container : "-");
		put_numbers(to, rates, l->row);
	}
}

static bool did_nothing(const struct rate_row *row)
{
	return !row->cpu_ns && !row->wait_ns;
}

/* How many of the pods, which are sorted by use, get a line. */
static size_t pods_to_show(const struct rates *rates, size_t nr_pods)
{
	size_t busy = nr_pods;

	while (busy && did_nothing(&rates->rows[busy - 1]))
		busy--;
	return nr_pods - busy > IDLE_PODS_SHOWN ? busy + IDLE_PODS_SHOWN : nr_pods;
}

static size_t count_pods(const struct rates *rates)
{
	size_t count = 0;

	while (count < rates->nr_rows && rates->rows[count].kind == RATE_POD)
		count++;
	return count;
}

static struct line *make_lines(const struct rates *rates, size_t count, const struct widths *w)
{
	struct line *lines = calloc(count + 1, sizeof(*lines));

	for (size_t i = 0; lines && i < count; i++) {
		const struct usage_row *who = rates->rows[i].who;

		lines[i].row = &rates->rows[i];
		if (w->namespace_)
			name_fit(lines[i].namespace_, who->namespace_, w->namespace_);
		name_fit(lines[i].pod, who->pod, w->pod);
		name_fit(lines[i].container, who->container, w->container);
	}
	if (lines && tell_apart(lines, count, w)) {
		free(lines);
		return NULL;
	}
	return lines;
}

int table_print(struct buf *to, const struct rates *rates)
{
	size_t nr_pods = count_pods(rates), shown = pods_to_show(rates, nr_pods);
	struct widths w = measure(rates, nr_pods);
	struct line *lines = make_lines(rates, shown, &w);

	if (!lines)
		return -ENOMEM;
	put_heading(to, rates, nr_pods, &w);
	put_pods(to, rates, lines, shown, &w);
	free(lines);
	if (shown < nr_pods)
		buf_printf(to, "(%zu more containers did nothing)\n", nr_pods - shown);
	for (size_t i = nr_pods; i < rates->nr_rows; i++)
		put_pinned(to, rates, &w, &rates->rows[i]);
	if (rates->lost)
		buf_printf(to, "lost in this interval: %llu; /metrics tells of what and why\n",
			   (unsigned long long)rates->lost);
	buf_putc(to, '\n');
	return to->failed ? -ENOMEM : 0;
}
