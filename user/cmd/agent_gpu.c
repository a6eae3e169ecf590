// SPDX-License-Identifier: Apache-2.0
/* Attaches when a GPU's driver is there, lets go when it is not, and reads at every drain. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cmd/agent_gpu.h"

/* A driver is loaded once in a machine's life; whoever unloads one waits for nobody. */
#define LOOK_EVERY_NS 15000000000ull

void agent_gpu_start(struct agent_gpu *gpu, struct gpu_usage *usage, bool cgroup_v1)
{
	gpu->usage = usage;
	gpu->cgroup_v1 = cgroup_v1;
}

void agent_gpu_stop(struct agent_gpu *gpu)
{
	gpu_jobs_close(gpu->jobs);
}

static void look(struct agent_gpu *gpu, uint64_t now_ns)
{
	const char *why;
	int err;

	if (gpu->looked_ns && now_ns - gpu->looked_ns < LOOK_EVERY_NS)
		return;
	gpu->looked_ns = now_ns;
	if (gpu->jobs && !gpu_jobs_wanted()) {
		log_info("no driver uses the kernel's GPU scheduler any more");
		gpu_jobs_close(gpu->jobs);
		gpu->jobs = NULL;
	}
	if (gpu->jobs)
		return;
	err = gpu_jobs_open(gpu->cgroup_v1, &gpu->jobs, &why);
	if (!err)
		log_info("watching jobs of the kernel's GPU scheduler");
	else if (err != -ENOENT && !gpu->failed)
		log_warn("going on without the jobs of GPUs: %s", why);
	gpu->failed = err && err != -ENOENT;
}

static void take_ring(void *context, const struct mlprof_gpu_ring *ring)
{
	struct agent_gpu *gpu = context;

	gpu_usage_ring(gpu->usage, ring);
}

static void take_jobs(void *context, uint64_t ring, uint64_t cgroup,
		      const struct mlprof_gpu_jobs *jobs)
{
	struct agent_gpu *gpu = context;

	if (!gpu_usage_jobs(gpu->usage, ring, cgroup, jobs))
		gpu_jobs_forget(gpu->jobs, cgroup);
}

static void take_under_way(void *context, uint64_t ring, const struct mlprof_gpu_job *job)
{
	struct agent_gpu *gpu = context;

	gpu_usage_under_way(gpu->usage, ring, job);
}

void agent_gpu_sample(struct agent_gpu *gpu)
{
	const struct gpu_jobs_sink sink = {gpu, take_ring, take_jobs, take_under_way};
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	look(gpu, now_ns);
	if (!gpu->jobs)
		return;
	gpu_usage_begin(gpu->usage, now_ns);
	gpu_jobs_read(gpu->jobs, &sink);
}
