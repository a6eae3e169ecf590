/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The account of one CPU: the slice that is running, and an open-addressed table of what cgroups
 * used since they were last written out. Knows nothing of task_struct and compiles for the host as
 * well, where tests/unit/test_account.c drives it.
 *
 * Who writes: the CPU itself, at a context switch (interrupts off) and at a flush (an interrupt on
 * that CPU, or a process on it with preemption off). Neither can interrupt the other, so nothing
 * here is atomic. Two exceptions: whoever moves the running task to another cgroup adds to `moves`
 * and stores 0 into `cset`, which only sends the next switch down its slow path; and a CPU that is
 * offline is flushed from another.
 *
 * All sums are differences modulo 2^64: a slice closed early by an estimate that was too large is
 * put right by the next difference, which is then negative.
 */
#ifndef MLPROF_ACCOUNT_BPF_H
#define MLPROF_ACCOUNT_BPF_H

/* Comparisons of the clocks after which the first one is known to have been right. */
#define ACCOUNT_FIRST_COMPARISONS 8

/* The running slice goes on since a flush has taken its slot. */
#define ACCOUNT_NO_SLOT (~0U)

/* Moves of the running task that can be told apart until its slice is closed. A power of two. */
#define MOVES_KEPT 64

struct move {
	u64 exec;   /* se.sum_exec_runtime that cpu.stat charged to the cgroup before */
	u64 cgroup; /* the cgroup after */
	u32 pid;
	u32 padding;
};

struct account {
	/* The running slice. */
	u64 clock;	/* rq clock when it began or was last closed; 0: this CPU is not watched */
	u64 exec;	/* se.sum_exec_runtime of its task then */
	u64 cset;	/* css_set of its task then; 0: look where the task is now */
	u64 cgroup;	/* cgroup of its task then, if `slot` is ACCOUNT_NO_SLOT */
	u32 slot;	/* else the slot of that cgroup */
	u32 nr_dirty;	/* entries of `dirty` */
	u64 irq_before; /* idle slice: interrupt and steal time of this CPU when it began */
	s64 idle_ns;
	s64 irq_steal_ns;

	/* Rarely touched. */
	s64 elapsed_ns; /* CLOCK_MONOTONIC that passed and has not been reported */
	u64 mono;	/* CLOCK_MONOTONIC up to which elapsed_ns is complete */
	s64 mono_ahead; /* CLOCK_MONOTONIC - rq clock, as last compared */
	s64 unattributed_ns;
	u64 unattributed_wait_ns;
	u32 mono_stale; /* compare the clocks at the next occasion */
	u32 starting;	/* comparisons of the clocks left that belong to the start */
	u32 evicted;	/* slots written out early because another cgroup needed them */
	u32 overflowed; /* from here on as in struct mlprof_record_cpu */
	u32 orphaned;
	u32 waits_unknown;
	u32 moves_unknown;
	u32 events_lost;
	u32 moves_noted;   /* ever, by movers; the last MOVES_KEPT are in `moves` */
	u32 moves_settled; /* of these, what this CPU has looked at */
	u64 move_began;	   /* CLOCK_MONOTONIC just before the last of them was noted */
	struct move moves[MOVES_KEPT];

	u16 dirty[MLPROF_SLOTS_MAX]; /* which slots are not empty, in the order of their claiming */
	struct mlprof_usage slots[];
};

#define ACCOUNT_BYTES(nr_slots) (sizeof(struct account) + (nr_slots) * sizeof(struct mlprof_usage))

/* Slots per CPU less one. A constant to the verifier. */
const volatile __u32 account_mask __weak = MLPROF_SLOTS_MIN - 1;

static __always_inline struct mlprof_usage *account_slot(struct account *a, u32 slot)
{
	return &a->slots[slot & account_mask];
}

/*
 * Kernfs ids grow by a constant from cgroup to cgroup; the golden ratio spreads them evenly. What
 * is over the number of slots is for account_slot() to take away.
 */
static __always_inline u32 account_home(u64 cgroup)
{
	return (cgroup * 0x9E3779B97F4A7C15ULL) >> 52;
}

/* The first event on a CPU that was not watched: nothing before it is known. */
static __always_inline void account_start(struct account *a, u64 clock, u64 mono)
{
	a->clock = clock;
	a->cset = 0;
	a->slot = ACCOUNT_NO_SLOT;
	a->mono = mono;
	a->mono_ahead = mono - clock;
	a->starting = ACCOUNT_FIRST_COMPARISONS;
	a->mono_stale = 1;
}

/* The CPU is dead, and was idle from its last switch until now. */
static __always_inline void account_stop(struct account *a, u64 mono)
{
	if (!a->clock)
		return;
	a->idle_ns += mono - a->mono_ahead - a->clock;
	a->elapsed_ns += mono - a->mono;
	a->clock = 0;
}

/*
 * How far CLOCK_MONOTONIC is ahead of the rq clock. The rq clock was read a little before, so each
 * comparison is too large by the time since: follow it down at once, and up no faster than clocks
 * drift apart: NTP slews by 500 ppm at most, which is 1/2048 of the time since the last flush.
 *
 * By as much as the first comparison was too large, elapsed time began too late: what the next few
 * find is given to it.
 */
static __always_inline void account_compare_clocks(struct account *a, u64 mono)
{
	s64 error = mono - a->clock - a->mono_ahead, most = (mono - a->mono) >> 11;

	if (a->starting) {
		a->starting--;
		a->elapsed_ns -= error < 0 ? error : 0;
	}
	a->mono_ahead += error < most ? error : most;
	a->mono_stale = a->starting;
}

/* What was in the account has been reported. */
static __always_inline void account_reported(struct account *a)
{
	a->elapsed_ns = 0;
	a->idle_ns = 0;
	a->irq_steal_ns = 0;
	a->unattributed_ns = 0;
	a->unattributed_wait_ns = 0;
	a->overflowed = 0;
	a->orphaned = 0;
	a->waits_unknown = 0;
	a->moves_unknown = 0;
	a->events_lost = 0;
}

#endif
