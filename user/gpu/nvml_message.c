// SPDX-License-Identifier: Apache-2.0
/* Checks of messages: what passes may be used without looking at it again. */
#include <string.h>

#include "gpu/nvml_message.h"

void nvml_message_init(struct nvml_message *message, enum nvml_message_type type, uint32_t device)
{
	memset(message, 0, sizeof(*message));
	message->magic = NVML_MESSAGE_MAGIC;
	message->version = NVML_MESSAGE_VERSION;
	message->type = (uint16_t)type;
	message->bytes = NVML_MESSAGE_BYTES;
	message->device = device;
}

static bool ends(const char *text, size_t bytes)
{
	return memchr(text, 0, bytes) != NULL;
}

static bool good_hello(const struct nvml_hello *hello)
{
	return ends(hello->path, sizeof(hello->path)) &&
	       ends(hello->driver, sizeof(hello->driver)) &&
	       ends(hello->library, sizeof(hello->library)) &&
	       ends(hello->lacks, sizeof(hello->lacks)) && !hello->reserved;
}

static bool good_process(const struct nvml_message_process *process)
{
	return process->pid && process->kinds && process->kinds < NVML_PROCESS_MPS * 2;
}

static bool good_sample(const struct nvml_message_sample *sample)
{
	for (size_t i = 0; i < 4; i++)
		if (sample->percent[i] > 100)
			return false;
	return sample->pid && sample->us;
}

static bool good_accounting(const struct nvml_message_accounting *accounting)
{
	return accounting->pid;
}

/* Times that a clock can show: of these, differences and sums fit as well. */
static bool good_times(const struct nvml_message_device *device)
{
	return device->from_us <= device->to_us && device->to_us < UINT64_C(1) << 53 &&
	       device->ns < UINT64_C(1) << 62;
}

static bool good_device(const struct nvml_message_device *device)
{
	return ends(device->uuid, sizeof(device->uuid)) &&
	       ends(device->name, sizeof(device->name)) && ends(device->pci, sizeof(device->pci)) &&
	       ends(device->why, sizeof(device->why)) && device->known <= NVML_KNOWN_ALL &&
	       device->down <= 1 && device->mig <= 1 && device->busy_source < NVML_BUSY_SOURCES &&
	       device->utilization[0] <= 100 && device->utilization[1] <= 100 &&
	       device->processes <= NVML_PROCESSES_MAX && device->samples <= NVML_SAMPLES_MAX &&
	       device->accountings <= NVML_ACCOUNTING_MAX && good_times(device);
}

static bool good_count(const struct nvml_message *message)
{
	switch (message->type) {
	case NVML_MESSAGE_PROCESSES:
		return message->count <= NVML_PROCESSES_PER_MESSAGE;
	case NVML_MESSAGE_SAMPLES:
		return message->count <= NVML_SAMPLES_PER_MESSAGE;
	case NVML_MESSAGE_ACCOUNTING:
		return message->count <= NVML_ACCOUNTINGS_PER_MESSAGE;
	default:
		return !message->count;
	}
}

static bool good_rows(const struct nvml_message *message)
{
	bool good = true;

	for (uint32_t i = 0; i < message->count && good; i++) {
		if (message->type == NVML_MESSAGE_PROCESSES)
			good = good_process(&message->body.process[i]);
		else if (message->type == NVML_MESSAGE_SAMPLES)
			good = good_sample(&message->body.sample[i]);
		else
			good = good_accounting(&message->body.accounting[i]);
	}
	return good;
}

static bool good_body(const struct nvml_message *message)
{
	switch (message->type) {
	case NVML_MESSAGE_HELLO:
		return good_hello(&message->body.hello);
	case NVML_MESSAGE_DOWN:
		return ends(message->body.down.why, sizeof(message->body.down.why));
	case NVML_MESSAGE_DEVICE:
		return good_device(&message->body.device);
	default:
		return good_rows(message);
	}
}

bool nvml_message_read(const void *data, size_t bytes, struct nvml_message *message)
{
	if (bytes != NVML_MESSAGE_BYTES)
		return false;
	memcpy(message, data, sizeof(*message));
	return message->magic == NVML_MESSAGE_MAGIC && message->version == NVML_MESSAGE_VERSION &&
	       message->type > 0 && message->type < NVML_MESSAGE_TYPES &&
	       message->bytes == NVML_MESSAGE_BYTES && message->device < NVML_DEVICES_MAX &&
	       !message->reserved && good_count(message) && good_body(message);
}
