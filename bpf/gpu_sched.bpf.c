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
 * need CAP_SYS_ADMIN to open. Written by user space before load. In bytes.
 */
const volatile __u32 job_fence_at = 0;	  /* drm_sched_job.s_fence */
const volatile __u32 job_sched_at = 0;	  /* drm_sched_job.sched */
const volatile __u32 fence_sched_at = 0;  /* drm_sched_fence.sched */
const volatile __u32 sched_name_at = 0;	  /* drm_gpu_scheduler.name */
const volatile __u32 sched_device_at = 0; /* drm_gpu_scheduler.dev */

/*
 * All tables lie in memory that user space has mapped, and an entry is found by a key of 64 bits in
 * one of a few places next to each other: hash tables of the kernel's take three times as long,
 * most of it for memory that comes and goes. Whoever finds a free place takes it by an exchange.
 */
#define WAYS 4

static __always_inline u32 first_place(u64 key, u32 bits)
{
	return key * 0x9e3779b97f4a7c15ULL >> (64 - bits) & ~(WAYS - 1U);
}

static __always_inline bool take_place(u64 *key_of_place, u64 key)
{
	return !__sync_val_compare_and_swap(key_of_place, 0, key);
}

/*
 * Jobs under way, by the address of their fence, which is free again when the job is done. Written
 * in the three events of the job, which come one after the other, on any CPU. Memory: 160 KiB.
 */
#define JOB_BITS 12
struct mlprof_gpu_job gpu_jobs[1 << JOB_BITS];

/*
 * Rings, by the address of their scheduler. Written where their jobs are done, which for one ring
 * is one after the other. Memory: 30 KiB.
 */
#define RING_BITS 8
struct mlprof_gpu_ring gpu_rings[1 << RING_BITS];

/* Sums, by ring and cgroup; written likewise. Memory: 288 KiB. User space gives places back. */
#define SUM_BITS 11
struct mlprof_gpu_jobs gpu_sums[1 << SUM_BITS];

/*
 * What could not be told: jobs that found no place, or whose ring or user found none; and jobs done
 * whose beginning is not known, as it was before these programs came. Written by all CPUs.
 */
__u64 jobs_lost = 0;
__u64 jobs_unknown = 0;

static __always_inline u64 pointer_at(u64 object, u32 offset)
{
	u64 pointer = 0;

	bpf_probe_read_kernel(&pointer, sizeof(pointer), (void *)(object + offset));
	return pointer;
}

/* A job's fence and ring lie side by side in all kernels there are: one read is half of two. */
static __always_inline u64 fence_of_job(u64 job, u64 *sched)
{
	u64 both[2] = {};

	if (job_sched_at + sizeof(u64) != job_fence_at) {
		*sched = pointer_at(job, job_sched_at);
		return pointer_at(job, job_fence_at);
	}
	bpf_probe_read_kernel(both, sizeof(both), (void *)(job + job_sched_at));
	*sched = both[0];
	return both[1];
}

/* Kernel threads submit what drivers do for themselves: page tables, memory that moves. */
static __always_inline u64 submitter(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->flags & PF_KTHREAD ? MLPROF_CGROUP_KERNEL : current_account();
}

static void read_name(char *to, u64 object, u32 offset)
{
	bpf_probe_read_kernel_str(to, MLPROF_GPU_NAME_MAX, (void *)pointer_at(object, offset));
}

/* Once for each ring: the first to hand a job to it. */
static __noinline int name_ring(struct mlprof_gpu_ring *ring, u64 sched)
{
	struct device *device = (void *)pointer_at(sched, sched_device_at);
	const char *name;

	if (!ring)
		return 0;
	read_name(ring->name, sched, sched_name_at);
	name = BPF_CORE_READ(device, kobj.name);
	bpf_probe_read_kernel_str(ring->device, sizeof(ring->device), name);
	name = BPF_CORE_READ(device, driver, name);
	bpf_probe_read_kernel_str(ring->driver, sizeof(ring->driver), name);
	return 0;
}

/* The number of a ring plus one; 0 if there is no place for it. */
static __always_inline u32 ring_of_sched(u64 sched)
{
	u32 first = first_place(sched, RING_BITS);

	for (u32 i = 0; i < WAYS; i++) {
		u32 at = (first + i) & ((1 << RING_BITS) - 1);

		if (gpu_rings[at].id == sched)
			return at + 1;
	}
	for (u32 i = 0; i < WAYS && sched; i++) {
		u32 at = (first + i) & ((1 << RING_BITS) - 1);

		if (take_place(&gpu_rings[at].id, sched)) {
			name_ring(&gpu_rings[at], sched);
			return at + 1;
		}
	}
	return 0;
}

