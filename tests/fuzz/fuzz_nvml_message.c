// SPDX-License-Identifier: Apache-2.0
/*
 * The pipe from the helper that asks NVML: a library of others runs at its other end, and may have
 * written over anything. What is believed must keep within bounds, and never give a device more
 * busy time than it was watched for.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/nvml_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Most of a message must be right to get anywhere: so much is given, the rest is the fuzzer's. */
static void make_plausible(struct nvml_message *message, uint8_t kind)
{
	message->magic = NVML_MESSAGE_MAGIC;
	message->version = NVML_MESSAGE_VERSION;
	message->bytes = NVML_MESSAGE_BYTES;
	message->reserved = 0;
	message->type = 1 + kind % (NVML_MESSAGE_TYPES - 1);
	message->device %= 3;
	message->count %= 5;
	if (message->type == NVML_MESSAGE_DEVICE) {
		struct nvml_message_device *device = &message->body.device;

		message->count = 0;
		device->known &= NVML_KNOWN_ALL;
		device->down = device->mig = 0;
		device->utilization[0] = device->utilization[1] = 0;
		device->uuid[1] = device->name[0] = device->pci[0] = device->why[0] = 0;
		device->processes %= 9;
		device->samples %= 9;
		device->accountings %= 9;
	}
}

static void check(const struct nvml_state *state)
{
	for (size_t i = 0; i < NVML_DEVICES_MAX; i++) {
		const struct nvml_device_state *device = state->device[i];

		if (!device)
			continue;
		if (device->processes > NVML_PROCESSES_MAX || device->busy.nr > BUSY_ROWS_MAX)
			abort();
		for (int k = 0; k < BUSY_ENGINES; k++)
			if (nvml_device_busy_ns(device, k) > nvml_device_observed_ns(device))
				abort();
		for (size_t k = 0; k < device->busy.nr; k++)
			if (!(device->busy.row[k].busy[BUSY_SM].variance_ns2 >= 0))
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nvml_state state = {0};
	struct nvml_message message, read;

	if (nvml_message_read(data, size, &read))
		nvml_state_receive(&state, &read, 1);
	while (size > 1) {
		size_t bytes = size - 1 < 192 ? size - 1 : 192;

		memset(&message, 0, sizeof(message));
		memcpy(&message, data + 1, bytes);
		/* What of a device is numbers lies far behind its names. */
		if (bytes > 64)
			memcpy((char *)&message + sizeof(message) - 600, data + 1, bytes);
		if (data[0] & 0x80)
			memcpy(&message.body.device.known, data + 1,
			       bytes < 96 ? bytes : (size_t)96);
		make_plausible(&message, data[0]);
		if (nvml_message_read(&message, sizeof(message), &read))
			nvml_state_receive(&state, &read, size);
		check(&state);
		data += 1 + bytes;
		size -= 1 + bytes;
	}
	nvml_state_free(&state);
	return 0;
}
