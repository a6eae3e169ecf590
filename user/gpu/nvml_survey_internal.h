/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the survey share: the devices, and the tick's message in the making. */
#ifndef MLPROF_GPU_NVML_SURVEY_INTERNAL_H
#define MLPROF_GPU_NVML_SURVEY_INTERNAL_H

#include <time.h>

#include "base/idmap.h"
#include "gpu/nvml_library.h"
#include "gpu/nvml_survey.h"

struct surveyed_device {
	nvml_device handle;
	uint32_t index;
	struct nvml_message_device fixed; /* what does not change: names and numbers */
	bool lost;			  /* does not come back before the library is loaded anew */
	char lost_why[160];
	/* Samples. */
	bool clock_known;
	clockid_t clock;	   /* that timestamps of samples follow */
	uint64_t seen_us, seen_ns; /* up to when they were asked for: `clock`, CLOCK_MONOTONIC */
	/* Accounting. */
	bool accounting_begun, accounting_fails;
	struct idmap ended; /* pids that need not be asked for again */
};

struct nvml_survey {
	struct nvml_library library;
	bool initialised;
	nvml_send_fn send;
	void *context;
	struct surveyed_device device[NVML_DEVICES_MAX];
	uint32_t devices;
	uint64_t ticks;
	/* Of the device in hand: */
	struct nvml_message_process process[NVML_PROCESSES_MAX];
	uint32_t processes;
	struct nvml_process_sample *sample; /* room for the library to write to */
	uint32_t sample_room;
	uint32_t *pid;
	uint32_t pid_room;
	unsigned char *list; /* room for a list of processes */
};

/* Whether a call has found out that the device, or the library, is of no use any more. */
static inline bool is_lost(int result)
{
	return result == NVML_GPU_IS_LOST || result == NVML_RESET_REQUIRED;
}

/* Why there is no busy time, or why the device is down; at most as much as there is room for. */
__attribute__((format(printf, 2, 3))) void survey_why(struct nvml_message_device *told,
						      const char *format, ...);

/*
 * Reads the processes of `device` into `survey`, how many into `told`. 0; -EIO if the device is
 * lost, with the reason in `told`; -ENOMEM.
 */
int survey_processes(struct nvml_survey *survey, struct surveyed_device *device,
		     struct nvml_message_device *told);

/* Chooses a source of busy time, reads it and sends what it gave. As above, or errors of sending. */
int survey_busy(struct nvml_survey *survey, struct surveyed_device *device,
		struct nvml_message_device *told);

#endif
