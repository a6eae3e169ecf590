// SPDX-License-Identifier: Apache-2.0
/* Busy time of processes on a device, as samples or as sums: which, and what is believed of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gpu/nvml_survey_internal.h"

#define NS_PER_US	1000u
#define SAMPLE_ROOM	1024u
#define SAMPLE_ROOM_MAX 65536u
#define PID_ROOM	8192u
#define ENDED_MAX	32768u
#define CLOCK_NEAR_US	60000000u /* the driver keeps samples for less */
#define AHEAD_US	1000000u
#define STEP_US		500000u
#define PID_NONE	UINT32_MAX

static uint64_t now_us(const struct surveyed_device *device)
{
	return clock_ns(device->clock) / NS_PER_US;
}

static bool is_near(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) < CLOCK_NEAR_US;
}

/* The driver numbers samples by "CPU time": which clock that is, its first samples tell. */
static bool find_clock(struct surveyed_device *device, uint64_t sample_us)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_MONOTONIC};

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]) && !device->clock_known; i++) {
		if (!is_near(clock_ns(clocks[i]) / NS_PER_US, sample_us))
			continue;
		device->clock = clocks[i];
		device->clock_known = true;
	}
	return device->clock_known;
}

/* Rows of memory that the library did not set, and the like, were seen with several drivers. */
static bool is_sane(const struct nvml_process_sample *sample)
{
	return sample->pid && sample->pid != PID_NONE && sample->us && sample->sm <= 100 &&
	       sample->memory <= 100 && sample->encoder <= 100 && sample->decoder <= 100;
}

/* Keeps what can be meant, at the start of `survey->sample`; how many. */
static uint32_t keep_sane(struct nvml_survey *survey, struct nvml_message_device *told, uint32_t nr)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < nr; i++) {
		const struct nvml_process_sample *sample = &survey->sample[i];

		if (is_sane(sample) && kept < NVML_SAMPLES_MAX)
			survey->sample[kept++] = *sample;
		else if (sample->pid || sample->us)
			told->samples_lost++;
	}
	return kept;
}

static uint32_t keep_within(struct nvml_survey *survey, struct nvml_message_device *told,
			    uint32_t nr, uint64_t from_us, uint64_t most_us)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < nr; i++) {
		if (survey->sample[i].us > from_us && survey->sample[i].us <= most_us)
			survey->sample[kept++] = survey->sample[i];
		else
			told->samples_lost++;
	}
	return kept;
}

static uint64_t newest(const struct nvml_survey *survey, uint32_t nr, uint64_t least_us)
{
	for (uint32_t i = 0; i < nr; i++)
		if (survey->sample[i].us > least_us)
			least_us = survey->sample[i].us;
	return least_us;
}

static bool make_room(struct nvml_survey *survey, uint32_t room)
{
	void *memory = reallocarray(survey->sample, room, sizeof(*survey->sample));

	if (!memory)
		return false;
	survey->sample = memory;
	survey->sample_room = room;
	return true;
}

/* Some versions do not say how much room they want, others want more the next time. */
static int call_samples(struct nvml_survey *survey, struct surveyed_device *device, uint32_t *nr)
{
	uint64_t since_us = device->clock_known ? device->seen_us : 0;
	uint32_t room = survey->sample_room ? survey->sample_room : SAMPLE_ROOM;
	int result = NVML_INSUFFICIENT_SIZE;

	while (result == NVML_INSUFFICIENT_SIZE && room <= SAMPLE_ROOM_MAX) {
		if (room > survey->sample_room && !make_room(survey, room))
			return NVML_UNKNOWN;
		memset(survey->sample, 0, survey->sample_room * sizeof(*survey->sample));
		*nr = survey->sample_room;
		result = survey->library.call.samples(device->handle, survey->sample, nr, since_us);
		room = *nr > 2 * room ? *nr : 2 * room;
	}
	if (*nr > survey->sample_room)
		*nr = survey->sample_room;
	return result;
}

