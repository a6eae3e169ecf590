// SPDX-License-Identifier: Apache-2.0
/* Attaches when a GPU's driver is there, lets go when it is not, and reads at every drain. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cmd/agent_gpu.h"
#include "gpu/rings.h"

/* A driver is loaded once in a machine's life; whoever unloads one waits for nobody. */
#define LOOK_EVERY_NS 15000000000ull

void agent_gpu_start(struct agent_gpu *gpu, const struct agent_gpu_options *options)
{
	gpu->options = *options;
}

void agent_gpu_stop(struct agent_gpu *gpu)
{
	gpu_jobs_close(gpu->jobs);
	gpu_calls_close(gpu->calls);
	gpu_devices_free(gpu->devices);
}

static enum mlprof_gpu_driver driver_of_drm(const struct gpu_device *device)
{
	static const struct {
		const char *name;
		enum mlprof_gpu_driver driver;
	} known[] = {
		{"amdgpu", MLPROF_GPU_AMDGPU},
		{"i915", MLPROF_GPU_I915},
		{"xe", MLPROF_GPU_XE},
		{"nouveau", MLPROF_GPU_NOUVEAU},
		{"virtio_gpu", MLPROF_GPU_VIRTIO},
		{"virtio-pci", MLPROF_GPU_VIRTIO},
		{"panfrost", MLPROF_GPU_PANFROST},
		{"v3d", MLPROF_GPU_V3D},
		{"adreno", MLPROF_GPU_MSM},
		{"lima", MLPROF_GPU_LIMA},
		{"etnaviv-gpu", MLPROF_GPU_ETNAVIV},
	};

	for (size_t i = 0; device && i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(device->driver, known[i].name))
			return known[i].driver;
	return MLPROF_GPU_DRM_OTHER;
}

/* Who takes the calls to a kind of file. Of those that nobody can be told to have, no one. */
static enum mlprof_gpu_driver driver_of_file(enum gpu_file file)
{
	switch (file) {
	case GPU_FILE_NVIDIA:
	case GPU_FILE_NVIDIA_CONTROL:
		return MLPROF_GPU_NVIDIA;
	case GPU_FILE_NVIDIA_UVM:
		return MLPROF_GPU_NVIDIA_UVM;
	case GPU_FILE_DRM:
		return MLPROF_GPU_DRM;
	case GPU_FILE_ACCEL:
		return MLPROF_GPU_DRM_OTHER;
	case GPU_FILE_KFD:
		return MLPROF_GPU_KFD;
	default:
		return MLPROF_GPU_NONE;
	}
}

/* Numbers are given to other drivers when one goes. */
static void watch_files(struct agent_gpu *gpu, const struct gpu_devices *before)
{
	const struct gpu_devices *now = gpu->devices;

	for (size_t i = 0; before && i < before->nr_majors; i++)
		gpu_calls_watch(gpu->calls, before->major[i].major, MLPROF_GPU_NONE);
	for (size_t i = 0; i < now->nr_nodes; i++)
		if (now->nodes[i].file == GPU_FILE_DRM)
			gpu_calls_watch_drm(gpu->calls, now->nodes[i].minor,
					    driver_of_drm(now->nodes[i].device));
	for (size_t i = 0; i < now->nr_majors; i++)
		gpu_calls_watch(gpu->calls, now->major[i].major,
				driver_of_file(now->major[i].file));
}

static void look_for_devices(struct agent_gpu *gpu)
{
	struct gpu_devices *now, *before = gpu->devices;
	const char *why;
	int err = gpu_devices_read(gpu->options.root, before, &now);

	/* What was known stays. */
	if (err)
		return;
	gpu->devices = now;
	if (now->nr_majors && !gpu->calls) {
		err = gpu_calls_open(gpu->options.kernel, gpu->options.cgroup_v1, &gpu->calls,
				     &why);
		if (err && !gpu->calls_failed)
			log_warn("going on without the calls to drivers of GPUs: %s", why);
		gpu->calls_failed = err;
	} else if (!now->nr_majors) {
		gpu_calls_close(gpu->calls);
		gpu->calls = NULL;
	}
	if (gpu->calls)
		watch_files(gpu, before);
	gpu_devices_free(before);
}

