// SPDX-License-Identifier: Apache-2.0
/* Attaches when a GPU's driver is there, lets go when it is not, and reads at every drain. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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
	rm_events_free(gpu->events);
	rm_objects_free(gpu->objects);
	gpu_devices_free(gpu->devices);
}

static struct gpu_jobs_counts jobs_counts(const struct agent_gpu *gpu)
{
	struct gpu_jobs_counts counts = {0};

	if (gpu->jobs)
		gpu_jobs_count(gpu->jobs, &counts);
	counts.lost += gpu->jobs_before.lost;
	counts.unknown += gpu->jobs_before.unknown;
	return counts;
}

static struct gpu_calls_counts calls_counts(const struct agent_gpu *gpu)
{
	struct gpu_calls_counts counts = {0};

	if (gpu->calls)
		gpu_calls_count(gpu->calls, &counts);
	counts.lost += gpu->calls_before.lost;
	counts.copies_lost += gpu->calls_before.copies_lost;
	counts.copies_unreadable += gpu->calls_before.copies_unreadable;
	return counts;
}

void agent_gpu_count(const struct agent_gpu *gpu, struct usage_losses *losses)
{
	struct gpu_jobs_counts jobs = jobs_counts(gpu);
	struct gpu_calls_counts calls = calls_counts(gpu);
	struct rm_events_counts events = {0};
	struct rm_objects_counts objects = {0};

	if (gpu->events)
		rm_events_count(gpu->events, &events);
	if (gpu->objects)
		rm_objects_count(gpu->objects, &objects);
	losses->gpu_jobs_full = jobs.lost;
	losses->gpu_jobs_unknown = jobs.unknown;
	losses->gpu_calls_full = calls.lost;
	losses->gpu_ring_full = calls.copies_lost;
	losses->gpu_unreadable = calls.copies_unreadable + events.unreadable;
	losses->gpu_objects_full = events.lost + objects.no_room;
	losses->gpu_objects_unknown = objects.unknown + objects.clashes;
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

/* What NVIDIA's driver holds is known from what it was asked for since we are here. */
static int open_calls(struct agent_gpu *gpu, const char **why)
{
	*why = "memory is out";
	if (!gpu->events)
		gpu->events = rm_events_new();
	if (!gpu->objects)
		gpu->objects = rm_objects_new();
	if (!gpu->events || !gpu->objects)
		return -ENOMEM;
	return gpu_calls_open(gpu->options.kernel, gpu->options.cgroup_v1, &gpu->calls, why);
}

/* What was counted stays counted. */
static void close_calls(struct agent_gpu *gpu)
{
	if (gpu->calls)
		gpu->calls_before = calls_counts(gpu);
	gpu_calls_close(gpu->calls);
	gpu->calls = NULL;
}

static void close_jobs(struct agent_gpu *gpu)
{
	if (gpu->jobs)
		gpu->jobs_before = jobs_counts(gpu);
	gpu_jobs_close(gpu->jobs);
	gpu->jobs = NULL;
}

static unsigned int nvidia_version(const struct gpu_devices *devices)
{
	for (size_t i = 0; i < devices->nr; i++)
		if (devices->device[i]->vendor == GPU_VENDOR_NVIDIA)
			return (unsigned int)strtoul(devices->device[i]->driver_version, NULL, 10);
	return 0;
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
		err = open_calls(gpu, &why);
		if (err && !gpu->calls_failed)
			log_warn("going on without the calls to drivers of GPUs: %s", why);
		gpu->calls_failed = err;
	} else if (!now->nr_majors) {
		close_calls(gpu);
	}
	gpu->nvidia_version = nvidia_version(now);
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
		close_jobs(gpu);
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

void agent_gpu_call(struct agent_gpu *gpu, const struct mlprof_record_gpu_call *record)
{
	rm_events_call(gpu->events, record, gpu->nvidia_version);
}

void agent_gpu_closed(struct agent_gpu *gpu, const struct mlprof_record_gpu_closed *record)
{
	rm_events_closed(gpu->events, record);
}

/* As nvidia-smi and the kubelet write it. */
static void write_uuid(const uint8_t *uuid, char *to, size_t bytes)
{
	size_t at = (size_t)snprintf(to, bytes, "GPU");

	for (int i = 0; i < RM_UUID_BYTES && at < bytes; i++)
		at += (size_t)snprintf(to + at, bytes - at, "%s%02x",
				       i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
				       uuid[i]);
}

/* The only GPU of NVIDIA's; "" if there are several. */
static const char *only_gpu(const struct gpu_devices *devices)
{
	const char *id = "";
	size_t nr = 0;

	for (size_t i = 0; i < devices->nr; i++) {
		if (devices->device[i]->vendor != GPU_VENDOR_NVIDIA)
			continue;
		id = devices->device[i]->id;
		nr++;
	}
	return nr == 1 ? id : "";
}

static void take_holding(void *context, const struct rm_holding *holding)
{
	struct agent_gpu *gpu = context;
	char label[64];

	if (holding->gpu)
		write_uuid(holding->gpu, label, sizeof(label));
	else
		snprintf(label, sizeof(label), "%s", only_gpu(gpu->devices));
	if (!gpu_holding_usage_add(usage_gpu_holdings(gpu->options.usage), holding, label))
		rm_objects_forget(gpu->objects, holding->cgroup);
}

/* All rings have been read since, so that nothing from before `until_ns` is still to come. */
static void read_holdings(struct agent_gpu *gpu, uint64_t until_ns)
{
	rm_events_apply(gpu->events, until_ns, gpu->objects);
	gpu_holding_usage_begin(usage_gpu_holdings(gpu->options.usage));
	rm_objects_read(gpu->objects, until_ns, take_holding, gpu);
}

void agent_gpu_sample(struct agent_gpu *gpu, uint64_t begun_ns)
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
	if (gpu->objects)
		read_holdings(gpu, begun_ns);
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
