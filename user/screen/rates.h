/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened between two snapshots, as the rows of a table. Rows below the pods are pinned:
 * units, kernel, idle and the rest of the node, so that all rows together are the whole node.
 */
#ifndef MLPROF_SCREEN_RATES_H
#define MLPROF_SCREEN_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "usage/snapshot.h"

/* Units with a row of their own; what the others used is one row. */
#define RATES_UNITS_SHOWN 5

enum rate_kind {
	RATE_POD,	 /* one container */
	RATE_PODS_OTHER, /* pods that ended, or whose part of the interval is not known */
	RATE_UNIT,
	RATE_UNITS_OTHER,
	RATE_KERNEL,
	RATE_IDLE,
	RATE_IRQ_STEAL,
	RATE_UNATTRIBUTED,
	RATE_NODE, /* the sum of all others */
};

/* In place of a bucket: nothing waited, or it is not known. */
#define RATE_NO_BUCKET (-1)

struct rate_row {
	enum rate_kind kind;
	const struct usage_row
		*who;	  /* in the newer snapshot; of RATE_POD and RATE_UNIT, else NULL */
	size_t members;	  /* of RATE_UNITS_OTHER: how many units it stands for */
	uint64_t cpu_ns;  /* used in the interval */
	bool has_wait;	  /* wait_ns is known */
	uint64_t wait_ns; /* waited in the interval, all tasks together */
	int p50, p99;	  /* bucket of struct wait_hist, or RATE_NO_BUCKET */
};

struct rates {
	const struct snapshot *now; /* borrowed; the rows point into it */
	uint64_t interval_ns;	    /* by the monotonic clock */
	/* One CPU's time in the interval: 1 core is cpu_ns equal to this. */
	uint64_t core_ns;
	uint64_t node_ns;      /* all CPUs' time in the interval */
	uint64_t lost;	       /* records and events lost in the interval */
	struct rate_row *rows; /* pods by CPU time, then the others by enum rate_kind */
	size_t nr_rows;
};

/*
 * Fills `rates` from two snapshots of which `now` is the later; it must outlive them. 0,
 * -EAGAIN if no time passed between the two, -ESTALE if the agent began anew, -ENOMEM.
 */
int rates_make(struct rates *rates, const struct snapshot *before, const struct snapshot *now);

void rates_free(struct rates *rates);

/* `ns` per second of the interval, in millionths: 1000000 is one core, or one task that waits. */
uint64_t rates_per_core_micro(const struct rates *rates, uint64_t ns);

/* The part of the node's CPU time that `ns` is, in millionths. */
uint64_t rates_of_node_micro(const struct rates *rates, uint64_t ns);

#endif
