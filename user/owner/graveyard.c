// SPDX-License-Identifier: Apache-2.0
/* A queue of dead cgroups that knows who is in it. */
#include <errno.h>
#include <stdlib.h>

#include "owner/graveyard.h"

static int grow(struct graveyard *yard)
{
	size_t capacity = yard->capacity ? yard->capacity * 2 : 64;
	struct grave *grown = calloc(capacity, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	for (size_t i = 0; i < yard->nr; i++)
		grown[i] = yard->graves[(yard->first + i) % yard->capacity];
	free(yard->graves);
	yard->graves = grown;
	yard->first = 0;
	yard->capacity = capacity;
	return 0;
}

int graveyard_add(struct graveyard *yard, uint64_t cgroup, uint64_t now_ns)
{
	uint32_t ignored;
	int err;

	if (idmap_get(&yard->buried, cgroup, &ignored))
		return 0;
	err = yard->nr == yard->capacity ? grow(yard) : 0;
	if (!err)
		err = idmap_put(&yard->buried, cgroup, 0);
	if (!err)
		yard->graves[(yard->first + yard->nr++) % yard->capacity] =
			(struct grave){.cgroup = cgroup, .since_ns = now_ns};
	return err;
}

bool graveyard_take(struct graveyard *yard, uint64_t now_ns, uint64_t keep_ns, uint64_t *cgroup)
{
	const struct grave *oldest = &yard->graves[yard->first];

	if (!yard->nr || now_ns < oldest->since_ns + keep_ns)
		return false;
	*cgroup = oldest->cgroup;
	yard->first = (yard->first + 1) % yard->capacity;
	yard->nr--;
	idmap_remove(&yard->buried, *cgroup);
	return true;
}

void graveyard_free(struct graveyard *yard)
{
	idmap_free(&yard->buried);
	free(yard->graves);
}
