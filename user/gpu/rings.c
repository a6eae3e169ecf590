// SPDX-License-Identifier: Apache-2.0
/* A table of drivers and the beginnings of their rings' names. */
#include <string.h>

#include "gpu/rings.h"

/* Drivers as their devices have them, with one ring for each scheduler. */
static const char in_order[] = "amdgpu,v3d,panfrost,lima,etnaviv,etnaviv-gpu,adreno,msm";

static const struct {
	const char *driver; /* NULL: any */
	const char *ring;   /* the name begins so */
	enum gpu_engine engine;
} rings[] = {
	{"amdgpu", "gfx", GPU_ENGINE_GRAPHICS},
	{"amdgpu", "comp", GPU_ENGINE_COMPUTE},
	{"amdgpu", "sdma", GPU_ENGINE_COPY},
	{"amdgpu", "vcn", GPU_ENGINE_VIDEO},
	{"amdgpu", "uvd", GPU_ENGINE_VIDEO},
	{"amdgpu", "vce", GPU_ENGINE_VIDEO},
	{"amdgpu", "jpeg", GPU_ENGINE_VIDEO},
	{"v3d", "v3d_csd", GPU_ENGINE_COMPUTE},
	{"v3d", "v3d_bin", GPU_ENGINE_GRAPHICS},
	{"v3d", "v3d_render", GPU_ENGINE_GRAPHICS},
	{"panfrost", "pan_js", GPU_ENGINE_GRAPHICS},
	{"lima", "gp", GPU_ENGINE_GRAPHICS},
	{"lima", "pp", GPU_ENGINE_GRAPHICS},
	{NULL, "compute", GPU_ENGINE_COMPUTE},
	{NULL, "copy", GPU_ENGINE_COPY},
	{NULL, "render", GPU_ENGINE_GRAPHICS},
};

static bool begins_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

enum gpu_engine gpu_ring_engine(const char *driver, const char *ring)
{
	for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
		if ((!rings[i].driver || !strcmp(rings[i].driver, driver)) &&
		    begins_with(ring, rings[i].ring))
			return rings[i].engine;
	return GPU_ENGINE_OTHER;
}

static bool list_has(const char *list, const char *word)
{
	size_t bytes = strlen(word);

	for (const char *at = list; bytes && *at; at += strcspn(at, ",")) {
		at += *at == ',';
		if (!strncmp(at, word, bytes) && (at[bytes] == ',' || !at[bytes]))
			return true;
	}
	return false;
}

bool gpu_is_in_order(const char *driver, const char *more)
{
	return list_has(in_order, driver) || list_has(more, driver);
}
