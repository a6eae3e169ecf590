/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns which cgroup. Cgroups are learnt when they are made, so that one that is gone before its
 * usage is read still has its owner, and are kept for a time after their end. Several cgroups may
 * have one owner: a container that was started again is the same one, and so is a pod that was made
 * again under its name. Bounded: what does not fit belongs to the owner "other".
 *
 * Owners are known by small numbers, which are used again after an owner is gone; users keep what
 * they know of an owner in arrays by that number. Not safe for several threads.
 */
#ifndef MLPROF_OWNER_OWNERS_H
#define MLPROF_OWNER_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "owner/hierarchy.h"
#include "owner/pods.h"

#define OWNER_NONE UINT32_MAX

struct owner {
	bool is_pod;
	const char *namespace_; /* "" while unknown */
	const char *pod;	/* its name, the UID while that is unknown; "" for a unit */
	/* Name of the container, its id while that is unknown; "" for the pod's own cgroup, its
	 * sandbox, and for a unit. */
	const char *container;
	const char *unit; /* "" for a pod */
};

struct owners_options {
	const struct hierarchy *hierarchy; /* to ask for cgroups that no event told of */
	size_t max_owners;		   /* more of them share the owner "other" */
	size_t max_pods;		   /* and so do more pods, whatever their containers */
	uint64_t keep_ns;		   /* how long the dead are kept */
};

struct owners;

struct owners *owners_new(const struct owners_options *options);
void owners_free(struct owners *owners);

/* A cgroup of that id and path exists, or has existed. */
void owners_made(struct owners *owners, uint64_t cgroup, const char *path);

/*
 * A cgroup is gone as of `now_ns` (any clock, the same at every call). It may not be known yet: the
 * event of its making may come from another CPU and so later.
 */
void owners_removed(struct owners *owners, uint64_t cgroup, uint64_t now_ns);

/* The owner's number, or OWNER_NONE if the cgroup is not known; MLPROF_CGROUP_ROOT_TASKS is. */
uint32_t owners_find(const struct owners *owners, uint64_t cgroup);

/*
 * As owners_find(), but only for a cgroup of a pod that has none of the same owner above it: what
 * it holds includes what the others below it hold.
 */
uint32_t owners_find_top(const struct owners *owners, uint64_t cgroup);

/* The owner of the cgroup of the pod itself, for one of its containers; OWNER_NONE. */
uint32_t owners_pod_of(const struct owners *owners, uint32_t number);

/* As owners_find(), but asks the hierarchy about a cgroup that is not known. */
uint32_t owners_resolve(struct owners *owners, uint64_t cgroup);

/*
 * Learns names from a list of pods, also one that is no other than the last, and gives them to
 * those that had none. Two owners may then turn out to be one: `merged` is told which goes and
 * which stays.
 */
void owners_learn(struct owners *owners, const struct pods *pods, uint64_t now_ns,
		  void (*merged)(void *context, uint32_t goes, uint32_t stays), void *context);

/* Whether there are pods whose names a newer list might have. */
bool owners_want_names(const struct owners *owners);

/* Looks which cgroups still exist, for when events of their removal were lost; tells `gone`. */
void owners_sweep(struct owners *owners, uint64_t now_ns,
		  void (*gone)(void *context, uint64_t cgroup), void *context);

/* Forgets who has been dead for longer than they are kept; tells `gone` each owner that goes. */
void owners_expire(struct owners *owners, uint64_t now_ns,
		   void (*gone)(void *context, uint32_t owner), void *context);

/* One past the largest number in use, and the owner of a number; NULL if it is not in use. */
uint32_t owners_end(const struct owners *owners);
const struct owner *owners_at(const struct owners *owners, uint32_t number);

/* Grows whenever an owner comes or goes. */
uint64_t owners_generation(const struct owners *owners);

/*
 * Whether a container's name is still to come, its pod's being known. What it uses meanwhile goes
 * to another owner as soon as it has it; a minute without a name, and it is what it is.
 */
bool owners_settling(const struct owners *owners, uint32_t number);

/* How many pods have not got their names. */
size_t owners_nameless(const struct owners *owners);

/* How many cgroups had to share "other" because their owner did not fit. */
uint64_t owners_dropped(const struct owners *owners);

#endif
