/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Since when a task is held up. Its hooks run in the task itself, so a table by pid needs no lock.
 * Compiles for the host as well, where tests/unit/test_stall.c drives it.
 */
#ifndef MLPROF_STALL_BPF_H
#define MLPROF_STALL_BPF_H

/*
 * One word per entry, pid * 2^42 + time, as in lib/wait.bpf.h: the word of the same task later on,
 * less this, is the time between. Pids that share an entry differ by a multiple of 2^13, so the
 * word of another task is off by a multiple of 2^55, which no stall reaches: it is noticed and
 * counted, never taken for a time. Memory: 64 KiB per kind.
 */
#define STALL_ENTRIES	(1U << 13)
#define STALL_PID_SHIFT 42
#define STALL_LONGEST	(1ULL << 54)
#define STALL_UNKNOWN	(~0ULL)

__u64 stall_since[MLPROF_STALLS][STALL_ENTRIES];

static __always_inline u64 *stall_entry(u32 kind, u32 pid)
{
	return &stall_since[kind & (MLPROF_STALLS - 1)][pid & (STALL_ENTRIES - 1)];
}

static __always_inline void stall_begin(u32 kind, u32 pid, u64 now)
{
	*stall_entry(kind, pid) = ((u64)pid << STALL_PID_SHIFT) + now;
}

/* How long it took; STALL_UNKNOWN if its beginning was not seen, or another task took its entry. */
static __always_inline u64 stall_end(u32 kind, u32 pid, u64 now)
{
	u64 *entry = stall_entry(kind, pid), begun = *entry, took;

	if (!begun)
		return STALL_UNKNOWN;
	took = ((u64)pid << STALL_PID_SHIFT) + now - begun;
	if (took >= STALL_LONGEST)
		return STALL_UNKNOWN;
	*entry = 0;
	return took;
}

#endif
