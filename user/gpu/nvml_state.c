// SPDX-License-Identifier: Apache-2.0
/* Messages into state: lists are put aside until the device that they belong to is told. */
#include <stdlib.h>
#include <string.h>

#include "gpu/nvml_state.h"

_Static_assert(BUSY_ENGINES == 4, "a sample has a percent for each engine");

static void drop_pending(struct nvml_device_state *device)
{
	device->pending->processes = 0;
	device->pending->samples = 0;
	device->pending->accounts = 0;
	device->pending->overrun = false;
}

static void free_device(struct nvml_device_state *device)
{
	if (!device)
		return;
	busy_rows_free(&device->busy);
	free(device->process);
	free(device->pending);
	free(device);
}

static struct nvml_device_state *new_device(void)
{
	struct nvml_device_state *device = calloc(1, sizeof(*device));

	if (device)
		device->pending = calloc(1, sizeof(*device->pending));
	if (device && device->pending)
		return device;
	free_device(device);
	return NULL;
}

static struct nvml_device_state *take_device(struct nvml_state *state, uint32_t index)
{
	if (!state->device[index])
		state->device[index] = new_device();
	if (!state->device[index])
		state->no_memory++;
	return state->device[index];
}

void nvml_state_restart(struct nvml_state *state)
{
	state->greeted = false;
	state->why[0] = 0;
	state->asking = -1;
	for (size_t i = 0; i < NVML_DEVICES_MAX; i++)
		if (state->device[i])
			drop_pending(state->device[i]);
}

static void add_processes(struct nvml_pending *pending, const struct nvml_message *message)
{
	for (uint32_t i = 0; i < message->count; i++) {
		if (pending->processes == NVML_PROCESSES_MAX)
			pending->overrun = true;
		else
			pending->process[pending->processes++] = message->body.process[i];
	}
}

static void add_samples(struct nvml_pending *pending, const struct nvml_message *message)
{
	for (uint32_t i = 0; i < message->count; i++) {
		const struct nvml_message_sample *from = &message->body.sample[i];
		struct busy_sample *to = &pending->sample[pending->samples];

		if (pending->samples == NVML_SAMPLES_MAX) {
			pending->overrun = true;
			continue;
		}
		to->pid = from->pid;
		to->us = from->us;
		memcpy(to->percent, from->percent, sizeof(to->percent));
		pending->samples++;
	}
}

static void add_accounts(struct nvml_pending *pending, const struct nvml_message *message)
{
	for (uint32_t i = 0; i < message->count; i++) {
		const struct nvml_message_accounting *from = &message->body.accounting[i];
		struct busy_account *to = &pending->account[pending->accounts];

		if (pending->accounts == NVML_ACCOUNTING_MAX) {
			pending->overrun = true;
			continue;
		}
		to->pid = from->pid;
		to->samples = from->samples;
		to->sum[0] = from->sum[0];
		to->sum[1] = from->sum[1];
		to->started_us = from->started_us;
		pending->accounts++;
	}
}

static bool is_whole(const struct nvml_pending *pending, const struct nvml_message_device *told)
{
	return !pending->overrun && pending->processes == told->processes &&
	       pending->samples == told->samples && pending->accounts == told->accountings;
}

static bool keep_processes(struct nvml_device_state *device)
{
	size_t bytes = device->pending->processes * sizeof(*device->process);
	void *room = bytes ? malloc(bytes) : NULL;

	if (bytes && !room)
		return false;
	if (bytes)
		memcpy(room, device->pending->process, bytes);
	free(device->process);
	device->process = room;
	device->processes = device->pending->processes;
	return true;
}

/* Sources are not mixed: the one that was left begins anew when it comes back. */
static void credit(struct nvml_device_state *device, const struct nvml_message_device *told)
{
	struct busy_stretch stretch = {.from_us = told->from_us,
				       .to_us = told->to_us,
				       .samples = device->pending->sample,
				       .nr = device->pending->samples};

	if (told->busy_source != device->last.busy_source && device->tick) {
		device->accounting.begun = false;
		device->samples.end_us = 0;
		busy_rows_expire(&device->busy, UINT64_MAX);
	}
	if (told->busy_source == NVML_BUSY_SAMPLES)
		busy_samples_credit(&device->samples, &device->busy, &stretch);
	else if (told->busy_source == NVML_BUSY_ACCOUNTING)
		busy_accounting_credit(&device->accounting, &device->busy, device->pending->account,
				       device->pending->accounts, told->ns);
}

