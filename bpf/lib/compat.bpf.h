/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every difference between kernels, each told by BTF and never by version. The branch not taken is
 * a constant to the verifier and costs nothing.
 */
#ifndef MLPROF_COMPAT_BPF_H
#define MLPROF_COMPAT_BPF_H

#define PF_KTHREAD 0x00200000

/*
 * The per-CPU runqueues. Not in the BTF of kernels built with a pahole before 1.19 (Debian's 5.10):
 * there the task's own cfs_rq leads to it, also for the idle task and for real-time tasks.
 */
extern const struct rq runqueues __ksym __weak;

static __always_inline const struct rq *rq_of(struct task_struct *task)
{
	if (&runqueues)
		return bpf_this_cpu_ptr(&runqueues);
	return task->se.cfs_rq->rq;
}

/* `state` became `__state` and unsigned in 5.14, commit 2f064a59a11f. */
static __always_inline bool task_is_running(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return !task->__state;
	return !((struct task_struct___state_long *)task)->state;
}

/* The CPU moved from task_struct into its thread_info in 5.16, commit bcf9033e5449. */
static __always_inline u32 task_cpu(struct task_struct *task)
{
	if (bpf_core_field_exists(task->thread_info.cpu))
		return task->thread_info.cpu;
	return ((struct task_struct___own_cpu *)task)->cpu;
}

/*
 * Whether rq->clock_task leaves interrupts and steal time out: with CONFIG_IRQ_TIME_ACCOUNTING or
 * CONFIG_PARAVIRT_TIME_ACCOUNTING, which Debian does not set. Each has a field of struct rq.
 */
static __always_inline bool irq_time_is_known(void)
{
	return bpf_core_field_exists(struct rq___irq_time, prev_irq_time) ||
	       bpf_core_field_exists(struct rq___steal_time, prev_steal_time_rq);
}

/* Interrupt and steal time of a CPU so far. */
static __always_inline u64 rq_irq_time(const struct rq *rq)
{
	return rq->clock - rq->clock_task;
}

/*
 * The rq clock at a context switch. Every scheduling class sets se.exec_start to rq->clock_task when
 * a task stops and when one starts. As long as clock_task leaves nothing out it is the clock, and
 * reading it from the task that is not the idle one takes 20 instructions less than finding the rq.
 */
static __always_inline u64 switch_clock(struct task_struct *prev, struct task_struct *next)
{
	if (irq_time_is_known())
		return rq_of(next)->clock;
	return next->pid ? next->se.exec_start : prev->se.exec_start;
}

/* Whether the hierarchy is a v1 one. Written before load. */
const volatile bool cgroup_v1 __weak = false;

/*
 * The cgroup of a task in the hierarchy that pods live in. On cgroup v2 it is the default one. On
 * v1 it is the cpu controller's; what number that has depends on the kernel's configuration, so BTF
 * is asked.
 */
static __always_inline u64 cset_cgroup(struct css_set *cset, bool v1)
{
	if (v1)
		return cset->subsys[bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id)]
			->cgroup->kn->id;
	return cset->dfl_cgrp->kn->id;
}

/* As cset_cgroup(), by reads that cannot fault, for a pointer that is only a number. */
static __always_inline u64 read_cset_cgroup(struct css_set *cset, bool v1)
{
	struct cgroup_subsys_state *css = NULL;

	if (!v1)
		return BPF_CORE_READ(cset, dfl_cgrp, kn, id);
	bpf_core_read(&css, sizeof(css),
		      &cset->subsys[bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id)]);
	return BPF_CORE_READ(css, cgroup, kn, id);
}

/* The account of the task at hand, where nothing more than that is needed of it. */
static __always_inline u64 current_account(void)
{
	struct task_struct *task;
	u64 cgroup;

	if (cgroup_v1) {
		task = (struct task_struct *)bpf_get_current_task();
		cgroup = read_cset_cgroup(BPF_CORE_READ(task, cgroups), true);
	} else {
		cgroup = bpf_get_current_cgroup_id();
	}
	return cgroup == MLPROF_CGROUP_ROOT ? MLPROF_CGROUP_ROOT_TASKS : cgroup;
}

/* The hierarchy whose cgroups are accounts: the default one is number 0. */
const volatile int cgroup_hierarchy __weak = 0;

static __always_inline bool cgroup_is_watched(struct cgroup *cgroup)
{
	return cgroup->root->hierarchy_id == cgroup_hierarchy;
}

/*
 * mark_victim had the pid alone until the task came with it (6.9, commit 72ba14deb40a, and in
 * stable 6.1 and 6.6). What the event's record has tells which.
 */
static __always_inline bool oom_event_has_task(void)
{
	return bpf_core_field_exists(struct trace_event_raw_mark_victim, uid);
}

/*
 * Pages that a process has. Counters per CPU since 6.2, commit f1a7941243c1; what CPUs have not yet
 * told of is missing, at most 31 pages of each kind and CPU, and before up to 63 of each thread.
 */
static __always_inline u64 mm_pages(struct mm_struct *mm)
{
	struct mm_struct___counts *old = (void *)mm;
	s64 pages;

	if (bpf_core_type_exists(struct mm_rss_stat))
		/* Read, as the verifier of that time does not know such an array. */
		pages = BPF_CORE_READ(old, rss_stat.count[MM_FILEPAGES].counter) +
			BPF_CORE_READ(old, rss_stat.count[MM_ANONPAGES].counter) +
			BPF_CORE_READ(old, rss_stat.count[MM_SHMEMPAGES].counter);
	else
		pages = mm->rss_stat[MM_FILEPAGES].count + mm->rss_stat[MM_ANONPAGES].count +
			mm->rss_stat[MM_SHMEMPAGES].count;
	return pages > 0 ? pages : 0;
}

#endif
