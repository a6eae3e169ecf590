/* SPDX-License-Identifier: Apache-2.0 */
/* The agent: what it is told on its command line, what it holds, and its parts. */
#ifndef MLPROF_CMD_AGENT_H
#define MLPROF_CMD_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "cmd/agent_gpu.h"
#include "cmd/agent_memory.h"
#include "expose/http.h"
#include "kernel/kernel.h"
#include "owner/hierarchy.h"
#include "owner/names.h"
#include "owner/owners.h"
#include "usage/usage.h"

/* When the kernel measures what the programs cost, which itself costs each run two clock reads. */
enum stats_mode {
	STATS_NEVER,
	STATS_SAMPLED,
	STATS_ALWAYS
};

struct agent_options {
	const char *listen;	 /* HOST:PORT; "" for none */
	const char *socket;	 /* path; "" for none */
	const char *cgroup_root; /* NULL: find it */
	uint64_t interval_ns;	 /* between drains */
	uint64_t keep_ns;	 /* how long owners that are gone are shown */
	uint64_t ring_bytes;	 /* all rings together; 0: default */
	uint64_t slots;		 /* per CPU; 0: default */
	uint64_t most_owners;
	uint64_t most_pods;
	const char *gpu_in_order; /* drivers with commas between them; "" for none */
	const char *gpu_root;	  /* where /proc and /sys tell of GPUs */
	struct names_options names;
	enum stats_mode stats;
	enum log_format log_format;
	enum log_level log_level;
};

/*
 * Reads the options. 0 to go on; else the exit status plus one, after saying why on stderr, or the
 * help on stdout.
 */
int agent_options_read(struct agent_options *options, int argc, char **argv);

struct agent {
	struct agent_options options;
	struct hierarchy hierarchy;
	struct owners *owners;
	struct usage *usage;
	struct agent_memory memory;
	struct agent_gpu gpu;
	struct names *names;
	uint64_t names_ns; /* when the answer came that was learnt last */
	struct kernel *kernel;
	struct snapshot_board *board;
	struct http *http;
	uint64_t start_realtime_ns;
	uint64_t drains, drain_ns;
	uint64_t swept_at_losses; /* events that had been lost at the last sweep */
	bool removals_unknown;	  /* the kernel does not tell which cgroups are gone */
	int last_error;		  /* of a drain; told once, not at every tick */
	bool usage_error;	  /* start() failed because of what it was asked for */
};

/* agent_records.c: who takes the records of a drain. */
struct record_sink agent_sink(struct agent *agent);

/* agent_publish.c: makes a snapshot of all that is known and publishes it. 0 or -ENOMEM. */
int agent_publish(struct agent *agent);

#endif