static void look_for_scheduler(struct agent_gpu *gpu)
{
	const char *why;
	int err;

	if (gpu->jobs && !gpu_jobs_wanted()) {
		log_info("no driver uses the kernel's GPU scheduler any more");
		gpu_jobs_close(gpu->jobs);
		gpu->jobs = NULL;
	}
	if (gpu->jobs)
		return;
	err = gpu_jobs_open(gpu->options.cgroup_v1, &gpu->jobs, &why);
	if (!err)
		log_info("watching jobs of the kernel's GPU scheduler");
	else if (err != -ENOENT && !gpu->jobs_failed)
		log_warn("going on without the jobs of GPUs: %s", why);
	gpu->jobs_failed = err && err != -ENOENT;
}

static void take_ring(void *context, const struct mlprof_gpu_ring *ring)
{
	struct agent_gpu *gpu = context;

	gpu_usage_ring(usage_gpu(gpu->options.usage), ring);
}

static void take_jobs(void *context, uint64_t ring, uint64_t cgroup,
		      const struct mlprof_gpu_jobs *jobs)
{
	struct agent_gpu *gpu = context;

	if (!gpu_usage_jobs(usage_gpu(gpu->options.usage), ring, cgroup, jobs))
		gpu_jobs_forget(gpu->jobs, cgroup);
}

static void take_under_way(void *context, uint64_t ring, const struct mlprof_gpu_job *job)
{
	struct agent_gpu *gpu = context;

	gpu_usage_under_way(usage_gpu(gpu->options.usage), ring, job);
}

static void take_calls(void *context, const struct mlprof_gpu_caller *caller,
		       const struct mlprof_gpu_calls *sums)
{
	struct agent_gpu *gpu = context;
	const struct gpu_node *node =
		gpu_devices_node(gpu->devices, caller->device >> 20, caller->device & 0xfffff);
	const char *label = node && node->device ? node->device->id : "";

	if (!gpu_call_usage_add(usage_gpu_calls(gpu->options.usage), caller, sums, label))
		gpu_calls_forget(gpu->calls, caller);
}

void agent_gpu_sample(struct agent_gpu *gpu)
{
	const struct gpu_jobs_sink sink = {gpu, take_ring, take_jobs, take_under_way};
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	if (!gpu->looked_ns || now_ns - gpu->looked_ns >= LOOK_EVERY_NS) {
		gpu->looked_ns = now_ns;
		look_for_devices(gpu);
		look_for_scheduler(gpu);
	}
	if (gpu->jobs) {
		gpu_usage_begin(usage_gpu(gpu->options.usage), now_ns);
		gpu_jobs_read(gpu->jobs, &sink);
	}
	/* What could not be read is read at the next drain. */
	if (gpu->calls)
		gpu_calls_read(gpu->calls, take_calls, gpu);
}

static int fill_device(const struct agent_gpu *gpu, struct snapshot *snap,
		       const struct gpu_device *device, struct gpu_device_row *row)
{
	bool exact = gpu->jobs && gpu_is_in_order(device->driver[0] ? device->driver : device->id,
						  gpu->options.in_order);

	*row = (struct gpu_device_row){
		.gpu = snapshot_strdup(snap, device->id),
		.vendor = gpu_vendor_name(device->vendor),
		.driver = snapshot_strdup(snap, device->driver),
		.driver_version = snapshot_strdup(snap, device->driver_version),
		.model = snapshot_strdup(snap, device->model),
		.sharing = gpu_sharing_name(device->sharing),
		.busy_source = exact ? "gpu_sched" : "none",
		.busy_quality = exact ? "exact" : "unavailable",
		.memory_known = device->memory_known,
		.memory_bytes = device->memory_bytes,
	};
	return row->gpu && row->driver && row->driver_version && row->model ? 0 : -ENOMEM;
}

int agent_gpu_fill(const struct agent_gpu *gpu, struct snapshot *snap)
{
	size_t nr = gpu->devices ? gpu->devices->nr : 0;
	struct gpu_device_row *rows = snapshot_alloc(snap, (nr + 1) * sizeof(*rows));
	int err = rows ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < nr; i++)
		err = fill_device(gpu, snap, gpu->devices->device[i], &rows[i]);
	snap->gpu_devices = rows;
	snap->nr_gpu_devices = err ? 0 : nr;
	return err;
}
