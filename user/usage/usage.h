/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From records to usage per owner. Records are added during a drain, in any order; at its end what
 * belongs to nobody known is asked for once more, and a snapshot can be made. Not safe for several
 * threads.
 */
#ifndef MLPROF_USAGE_USAGE_H
#define MLPROF_USAGE_USAGE_H

#include <linux/types.h>

#include "mlprof/record.h"
#include "owner/owners.h"
#include "usage/gpu_call_usage.h"
#include "usage/gpu_holding_usage.h"
#include "usage/gpu_usage.h"
#include "usage/memory_usage.h"
#include "usage/snapshot.h"

struct usage;

/*
 * `owners` must outlive the result. `gpu_in_order` as gpu_usage_new() has it. NULL when memory is
 * out.
 */
struct usage *usage_new(struct owners *owners, const char *gpu_in_order);
void usage_free(struct usage *usage);

/* Where samples of memory go, and what is read of GPUs. */
struct memory_usage *usage_memory(struct usage *usage);
struct gpu_usage *usage_gpu(struct usage *usage);
struct gpu_call_usage *usage_gpu_calls(struct usage *usage);
struct gpu_holding_usage *usage_gpu_holdings(struct usage *usage);

/*
 * A drain begins at `now_ns` (CLOCK_MONOTONIC); the records of it follow. Lets those go who have
 * been dead for long enough.
 */
void usage_begin(struct usage *usage, uint64_t now_ns);
void usage_add(struct usage *usage, const struct mlprof_usage *record);
void usage_add_cpu(struct usage *usage, const struct mlprof_record_cpu *record);

/* Pods have got names: what belongs to one owner by now is one. Between two drains. */
void usage_learn(struct usage *usage, const struct pods *pods, uint64_t now_ns);

/* The drain has ended: settles what waited for its owner. */
void usage_end(struct usage *usage);

/*
 * Fills the parts of a snapshot that are about usage, its monotonic time too: that at which the
 * CPUs were flushed, the mean of them, so that it grows as elapsed_ns does. 0 or -ENOMEM.
 */
int usage_fill(struct usage *usage, struct snapshot *snap);

/* Event records that were lost, ever. */
uint64_t usage_events_lost(const struct usage *usage);

/* What others have lost, ever; shown among the losses. */
struct usage_losses {
	uint64_t records;	      /* that the reader could not make sense of */
	uint64_t stalls;	      /* of an unknown cgroup or of an unknown length */
	uint64_t memory_malformed;    /* files that were not as the kernel writes them */
	uint64_t memory_dropped;      /* cgroups that are one too many for their files to be read */
	uint64_t gpu_jobs_full;	      /* jobs that found no place */
	uint64_t gpu_jobs_unknown;    /* jobs whose beginning nobody saw */
	uint64_t gpu_calls_full;      /* calls that found no place */
	uint64_t gpu_ring_full;	      /* calls that made something, and found their ring full */
	uint64_t gpu_unreadable;      /* likewise, with arguments that could not be read */
	uint64_t gpu_objects_full;    /* what they made and was too much to keep */
	uint64_t gpu_objects_unknown; /* calls about what nobody saw made */
};

void usage_set_losses(struct usage *usage, const struct usage_losses *losses);

#endif
