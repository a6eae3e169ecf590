// SPDX-License-Identifier: Apache-2.0
/*
 * Renders the metrics of a made-up node of 250 pods. Arguments: how often, the format (text or
 * openmetrics) and, if it is to be compressed, gzip. Prints the bytes of one rendering; under
 * callgrind the difference of two runs tells the instructions of one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expose/gzip.h"
#include "expose/openmetrics.h"

#define PODS	   250
#define UNITS	   60
#define NAMESPACES 20
#define PROGRAMS   6

static const char *name(struct snapshot *snap, const char *prefix, unsigned int number)
{
	char text[128];

	snprintf(text, sizeof(text), "%s%u", prefix, number);
	return snapshot_strdup(snap, text);
}

static void fill_hist(struct wait_hist *hist)
{
	for (size_t i = 0; i < MLPROF_HIST_BUCKETS; i++)
		hist->bucket[i] = (uint64_t)random() % 1000000;
	hist->sum_ns = (uint64_t)random() * 1000;
}

static void fill_row(struct usage_row *row)
{
	row->cpu_ns = (uint64_t)random() * 10000;
	row->wait_ns = (uint64_t)random() * 100;
	row->voluntary = (uint64_t)random();
	row->preempted = (uint64_t)random() / 100;
	fill_hist(&row->wait);
}

static void fill_rows(struct snapshot *snap)
{
	struct usage_row *rows = snapshot_alloc(snap, (PODS + UNITS) * sizeof(*rows));

	for (unsigned int i = 0; i < PODS + UNITS; i++) {
		bool pod = i < PODS;

		fill_row(&rows[i]);
		rows[i].kind = pod ? OWNER_POD : OWNER_UNIT;
		rows[i].namespace_ = pod ? name(snap, "team-", i % NAMESPACES) : "";
		rows[i].pod = pod ? name(snap, "trainer-12-7d9f8b6c5d-x", 1000 + i) : "";
		rows[i].container = pod ? name(snap, "worker-", i % 3) : "";
		rows[i].unit = pod ? "" : name(snap, "unit.service-", i);
	}
	snap->rows = rows;
	snap->nr_rows = PODS + UNITS;
}

static void fill_rest(struct snapshot *snap)
{
	struct namespace_row *spaces = snapshot_alloc(snap, NAMESPACES * sizeof(*spaces));
	struct program_row *programs = snapshot_alloc(snap, PROGRAMS * sizeof(*programs));

	for (unsigned int i = 0; i < NAMESPACES; i++) {
		spaces[i].namespace_ = name(snap, "team-", i);
		fill_hist(&spaces[i].wait);
	}
	for (unsigned int i = 0; i < PROGRAMS; i++) {
		programs[i].name = name(snap, "program_", i);
		programs[i].run_ns = (uint64_t)random() * 1000;
		programs[i].runs = (uint64_t)random();
	}
	for (unsigned int i = 0; i < NODE_MODES; i++)
		snap->elapsed_ns += snap->node_ns[i] = (uint64_t)random() * 100000;
	snap->cpus_online = 2;
	snap->namespaces = spaces;
	snap->nr_namespaces = NAMESPACES;
	snap->programs = programs;
	snap->nr_programs = PROGRAMS;
}

int main(int argc, char **argv)
{
	int times = argc > 1 ? atoi(argv[1]) : 1;
	enum exposition form =
		argc > 2 && !strcmp(argv[2], "text") ? EXPOSITION_TEXT : EXPOSITION_OPENMETRICS;
	struct scrape_stats scrapes = {0};
	struct snapshot *snap = snapshot_new();
	struct buf out = {0}, packed = {0};

	fill_rows(snap);
	fill_rest(snap);
	for (int i = 0; i < times; i++) {
		out.len = packed.len = 0;
		if (openmetrics_render(&out, snap, &scrapes, form))
			return 1;
		if (argc > 3 && gzip_compress(&packed, out.data, out.len))
			return 1;
	}
	printf("render.bytes %zu bytes\n", out.len);
	if (argc > 3)
		printf("render.gzip.bytes %zu bytes\n", packed.len);
	if (getenv("RENDER_PRINT"))
		fwrite(out.data, 1, out.len, stdout);
	buf_free(&out);
	buf_free(&packed);
	snapshot_put(snap);
	return 0;
}
