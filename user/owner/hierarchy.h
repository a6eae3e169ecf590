/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroup hierarchy whose cgroups have accounts, and how to find a cgroup of it by its id. */
#ifndef MLPROF_OWNER_HIERARCHY_H
#define MLPROF_OWNER_HIERARCHY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hierarchy {
	bool v1;	     /* the v1 cpu controller's, else the unified one */
	int id;		     /* its number in /proc/cgroups; 0 for the unified one */
	char root[PATH_MAX]; /* where it is mounted */
	int root_fd;	     /* an open descriptor of it */
};

/*
 * Finds the hierarchy that pods live in, from /proc/self/mounts and /proc/cgroups. With `root` (may
 * be NULL) takes that mount point. Negative errno after one line on stderr that says what to do.
 */
int hierarchy_open(const char *root, struct hierarchy *hierarchy);
void hierarchy_close(struct hierarchy *hierarchy);

/* The path of a living cgroup, from the root of the hierarchy; -ENOENT if there is none of that id.
 */
int hierarchy_path(const struct hierarchy *hierarchy, uint64_t cgroup, char *path, size_t bytes);

/* Calls `visit` for every cgroup there is, parents first, until it returns non-zero. */
int hierarchy_walk(const struct hierarchy *hierarchy,
		   int (*visit)(void *context, uint64_t cgroup, const char *path), void *context);

#endif
