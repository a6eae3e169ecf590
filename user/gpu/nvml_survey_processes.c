// SPDX-License-Identifier: Apache-2.0
/* Processes on a device: three lists, a process possibly in several, in layouts that differ. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/nvml_survey_internal.h"

#define LIST_MAX   2048
#define LIST_BYTES (LIST_MAX * NVML_PROCESS_MAX_BYTES * (size_t)2)
#define UNTOUCHED  0xa5

/*
 * The same function fills rows of 24 bytes, of 32 with some drivers and of 16 with others, and does
 * not say which. How far it has written over a pattern does. 0 if that is none of these.
 */
static size_t find_stride(const unsigned char *list, uint32_t nr)
{
	size_t end = LIST_BYTES, stride;

	while (end && list[end - 1] == UNTOUCHED)
		end--;
	stride = (end + nr - 1) / nr;
	stride = (stride + 7) / 8 * 8;
	return stride == NVML_PROCESS_V1_BYTES || stride == NVML_PROCESS_V2_BYTES ||
			       stride == NVML_PROCESS_MAX_BYTES
		       ? stride
		       : 0;
}

static struct nvml_message_process *find(struct nvml_survey *survey,
					 const struct nvml_message_process *like)
{
	for (uint32_t i = 0; i < survey->processes; i++)
		if (survey->process[i].pid == like->pid &&
		    survey->process[i].gpu_instance == like->gpu_instance &&
		    survey->process[i].compute_instance == like->compute_instance)
			return &survey->process[i];
	return NULL;
}

/* A process in two lists has the same memory in both. */
static void merge(struct nvml_message_process *have, const struct nvml_message_process *more)
{
	have->kinds |= more->kinds;
	if (have->memory == NVML_MEMORY_UNKNOWN ||
	    (more->memory != NVML_MEMORY_UNKNOWN && more->memory > have->memory))
		have->memory = more->memory;
}

static void add(struct nvml_survey *survey, struct nvml_message_device *told,
		const struct nvml_message_process *process)
{
	struct nvml_message_process *have = find(survey, process);

	if (have)
		merge(have, process);
	else if (!process->pid || survey->processes == NVML_PROCESSES_MAX)
		told->processes_lost++;
	else
		survey->process[survey->processes++] = *process;
}

static void add_row(struct nvml_survey *survey, struct nvml_message_device *told,
		    const unsigned char *row, size_t stride, uint32_t kind)
{
	struct nvml_process read = {.gpu_instance = NVML_INSTANCE_NONE,
				    .compute_instance = NVML_INSTANCE_NONE};
	struct nvml_message_process process = {.kinds = kind};

	memcpy(&read, row, stride < sizeof(read) ? stride : sizeof(read));
	process.pid = read.pid;
	process.memory = read.used;
	process.gpu_instance = read.gpu_instance;
	process.compute_instance = read.compute_instance;
	add(survey, told, &process);
}

static int list(struct nvml_survey *survey, struct surveyed_device *device,
		struct nvml_message_device *told, nvml_processes_fn call, uint32_t kind)
{
	uint32_t nr = LIST_MAX;
	size_t stride;
	int result;

	if (!call)
		return NVML_NOT_SUPPORTED;
	memset(survey->list, UNTOUCHED, LIST_BYTES);
	result = call(device->handle, &nr, survey->list);
	if (result || !nr)
		return result;
	stride = nr <= LIST_MAX ? find_stride(survey->list, nr) : 0;
	if (!stride) {
		told->processes_lost += nr;
		return NVML_UNKNOWN;
	}
	for (uint32_t i = 0; i < nr; i++)
		add_row(survey, told, survey->list + i * stride, stride, kind);
	return NVML_OK;
}

int survey_processes(struct nvml_survey *survey, struct surveyed_device *device,
		     struct nvml_message_device *told)
{
	const struct nvml_calls *call = &survey->library.call;
	int compute, graphics = NVML_OK, mps = NVML_OK;

	survey->processes = 0;
	if (!survey->list)
		survey->list = malloc(LIST_BYTES);
	if (!survey->list)
		return -ENOMEM;
	compute = list(survey, device, told, call->compute, NVML_PROCESS_COMPUTE);
	if (!is_lost(compute))
		graphics = list(survey, device, told, call->graphics, NVML_PROCESS_GRAPHICS);
	if (!is_lost(compute) && !is_lost(graphics))
		mps = list(survey, device, told, call->mps, NVML_PROCESS_MPS);
	if (is_lost(compute) || is_lost(graphics) || is_lost(mps)) {
		survey_why(told, "%s",
			   nvml_result_text(is_lost(compute)	? compute
					    : is_lost(graphics) ? graphics
								: mps));
		return -EIO;
	}
	/* Graphics and MPS are not known to every GPU, and then have no processes. */
	if (!compute)
		told->known |= NVML_KNOWN_PROCESSES;
	else
		survey->processes = 0;
	told->processes = survey->processes;
	return 0;
}
