// SPDX-License-Identifier: Apache-2.0
/* A tick over all devices: what each of them is, has in use and whether it is there at all. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gpu/nvml_survey_internal.h"

void survey_why(struct nvml_message_device *told, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(told->why, sizeof(told->why), format, args);
	va_end(args);
}

__attribute__((format(printf, 2, 3))) static int send_down(struct nvml_survey *survey,
							   const char *format, ...)
{
	struct nvml_message message;
	va_list args;
	int err;

	nvml_message_init(&message, NVML_MESSAGE_DOWN, 0);
	va_start(args, format);
	vsnprintf(message.body.down.why, sizeof(message.body.down.why), format, args);
	va_end(args);
	err = survey->send(survey->context, &message);
	return err ? err : -ENODEV;
}

static int send_hello(struct nvml_survey *survey, uint32_t devices)
{
	const struct nvml_calls *call = &survey->library.call;
	struct nvml_message message;
	struct nvml_hello *hello = &message.body.hello;

	nvml_message_init(&message, NVML_MESSAGE_HELLO, 0);
	memcpy(hello->path, survey->library.path, sizeof(hello->path));
	memcpy(hello->lacks, survey->library.lacks, sizeof(hello->lacks));
	if (call->driver_version && call->driver_version(hello->driver, NVML_VERSION_BYTES))
		hello->driver[0] = 0;
	if (call->library_version && call->library_version(hello->library, NVML_VERSION_BYTES))
		hello->library[0] = 0;
	hello->driver[sizeof(hello->driver) - 1] = 0;
	hello->library[sizeof(hello->library) - 1] = 0;
	hello->devices = devices;
	return survey->send(survey->context, &message);
}

static void read_text(nvml_text_fn call, nvml_device handle, char *text, uint32_t bytes)
{
	if (!call || call(handle, text, bytes))
		text[0] = 0;
	text[bytes - 1] = 0;
}

/* What a device is. What cannot be read is left out; if it is lost the ticks will tell. */
static void read_fixed(struct nvml_survey *survey, struct surveyed_device *device)
{
	const struct nvml_calls *call = &survey->library.call;
	struct nvml_message_device *fixed = &device->fixed;
	struct nvml_pci pci = {0};

	read_text(call->uuid, device->handle, fixed->uuid, sizeof(fixed->uuid));
	read_text(call->name, device->handle, fixed->name, sizeof(fixed->name));
	if (call->pci && !call->pci(device->handle, &pci))
		snprintf(fixed->pci, sizeof(fixed->pci), "%04x:%02x:%02x.0", pci.domain,
			 pci.bus & 0xff, pci.device & 0x1f);
	if (call->minor && !call->minor(device->handle, &fixed->minor))
		fixed->known |= NVML_KNOWN_MINOR;
}

static void find_devices(struct nvml_survey *survey, uint32_t devices)
{
	survey->devices = devices < NVML_DEVICES_MAX ? devices : NVML_DEVICES_MAX;
	for (uint32_t i = 0; i < survey->devices; i++) {
		struct surveyed_device *device = &survey->device[i];
		int result = survey->library.call.handle(i, &device->handle);

		device->index = i;
		device->clock = CLOCK_REALTIME;
		if (result) {
			device->lost = true;
			snprintf(device->lost_why, sizeof(device->lost_why),
				 "GPU %u cannot be opened: %s", i, nvml_result_text(result));
			continue;
		}
		read_fixed(survey, device);
	}
}

static int begin(struct nvml_survey *survey, const char *path)
{
	char why[NVML_PATH_BYTES + 200];
	uint32_t devices = 0;
	int err = nvml_library_open(&survey->library, path, why, sizeof(why));
	int result;

	if (err)
		return send_down(survey, "%s", why);
	result = survey->library.call.init();
	if (result)
		return send_down(survey, "NVML does not start: %s (%d)", nvml_result_text(result),
				 result);
	survey->initialised = true;
	result = survey->library.call.count(&devices);
	if (result)
		return send_down(survey, "NVML does not count its GPUs: %s (%d)",
				 nvml_result_text(result), result);
	find_devices(survey, devices);
	return send_hello(survey, devices);
}

int nvml_survey_open(const char *path, nvml_send_fn send, void *context,
		     struct nvml_survey **survey)
{
	struct nvml_survey *made = calloc(1, sizeof(*made));
	int err;

	if (!made)
		return -ENOMEM;
	made->send = send;
	made->context = context;
	err = begin(made, path);
	if (err) {
		nvml_survey_close(made);
		return err;
	}
	*survey = made;
	return 0;
}

void nvml_survey_close(struct nvml_survey *survey)
{
	if (survey->initialised)
		survey->library.call.shutdown();
	nvml_library_close(&survey->library);
	for (uint32_t i = 0; i < survey->devices; i++)
		idmap_free(&survey->device[i].ended);
	free(survey->sample);
	free(survey->pid);
	free(survey->list);
	free(survey);
}

