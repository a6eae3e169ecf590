// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * On-CPU time, run-queue wait and context switches per cgroup; idle and interrupt time per CPU.
 *
 * The numbers are the kernel's own: se.sum_exec_runtime is what cpu.stat adds up, sched_info is
 * what schedstat shows. A slice is closed when its task is switched out and at a flush; when the
 * task changed cgroup in between, it is cut where that happened.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "mlprof/record.h"
#include "lib/compat.bpf.h"
#include "lib/account.bpf.h"
#include "lib/accounts.bpf.h"
#include "lib/hist.bpf.h"
#include "lib/ring.bpf.h"
#include "lib/emit.bpf.h"
#include "lib/slots.bpf.h"
#include "lib/move.bpf.h"
#include "lib/wait.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define unlikely(x) __builtin_expect(!!(x), 0)

/*
 * Has clang do first what stands first. Left to itself it loads early, runs out of registers and
 * saves them: 10 instructions per switch.
 */
#define in_this_order() asm volatile("" ::: "memory")

/*
 * Whose account a task is on. Kernel threads of the root cgroup are the kernel, and the others of
 * it have a name of their own, so that no slot is ever the root's and switch_common() need not ask.
 */
static __always_inline u64 account_cgroup(struct task_struct *task, struct css_set *cset)
{
	u64 cgroup = cset_cgroup(cset, cgroup_v1);

	if (cgroup != MLPROF_CGROUP_ROOT)
		return cgroup;
	return task->flags & PF_KTHREAD ? MLPROF_CGROUP_KERNEL : MLPROF_CGROUP_ROOT_TASKS;
}

static __always_inline u64 task_cgroup(struct task_struct *task)
{
	return account_cgroup(task, task->cgroups);
}

/* The slice of prev ends: how long it ran, and why it leaves. */
static __always_inline void end_slice(struct account *a, struct mlprof_usage *usage, u64 clock,
				      u64 ran, bool preempt, bool running)
{
	usage->cpu_ns += ran;
	a->clock = clock;
	if (preempt || running)
		usage->switches[MLPROF_SWITCH_PREEMPTED]++;
	else
		usage->switches[MLPROF_SWITCH_VOLUNTARY]++;
}

static __always_inline void begin_slice(struct account *a, struct task_struct *next, u32 slot)
{
	a->slot = slot;
	a->cset = (u64)next->cgroups;
	a->exec = next->se.sum_exec_runtime;
}

/*
 * A wait that is long, or that is none: what came before a move is not known, or the task was never
 * queued, and then its wait seems to have begun when the machine started. ~0 if there was no wait.
 */
static __always_inline u64 doubtful_wait(struct account *a, struct task_struct *next, u64 queued,
					 u64 before)
{
	if (!next->sched_info.last_queued)
		return ~0ULL;
	if (before < WAIT_LONGEST && wait_is_known(next->pid))
		return queued + before;
	if (next->sched_info.pcount) {
		a->waits_unknown++;
		return queued;
	}
	/* The first time on a CPU: all of run_delay is from before. */
	return queued + next->sched_info.run_delay;
}

/* `queued` is how long the task has been on the queue that it was taken from. */
static __always_inline void count_wait(struct account *a, struct mlprof_usage *usage,
				       struct task_struct *next, u64 queued)
{
	u64 before = wait_before_move(next->pid, next->sched_info.run_delay);
	u64 wait = queued + before;

	/* Whatever is wrong makes it long, and most waits are not. */
	if (unlikely(wait > HIST_BOUND(15))) {
		wait = doubtful_wait(a, next, queued, before);
		if (wait == ~0ULL)
			return;
	}
	usage->wait_ns += wait;
	usage->wait_hist[hist_bucket(wait)]++;
}

