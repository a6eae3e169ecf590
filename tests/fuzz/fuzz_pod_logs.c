// SPDX-License-Identifier: Apache-2.0
/* Names of files below /var/log. What is taken apart must be what the whole was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "owner/pod_logs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_dir(const char *name)
{
	struct pod_log_dir dir;
	char again[1024];

	if (!pod_log_dir_read(name, &dir))
		return;
	snprintf(again, sizeof(again), "%s_%s_%s", dir.namespace_, dir.pod, dir.uid);
	if (strcmp(name, again) != 0)
		abort();
}

static void check_link(const char *name)
{
	struct pod_log_link link;
	char again[1024];

	if (!pod_log_link_read(name, &link))
		return;
	snprintf(again, sizeof(again), "%s_%s_%s-%s.log", link.pod, link.namespace_, link.container,
		 link.id);
	if (strcmp(name, again) != 0)
		abort();
}

static void check_target(const char *target)
{
	struct pod_log_dir dir;
	uint64_t run;

	if (pod_log_target_read(target, &dir, &run) && (!*dir.uid || strchr(dir.uid, '/')))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *name = malloc(size + 1);

	if (!name)
		return 0;
	memcpy(name, data, size);
	name[size] = '\0';
	check_dir(name);
	check_link(name);
	check_target(name);
	free(name);
	return 0;
}
