/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a DRM driver tells of one open file in /proc/PID/fdinfo/N: time on engines and memory in
 * regions, under the driver's own names (Documentation/gpu/drm-usage-stats.rst of the kernel).
 */
#ifndef MLPROF_GPU_FDINFO_H
#define MLPROF_GPU_FDINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu/pci.h"
#include "gpu/span.h"

/* What is more is counted in `skipped`. Drivers have up to ten of either. */
#define FDINFO_ENGINES_MAX 16
#define FDINFO_REGIONS_MAX 16
#define FDINFO_NAME_BYTES  24

/* The longest file seen has some 2 KiB. */
#define FDINFO_BYTES_MAX 16384

enum {
	FDINFO_BUSY = 1 << 0,
	FDINFO_CYCLES = 1 << 1,
	FDINFO_TOTAL_CYCLES = 1 << 2,
	FDINFO_MAX_FREQUENCY = 1 << 3,
	FDINFO_CAPACITY = 1 << 4,
};

/* Engines of one kind. A number is there only if its bit is in `known`. */
struct fdinfo_engine {
	char name[FDINFO_NAME_BYTES];
	uint32_t known;
	uint32_t capacity;     /* how many engines it stands for; 1 where it is not said */
	uint64_t busy_ns;      /* drm-engine: of all of them together */
	uint64_t cycles;       /* drm-cycles: the same in cycles */
	uint64_t total_cycles; /* drm-total-cycles: that passed on one of them meanwhile */
	uint64_t max_frequency_hz;
};

enum {
	FDINFO_TOTAL = 1 << 0,
	FDINFO_SHARED = 1 << 1,
	FDINFO_RESIDENT = 1 << 2,
	FDINFO_PURGEABLE = 1 << 3,
	FDINFO_ACTIVE = 1 << 4,
	FDINFO_MEMORY = 1 << 5,
};

/* Bytes in one region; a number is there only if its bit is in `known`. */
struct fdinfo_region {
	char name[FDINFO_NAME_BYTES];
	uint32_t known;
	uint64_t total, shared, resident, purgeable, active;
	uint64_t memory; /* drm-memory, what drivers said before the others were agreed on */
};

struct fdinfo {
	char driver[32];
	char pci[PCI_ADDRESS_BYTES]; /* "": not on PCI */
	bool has_client;
	uint64_t client; /* the same for all copies of a file; another file of the GPU has another */
	size_t nr_engines, nr_regions;
	struct fdinfo_engine engine[FDINFO_ENGINES_MAX];
	struct fdinfo_region region[FDINFO_REGIONS_MAX];
	uint64_t skipped; /* values not understood, there twice, or that do not fit */
};

/*
 * Reads all of a file. 0; -ENODATA: it is no DRM file, or its driver tells nothing; -EINVAL: it
 * says twice whose it is, or in a way that cannot be read, and so nothing in it can be used.
 */
int fdinfo_parse(struct span text, struct fdinfo *info);

#endif
