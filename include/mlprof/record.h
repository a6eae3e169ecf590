/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What crosses from the kernel to user space through the rings: one fixed header, then one of the
 * records below. Every number is a difference since the record before it of the same kind, cgroup
 * and CPU, so a reader only ever adds. Includes nothing: the BPF side gets __u64 and the rest from
 * vmlinux.h, user space from <linux/types.h>.
 */
#ifndef MLPROF_RECORD_H
#define MLPROF_RECORD_H

/*
 * Bucket k of a wait histogram counts waits of at most 2^k microseconds that did not fit into
 * bucket k-1. The last bucket is everything over 2^24 us = 16.8 s.
 */
#define MLPROF_HIST_BUCKETS 26

/* Kernfs starts at 1, which is the root. The others are ids that no cgroup has. */
#define MLPROF_CGROUP_NONE	 0ULL /* an empty slot */
#define MLPROF_CGROUP_ROOT	 1ULL
#define MLPROF_CGROUP_KERNEL	 (~0ULL) /* kernel threads that live in the root cgroup */
#define MLPROF_CGROUP_ROOT_TASKS (~1ULL) /* the other tasks of the root cgroup */

/* Longest cgroup path that an event carries, with the NUL: the kernel cuts at
 * TRACE_CGROUP_PATH_LEN. */
#define MLPROF_CGROUP_PATH_MAX 1024

/* Open accounts per CPU, at least and at most; how many there are is a power of two. */
#define MLPROF_SLOTS_MIN 64
#define MLPROF_SLOTS_MAX 4096

/* What the flush program comes back with. */
enum mlprof_flush_result {
	MLPROF_FLUSH_DONE = 0, /* all is written, up to the moment in the CPU's record */
	MLPROF_FLUSH_MORE = 1, /* there is more: call again */
	MLPROF_FLUSH_FULL = 2, /* the ring is full: empty it, then call again */
};

enum mlprof_record_kind {
	MLPROF_RECORD_USAGE = 1,
	MLPROF_RECORD_CPU = 2,
	MLPROF_RECORD_CGROUP = 3,
	MLPROF_RECORD_OOM = 4,
	MLPROF_RECORD_GPU_CALL = 5,
	MLPROF_RECORD_GPU_CLOSED = 6,
};

struct mlprof_record_header {
	__u32 kind; /* enum mlprof_record_kind */
	__u32 cpu;  /* the CPU the record is about; its ring carries it */
};

/* Why a task left the CPU: it went to sleep, or it could have gone on. */
enum mlprof_switch {
	MLPROF_SWITCH_VOLUNTARY = 0,
	MLPROF_SWITCH_PREEMPTED = 1,
};

/*
 * What one cgroup used on one CPU. Also the layout of a slot of the account
 * (bpf/lib/account.bpf.h), so that writing a slot out is one copy.
 *
 * Times are signed: a flush estimates how far the running slice has come, and the switch that ends
 * the slice takes back what the estimate had too much, a microsecond or so.
 */
struct mlprof_usage {
	__u64 cgroup;	   /* cgroup id (inode of its directory), or one of MLPROF_CGROUP_* */
	__s64 cpu_ns;	   /* time on the CPU, as in cpu.stat: se.sum_exec_runtime */
	__s64 wait_ns;	   /* time runnable and not running, as in schedstat: sched_info */
	__u32 switches[2]; /* away from a task, by enum mlprof_switch */
	__u32 wait_hist[MLPROF_HIST_BUCKETS];
};

struct mlprof_record_usage {
	struct mlprof_record_header header;
	struct mlprof_usage usage;
};

/*
 * What happened on one CPU besides, closed in the same breath as the usage records before it:
 * usage + idle + irq_steal + unattributed = elapsed, but for the estimate described above.
 */
