/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that DRM drivers give to the kernel's GPU scheduler. The scheduler is a module that comes
 * with the first driver of a GPU and goes with the last, so this can be opened at any time, and
 * asked again later where it could not. Not safe for several threads.
 */
#ifndef MLPROF_KERNEL_GPU_JOBS_H
#define MLPROF_KERNEL_GPU_JOBS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mlprof/record.h"

struct gpu_jobs;

/* What could not be told, since it was opened. */
struct gpu_jobs_counts {
	uint64_t lost;	  /* jobs that found a table full */
	uint64_t unknown; /* jobs that were done and had begun before anybody watched */
};

/* Who takes what gpu_jobs_read() finds, in this order; valid during the call only. */
struct gpu_jobs_sink {
	void *context;
	void (*ring)(void *context, const struct mlprof_gpu_ring *ring);
	/* Of one cgroup on the ring of that id, since its first job. */
	void (*jobs)(void *context, uint64_t ring, uint64_t cgroup,
		     const struct mlprof_gpu_jobs *jobs);
	/* A job that has been handed to its ring and is not done. */
	void (*under_way)(void *context, uint64_t ring, const struct mlprof_gpu_job *job);
};

/*
 * Whether a driver uses the scheduler. Being attached keeps the scheduler's module in the kernel,
 * though not the driver's.
 */
bool gpu_jobs_wanted(void);

/*
 * Loads the programs and attaches them to the scheduler's events. `cgroup_v1` as in struct
 * kernel_options. Negative errno: -ENOENT if the scheduler is not there, and then `*why` says so;
 * whatever it is, `*why` has one line for a person, for as long as this is not called again.
 */
int gpu_jobs_open(bool cgroup_v1, struct gpu_jobs **ret, const char **why);

/* Detaches everything. NULL is fine. */
void gpu_jobs_close(struct gpu_jobs *jobs);

void gpu_jobs_read(struct gpu_jobs *jobs, const struct gpu_jobs_sink *sink);

/* Forgets the sums of a cgroup, which has no jobs any more. */
void gpu_jobs_forget(struct gpu_jobs *jobs, uint64_t cgroup);

void gpu_jobs_count(const struct gpu_jobs *jobs, struct gpu_jobs_counts *counts);

#endif
