// SPDX-License-Identifier: Apache-2.0
/* What the agent does with each record that a drain brings. */
#include "base/clock.h"
#include "base/log.h"
#include "cmd/agent.h"

static void take_usage(void *context, const struct mlprof_usage *usage)
{
	struct agent *agent = context;

	usage_add(agent->usage, usage);
}

static void take_cpu(void *context, const struct mlprof_record_cpu *record)
{
	struct agent *agent = context;

	usage_add_cpu(agent->usage, record);
}

static void take_cgroup(void *context, const struct mlprof_record_cgroup *record)
{
	struct agent *agent = context;

	if (record->op == MLPROF_CGROUP_REMOVED) {
		owners_removed(agent->owners, record->cgroup, clock_ns(CLOCK_MONOTONIC));
		agent_memory_removed(&agent->memory, record->cgroup);
	} else if (record->path_bytes) {
		owners_made(agent->owners, record->cgroup, record->path);
		agent_memory_made(&agent->memory, record->cgroup, record->path);
	}
}

static void take_stall(void *context, const struct mlprof_stall *stall)
{
	struct agent *agent = context;

	memory_usage_stall(usage_memory(agent->usage), stall);
}

static void take_exited(void *context, uint64_t cgroup, uint64_t rss_bytes)
{
	struct agent *agent = context;

	memory_usage_exited(usage_memory(agent->usage), cgroup, rss_bytes);
}

/* Whoever looks for the reason of a restart finds it here. The event of the cgroup's making may be
 * in a ring that is not read yet. */
static void take_oom(void *context, const struct mlprof_record_oom *record)
{
	static const char *const reasons[] = {
		[MLPROF_OOM_UNKNOWN] = "memory was out",
		[MLPROF_OOM_LIMIT] = "a cgroup reached its memory limit",
		[MLPROF_OOM_MACHINE] = "the machine was out of memory",
	};
	struct agent *agent = context;
	uint32_t number = owners_resolve(agent->owners, record->cgroup);
	const struct owner *owner = number == OWNER_NONE ? NULL : owners_at(agent->owners, number);

	if (!owner)
		log_warn("the kernel kills process %u of a cgroup that is not known: %s",
			 record->pid, reasons[record->reason]);
	else if (owner->is_pod)
		log_warn("the kernel kills process %u of pod %s/%s, container '%s': %s",
			 record->pid, owner->namespace_, owner->pod, owner->container,
			 reasons[record->reason]);
	else
		log_warn("the kernel kills process %u of unit %s: %s", record->pid, owner->unit,
			 reasons[record->reason]);
}

static void take_gpu_call(void *context, const struct mlprof_record_gpu_call *record)
{
	struct agent *agent = context;

	agent_gpu_call(&agent->gpu, record);
}

static void take_gpu_closed(void *context, const struct mlprof_record_gpu_closed *record)
{
	struct agent *agent = context;

	agent_gpu_closed(&agent->gpu, record);
}

struct record_sink agent_sink(struct agent *agent)
{
	return (struct record_sink){
		.context = agent,
		.usage = take_usage,
		.cpu = take_cpu,
		.cgroup = take_cgroup,
		.oom = take_oom,
		.stall = take_stall,
		.exited = take_exited,
		.gpu_call = take_gpu_call,
		.gpu_closed = take_gpu_closed,
	};
}
