/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of NVIDIA's GPUs and their processes, put together from messages. */
#ifndef MLPROF_GPU_NVML_STATE_H
#define MLPROF_GPU_NVML_STATE_H

#include "gpu/busy_accounting.h"
#include "gpu/busy_rows.h"
#include "gpu/busy_samples.h"
#include "gpu/nvml_abi.h"
#include "gpu/nvml_message.h"

/* Lists in the making. */
struct nvml_pending {
	struct nvml_message_process process[NVML_PROCESSES_MAX];
	struct busy_sample sample[NVML_SAMPLES_MAX];
	struct busy_account account[NVML_ACCOUNTING_MAX];
	uint32_t processes, samples, accounts;
	bool overrun; /* more came than can be */
};

/* Its place in the list is the library's index; it keeps its times when it moves. */
struct nvml_device_state {
	struct nvml_message_device last;      /* as it was told in the tick `tick` */
	struct nvml_message_process *process; /* `processes` of them, if NVML_KNOWN_PROCESSES */
	uint32_t processes;
	uint64_t tick; /* 0: nothing was told yet */
	uint64_t ns;   /* when it was told, CLOCK_MONOTONIC */
	/* Busy time by process, from whatever source, since the state began. */
	struct busy_rows busy;
	struct busy_samples samples;
	struct busy_accounting accounting;
	uint64_t processes_lost, samples_lost; /* did not fit or made no sense, since the start */
	struct nvml_pending *pending;
};

/* All zeros is one that has been told nothing. */
struct nvml_state {
	struct nvml_hello hello; /* of the helper that runs or ran last */
	bool greeted;
	char why[400];	       /* that the helper gave for ending, "" if none */
	int asking;	       /* the device that it was asking about, -1: none */
	uint64_t tick, end_ns; /* of the last tick that came to its end; CLOCK_MONOTONIC */
	struct nvml_device_state *device[NVML_DEVICES_MAX];
	uint64_t torn;	    /* devices whose lists were not as long as they were said to be */
	uint64_t no_memory; /* messages that were dropped for want of it */
};

/* A helper begins: what another one left unfinished does not count. */
void nvml_state_restart(struct nvml_state *state);

/* Takes in a message that nvml_message_read() gave, which came at `ns`, CLOCK_MONOTONIC. */
void nvml_state_receive(struct nvml_state *state, const struct nvml_message *message, uint64_t ns);

/* Busy time that was credited and the time it is out of, in ns: the first is never more. */
uint64_t nvml_device_busy_ns(const struct nvml_device_state *device, enum busy_engine engine);
uint64_t nvml_device_observed_ns(const struct nvml_device_state *device);

void nvml_state_free(struct nvml_state *state);

#endif
