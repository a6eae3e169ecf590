/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device memory as the kernel's dmem controller counts it, for each cgroup and with all below it.
 * From Linux 6.14, and only where the driver of the device takes part.
 */
#ifndef MLPROF_GPU_DMEM_H
#define MLPROF_GPU_DMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu/span.h"

#define DMEM_REGIONS_MAX 256

/* A line "drm/0000:03:00.0/vram0 BYTES". */
struct dmem_region {
	char device[48]; /* "0000:03:00.0": a gpu_device's `sysfs_name` */
	char name[24];	 /* "vram0" */
	uint64_t bytes;
};

struct dmem {
	size_t nr;
	struct dmem_region region[DMEM_REGIONS_MAX];
	uint64_t skipped; /* lines that do not fit, were not understood, or are there twice */
};

/* Of a file's text. A limit of "max" is no region. */
void dmem_parse(struct span text, struct dmem *dmem);

/*
 * dmem.current of a cgroup, by its directory. 0; -ENOENT where the controller is not on; another
 * -errno. What a process took is counted in the cgroup it was in then.
 */
int dmem_read_current(int cgroup, struct dmem *dmem);

/* dmem.capacity of the machine below `root`, as above. */
int dmem_read_capacity(int root, struct dmem *dmem);

/* All regions of a device together; false if it has none. */
bool dmem_device_bytes(const struct dmem *dmem, const char *device, uint64_t *bytes);

#endif
