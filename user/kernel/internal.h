/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of user/kernel share with each other and with nobody else. */
#ifndef MLPROF_KERNEL_INTERNAL_H
#define MLPROF_KERNEL_INTERNAL_H

#include <bpf/libbpf.h>

#include "kernel/kernel.h"
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
	NR_FEATURES,
};

/* A program, what it is for, and the hook it needs. */
struct program_plan {
	const char *program;
	const char *feature;
	enum {
		HOOK_NONE,
		HOOK_TRACEPOINT,
		HOOK_FUNCTION
	} hook_kind;
	const char *hook;
	bool required;
};

extern const struct program_plan program_plans[NR_FEATURES];

struct kernel {
	struct mlprof_bpf *bpf;
	unsigned int nr_cpus;	    /* possible CPUs */
	size_t ring_bytes;	    /* of one ring */
	bool general;		    /* on_switch_general is needed, not on_switch */
	struct ring_buffer **rings; /* reader of each CPU's ring */
	int *ring_fds;
	char failure[512];
	struct kernel_feature features[NR_FEATURES];
	struct bpf_link *links[NR_FEATURES];

	const struct record_sink *sink; /* during a drain */
	bool overflow_pending;		/* a slot went to the overflow map in use */
	struct kernel_counts counts;
	uint64_t waiting_bytes;	    /* read from the rings so far in this drain */
	uint64_t stats_on_since_ns; /* CLOCK_MONOTONIC; 0: off */
	int stats_fd;
};

/* rings.c: makes a ring per CPU and a reader of each; hands records to kernel->sink. */
int rings_open(struct kernel *kernel);
void rings_close(struct kernel *kernel);
int rings_consume(struct kernel *kernel, unsigned int cpu);

/* Why a hook cannot be had on this machine, or NULL if BTF has it. */
const char *hook_missing(const struct program_plan *plan);

/*
 * Whether on_switch will do, which does not ask what is rare: the kernel calls the state of a task
 * __state, and keeps neither interrupt nor steal time apart (bpf/lib/compat.bpf.h has both).
 */
bool kernel_is_common(void);

#endif
