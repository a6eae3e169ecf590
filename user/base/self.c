// SPDX-License-Identifier: Apache-2.0
/* What this process itself costs. */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/self.h"

uint64_t self_cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t self_rss_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long size, resident = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
}
