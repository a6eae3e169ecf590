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

/* The input is a row of these: most of a message must be right for it to get anywhere. */
struct step {
	uint8_t what, a;
	uint16_t b;
	uint32_t c;
};

struct run {
	struct nvml_state state;
	struct nvml_message message; /* in the making */
	uint32_t samples[4], accounts[4];
	uint64_t us, ns;
};

static void check_device(const struct nvml_device_state *device)
{
	if (device->processes > NVML_PROCESSES_MAX || device->busy.nr > BUSY_ROWS_MAX)
		abort();
	for (uint32_t i = 0; i < device->processes; i++)
		if (!device->process[i].pid)
			abort();
	for (int i = 0; i < BUSY_ENGINES; i++)
		if (nvml_device_busy_ns(device, i) > nvml_device_observed_ns(device))
			abort();
	for (size_t i = 0; i < device->busy.nr; i++)
		if (!(device->busy.row[i].busy[BUSY_SM].variance_ns2 >= 0))
			abort();
}

/* Through a copy of its own size, so that a read behind the end is noticed. */
static void send(struct run *run)
{
	struct nvml_message *copy = malloc(sizeof(*copy)), read;

	if (!copy)
		return;
	*copy = run->message;
	if (nvml_message_read(copy, sizeof(*copy), &read)) {
		nvml_state_receive(&run->state, &read, run->ns);
		if (read.device < NVML_DEVICES_MAX && run->state.device[read.device])
			check_device(run->state.device[read.device]);
	}
	free(copy);
}

static void send_sample(struct run *run, const struct step *step)
{
	struct nvml_message_sample *sample = run->message.body.sample;

	nvml_message_init(&run->message, NVML_MESSAGE_SAMPLES, step->a & 3);
	run->message.count = 1;
	sample->pid = 1 + step->a % 5;
	sample->us = run->us + step->b + 1;
	memcpy(sample->percent, &step->c, 4);
	for (int i = 0; i < 4; i++)
		sample->percent[i] %= 101;
	run->samples[step->a & 3]++;
	send(run);
}

static void send_account(struct run *run, const struct step *step)
{
	struct nvml_message_accounting *account = run->message.body.accounting;

	nvml_message_init(&run->message, NVML_MESSAGE_ACCOUNTING, step->a & 3);
	run->message.count = 1;
	account->pid = 1 + step->a % 5;
	account->started_us = step->a >> 7;
	account->samples = step->b;
	account->sum[0] = step->c;
	account->sum[1] = (uint64_t)step->c << step->a % 40;
	run->accounts[step->a & 3]++;
	send(run);
}

static void send_device(struct run *run, const struct step *step)
{
	struct nvml_message_device *device = &run->message.body.device;
	uint32_t index = step->a & 3;

	nvml_message_init(&run->message, NVML_MESSAGE_DEVICE, index);
	device->busy_source = (step->a >> 2) % NVML_BUSY_SOURCES;
	device->samples = run->samples[index];
	device->accountings = run->accounts[index];
	device->uuid[0] = (char)('A' + (step->a >> 5));
	device->from_us = run->us;
	run->us += step->b;
	run->ns += (uint64_t)step->c << (step->b & 7);
	device->to_us = run->us;
	device->ns = run->ns;
	run->samples[index] = run->accounts[index] = 0;
	send(run);
}

/* Half of them in the head, where a message says what it is and how many it brings. */
static void patch(struct nvml_message *message, const struct step *step)
{
	size_t head = offsetof(struct nvml_message, body);
	size_t at = step->a & 1 ? step->b % head & ~(size_t)3 : step->b % (NVML_MESSAGE_BYTES - 3);
	uint32_t value = step->c >> (step->a >> 3);

	memcpy((char *)message + at, &value, sizeof(value));
}

static void take_step(struct run *run, const struct step *step)
{
	switch (step->what % 8) {
	case 0:
		nvml_message_init(&run->message,
				  (enum nvml_message_type)(1 + step->a % (NVML_MESSAGE_TYPES - 1)),
				  step->b & 3);
		break;
	case 1:
		patch(&run->message, step);
		break;
	case 2:
		memset((char *)&run->message + step->b % NVML_MESSAGE_BYTES, step->a, 1);
		break;
	case 3:
		send(run);
		break;
	case 4:
		send_sample(run, step);
		break;
	case 5:
		send_account(run, step);
		break;
	case 6:
		send_device(run, step);
		break;
	default:
		nvml_state_restart(&run->state);
		memset(run->samples, 0, sizeof(run->samples));
		memset(run->accounts, 0, sizeof(run->accounts));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run = {.us = 1000000, .ns = 1000000};
	struct nvml_message read;
	struct step step;

	if (nvml_message_read(data, size, &read))
		nvml_state_receive(&run.state, &read, 1);
	for (; size >= sizeof(step); data += sizeof(step), size -= sizeof(step)) {
		memcpy(&step, data, sizeof(step));
		take_step(&run, &step);
	}
	nvml_state_free(&run.state);
	return 0;
}
