/* SPDX-License-Identifier: Apache-2.0 */
/* Who a cgroup belongs to, as far as its path tells. */
#ifndef MLPROF_OWNER_PATH_H
#define MLPROF_OWNER_PATH_H

#include <stdbool.h>

#define OWNER_POD_UID_MAX   37	/* 8-4-4-4-12, or 32 digits of a static pod, and the NUL */
#define OWNER_CONTAINER_MAX 97	/* 64 digits as a rule; ECS has 32-digits-digits */
#define OWNER_UNIT_MAX	    300 /* a file name, and what is put before it */

enum path_kind {
	PATH_POD,	    /* a pod's own cgroup */
	PATH_POD_CONTAINER, /* a container of a pod, and whatever lies below it */
	PATH_POD_OVERHEAD,  /* a runtime's monitor, in the pod's cgroup */
	PATH_CONTAINER,	    /* of no pod: docker, podman, ECS */
	PATH_SERVICE,	    /* a systemd service */
	PATH_SLURM_JOB,
	PATH_NOMAD_ALLOC,
	PATH_MACHINE, /* libvirt or systemd-machined */
	PATH_LXC,
	PATH_KATA_OVERHEAD, /* what kata runs outside of the pod that it is for */
	PATH_OTHER,	    /* sessions of users, scopes, mounts, top cgroups */
	PATH_KINDS,
};

/* As people read them, by enum path_kind. */
extern const char *const path_kind_names[PATH_KINDS];

/* What a path says. Either `pod_uid` is set, or `unit`. */
struct path_owner {
	enum path_kind kind;
	bool is_pod;
	/* With dashes, or the 32 digits of a static pod as they are. */
	char pod_uid[OWNER_POD_UID_MAX];
	char container[OWNER_CONTAINER_MAX]; /* its id; "" if none */
	const char *runtime;		     /* "containerd", "crio", ...; "" if the path is mute */
	/* Service, scope or top cgroup; "docker:0123456789ab", "slurm:JOB" and the like; "/". */
	char unit[OWNER_UNIT_MAX];
	bool is_top;	       /* of a pod: no cgroup above it is the same owner's */
	bool relative;	       /* the path goes up from where it was seen: /../.. */
	bool outside_kubepods; /* a pod whose limits do not hold: see docs/operating.md */
};

/*
 * Reads a path from the root of its hierarchy. Every text has an answer; bytes are taken as such.
 * Where pods lie in pods, the outermost that `is_known` says yes to is the owner, else the
 * innermost; it may be NULL.
 */
void owner_of_path(const char *path, bool (*is_known)(void *context, const char *pod_uid),
		   void *context, struct path_owner *owner);

/*
 * Where the path begins in what people have at hand: a line of /proc/PID/cgroup ("4:cpu:/a/b"), or
 * a directory below /sys/fs/cgroup.
 */
const char *path_of_line(const char *line);

#endif
