/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What owners hold of GPUs, and have held: contexts and memory, by device. Not safe for several
 * threads.
 */
#ifndef MLPROF_USAGE_GPU_HOLDING_USAGE_H
#define MLPROF_USAGE_GPU_HOLDING_USAGE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "gpu/rm_objects.h"
#include "owner/owners.h"
#include "usage/snapshot.h"

struct gpu_holding_usage;

/* `owners` must outlive the result. NULL when memory is out. */
struct gpu_holding_usage *gpu_holding_usage_new(struct owners *owners);
void gpu_holding_usage_free(struct gpu_holding_usage *usage);

/* A reading begins: who is not told of in it holds nothing. */
void gpu_holding_usage_begin(struct gpu_holding_usage *usage);

/* What a cgroup holds of the GPU with that label. False if the cgroup is nobody's any more. */
bool gpu_holding_usage_add(struct gpu_holding_usage *usage, const struct rm_holding *holding,
			   const char *gpu);

/* Two owners have turned out to be one; an owner has been forgotten. */
void gpu_holding_usage_merge(struct gpu_holding_usage *usage, uint32_t goes, uint32_t stays);
void gpu_holding_usage_forget(struct gpu_holding_usage *usage, uint32_t owner);

/* Adds rows to a snapshot: 0 or -ENOMEM. */
int gpu_holding_usage_fill(struct gpu_holding_usage *usage, struct snapshot *snap);

#endif