static bool is_other(const struct nvml_device_state *device, const char *uuid)
{
	return device->last.uuid[0] && uuid[0] && strcmp(device->last.uuid, uuid) != 0;
}

static size_t find_uuid(const struct nvml_state *state, const char *uuid)
{
	size_t i = 0;

	while (i < NVML_DEVICES_MAX &&
	       (!state->device[i] || strcmp(state->device[i]->last.uuid, uuid) != 0))
		i++;
	return i;
}

static size_t find_free(const struct nvml_state *state)
{
	size_t i = NVML_DEVICES_MAX;

	while (i && state->device[i - 1])
		i--;
	return i ? i - 1 : NVML_DEVICES_MAX;
}

/*
 * The library has another device at this index than before: the one that it is, or a new one, is
 * put here, and what was here goes where that was or where there is room.
 */
static struct nvml_device_state *replace(struct nvml_state *state, uint32_t index, const char *uuid)
{
	struct nvml_device_state *was = state->device[index], *is;
	size_t other = find_uuid(state, uuid);
	struct nvml_pending *pending = was->pending;

	if (other == NVML_DEVICES_MAX)
		other = find_free(state);
	is = other < NVML_DEVICES_MAX && state->device[other] ? state->device[other] : new_device();
	if (!is) {
		state->no_memory++;
		return NULL;
	}
	was->pending = is->pending;
	is->pending = pending;
	if (other < NVML_DEVICES_MAX)
		state->device[other] = was;
	else
		free_device(was);
	state->device[index] = is;
	return is;
}

static void take_in(struct nvml_state *state, struct nvml_device_state *device,
		    const struct nvml_message_device *told, uint64_t ns)
{
	if (!is_whole(device->pending, told))
		state->torn++;
	else if (!keep_processes(device))
		state->no_memory++;
	else {
		credit(device, told);
		device->last = *told;
		device->tick = state->tick + 1;
		device->ns = ns;
		device->processes_lost += told->processes_lost;
		device->samples_lost += told->samples_lost;
	}
	drop_pending(device);
}

static void receive_of_device(struct nvml_state *state, const struct nvml_message *message,
			      uint64_t ns)
{
	struct nvml_device_state *device = take_device(state, message->device);

	if (!device)
		return;
	if (message->type == NVML_MESSAGE_PROCESSES)
		add_processes(device->pending, message);
	else if (message->type == NVML_MESSAGE_SAMPLES)
		add_samples(device->pending, message);
	else if (message->type == NVML_MESSAGE_ACCOUNTING)
		add_accounts(device->pending, message);
	else {
		if (is_other(device, message->body.device.uuid))
			device = replace(state, message->device, message->body.device.uuid);
		if (device)
			take_in(state, device, &message->body.device, ns);
	}
}

void nvml_state_receive(struct nvml_state *state, const struct nvml_message *message, uint64_t ns)
{
	switch (message->type) {
	case NVML_MESSAGE_HELLO:
		state->hello = message->body.hello;
		state->greeted = true;
		break;
	case NVML_MESSAGE_DOWN:
		memcpy(state->why, message->body.down.why, sizeof(state->why));
		break;
	case NVML_MESSAGE_ASKING:
		state->asking = (int)message->device;
		break;
	case NVML_MESSAGE_END:
		state->asking = -1;
		state->tick++;
		state->end_ns = ns;
		break;
	default:
		receive_of_device(state, message, ns);
		break;
	}
}

uint64_t nvml_device_busy_ns(const struct nvml_device_state *device, enum busy_engine engine)
{
	return busy_rows_total(&device->busy, engine);
}

uint64_t nvml_device_observed_ns(const struct nvml_device_state *device)
{
	return device->samples.observed_ns + device->accounting.observed_ns;
}

void nvml_state_free(struct nvml_state *state)
{
	for (size_t i = 0; i < NVML_DEVICES_MAX; i++)
		free_device(state->device[i]);
	memset(state, 0, sizeof(*state));
}
