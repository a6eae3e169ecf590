// SPDX-License-Identifier: Apache-2.0
/*
 * Calls to NVIDIA's driver with any arguments, and closed files, in any order: nobody ever holds
 * less than nothing, and when all files are closed nothing is held.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/rm_events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* More than all memory of a call, times all calls of an input. */
#define ABSURD (UINT64_C(1) << 62)

/* What an input has of each event: few clients, objects and classes, so that they meet. */
struct step {
	uint8_t what, nr, file, bytes, words[12], memory[8];
};

static void add_call(struct rm_events *events, const struct step *step, uint64_t now_ns)
{
	static const uint32_t classes[] = {0x41, 0x80, 0x90f1, 0xa06c, 0xc86f, 0xcbc0, 0x40, 0x3e};
	static const uint8_t numbers[] = {0x2b, 0x29, 0x34, 0x27, 0x4a, 25, 27, 37};
	static const uint32_t sizes[] = {48, 16, 28, 56, 184, 64, 64, 64};
	unsigned int kind = step->nr % 8;
	struct mlprof_record_gpu_call call = {
		.driver = kind > 4 ? MLPROF_GPU_NVIDIA_UVM : MLPROF_GPU_NVIDIA,
		.nr = numbers[kind],
		.mono_ns = now_ns,
		.file = step->file % 4,
		.cgroup = 1 + step->file % 2,
		.arg_bytes = step->bytes % 8 ? sizes[kind] : step->bytes,
		.param_bytes = step->bytes % 5 ? MLPROF_GPU_PARAMS_MAX : step->bytes % 128,
	};

	for (unsigned int i = 0; i < sizeof(step->words); i++)
		call.arg[i * 4] = step->words[i] % 16;
	if (kind == 0 || kind == 3)
		memcpy(call.arg + 12, &classes[step->words[3] % 8], sizeof(classes[0]));
	/* Sizes up to 2^40, so that their sum stays a number. */
	memcpy(call.params + 64, step->memory, 5);
	rm_events_call(events, &call, step->what >> 4 ? 570 : 0);
}

static void check(void *context, const struct rm_holding *holding)
{
	if (holding->device_bytes > ABSURD || holding->pinned_bytes > ABSURD ||
	    holding->contexts > 1u << 20)
		abort();
	*(uint64_t *)context += holding->device_bytes + holding->pinned_bytes + holding->contexts;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rm_events *events = rm_events_new();
	struct rm_objects *objects = rm_objects_new();
	struct rm_objects_counts counts;
	uint64_t now_ns = 1, held = 0;
	struct step step;

	for (; size >= sizeof(step); data += sizeof(step), size -= sizeof(step), now_ns++) {
		struct mlprof_record_gpu_closed closed = {.mono_ns = now_ns};

		memcpy(&step, data, sizeof(step));
		closed.file = step.file % 4;
		if (step.what % 16)
			add_call(events, &step, now_ns);
		else
			rm_events_closed(events, &closed);
	}
	rm_events_apply(events, now_ns, objects);
	rm_objects_read(objects, now_ns, check, &held);
	for (uint64_t file = 0; file < 4; file++)
		rm_objects_closed(objects, file, now_ns);
	held = 0;
	rm_objects_read(objects, now_ns, check, &held);
	rm_objects_count(objects, &counts);
	if (held || counts.objects)
		abort();
	rm_events_free(events);
	rm_objects_free(objects);
	return 0;
}
