/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How records leave the kernel: one ring per CPU, and the maps for what finds its ring full. */
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

/*
 * Sums of slots that had to go while their ring was full. There are two: user space turns
 * `overflow_turn`, lets every CPU pass a flush, and then has the other one for itself. Any CPU
 * writes, so additions are atomic. Memory: entries * (136 + about 64) bytes each, for all CPUs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct mlprof_usage);
} overflow_even SEC(".maps") __weak, overflow_odd SEC(".maps") __weak;

/* Which of the two is written to: even or odd. Written by user space. */
__u32 overflow_turn __weak = 0;

static __always_inline void *ring_of(u32 cpu)
{
	return bpf_map_lookup_elem(&rings, &cpu);
}

static __noinline int emit_usage(u32 cpu, const struct mlprof_usage *usage)
{
	struct mlprof_record_usage *record;
	void *ring = ring_of(cpu);

	if (!ring)
		return -1;
	record = bpf_ringbuf_reserve(ring, sizeof(*record), 0);
	if (!record)
		return -1;
	record->header.kind = MLPROF_RECORD_USAGE;
	record->header.cpu = cpu;
	__builtin_memcpy(&record->usage, usage, sizeof(*usage));
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

static __noinline int overflow_add(const struct mlprof_usage *usage)
{
	void *map = overflow_turn & 1 ? (void *)&overflow_odd : (void *)&overflow_even;
	u64 cgroup = usage->cgroup;
	struct mlprof_usage *sum;

	if (!bpf_map_update_elem(map, &cgroup, usage, BPF_NOEXIST))
		return 0;
	sum = bpf_map_lookup_elem(map, &cgroup);
	if (!sum)
		return -1;
	__sync_fetch_and_add(&sum->cpu_ns, usage->cpu_ns);
	__sync_fetch_and_add(&sum->wait_ns, usage->wait_ns);
	__sync_fetch_and_add(&sum->voluntary, usage->voluntary);
	__sync_fetch_and_add(&sum->preempted, usage->preempted);
	for (u32 i = 0; i < MLPROF_HIST_BUCKETS; i++)
		__sync_fetch_and_add(&sum->wait_hist[i], usage->wait_hist[i]);
	return 0;
}

#endif
