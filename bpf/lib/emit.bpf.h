/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where slots are written to: the ring of their CPU, and a map for what finds its ring full. */
#ifndef MLPROF_EMIT_BPF_H
#define MLPROF_EMIT_BPF_H

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
	__sync_fetch_and_add(&sum->switches[0], usage->switches[0]);
	__sync_fetch_and_add(&sum->switches[1], usage->switches[1]);
	for (u32 i = 0; i < MLPROF_HIST_BUCKETS; i++)
		__sync_fetch_and_add(&sum->wait_hist[i], usage->wait_hist[i]);
	return 0;
}

#endif