/* Closes the slice of a task. The first one on a CPU that was not watched is not ours to close. */
static __always_inline void leave_task(struct account *a, u32 cpu, struct task_struct *prev,
				       u64 clock, bool preempt)
{
	u64 exec = prev->se.sum_exec_runtime, cgroup = task_cgroup(prev);
	u32 slot = a->slot;

	wait_leave(prev->pid, prev->sched_info.run_delay);
	if (!a->clock)
		return account_start(a, clock, bpf_ktime_get_ns());
	a->irq_steal_ns += clock - a->clock - (exec - a->exec);
	/* A flush or a move of the task has closed part of the slice, or may have. */
	if (a->cset != (u64)prev->cgroups) {
		account_settle(cpu, prev->pid, exec, cgroup);
		slot = account_claim(cpu, cgroup);
	}
	end_slice(a, account_slot(a, slot), clock, exec - a->exec, preempt, task_is_running(prev));
}

static __always_inline void leave_idle(struct account *a, struct task_struct *idle, u64 clock)
{
	u64 taken = 0;

	if (!a->clock)
		return account_start(a, clock, bpf_ktime_get_ns());
	if (irq_time_is_known())
		taken = rq_irq_time(rq_of(idle)) - a->irq_before;
	a->irq_steal_ns += taken;
	a->idle_ns += clock - a->clock - taken;
	a->clock = clock;
}

static __always_inline void enter_task(struct account *a, u32 cpu, struct task_struct *next,
				       u64 clock)
{
	u64 cgroup = task_cgroup(next);
	u32 slot = account_claim(cpu, cgroup);

	if (a->mono_stale)
		account_compare_clocks(a, bpf_ktime_get_ns());
	begin_slice(a, next, slot);
	count_wait(a, account_slot(a, slot), next, clock - next->sched_info.last_queued);
}

/* A switch of any kind, on any kernel. */
static __noinline int switch_any(struct account *a, struct task_struct *prev,
				 struct task_struct *next, bool preempt)
{
	u64 clock = switch_clock(prev, next);
	u32 cpu = bpf_get_smp_processor_id();

	if (prev->pid)
		leave_task(a, cpu, prev, clock, preempt);
	else
		leave_idle(a, prev, clock);
	if (next->pid)
		enter_task(a, cpu, next, clock);
	else if (irq_time_is_known())
		a->irq_before = rq_irq_time(rq_of(next));
	return 0;
}

/*
 * The switch that most are: from task to task, both with a slot at home, on cgroup v2 and a kernel
 * that keeps no interrupt time apart. Whatever is otherwise goes to switch_any(), before anything
 * has been changed but what that does again.
 */
static __always_inline int switch_common(struct account *a, struct task_struct *prev,
					 struct task_struct *next, bool preempt)
{
	u64 cgroup, clock, ran;
	struct mlprof_usage *to;
	u32 slot;

	if (unlikely(!prev->pid || !next->pid || a->cset != (u64)prev->cgroups))
		goto uncommon;
	wait_leave(prev->pid, prev->sched_info.run_delay);
	in_this_order();
	cgroup = next->cgroups->dfl_cgrp->kn->id;
	slot = account_home(cgroup);
	to = account_slot(a, slot);
	if (unlikely(to->cgroup != cgroup))
		goto uncommon;
	in_this_order();
	clock = next->se.exec_start;
	ran = prev->se.sum_exec_runtime - a->exec;
	if (unlikely(clock - a->clock != ran))
		goto uncommon;
	end_slice(a, account_slot(a, a->slot), clock, ran, preempt, !prev->__state);
	in_this_order();
	begin_slice(a, next, slot);
	count_wait(a, to, next, clock - next->sched_info.last_queued);
	return 0;
uncommon:
	return switch_any(a, prev, next, preempt);
}

/* Of the next two one is loaded; user/kernel/probe.c knows which. */
SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct account *a = account_of(bpf_get_smp_processor_id());

	return a ? switch_common(a, prev, next, preempt) : 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch_general, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct account *a = account_of(bpf_get_smp_processor_id());

	return a ? switch_any(a, prev, next, preempt) : 0;
}

