/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and closed files wait here until they are in order: each CPU's ring has its own in the order
 * of their time, and which ring is read first says nothing. Bounded; what does not fit is counted.
 */
#ifndef MLPROF_GPU_RM_EVENTS_H
#define MLPROF_GPU_RM_EVENTS_H

#include <linux/types.h>
#include <stdint.h>

#include "gpu/rm_objects.h"

#define RM_EVENTS_MAX 65536

struct rm_events;

/* NULL when memory is out. */
struct rm_events *rm_events_new(void);
void rm_events_free(struct rm_events *events);

/* `version` as rm_call_read() has it. */
void rm_events_call(struct rm_events *events, const struct mlprof_record_gpu_call *record,
		    unsigned int version);
void rm_events_closed(struct rm_events *events, const struct mlprof_record_gpu_closed *record);

/* Hands on, in order, what happened before `until_ns`, which no ring has anything from any more. */
void rm_events_apply(struct rm_events *events, uint64_t until_ns, struct rm_objects *objects);

struct rm_events_counts {
	uint64_t lost;	     /* there was no room */
	uint64_t unreadable; /* calls whose layout is not known */
};

void rm_events_count(const struct rm_events *events, struct rm_events_counts *counts);

#endif
