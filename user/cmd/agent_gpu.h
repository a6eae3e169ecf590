/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's part that watches GPUs: what it attaches to comes and goes with their drivers. */
#ifndef MLPROF_CMD_AGENT_GPU_H
#define MLPROF_CMD_AGENT_GPU_H

#include <stdbool.h>
#include <stdint.h>

#include "gpu/devices.h"
#include "kernel/gpu_calls.h"
#include "kernel/gpu_jobs.h"
#include "kernel/kernel.h"
#include "usage/usage.h"

struct agent_gpu_options {
	struct kernel *kernel;
	struct usage *usage;
	bool cgroup_v1;
	const char *in_order; /* as gpu_usage_new() has it */
	const char *root;     /* below which /proc and /sys tell of GPUs; "/" but for tests */
};

/* All zeros is one that watches nothing. */
struct agent_gpu {
	struct agent_gpu_options options;
	struct gpu_devices *devices; /* NULL: not read yet */
	struct gpu_calls *calls;     /* NULL: not attached */
	struct gpu_jobs *jobs;	     /* NULL: not attached */
	uint64_t looked_ns;	     /* when it was last looked whether a driver has come or gone */
	bool calls_failed, jobs_failed; /* to attach, which has been told */
};

/* What `options` points to must outlive it. */
void agent_gpu_start(struct agent_gpu *gpu, const struct agent_gpu_options *options);
void agent_gpu_stop(struct agent_gpu *gpu);

/* Reads what GPUs were used for; once in a while looks for drivers first. */
void agent_gpu_sample(struct agent_gpu *gpu);

/* Adds the devices to a snapshot: 0 or -ENOMEM. */
int agent_gpu_fill(const struct agent_gpu *gpu, struct snapshot *snap);

#endif
