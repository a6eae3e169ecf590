/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has files of GPUs open, found by looking at all open files in /proc. It takes as many steps
 * as its bounds ask for, and goes on where the last one stopped.
 */
#ifndef MLPROF_GPU_HOLDERS_H
#define MLPROF_GPU_HOLDERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gpu/devices.h"

struct gpu_holder {
	pid_t tgid;
	uint32_t fd;
	const struct gpu_node *node;
};

typedef void gpu_holder_visit(void *context, const struct gpu_holder *holder);

/* What one step may cost; 0: no such bound. */
struct gpu_walk_bounds {
	uint64_t most_files;
	uint64_t most_ns;
};

struct gpu_walk_counts {
	uint64_t files;	     /* looked at */
	uint64_t found;	     /* of GPUs */
	uint64_t unreadable; /* processes whose files this one may not see */
};

struct gpu_walk;

/* Walks /proc below the directory `root`, a descriptor that must stay open. 0 or -ENOMEM. */
int gpu_walk_new(int root, struct gpu_walk **walk);
void gpu_walk_free(struct gpu_walk *walk);

/*
 * One step. Calls `visit` for each file in `devices` that was found, and adds to `counts`. 1: that
 * was the last of a whole round, the next step begins another; 0: not yet; -errno: no /proc. Files
 * opened or closed during a round may or may not be seen.
 */
int gpu_walk_step(struct gpu_walk *walk, const struct gpu_devices *devices,
		  const struct gpu_walk_bounds *bounds, gpu_holder_visit *visit, void *context,
		  struct gpu_walk_counts *counts);

#endif
