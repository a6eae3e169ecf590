/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVIDIA's management library, loaded while the program runs if it is there. What this version of
 * it does not have is NULL and is told.
 */
#ifndef MLPROF_GPU_NVML_LIBRARY_H
#define MLPROF_GPU_NVML_LIBRARY_H

#include "gpu/nvml_abi.h"

struct nvml_calls {
	nvml_plain_fn init, shutdown;
	nvml_version_fn driver_version, library_version; /* may be NULL, as all from here on */
	nvml_count_fn count;				 /* never NULL */
	nvml_handle_fn handle;				 /* never NULL */
	nvml_text_fn uuid, name;
	nvml_number_fn minor, accounting_mode;
	nvml_two_fn mig_mode;
	nvml_struct_fn pci;	    /* struct nvml_pci, `bus_id` not before version 3 */
	nvml_struct_fn memory_v1;   /* struct nvml_memory_v1 */
	nvml_struct_fn memory_v2;   /* struct nvml_memory_v2 */
	nvml_struct_fn utilization; /* struct nvml_utilization */
	nvml_processes_fn compute, graphics, mps;
	nvml_samples_fn samples;
	nvml_pids_fn accounting_pids;
	nvml_struct_fn accounting; /* struct nvml_accounting_v2 */
};

#define NVML_PATH_BYTES	 256
#define NVML_LACKS_BYTES 400

struct nvml_library {
	void *opened; /* dlopen() */
	char path[NVML_PATH_BYTES];
	char lacks[NVML_LACKS_BYTES]; /* names of functions, joined by blanks */
	struct nvml_calls call;
};

/*
 * Loads `path` if it is not NULL and can be, else the first of the places where it usually is. 0;
 * -ENOENT if there is none; -ENOSYS if it has not even what every version has. `why` then says what
 * to do about it.
 */
int nvml_library_open(struct nvml_library *library, const char *path, char *why, size_t bytes);

/* Ends what nvml_library_open() began. nvmlShutdown() is the caller's business. */
void nvml_library_close(struct nvml_library *library);

/* What a result means, for people. */
const char *nvml_result_text(int result);

#endif
