/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The statistics of a memory cgroup, which every few kernels keep elsewhere. Where there are
 * functions for BPF they are called. Before, the numbers lie in arrays, and tables of the kernel
 * that BTF does not tell of say where in them: user space finds these tables by name.
 */
#ifndef MLPROF_MEMCG_BPF_H
#define MLPROF_MEMCG_BPF_H

/* Written by user space before load (user/kernel/cgroup_iter.c), which asks BTF and /proc/kallsyms.
 */
const volatile __u64 page_bytes = 4096;
const volatile bool memcg_by_kfunc = false;  /* bpf_mem_cgroup_*(): 7.0 */
const volatile bool flush_by_css = false;    /* css_rstat_flush(), not cgroup_rstat_flush(): 6.16 */
const volatile __u64 memcg_items_table = 0;  /* mem_cgroup_stats_index; 0 before 6.11: no table */
const volatile __u64 memcg_events_table = 0; /* mem_cgroup_events_index */

extern void cgroup_rstat_flush(struct cgroup *cgroup) __ksym __weak;
extern void css_rstat_flush(struct cgroup_subsys_state *css) __ksym __weak;
extern struct mem_cgroup *bpf_get_mem_cgroup(struct cgroup_subsys_state *css) __ksym __weak;
extern void bpf_put_mem_cgroup(struct mem_cgroup *memcg) __ksym __weak;
extern unsigned long bpf_mem_cgroup_page_state(struct mem_cgroup *memcg, int item) __ksym __weak;
extern unsigned long bpf_mem_cgroup_vm_events(struct mem_cgroup *memcg,
					      enum vm_event_item event) __ksym __weak;

struct memcg_statistics {
	bool known;
	u64 anon_bytes, file_bytes, inactive_file_bytes, major_faults;
};

/* Has every CPU's share added up, of this cgroup and all below it. May sleep. */
static __always_inline void memcg_flush(struct cgroup *cgroup)
{
	struct mem_cgroup *memcg;

	if (!flush_by_css)
		return cgroup_rstat_flush(cgroup);
	memcg = bpf_get_mem_cgroup(&cgroup->self);
	if (!memcg)
		return;
	css_rstat_flush(&memcg->css);
	bpf_put_mem_cgroup(memcg);
}

/*
 * A table's entry for an item. From 6.11 entries are bytes, and either 255 stands for none, or, as
 * before, 0 does and all others are one too large: what it says of an item that it never has tells.
 */
static __always_inline u32 memcg_byte_entry(u64 table, u32 item, u32 never)
{
	u8 entry = 0, none = 0;

	bpf_probe_read_kernel(&entry, sizeof(entry), (void *)(table + item));
	bpf_probe_read_kernel(&none, sizeof(none), (void *)(memcg_items_table + never));
	return entry - (none == 0);
}

static __always_inline u32 memcg_item_index(u32 item)
{
	u32 never = bpf_core_enum_value(enum node_stat_item, NR_ISOLATED_ANON);

	/* Before 6.11 every item has its place. */
	if (!memcg_items_table)
		return item;
	return memcg_byte_entry(memcg_items_table, item, never);
}

static __always_inline u32 memcg_event_index(u32 event)
{
	u32 never = bpf_core_enum_value(enum node_stat_item, NR_ISOLATED_ANON);
	s32 entry = 0;

	if (memcg_items_table)
		return memcg_byte_entry(memcg_events_table, event, never);
	bpf_probe_read_kernel(&entry, sizeof(entry),
			      (void *)(memcg_events_table + event * sizeof(entry)));
	return entry - 1;
}

/* Of these items the kernel counts pages; of others it counts bytes or kilobytes. */
static __always_inline u64 memcg_pages(struct memcg_vmstats *stats, u32 item)
{
	u32 index = memcg_item_index(item);
	s64 pages = 0;

	if (index >= sizeof(stats->state) / sizeof(stats->state[0]))
		return 0;
	bpf_core_read(&pages, sizeof(pages), &stats->state[index]);
	/* What other CPUs have taken away and not yet told of may make it negative. */
	return pages > 0 ? pages * page_bytes : 0;
}

static __always_inline u64 memcg_event(struct memcg_vmstats *stats, u32 event)
{
	u32 index = memcg_event_index(event);
	u64 count = 0;

	if (index < sizeof(stats->events) / sizeof(stats->events[0]))
		bpf_core_read(&count, sizeof(count), &stats->events[index]);
	return count;
}

static __always_inline void memcg_read_arrays(struct mem_cgroup *memcg,
					      struct memcg_statistics *found)
{
	struct memcg_vmstats *stats = BPF_CORE_READ(memcg, vmstats);

	found->anon_bytes =
		memcg_pages(stats, bpf_core_enum_value(enum node_stat_item, NR_ANON_MAPPED));
	found->file_bytes =
		memcg_pages(stats, bpf_core_enum_value(enum node_stat_item, NR_FILE_PAGES));
	found->inactive_file_bytes =
		memcg_pages(stats, bpf_core_enum_value(enum node_stat_item, NR_INACTIVE_FILE));
	found->major_faults =
		memcg_event(stats, bpf_core_enum_value(enum vm_event_item, PGMAJFAULT));
	found->known = true;
}

/* These give bytes whatever the kernel counts in. */
static __always_inline void memcg_call(struct cgroup *cgroup, struct memcg_statistics *found)
{
	struct mem_cgroup *memcg = bpf_get_mem_cgroup(&cgroup->self);

	if (!memcg)
		return;
	found->anon_bytes = bpf_mem_cgroup_page_state(
		memcg, bpf_core_enum_value(enum node_stat_item, NR_ANON_MAPPED));
	found->file_bytes = bpf_mem_cgroup_page_state(
		memcg, bpf_core_enum_value(enum node_stat_item, NR_FILE_PAGES));
	found->inactive_file_bytes = bpf_mem_cgroup_page_state(
		memcg, bpf_core_enum_value(enum node_stat_item, NR_INACTIVE_FILE));
	found->major_faults = bpf_mem_cgroup_vm_events(
		memcg, bpf_core_enum_value(enum vm_event_item, PGMAJFAULT));
	found->known = true;
	bpf_put_mem_cgroup(memcg);
}

static __always_inline void memcg_read_statistics(struct cgroup *cgroup, struct mem_cgroup *memcg,
						  struct memcg_statistics *found)
{
	if (memcg_by_kfunc)
		memcg_call(cgroup, found);
	else
		memcg_read_arrays(memcg, found);
}

#endif
