/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel types that mlprof reads, and of them only the fields it reads: this file is the list
 * of what we depend on. Offsets are the running kernel's, put in by CO-RE at load, so neither the
 * order nor what is missing between the fields matters. A type with a ___suffix is how an older or
 * newer kernel has it; which one holds is asked in bpf/lib/compat.bpf.h.
 */
#ifndef MLPROF_VMLINUX_H
#define MLPROF_VMLINUX_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef _Bool bool;

#define true 1
#define false 0
#define NULL ((void *)0)

/* Values of the kernel's ABI to BPF programs (uapi/linux/bpf.h). */
enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_AVAIL_DATA = 0,
	BPF_F_MMAPABLE = 1024,
};

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
};

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	u64 id;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

enum cgroup_subsys_id {
	cpu_cgrp_id,
	cpuacct_cgrp_id,
	memory_cgrp_id,
};

enum cpuhp_state {
	CPUHP_TEARDOWN_CPU,
};

/* Which one the enumerators above are, and how many there are, is the running kernel's word. */
#define MLPROF_CGROUP_SUBSYS_MAX 32

enum psi_states {
	PSI_IO_SOME,
	PSI_IO_FULL,
	PSI_MEM_SOME,
	PSI_MEM_FULL,
	PSI_CPU_SOME,
	PSI_CPU_FULL,
};

/* Sums in ns; the first so many are those that pressure files show. */
struct psi_group {
	u64 total[32];
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_subsys_state *subsys[MLPROF_CGROUP_SUBSYS_MAX];
	struct cgroup_root *root;
	struct psi_group *psi;
};

struct css_set {
	struct cgroup_subsys_state *subsys[MLPROF_CGROUP_SUBSYS_MAX];
	struct cgroup *dfl_cgrp;
};

struct rq {
	u64 clock;
	u64 clock_task;
};

/* With CONFIG_IRQ_TIME_ACCOUNTING, and with CONFIG_PARAVIRT_TIME_ACCOUNTING. */
struct rq___irq_time {
	u64 prev_irq_time;
};

struct rq___steal_time {
	u64 prev_steal_time_rq;
};

struct cfs_rq {
	struct rq *rq;
};

struct sched_entity {
	u64 exec_start;
	u64 sum_exec_runtime;
	struct cfs_rq *cfs_rq;
};

struct sched_info {
	unsigned long pcount;
	unsigned long long run_delay;
	unsigned long long last_queued;
};

struct thread_info {
	u32 cpu;
};

typedef struct {
	long counter;
} atomic_long_t;

/* How many pages a process has of each kind, in the kernel's order. */
enum {
	MM_FILEPAGES,
	MM_ANONPAGES,
	MM_SWAPENTS,
	MM_SHMEMPAGES,
	MM_KINDS,
};

struct percpu_counter {
	s64 count;
};

struct mm_struct {
	unsigned long hiwater_rss; /* pages */
	struct percpu_counter rss_stat[MM_KINDS];
};

/* Before 6.2, commit f1a7941243c1. */
struct mm_rss_stat {
	atomic_long_t count[MM_KINDS];
};

struct mm_struct___counts {
	struct mm_rss_stat rss_stat;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int __state;
	unsigned int flags;
	struct sched_entity se;
	struct sched_info sched_info;
	/* Ints before 7.0, then bytes: unsigned here, so that CO-RE changes the size of the
	 * load. */
	unsigned int on_cpu;
	unsigned int on_rq;
	int pid;
	int tgid;
	struct mm_struct *mm;
	struct css_set *cgroups;
};

/* Before 5.14, commit 2f064a59a11f. */
struct task_struct___state_long {
	volatile long state;
};

/* Before 5.16, commit bcf9033e5449, the CPU is not in thread_info. */
struct task_struct___own_cpu {
	unsigned int cpu;
};

/* Memory: all counts are pages. */
struct page_counter {
	atomic_long_t usage;
	unsigned long watermark;
	unsigned long max;
};

/* How an item is found in these differs: bpf/lib/compat.bpf.h. */
struct memcg_vmstats {
	long state[256];
	unsigned long events[256];
};

enum node_stat_item {
	NR_INACTIVE_FILE,
	NR_ISOLATED_ANON,
	NR_ANON_MAPPED,
	NR_FILE_PAGES,
};

enum vm_event_item {
	PGMAJFAULT,
};

enum memcg_memory_event {
	MEMCG_OOM_KILL,
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
	struct page_counter memory;
	struct memcg_vmstats *vmstats;
	atomic_long_t memory_events[32];
};

struct cfs_bandwidth {
	int nr_throttled;
	u64 throttled_time;
};

struct task_group {
	struct cgroup_subsys_state css;
	struct cfs_bandwidth cfs_bandwidth;
};

struct oom_control {
	struct mem_cgroup *memcg;
};

/* With the fields of the event's record since it carries the task. */
struct trace_event_raw_mark_victim {
	u32 uid;
};

struct inode {
	unsigned short i_mode;
	unsigned int i_rdev;
};

struct file {
	struct inode *f_inode;
};

struct kobject {
	const char *name;
};

struct device_driver {
	const char *name;
};

struct device {
	struct kobject kobj;
	struct device_driver *driver;
};

struct bpf_iter_meta {
	u64 seq_num;
};

struct bpf_iter__cgroup {
	struct bpf_iter_meta *meta;
	struct cgroup *cgroup;
};

#pragma clang attribute pop

#endif
