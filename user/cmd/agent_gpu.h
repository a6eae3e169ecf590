/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's part that watches GPUs: what it attaches to comes and goes with their drivers. */
#ifndef MLPROF_CMD_AGENT_GPU_H
#define MLPROF_CMD_AGENT_GPU_H

#include <stdbool.h>
#include <stdint.h>

#include "gpu/devices.h"
#include "gpu/rm_events.h"
#include "gpu/rm_objects.h"
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
	struct rm_events *events;    /* with `objects`: made with `calls`, and kept */
	struct rm_objects *objects;
	unsigned int nvidia_version;	      /* its first number; 0: not known */
	struct gpu_jobs *jobs;		      /* NULL: not attached */
	struct gpu_jobs_counts jobs_before;   /* of those that were closed */
	struct gpu_calls_counts calls_before; /* likewise */
	uint64_t looked_ns; /* when it was last looked whether a driver has come or gone */
	bool calls_failed, jobs_failed; /* to attach, which has been told */
};

/* What `options` points to must outlive it. */
void agent_gpu_start(struct agent_gpu *gpu, const struct agent_gpu_options *options);
void agent_gpu_stop(struct agent_gpu *gpu);

/* Records of a drain. */
void agent_gpu_call(struct agent_gpu *gpu, const struct mlprof_record_gpu_call *record);
void agent_gpu_closed(struct agent_gpu *gpu, const struct mlprof_record_gpu_closed *record);

/*
 * Reads what GPUs were used for, after the drain that began at `begun_ns` (CLOCK_MONOTONIC); once
 * in a while looks for drivers first.
 */
void agent_gpu_sample(struct agent_gpu *gpu, uint64_t begun_ns);

/* What could not be told since the agent started, into the members that begin with gpu_. */
void agent_gpu_count(const struct agent_gpu *gpu, struct usage_losses *losses);

/* Adds the devices to a snapshot: 0 or -ENOMEM. */
int agent_gpu_fill(const struct agent_gpu *gpu, struct snapshot *snap);

#endif
