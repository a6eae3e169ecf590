/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The slots of an account: found, claimed, written out. What is here takes the CPU's number and not
 * its account, and is global: then the verifier looks at it once and not at every call, of which
 * there are loops (and the verifier of 5.10 lets a global function take numbers only).
 *
 * Given by the includer, lib/ring.bpf.h or the unit test: account_of(), emit_usage(),
 * overflow_add().
 */
#ifndef MLPROF_SLOTS_BPF_H
#define MLPROF_SLOTS_BPF_H

/* How many neighbouring slots a cgroup may be in, counted from its home. */
#define SLOT_PROBES 4

/* Makes room in a slot: to the ring, else to the overflow map, else only the time is kept. */
static __always_inline void slot_evict(struct account *a, u32 cpu, struct mlprof_usage *usage)
{
	a->evicted++;
	if (!emit_usage(cpu, usage))
		return;
	a->overflowed++;
	if (!overflow_add(usage))
		return;
	a->orphaned++;
	a->unattributed_ns += usage->cpu_ns;
	a->unattributed_wait_ns += usage->wait_ns;
}

/*
 * The slot of a cgroup, found or claimed. A switch looks at home itself and comes here once per
 * cgroup and drain, and on collisions.
 */
__noinline u32 account_claim(u32 cpu, u64 cgroup)
{
	u32 home = account_home(cgroup), empty = ~0U, slot;
	struct account *a = account_of(cpu);
	struct mlprof_usage *usage;

	if (!a)
		return 0;
	for (u32 i = 0; i < SLOT_PROBES; i++) {
		slot = (home + i) & account_mask;
		usage = account_slot(a, slot);
		if (usage->cgroup == cgroup)
			return slot;
		if (usage->cgroup == MLPROF_CGROUP_NONE && empty == ~0U)
			empty = slot;
	}
	slot = empty != ~0U ? empty : home & account_mask;
	usage = account_slot(a, slot);
	if (empty != ~0U) {
		a->dirty[a->nr_dirty & (MLPROF_SLOTS_MAX - 1)] = slot;
		a->nr_dirty++;
	} else {
		slot_evict(a, cpu, usage);
		__builtin_memset(usage, 0, sizeof(*usage));
	}
	usage->cgroup = cgroup;
	return slot;
}

static __always_inline void account_charge(struct account *a, u32 cpu, u64 cgroup, s64 ns)
{
	u32 slot = account_claim(cpu, cgroup);

	account_slot(a, slot)->cpu_ns += ns;
}

/* Writes the slot out that was claimed last. 0, or non-zero and nothing has changed: ring full. */
__noinline int account_pop(u32 cpu)
{
	struct account *a = account_of(cpu);
	struct mlprof_usage *usage;

	if (!a || !a->nr_dirty)
		return 0;
	usage = account_slot(a, a->dirty[(a->nr_dirty - 1) & (MLPROF_SLOTS_MAX - 1)]);
	if (emit_usage(cpu, usage))
		return 1;
	__builtin_memset(usage, 0, sizeof(*usage));
	a->nr_dirty--;
	return 0;
}

#endif
