// SPDX-License-Identifier: Apache-2.0
/* What this kernel offers, asked of its BTF and by trying, never by its version. */
#include <bpf/btf.h>
#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>

#include "kernel/internal.h"

const struct program_plan program_plans[NR_FEATURES] = {
	[FEATURE_ACCOUNT] = { "on_switch", "cpu_account", HOOK_TRACEPOINT, "sched_switch", true },
	[FEATURE_FLUSH] = { "flush", "flush_on_cpu", HOOK_NONE, NULL, true },
	[FEATURE_MOVES] = { "on_move", "cgroup_moves", HOOK_TRACEPOINT, "cgroup_attach_task", false },
	[FEATURE_MOVES_EXACT] = { "on_move_begin", "cgroup_moves_exact", HOOK_FUNCTION,
				  "cgroup_attach_task", false },
	[FEATURE_HOTPLUG] = { "on_cpu_dead", "cpu_hotplug", HOOK_TRACEPOINT, "cpuhp_exit", false },
	[FEATURE_CGROUP_EVENTS] = { "on_cgroup_made", "cgroup_made", HOOK_TRACEPOINT, "cgroup_mkdir",
				    false },
	[FEATURE_CGROUP_REMOVALS] = { "on_cgroup_removed", "cgroup_removed", HOOK_TRACEPOINT,
				      "cgroup_rmdir", false },
};

static struct btf *kernel_btf(void)
{
	static struct btf *btf;

	if (!btf)
		btf = btf__load_vmlinux_btf();
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
