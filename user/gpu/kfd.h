/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What AMD's compute driver, kfd, tells of the processes that use it. How long they compute is not
 * among it: only how much they hold, and how many units are at work at this moment.
 */
#ifndef MLPROF_GPU_KFD_H
#define MLPROF_GPU_KFD_H

#include <stdbool.h>
#include <stdint.h>

#include "gpu/span.h"

/* What is more is counted in `skipped`. Eight GPUs of eight partitions each. */
#define KFD_PROCESSES_MAX 4096
#define KFD_QUEUES_MAX	  4096
#define KFD_GPUS_MAX	  64

/* A device of the topology. */
struct kfd_node {
	uint32_t domain, location; /* of PCI: bus in bits 8 to 15, device and function below */
	uint32_t render_minor;	   /* of /dev/dri/renderD128; 0: none */
};

/* topology/nodes/N/properties; false if it does not say where the device is. */
bool kfd_read_node(struct span text, struct kfd_node *node);

enum {
	KFD_VRAM = 1 << 0,
	KFD_SDMA = 1 << 1,
	KFD_EVICTED = 1 << 2,
	KFD_OCCUPANCY = 1 << 3,
};

/* A process on a GPU. A number is there only if its bit is in `known`. */
struct kfd_gpu {
	uint32_t gpu_id; /* as gpu_devices_find_kfd() takes it */
	uint32_t known;
	uint64_t vram_bytes;
	uint64_t sdma_ns;	 /* copied for so long, counting up */
	uint64_t evicted_ns;	 /* its queues were taken off the GPU for so long, counting up */
	uint64_t compute_units;	 /* at work for it now, at most; a sample */
	uint32_t compute_queues; /* open now */
	uint32_t copy_queues;
	uint32_t other_queues;
	uint64_t queue_bytes; /* of the rings of all of them */
};

struct kfd_process {
	uint32_t tgid; /* as the machine's own first namespace has it */
	uint32_t nr;
	struct kfd_gpu gpu[KFD_GPUS_MAX];
	uint64_t skipped; /* files that do not fit or were not understood */
};

typedef void kfd_visit(void *context, const struct kfd_process *process);

/*
 * Calls `visit` for each process of /sys/class/kfd/kfd/proc below the directory `root`. Asking for
 * the `occupancy` reads registers of the GPU: not more than once a second. `skipped` grows by
 * processes beyond those that fit. 0; -ENOENT if there is no kfd; another -errno.
 */
int kfd_read_processes(int root, bool occupancy, kfd_visit *visit, void *context,
		       uint64_t *skipped);

#endif
