// SPDX-License-Identifier: Apache-2.0
/* Where in the kernel something lies that its BTF does not tell of. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/internal.h"

/* "ffffffff82e6ad60 d mem_cgroup_stats_index\n"; what modules have is followed by a tab. */
static bool line_has(const char *line, const char *name, __u64 *address)
{
	const char *rest = strchr(line, ' ');

	if (!rest || !rest[1] || rest[2] != ' ' || strcmp(rest + 3, name))
		return false;
	*address = strtoull(line, NULL, 16);
	return true;
}

__u64 kallsyms_address(const char *name)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	__u64 address = 0;
	char line[512];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		if (line_has(line, name, &address))
			break;
	}
	fclose(file);
	return address;
}