struct mlprof_record_cpu {
	struct mlprof_record_header header;
	__u64 mono_ns;		    /* CLOCK_MONOTONIC at which the interval ended */
	__s64 elapsed_ns;	    /* length of the interval by CLOCK_MONOTONIC */
	__s64 idle_ns;		    /* the idle task ran */
	__s64 irq_steal_ns;	    /* interrupts and a hypervisor took it from whoever ran */
	__s64 unattributed_ns;	    /* on-CPU time whose cgroup was lost */
	__u64 unattributed_wait_ns; /* run-queue wait whose cgroup was lost */
	__u32 overflowed;    /* slots that had to go and went to the overflow map: ring full */
	__u32 orphaned;	     /* of those, slots whose time became unattributed: map full too */
	__u32 waits_unknown; /* waits of tasks whose earlier wait elsewhere was not known */
	__u32 moves_unknown; /* slices whose task changed cgroup at an unknown moment */
	__u32 events_lost;   /* event records that found the ring full */
	__u32 padding;
};

enum mlprof_cgroup_op {
	MLPROF_CGROUP_MADE = 1,
	MLPROF_CGROUP_REMOVED = 2,
};

/* A cgroup was made or removed. The path follows, NUL-terminated, path_bytes long with the NUL. */
struct mlprof_record_cgroup {
	struct mlprof_record_header header;
	__u64 cgroup; /* cgroup id */
	__u32 op;     /* enum mlprof_cgroup_op */
	__u32 path_bytes;
	char path[]; /* from the root of its hierarchy, "/kubepods/..." */
};

enum mlprof_oom_reason {
	MLPROF_OOM_UNKNOWN = 0, /* this kernel does not let us see it */
	MLPROF_OOM_LIMIT = 1,	/* a cgroup reached its limit */
	MLPROF_OOM_MACHINE = 2, /* the machine, or the part of it that was asked of, was out */
};

/* The kernel has chosen a process to kill because memory was out. */
struct mlprof_record_oom {
	struct mlprof_record_header header;
	__u64 mono_ns;	    /* CLOCK_MONOTONIC */
	__u64 cgroup;	    /* the victim's, as in its accounts; MLPROF_CGROUP_NONE: not known */
	__u64 limit_cgroup; /* whose limit it was, in the memory controller's hierarchy; else NONE */
	__u32 pid;	    /* the victim's process id */
	__u32 reason;	    /* enum mlprof_oom_reason */
};

/* What held a task up. The kinds overlap: a page that is swapped in may wait for reclaim. */
enum mlprof_stall_kind {
	MLPROF_STALL_RECLAIM = 0,    /* it looked for memory to free, for itself or its cgroup */
	MLPROF_STALL_COMPACTION = 1, /* it moved pages to make room for a large one */
	MLPROF_STALL_SWAPIN = 2,     /* it waited for a page of its own to come back from swap */
	MLPROF_STALL_THRASHING = 3, /* for a page in use until it was taken: no hook, never known */
	MLPROF_STALLS = 4,
};

/* How long tasks of a cgroup were held up, since the programs were attached; stalls that ended. */
struct mlprof_stall {
	__u64 cgroup;		 /* as in its accounts */
	__u64 ns[MLPROF_STALLS]; /* by enum mlprof_stall_kind */
};

enum mlprof_pressure {
	MLPROF_PRESSURE_CPU = 0,
	MLPROF_PRESSURE_MEMORY = 1,
	MLPROF_PRESSURE_IO = 2,
	MLPROF_PRESSURES = 3,
};

/* Which fields of struct mlprof_memory are known. The others are 0 and mean nothing. */
#define MLPROF_MEMORY_CURRENT		      (1U << 0)
#define MLPROF_MEMORY_INACTIVE_FILE	      (1U << 1)
#define MLPROF_MEMORY_ANON		      (1U << 2)
#define MLPROF_MEMORY_FILE		      (1U << 3)
#define MLPROF_MEMORY_PEAK		      (1U << 4)
#define MLPROF_MEMORY_LIMIT		      (1U << 5) /* not set: there is no limit, or it is not known */
#define MLPROF_MEMORY_MAJOR_FAULTS	      (1U << 6)
#define MLPROF_MEMORY_OOM_KILLS		      (1U << 7)
#define MLPROF_MEMORY_THROTTLED		      (1U << 8) /* both throttled_ns and throttled_periods */
#define MLPROF_MEMORY_PRESSURE_SOME(resource) (1U << (16 + 2 * (resource)))
#define MLPROF_MEMORY_PRESSURE_FULL(resource) (1U << (17 + 2 * (resource)))

