// SPDX-License-Identifier: Apache-2.0
/* Families of memory rows. A row has a sample only where the number is known. */
#include <stddef.h>
#include <string.h>

#include "expose/memory_metrics.h"

struct memory_family {
	struct family family; /* first, so that the two convert into each other */
	uint32_t known;	      /* MEMORY_ROW_* that the family needs */
};

static void put_rows(struct writer *w, uint32_t known, size_t offset, const char *tail)
{
	struct piece name = {w->name, w->name_bytes}, end = {tail, strlen(tail)};

	for (size_t i = 0; i < w->nr_rows; i++) {
		const struct memory_row *row = &w->rows[i]->memory;

		if ((row->known & known) == known)
			put_line(w, name, row_labels(w, i), end, value_at(row, offset), w->unit);
	}
}

static uint32_t needed(const struct family *family)
{
	return ((const struct memory_family *)family)->known;
}

static void numbers(struct writer *w, const struct family *family)
{
	put_rows(w, needed(family), family->offset, "}");
}

/* The largest that a process had, and nothing else, is known of those. */
static void estimated(struct writer *w, const struct family *family)
{
	struct piece name = {w->name, w->name_bytes}, end = {"}", 1};

	for (size_t i = 0; i < w->nr_rows; i++)
		if (w->rows[i]->memory.known & needed(family))
			put_line(w, name, row_labels(w, i), end, 1, w->unit);
}

static void byte_seconds(struct writer *w, const struct family *family)
{
	struct piece name = {w->name, w->name_bytes};

	for (size_t i = 0; i < w->nr_rows; i++) {
		const struct memory_row *row = &w->rows[i]->memory;

		if (!(row->known & needed(family)))
			continue;
		put_piece(w, name);
		put_piece(w, row_labels(w, i));
		buf_printf(w->to, "} %llu.%09u\n", (unsigned long long)row->byte_seconds,
			   row->byte_seconds_nano);
	}
}

static void stalls(struct writer *w, const struct family *family)
{
	static const char *const tails[] = {
		[MLPROF_STALL_RECLAIM] = ",kind=\"reclaim\"}",
		[MLPROF_STALL_COMPACTION] = ",kind=\"compaction\"}",
		[MLPROF_STALL_SWAPIN] = ",kind=\"swapin\"}",
	};

	for (size_t kind = 0; kind < sizeof(tails) / sizeof(tails[0]); kind++)
		put_rows(w, needed(family), family->offset + kind * sizeof(uint64_t), tails[kind]);
}

static void pressure(struct writer *w, const struct family *family)
{
	static const char *const tails[MLPROF_PRESSURES][2] = {
		{",resource=\"cpu\",kind=\"some\"}", ",resource=\"cpu\",kind=\"full\"}"},
		{",resource=\"memory\",kind=\"some\"}", ",resource=\"memory\",kind=\"full\"}"},
		{",resource=\"io\",kind=\"some\"}", ",resource=\"io\",kind=\"full\"}"},
	};

	(void)family;
	for (size_t i = 0; i < MLPROF_PRESSURES; i++) {
		put_rows(w, MEMORY_ROW_PRESSURE(i),
			 offsetof(struct memory_row, some_ns) + i * sizeof(uint64_t), tails[i][0]);
		put_rows(w, MEMORY_ROW_PRESSURE(i) | MEMORY_ROW_PRESSURE_FULL(i),
			 offsetof(struct memory_row, full_ns) + i * sizeof(uint64_t), tails[i][1]);
	}
}

#define ROW(member) offsetof(struct memory_row, member)

static const struct memory_family families[] = {
	{{"mlprof_memory_working_set_bytes", GAUGE, UNIT_BYTES,
	  "Memory charged to a container, less page cache that would not be missed.", numbers,
	  ROW(working_set_bytes)},
	 MEMORY_ROW_HOLDS},
	{{"mlprof_memory_rss_bytes", GAUGE, UNIT_BYTES, "Anonymous memory of a container.", numbers,
	  ROW(rss_bytes)},
	 MEMORY_ROW_HOLDS},
	{{"mlprof_memory_cache_bytes", GAUGE, UNIT_BYTES,
	  "Page cache and shared memory of a container.", numbers, ROW(cache_bytes)},
	 MEMORY_ROW_HOLDS},
	{{"mlprof_memory_peak_bytes", GAUGE, UNIT_BYTES,
	  "The most that a container was ever charged with.", numbers, ROW(peak_bytes)},
	 MEMORY_ROW_PEAK},
	{{"mlprof_memory_peak_estimated", GAUGE, UNIT_NONE,
	  "1 if it was gone before it was sampled: its peak is then that of one process.",
	  estimated, 0},
	 MEMORY_ROW_ESTIMATED},
	{{"mlprof_memory_byte_seconds", COUNTER, UNIT_NONE,
	  "Working set times the time that it was held.", byte_seconds, 0},
	 MEMORY_ROW_HOLDS},
	{{"mlprof_memory_major_faults", COUNTER, UNIT_NONE, "Page faults that had to read.",
	  numbers, ROW(major_faults)},
	 MEMORY_ROW_FAULTS},
	{{"mlprof_memory_oom_kills", COUNTER, UNIT_NONE, "Processes killed because memory was out.",
	  numbers, ROW(oom_kills)},
	 MEMORY_ROW_OOM},
	{{"mlprof_memory_stall_seconds", COUNTER, UNIT_SECONDS,
	  "Time that tasks were held up for want of memory, by what they did; kinds overlap.",
	  stalls, ROW(stall_ns)},
	 MEMORY_ROW_STALL},
	{{"mlprof_cpu_throttled_seconds", COUNTER, UNIT_SECONDS,
	  "Time that run queues were stopped by the container's CPU limit, summed over CPUs.",
	  numbers, ROW(throttled_ns)},
	 MEMORY_ROW_THROTTLED},
	{{"mlprof_cpu_throttled_periods", COUNTER, UNIT_NONE, "Periods in which that happened.",
	  numbers, ROW(throttled_periods)},
	 MEMORY_ROW_THROTTLED},
	{{"mlprof_pressure_seconds", COUNTER, UNIT_SECONDS,
	  "Time that some task waited for a resource, and that none could go on for want of it.",
	  pressure, 0},
	 0},
};

void put_memory_families(struct writer *w)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		put_family(w, &families[i].family);
}
