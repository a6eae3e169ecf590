/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs in the kernel, as user space sees them: loaded, drained, and let go. Nothing outside
 * user/kernel names libbpf.
 */
#ifndef MLPROF_KERNEL_KERNEL_H
#define MLPROF_KERNEL_KERNEL_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mlprof/record.h"

struct kernel;

struct kernel_options {
	size_t ring_bytes;  /* of all rings together; 0: 16 MiB. A ring is at least a page */
	unsigned int slots; /* per CPU, a power of two; 0: as the number of CPUs suggests */
	bool cgroup_v1;	    /* accounts are the cgroups of the v1 cpu controller */
	int hierarchy_id;   /* of that hierarchy, as in /proc/cgroups; 0 for cgroup v2 */
};

/* Something the agent can do only if the kernel lets it. Owned by the kernel handle. */
struct kernel_feature {
	const char *name;
	bool required; /* without it there is no accounting */
	bool nowhere;  /* no kernel has it: not up, and nothing to warn of */
	bool up;
	char reason[256]; /* why it is not up; "" if it is */
};

/*
 * Who takes the records, in no order. A record is valid during the call only. All from `oom` on may
 * be NULL.
 */
struct record_sink {
	void *context;
	void (*usage)(void *context, const struct mlprof_usage *usage);
	void (*cpu)(void *context, const struct mlprof_record_cpu *record);
	void (*cgroup)(void *context, const struct mlprof_record_cgroup *record);
	void (*oom)(void *context, const struct mlprof_record_oom *record);
	/* At each drain, of every cgroup that was ever held up: sums since it was made. Once more,
	 * and for the last time, before the record that it was removed. */
	void (*stall)(void *context, const struct mlprof_stall *stall);
	/* Before the record that the cgroup was removed: the most that one of its processes had, of
	 * those that have ended: an estimate of what the cgroup had. */
	void (*exited)(void *context, uint64_t cgroup, uint64_t rss_bytes);
	/* While kernel/gpu_calls.h is open. */
	void (*gpu_call)(void *context, const struct mlprof_record_gpu_call *record);
	void (*gpu_closed)(void *context, const struct mlprof_record_gpu_closed *record);
};

/* What reading cost and found, since the start. */
struct kernel_counts {
	uint64_t records;
	uint64_t malformed;	  /* records of a kind or length that is not known; skipped */
	uint64_t ring_size_bytes; /* of all rings together */
	uint64_t ring_used_bytes; /* that waited in them when the last drain began */
	uint64_t map_bytes;	  /* kernel memory of all maps, as the kernel accounts it */
	uint64_t bpf_stats_ns;	  /* how long run statistics were on */
	uint64_t stalls_lost;	  /* stalls of an unknown cgroup or an unknown length */
};

struct kernel_program {
	const char *name;
	uint64_t run_ns, runs; /* as counted while run statistics were on */
};

/*
 * Loads and attaches. What fails is noted in the features and does not stop the rest, unless it is
 * required: then the result is a negative errno and kernel_failure() says why. Either way `ret` is
 * to be given to kernel_close(), but for -ENOMEM with `ret` untouched.
 */
int kernel_open(const struct kernel_options *options, struct kernel **ret);

/* One line for a person: why kernel_open() failed. */
const char *kernel_failure(const struct kernel *kernel);

/* Detaches everything. NULL is fine. */
void kernel_close(struct kernel *kernel);

/*
 * Closes what runs on every CPU, hands all records to the sink and leaves the rings empty. Negative
 * errno if the accounts could not be flushed.
 */
int kernel_drain(struct kernel *kernel, const struct record_sink *sink);

/*
 * Prepares to sample the memory of the cgroups below the directory `root_fd`, which may be closed
 * afterwards. Negative errno if the iterator cannot be had; the feature `memory_iterator` says why.
 */
int kernel_memory_open(struct kernel *kernel, int root_fd);

/*
 * Has the kernel add up its statistics once and hands over a sample of every cgroup but the root,
 * parents first. A cgroup that was made or removed meanwhile may be missing or come twice if there
 * are more than 2,048. Negative errno if the walk failed; what was visited before is right.
 */
int kernel_memory_sample(struct kernel *kernel,
			 void (*visit)(void *context, const struct mlprof_memory *sample),
			 void *context);

/* A cgroup is gone though no event told so: forgets its stalls. */
void kernel_forget_cgroup(struct kernel *kernel, uint64_t cgroup);

const struct kernel_feature *kernel_features(const struct kernel *kernel, size_t *nr);

void kernel_count(struct kernel *kernel, struct kernel_counts *counts);

/* Fills at most `max` rows and returns how many there are. */
size_t kernel_programs(struct kernel *kernel, struct kernel_program *rows, size_t max);

/* What this process lacks to attach, as advice to a person; NULL if nothing. */
const char *kernel_capabilities_missing(void);

/* What the machine offers apart from hooks: rows as features, none of them owned by a handle. */
size_t kernel_probe(struct kernel_feature *rows, size_t max);

/* Has the kernel measure every BPF program of the machine, or stop it. Costs each run two clock
 * reads. */
int kernel_set_stats(struct kernel *kernel, bool on);

#endif