static __always_inline struct mlprof_gpu_job *job_of(u64 fence)
{
	u32 first = first_place(fence, JOB_BITS);

	for (u32 i = 0; i < WAYS; i++) {
		struct mlprof_gpu_job *job = &gpu_jobs[(first + i) & ((1 << JOB_BITS) - 1)];

		if (job->fence == fence)
			return job;
	}
	return NULL;
}

/*
 * A place for a new job. Jobs of a client that was killed are neither handed over nor done, and stay
 * until somebody needs the place: the oldest goes. If it does come back, it is one that is unknown.
 */
static __always_inline struct mlprof_gpu_job *place_for_job(u64 fence)
{
	struct mlprof_gpu_job *job = job_of(fence), *oldest;
	u32 first = first_place(fence, JOB_BITS);

	if (job)
		return job;
	oldest = &gpu_jobs[first & ((1 << JOB_BITS) - 1)];
	for (u32 i = 0; i < WAYS; i++) {
		job = &gpu_jobs[(first + i) & ((1 << JOB_BITS) - 1)];
		if (take_place(&job->fence, fence))
			return job;
		if (job->queued_ns < oldest->queued_ns)
			oldest = job;
	}
	if (oldest->handed_ns)
		__sync_fetch_and_add(&jobs_lost, 1);
	oldest->fence = fence;
	return oldest;
}

/* Ids of cgroups are small numbers: with a ring's they make one word. */
static __always_inline struct mlprof_gpu_jobs *sums_of(u64 cgroup, u32 ring)
{
	u64 key = cgroup << RING_BITS | (ring - 1);
	u32 first = first_place(key + 1, SUM_BITS);

	for (u32 i = 0; i < WAYS; i++) {
		struct mlprof_gpu_jobs *sums = &gpu_sums[(first + i) & ((1 << SUM_BITS) - 1)];

		if (sums->key == key || take_place(&sums->key, key))
			return sums;
	}
	return NULL;
}

static __always_inline void add_job(struct mlprof_gpu_jobs *sums, const struct mlprof_gpu_job *job,
				    u64 begun, u64 now)
{
	sums->jobs++;
	sums->busy_ns += now - begun;
	sums->queue_wait_ns += job->handed_ns - job->queued_ns;
	sums->ring_wait_ns += begun - job->handed_ns;
	sums->ran_hist[hist_bucket(now - begun)]++;
}

/* drm_sched_job, or drm_sched_job_queue: (struct drm_sched_job *, struct drm_sched_entity *) */
SEC("raw_tp")
int on_job_queued(struct bpf_raw_tracepoint_args *ctx)
{
	u64 fence = pointer_at(ctx->args[0], job_fence_at);
	struct mlprof_gpu_job *job;

	if (!fence)
		return 0;
	job = place_for_job(fence);
	job->handed_ns = 0;
	job->cgroup = submitter();
	job->queued_ns = bpf_ktime_get_ns();
	return 0;
}

/* drm_run_job, or drm_sched_job_run: as above */
SEC("raw_tp")
int on_job_handed(struct bpf_raw_tracepoint_args *ctx)
{
	u64 sched, fence = fence_of_job(ctx->args[0], &sched);
	struct mlprof_gpu_job *job = job_of(fence);

	if (!fence || !job)
		return 0;
	job->ring = ring_of_sched(sched);
	job->handed_ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline void job_ended(struct mlprof_gpu_ring *ring, struct mlprof_gpu_job *job,
				      u64 now)
{
	u64 begun = job->handed_ns > ring->done_ns ? job->handed_ns : ring->done_ns;
	struct mlprof_gpu_jobs *sums = sums_of(job->cgroup, job->ring);

	/* Unless another CPU has just seen a later one done. */
	if (begun < now)
		ring->done_ns = now;
	else
		begun = now;
	ring->busy_ns += now - begun;
	if (sums)
		add_job(sums, job, begun, now);
	else
		__sync_fetch_and_add(&jobs_lost, 1);
}

/* The ring of a job that is not known was at it all the same. */
static __noinline int unknown_ended(u64 fence, u64 now)
{
	u32 ring = ring_of_sched(pointer_at(fence, fence_sched_at));

	__sync_fetch_and_add(&jobs_unknown, 1);
	if (ring)
		gpu_rings[(ring - 1) & ((1 << RING_BITS) - 1)].done_ns = now;
	return 0;
}

/* drm_sched_process_job, or drm_sched_job_done: (struct drm_sched_fence *) */
SEC("raw_tp")
int on_job_done(struct bpf_raw_tracepoint_args *ctx)
{
	u64 fence = ctx->args[0], now = bpf_ktime_get_ns();
	struct mlprof_gpu_job *job = job_of(fence);
	struct mlprof_gpu_ring *ring;

	if (!job)
		return unknown_ended(fence, now);
	if (job->handed_ns && job->ring) {
		ring = &gpu_rings[(job->ring - 1) & ((1 << RING_BITS) - 1)];
		job_ended(ring, job, now);
	}
	job->fence = 0;
	return 0;
}
