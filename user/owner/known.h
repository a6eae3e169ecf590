/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has been learnt of pods: the names that go with a UID, and with a container's id. A pod that
 * the kubelet no longer lists is remembered for a time, since its usage is still to be shown.
 * Bounded; not safe for several threads.
 */
#ifndef MLPROF_OWNER_KNOWN_H
#define MLPROF_OWNER_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "owner/pods.h"

struct known_pod {
	const char *uid; /* as its cgroup bears it */
	const char *namespace_, *name;
	bool complete; /* all its containers have had an id in the last list */
};

struct known;

/* At most so many pods. */
struct known *known_new(size_t max_pods);
void known_free(struct known *known);

/* Learns from a list as of `now_ns`; what is known already and not in it stays. */
void known_learn(struct known *known, const struct pods *pods, uint64_t now_ns);

/*
 * Forgets pods that have been in no list for longer than `keep_ns` before the last one: while
 * nobody answers, nothing is forgotten.
 */
void known_expire(struct known *known, uint64_t keep_ns);

/* NULL if not known. What they return lives until the next known_learn() or known_expire(). */
const struct known_pod *known_pod(const struct known *known, const char *uid);
const char *known_container(const struct known *known, const char *uid, const char *id);

#endif
