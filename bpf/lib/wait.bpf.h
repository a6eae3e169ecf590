/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long a task that now gets a CPU was runnable before. The kernel keeps the time of the last
 * queueing, which says it all unless the task was moved to another CPU's queue while it waited:
 * then the kernel adds what it waited before to run_delay and starts anew. So what run_delay was
 * when the task last left a CPU is remembered, and what came to it since belongs to this wait.
 */
#ifndef MLPROF_WAIT_BPF_H
#define MLPROF_WAIT_BPF_H

/*
 * By pid, one word per entry so that no reader sees half of one: pid in the upper 22 bits, which is
 * what a pid has at most, run_delay modulo 2^42 ns (73 minutes) in the lower 42. Written by the CPU
 * a task leaves, read by the one it comes to. Two live tasks that share an entry overwrite each
 * other's, which loses the part of a wait before a move and is counted. Memory: 512 KiB in all.
 */
#define WAIT_ENTRIES	(1U << 16)
#define WAIT_DELAY_BITS 42
#define WAIT_DELAY_MASK ((1ULL << WAIT_DELAY_BITS) - 1)

__u64 wait_left[WAIT_ENTRIES];

/* Neighbouring pids run at the same time on different CPUs: keep them off each other's cache line. */
static __always_inline u32 wait_index(u32 pid)
{
	return (pid << 3 | pid >> 13) & (WAIT_ENTRIES - 1);
}

static __always_inline u64 wait_word(u32 pid, u64 run_delay)
{
	return (u64)pid << WAIT_DELAY_BITS | (run_delay & WAIT_DELAY_MASK);
}

/* A task leaves the CPU. */
static __always_inline void wait_leave(u32 pid, u64 run_delay)
{
	wait_left[wait_index(pid)] = wait_word(pid, run_delay);
}

/*
 * What a task that comes to the CPU has waited on queues it was moved away from. ~0 if that is not
 * known: it left a CPU before we watched, or its entry was taken by another.
 */
static __always_inline u64 wait_before_move(u32 pid, u64 run_delay)
{
	u64 left = wait_left[wait_index(pid)] ^ ((u64)pid << WAIT_DELAY_BITS);

	if (left >> WAIT_DELAY_BITS)
		return ~0ULL;
	return (run_delay - left) & WAIT_DELAY_MASK;
}

#endif
