/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of pods from where the kubelet puts their logs, for when nobody answers: directories
 * <namespace>_<name>_<uid> in /var/log/pods, links <pod>_<namespace>_<container>-<id>.log in
 * /var/log/containers. They know no owner, labels or requests.
 */
#ifndef MLPROF_OWNER_POD_LOGS_H
#define MLPROF_OWNER_POD_LOGS_H

#include <stdbool.h>
#include <stdint.h>

#include "owner/pods_build.h"

#define POD_LOGS_ID_BYTES 64

/* What the name of a directory says. */
struct pod_log_dir {
	char namespace_[POD_NAME_MAX + 1];
	char pod[POD_NAME_MAX + 1];
	char uid[POD_UID_MAX + 1];
};

/* What the name of a link says. */
struct pod_log_link {
	char pod[POD_NAME_MAX + 1];
	char namespace_[POD_NAME_MAX + 1];
	char container[POD_NAME_MAX + 1];
	char id[POD_LOGS_ID_BYTES + 1];
};

/* False for what is no such name; nothing but what Kubernetes allows in names is let through. */
bool pod_log_dir_read(const char *name, struct pod_log_dir *dir);
bool pod_log_link_read(const char *name, struct pod_log_link *link);

/*
 * Which directory and which run of the container a link leads to:
 * ".../DIRECTORY/CONTAINER/RUN.log". False if `target` is nothing of that kind.
 */
bool pod_log_target_read(const char *target, struct pod_log_dir *dir, uint64_t *run);

/*
 * The pods whose logs are below `path`, a list that is the caller's; containers if the links can be
 * read beside it, in ../containers. 0; -errno if `path` cannot be read; -ENOMEM. `skipped` counts
 * names that are none and what is more than fits.
 */
int pod_logs_read(const char *path, const struct pods **pods, uint64_t *skipped);

#endif
