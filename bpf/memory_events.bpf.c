// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What memory does to tasks: it holds them up, and it has them killed. And how much the processes
 * had that end, for cgroups that are gone before anybody can read how much they hold.
 *
 * All of it is rare, or takes long by itself; nothing here is in the way of a context switch.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "mlprof/record.h"
#include "lib/compat.bpf.h"
#include "lib/account.bpf.h"
#include "lib/accounts.bpf.h"
#include "lib/ring.bpf.h"
#include "lib/stall.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct stall_sums {
	u64 ns[MLPROF_STALLS];
};

/*
 * By cgroup, since it was made: user space reads them at each drain, and takes those of a cgroup
 * out when it is gone. Memory: entries * about 112 bytes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, u64);
	__type(value, struct stall_sums);
} stalls SEC(".maps");

/* Stalls whose cgroup found the map full, or whose beginning is not known. */
__u64 stalls_lost = 0;

/*
 * Pages that the largest process of a cgroup had that has ended, by cgroup. Asked for when a cgroup
 * goes that was never sampled, so the oldest may be forgotten. Memory: entries * about 80 bytes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, u64);
	__type(value, u64);
} exited_pages SEC(".maps");

static __always_inline u64 cgroup_of(struct task_struct *task)
{
	u64 cgroup = read_cset_cgroup(BPF_CORE_READ(task, cgroups), cgroup_v1);

	return cgroup == MLPROF_CGROUP_ROOT ? MLPROF_CGROUP_ROOT_TASKS : cgroup;
}

static void stall_add(u64 cgroup, u32 kind, u64 ns)
{
	struct stall_sums none = {}, *sums = bpf_map_lookup_elem(&stalls, &cgroup);

	if (!sums) {
		bpf_map_update_elem(&stalls, &cgroup, &none, BPF_NOEXIST);
		sums = bpf_map_lookup_elem(&stalls, &cgroup);
	}
	if (sums)
		__sync_fetch_and_add(&sums->ns[kind & (MLPROF_STALLS - 1)], ns);
	else
		__sync_fetch_and_add(&stalls_lost, 1);
}

static __always_inline int begin(u32 kind)
{
	stall_begin(kind, (u32)bpf_get_current_pid_tgid(), bpf_ktime_get_ns());
	return 0;
}

/* Kernel threads work in the background: nobody is held up by that. */
static __always_inline int end(u32 kind)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u64 ns = stall_end(kind, (u32)bpf_get_current_pid_tgid(), bpf_ktime_get_ns());

	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 0;
	if (ns == STALL_UNKNOWN)
		__sync_fetch_and_add(&stalls_lost, 1);
	else
		stall_add(cgroup_of(task), kind, ns);
	return 0;
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int on_reclaim_begin(void *ctx)
{
	return begin(MLPROF_STALL_RECLAIM);
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int on_reclaim_end(void *ctx)
{
	return end(MLPROF_STALL_RECLAIM);
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int on_memcg_reclaim_begin(void *ctx)
{
	return begin(MLPROF_STALL_RECLAIM);
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_end")
int on_memcg_reclaim_end(void *ctx)
{
	return end(MLPROF_STALL_RECLAIM);
}

SEC("tp_btf/mm_compaction_begin")
int on_compaction_begin(void *ctx)
{
	return begin(MLPROF_STALL_COMPACTION);
}

SEC("tp_btf/mm_compaction_end")
int on_compaction_end(void *ctx)
{
	return end(MLPROF_STALL_COMPACTION);
}

/* The whole of a fault on a page that is in swap, with the reading of it. */
SEC("fentry/do_swap_page")
int on_swapin_begin(void *ctx)
{
	return begin(MLPROF_STALL_SWAPIN);
}

SEC("fexit/do_swap_page")
int on_swapin_end(void *ctx)
{
	return end(MLPROF_STALL_SWAPIN);
}

/* Of the OOM kill that is under way; the kernel's oom_lock lets there be one at a time. */
__u32 oom_reason = MLPROF_OOM_UNKNOWN;
__u64 oom_limit_cgroup = MLPROF_CGROUP_NONE;

SEC("fentry/out_of_memory")
int BPF_PROG(on_oom_begin, struct oom_control *oc)
{
	struct mem_cgroup *memcg = oc->memcg;

	oom_reason = memcg ? MLPROF_OOM_LIMIT : MLPROF_OOM_MACHINE;
	oom_limit_cgroup = memcg ? memcg->css.cgroup->kn->id : MLPROF_CGROUP_NONE;
	return 0;
}

SEC("fexit/out_of_memory")
int on_oom_end(void *ctx)
{
	oom_reason = MLPROF_OOM_UNKNOWN;
	oom_limit_cgroup = MLPROF_CGROUP_NONE;
	return 0;
}

static int send_oom(struct task_struct *victim)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct mlprof_record_oom record = {
		.header = {.kind = MLPROF_RECORD_OOM, .cpu = cpu},
		.mono_ns = bpf_ktime_get_ns(),
		.cgroup = cgroup_of(victim),
		.limit_cgroup = oom_limit_cgroup,
		.pid = BPF_CORE_READ(victim, tgid),
		.reason = oom_reason,
	};
	void *ring = ring_of(cpu);

	if (!ring || bpf_ringbuf_output(ring, &record, sizeof(record), BPF_RB_NO_WAKEUP))
		account_lost_event(cpu);
	return 0;
}

/* Of the next two one is loaded, by whether the event has the task: lib/compat.bpf.h. */
SEC("tp_btf/mark_victim")
int BPF_PROG(on_oom, struct task_struct *victim)
{
	return send_oom(victim);
}

SEC("fentry/mark_oom_victim")
int BPF_PROG(on_oom_by_function, struct task_struct *victim)
{
	return send_oom(victim);
}

/*
 * Called by each task that ends while it still has its memory. Before the exit's own tracepoint
 * that is gone, and what the kernel then has noted as the process's most is that of the program,
 * too, which it was before exec: for a container that is what its runtime had.
 */
SEC("fentry/taskstats_exit")
int BPF_PROG(on_exit, struct task_struct *task, int group_dead)
{
	struct mm_struct *mm = task->mm;
	u64 cgroup, pages, *most;

	if (!group_dead || !mm)
		return 0;
	pages = mm_pages(mm);
	if (pages < mm->hiwater_rss)
		pages = mm->hiwater_rss;
	cgroup = cset_cgroup(task->cgroups, cgroup_v1);
	most = bpf_map_lookup_elem(&exited_pages, &cgroup);
	if (!most || *most < pages)
		bpf_map_update_elem(&exited_pages, &cgroup, &pages, BPF_ANY);
	return 0;
}
