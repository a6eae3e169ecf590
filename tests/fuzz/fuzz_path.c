// SPDX-License-Identifier: Apache-2.0
/* Cgroup paths are foreign bytes: whoever may make a cgroup chooses them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "owner/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool everyone(void *context, const char *uid)
{
	(void)context;
	return uid[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct path_owner owner, known;
	char *path = malloc(size + 1);

	if (!path)
		return 0;
	memcpy(path, data, size);
	path[size] = 0;
	owner_of_path(path_of_line(path), NULL, NULL, &owner);
	owner_of_path(path, everyone, NULL, &known);
	owner_of_path(path, NULL, NULL, &owner);
	if (owner.is_pod && !known.is_pod)
		abort();
	/* A pod has a UID and no unit, anything else a unit and nothing else. */
	if (owner.is_pod != !!owner.pod_uid[0] || owner.is_pod == !!owner.unit[0])
		abort();
	if ((unsigned int)owner.kind >= PATH_KINDS || !owner.runtime)
		abort();
	if (!memchr(owner.unit, 0, sizeof(owner.unit)))
		abort();
	free(path);
	return 0;
}
