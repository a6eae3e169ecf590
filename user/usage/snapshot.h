/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every output renders from: all that is known at the end of one drain. The drain publishes a
 * new snapshot each time; a published one never changes and lives until its last reader lets go, so
 * a slow scrape never delays a drain. Counters in it never go back from one snapshot to the next.
 */
#ifndef MLPROF_USAGE_SNAPSHOT_H
#define MLPROF_USAGE_SNAPSHOT_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu/engines.h"
#include "mlprof/record.h"
#include "owner/names.h"
#include "owner/pods.h"

/* Where a node's CPU time goes. Every nanosecond is in exactly one of them. */
enum node_mode {
	NODE_PODS,
	NODE_UNITS,  /* cgroups that belong to no pod */
	NODE_KERNEL, /* kernel threads of the root cgroup */
	NODE_IDLE,
	NODE_IRQ_STEAL,
	NODE_UNATTRIBUTED, /* ran, but for whom was lost; see events_lost */
	NODE_MODES,
};

/* Names as the label `mode` spells them, by enum node_mode. */
extern const char *const node_mode_names[NODE_MODES];

enum owner_kind {
	OWNER_POD,
	OWNER_UNIT,
};

/* Run-queue latency: bucket k counts waits of at most 2^k us and more than 2^(k-1) us. */
struct wait_hist {
	uint64_t bucket[MLPROF_HIST_BUCKETS];
	uint64_t sum_ns;
};

/* Which members of a memory_row are known. */
#define MEMORY_ROW_HOLDS		   (1u << 0) /* working_set_bytes, rss_bytes, cache_bytes, byte_seconds */
#define MEMORY_ROW_PEAK			   (1u << 1)
#define MEMORY_ROW_FAULTS		   (1u << 2)
#define MEMORY_ROW_OOM			   (1u << 3)
#define MEMORY_ROW_THROTTLED		   (1u << 4)
#define MEMORY_ROW_STALL		   (1u << 5)
#define MEMORY_ROW_ESTIMATED		   (1u << 6) /* it was never sampled: the peak is that of a process */
#define MEMORY_ROW_PRESSURE(resource)	   (1u << (8 + (resource)))  /* some_ns */
#define MEMORY_ROW_PRESSURE_FULL(resource) (1u << (16 + (resource))) /* full_ns */

/* What a pod or a container holds, and what that has cost it since the agent first saw it. */
struct memory_row {
	uint32_t known; /* MEMORY_ROW_* */
	uint64_t working_set_bytes;
	uint64_t rss_bytes;
	uint64_t cache_bytes;
	uint64_t peak_bytes;
	uint64_t byte_seconds;	    /* working set times time */
	uint32_t byte_seconds_nano; /* and a part of one, in byte-nanoseconds */
	uint64_t major_faults;
	uint64_t oom_kills;
	uint64_t throttled_ns; /* its run queues were stopped by cpu.max, summed over CPUs */
	uint64_t throttled_periods;
	uint64_t stall_ns[MLPROF_STALLS];   /* by enum mlprof_stall_kind */
	uint64_t some_ns[MLPROF_PRESSURES]; /* by enum mlprof_pressure */
	uint64_t full_ns[MLPROF_PRESSURES];
};

/* What one owner has used since the agent first saw it. Strings are the snapshot's own. */
struct usage_row {
	enum owner_kind kind;
	const char *namespace_; /* "" while unknown */
	const char *pod;	/* pod name, the UID while the name is unknown; "" for a unit */
	const char *container;	/* likewise; "" for what the pod's own cgroup ran */
	const char *unit;	/* systemd unit or top cgroup; "" for a pod */
	bool settling;		/* its time is about to go to another row: owners_settling() */
	uint64_t cpu_ns;
	uint64_t wait_ns;
	uint64_t voluntary;
	uint64_t preempted;
	struct wait_hist wait;
	struct memory_row memory;
};

/* What one owner has used of an engine of a GPU since the agent first saw it. */
struct gpu_row {
	enum owner_kind kind;
	const char *namespace_, *pod, *container; /* as in usage_row */
	const char *unit;			  /* likewise; "system": the kernel's own jobs */
	bool settling;
	const char *gpu; /* the device as sysfs calls it */
	enum gpu_engine engine;
	uint64_t jobs;		/* that have ended */
	bool busy_known;	/* busy_ns and ring_wait_ns are */
	uint64_t busy_ns;	/* they ran; up to now, also those that run */
	uint64_t queue_wait_ns; /* from submitted to handed to a ring */
	uint64_t ring_wait_ns;	/* from handed to it to begun */
};

/* What all have used of an engine of a GPU. */
struct gpu_engine_row {
	const char *gpu, *driver;
	enum gpu_engine engine;
	unsigned int rings;	  /* that work side by side */
	bool busy_known;	  /* both below are */
	uint64_t busy_ns;	  /* summed over rings */
	uint64_t unattributed_ns; /* of that, of nobody who is known */
};

/* Calls of one kind to the drivers of GPUs, of all owners of a namespace; "": of those without. */
struct gpu_calls_row {
	const char *namespace_;
	enum mlprof_gpu_op op;
	uint64_t errors; /* calls that the kernel has failed */
	struct wait_hist took;
};

/* How long one owner's tasks were in calls that wait for a GPU. */
struct gpu_wait_row {
	enum owner_kind kind;
	const char *namespace_, *pod, *container, *unit; /* as in usage_row */
	bool settling;
	const char *gpu; /* "" if the file is of several */
	uint64_t wait_ns;
};

