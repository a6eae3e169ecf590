// SPDX-License-Identifier: Apache-2.0
/*
 * A libnvidia-ml.so.1 without GPUs: what it says follows from the script that $FAKE_NVML names.
 * Built a second time with OLD_NVML it lacks what came after driver 470.
 *
 *	epoch US | period US | ring N | single | clock real|boot|mono | stride 16|24|32
 *	hang FUNCTION MS | fail FUNCTION CODE MS
 *	device INDEX | lost MS | mig 0|1 | accounting 0|1 | garbage N | uuid TEXT
 *	process PID c|g|m|cg KIB FROM_MS UNTIL_MS STARTED_US
 *	share PID WEIGHT PERCENT FROM_MS UNTIL_MS
 *
 * Times are since `epoch`. Lines from `process` on are of the last device. Every `period` the
 * device has a sample of one process, by chance but the same each time, according to the weights
 * of shares; a PID of 0 is nobody.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gpu/nvml_abi.h"

#define DEVICES	  8
#define ROWS	  512
#define FAILURES  16
#define US_PER_MS 1000u

struct nvml_device_handle {
	uint32_t index;
	int64_t lost_ms;
	uint32_t mig, accounting, garbage;
	char uuid[NVML_UUID_BYTES];
	struct fake_process {
		uint32_t pid;
		char kinds[4];
		uint64_t kib;
		int64_t from_ms, until_ms;
		uint64_t started_us;
	} process[ROWS];
	struct fake_share {
		uint32_t pid, weight, percent;
		int64_t from_ms, until_ms;
	} share[ROWS];
	uint32_t processes, shares;
};

static struct fake {
	struct nvml_device_handle device[DEVICES];
	uint32_t devices, ring, single, stride;
	uint64_t epoch_us, period_us;
	clockid_t clock;
	struct failure {
		char function[64];
		int64_t ms;
		int code; /* -1: never returns */
	} failure[FAILURES];
	uint32_t failures;
} fake;

static uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(fake.clock, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static int64_t now_ms(void)
{
	return ((int64_t)clock_us() - (int64_t)fake.epoch_us) / (int64_t)US_PER_MS;
}

static struct nvml_device_handle *last_device(void)
{
	return &fake.device[fake.devices ? fake.devices - 1 : 0];
}

static void read_process(const char *line)
{
	struct nvml_device_handle *device = last_device();
	struct fake_process *to = &device->process[device->processes];

	if (device->processes < ROWS &&
	    sscanf(line, "process %u %3s %lu %ld %ld %lu", &to->pid, to->kinds, &to->kib,
		   &to->from_ms, &to->until_ms, &to->started_us) == 6)
		device->processes++;
}

static void read_share(const char *line)
{
	struct nvml_device_handle *device = last_device();
	struct fake_share *to = &device->share[device->shares];

	if (device->shares < ROWS && sscanf(line, "share %u %u %u %ld %ld", &to->pid, &to->weight,
					    &to->percent, &to->from_ms, &to->until_ms) == 5)
		device->shares++;
}

static void read_failure(const char *line)
{
	struct failure *to = &fake.failure[fake.failures];

	if (fake.failures == FAILURES)
		return;
	if (sscanf(line, "hang %63s %ld", to->function, &to->ms) == 2)
		to->code = -1;
	else if (sscanf(line, "fail %63s %d %ld", to->function, &to->code, &to->ms) != 3)
		return;
	fake.failures++;
}

static void read_device(const char *line)
{
	struct nvml_device_handle *device = last_device();

	sscanf(line, "lost %ld", &device->lost_ms);
	sscanf(line, "mig %u", &device->mig);
	sscanf(line, "accounting %u", &device->accounting);
	sscanf(line, "garbage %u", &device->garbage);
	sscanf(line, "uuid %95s", device->uuid);
	if (!strncmp(line, "process ", 8))
		read_process(line);
	if (!strncmp(line, "share ", 6))
		read_share(line);
}

static void begin_device(void)
{
	struct nvml_device_handle *device = &fake.device[fake.devices];

	if (fake.devices == DEVICES)
		return;
	memset(device, 0, sizeof(*device));
	device->index = fake.devices++;
	device->lost_ms = INT64_MAX;
	snprintf(device->uuid, sizeof(device->uuid), "GPU-%08x-fake", device->index);
}

static void read_line(const char *line)
{
	char word[16] = "";

	sscanf(line, "epoch %lu", &fake.epoch_us);
	sscanf(line, "period %lu", &fake.period_us);
	sscanf(line, "ring %u", &fake.ring);
	sscanf(line, "stride %u", &fake.stride);
	if (!strncmp(line, "single", 6))
		fake.single = 1;
	if (sscanf(line, "clock %15s", word) == 1)
		fake.clock = !strcmp(word, "boot")   ? CLOCK_BOOTTIME
			     : !strcmp(word, "mono") ? CLOCK_MONOTONIC
						     : CLOCK_REALTIME;
	if (!strncmp(line, "device", 6))
		begin_device();
	else if (!strncmp(line, "hang ", 5) || !strncmp(line, "fail ", 5))
		read_failure(line);
	else
		read_device(line);
}

static int read_script(void)
{
	const char *path = getenv("FAKE_NVML");
	FILE *file = path ? fopen(path, "re") : NULL;
	char line[256];

	if (!file)
		return NVML_DRIVER_NOT_LOADED;
	memset(&fake, 0, sizeof(fake));
	fake.ring = 72;
	fake.stride = NVML_PROCESS_V2_BYTES;
	fake.period_us = 1000000 / 7;
	fake.clock = CLOCK_REALTIME;
	while (fgets(line, sizeof(line), file))
		read_line(line);
	fclose(file);
	if (!fake.epoch_us)
		fake.epoch_us = clock_us();
	return NVML_OK;
}

/* What the script wants of a function before anything else. */
static int enter(const char *function, nvml_device device)
{
	int64_t ms = now_ms();

	for (uint32_t i = 0; i < fake.failures; i++) {
		const struct failure *failure = &fake.failure[i];

		if (strcmp(failure->function, function) != 0 || ms < failure->ms)
			continue;
		while (failure->code < 0)
			pause();
		return failure->code;
	}
	return device && ms >= device->lost_ms ? NVML_GPU_IS_LOST : NVML_OK;
}

#define ENTER(device)                                                                              \
	do {                                                                                       \
		int wanted = enter(__func__, device);                                              \
		if (wanted)                                                                        \
			return wanted;                                                             \
	} while (0)

static uint64_t mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
	return value ^ (value >> 31);
}

