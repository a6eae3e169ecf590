// SPDX-License-Identifier: Apache-2.0
/* The files of kfd, which has one for each number and a directory for each process and queue. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gpu/kfd.h"
#include "gpu/tree.h"

#define PROCESS_FILES_MAX 1024

static bool read_u32(struct span span, uint32_t *number)
{
	uint64_t value;

	if (!span_number(span, &value) || value > UINT32_MAX)
		return false;
	*number = (uint32_t)value;
	return true;
}

bool kfd_read_node(struct span text, struct kfd_node *node)
{
	bool located = false, good = true;
	struct span key, value;

	*node = (struct kfd_node){0};
	while (good && span_line(&text, ' ', &key, &value)) {
		if (span_is(key, "location_id"))
			located = good = read_u32(value, &node->location);
		else if (span_is(key, "domain"))
			good = read_u32(value, &node->domain);
		else if (span_is(key, "drm_render_minor"))
			good = read_u32(value, &node->render_minor);
	}
	return located && good;
}

/* One process while its directory is read. */
struct reading {
	struct kfd_process process;
	bool occupancy;
	kfd_visit *visit;
	void *context;
};

static struct kfd_gpu *get_gpu(struct kfd_process *process, uint32_t gpu_id)
{
	for (uint32_t i = 0; i < process->nr; i++)
		if (process->gpu[i].gpu_id == gpu_id)
			return &process->gpu[i];
	if (process->nr == KFD_GPUS_MAX)
		return NULL;
	process->gpu[process->nr] = (struct kfd_gpu){.gpu_id = gpu_id};
	return &process->gpu[process->nr++];
}

/* A number of the GPU that is in units of `unit`; what does not fit is not known. */
static void take_number(struct kfd_process *process, uint32_t gpu_id, int dir, const char *path,
			uint32_t bit, uint64_t unit, size_t field)
{
	struct kfd_gpu *gpu = get_gpu(process, gpu_id);
	uint64_t value;

	if (!gpu || !tree_number(dir, path, &value) || value > UINT64_MAX / unit) {
		process->skipped++;
		return;
	}
	value *= unit;
	memcpy((char *)gpu + field, &value, sizeof(value));
	gpu->known |= bit;
}

static void take_statistics(const struct reading *reading, struct kfd_process *process,
			    uint32_t gpu_id, int dir, const char *name)
{
	char path[TREE_NAME_BYTES + 16];

	snprintf(path, sizeof(path), "%s/evicted_ms", name);
	if (!faccessat(dir, path, F_OK, 0))
		take_number(process, gpu_id, dir, path, KFD_EVICTED, 1000000,
			    offsetof(struct kfd_gpu, evicted_ns));
	/* Only some GPUs can tell; reading it asks the GPU. */
	snprintf(path, sizeof(path), "%s/cu_occupancy", name);
	if (reading->occupancy && !faccessat(dir, path, F_OK, 0))
		take_number(process, gpu_id, dir, path, KFD_OCCUPANCY, 1,
			    offsetof(struct kfd_gpu, compute_units));
}

static void count_queue(struct kfd_gpu *gpu, uint64_t type, uint64_t bytes)
{
	/* enum kfd_queue_type of the kernel. */
	if (type == 0)
		gpu->compute_queues++;
	else if (type == 1 || type == 4 || type == 5)
		gpu->copy_queues++;
	else
		gpu->other_queues++;
	if (bytes <= UINT64_MAX - gpu->queue_bytes)
		gpu->queue_bytes += bytes;
}

static int visit_queue(void *context, int dir, const char *name)
{
	struct kfd_process *process = context;
	int queue = tree_open(dir, name);
	struct kfd_gpu *gpu = NULL;
	uint64_t id, type, bytes = 0;

	/* It may be closed meanwhile. */
	if (queue < 0)
		return 0;
	if (tree_number(queue, "gpuid", &id) && id <= UINT32_MAX &&
	    tree_number(queue, "type", &type) && tree_number(queue, "size", &bytes))
		gpu = get_gpu(process, (uint32_t)id);
	if (gpu)
		count_queue(gpu, type, bytes);
	else
		process->skipped++;
	close(queue);
	return 0;
}

static int visit_file(void *context, int dir, const char *name)
{
	struct reading *reading = context;
	struct kfd_process *process = &reading->process;
	uint32_t id;

	if (tree_name_number(name, "vram_", &id))
		take_number(process, id, dir, name, KFD_VRAM, 1,
			    offsetof(struct kfd_gpu, vram_bytes));
	else if (tree_name_number(name, "sdma_", &id))
		take_number(process, id, dir, name, KFD_SDMA, 1000,
			    offsetof(struct kfd_gpu, sdma_ns));
	else if (tree_name_number(name, "stats_", &id))
		take_statistics(reading, process, id, dir, name);
	else if (!strcmp(name, "queues"))
		(void)tree_each(dir, name, KFD_QUEUES_MAX, visit_queue, process, &process->skipped);
	return 0;
}

static int visit_process(void *context, int dir, const char *name)
{
	struct reading *reading = context;
	uint32_t tgid;

	if (!tree_name_number(name, "", &tgid) || !tgid)
		return 0;
	memset(&reading->process, 0, sizeof(reading->process));
	reading->process.tgid = tgid;
	/* It may be gone meanwhile. */
	if (!tree_each(dir, name, PROCESS_FILES_MAX, visit_file, reading,
		       &reading->process.skipped))
		reading->visit(reading->context, &reading->process);
	return 0;
}

int kfd_read_processes(int root, bool occupancy, kfd_visit *visit, void *context, uint64_t *skipped)
{
	struct reading reading = {.occupancy = occupancy, .visit = visit, .context = context};

	return tree_each(root, "sys/class/kfd/kfd/proc", KFD_PROCESSES_MAX, visit_process, &reading,
			 skipped);
}
