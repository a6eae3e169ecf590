/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the accounts of all CPUs lie. */
#ifndef MLPROF_ACCOUNTS_BPF_H
#define MLPROF_ACCOUNTS_BPF_H

/*
 * One account per possible CPU. A plain array and not a per-CPU one: its lookup is inlined by every
 * kernel, values may be larger than 32 KiB, and the flush of a dead CPU and the mover of a task
 * reach it from elsewhere. Memory per CPU: ACCOUNT_BYTES(slots), 43 KiB for 256 slots.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, ACCOUNT_BYTES(MLPROF_SLOTS_MIN));
} accounts SEC(".maps") __weak;

static __always_inline struct account *account_of(u32 cpu)
{
	return bpf_map_lookup_elem(&accounts, &cpu);
}

/* An event record found no room. */
static __always_inline void account_lost_event(u32 cpu)
{
	struct account *a = account_of(cpu);

	if (a)
		a->events_lost++;
}

#endif
