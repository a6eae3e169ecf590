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
 * By pid, one word per entry so that no reader sees half of one: pid * 2^42 + run_delay. The word
 * of the same task later on, less this, is what came to run_delay. Pids that share an entry differ
 * by a multiple of 2^16, so the word of another task is off by a multiple of 2^58, which no wait
 * reaches. Written by the CPU a task leaves, read by the one it comes to. Two live tasks that share
 * an entry overwrite each other's, which loses the part of a wait before a move and is counted.
 * Memory: 512 KiB in all.
 */
#define WAIT_ENTRIES   (1U << 16)
#define WAIT_PID_SHIFT 42
#define WAIT_LONGEST   (1ULL << 57)

__u64 wait_left[WAIT_ENTRIES];

/*
 * Entry (pid * 8201) modulo the table, in bytes, which saves a shift. The factor is odd, so that
 * every pid below 2^16 has its own entry, and large, because pids in a row run at the same time.
 */
static __always_inline u64 *wait_entry(u32 pid)
{
	u32 at = (pid * (8201 * sizeof(u64))) & (sizeof(wait_left) - sizeof(u64));

	return (void *)wait_left + at;
}

static __always_inline u64 wait_word(u32 pid, u64 run_delay)
{
	return ((u64)pid << WAIT_PID_SHIFT) + run_delay;
}

/* A task leaves the CPU. */
static __always_inline void wait_leave(u32 pid, u64 run_delay)
{
	*wait_entry(pid) = wait_word(pid, run_delay);
}

/*
 * What a task that comes to the CPU has waited on queues it was moved away from. WAIT_LONGEST or
 * more if that is not known: it left a CPU before we watched, or its entry was taken by another.
 */
static __always_inline u64 wait_before_move(u32 pid, u64 run_delay)
{
	return wait_word(pid, run_delay) - *wait_entry(pid);
}

/*
 * Whether the entry of a pid has ever been written. A task that has not left a CPU since the table
 * is there seems to have waited for pid * 2^42 ns: more than an hour, but less than WAIT_LONGEST.
 */
static __always_inline bool wait_is_known(u32 pid)
{
	return *wait_entry(pid) != 0;
}

#endif
