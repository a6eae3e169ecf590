/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that NVIDIA's driver writes below /proc/driver, and /proc/devices. */
#ifndef MLPROF_GPU_NVIDIA_PROC_H
#define MLPROF_GPU_NVIDIA_PROC_H

#include "gpu/pci.h"
#include "gpu/span.h"

/* "GPU-" and 36 characters, with the NUL. */
#define NVIDIA_UUID_BYTES 41

/* gpus/ADDRESS/information. What is not there, or not known to the driver yet, is "". */
struct nvidia_information {
	char model[96];
	char uuid[NVIDIA_UUID_BYTES];
	char pci[PCI_ADDRESS_BYTES];
	bool has_minor; /* of /dev/nvidiaN */
	uint32_t minor;
};

void nvidia_read_information(struct span text, struct nvidia_information *information);

/* The driver's version out of /proc/driver/nvidia/version: "570.86.15". False, and "", if none. */
bool nvidia_read_version(struct span text, char *version, size_t size);

/* The minor out of a file of /proc/driver/nvidia/capabilities: "DeviceFileMinor: 12". */
bool nvidia_read_capability(struct span text, uint32_t *minor);

/* The minor of `name`, such as "gpu0/gi1/ci0/access", out of nvidia-caps/mig-minors. */
bool nvidia_find_minor(struct span text, const char *name, uint32_t *minor);

/* The major of a character device out of /proc/devices. */
bool devices_find_major(struct span text, const char *name, uint32_t *major);

#endif