/*
 * What one cgroup and those below it hold, and what that has cost them since the cgroup was made.
 * All but the first are as the cgroup's files have them.
 */
struct mlprof_memory {
	__u64 cgroup;		   /* as in its accounts */
	__u64 known;		   /* MLPROF_MEMORY_* */
	__u64 current_bytes;	   /* charged to it: memory.current */
	__u64 inactive_file_bytes; /* of that, page cache that would not be missed */
	__u64 anon_bytes;	   /* of that, mapped anonymous memory: rss */
	__u64 file_bytes;	   /* of that, page cache and shared memory */
	__u64 peak_bytes;	   /* the most it was ever charged with */
	__u64 limit_bytes;	   /* memory.max */
	__u64 major_faults;	   /* page faults that had to read */
	__u64 oom_kills;	   /* processes killed */
	__u64 throttled_ns;	   /* its run queues were stopped by cpu.max, summed over CPUs */
	__u64 throttled_periods;   /* in so many periods */
	__u64 some_ns[MLPROF_PRESSURES]; /* some task waited for it, by enum mlprof_pressure */
	__u64 full_ns[MLPROF_PRESSURES]; /* no task could go on for want of it */
};

/* Longest name of a GPU's scheduler, of its device and of that one's driver, with the NUL. */
#define MLPROF_GPU_NAME_MAX 32

/*
 * A queue of jobs in front of a part of a GPU: a DRM scheduler. Where a driver has one for each
 * hardware ring, which runs jobs one after the other, it is the ring.
 */
struct mlprof_gpu_ring {
	__u64 id;      /* no other ring has it at the same time; 0: no ring */
	__u64 done_ns; /* CLOCK_MONOTONIC at which the last job of it ended; 0: none has */
	__u64 busy_ns; /* time in which a job ran, whosever it was */
	char name[MLPROF_GPU_NAME_MAX];
	char device[MLPROF_GPU_NAME_MAX]; /* as sysfs calls it, "0000:03:00.0"; "" if not known */
	char driver[MLPROF_GPU_NAME_MAX]; /* of the device; "" if none is bound */
};

/* What the jobs of a cgroup on a ring have taken that have ended. Dropped ones are not counted. */
struct mlprof_gpu_jobs {
	/* Number of the ring, and above its 8 bits the cgroup, as in the accounts of who submitted;
	 * MLPROF_CGROUP_KERNEL: the kernel did. 0: free */
	__u64 key;
	__u64 jobs;
	__u64 busy_ns;	     /* they ran; no two of a ring at the same time */
	__u64 queue_wait_ns; /* from submitted to handed to the ring */
	__u64 ring_wait_ns;  /* from handed to the ring to begun: it ran one before them */
	__u32 ran_hist[MLPROF_HIST_BUCKETS]; /* of the time that a job ran, as wait histograms */
};

/* A job that is under way. */
struct mlprof_gpu_job {
	__u64 fence;	 /* its address; 0: no job */
	__u64 cgroup;	 /* of who submitted, likewise */
	__u64 queued_ns; /* CLOCK_MONOTONIC */
	__u64 handed_ns; /* to the ring; 0: not yet */
	__u32 ring;	 /* its number plus one; 0: not known */
	__u32 padding;
};

/* Who takes the calls to a GPU's file. A power of two. */
enum mlprof_gpu_driver {
	MLPROF_GPU_NONE = 0, /* no GPU */
	MLPROF_GPU_NVIDIA = 1,
	MLPROF_GPU_NVIDIA_UVM = 2,
	MLPROF_GPU_KFD = 3,
	MLPROF_GPU_DRM = 4, /* which one, its minor tells */
	MLPROF_GPU_DRM_OTHER = 5,
	MLPROF_GPU_AMDGPU = 6,
	MLPROF_GPU_I915 = 7,
	MLPROF_GPU_XE = 8,
	MLPROF_GPU_NOUVEAU = 9,
	MLPROF_GPU_VIRTIO = 10,
	MLPROF_GPU_PANFROST = 11,
	MLPROF_GPU_V3D = 12,
	MLPROF_GPU_MSM = 13,
	MLPROF_GPU_LIMA = 14,
	MLPROF_GPU_ETNAVIV = 15,
	MLPROF_GPU_DRIVERS = 16,
};

