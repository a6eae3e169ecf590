/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a program may ask of the stand-in GPU. Times are nanoseconds of CLOCK_MONOTONIC. */
#ifndef FAKEGPU_H
#define FAKEGPU_H

#ifdef __KERNEL__
#include <drm/drm.h>
#else
/* Debian has drm/drm.h in a package of its own, too much for two lines. */
#include <linux/ioctl.h>
#include <linux/types.h>
#define DRM_COMMAND_BASE   0x40
#define DRM_IOWR(nr, type) _IOWR('d', nr, type)
#endif

#define FAKEGPU_NAME	      "fakegpu"
#define FAKEGPU_RINGS	      2
#define FAKEGPU_IN_FLIGHT     2 /* jobs that a ring takes from the scheduler at a time */
#define FAKEGPU_MAX_LENGTH_NS 10000000000ULL
#define FAKEGPU_MAX_HANDLES   4096 /* of one client, not yet waited for */

/* A job that keeps the ring busy for so long. */
struct drm_fakegpu_submit {
	__u32 ring;
	__u32 handle; /* out: to be waited for, once */
	__u64 length_ns;
};

/* -ETIME: not done within that time; the handle stays good. */
struct drm_fakegpu_wait {
	__u32 handle;
	__s32 error; /* out: 0, or why the job did not run */
	__u64 timeout_ns;
};

/* Jobs that are done. busy_ns is how long the ring was at them, never less than asked_ns. */
struct fakegpu_used {
	__u64 busy_ns;
	__u64 asked_ns;
	__u64 jobs;
	__u64 cancelled; /* jobs that never ran */
};

struct drm_fakegpu_truth {
	__u32 ring;
	__u32 in_flight;	     /* out: jobs that the ring has */
	__u64 client;		     /* out: who asks */
	__u64 running;		     /* out: whose job runs, 0 if none or the kernel's */
	__u64 running_ns;	     /* out: for how long it has */
	struct fakegpu_used mine;    /* out: of who asks */
	struct fakegpu_used kernels; /* out: of the kernel's own jobs */
	struct fakegpu_used all;     /* out: of everybody, those included */
};

/* KERNEL_SUBMIT has a kernel thread submit the job: it is not the caller's, who may wait for it. */
#define DRM_IOCTL_FAKEGPU_SUBMIT	DRM_IOWR(DRM_COMMAND_BASE + 0, struct drm_fakegpu_submit)
#define DRM_IOCTL_FAKEGPU_WAIT		DRM_IOWR(DRM_COMMAND_BASE + 1, struct drm_fakegpu_wait)
#define DRM_IOCTL_FAKEGPU_TRUTH		DRM_IOWR(DRM_COMMAND_BASE + 2, struct drm_fakegpu_truth)
#define DRM_IOCTL_FAKEGPU_KERNEL_SUBMIT DRM_IOWR(DRM_COMMAND_BASE + 3, struct drm_fakegpu_submit)

#endif
