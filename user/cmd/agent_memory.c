// SPDX-License-Identifier: Apache-2.0
/* Memory is sampled at every drain by the kernel's walk, and more seldom by reading files. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cmd/agent_memory.h"

/* Reading the files of 250 pods takes a hundred times what the walk takes (docs/performance.md). */
#define FILES_EVERY_NS 10000000000ull

static int walk(void *source, memory_visit *visit, void *context)
{
	return kernel_memory_sample(source, visit, context);
}

int agent_memory_start(struct agent_memory *memory, struct kernel *kernel,
		       const struct hierarchy *hierarchy, struct memory_usage *usage,
		       uint64_t interval_ns)
{
	struct memory_options options = {.hierarchy = hierarchy, .source = kernel};
	int err;

	memory->usage = usage;
	memory->every = 1;
	if (!kernel_memory_open(kernel, hierarchy->root_fd))
		options.walk = walk;
	else if (interval_ns < FILES_EVERY_NS)
		memory->every = (unsigned int)(FILES_EVERY_NS / interval_ns);
	err = memory_sampler_open(&options, &memory->sampler);
	if (err)
		log_warn("going on without samples of memory: %s", strerror(-err));
	return err;
}

void agent_memory_stop(struct agent_memory *memory)
{
	memory_sampler_close(memory->sampler);
}

void agent_memory_made(struct agent_memory *memory, uint64_t cgroup, const char *path)
{
	/* One that is gone already, or is one too many, is counted by the sampler. */
	if (memory->sampler)
		memory_sampler_add(memory->sampler, cgroup, path);
}

void agent_memory_removed(struct agent_memory *memory, uint64_t cgroup)
{
	memory_usage_removed(memory->usage, cgroup);
	if (memory->sampler)
		memory_sampler_remove(memory->sampler, cgroup);
}

static void take_sample(void *context, const struct mlprof_memory *sample)
{
	memory_usage_sample(context, sample);
}

void agent_memory_sample(struct agent_memory *memory)
{
	if (!memory->sampler || memory->drains++ % memory->every)
		return;
	memory_usage_begin(memory->usage);
	/* What failed is visited at the next drain; until then it has what it had. */
	if (!memory_sample_all(memory->sampler, take_sample, memory->usage))
		memory_usage_end(memory->usage, clock_ns(CLOCK_MONOTONIC));
}
