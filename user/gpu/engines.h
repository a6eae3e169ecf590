/* SPDX-License-Identifier: Apache-2.0 */
/* What drivers call their engines and memory, in the few words that mlprof has for all of them. */
#ifndef MLPROF_GPU_ENGINES_H
#define MLPROF_GPU_ENGINES_H

enum gpu_engine {
	GPU_ENGINE_COMPUTE,
	GPU_ENGINE_GRAPHICS,
	GPU_ENGINE_COPY,
	GPU_ENGINE_VIDEO,
	GPU_ENGINE_OTHER,
	GPU_ENGINES,
};

enum gpu_memory {
	GPU_MEMORY_DEVICE, /* on the device */
	GPU_MEMORY_SYSTEM, /* of the machine, where the device can reach it */
	GPU_MEMORY_NONE,   /* neither, such as a view of what another region has too */
};

#define GPU_MEMORIES 2

/* GPU_ENGINE_OTHER for what is not known. */
enum gpu_engine gpu_engine_class(const char *driver, const char *engine);

enum gpu_memory gpu_memory_class(const char *region);

/* "compute"; "device". */
const char *gpu_engine_name(enum gpu_engine engine);
const char *gpu_memory_name(enum gpu_memory memory);

#endif