static int send_samples(struct nvml_survey *survey, const struct surveyed_device *device,
			uint32_t nr)
{
	struct nvml_message message;
	uint32_t sent = 0;
	int err = 0;

	while (sent < nr && !err) {
		nvml_message_init(&message, NVML_MESSAGE_SAMPLES, device->index);
		for (; sent < nr && message.count < NVML_SAMPLES_PER_MESSAGE; sent++) {
			const struct nvml_process_sample *from = &survey->sample[sent];
			struct nvml_message_sample *to = &message.body.sample[message.count++];

			to->pid = from->pid;
			to->us = from->us;
			to->percent[0] = (uint8_t)from->sm;
			to->percent[1] = (uint8_t)from->memory;
			to->percent[2] = (uint8_t)from->encoder;
			to->percent[3] = (uint8_t)from->decoder;
		}
		err = survey->send(survey->context, &message);
	}
	return err;
}

/* When the driver was asked, by its clock and by one that is never set. */
struct moment {
	uint64_t us, ns;
};

static struct moment moment_of(const struct surveyed_device *device)
{
	return (struct moment){.us = now_us(device), .ns = clock_ns(CLOCK_MONOTONIC)};
}

/* The clock was set in between: how long that was, and what is since when, is not known. */
static bool has_stepped(const struct surveyed_device *device, const struct moment *end)
{
	uint64_t passed_us = (end->ns - device->seen_ns) / NS_PER_US;
	uint64_t counted_us = end->us - device->seen_us;

	return end->us < device->seen_us ||
	       (passed_us > counted_us ? passed_us - counted_us : counted_us - passed_us) > STEP_US;
}

/*
 * A stretch ends when it was asked for, or with a sample that was taken meanwhile, which is in the
 * answer. Samples before the first time are not credited.
 */
static uint32_t set_stretch(struct nvml_survey *survey, struct surveyed_device *device,
			    struct nvml_message_device *told, uint32_t nr, struct moment asked)
{
	struct moment end = {.us = newest(survey, nr, asked.us)};

	if (end.us > now_us(device) + AHEAD_US)
		end.us = asked.us;
	end.ns = asked.ns + (end.us - asked.us) * NS_PER_US;
	told->to_us = end.us;
	told->from_us = !device->seen_ns || has_stepped(device, &end) ? end.us : device->seen_us;
	device->seen_us = end.us;
	device->seen_ns = end.ns;
	return told->from_us < end.us ? keep_within(survey, told, nr, told->from_us, end.us) : 0;
}

static int take_samples(struct nvml_survey *survey, struct surveyed_device *device,
			struct nvml_message_device *told, uint32_t nr, struct moment asked)
{
	nr = keep_sane(survey, told, nr);
	if (nr && !device->clock_known) {
		if (!find_clock(device, newest(survey, nr, 0))) {
			survey_why(told, "samples are not timed by a clock of this machine");
			return 0;
		}
		/* They were asked for without a time, and are of any: this is where it begins. */
		asked = moment_of(device);
		device->seen_ns = 0;
	}
	nr = set_stretch(survey, device, told, nr, asked);
	told->samples = nr;
	told->busy_source = NVML_BUSY_SAMPLES;
	return send_samples(survey, device, nr);
}

static int read_samples(struct nvml_survey *survey, struct surveyed_device *device,
			struct nvml_message_device *told)
{
	struct moment asked = moment_of(device);
	uint32_t nr = 0;
	int result = call_samples(survey, device, &nr);

	if (is_lost(result)) {
		survey_why(told, "%s", nvml_result_text(result));
		return -EIO;
	}
	if (result == NVML_NOT_FOUND)
		nr = 0;
	else if (result) {
		survey_why(told, "no samples of processes: %s (%d)", nvml_result_text(result),
			   result);
		device->seen_ns = 0;
		return 0;
	}
	return take_samples(survey, device, told, nr, asked);
}

static bool is_running(const struct nvml_survey *survey, uint32_t pid)
{
	for (uint32_t i = 0; i < survey->processes; i++)
		if (survey->process[i].pid == pid)
			return true;
	return false;
}

