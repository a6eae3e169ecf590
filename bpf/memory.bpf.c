// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A sample of every cgroup's memory in one walk, after one flush of the kernel's statistics.
 *
 * What is found goes to a table that user space has mapped, and not through the iterator's file:
 * the kernel ends the walk of cgroups when that file's 32 KiB are full.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "mlprof/record.h"
#include "lib/compat.bpf.h"
#include "lib/memcg.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* One walk fills this; where there are more, another one goes on. Memory: entries * 144 bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2048);
	__type(key, u32);
	__type(value, struct mlprof_memory);
} memory_samples SEC(".maps");

/* Of this walk: how many cgroups it has met, and how many of these an earlier one has told of. */
__u32 memory_met = 0;
__u32 memory_told = 0;

static __always_inline void know(struct mlprof_memory *sample, u64 bit, u64 *field, u64 value)
{
	*field = value;
	sample->known |= bit;
}

/* The counters of the memory controller, all of them pages. */
static __always_inline void sample_counters(struct mlprof_memory *sample, struct mem_cgroup *memcg)
{
	u64 limit = BPF_CORE_READ(memcg, memory.max);
	u32 kill = bpf_core_enum_value(enum memcg_memory_event, MEMCG_OOM_KILL);
	u64 kills = 0;

	know(sample, MLPROF_MEMORY_CURRENT, &sample->current_bytes,
	     BPF_CORE_READ(memcg, memory.usage.counter) * page_bytes);
	know(sample, MLPROF_MEMORY_PEAK, &sample->peak_bytes,
	     BPF_CORE_READ(memcg, memory.watermark) * page_bytes);
	/* The largest number of pages there is stands for no limit. */
	if (limit < (~0ULL >> 1) / page_bytes)
		know(sample, MLPROF_MEMORY_LIMIT, &sample->limit_bytes, limit * page_bytes);
	bpf_core_read(&kills, sizeof(kills), &memcg->memory_events[kill & 31]);
	know(sample, MLPROF_MEMORY_OOM_KILLS, &sample->oom_kills, kills);
}

static __always_inline void sample_statistics(struct mlprof_memory *sample,
					      struct memcg_statistics *found)
{
	if (!found->known)
		return;
	know(sample, MLPROF_MEMORY_ANON, &sample->anon_bytes, found->anon_bytes);
	know(sample, MLPROF_MEMORY_FILE, &sample->file_bytes, found->file_bytes);
	know(sample, MLPROF_MEMORY_INACTIVE_FILE, &sample->inactive_file_bytes,
	     found->inactive_file_bytes);
	know(sample, MLPROF_MEMORY_MAJOR_FAULTS, &sample->major_faults, found->major_faults);
}

static __always_inline void sample_throttling(struct mlprof_memory *sample, struct cgroup *cgroup)
{
	struct task_group *group =
		(void *)cgroup->subsys[bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id)];

	if (!group || !bpf_core_field_exists(group->cfs_bandwidth.throttled_time))
		return;
	sample->throttled_periods = BPF_CORE_READ(group, cfs_bandwidth.nr_throttled);
	know(sample, MLPROF_MEMORY_THROTTLED, &sample->throttled_ns,
	     BPF_CORE_READ(group, cfs_bandwidth.throttled_time));
}

#define sample_pressure(sample, psi, resource, SOME, FULL)                                         \
	do {                                                                                       \
		know(sample, MLPROF_MEMORY_PRESSURE_SOME(resource), &(sample)->some_ns[resource],  \
		     (psi)->total[bpf_core_enum_value(enum psi_states, SOME)]);                    \
		know(sample, MLPROF_MEMORY_PRESSURE_FULL(resource), &(sample)->full_ns[resource],  \
		     (psi)->total[bpf_core_enum_value(enum psi_states, FULL)]);                    \
	} while (0)

/* The kernel brings these sums up to date every 2 s while anything runs, and at each file's read. */
static __always_inline void sample_pressures(struct mlprof_memory *sample, struct psi_group *psi)
{
	if (!psi)
		return;
	sample_pressure(sample, psi, MLPROF_PRESSURE_CPU, PSI_CPU_SOME, PSI_CPU_FULL);
	sample_pressure(sample, psi, MLPROF_PRESSURE_MEMORY, PSI_MEM_SOME, PSI_MEM_FULL);
	sample_pressure(sample, psi, MLPROF_PRESSURE_IO, PSI_IO_SOME, PSI_IO_FULL);
}

static __always_inline void sample_memory(struct mlprof_memory *sample, struct cgroup *cgroup)
{
	u32 memory = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	struct mem_cgroup *memcg = (void *)cgroup->subsys[memory];
	struct memcg_statistics found = {};

	/* The controller may not reach down here: then the subsystem's pointer is empty. */
	if (!memcg)
		return;
	sample_counters(sample, memcg);
	memcg_read_statistics(cgroup, memcg, &found);
	sample_statistics(sample, &found);
}

/* Parents first. The root has neither limits nor an owner: its turn is that of the flush. */
SEC("iter.s/cgroup")
int sample_cgroups(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *cgroup = ctx->cgroup;
	struct mlprof_memory *sample;
	u32 at;

	if (!cgroup)
		return 0;
	if (!ctx->meta->seq_num) {
		if (!memory_told)
			memcg_flush(cgroup);
		return 0;
	}
	at = memory_met++ - memory_told;
	sample = bpf_map_lookup_elem(&memory_samples, &at);
	if (!sample)
		return 0;
	__builtin_memset(sample, 0, sizeof(*sample));
	sample->cgroup = cgroup->kn->id;
	sample_memory(sample, cgroup);
	sample_throttling(sample, cgroup);
	sample_pressures(sample, cgroup->psi);
	return 0;
}
