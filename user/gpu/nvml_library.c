// SPDX-License-Identifier: Apache-2.0
/* Where NVIDIA's management library is looked for, and which of its functions are taken. */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "gpu/nvml_library.h"

#define NAME "libnvidia-ml.so.1"

/*
 * Beside where the loader looks: NVIDIA's GPU operator, GKE, and folders of a host's library that
 * are mounted into a container whose own loader does not know them.
 */
static const char *const places[] = {
	NAME,
	"/run/nvidia/driver/usr/lib/x86_64-linux-gnu/" NAME,
	"/run/nvidia/driver/usr/lib64/" NAME,
	"/run/nvidia/driver/usr/lib/aarch64-linux-gnu/" NAME,
	"/home/kubernetes/bin/nvidia/lib64/" NAME,
	"/usr/local/nvidia/lib64/" NAME,
	"/usr/lib/x86_64-linux-gnu/" NAME,
	"/usr/lib/aarch64-linux-gnu/" NAME,
	"/usr/lib64/" NAME,
	"/usr/lib/wsl/lib/" NAME,
};

/* Of the names of a function the first that is there is taken: all take the same arguments. */
struct symbol {
	size_t at;
	bool needed;
	const char *names[3];
};

#define SYMBOL(member, needed, ...)                                                                \
	{                                                                                          \
		offsetof(struct nvml_calls, member), needed,                                       \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

static const struct symbol symbols[] = {
	SYMBOL(init, true, "nvmlInit_v2", "nvmlInit"),
	SYMBOL(shutdown, true, "nvmlShutdown"),
	SYMBOL(driver_version, false, "nvmlSystemGetDriverVersion"),
	SYMBOL(library_version, false, "nvmlSystemGetNVMLVersion"),
	SYMBOL(count, true, "nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"),
	SYMBOL(handle, true, "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"),
	SYMBOL(uuid, false, "nvmlDeviceGetUUID"),
	SYMBOL(name, false, "nvmlDeviceGetName"),
	SYMBOL(minor, false, "nvmlDeviceGetMinorNumber"),
	SYMBOL(accounting_mode, false, "nvmlDeviceGetAccountingMode"),
	SYMBOL(mig_mode, false, "nvmlDeviceGetMigMode"),
	SYMBOL(pci, false, "nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2",
	       "nvmlDeviceGetPciInfo"),
	SYMBOL(memory_v1, false, "nvmlDeviceGetMemoryInfo"),
	SYMBOL(memory_v2, false, "nvmlDeviceGetMemoryInfo_v2"),
	SYMBOL(utilization, false, "nvmlDeviceGetUtilizationRates"),
	SYMBOL(compute, false, "nvmlDeviceGetComputeRunningProcesses_v3",
	       "nvmlDeviceGetComputeRunningProcesses_v2", "nvmlDeviceGetComputeRunningProcesses"),
	SYMBOL(graphics, false, "nvmlDeviceGetGraphicsRunningProcesses_v3",
	       "nvmlDeviceGetGraphicsRunningProcesses_v2", "nvmlDeviceGetGraphicsRunningProcesses"),
	SYMBOL(mps, false, "nvmlDeviceGetMPSComputeRunningProcesses_v3",
	       "nvmlDeviceGetMPSComputeRunningProcesses_v2",
	       "nvmlDeviceGetMPSComputeRunningProcesses"),
	SYMBOL(samples, false, "nvmlDeviceGetProcessUtilization"),
	SYMBOL(accounting_pids, false, "nvmlDeviceGetAccountingPids"),
	SYMBOL(accounting, false, "nvmlDeviceGetAccountingStats_v2"),
};

static void *find(void *opened, const struct symbol *symbol)
{
	void *found = NULL;

	for (size_t i = 0; i < 3 && symbol->names[i] && !found; i++)
		found = dlsym(opened, symbol->names[i]);
	return found;
}

static void add_lack(struct nvml_library *library, const char *name)
{
	size_t have = strlen(library->lacks);

	snprintf(library->lacks + have, sizeof(library->lacks) - have, "%s%s", have ? " " : "",
		 name);
}

/* False if something is missing that every version has. */
static bool take_symbols(struct nvml_library *library)
{
	bool usable = true;

	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *found = find(library->opened, &symbols[i]);

		memcpy((char *)&library->call + symbols[i].at, &found, sizeof(found));
		if (found)
			continue;
		add_lack(library, symbols[i].names[0]);
		usable = usable && !symbols[i].needed;
	}
	return usable;
}

static bool load(struct nvml_library *library, const char *path)
{
	library->opened = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library->opened)
		return false;
	snprintf(library->path, sizeof(library->path), "%s", path);
	return true;
}

int nvml_library_open(struct nvml_library *library, const char *path, char *why, size_t bytes)
{
	bool loaded;

	memset(library, 0, sizeof(*library));
	loaded = path && load(library, path);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !loaded; i++)
		loaded = load(library, places[i]);
	if (!loaded) {
		snprintf(
			why, bytes,
			"%s%s%s cannot be loaded: is NVIDIA's driver installed and, in a container, "
			"its library mounted?",
			path ? path : "", path ? " or another " : "", NAME);
		return -ENOENT;
	}
	if (take_symbols(library))
		return 0;
	snprintf(why, bytes, "%.100s is no NVML that can be used: it lacks %.60s", library->path,
		 library->lacks);
	nvml_library_close(library);
	return -ENOSYS;
}

void nvml_library_close(struct nvml_library *library)
{
	if (library->opened)
		dlclose(library->opened);
	library->opened = NULL;
}

const char *nvml_result_text(int result)
{
	switch (result) {
	case NVML_OK:
		return "no error";
	case NVML_UNINITIALIZED:
		return "the library is not initialised";
	case NVML_INVALID_ARGUMENT:
		return "the library calls an argument invalid";
	case NVML_NOT_SUPPORTED:
		return "not supported by this GPU or in this mode";
	case NVML_NO_PERMISSION:
		return "no permission; it takes root";
	case NVML_NOT_FOUND:
		return "not found";
	case NVML_INSUFFICIENT_SIZE:
		return "the answer keeps growing";
	case NVML_DRIVER_NOT_LOADED:
		return "NVIDIA's kernel driver is not loaded";
	case NVML_FUNCTION_NOT_FOUND:
		return "not known to this version of the driver";
	case NVML_GPU_IS_LOST:
		return "the GPU has fallen off the bus or cannot be reached";
	case NVML_RESET_REQUIRED:
		return "the GPU needs a reset";
	case NVML_VERSION_MISMATCH:
		return "the library is of another version than the kernel driver";
	case NVML_NO_DATA:
		return "no data";
	case NVML_GPU_NOT_FOUND:
		return "no GPU found";
	default:
		return "unknown error";
	}
}
