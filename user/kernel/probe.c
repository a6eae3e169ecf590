// SPDX-License-Identifier: Apache-2.0
/* What this kernel offers, asked of its BTF and by trying, never by its version. */
#include <bpf/btf.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <unistd.h>

#include "kernel/internal.h"

const struct program_plan program_plans[NR_PROGRAMS] = {
	[FEATURE_ACCOUNT] = {"on_switch", "cpu_account", HOOK_TRACEPOINT, "sched_switch", true},
	[FEATURE_FLUSH] = {"flush", "flush_on_cpu", HOOK_NONE, NULL, true},
	[FEATURE_FORKS] = {"on_fork", "task_forks", HOOK_TRACEPOINT, "sched_process_fork", false},
	[FEATURE_MOVES] = {"on_move_late", "cgroup_moves", HOOK_TRACEPOINT, "cgroup_attach_task",
			   false},
	[FEATURE_MOVES_EXACT] = {"on_move", "cgroup_moves_exact", HOOK_FUNCTION, "cgroup_move_task",
				 false},
	[FEATURE_MOVES_REMOTE] = {"on_moved", "cgroup_moves_remote", HOOK_FUNCTION,
				  "cgroup_move_task", false},
	[FEATURE_HOTPLUG] = {"on_cpu_dead", "cpu_hotplug", HOOK_TRACEPOINT, "cpuhp_exit", false},
	[FEATURE_CGROUP_EVENTS] = {"on_cgroup_made", "cgroup_made", HOOK_TRACEPOINT, "cgroup_mkdir",
				   false},
	[FEATURE_CGROUP_REMOVALS] = {"on_cgroup_removed", "cgroup_removed", HOOK_TRACEPOINT,
				     "cgroup_rmdir", false},
	[FEATURE_MEMORY_ITERATOR] = {"sample_cgroups", "memory_iterator", HOOK_ITERATOR, "cgroup",
				     false},
	[FEATURE_STALL_RECLAIM] = {"on_reclaim_end", "reclaim_stalls", HOOK_TRACEPOINT,
				   "mm_vmscan_direct_reclaim_end", false},
	[FEATURE_STALL_COMPACTION] = {"on_compaction_end", "compaction_stalls", HOOK_TRACEPOINT,
				      "mm_compaction_end", false},
	[FEATURE_STALL_SWAPIN] = {"on_swapin_end", "swapin_stalls", HOOK_FUNCTION, "do_swap_page",
				  false},
	[FEATURE_STALL_THRASHING] = {NULL, "thrashing_stalls", HOOK_NOWHERE,
				     "kernels tell of it only to delay accounting, and what waits "
				     "for such a page cannot be traced",
				     false},
	[FEATURE_OOM] = {"on_oom", "oom_kills", HOOK_TRACEPOINT, "mark_victim", false},
	[FEATURE_OOM_REASON] = {"on_oom_begin", "oom_reason", HOOK_FUNCTION, "out_of_memory",
				false},
	[FEATURE_EXITS] = {"on_exit", "process_exits", HOOK_FUNCTION, "taskstats_exit", false},
	[PART_RECLAIM_BEGIN] = {"on_reclaim_begin", NULL, HOOK_TRACEPOINT,
				"mm_vmscan_direct_reclaim_begin", false},
	[PART_MEMCG_RECLAIM_BEGIN] = {"on_memcg_reclaim_begin", NULL, HOOK_TRACEPOINT,
				      "mm_vmscan_memcg_reclaim_begin", false},
	[PART_MEMCG_RECLAIM_END] = {"on_memcg_reclaim_end", NULL, HOOK_TRACEPOINT,
				    "mm_vmscan_memcg_reclaim_end", false},
	[PART_COMPACTION_BEGIN] = {"on_compaction_begin", NULL, HOOK_TRACEPOINT,
				   "mm_compaction_begin", false},
	[PART_SWAPIN_BEGIN] = {"on_swapin_begin", NULL, HOOK_FUNCTION, "do_swap_page", false},
	[PART_OOM_END] = {"on_oom_end", NULL, HOOK_FUNCTION, "out_of_memory", false},
};

const enum feature_id program_wholes[NR_PROGRAMS] = {
	[PART_RECLAIM_BEGIN] = FEATURE_STALL_RECLAIM,
	[PART_MEMCG_RECLAIM_BEGIN] = FEATURE_STALL_RECLAIM,
	[PART_MEMCG_RECLAIM_END] = FEATURE_STALL_RECLAIM,
	[PART_COMPACTION_BEGIN] = FEATURE_STALL_COMPACTION,
	[PART_SWAPIN_BEGIN] = FEATURE_STALL_SWAPIN,
	[PART_OOM_END] = FEATURE_OOM_REASON,
};

