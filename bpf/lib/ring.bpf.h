/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How records leave the kernel: one ring per CPU. */
#ifndef MLPROF_RING_BPF_H
#define MLPROF_RING_BPF_H

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

/*
 * One ring per possible CPU, put in by user space and sized from one budget. Written only on their
 * CPU (a dead CPU's by whoever flushes it), so the lock inside is never contended. Never wakes the
 * reader: the drain timer does. Memory per CPU: the ring's size, a power of two of at least a page,
 * and three pages of control.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct ring);
} rings SEC(".maps") __weak;

static __always_inline void *ring_of(u32 cpu)
{
	return bpf_map_lookup_elem(&rings, &cpu);
}

#endif
