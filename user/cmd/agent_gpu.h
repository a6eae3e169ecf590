/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's part that watches GPUs: what it attaches to comes and goes with their drivers. */
#ifndef MLPROF_CMD_AGENT_GPU_H
#define MLPROF_CMD_AGENT_GPU_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/gpu_jobs.h"
#include "usage/gpu_usage.h"

/* All zeros is one that watches nothing. */
struct agent_gpu {
	struct gpu_usage *usage;
	bool cgroup_v1;
	struct gpu_jobs *jobs; /* NULL: not attached */
	uint64_t looked_ns;    /* when it was last looked whether a driver has come or gone */
	bool failed;	       /* to attach, which has been told */
};

void agent_gpu_start(struct agent_gpu *gpu, struct gpu_usage *usage, bool cgroup_v1);
void agent_gpu_stop(struct agent_gpu *gpu);

/* Reads what jobs have used; once in a while looks for drivers first. */
void agent_gpu_sample(struct agent_gpu *gpu);

#endif
