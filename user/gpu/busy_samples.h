/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Busy time out of samples: the driver notes a few times a second how busy the GPU was since the
 * last time and one process that was on it, and keeps the last 10 s or so of that. It is asked for
 * a time at a stretch, and answers with one row for each process: its last sample, and the mean
 * over all samples of that time of what was its, so that rows add up to 100% at most. A driver
 * that gives each sample a row of its own is understood as well: a pid comes twice then, and each
 * row is credited for one period.
 *
 * Each stretch is credited once, and its shares are an unbiased estimate whatever part of it was
 * idle. Idle samples are never told, so a stretch ends when the driver was asked and not with the
 * last sample that it had.
 */
#ifndef MLPROF_GPU_BUSY_SAMPLES_H
#define MLPROF_GPU_BUSY_SAMPLES_H

#include <stdbool.h>

#include "gpu/busy_rows.h"

#define BUSY_RING_US	     10000000u /* the driver forgets samples that are older */
#define BUSY_PERIOD_LEAST_US 100000u   /* it takes none sooner after the last one */

struct busy_sample {
	uint32_t pid;
	uint8_t percent[BUSY_ENGINES]; /* 100 at most */
	uint64_t us;
};

/* What happened on one device from `from_us` (not included) to `to_us`, by any one clock. */
struct busy_stretch {
	uint64_t from_us, to_us;
	const struct busy_sample *samples;
	size_t nr;
};

/* All zeros is one that has seen nothing. */
struct busy_samples {
	uint64_t end_us;	/* of the last stretch */
	uint64_t period_us;	/* the shortest time between two samples seen yet, 0: none seen */
	uint64_t ring_us;	/* 0: BUSY_RING_US */
	uint64_t least_us;	/* 0: BUSY_PERIOD_LEAST_US */
	uint64_t observed_ns;	/* of the stretches that were credited; no engine's rows add up to
				   more */
	uint64_t quiet_ns;	/* of these, without any sample: idle, says the driver */
	uint64_t unobserved_ns; /* between stretches, or longer ago than the ring goes */
	uint64_t stale;		/* samples from outside of their stretch, not credited */
	uint64_t overfull; /* stretches whose shares came to more than 100% and were made less */
	bool single;	   /* each sample has a row of its own */
};

/* Credits a stretch to `rows`, and takes out rows of which nothing was heard for a minute. */
void busy_samples_credit(struct busy_samples *samples, struct busy_rows *rows,
			 const struct busy_stretch *stretch);

#endif
