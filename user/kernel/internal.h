/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of user/kernel share with each other and with nobody else. */
#ifndef MLPROF_KERNEL_INTERNAL_H
#define MLPROF_KERNEL_INTERNAL_H

#include <bpf/libbpf.h>

#include "kernel/kernel.h"
#include "gpu_ioctl.skel.h"
#include "gpu_sched.skel.h"
#include "memory.skel.h"
#include "mlprof.skel.h"

enum feature_id {
	FEATURE_ACCOUNT, /* on_switch */
	FEATURE_FLUSH,
	FEATURE_FORKS,	       /* on_fork */
	FEATURE_MOVES,	       /* on_move_late */
	FEATURE_MOVES_EXACT,   /* on_move */
	FEATURE_MOVES_REMOTE,  /* on_moved */
	FEATURE_HOTPLUG,       /* on_cpu_dead */
	FEATURE_CGROUP_EVENTS, /* on_cgroup_made */
	FEATURE_CGROUP_REMOVALS,
	FEATURE_MEMORY_ITERATOR,
	FEATURE_STALL_RECLAIM,
	FEATURE_STALL_COMPACTION,
	FEATURE_STALL_SWAPIN,
	FEATURE_STALL_THRASHING,
	FEATURE_OOM,
	FEATURE_OOM_REASON,
	FEATURE_EXITS,
	NR_FEATURES,

	/* Other programs of a feature: without one of them it is down. They have no row. */
	PART_RECLAIM_BEGIN = NR_FEATURES,
	PART_MEMCG_RECLAIM_BEGIN,
	PART_MEMCG_RECLAIM_END,
	PART_COMPACTION_BEGIN,
	PART_SWAPIN_BEGIN,
	PART_OOM_END,
	NR_PROGRAMS,
};

/* A program, what it is for, and the hook it needs. */
struct program_plan {
	const char *program;
	const char *feature;
	enum {
		HOOK_NONE,
		HOOK_TRACEPOINT,
		HOOK_FUNCTION,
		HOOK_ITERATOR, /* over what `hook` names; attached by its reader */
		HOOK_NOWHERE,  /* there is no program, and `hook` says why */
	} hook_kind;
	const char *hook;
	bool required;
};

extern const struct program_plan program_plans[NR_PROGRAMS];

/* For a part: the feature. */
extern const enum feature_id program_wholes[NR_PROGRAMS];

/* How the statistics of memory cgroups are to be had: bpf/lib/memcg.bpf.h. */
struct memcg_plan {
	bool by_kfunc, flush_by_css;
	__u64 items_table, events_table; /* kernel addresses */
};

struct kernel {
	struct mlprof_bpf *bpf;
	unsigned int nr_cpus; /* possible CPUs */
	size_t ring_bytes;    /* of one ring */
	bool general;	      /* on_switch_general is needed, not on_switch */
	bool oom_by_function; /* on_oom_by_function is needed, not on_oom */
	struct memcg_plan memcg;
	struct ring_buffer **rings; /* reader of each CPU's ring */
	int *ring_fds;
	char failure[512];
	struct kernel_feature features[NR_PROGRAMS];
	struct bpf_link *links[NR_PROGRAMS];
	struct memory_bpf *memory;	     /* NULL: the iterator is not loaded */
	const struct mlprof_memory *samples; /* the iterator's table, mapped; NULL: not open */

	const struct record_sink *sink;	      /* during a drain */
	struct mlprof_record_cgroup *removed; /* in this drain; without their paths */
	size_t nr_removed, removed_capacity;
	bool overflow_pending; /* a slot went to the overflow map in use */
	struct kernel_counts counts;
	uint64_t waiting_bytes;	    /* read from the rings so far in this drain */
	uint64_t stats_on_since_ns; /* CLOCK_MONOTONIC; 0: off */
	int stats_fd;
};

/* rings.c: makes a ring per CPU and a reader of each; hands records to kernel->sink. */
int rings_open(struct kernel *kernel);
void rings_close(struct kernel *kernel);
int rings_consume(struct kernel *kernel, unsigned int cpu);

/* Tells which cgroups were removed, of those that rings_consume() read. */
void rings_tell_removed(struct kernel *kernel);

/* cgroup_iter.c: loads the iterator if the feature is up, which is down if it fails. */
void cgroup_iter_load(struct kernel *kernel, bool cgroup_v1);

/* cgroup_iter.c: why memory cannot be sampled by the iterator, or NULL and how it can. */
const char *memcg_missing(struct memcg_plan *plan, bool cgroup_v1);
void cgroup_iter_close(struct kernel *kernel);

/*
 * stalls.c: hands the stalls of all cgroups to kernel->sink; and, of a cgroup that is gone, all
 * that is kept about it, which is then forgotten.
 */
int stalls_take(struct kernel *kernel);
void stalls_take_gone(struct kernel *kernel, uint64_t cgroup);

/* kallsyms.c: the address of a symbol of the kernel; 0 if it has none, or does not tell us. */
__u64 kallsyms_address(const char *name);

/* The feature is down, and why. The first reason stays. */
void feature_down(struct kernel_feature *feature, const char *reason);

/* Whether the kernel's BTF has a function, or a struct with that field (NULL: any). */
bool btf_has_function(const char *name);
bool btf_has_field(const char *type, const char *field);

/* Why a hook cannot be had on this machine, or NULL if BTF has it. */
const char *hook_missing(const struct program_plan *plan);

/*
 * Whether on_switch will do, which does not ask what is rare: the kernel calls the state of a task
 * __state, and keeps neither interrupt nor steal time apart (bpf/lib/compat.bpf.h has both).
 */
bool kernel_is_common(void);

#endif
