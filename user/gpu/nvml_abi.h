/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we use of the binary interface of NVIDIA's management library (NVML): numbers, layouts on
 * x86-64 and arm64, and the types of functions. Our own declarations: its header is not needed.
 */
#ifndef MLPROF_GPU_NVML_ABI_H
#define MLPROF_GPU_NVML_ABI_H

#include <stddef.h>
#include <stdint.h>

/* What every function returns. */
enum nvml_result {
	NVML_OK = 0,
	NVML_UNINITIALIZED = 1,
	NVML_INVALID_ARGUMENT = 2,
	NVML_NOT_SUPPORTED = 3,
	NVML_NO_PERMISSION = 4,
	NVML_NOT_FOUND = 6,
	NVML_INSUFFICIENT_SIZE = 7,
	NVML_DRIVER_NOT_LOADED = 9,
	NVML_FUNCTION_NOT_FOUND = 13,
	NVML_GPU_IS_LOST = 15,
	NVML_RESET_REQUIRED = 16,
	NVML_VERSION_MISMATCH = 18, /* of the library and the driver */
	NVML_NO_DATA = 21,
	NVML_GPU_NOT_FOUND = 28,
	NVML_UNKNOWN = 999
};

#define NVML_MEMORY_UNKNOWN UINT64_MAX /* in place of bytes */
#define NVML_INSTANCE_NONE  UINT32_MAX /* in place of the number of a GPU or compute instance */

struct nvml_utilization {
	uint32_t gpu, memory; /* percent */
};

struct nvml_memory_v1 {
	uint64_t total, free, used; /* bytes; `used` has what the driver reserves in it */
};

struct nvml_memory_v2 {
	uint32_t version; /* NVML_MEMORY_V2, set by the caller */
	uint64_t total, reserved, free, used;
};

#define NVML_MEMORY_V2 (sizeof(struct nvml_memory_v2) | 2u << 24)

/* Older versions end earlier and begin alike. */
struct nvml_pci {
	char bus_id_legacy[16];
	uint32_t domain, bus, device, ids, subsystem_ids;
	char bus_id[32];
};

/* A process in a list. Version 1 ends after `used`; drivers 535.43 to 535.86 add 8 bytes. */
struct nvml_process {
	uint32_t pid;
	uint64_t used; /* bytes or NVML_MEMORY_UNKNOWN */
	uint32_t gpu_instance, compute_instance;
};

#define NVML_PROCESS_V1_BYTES  16
#define NVML_PROCESS_V2_BYTES  24
#define NVML_PROCESS_MAX_BYTES 32

struct nvml_process_sample {
	uint32_t pid;
	uint64_t us; /* when the last sample that the process had was taken */
	uint32_t sm, memory, encoder, decoder; /* percent */
};

struct nvml_accounting_v2 {
	uint32_t pid; /* set by the caller */
	uint32_t running;
	uint32_t gpu_percent, memory_percent; /* of the life of the process */
	uint64_t memory_most;
	uint32_t samples;	      /* that the device had since the process began */
	uint64_t gpu_sum, memory_sum; /* over its own samples, 10000 a sample at most */
	uint64_t run_ms, started_us;
};

_Static_assert(sizeof(struct nvml_utilization) == 8, "layout of NVML");
_Static_assert(sizeof(struct nvml_memory_v1) == 24, "layout of NVML");
_Static_assert(sizeof(struct nvml_memory_v2) == 40, "layout of NVML");
_Static_assert(sizeof(struct nvml_pci) == 68, "layout of NVML");
_Static_assert(sizeof(struct nvml_process) == NVML_PROCESS_V2_BYTES, "layout of NVML");
_Static_assert(offsetof(struct nvml_process, used) == 8, "layout of NVML");
_Static_assert(offsetof(struct nvml_process, gpu_instance) == 16, "layout of NVML");
_Static_assert(sizeof(struct nvml_process_sample) == 32, "layout of NVML");
_Static_assert(offsetof(struct nvml_process_sample, sm) == 16, "layout of NVML");
_Static_assert(sizeof(struct nvml_accounting_v2) == 64, "layout of NVML");
_Static_assert(offsetof(struct nvml_accounting_v2, gpu_sum) == 32, "layout of NVML");
_Static_assert(offsetof(struct nvml_accounting_v2, started_us) == 56, "layout of NVML");

#define NVML_VERSION_BYTES 80
#define NVML_UUID_BYTES	   96
#define NVML_NAME_BYTES	   96

typedef struct nvml_device_handle *nvml_device;

/* Each returns an enum nvml_result, which may be one that is not named above. */
typedef int (*nvml_plain_fn)(void);
typedef int (*nvml_version_fn)(char *text, uint32_t bytes);
typedef int (*nvml_count_fn)(uint32_t *nr);
typedef int (*nvml_handle_fn)(uint32_t index, nvml_device *device);
typedef int (*nvml_text_fn)(nvml_device device, char *text, uint32_t bytes);
typedef int (*nvml_number_fn)(nvml_device device, uint32_t *number);
typedef int (*nvml_two_fn)(nvml_device device, uint32_t *current, uint32_t *pending);
typedef int (*nvml_struct_fn)(nvml_device device, void *filled);
/* `nr` comes with the room there is and leaves with what there would be. */
typedef int (*nvml_processes_fn)(nvml_device device, uint32_t *nr, void *processes);
typedef int (*nvml_samples_fn)(nvml_device device, struct nvml_process_sample *samples,
			       uint32_t *nr, uint64_t seen_us);
typedef int (*nvml_pids_fn)(nvml_device device, uint32_t *nr, uint32_t *pids);

#endif
