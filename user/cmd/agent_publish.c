// SPDX-License-Identifier: Apache-2.0
/* What the agent knows after a drain, put into a snapshot. */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/self.h"
#include "cmd/agent.h"

#define PROGRAMS_MAX 32

static int fill_programs(struct agent *agent, struct snapshot *snap)
{
	struct kernel_program programs[PROGRAMS_MAX];
	size_t nr = kernel_programs(agent->kernel, programs, PROGRAMS_MAX);
	struct program_row *rows = snapshot_alloc(snap, (nr + 1) * sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		rows[i] = (struct program_row){
			.name = programs[i].name,
			.run_ns = programs[i].run_ns,
			.runs = programs[i].runs,
		};
	snap->programs = rows;
	/* Nothing has been measured yet: absent, not zero. */
	snap->nr_programs = snap->self.bpf_stats_ns ? nr : 0;
	return 0;
}

static int fill_features(struct agent *agent, struct snapshot *snap)
{
	size_t nr;
	const struct kernel_feature *features = kernel_features(agent->kernel, &nr);
	struct feature_row *rows = snapshot_alloc(snap, (nr + 1) * sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		rows[i].name = features[i].name;
		rows[i].up = features[i].up;
		rows[i].reason = snapshot_strdup(snap, features[i].reason);
		if (!rows[i].reason)
			return -ENOMEM;
	}
	snap->features = rows;
	snap->nr_features = nr;
	return 0;
}

static void fill_self(struct agent *agent, struct snapshot *snap,
		      const struct kernel_counts *counts)
{
	struct self_stats *self = &snap->self;

	self->cpu_ns = self_cpu_ns();
	self->rss_bytes = self_rss_bytes();
	self->map_bytes = counts->map_bytes;
	self->drains = agent->drains;
	self->drain_ns = agent->drain_ns;
	self->records = counts->records;
	self->bpf_stats_ns = counts->bpf_stats_ns;
	self->ring_size_bytes = counts->ring_size_bytes;
	self->ring_used_bytes = counts->ring_used_bytes;
	self->start_realtime_ns = agent->start_realtime_ns;
}

static void fill_names(struct agent *agent, struct snapshot *snap)
{
	snap->pods = names_get(agent->names, NULL);
	snap->node = agent->options.names.node;
	snap->pods_nameless = owners_nameless(agent->owners);
	names_status(agent->names, snap->names);
	snap->names_ns = clock_ns(CLOCK_MONOTONIC);
}

static void set_losses(struct agent *agent, const struct kernel_counts *counts)
{
	struct memory_counts memory = {0};
	struct usage_losses losses;

	if (agent->memory.sampler)
		memory_sampler_count(agent->memory.sampler, &memory);
	losses = (struct usage_losses){
		.records = counts->malformed,
		.stalls = counts->stalls_lost,
		.memory_malformed = memory.malformed,
		.memory_dropped = memory.dropped,
	};
	agent_gpu_count(&agent->gpu, &losses);
	usage_set_losses(agent->usage, &losses);
}

int agent_publish(struct agent *agent)
{
	struct snapshot *snap = snapshot_new();
	struct kernel_counts counts;
	int err;

	if (!snap)
		return -ENOMEM;
	kernel_count(agent->kernel, &counts);
	set_losses(agent, &counts);
	snap->seq = agent->drains;
	snap->realtime_ns = clock_ns(CLOCK_REALTIME);
	snap->cpus_online = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	fill_self(agent, snap, &counts);
	fill_names(agent, snap);
	err = usage_fill(agent->usage, snap);
	if (!err)
		err = agent_gpu_fill(&agent->gpu, snap);
	if (!err)
		err = fill_programs(agent, snap);
	if (!err)
		err = fill_features(agent, snap);
	if (err) {
		snapshot_put(snap);
		return err;
	}
	snapshot_publish(agent->board, snap);
	return 0;
}