/* Whether the account of `pid` can have changed since it was last read. */
static bool is_wanted(const struct nvml_survey *survey, const struct surveyed_device *device,
		      uint32_t pid)
{
	uint32_t value;

	if (is_running(survey, pid))
		return true;
	return device->accounting_begun && !idmap_get(&device->ended, pid, &value);
}

/*
 * The driver keeps the accounts of thousands of processes that have ended, and each costs a call:
 * those of before the first time, and those that were read after their end, are left alone.
 */
static void note_ended(struct surveyed_device *device, uint32_t pid)
{
	idmap_put(&device->ended, pid, 1);
}

static bool read_account(struct nvml_survey *survey, struct surveyed_device *device, uint32_t pid,
			 struct nvml_message_accounting *account)
{
	struct nvml_accounting_v2 stats = {.pid = pid};

	if (survey->library.call.accounting(device->handle, &stats))
		return false;
	if (stats.running)
		idmap_remove(&device->ended, pid);
	else
		note_ended(device, pid);
	*account = (struct nvml_message_accounting){.pid = pid,
						    .samples = stats.samples,
						    .sum = {stats.gpu_sum, stats.memory_sum},
						    .started_us = stats.started_us};
	return true;
}

static int send_accounts(struct nvml_survey *survey, struct surveyed_device *device,
			 struct nvml_message_device *told, uint32_t nr)
{
	struct nvml_message message;
	int err = 0;

	nvml_message_init(&message, NVML_MESSAGE_ACCOUNTING, device->index);
	for (uint32_t i = 0; i < nr && !err; i++) {
		if (!is_wanted(survey, device, survey->pid[i])) {
			note_ended(device, survey->pid[i]);
			continue;
		}
		if (told->accountings == NVML_ACCOUNTING_MAX ||
		    !read_account(survey, device, survey->pid[i],
				  &message.body.accounting[message.count])) {
			told->samples_lost++;
			continue;
		}
		told->accountings++;
		if (++message.count < NVML_ACCOUNTINGS_PER_MESSAGE)
			continue;
		err = survey->send(survey->context, &message);
		nvml_message_init(&message, NVML_MESSAGE_ACCOUNTING, device->index);
	}
	if (message.count && !err)
		err = survey->send(survey->context, &message);
	return err;
}

/* 0, and nothing told, if this device has no accounting that can be used. */
static int read_accounting(struct nvml_survey *survey, struct surveyed_device *device,
			   struct nvml_message_device *told)
{
	const struct nvml_calls *call = &survey->library.call;
	uint32_t mode = 0, nr = PID_ROOM;
	int result, err;

	if (!call->accounting || !call->accounting_pids || !call->accounting_mode ||
	    device->accounting_fails || call->accounting_mode(device->handle, &mode) || mode != 1)
		return 0;
	if (!survey->pid)
		survey->pid = calloc(PID_ROOM, sizeof(*survey->pid));
	result = survey->pid ? call->accounting_pids(device->handle, &nr, survey->pid)
			     : NVML_UNKNOWN;
	if (is_lost(result)) {
		survey_why(told, "%s", nvml_result_text(result));
		return -EIO;
	}
	if (result || nr > PID_ROOM) {
		device->accounting_fails = true;
		return 0;
	}
	/* To forget who has ended is to begin anew, or they would be told once more. */
	if (device->ended.nr >= ENDED_MAX) {
		idmap_free(&device->ended);
		device->accounting_begun = false;
	}
	told->busy_source = NVML_BUSY_ACCOUNTING;
	told->ns = clock_ns(CLOCK_MONOTONIC);
	err = send_accounts(survey, device, told, nr);
	device->accounting_begun = true;
	return err;
}

int survey_busy(struct nvml_survey *survey, struct surveyed_device *device,
		struct nvml_message_device *told)
{
	int err;

	if (told->mig) {
		device->seen_ns = 0;
		survey_why(told, "MIG is on: NVML does not say how busy processes keep the GPU");
		return 0;
	}
	err = read_accounting(survey, device, told);
	if (err || told->busy_source)
		return err;
	if (survey->library.call.samples)
		return read_samples(survey, device, told);
	survey_why(told, "this version of NVML does not say how busy processes keep the GPU");
	return 0;
}
