/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's samples of memory: where they come from, how often, and where they go. */
#ifndef MLPROF_CMD_AGENT_MEMORY_H
#define MLPROF_CMD_AGENT_MEMORY_H

#include "kernel/kernel.h"
#include "memory/memory.h"
#include "usage/memory_usage.h"

struct agent_memory {
	struct memory_sampler *sampler; /* NULL: there are no samples */
	struct memory_usage *usage;
	unsigned int every; /* drains per sample */
	uint64_t drains;
};

/* Negative errno, after a line in the log, if there will be no samples; the agent goes on. */
int agent_memory_start(struct agent_memory *memory, struct kernel *kernel,
		       const struct hierarchy *hierarchy, struct memory_usage *usage,
		       uint64_t interval_ns);
void agent_memory_stop(struct agent_memory *memory);

/* A cgroup was made or found, or is gone. */
void agent_memory_made(struct agent_memory *memory, uint64_t cgroup, const char *path);
void agent_memory_removed(struct agent_memory *memory, uint64_t cgroup);

/* A drain has ended: takes a sample if it is time. */
void agent_memory_sample(struct agent_memory *memory);

#endif
