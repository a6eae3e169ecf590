// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What processes ask the drivers of GPUs for: how many calls of which kind, how long they took, and
 * copies of those that make or free something.
 *
 * An object of its own, loaded once a driver of a GPU is there. Its hooks are at ioctl alone, not at
 * all system calls, and tell a GPU's file by its device number; what is not one pays for two looks.
 * What a call did is read when it is over, since the driver writes the outcome into the caller's
 * memory. User space makes sense of the copies (user/gpu), which differ between drivers' versions.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "mlprof/record.h"
#include "lib/compat.bpf.h"
#include "lib/hist.bpf.h"
#include "lib/ring.bpf.h"
#include "lib/gpu_ops.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Character devices have majors below 512, and minors that we tell apart below 256. */
#define MAJORS	   512
#define MINORS	   256

#define MINOR_BITS 20
#define S_IFMT	   0170000
#define S_IFCHR	   0020000

/*
 * The driver behind each major, by enum mlprof_gpu_driver; 0: no GPU. For MLPROF_GPU_DRM the minor
 * tells which. Written by user space as drivers come and go, one byte at a time.
 */
__u8 gpu_majors[MAJORS];
__u8 gpu_drm_minors[MINORS];

/* A call under way. `file` is nothing but an identity. */
struct gpu_call {
	u32 pid; /* of the thread; 0: free */
	u32 command;
	u64 arg;
	u64 file;
	u64 begun_ns;
	u32 device; /* as the kernel numbers it: major << 20 | minor */
	u32 driver;
};

/*
 * Calls under way by the thread's pid: it alone writes its own, when the call begins and when it
 * ends. Two whose pids differ by a multiple of the size take each other's place, which is counted.
 * Memory: 160 KiB in all.
 */
#define CALLS 4096
static struct gpu_call gpu_calls[CALLS];

/* How many there are. A thread that dies in one leaves it too high, which costs every ioctl a look.
 */
static u32 gpu_calls_under_way;

/* Calls whose end could not be told, and copies that found their ring full or could not be read.
 * Written by all CPUs. */
__u64 gpu_calls_lost = 0;
__u64 gpu_copies_lost = 0;
__u64 gpu_copies_unreadable = 0;

/* Sums by caller, written when a call is over, read at each drain. Memory: entries * about 220
 * bytes, for all CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, struct mlprof_gpu_caller);
	__type(value, struct mlprof_gpu_calls);
} gpu_call_sums SEC(".maps");

/*
 * What is no GPU's goes no further than this, in the registers that nobody has to save. Block
 * devices have majors of their own.
 */
static __always_inline bool may_be_gpu(struct inode *inode)
{
	return gpu_majors[(inode->i_rdev >> MINOR_BITS) & (MAJORS - 1)];
}

/* The driver of a file; 0 if it is no GPU's. */
static __always_inline u32 driver_of_file(struct inode *inode)
{
	u32 device = inode->i_rdev, driver = gpu_majors[(device >> MINOR_BITS) & (MAJORS - 1)];

	if ((inode->i_mode & S_IFMT) != S_IFCHR)
		return MLPROF_GPU_NONE;
	return driver == MLPROF_GPU_DRM ? gpu_drm_minors[device & (MINORS - 1)] : driver;
}

static __noinline int call_begun(u64 *ctx)
{
	struct file *file = (void *)ctx[0];
	u32 driver = driver_of_file(file->f_inode), pid = bpf_get_current_pid_tgid();
	struct gpu_call *call = &gpu_calls[pid & (CALLS - 1)];

	if (!driver)
		return 0;
	if (call->pid && call->pid != pid)
		__sync_fetch_and_add(&gpu_calls_lost, 1);
	else if (!call->pid)
		__sync_fetch_and_add(&gpu_calls_under_way, 1);
	call->command = ctx[1];
	call->arg = ctx[2];
	call->file = (u64)file;
	call->device = file->f_inode->i_rdev;
	call->driver = driver;
	call->begun_ns = bpf_ktime_get_ns();
	call->pid = pid;
	return 0;
}

/* (struct file *file, unsigned int command, unsigned long arg) */
SEC("fentry/security_file_ioctl")
int on_ioctl(u64 *ctx)
{
	struct file *file = (void *)ctx[0];

	return may_be_gpu(file->f_inode) ? call_begun(ctx) : 0;
}

