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

const struct program_plan program_plans[NR_FEATURES] = {
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

	if (!btf)
		return "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)";
	if (plan->hook_kind == HOOK_TRACEPOINT) {
		snprintf(name, sizeof(name), "btf_trace_%s", plan->hook);
		if (btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF) < 0)
			return "the kernel has no such tracepoint";
	} else if (plan->hook_kind == HOOK_FUNCTION) {
		if (btf__find_by_name_kind(btf, plan->hook, BTF_KIND_FUNC) < 0)
			return "the kernel has no such function to attach to";
	}
	return NULL;
}

static bool struct_has(const char *type, const char *field)
{
	struct btf *btf = kernel_btf();
	int id = btf ? btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT) : -1;
	const struct btf_type *t = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);

	for (unsigned int i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), field))
			return true;
	return false;
}

bool kernel_is_common(void)
{
	return struct_has("task_struct", "__state") && !struct_has("rq", "prev_irq_time") &&
	       !struct_has("rq", "prev_steal_time_rq");
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
