/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tasks that change cgroup while they run. The mover notes on the account of the CPU that runs the
 * task how much it had run by then; that CPU cuts its slice there when it closes it. The mover
 * itself charges nothing, so it and the closing CPU cannot both charge the same time.
 */
#ifndef MLPROF_MOVE_BPF_H
#define MLPROF_MOVE_BPF_H

/* Movers hold the kernel's css_set_lock, so there is one at a time. */
static __always_inline void move_note(struct account *a, u32 pid, u64 exec, u64 cgroup)
{
	struct move *move = &a->moves[a->moves_noted & (MOVES_KEPT - 1)];

	move->pid = pid;
	move->exec = exec;
	move->cgroup = cgroup;
	/* The CPU may be closing the slice just now, and must see only entries that are whole. x86
	 * keeps stores in order; elsewhere such a cut may be missed, and is counted as unknown. */
	asm volatile("" ::: "memory");
	a->moves_noted++;
	a->cset = 0;
}

/*
 * Whether what was charged while the kernel made a move came before it. The mover needs the
 * runqueue for it: either a tick had that, and the move came when the tick was through; or the tick
 * waited, and came when the move was through. So the charge lies close to the begin, or to now.
 */
static __always_inline bool charged_before_move(struct account *a, u64 exec_start, u64 now)
{
	u64 charged = exec_start + a->mono_ahead;

	return (s64)(charged - a->move_began) < (s64)(now - charged);
}

/*
 * The kernel has made the move, and the task may have run more than when it was noted. The CPU may
 * have looked at the note too early, at a switch to the task that came before the move; then this
 * is a new one. One too many does no harm: it cuts within the same cgroup.
 */
static __always_inline void move_amend(struct account *a, u32 pid, u64 exec, u64 cgroup,
				       bool before)
{
	struct move *move = &a->moves[(a->moves_noted - 1) & (MOVES_KEPT - 1)];

	if (move->pid == pid && move->cgroup == cgroup && !before)
		exec = move->exec;
	if (a->moves_noted != a->moves_settled && move->pid == pid)
		move->exec = exec;
	else
		move_note(a, pid, exec, cgroup);
}

/* For kernels that tell of a move only when it is over: what came at the right time stays. */
static __always_inline void move_note_late(struct account *a, u32 pid, u64 exec, u64 cgroup)
{
	struct move *move = &a->moves[(a->moves_noted - 1) & (MOVES_KEPT - 1)];

	if (move->pid != pid || move->cgroup != cgroup)
		move_note(a, pid, exec, cgroup);
}

/* More than the longest time between two ticks: a nohz_full CPU has one in a second. */
#define TICK_LONGEST_NS 2000000000LL

/*
 * Charges what ran before a move to the cgroup of before; the slice then begins at the move. If a
 * flush has closed the slice since the last tick, that is less than nothing: cpu.stat charges all
 * since the tick to the cgroup after, so the cgroup of before gives back what the flush gave it of
 * that.
 */
static __always_inline void settle_move(struct account *a, u32 cpu, u64 to, u64 at, u64 exec)
{
	if ((s64)(exec - at) >= 0) {
		account_charge(a, cpu, a->cgroup, at - a->exec);
		a->exec = at;
	}
	a->cgroup = to;
}

/*
 * Charges the parts of a CPU's running slice that lie before the last move of its task, and lets
 * the slice begin there; does nothing if the task has not moved. `exec` and `cgroup` are those of
 * now. Global for the reason that lib/slots.bpf.h gives. The result says nothing; global functions
 * have one.
 */
__noinline int account_settle(u32 cpu, u32 pid, u64 exec, u64 cgroup)
{
	struct account *a = account_of(cpu);
	u32 noted, first;
	s64 least = -TICK_LONGEST_NS;

	if (!a)
		return 0;
	/* No flush has closed it yet: a note of less than it began with is of an earlier slice. */
	if (a->slot != ACCOUNT_NO_SLOT) {
		a->cgroup = account_slot(a, a->slot)->cgroup;
		least = 0;
	}
	a->slot = ACCOUNT_NO_SLOT;
	noted = a->moves_noted;
	first = a->moves_settled;
	if (noted - first > MOVES_KEPT) {
		a->moves_unknown += noted - first - MOVES_KEPT;
		first = noted - MOVES_KEPT;
	}
	a->moves_settled = noted;
	/* The last one may be early: the kernel has not made the move yet. move_amend() follows. */
	if (a->moves[(noted - 1) & (MOVES_KEPT - 1)].cgroup != cgroup && first != noted)
		noted--;
	for (u32 i = 0; i < MOVES_KEPT && first + i != noted; i++) {
		const struct move *move = &a->moves[(first + i) & (MOVES_KEPT - 1)];

		/* Another's was about to leave the CPU when it was moved, and had closed its slice.
		 */
		if (move->pid == pid && (s64)(move->exec - a->exec) >= least)
			settle_move(a, cpu, move->cgroup, move->exec, exec);
	}
	if (a->cgroup != cgroup) {
		a->moves_unknown++;
		settle_move(a, cpu, cgroup, exec, exec);
	}
	return 0;
}

#endif
