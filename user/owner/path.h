/* SPDX-License-Identifier: Apache-2.0 */
/* Who a cgroup belongs to, as far as its path tells. */
#ifndef MLPROF_OWNER_PATH_H
#define MLPROF_OWNER_PATH_H

#include <stdbool.h>

#define OWNER_POD_UID_MAX   37	/* 8-4-4-4-12, or 32 digits of a static pod, and the NUL */
#define OWNER_CONTAINER_MAX 97	/* 64 digits as a rule; ECS has 32-digits-digits */
#define OWNER_UNIT_MAX	    256 /* a file name */

/* What a path says. A pod has `pod_uid`, and `container` below its own cgroup; else `unit`. */
struct path_owner {
	bool is_pod;
	char pod_uid[OWNER_POD_UID_MAX]; /* with dashes, or the 32 digits of a static pod as they
					    are */
	char container[OWNER_CONTAINER_MAX]; /* container id; "" for the pod's own cgroup */
	char unit[OWNER_UNIT_MAX];	     /* systemd unit, else the top cgroup, else "/" */
};

/* Reads a path from the root of its hierarchy. Every text has an answer; bytes are taken as such. */
void owner_of_path(const char *path, struct path_owner *owner);

#endif