/* What a call is for. */
enum mlprof_gpu_op {
	MLPROF_GPU_OP_OTHER = 0,
	MLPROF_GPU_OP_SUBMIT = 1,
	MLPROF_GPU_OP_WAIT = 2,
	MLPROF_GPU_OP_ALLOC = 3,
	MLPROF_GPU_OP_FREE = 4,
	MLPROF_GPU_OP_MAP = 5,
	MLPROF_GPU_OP_CONTEXT = 6,
	MLPROF_GPU_OP_QUERY = 7,
	MLPROF_GPU_OPS = 8,
};

/* Whose calls, to which device and what for. */
struct mlprof_gpu_caller {
	__u64 cgroup; /* as in the accounts */
	__u32 device; /* the file's, as the kernel numbers it: major << 20 | minor */
	__u32 op;     /* enum mlprof_gpu_op */
};

struct mlprof_gpu_calls {
	__u64 calls;
	__u64 errors; /* of these, those that the system call failed with an errno */
	__u64 ns;     /* from their beginning to their end */
	__u32 hist[MLPROF_HIST_BUCKETS]; /* as wait histograms */
};

/* Most bytes that are copied of a call's arguments, one less than a power of two, and of those that
 * a class of objects has beside; and how many there are of UVM's, which do not say. */
#define MLPROF_GPU_ARG_MAX    255
#define MLPROF_GPU_PARAMS_MAX 128
#define MLPROF_GPU_UVM_BYTES  64

/* A call that made, freed or named something, as the driver left it in the caller's memory. */
struct mlprof_record_gpu_call {
	struct mlprof_record_header header;
	__u64 mono_ns;	   /* CLOCK_MONOTONIC when it was over */
	__u64 cgroup;	   /* the caller's, as in the accounts */
	__u64 file;	   /* an id that no other open file has */
	__u32 tgid;	   /* the caller's process */
	__u32 device;	   /* the file's: major << 20 | minor */
	__u32 driver;	   /* enum mlprof_gpu_driver */
	__u32 nr;	   /* of the call, within its driver; wrapped ones are unwrapped */
	__s32 result;	   /* of the system call; its driver's own is in the arguments */
	__u32 arg_bytes;   /* of arg; 0: it could not be read */
	__u32 param_bytes; /* of params */
	__u32 padding;
	__u8 arg[256];
	__u8 params[MLPROF_GPU_PARAMS_MAX];
};

/* An open file of a GPU is gone, and with it what was made through it. */
struct mlprof_record_gpu_closed {
	struct mlprof_record_header header;
	__u64 mono_ns; /* CLOCK_MONOTONIC */
	__u64 file;    /* the id that it had */
	__u32 driver;  /* enum mlprof_gpu_driver */
	__u32 device;  /* major << 20 | minor */
};

_Static_assert(sizeof(struct mlprof_gpu_calls) == 128, "GPU calls");
_Static_assert(sizeof(struct mlprof_record_gpu_call) == 448, "GPU call record");
_Static_assert(sizeof(struct mlprof_record_gpu_closed) == 32, "GPU file record");
_Static_assert(sizeof(struct mlprof_gpu_ring) == 120, "GPU ring");
_Static_assert(sizeof(struct mlprof_gpu_jobs) == 144, "GPU jobs");
_Static_assert(sizeof(struct mlprof_gpu_job) == 40, "GPU job");
_Static_assert(sizeof(struct mlprof_record_header) == 8, "header");
_Static_assert(sizeof(struct mlprof_usage) == 136, "usage");
_Static_assert(sizeof(struct mlprof_record_usage) == 144, "usage record");
_Static_assert(sizeof(struct mlprof_record_cpu) == 80, "cpu record");
_Static_assert(sizeof(struct mlprof_record_cgroup) == 24, "cgroup record");
_Static_assert(sizeof(struct mlprof_record_oom) == 40, "oom record");
_Static_assert(sizeof(struct mlprof_stall) == 40, "stall");
_Static_assert(sizeof(struct mlprof_memory) == 144, "memory sample");

#endif