static uint64_t sample_us(uint64_t k)
{
	return fake.epoch_us + (k + 1) * fake.period_us;
}

/* Samples that the device has had so far. */
static uint64_t count_samples(void)
{
	uint64_t now = clock_us();

	return now < fake.epoch_us ? 0 : (now - fake.epoch_us) / fake.period_us;
}

static int is_on(int64_t from_ms, int64_t until_ms, uint64_t us)
{
	int64_t ms = ((int64_t)us - (int64_t)fake.epoch_us) / (int64_t)US_PER_MS;

	return ms >= from_ms && ms < until_ms;
}

/* Who is in sample `k`: NULL for nobody. */
static const struct fake_share *resident(const struct nvml_device_handle *device, uint64_t k)
{
	uint64_t all = 0, draw;

	for (uint32_t i = 0; i < device->shares; i++)
		if (is_on(device->share[i].from_ms, device->share[i].until_ms, sample_us(k)))
			all += device->share[i].weight;
	if (!all)
		return NULL;
	draw = mix(mix(k + 1) + device->index) % all;
	for (uint32_t i = 0; i < device->shares; i++) {
		const struct fake_share *share = &device->share[i];

		if (!is_on(share->from_ms, share->until_ms, sample_us(k)))
			continue;
		if (draw < share->weight)
			return share->pid ? share : NULL;
		draw -= share->weight;
	}
	return NULL;
}

int nvmlInit_v2(void);
int nvmlInit_v2(void)
{
	int result = read_script();

	if (result)
		return result;
	ENTER(NULL);
	return NVML_OK;
}

int nvmlShutdown(void);
int nvmlShutdown(void)
{
	return NVML_OK;
}

int nvmlSystemGetDriverVersion(char *text, uint32_t bytes);
int nvmlSystemGetDriverVersion(char *text, uint32_t bytes)
{
	snprintf(text, bytes, "999.1");
	return NVML_OK;
}

int nvmlDeviceGetCount_v2(uint32_t *nr);
int nvmlDeviceGetCount_v2(uint32_t *nr)
{
	ENTER(NULL);
	*nr = fake.devices;
	return NVML_OK;
}

int nvmlDeviceGetHandleByIndex_v2(uint32_t index, nvml_device *device);
int nvmlDeviceGetHandleByIndex_v2(uint32_t index, nvml_device *device)
{
	ENTER(NULL);
	if (index >= fake.devices)
		return NVML_INVALID_ARGUMENT;
	*device = &fake.device[index];
	return NVML_OK;
}

int nvmlDeviceGetUUID(nvml_device device, char *text, uint32_t bytes);
int nvmlDeviceGetUUID(nvml_device device, char *text, uint32_t bytes)
{
	ENTER(device);
	snprintf(text, bytes, "%s", device->uuid);
	return NVML_OK;
}

int nvmlDeviceGetName(nvml_device device, char *text, uint32_t bytes);
int nvmlDeviceGetName(nvml_device device, char *text, uint32_t bytes)
{
	ENTER(device);
	snprintf(text, bytes, "Fake GPU");
	return NVML_OK;
}

