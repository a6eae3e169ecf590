// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Jobs that DRM drivers give to the kernel's GPU scheduler: who submitted them, how long they
 * waited, and how long they ran.
 *
 * A job passes three events: it is queued in the process that submits it, handed to the ring by a
 * worker of the kernel, and done in an interrupt. Only the first tells whose it is. On a ring that
 * runs one job after the other a job begins when the one before it has ended, however early it was
 * handed over, so it ran from the later of the two.
 *
 * An object of its own: the scheduler is a module, which comes when it likes, and most machines
 * have none. Its events have other names from 6.17 on, so whoever attaches says which.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "mlprof/record.h"
#include "lib/compat.bpf.h"
#include "lib/hist.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * Where the scheduler's types have what is read: they are in the module's BTF, which CO-RE would
 * need CAP_SYS_ADMIN to open. Written by user space once the module is there, before the programs
 * are attached. In bytes.
 */
__u32 job_fence_at = 0;	   /* drm_sched_job.s_fence */
__u32 fence_sched_at = 0;  /* drm_sched_fence.sched */
__u32 sched_name_at = 0;   /* drm_gpu_scheduler.name */
__u32 sched_device_at = 0; /* drm_gpu_scheduler.dev */

/* What could not be told: jobs that found the table full, and jobs done whose beginning is not
 * known, as they began before these programs did. Written by all CPUs. */
__u64 jobs_lost = 0;
__u64 jobs_unknown = 0;

/*
 * Jobs under way, by the address of their fence: one that is used again belongs to a job that is
 * queued later, and takes the place. Written in the three events, which come one after the other
 * for a job, on any CPU. Memory: entries * about 100 bytes, for all CPUs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct mlprof_gpu_job);
} gpu_jobs SEC(".maps");

/* Rings, by the address of their scheduler. Written where one's jobs are done. Memory: 40 KiB. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, u64);
	__type(value, struct mlprof_gpu_ring);
} gpu_rings SEC(".maps");

/* Sums by ring and cgroup, written likewise, read at each drain. Memory: entries * about 210 bytes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, struct mlprof_gpu_user);
	__type(value, struct mlprof_gpu_jobs);
} gpu_sums SEC(".maps");

static __always_inline u64 pointer_at(u64 object, u32 offset)
{
	u64 pointer = 0;

	bpf_probe_read_kernel(&pointer, sizeof(pointer), (void *)(object + offset));
	return pointer;
}

/* Kernel threads submit what drivers do for themselves: page tables, memory that moves. */
static __always_inline u64 submitter(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return MLPROF_CGROUP_KERNEL;
	return current_account();
}

static void read_name(char *to, u64 object, u32 offset)
{
	bpf_probe_read_kernel_str(to, MLPROF_GPU_NAME_MAX, (void *)pointer_at(object, offset));
}

/* Once for each ring; who comes second finds it made. */
static __noinline int add_ring(u64 sched)
{
	struct mlprof_gpu_ring ring = {};
	struct device *device = (void *)pointer_at(sched, sched_device_at);
	const char *name;

	read_name(ring.name, sched, sched_name_at);
	name = BPF_CORE_READ(device, kobj.name);
	bpf_probe_read_kernel_str(ring.device, sizeof(ring.device), name);
	name = BPF_CORE_READ(device, driver, name);
	bpf_probe_read_kernel_str(ring.driver, sizeof(ring.driver), name);
	return (int)bpf_map_update_elem(&gpu_rings, &sched, &ring, BPF_NOEXIST);
}

static __always_inline struct mlprof_gpu_ring *ring_of_sched(u64 sched)
{
	struct mlprof_gpu_ring *ring = bpf_map_lookup_elem(&gpu_rings, &sched);

	if (ring || !sched)
		return ring;
	add_ring(sched);
	return bpf_map_lookup_elem(&gpu_rings, &sched);
}

static __always_inline struct mlprof_gpu_jobs *sums_of(const struct mlprof_gpu_user *user)
{
	static const struct mlprof_gpu_jobs none;
	struct mlprof_gpu_jobs *sums = bpf_map_lookup_elem(&gpu_sums, user);

	if (sums)
		return sums;
	bpf_map_update_elem(&gpu_sums, user, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&gpu_sums, user);
}

/* Jobs of one user may end on two rings at once, but not on one: sums are of one ring. */
static __always_inline void add_job(struct mlprof_gpu_jobs *sums, const struct mlprof_gpu_job *job,
				    u64 begun, u64 now)
{
	sums->jobs++;
	sums->busy_ns += now - begun;
	sums->queue_wait_ns += job->handed_ns - job->queued_ns;
	sums->ring_wait_ns += begun - job->handed_ns;
	sums->naive_ns += now - job->handed_ns;
	sums->ran_hist[hist_bucket(now - begun)]++;
}

/* drm_sched_job, or drm_sched_job_queue: (struct drm_sched_job *, struct drm_sched_entity *) */
SEC("raw_tp")
int on_job_queued(struct bpf_raw_tracepoint_args *ctx)
{
	u64 fence = pointer_at(ctx->args[0], job_fence_at);
	struct mlprof_gpu_job job = {.queued_ns = bpf_ktime_get_ns()};

	job.user.cgroup = submitter();
	if (bpf_map_update_elem(&gpu_jobs, &fence, &job, BPF_ANY))
		__sync_fetch_and_add(&jobs_lost, 1);
	return 0;
}

/* drm_run_job, or drm_sched_job_run: as above */
SEC("raw_tp")
int on_job_handed(struct bpf_raw_tracepoint_args *ctx)
{
	u64 fence = pointer_at(ctx->args[0], job_fence_at);
	struct mlprof_gpu_job *job = bpf_map_lookup_elem(&gpu_jobs, &fence);

	if (job) {
		job->user.ring = pointer_at(fence, fence_sched_at);
		job->handed_ns = bpf_ktime_get_ns();
		/* So that it is known while its first job runs. */
		ring_of_sched(job->user.ring);
	}
	return 0;
}

static __always_inline void job_ended(struct mlprof_gpu_ring *ring, struct mlprof_gpu_job *job,
				      u64 now)
{
	u64 begun = job->handed_ns > ring->done_ns ? job->handed_ns : ring->done_ns;
	struct mlprof_gpu_jobs *sums = sums_of(&job->user);

	/* Another CPU has just seen a later one done. */
	if (begun > now)
		begun = now;
	ring->busy_ns += now - begun;
	if (sums)
		add_job(sums, job, begun, now);
	else
		__sync_fetch_and_add(&jobs_lost, 1);
}

/* drm_sched_process_job, or drm_sched_job_done: (struct drm_sched_fence *) */
SEC("raw_tp")
int on_job_done(struct bpf_raw_tracepoint_args *ctx)
{
	u64 fence = ctx->args[0], now = bpf_ktime_get_ns();
	struct mlprof_gpu_job *job = bpf_map_lookup_elem(&gpu_jobs, &fence);
	struct mlprof_gpu_ring *ring = ring_of_sched(pointer_at(fence, fence_sched_at));

	if (!ring) {
		__sync_fetch_and_add(&jobs_lost, 1);
	} else {
		if (job && job->handed_ns)
			job_ended(ring, job, now);
		else
			__sync_fetch_and_add(&jobs_unknown, 1);
		if (now > ring->done_ns)
			ring->done_ns = now;
	}
	if (job)
		bpf_map_delete_elem(&gpu_jobs, &fence);
	return 0;
}
