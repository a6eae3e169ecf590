/* SPDX-License-Identifier: Apache-2.0 */
/* How lists of pods are made, by those who read them from somewhere. */
#ifndef MLPROF_OWNER_PODS_BUILD_H
#define MLPROF_OWNER_PODS_BUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "owner/pods.h"

/* Many times what a node runs. What is beyond is skipped and counted. */
#define PODS_MAX	   16384
#define PODS_MAX_BYTES	   ((size_t)32 << 20)
#define POD_CONTAINERS_MAX 512
#define POD_DEVICES_MAX	   65536

/* Bytes of the longest text of each kind that Kubernetes allows, and a margin where it is vague. */
#define POD_NAME_MAX	     253
#define POD_UID_MAX	     128
#define POD_CONTAINER_ID_MAX 128

#define POD_AMOUNTS_ABSENT   ((struct pod_amounts){.cpu_milli = -1, .memory_bytes = -1, .gpus = -1})

/* An empty list held by the caller, who may fill it as long as nobody else holds it. NULL: memory
 * is out. */
struct pods *pods_new(void);

/* What everything that the list points to is to be taken from. */
struct arena *pods_arena(struct pods *pods);

/*
 * Makes `pod` the pods of the list, sorted and without duplicates: of two with the same UID, or in
 * the same cgroup, the first stays, but one whose UID is that of the cgroup comes before others.
 * `dropped` says how many went. 0 or -ENOMEM.
 */
int pods_set(struct pods *pods, const struct pod *pod, size_t nr, size_t *dropped);

/* The pods of one list, the devices of the other; either may be NULL, and both stay the caller's
 * too. NULL when memory is out. */
const struct pods *pods_join(const struct pods *pods, const struct pods *devices);

/*
 * The pods of `first`, and those of `second` that it does not have, by cgroup. A container of both
 * that `second` knows by another id was started again since. NULL when memory is out.
 */
const struct pods *pods_merge(const struct pods *first, const struct pods *second);

/* Whether they say the same. Either may be NULL. */
bool pods_same(const struct pods *a, const struct pods *b);

#endif