int nvmlDeviceGetMinorNumber(nvml_device device, uint32_t *minor);
int nvmlDeviceGetMinorNumber(nvml_device device, uint32_t *minor)
{
	ENTER(device);
	*minor = device->index + 1;
	return NVML_OK;
}

int nvmlDeviceGetPciInfo_v3(nvml_device device, void *filled);
int nvmlDeviceGetPciInfo_v3(nvml_device device, void *filled)
{
	struct nvml_pci pci = {.domain = 1, .bus = 0x17 + device->index};

	ENTER(device);
	memcpy(filled, &pci, sizeof(pci));
	return NVML_OK;
}

int nvmlDeviceGetMemoryInfo(nvml_device device, void *filled);
int nvmlDeviceGetMemoryInfo(nvml_device device, void *filled)
{
	struct nvml_memory_v1 memory = {.total = 80ull << 30, .used = 6ull << 30};

	ENTER(device);
	memcpy(filled, &memory, sizeof(memory));
	return NVML_OK;
}

int nvmlDeviceGetUtilizationRates(nvml_device device, void *filled);
int nvmlDeviceGetUtilizationRates(nvml_device device, void *filled)
{
	struct nvml_utilization percent = {.gpu = 77, .memory = 33};

	ENTER(device);
	memcpy(filled, &percent, sizeof(percent));
	return NVML_OK;
}

int nvmlDeviceGetAccountingMode(nvml_device device, uint32_t *mode);
int nvmlDeviceGetAccountingMode(nvml_device device, uint32_t *mode)
{
	ENTER(device);
	*mode = device->accounting;
	return NVML_OK;
}

/* Rows as long as the script wants them, of processes that run and are of that kind. */
static int list(nvml_device device, uint32_t *nr, void *processes, char kind, size_t stride)
{
	uint32_t room = *nr, found = 0;
	uint64_t now = clock_us();
	char *to = processes;

	for (uint32_t i = 0; i < device->processes; i++) {
		const struct fake_process *from = &device->process[i];
		struct {
			struct nvml_process row;
			uint64_t more;
		} row = {.row = {from->pid, from->kib * 1024, device->mig ? 1 : UINT32_MAX,
				 device->mig ? 0 : UINT32_MAX}};

		if (!strchr(from->kinds, kind) || !is_on(from->from_ms, from->until_ms, now))
			continue;
		if (found++ < room)
			memcpy(to + (found - 1) * stride, &row, stride);
	}
	*nr = found;
	return found > room ? NVML_INSUFFICIENT_SIZE : NVML_OK;
}

#ifdef OLD_NVML

int nvmlDeviceGetComputeRunningProcesses(nvml_device device, uint32_t *nr, void *processes);
int nvmlDeviceGetComputeRunningProcesses(nvml_device device, uint32_t *nr, void *processes)
{
	ENTER(device);
	return list(device, nr, processes, 'c', NVML_PROCESS_V1_BYTES);
}

#else

int nvmlSystemGetNVMLVersion(char *text, uint32_t bytes);
int nvmlSystemGetNVMLVersion(char *text, uint32_t bytes)
{
	snprintf(text, bytes, "13.999.1");
	return NVML_OK;
}

int nvmlDeviceGetMemoryInfo_v2(nvml_device device, void *filled);
int nvmlDeviceGetMemoryInfo_v2(nvml_device device, void *filled)
{
	struct nvml_memory_v2 *memory = filled;

	ENTER(device);
	if (memory->version != 0x02000028)
		return 25;
	memory->total = 80ull << 30;
	memory->reserved = 1ull << 30;
	memory->used = 5ull << 30;
	memory->free = 74ull << 30;
	return NVML_OK;
}

