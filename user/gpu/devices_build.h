/* SPDX-License-Identifier: Apache-2.0 */
/* How a table of devices is filled. For devices*.c only. */
#ifndef MLPROF_GPU_DEVICES_BUILD_H
#define MLPROF_GPU_DEVICES_BUILD_H

#include "gpu/devices.h"
#include "gpu/span.h"
#include "gpu/tree.h"

struct devices_build {
	struct gpu_devices *table;
	const struct gpu_devices *previous;
	int root;
	size_t nodes_capacity;
	struct buf text;   /* of the file that is being read */
	struct buf minors; /* nvidia-caps/mig-minors */
	bool has_caps_major;
	uint32_t caps_major;
};

/* All return 0 or -ENOMEM; what is missing or odd is left out. */
int devices_add_nvidia(struct devices_build *build);
int devices_add_drm(struct devices_build *build);
int devices_add_kfd(struct devices_build *build);
int devices_add_passthrough(struct devices_build *build);

/*
 * The device of that name, made if there is none: `name` is its PCI address, else its name in
 * sysfs. `device` is NULL if there is no room, which is counted. 0 or -ENOMEM.
 */
int devices_get(struct devices_build *build, const char *name, struct gpu_device **device);

/* A text of the table; "" for "". NULL when memory is out. */
const char *devices_text(struct devices_build *build, const char *text);

int devices_add_node(struct devices_build *build, const struct gpu_node *node);

/* A file below the root, as a span that is good until the next call. */
bool devices_read(struct devices_build *build, int dir, const char *path, struct span *text);

#endif
