/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVIDIA's GPUs as seen by the agent: a helper process asks NVML, and this starts it, listens to
 * it, ends it when it is silent, and starts it again. Nothing here waits for it.
 */
#ifndef MLPROF_GPU_NVML_H
#define MLPROF_GPU_NVML_H

#include "gpu/nvml_state.h"

#define NVML_TIMEOUT_NS	     10000000000ull
#define NVML_BACKOFF_NS	     1000000000ull
#define NVML_BACKOFF_MOST_NS 60000000000ull

struct nvml_options {
	const char *library;  /* where to look for it first; may be NULL. Not copied. */
	const char *program;  /* that has the verb nvml-helper; NULL: this one. Not copied. */
	uint32_t interval_ms; /* 0: NVML_INTERVAL_MS */
	uint64_t timeout_ns; /* silence after which it is given up, 6 times as long while it starts;
				0: NVML_TIMEOUT_NS */
	uint64_t backoff_ns; /* until the second start; 0: NVML_BACKOFF_NS */
	uint64_t backoff_most_ns; /* it doubles up to here; 0: NVML_BACKOFF_MOST_NS */
};

struct nvml_status {
	bool up;	 /* the helper runs and has told a whole tick */
	const char *why; /* why not, for people; good until the next nvml_poll(). "" if it is up */
	uint64_t since_ns; /* CLOCK_MONOTONIC at which it became so */
	uint64_t heard_ns; /* likewise, at which the last whole tick came; 0: never */
	uint64_t starts;   /* of helpers */
	uint64_t timeouts; /* helpers that were ended for being silent */
	uint64_t bad;	   /* helpers that were ended for saying what is no message */
};

struct nvml;

/*
 * Starts nothing yet. 0 or -ENOMEM. The helper dies with the thread that calls nvml_poll(): that
 * must be one that lasts as long as the agent does.
 */
int nvml_open(const struct nvml_options *options, struct nvml **nvml);

/*
 * Does what there is to do: starts the helper, takes in what it has said, ends one that is silent.
 * Never waits. To be called about as often as the helper asks, or when nvml_fd() can be read.
 */
void nvml_poll(struct nvml *nvml);

/* To be waited for until it can be read, or -1; another one after each nvml_poll(). */
int nvml_fd(const struct nvml *nvml);

void nvml_get_status(const struct nvml *nvml, struct nvml_status *status);

/* Good until the next nvml_poll(). Devices whose `tick` is not the state's are out of date. */
const struct nvml_state *nvml_get_state(const struct nvml *nvml);

/* Ends the helper, and waits at most a second for that: one that hangs in the driver is left. */
void nvml_close(struct nvml *nvml);

#endif
