/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tasks that change cgroup while they run. The mover notes on the account of the CPU that runs the
 * task how much it had run by then; that CPU cuts its slice there when it closes it. The mover
 * itself charges nothing, so it and the closing CPU cannot both charge the same time.
 */
#ifndef MLPROF_MOVE_BPF_H
#define MLPROF_MOVE_BPF_H

/* Movers hold the kernel's cgroup_mutex, so there is one at a time. */
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
 * the slice begin there; does nothing if the task has not moved. `exec` and `cgroup` are those of
 * now. Global for the reason that lib/slots.bpf.h gives. The result says nothing; global functions
 * have one.
 */
__noinline int account_settle(u32 cpu, u32 pid, u64 exec, u64 cgroup)
{
	struct account *a = account_of(cpu);
	u32 noted, first;

	if (!a)
		return 0;
	if (a->slot != ACCOUNT_NO_SLOT)
		a->cgroup = account_slot(a, a->slot)->cgroup;
	a->slot = ACCOUNT_NO_SLOT;
	noted = a->moves_noted;
	first = noted - a->moves_settled > MOVES_KEPT ? noted - MOVES_KEPT : a->moves_settled;
	a->moves_settled = noted;
	for (u32 i = 0; i < MOVES_KEPT && first + i != noted; i++) {
		const struct move *move = &a->moves[(first + i) & (MOVES_KEPT - 1)];

		/* Another's was about to leave the CPU when it was moved, and had closed its slice.
		 */
		if (move->pid == pid)
			settle_move(a, cpu, move->cgroup, move->exec, exec);
	}
	if (a->cgroup != cgroup) {
		a->moves_unknown++;
		settle_move(a, cpu, cgroup, exec, exec);
	}
	return 0;
}

#endif