/* The newer one first: only it tells what the driver keeps for itself apart from what is used. */
static int read_memory(const struct nvml_calls *call, nvml_device handle,
		       struct nvml_message_device *told)
{
	struct nvml_memory_v2 newer = {.version = NVML_MEMORY_V2};
	struct nvml_memory_v1 older = {0};
	int result = call->memory_v2 ? call->memory_v2(handle, &newer) : NVML_NOT_SUPPORTED;

	if (!result) {
		told->memory_total = newer.total;
		told->memory_used = newer.used;
		told->memory_reserved = newer.reserved;
		told->known |= NVML_KNOWN_MEMORY | NVML_KNOWN_RESERVED;
		return 0;
	}
	if (is_lost(result) || !call->memory_v1)
		return result;
	result = call->memory_v1(handle, &older);
	if (!result) {
		told->memory_total = older.total;
		told->memory_used = older.used;
		told->known |= NVML_KNOWN_MEMORY;
	}
	return result;
}

static int read_utilization(const struct nvml_calls *call, nvml_device handle,
			    struct nvml_message_device *told)
{
	struct nvml_utilization percent = {0};
	int result = call->utilization ? call->utilization(handle, &percent) : NVML_NOT_SUPPORTED;

	if (!result && percent.gpu <= 100 && percent.memory <= 100) {
		told->utilization[0] = percent.gpu;
		told->utilization[1] = percent.memory;
		told->known |= NVML_KNOWN_UTILIZATION;
	}
	return result;
}

/* A GPU that cannot be split is not. */
static int read_mig(const struct nvml_calls *call, nvml_device handle,
		    struct nvml_message_device *told)
{
	uint32_t current = 0, pending = 0;
	int result =
		call->mig_mode ? call->mig_mode(handle, &current, &pending) : NVML_NOT_SUPPORTED;

	if (!result)
		told->mig = current == 1;
	if (!result || result == NVML_NOT_SUPPORTED)
		told->known |= NVML_KNOWN_MIG;
	return result;
}

static int read_numbers(const struct nvml_calls *call, struct surveyed_device *device,
			struct nvml_message_device *told)
{
	int result = read_memory(call, device->handle, told);

	if (!is_lost(result))
		result = read_utilization(call, device->handle, told);
	if (!is_lost(result))
		result = read_mig(call, device->handle, told);
	if (!is_lost(result))
		return 0;
	survey_why(told, "%s", nvml_result_text(result));
	return -EIO;
}

/* Nothing that was read before it was lost is told: it may be anything. */
static void tell_lost(struct surveyed_device *device, struct nvml_message_device *told)
{
	if (!device->lost)
		snprintf(device->lost_why, sizeof(device->lost_why), "%s", told->why);
	device->lost = true;
	*told = device->fixed;
	told->down = 1;
	memcpy(told->why, device->lost_why, sizeof(told->why));
}

static int send_processes(struct nvml_survey *survey, const struct surveyed_device *device)
{
	struct nvml_message message;
	uint32_t sent = 0;
	int err = 0;

	while (sent < survey->processes && !err) {
		uint32_t nr = survey->processes - sent;

		nvml_message_init(&message, NVML_MESSAGE_PROCESSES, device->index);
		message.count = nr < NVML_PROCESSES_PER_MESSAGE ? nr : NVML_PROCESSES_PER_MESSAGE;
		memcpy(message.body.process, survey->process + sent,
		       message.count * sizeof(*survey->process));
		sent += message.count;
		err = survey->send(survey->context, &message);
	}
	return err;
}

/* Lists are not sent before all that could find the device lost has been asked. */
static int survey_device(struct nvml_survey *survey, struct surveyed_device *device)
{
	struct nvml_message message;
	struct nvml_message_device *told = &message.body.device;
	int err = 0;

	nvml_message_init(&message, NVML_MESSAGE_ASKING, device->index);
	err = survey->send(survey->context, &message);
	if (err)
		return err;
	nvml_message_init(&message, NVML_MESSAGE_DEVICE, device->index);
	*told = device->fixed;
	if (!device->lost)
		err = read_numbers(&survey->library.call, device, told);
	if (!device->lost && !err)
		err = survey_processes(survey, device, told);
	if (!device->lost && !err)
		err = survey_busy(survey, device, told);
	if (err == -EIO || device->lost) {
		tell_lost(device, told);
		err = 0;
	} else if (!err) {
		err = send_processes(survey, device);
	}
	return err ? err : survey->send(survey->context, &message);
}

int nvml_survey_tick(struct nvml_survey *survey)
{
	struct nvml_message message;
	int err = 0;

	for (uint32_t i = 0; i < survey->devices && !err; i++)
		err = survey_device(survey, &survey->device[i]);
	if (err)
		return err;
	nvml_message_init(&message, NVML_MESSAGE_END, 0);
	message.body.end.tick = ++survey->ticks;
	return survey->send(survey->context, &message);
}
