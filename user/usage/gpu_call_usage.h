/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What owners asked the drivers of GPUs for: how long calls took, by namespace and kind, and how
 * long each owner's tasks were in calls that wait for a GPU. Not safe for several threads.
 */
#ifndef MLPROF_USAGE_GPU_CALL_USAGE_H
#define MLPROF_USAGE_GPU_CALL_USAGE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "mlprof/record.h"
#include "owner/owners.h"
#include "usage/snapshot.h"

struct gpu_call_usage;

/* `owners` must outlive the result. NULL when memory is out. */
struct gpu_call_usage *gpu_call_usage_new(struct owners *owners);
void gpu_call_usage_free(struct gpu_call_usage *usage);

/*
 * The sums of a caller since its first call; `gpu` is the label of the device whose file it is, ""
 * if the file is of several. False if the cgroup is nobody's any more: its sums can be forgotten
 * where they come from.
 */
bool gpu_call_usage_add(struct gpu_call_usage *usage, const struct mlprof_gpu_caller *caller,
			const struct mlprof_gpu_calls *sums, const char *gpu);

/* Two owners have turned out to be one; an owner has been forgotten. */
void gpu_call_usage_merge(struct gpu_call_usage *usage, uint32_t goes, uint32_t stays);
void gpu_call_usage_forget(struct gpu_call_usage *usage, uint32_t owner);

/* Adds rows to a snapshot: 0 or -ENOMEM. */
int gpu_call_usage_fill(struct gpu_call_usage *usage, struct snapshot *snap);

#endif