/* A new task has waited for nothing yet, whatever the last one with its pid has left behind. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	wait_leave(child->pid, 0);
	return 0;
}

/* Slots written by one call, so that an interrupt of it stays short: about 20 us. */
#define FLUSH_SLOTS 64

/* As task_cgroup(), for a task whose pointer the verifier of 5.10 cannot know to be one. */
static __always_inline u64 read_task_cgroup(struct task_struct *task)
{
	struct css_set *cset = BPF_CORE_READ(task, cgroups);
	u64 cgroup = read_cset_cgroup(cset, cgroup_v1);

	if (cgroup == MLPROF_CGROUP_ROOT && BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return MLPROF_CGROUP_KERNEL;
	return cgroup == MLPROF_CGROUP_ROOT ? MLPROF_CGROUP_ROOT_TASKS : cgroup;
}

/*
 * What the running task has executed up to now. As long as nothing is taken from it that is the
 * clock; else it is what the kernel had counted at the last tick, and what has come since.
 */
static __always_inline u64 exec_now(struct account *a, struct task_struct *task, u64 clock,
				    u64 irq_time)
{
	s64 since;

	if (!irq_time_is_known())
		return a->exec + (clock - a->clock);
	since = clock - irq_time - BPF_CORE_READ(task, se.exec_start);
	return BPF_CORE_READ(task, se.sum_exec_runtime) + (since > 0 ? since : 0);
}

static __always_inline void close_task(struct account *a, u32 cpu, struct task_struct *task,
				       u64 clock, u64 irq_time)
{
	u64 exec = exec_now(a, task, clock, irq_time), cgroup = read_task_cgroup(task);

	a->irq_steal_ns += clock - a->clock - (exec - a->exec);
	account_settle(cpu, (u32)bpf_get_current_pid_tgid(), exec, cgroup);
	account_charge(a, cpu, cgroup, exec - a->exec);
	a->exec = exec;
}

static __always_inline u64 read_irq_time(struct task_struct *task)
{
	struct rq *rq = BPF_CORE_READ(task, se.cfs_rq, rq);

	if (!irq_time_is_known())
		return 0;
	return BPF_CORE_READ(rq, clock) - BPF_CORE_READ(rq, clock_task);
}

/* Closes the slice that runs on this CPU at the given time; it goes on as a new one. */
static __always_inline void close_slice(struct account *a, u32 cpu, u64 mono)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	/* rq->clock itself may be old: by a tick on a busy CPU, by seconds on an idle one. */
	u64 clock = mono - a->mono_ahead, irq_time = read_irq_time(task);

	if (BPF_CORE_READ(task, pid)) {
		close_task(a, cpu, task, clock, irq_time);
	} else {
		a->irq_steal_ns += irq_time - a->irq_before;
		a->idle_ns += clock - a->clock - (irq_time - a->irq_before);
		a->irq_before = irq_time;
	}
	a->clock = clock;
	a->cset = 0;
	a->elapsed_ns += mono - a->mono;
	a->mono = mono;
	a->mono_stale = 1;
}

/* The last record of a flush: what belongs to the CPU and to no cgroup. */
static __always_inline int emit_cpu(struct account *a, u32 cpu)
{
	struct mlprof_record_cpu *record;
	void *ring = ring_of(cpu);

	if (!ring)
		return -1;
	record = bpf_ringbuf_reserve(ring, sizeof(*record), 0);
	if (!record)
		return -1;
	record->header.kind = MLPROF_RECORD_CPU;
	record->header.cpu = cpu;
	record->mono_ns = a->mono;
	record->elapsed_ns = a->elapsed_ns;
	record->idle_ns = a->idle_ns;
	record->irq_steal_ns = a->irq_steal_ns;
	record->unattributed_ns = a->unattributed_ns;
	record->unattributed_wait_ns = a->unattributed_wait_ns;
	record->overflowed = a->overflowed;
	record->orphaned = a->orphaned;
	record->waits_unknown = a->waits_unknown;
	record->moves_unknown = a->moves_unknown;
	record->events_lost = a->events_lost;
	record->padding = 0;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	account_reported(a);
	return 0;
}

