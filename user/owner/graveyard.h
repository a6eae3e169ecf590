/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroups that are gone, in the order of their end, until nobody needs to know them any more. */
#ifndef MLPROF_OWNER_GRAVEYARD_H
#define MLPROF_OWNER_GRAVEYARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/idmap.h"

struct grave {
	uint64_t cgroup;
	uint64_t since_ns;
};

/* All zeroes is an empty one. */
struct graveyard {
	struct grave *graves; /* a ring */
	size_t first, nr, capacity;
	struct idmap buried; /* the cgroups in it */
};

/* A cgroup is gone as of `now_ns`; one that is there already stays as it is. 0 or -ENOMEM. */
int graveyard_add(struct graveyard *yard, uint64_t cgroup, uint64_t now_ns);

/* Takes out one that has been there for at least `keep_ns`, the oldest first; false if none has. */
bool graveyard_take(struct graveyard *yard, uint64_t now_ns, uint64_t keep_ns, uint64_t *cgroup);

void graveyard_free(struct graveyard *yard);

#endif
