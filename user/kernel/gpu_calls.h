/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to the drivers of GPUs. Opened once there is a driver; which files are a GPU's is said
 * afterwards, and may change at any time. What calls have made comes with the other records of a
 * drain, to the sink's gpu_call and gpu_closed. Not safe for several threads.
 */
#ifndef MLPROF_KERNEL_GPU_CALLS_H
#define MLPROF_KERNEL_GPU_CALLS_H

#include "kernel/kernel.h"

struct gpu_calls;

/* What could not be told, since it was opened. */
struct gpu_calls_counts {
	uint64_t lost;		    /* calls whose sums or whose end found no place */
	uint64_t copies_lost;	    /* records that found their ring full */
	uint64_t copies_unreadable; /* arguments that are not in memory */
};

/*
 * Loads the programs and attaches them; they watch nothing yet. `kernel` must outlive the result,
 * and `cgroup_v1` is as in its options. Negative errno, and then `*why` has one line for a person,
 * for as long as this is not called again.
 */
int gpu_calls_open(struct kernel *kernel, bool cgroup_v1, struct gpu_calls **ret, const char **why);

/* Detaches everything. NULL is fine. */
void gpu_calls_close(struct gpu_calls *calls);

/*
 * Says whose the files with a major number are; MLPROF_GPU_DRM: each minor's is said apart.
 * Numbers that no character device has are passed over.
 */
void gpu_calls_watch(struct gpu_calls *calls, unsigned int major, enum mlprof_gpu_driver driver);
void gpu_calls_watch_drm(struct gpu_calls *calls, unsigned int minor,
			 enum mlprof_gpu_driver driver);

/* Hands over the sums of each caller since its first call. Negative errno if they cannot be read. */
int gpu_calls_read(struct gpu_calls *calls,
		   void (*visit)(void *context, const struct mlprof_gpu_caller *caller,
				 const struct mlprof_gpu_calls *sums),
		   void *context);

/* Forgets the sums of a caller that is gone. */
void gpu_calls_forget(struct gpu_calls *calls, const struct mlprof_gpu_caller *caller);

void gpu_calls_count(const struct gpu_calls *calls, struct gpu_calls_counts *counts);

#endif
