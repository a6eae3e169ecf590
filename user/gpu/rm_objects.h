/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What processes have made in NVIDIA's driver and not freed: the tree of objects of each client,
 * and from it what each cgroup holds of each GPU. Fed with calls and closed files in the order of
 * their time. Bounded; what does not fit, and what is about objects that nobody has seen made, is
 * counted. Not safe for several threads.
 */
#ifndef MLPROF_GPU_RM_OBJECTS_H
#define MLPROF_GPU_RM_OBJECTS_H

#include <linux/types.h>
#include <stdint.h>

#include "gpu/rm_call.h"

#define RM_OBJECTS_MAX (1u << 19)

struct rm_objects;

/* What a cgroup holds of a GPU, and what it has held since it was read the last time. */
struct rm_holding {
	uint64_t cgroup;    /* of the process that made the client */
	const uint8_t *gpu; /* RM_UUID_BYTES; NULL: not known which */
	uint32_t contexts;  /* compute objects, or where there are none channel groups */
	uint64_t device_bytes, pinned_bytes;
	uint64_t held_ns;      /* there was at least one context */
	uint64_t byte_seconds; /* device bytes times time; what is less than one comes later */
};

struct rm_objects_counts {
	uint64_t objects; /* there are now */
	uint64_t no_room; /* objects that did not fit */
	uint64_t unknown; /* calls about objects that are not known */
	uint64_t clashes; /* objects made with a handle that was in use: its end was missed */
};

/* NULL when memory is out. */
struct rm_objects *rm_objects_new(void);
void rm_objects_free(struct rm_objects *objects);

/* A call through the open file `file`, made by a process of `cgroup`, over at `now_ns`. */
void rm_objects_call(struct rm_objects *objects, const struct rm_call *call, uint64_t file,
		     uint64_t cgroup, uint64_t now_ns);

/* An open file is gone, and with it the clients that were made through it. */
void rm_objects_closed(struct rm_objects *objects, uint64_t file, uint64_t now_ns);

/* Tells of everybody who holds, or has held, anything, as of `now_ns`. */
void rm_objects_read(struct rm_objects *objects, uint64_t now_ns,
		     void (*visit)(void *context, const struct rm_holding *holding), void *context);

/* Forgets what a cgroup has held, if it holds nothing any more. */
void rm_objects_forget(struct rm_objects *objects, uint64_t cgroup);

void rm_objects_count(const struct rm_objects *objects, struct rm_objects_counts *counts);

#endif