static struct btf *kernel_btf(void)
{
	static struct btf *btf;

	if (!btf) {
		/* What is missing is told by whoever asks. */
		libbpf_set_print(NULL);
		btf = btf__load_vmlinux_btf();
	}
	return btf;
}

const char *hook_missing(const struct program_plan *plan)
{
	struct btf *btf = kernel_btf();
	char name[128];

	if (plan->hook_kind == HOOK_NOWHERE)
		return plan->hook;
	if (!btf)
		return "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)";
	if (plan->hook_kind == HOOK_TRACEPOINT) {
		snprintf(name, sizeof(name), "btf_trace_%s", plan->hook);
		if (btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF) < 0)
			return "the kernel has no such tracepoint";
	} else if (plan->hook_kind == HOOK_FUNCTION) {
		if (btf__find_by_name_kind(btf, plan->hook, BTF_KIND_FUNC) < 0)
			return "the kernel has no such function to attach to";
	} else if (plan->hook_kind == HOOK_ITERATOR) {
		snprintf(name, sizeof(name), "bpf_iter__%s", plan->hook);
		if (!btf_has_field(name, NULL))
			return "the kernel does not let programs walk its cgroups";
	}
	return NULL;
}

bool btf_has_function(const char *name)
{
	struct btf *btf = kernel_btf();

	return btf && btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) >= 0;
}

bool btf_has_field(const char *type, const char *field)
{
	struct btf *btf = kernel_btf();
	int id = btf ? btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT) : -1;
	const struct btf_type *t = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);

	if (!field)
		return t;
	for (unsigned int i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), field))
			return true;
	return false;
}

bool kernel_is_common(void)
{
	return btf_has_field("task_struct", "__state") && !btf_has_field("rq", "prev_irq_time") &&
	       !btf_has_field("rq", "prev_steal_time_rq");
}

static void set_row(struct kernel_feature *row, const char *name, bool required, const char *reason)
{
	*row = (struct kernel_feature){.name = name, .required = required, .up = !reason};
	snprintf(row->reason, sizeof(row->reason), "%s", reason ? reason : "");
}

/* CAP_BPF and CAP_PERFMON came with 5.8; CAP_SYS_ADMIN stands for both. */
const char *kernel_capabilities_missing(void)
{
	static const cap_value_t needed[] = {39 /* CAP_BPF */, 38 /* CAP_PERFMON */};
	cap_t caps = cap_get_proc();
	cap_flag_value_t set = CAP_CLEAR;
	bool all = true;

	if (!caps)
		return "cannot read this process's capabilities";
	cap_get_flag(caps, CAP_SYS_ADMIN, CAP_EFFECTIVE, &set);
	for (size_t i = 0; i < 2 && set == CAP_CLEAR; i++) {
		cap_flag_value_t one = CAP_CLEAR;

		cap_get_flag(caps, needed[i], CAP_EFFECTIVE, &one);
		all &= one == CAP_SET;
	}
	cap_free(caps);
	return set == CAP_SET || all ? NULL : "run as root, or with CAP_BPF and CAP_PERFMON";
}

static const char *map_type_missing(enum bpf_map_type type)
{
	return libbpf_probe_bpf_map_type(type, NULL) > 0 ? NULL
							 : "the kernel refuses to make such a map";
}

static const char *program_type_missing(enum bpf_prog_type type)
{
	return libbpf_probe_bpf_prog_type(type, NULL) > 0 ? NULL
							  : "the kernel refuses such a program";
}

size_t kernel_probe(struct kernel_feature *rows, size_t max)
{
	size_t nr = 0;

	if (max < 5)
		return 0;
	libbpf_set_print(NULL);
	set_row(&rows[nr++], "capabilities", true, kernel_capabilities_missing());
	set_row(&rows[nr++], "btf", true,
		kernel_btf() ? NULL : "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)");
	set_row(&rows[nr++], "ring_buffer", true, map_type_missing(BPF_MAP_TYPE_RINGBUF));
	set_row(&rows[nr++], "tp_btf", true, program_type_missing(BPF_PROG_TYPE_TRACING));
	set_row(&rows[nr++], "raw_tracepoint", true,
		program_type_missing(BPF_PROG_TYPE_RAW_TRACEPOINT));
	return nr;
}
