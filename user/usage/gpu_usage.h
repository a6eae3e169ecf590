/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What owners used of GPUs, by device and engine: sums of what the kernel tells of each ring and
 * cgroup. Only on rings that run one job after the other is the time that a job ran known; of the
 * others there are jobs and waits, and no busy time. Not safe for several threads.
 */
#ifndef MLPROF_USAGE_GPU_USAGE_H
#define MLPROF_USAGE_GPU_USAGE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "mlprof/record.h"
#include "owner/owners.h"
#include "usage/snapshot.h"

struct gpu_usage;

/*
 * `owners` must outlive the result. `in_order` is a list of drivers, with commas between them,
 * whose rings run one job after the other, besides those that are known to; "" for none. NULL when
 * memory is out.
 */
struct gpu_usage *gpu_usage_new(struct owners *owners, const char *in_order);
void gpu_usage_free(struct gpu_usage *gpu);

/*
 * A reading of the kernel's tables begins at `now_ns` (CLOCK_MONOTONIC): rings, then sums, then
 * jobs under way, each of them since its first job. A ring that is not told of again is gone.
 */
void gpu_usage_begin(struct gpu_usage *gpu, uint64_t now_ns);
void gpu_usage_ring(struct gpu_usage *gpu, const struct mlprof_gpu_ring *ring);

/* False if the cgroup is nobody's any more: its sums can be forgotten where they come from. */
bool gpu_usage_jobs(struct gpu_usage *gpu, uint64_t ring, uint64_t cgroup,
		    const struct mlprof_gpu_jobs *jobs);
void gpu_usage_under_way(struct gpu_usage *gpu, uint64_t ring, const struct mlprof_gpu_job *job);

/* Two owners have turned out to be one; an owner has been forgotten. */
void gpu_usage_merge(struct gpu_usage *gpu, uint32_t goes, uint32_t stays);
void gpu_usage_forget(struct gpu_usage *gpu, uint32_t owner);

/* Adds rows to a snapshot: 0 or -ENOMEM. */
int gpu_usage_fill(struct gpu_usage *gpu, struct snapshot *snap);

#endif
