/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GPUs of this machine, and the numbers of the files by which they are used, as /proc and /sys
 * have them. A table never changes: drivers load and unload, GPUs come and go, and the next reading
 * gives another table.
 */
#ifndef MLPROF_GPU_DEVICES_H
#define MLPROF_GPU_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* What is more is counted in `skipped`. */
#define GPU_DEVICES_MAX 256
#define GPU_NODES_MAX	16384
#define GPU_MAJORS_MAX	32
#define GPU_KFD_IDS_MAX 8

enum gpu_vendor {
	GPU_VENDOR_OTHER,
	GPU_VENDOR_NVIDIA,
	GPU_VENDOR_AMD,
	GPU_VENDOR_INTEL,
};

/* Time slicing and MPS leave no trace in these files: to them they look exclusive. */
enum gpu_sharing {
	GPU_SHARING_UNKNOWN, /* it has virtual functions, which others may have been given */
	GPU_SHARING_EXCLUSIVE,
	GPU_SHARING_MIG,
	GPU_SHARING_PASSTHROUGH, /* a virtual machine has it, or may take it */
};

/* What a device file is for. */
enum gpu_file {
	GPU_FILE_NVIDIA,	 /* /dev/nvidia0 */
	GPU_FILE_NVIDIA_CONTROL, /* /dev/nvidiactl, of all GPUs */
	GPU_FILE_NVIDIA_UVM,	 /* /dev/nvidia-uvm and its tools, of all GPUs */
	GPU_FILE_NVIDIA_MIG, /* /dev/nvidia-caps/nvidia-capN: who may open it has the instance */
	GPU_FILE_DRM,	     /* /dev/dri/card0, renderD128 */
	GPU_FILE_ACCEL,	     /* /dev/accel/accel0 */
	GPU_FILE_KFD,	     /* /dev/kfd, of all AMD GPUs */
	GPU_FILE_VFIO,	     /* /dev/vfio/N */
};

/* The texts belong to the table; one that is not known is "". */
struct gpu_device {
	unsigned int index; /* its place in this table, which is in order of PCI addresses */
	enum gpu_vendor vendor;
	enum gpu_sharing sharing;
	bool computes;		/* false: it can only show pictures, as a server's console */
	const char *id;		/* the label `gpu`: the UUID, else the PCI address, else the name */
	const char *uuid;	/* "GPU-..." */
	const char *pci;	/* "0000:03:00.0" */
	const char *sysfs_name; /* "0000:03:00.0", "fde60000.gpu" */
	const char *driver;	/* "nvidia", "amdgpu", "vfio-pci" */
	const char *driver_version; /* most drivers of the kernel itself have none of their own */
	const char *model;	    /* a name, else PCI numbers "1002:744c" */
	bool memory_known;
	uint64_t memory_bytes; /* of its own; what it borrows from the machine is not in it */
	uint32_t kfd_ids[GPU_KFD_IDS_MAX]; /* what /sys/class/kfd calls it; partitions have their
					      own */
	size_t nr_kfd_ids;
	size_t nr_instances; /* MIG: GPU instances */
};

/* A device file. */
struct gpu_node {
	uint32_t major, minor;
	enum gpu_file file;
	const struct gpu_device *device; /* NULL: of all devices of its kind */
	int gpu_instance;		 /* GPU_FILE_NVIDIA_MIG; else -1 */
	int compute_instance;		 /* -1: the whole GPU instance */
};

struct gpu_major {
	uint32_t major;
	enum gpu_file file; /* one of those it is for */
};

/* What was learned of a place once: a driver that is loaded again does not know it at first. */
struct gpu_known {
	const char *pci, *model, *uuid;
};

struct gpu_devices {
	struct gpu_device *device[GPU_DEVICES_MAX]; /* by index */
	size_t nr;
	struct gpu_node *nodes; /* by major and minor */
	size_t nr_nodes;
	/* What files of GPUs have as their major, so that others need not be looked at. */
	struct gpu_major major[GPU_MAJORS_MAX];
	size_t nr_majors;
	struct gpu_known *known;
	size_t nr_known;
	uint64_t skipped; /* devices and files that do not fit or were not understood */
	struct arena arena;
};

/*
 * Reads the machine below `root`, which is "/" or has a tree like it. `previous` is the table
 * before or NULL: a GPU whose UUID its driver does not know (until its first use after loading)
 * keeps the one it had. 0, with a table that may be empty and is the caller's; -errno if `root`
 * cannot be opened; -ENOMEM.
 */
int gpu_devices_read(const char *root, const struct gpu_devices *previous,
		     struct gpu_devices **devices);

/* NULL is allowed. */
void gpu_devices_free(struct gpu_devices *devices);

/* What the file with this number is; NULL if it is no GPU's, or not in the table. */
const struct gpu_node *gpu_devices_node(const struct gpu_devices *devices, uint32_t major,
					uint32_t minor);

/* By UUID, PCI address or sysfs name; NULL. */
const struct gpu_device *gpu_devices_find(const struct gpu_devices *devices, const char *id);

/* By what /sys/class/kfd calls it; NULL. */
const struct gpu_device *gpu_devices_find_kfd(const struct gpu_devices *devices, uint32_t kfd_id);

/* Whether it is one device in two tables: the same UUID, and where one has none the same place. */
bool gpu_device_same(const struct gpu_device *a, const struct gpu_device *b);

/* "nvidia"; "mig". */
const char *gpu_vendor_name(enum gpu_vendor vendor);
const char *gpu_sharing_name(enum gpu_sharing sharing);

#endif
