/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent is told on its command line. */
#ifndef MLPROF_CMD_AGENT_H
#define MLPROF_CMD_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "owner/names.h"

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

#endif
