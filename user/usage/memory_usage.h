/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From samples of cgroups to what each pod and container holds and has cost. A pod's own row is
 * what its cgroup holds beyond its containers, so that rows add up. Counters go on when a container
 * starts again in another cgroup. Not safe for several threads.
 */
#ifndef MLPROF_USAGE_MEMORY_USAGE_H
#define MLPROF_USAGE_MEMORY_USAGE_H

#include <linux/types.h>
#include <stdbool.h>

#include "mlprof/record.h"
#include "owner/owners.h"
#include "usage/snapshot.h"

struct memory_usage;

/* `owners` must outlive the result. NULL when memory is out. */
struct memory_usage *memory_usage_new(const struct owners *owners);
void memory_usage_free(struct memory_usage *memory);

/* One pass over all cgroups; between begin and end each has one sample, in any order. */
void memory_usage_begin(struct memory_usage *memory);
void memory_usage_sample(struct memory_usage *memory, const struct mlprof_memory *sample);
void memory_usage_end(struct memory_usage *memory, uint64_t now_ns);

/* How long tasks of a cgroup have been held up so far. */
void memory_usage_stall(struct memory_usage *memory, const struct mlprof_stall *stall);

/* A cgroup is gone; the most that one of its processes had is an estimate for one never sampled. */
void memory_usage_exited(struct memory_usage *memory, uint64_t cgroup, uint64_t rss_bytes);
void memory_usage_removed(struct memory_usage *memory, uint64_t cgroup);

/* As usage does it with its own: an owner turned out to be another, or is gone. */
void memory_usage_merge(struct memory_usage *memory, uint32_t goes, uint32_t stays);
void memory_usage_forget(struct memory_usage *memory, uint32_t owner);

/* What is known of an owner; `row->known` is 0 if nothing is. */
void memory_usage_row(const struct memory_usage *memory, uint32_t owner, struct memory_row *row);

#endif