int nvmlDeviceGetMigMode(nvml_device device, uint32_t *current, uint32_t *pending);
int nvmlDeviceGetMigMode(nvml_device device, uint32_t *current, uint32_t *pending)
{
	ENTER(device);
	*current = *pending = device->mig;
	return NVML_OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(nvml_device device, uint32_t *nr, void *processes);
int nvmlDeviceGetComputeRunningProcesses_v3(nvml_device device, uint32_t *nr, void *processes)
{
	ENTER(device);
	return list(device, nr, processes, 'c', fake.stride);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(nvml_device device, uint32_t *nr, void *processes);
int nvmlDeviceGetGraphicsRunningProcesses_v3(nvml_device device, uint32_t *nr, void *processes)
{
	ENTER(device);
	return list(device, nr, processes, 'g', fake.stride);
}

int nvmlDeviceGetMPSComputeRunningProcesses_v3(nvml_device device, uint32_t *nr, void *processes);
int nvmlDeviceGetMPSComputeRunningProcesses_v3(nvml_device device, uint32_t *nr, void *processes)
{
	ENTER(device);
	return list(device, nr, processes, 'm', fake.stride);
}

/* Of the samples since the process began, those it was in. A run like RM's, in whole. */
int nvmlDeviceGetAccountingStats_v2(nvml_device device, void *filled);
int nvmlDeviceGetAccountingStats_v2(nvml_device device, void *filled)
{
	struct nvml_accounting_v2 *stats = filled;
	const struct fake_process *process = NULL;
	uint64_t samples = count_samples();

	ENTER(device);
	for (uint32_t i = 0; i < device->processes; i++)
		if (device->process[i].pid == stats->pid && device->process[i].from_ms <= now_ms())
			process = &device->process[i];
	if (!process || !device->accounting)
		return NVML_NOT_FOUND;
	*stats = (struct nvml_accounting_v2){.pid = process->pid};
	stats->started_us = process->started_us;
	stats->running = is_on(process->from_ms, process->until_ms, clock_us());
	for (uint64_t k = 0; k < samples; k++) {
		const struct fake_share *share;

		if (!is_on(process->from_ms, process->until_ms, sample_us(k)))
			continue;
		stats->samples++;
		share = resident(device, k);
		if (share && share->pid == process->pid) {
			stats->gpu_sum += share->percent * 100;
			stats->memory_sum += share->percent * 50;
		}
	}
	return NVML_OK;
}

#endif

int nvmlDeviceGetAccountingPids(nvml_device device, uint32_t *nr, uint32_t *pids);
int nvmlDeviceGetAccountingPids(nvml_device device, uint32_t *nr, uint32_t *pids)
{
	uint32_t found = 0;
	int64_t ms = now_ms();

	ENTER(device);
	for (uint32_t i = 0; i < device->processes && found < *nr; i++)
		if (device->process[i].from_ms <= ms)
			pids[found++] = device->process[i].pid;
	*nr = found;
	return NVML_OK;
}

/* A process's part of all samples of the time; how many rows there are then. */
static uint32_t add_mean(struct nvml_process_sample *rows, uint32_t nr,
			 const struct fake_share *share, uint64_t us)
{
	uint32_t i = 0;

	while (i < nr && (fake.single || rows[i].pid != share->pid))
		i++;
	if (i == nr)
		memset(&rows[nr++], 0, sizeof(rows[i]));
	rows[i].pid = share->pid;
	rows[i].us = us;
	rows[i].sm += share->percent;
	rows[i].memory += share->percent / 2;
	return nr;
}

/* As seen with real ones: values from somewhere, times from another age, nobody's rows. */
static uint32_t add_garbage(const struct nvml_device_handle *device,
			    struct nvml_process_sample *rows, uint32_t nr)
{
	const struct nvml_process_sample kinds[] = {
		{.pid = 50554, .us = clock_us(), .sm = 37100},
		{.pid = 50554, .us = clock_us(), .encoder = 101},
		{.pid = 50554, .us = clock_us(), .decoder = 50624},
		{.pid = 50554, .us = clock_us(), .memory = 256},
		{.pid = 50554, .us = 49936, .sm = 10},
		{.pid = UINT32_MAX, .us = clock_us(), .sm = 10},
		{.pid = 0},
	};

	for (uint32_t i = 0; i < device->garbage; i++)
		rows[nr++] = kinds[i % (sizeof(kinds) / sizeof(kinds[0]))];
	return nr;
}

int nvmlDeviceGetProcessUtilization(nvml_device device, struct nvml_process_sample *samples,
				    uint32_t *nr, uint64_t seen_us);
int nvmlDeviceGetProcessUtilization(nvml_device device, struct nvml_process_sample *samples,
				    uint32_t *nr, uint64_t seen_us)
{
	static struct nvml_process_sample rows[ROWS];
	uint64_t all = count_samples(), k = all > fake.ring ? all - fake.ring : 0, within = 0;
	uint32_t found = 0;

	ENTER(device);
	if (device->mig)
		return NVML_NOT_SUPPORTED;
	for (; k < all; k++) {
		const struct fake_share *share = resident(device, k);

		if (sample_us(k) <= seen_us)
			continue;
		within++;
		if (share && found < ROWS / 2)
			found = add_mean(rows, found, share, sample_us(k));
	}
	for (uint32_t i = 0; i < found && !fake.single; i++) {
		rows[i].sm /= (uint32_t)within;
		rows[i].memory /= (uint32_t)within;
	}
	found = add_garbage(device, rows, found);
	if (found > *nr || !samples) {
		*nr = found;
		return NVML_INSUFFICIENT_SIZE;
	}
	memcpy(samples, rows, found * sizeof(rows[0]));
	*nr = found;
	return found ? NVML_OK : NVML_NOT_FOUND;
}
