/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tasks that change cgroup while they run. The mover notes when it was and how much the task had
 * run by then; the CPU that runs the task cuts its slice there when it closes it. The mover itself
 * charges nothing, so it and the closing CPU cannot both charge the same time.
 */
#ifndef MLPROF_MOVE_BPF_H
#define MLPROF_MOVE_BPF_H

/* Moves of one task that can be told apart between two closings of its slice. A power of two. */
#define MOVES_KEPT 128

struct move {
	u64 mono;   /* CLOCK_MONOTONIC just after it */
	u64 exec;   /* se.sum_exec_runtime that cpu.stat charged to the cgroup before */
	u64 cgroup; /* the cgroup after */
};

struct moves {
	u32 pid; /* the task, or the leader of the thread group that moved as one */
	u32 nr;	 /* moves ever noted; the last MOVES_KEPT are kept */
	struct move kept[MOVES_KEPT];
};

/*
 * By pid; a task that finds the entry of another takes it. Written under the kernel's cgroup_mutex,
 * so by one at a time; read by any CPU. Memory: 64 * 3 KiB = 192 KiB, whatever the CPUs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct moves);
} moves SEC(".maps") __weak;

static __always_inline struct moves *moves_of(u32 pid)
{
	u32 index = pid & 63;

	return bpf_map_lookup_elem(&moves, &index);
}

static __always_inline void move_note(u32 pid, u64 mono, u64 exec, u64 cgroup)
{
	struct moves *m = moves_of(pid);
	struct move *move;

	if (!m)
		return;
	if (m->pid != pid) {
		m->nr = 0;
		m->pid = pid;
	}
	move = &m->kept[m->nr & (MOVES_KEPT - 1)];
	move->mono = mono;
	move->exec = exec;
	move->cgroup = cgroup;
	m->nr++;
}

/* Threads of a group that moves whose exec is known; of the others the clock tells it. */
#define MOVING_THREADS 16

/*
 * The move that is under way: there is one at a time, under cgroup_mutex. The task may already be
 * in the new cgroup, and leave its CPU, before the kernel tells that it has moved.
 */
struct {
	__u32 tgid; /* the leader's pid, also if only one thread moves */
	__u32 nr;   /* threads below */
	__u64 mono; /* CLOCK_MONOTONIC when it began */
	struct {
		__u32 pid;
		__u32 padding;
		__u64 exec; /* se.sum_exec_runtime when it began */
	} threads[MOVING_THREADS];
} moving;

static __always_inline void moving_add(u32 pid, u64 exec)
{
	u32 at = moving.nr;

	if (at >= MOVING_THREADS)
		return;
	moving.threads[at].pid = pid;
	moving.threads[at].exec = exec;
	moving.nr = at + 1;
}

/*
 * The moves noted for a task, or for the group it is a thread of; NULL if there are none. Its own
 * count only if the last of them is in the running slice: they may be of long ago, the group's of
 * just now.
 */
static __always_inline struct moves *moves_of_task(struct account *a, u32 pid, u32 tgid)
{
	struct moves *m = moves_of(pid);

	if (m && m->pid == pid &&
	    (s64)(m->kept[(m->nr - 1) & (MOVES_KEPT - 1)].mono - a->mono_ahead - a->clock) > 0)
		return m;
	m = moves_of(tgid);
	return m && m->pid == tgid ? m : NULL;
}

/* How much a task had run when the move that is under way began; all of the slice if it is not its.
 */
static __always_inline u64 moving_exec(struct account *a, u32 pid, u32 tgid, u64 exec, u64 clock)
{
	for (u32 i = 0; i < MOVING_THREADS && i < moving.nr; i++)
		if (moving.threads[i].pid == pid)
			return moving.threads[i].exec;
	if (moving.tgid == tgid)
		return exec - (clock - (moving.mono - a->mono_ahead));
	a->moves_unknown++;
	return exec;
}

/* The longest time between two ticks: HZ=100. */
#define TICK_LONGEST_NS 10000000

/*
 * Charges what ran before a move to the cgroup of before; the slice then begins at the move. If a
 * flush has closed the slice since the last tick, that is less than nothing: cpu.stat charges all
 * since the tick to the cgroup after, so the cgroup of before gives back what the flush gave it of
 * that.
 */
static __always_inline void settle_move(struct account *a, u32 cpu, u64 to, u64 at, u64 exec)
{
	s64 before = at - a->exec;

	if (before >= -TICK_LONGEST_NS && (s64)(exec - at) >= 0) {
		account_charge(a, cpu, a->cgroup, before);
		a->exec = at;
	}
	a->cgroup = to;
}

/*
 * Charges the parts of a CPU's running slice that lie before the last move of its task, and lets
 * the slice begin there; does nothing if the task has not moved. `clock`, `exec` and `cgroup` are
 * those of now, pid and tgid the task's as bpf_get_current_pid_tgid() has them. Global for the
 * reason that lib/slots.bpf.h gives. The result says nothing; global functions have one.
 */
__noinline int account_settle(u32 cpu, u64 clock, u64 exec, u64 cgroup, u64 tgid_pid)
{
	u32 pid = (u32)tgid_pid, tgid = tgid_pid >> 32, first;
	struct account *a = account_of(cpu);
	struct moves *m;

	if (!a)
		return 0;
	if (a->slot != ACCOUNT_NO_SLOT)
		a->cgroup = account_slot(a, a->slot)->cgroup;
	a->slot = ACCOUNT_NO_SLOT;
	m = moves_of_task(a, pid, tgid);
	first = m && m->nr > MOVES_KEPT ? m->nr - MOVES_KEPT : 0;
	for (u32 i = 0; m && i < MOVES_KEPT && first + i < m->nr; i++) {
		const struct move *move = &m->kept[(first + i) & (MOVES_KEPT - 1)];
		u64 moved = move->mono - a->mono_ahead;

		if ((s64)(moved - a->clock) <= 0)
			continue;
		/* Of a thread that moved with its group: it ran all along, so count back from now. */
		settle_move(a, cpu, move->cgroup,
			    m->pid == pid ? move->exec : exec - (clock - moved), exec);
	}
	if (a->cgroup != cgroup)
		settle_move(a, cpu, cgroup, moving_exec(a, pid, tgid, exec, clock), exec);
	return 0;
}

#endif