static __always_inline void add_call(const struct mlprof_gpu_caller *caller, u64 took, bool failed)
{
	static const struct mlprof_gpu_calls none;
	struct mlprof_gpu_calls *sums = bpf_map_lookup_elem(&gpu_call_sums, caller);

	if (!sums) {
		bpf_map_update_elem(&gpu_call_sums, caller, &none, BPF_NOEXIST);
		sums = bpf_map_lookup_elem(&gpu_call_sums, caller);
	}
	if (!sums) {
		__sync_fetch_and_add(&gpu_calls_lost, 1);
		return;
	}
	__sync_fetch_and_add(&sums->calls, 1);
	__sync_fetch_and_add(&sums->errors, failed);
	__sync_fetch_and_add(&sums->ns, took);
	__sync_fetch_and_add(&sums->hist[hist_bucket(took)], 1);
}

/* Room is made as large as any call's; what is copied of it is told. */
static __noinline int copy_call(const struct gpu_call *call, u64 now, u64 cgroup, s32 result)
{
	u32 cpu = bpf_get_smp_processor_id();
	void *ring = ring_of(cpu);
	struct mlprof_record_gpu_call *record;

	if (!call)
		return 0;
	record = ring ? bpf_ringbuf_reserve(ring, sizeof(*record), 0) : NULL;
	if (!record) {
		__sync_fetch_and_add(&gpu_copies_lost, 1);
		return 0;
	}
	record->header.kind = MLPROF_RECORD_GPU_CALL;
	record->header.cpu = cpu;
	record->mono_ns = now;
	record->cgroup = cgroup;
	record->file = call->file;
	record->tgid = bpf_get_current_pid_tgid() >> 32;
	record->device = call->device;
	record->driver = call->driver;
	record->result = result;
	gpu_copy(record, call->driver, call->command, call->arg);
	if (!record->arg_bytes)
		__sync_fetch_and_add(&gpu_copies_unreadable, 1);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

static __always_inline void call_ended(const struct gpu_call *call, s32 result)
{
	u64 now = bpf_ktime_get_ns();
	struct mlprof_gpu_caller caller = {.cgroup = current_account()};

	caller.device = call->device;
	caller.op = gpu_op(call->driver, call->command);
	add_call(&caller, now - call->begun_ns, result < 0);
	if (gpu_makes_something(call->driver, call->command))
		copy_call(call, now, caller.cgroup, result);
}

static __noinline int some_call_ended(u64 *ctx)
{
	u32 pid = bpf_get_current_pid_tgid();
	struct gpu_call *call = &gpu_calls[pid & (CALLS - 1)];

	if (call->pid != pid)
		return 0;
	call_ended(call, ctx[1]);
	call->pid = 0;
	__sync_fetch_and_add(&gpu_calls_under_way, -1);
	return 0;
}

/* The system call itself, (const struct pt_regs *registers), and its result: a security module may
 * have forbidden what began above. */
SEC("fexit")
int on_ioctl_done(u64 *ctx)
{
	return gpu_calls_under_way ? some_call_ended(ctx) : 0;
}

/*
 * A file is closed for good, by whoever was the last to have it: what was made through it is freed
 * by its driver.
 */
static __noinline int file_closed(u64 *ctx)
{
	struct file *file = (void *)ctx[0];
	u32 cpu = bpf_get_smp_processor_id(), driver = driver_of_file(file->f_inode);
	struct mlprof_record_gpu_closed *record;
	void *ring;

	if (!gpu_files_hold(driver))
		return 0;
	ring = ring_of(cpu);
	record = ring ? bpf_ringbuf_reserve(ring, sizeof(*record), 0) : NULL;
	if (!record) {
		__sync_fetch_and_add(&gpu_copies_lost, 1);
		return 0;
	}
	record->header.kind = MLPROF_RECORD_GPU_CLOSED;
	record->header.cpu = cpu;
	record->mono_ns = bpf_ktime_get_ns();
	record->file = (u64)file;
	record->driver = driver;
	record->device = file->f_inode->i_rdev;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

/* (struct file *file) */
SEC("fentry/locks_remove_file")
int on_file_closed(u64 *ctx)
{
	struct file *file = (void *)ctx[0];

	return may_be_gpu(file->f_inode) ? file_closed(ctx) : 0;
}