/*
 * Run by user space on each CPU at every drain (BPF_PROG_TEST_RUN on that CPU), never attached.
 * Argument 0 is the CPU; argument 1 is set if it is offline, and then this runs on any other.
 */
SEC("raw_tp")
int flush(struct bpf_raw_tracepoint_args *ctx)
{
	u32 cpu = ctx->args[0];
	bool offline = ctx->args[1];
	struct account *a = account_of(cpu);

	if (!a)
		return MLPROF_FLUSH_DONE;
	if (offline)
		account_stop(a, bpf_ktime_get_ns());
	else if (a->clock)
		close_slice(a, cpu, bpf_ktime_get_ns());
	for (u32 i = 0; i < FLUSH_SLOTS && a->nr_dirty; i++)
		if (account_pop(cpu))
			return MLPROF_FLUSH_FULL;
	if (a->nr_dirty)
		return MLPROF_FLUSH_MORE;
	if (!a->mono)
		return MLPROF_FLUSH_DONE;
	return emit_cpu(a, cpu) ? MLPROF_FLUSH_FULL : MLPROF_FLUSH_DONE;
}

/* A CPU has died: its account ends here and not at the next drain, when it may be back. */
SEC("tp_btf/cpuhp_exit")
int BPF_PROG(on_cpu_dead, u32 cpu, int state, int step, int ret)
{
	struct account *a;

	if (ret || step != bpf_core_enum_value(enum cpuhp_state, CPUHP_TEARDOWN_CPU))
		return 0;
	a = account_of(cpu);
	if (a)
		account_stop(a, bpf_ktime_get_ns());
	return 0;
}

/*
 * The account of the CPU that runs a task that is being moved, or is about to: it is on_cpu only
 * after the switch to it has been told. NULL if it sleeps.
 */
static __always_inline struct account *account_of_moving(struct task_struct *task)
{
	return task->on_cpu || task->on_rq ? account_of(task_cpu(task)) : NULL;
}

/* As much as cpu.stat has charged until now to the cgroup that the task is about to leave. */
static __always_inline void note_move(struct task_struct *task, struct css_set *to)
{
	struct account *a = account_of_moving(task);

	if (!a)
		return;
	a->move_began = bpf_ktime_get_ns();
	move_note(a, task->pid, task->se.sum_exec_runtime, account_cgroup(task, to));
}

/*
 * Called for each task at the very place where its time begins to go to another cgroup, with
 * interrupts off: no tick of this CPU comes between. New tasks come here too, before they are
 * queued.
 */
SEC("fentry/cgroup_move_task")
int BPF_PROG(on_move, struct task_struct *task, struct css_set *to)
{
	note_move(task, to);
	return 0;
}

/*
 * A task on another CPU goes on meanwhile, and that function waits for its runqueue, which a tick
 * there may hold: what the tick charges still goes to the cgroup before.
 */
SEC("fexit/cgroup_move_task")
int BPF_PROG(on_moved, struct task_struct *task, struct css_set *to)
{
	struct account *a = account_of_moving(task);

	if (a)
		move_amend(a, task->pid, task->se.sum_exec_runtime, account_cgroup(task, to),
			   charged_before_move(a, task->se.exec_start, bpf_ktime_get_ns()));
	return 0;
}

/* For kernels without that function: a little late, and only the leader of a group. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_move_late, struct cgroup *to, const char *path, struct task_struct *leader)
{
	struct account *a = account_of_moving(leader);

	if (a)
		move_note_late(a, leader->pid, leader->se.sum_exec_runtime, task_cgroup(leader));
	return 0;
}
