// SPDX-License-Identifier: Apache-2.0
/* Names of engines and regions, by driver. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "gpu/engines.h"

/* A name that ends in '*' stands for all that begin so. */
static const struct {
	const char *driver, *engine;
	enum gpu_engine is;
} engines[] = {
	{"amdgpu", "gfx", GPU_ENGINE_GRAPHICS},
	{"amdgpu", "compute", GPU_ENGINE_COMPUTE},
	{"amdgpu", "dma", GPU_ENGINE_COPY},
	{"amdgpu", "dec*", GPU_ENGINE_VIDEO},
	{"amdgpu", "enc*", GPU_ENGINE_VIDEO},
	{"amdgpu", "jpeg*", GPU_ENGINE_VIDEO},
	{"amdgpu", "vpe", GPU_ENGINE_VIDEO},
	{"i915", "render", GPU_ENGINE_GRAPHICS},
	{"i915", "compute", GPU_ENGINE_COMPUTE},
	{"i915", "copy", GPU_ENGINE_COPY},
	{"i915", "video*", GPU_ENGINE_VIDEO},
	{"xe", "rcs", GPU_ENGINE_GRAPHICS},
	{"xe", "ccs", GPU_ENGINE_COMPUTE},
	{"xe", "bcs", GPU_ENGINE_COPY},
	{"xe", "vcs", GPU_ENGINE_VIDEO},
	{"xe", "vecs", GPU_ENGINE_VIDEO},
	{"msm", "gpu", GPU_ENGINE_GRAPHICS},
	{"panfrost", "fragment", GPU_ENGINE_GRAPHICS},
	{"panfrost", "vertex-tiler", GPU_ENGINE_GRAPHICS},
	{"panthor", "panthor", GPU_ENGINE_GRAPHICS},
	{"lima", "gp", GPU_ENGINE_GRAPHICS},
	{"lima", "pp", GPU_ENGINE_GRAPHICS},
	{"v3d", "bin", GPU_ENGINE_GRAPHICS},
	{"v3d", "render", GPU_ENGINE_GRAPHICS},
	{"v3d", "csd", GPU_ENGINE_COMPUTE},
	{"v3d", "tfu", GPU_ENGINE_COPY},
};

static const struct {
	const char *region;
	enum gpu_memory is;
} regions[] = {
	/* i915 numbers its regions: local0 is the card's. */
	{"vram*", GPU_MEMORY_DEVICE},	      {"local*", GPU_MEMORY_DEVICE},
	{"stolen-local*", GPU_MEMORY_DEVICE}, {"gtt", GPU_MEMORY_SYSTEM},
	{"cpu", GPU_MEMORY_SYSTEM},	      {"system*", GPU_MEMORY_SYSTEM},
	{"stolen*", GPU_MEMORY_SYSTEM},	      {"memory", GPU_MEMORY_SYSTEM},
};

static bool is_like(const char *name, const char *pattern)
{
	size_t bytes = strlen(pattern);

	if (bytes && pattern[bytes - 1] == '*')
		return !strncmp(name, pattern, bytes - 1);
	return !strcmp(name, pattern);
}

enum gpu_engine gpu_engine_class(const char *driver, const char *engine)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (!strcmp(engines[i].driver, driver) && is_like(engine, engines[i].engine))
			return engines[i].is;
	return GPU_ENGINE_OTHER;
}

enum gpu_memory gpu_memory_class(const char *region)
{
	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++)
		if (is_like(region, regions[i].region))
			return regions[i].is;
	return GPU_MEMORY_NONE;
}

const char *gpu_engine_name(enum gpu_engine engine)
{
	static const char *const names[GPU_ENGINES] = {"compute", "graphics", "copy", "video",
						       "other"};

	return names[engine];
}

const char *gpu_memory_name(enum gpu_memory memory)
{
	static const char *const names[] = {"device", "system", "none"};

	return names[memory];
}