/* What one owner holds of a GPU by what it has asked the driver for, and has held. */
struct gpu_holding_row {
	enum owner_kind kind;
	const char *namespace_, *pod, *container, *unit; /* as in usage_row */
	bool settling;
	const char *gpu; /* "" if it is not known which */
	uint64_t contexts;
	uint64_t device_bytes, pinned_bytes;
	uint64_t held_ns;      /* there was a context */
	uint64_t byte_seconds; /* device bytes times time */
};

/* A GPU of this machine; what is not known of it is "". */
struct gpu_device_row {
	const char *gpu; /* UUID, else PCI address, else its name in sysfs */
	const char *vendor, *driver, *driver_version, *model, *sharing;
	const char *busy_source,
		*busy_quality; /* where busy time comes from, and what it is worth */
	bool memory_known;
	uint64_t memory_bytes;
};

/* How long jobs ran, of all pods of a namespace. */
struct gpu_namespace_row {
	const char *namespace_;
	struct wait_hist ran;
};

/* Run-queue latency of all pods of a namespace. */
struct namespace_row {
	const char *namespace_; /* "" for pods whose namespace is unknown */
	struct wait_hist wait;
};

/* One way in which something was lost. */
struct loss_row {
	const char *plane; /* "account" or "event" */
	const char *cause;
	uint64_t count;
};

/* One BPF program's cost, as the kernel counted it while its statistics were on. */
struct program_row {
	const char *name;
	uint64_t run_ns;
	uint64_t runs;
};

/* One thing the agent may or may not be able to do on this kernel. */
struct feature_row {
	const char *name;
	bool up;
	const char *reason; /* why not; "" if up */
};

/* What the agent itself costs. */
struct self_stats {
	uint64_t cpu_ns;	      /* user and system time of the agent's process */
	uint64_t rss_bytes;	      /* resident memory of the agent's process */
	uint64_t map_bytes;	      /* kernel memory of its BPF maps, rings included */
	uint64_t drains;	      /* how many drains there were */
	uint64_t drain_ns;	      /* what they took altogether, by the monotonic clock */
	uint64_t records;	      /* records read from the rings */
	uint64_t bpf_stats_ns;	      /* how long the kernel's run statistics were on */
	uint64_t ring_size_bytes;     /* of all rings together */
	uint64_t ring_used_bytes;     /* bytes that waited in them when the drain began */
	uint64_t accounts_overflowed; /* slots that went to the overflow map */
	uint64_t owners_dropped;      /* owners that found the table full; summed in "other" */
	uint64_t start_realtime_ns;   /* CLOCK_REALTIME when the agent began to count */
};

struct snapshot {
	uint64_t seq;	       /* 1 for the first */
	uint64_t realtime_ns;  /* CLOCK_REALTIME at its making */
	uint64_t monotonic_ns; /* CLOCK_MONOTONIC up to which it tells, the mean of all CPUs */
	unsigned int cpus_online;

	uint64_t node_ns[NODE_MODES]; /* by enum node_mode; sums to elapsed_ns */
	uint64_t elapsed_ns;	      /* CLOCK_MONOTONIC that passed, summed over online CPUs */
	uint64_t unattributed_wait_ns;

	const struct usage_row *rows; /* pods first, then units; each sorted by its names */
	size_t nr_rows;
	const struct namespace_row *namespaces; /* sorted by name */
	size_t nr_namespaces;
	const struct gpu_row *gpu_rows;
	size_t nr_gpu_rows;
	const struct gpu_engine_row *gpu_engines;
	size_t nr_gpu_engines;
	const struct gpu_namespace_row *gpu_namespaces;
	size_t nr_gpu_namespaces;
	const struct gpu_calls_row *gpu_calls;
	size_t nr_gpu_calls;
	const struct gpu_wait_row *gpu_waits;
	size_t nr_gpu_waits;
	const struct gpu_holding_row *gpu_holdings;
	size_t nr_gpu_holdings;
	const struct gpu_device_row *gpu_devices;
	size_t nr_gpu_devices;
	const struct loss_row *losses;
	size_t nr_losses;
	const struct program_row *programs;
	size_t nr_programs;
	const struct feature_row *features;
	size_t nr_features;
	const struct pods *pods; /* what the cluster says of them; NULL before it has answered */
	const char *node;	 /* this node's name */
	size_t pods_nameless;	 /* owners whose pod has no name yet */
	struct names_status names[NAMES_SOURCES];
	uint64_t names_ns; /* CLOCK_MONOTONIC when that was so */
	struct self_stats self;
};

/*
 * An empty snapshot with one holder, the caller. Everything its pointers lead to comes from
 * snapshot_alloc() and goes with it; `pods` is held once, and let go with it. NULL when memory is
 * out.
 */
struct snapshot *snapshot_new(void);

/* `bytes` of zeroed memory, aligned for anything, that live as long as `snap`; NULL if none. */
void *snapshot_alloc(struct snapshot *snap, size_t bytes);

/* A copy of `text` that lives as long as `snap`; NULL when memory is out. */
const char *snapshot_strdup(struct snapshot *snap, const char *text);

/* The place where the newest snapshot is to be had. Opaque; safe to use from any thread. */
struct snapshot_board;

struct snapshot_board *snapshot_board_new(void);
void snapshot_board_free(struct snapshot_board *board);

/*
 * The newest snapshot, held for the caller, who must give it to snapshot_put(). NULL before the
 * first drain has ended.
 */
const struct snapshot *snapshot_get(struct snapshot_board *board);
void snapshot_put(const struct snapshot *snap);

/* Makes `snap` the newest and takes over the caller's hold on it. */
void snapshot_publish(struct snapshot_board *board, const struct snapshot *snap);

#endif
