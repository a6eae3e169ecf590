// SPDX-License-Identifier: Apache-2.0
/*
 * What user space does with one drain of so many active cgroups on two CPUs, without the system
 * calls: records to usage, usage to a snapshot. Arguments: cgroups, drains. Under callgrind the
 * difference of two runs tells the instructions of one drain.
 */
#include <stdio.h>
#include <stdlib.h>

#include "usage/usage.h"

#define CPUS 2

static void make_cgroups(struct owners *owners, unsigned int cgroups)
{
	char path[128];

	for (unsigned int i = 0; i < cgroups; i++) {
		snprintf(path, sizeof(path), "/kubepods/pod%08x-0000-4000-8000-000000000000/%064x",
			 i, i);
		owners_made(owners, 100 + i, path);
	}
}

static void drain(struct usage *usage, unsigned int cgroups, uint64_t now)
{
	struct mlprof_record_cpu cpu = {.elapsed_ns = 1000000000, .idle_ns = 500000000};
	struct mlprof_usage record = {.cpu_ns = 1000000, .wait_ns = 2000, .switches = {3, 4}};
	struct snapshot *snap = snapshot_new();

	record.wait_hist[2] = 7;
	usage_begin(usage, now);
	for (unsigned int i = 0; i < CPUS; i++) {
		for (record.cgroup = 100; record.cgroup < 100 + cgroups; record.cgroup++)
			usage_add(usage, &record);
		usage_add_cpu(usage, &cpu);
	}
	usage_end(usage);
	if (!snap || usage_fill(usage, snap))
		exit(1);
	snapshot_put(snap);
}

int main(int argc, char **argv)
{
	static const struct hierarchy nowhere = {.root = "/nowhere", .root_fd = -1};
	struct owners_options options = {
		.hierarchy = &nowhere, .max_owners = 10000, .max_pods = 10000, .keep_ns = 1000};
	unsigned int cgroups, drains;
	struct owners *owners;
	struct usage *usage;

	if (argc != 3)
		return 2;
	cgroups = (unsigned int)atoi(argv[1]);
	drains = (unsigned int)atoi(argv[2]);
	owners = owners_new(&options);
	usage = owners ? usage_new(owners, "") : NULL;
	if (!usage)
		return 1;
	make_cgroups(owners, cgroups);
	for (unsigned int i = 0; i < drains; i++)
		drain(usage, cgroups, i);
	usage_free(usage);
	owners_free(owners);
	return 0;
}
