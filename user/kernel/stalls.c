// SPDX-License-Identifier: Apache-2.0
/*
 * What the programs keep per cgroup about memory: how long tasks were held up, read at each drain,
 * and the most that a process had, read when the cgroup is gone. No task of a cgroup that is gone
 * can add to either, so taking it out then loses nothing.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>
#include <string.h>

#include "kernel/internal.h"

/* Entries per call; on the stack. */
#define BATCH 128

static void hand_over(const struct kernel *kernel, __u64 cgroup, const __u64 *ns)
{
	struct mlprof_stall stall = {.cgroup = cgroup};

	if (!kernel->sink->stall)
		return;
	memcpy(stall.ns, ns, sizeof(stall.ns));
	kernel->sink->stall(kernel->sink->context, &stall);
}

int stalls_take(struct kernel *kernel)
{
	__u64 cgroups[BATCH], sums[BATCH][MLPROF_STALLS];
	int fd = bpf_map__fd(kernel->bpf->maps.stalls), err;
	__u32 at, nr;
	bool more = false;

	do {
		nr = BATCH;
		err = bpf_map_lookup_batch(fd, more ? &at : NULL, &at, cgroups, sums, &nr, NULL);
		/* -ENOENT comes with the last ones, however many they are. */
		if (err && err != -ENOENT)
			return err;
		for (__u32 i = 0; i < nr; i++)
			hand_over(kernel, cgroups[i], sums[i]);
		more = true;
	} while (!err);
	return 0;
}

void kernel_forget_cgroup(struct kernel *kernel, uint64_t cgroup)
{
	bpf_map_delete_elem(bpf_map__fd(kernel->bpf->maps.stalls), &cgroup);
	bpf_map_delete_elem(bpf_map__fd(kernel->bpf->maps.exited_pages), &cgroup);
}

void stalls_take_gone(struct kernel *kernel, uint64_t cgroup)
{
	int stalls = bpf_map__fd(kernel->bpf->maps.stalls);
	int exits = bpf_map__fd(kernel->bpf->maps.exited_pages);
	__u64 sums[MLPROF_STALLS], pages;

	if (!bpf_map_lookup_elem(stalls, &cgroup, sums)) {
		hand_over(kernel, cgroup, sums);
		bpf_map_delete_elem(stalls, &cgroup);
	}
	if (!bpf_map_lookup_elem(exits, &cgroup, &pages)) {
		if (kernel->sink->exited)
			kernel->sink->exited(kernel->sink->context, cgroup,
					     pages * (uint64_t)sysconf(_SC_PAGESIZE));
		bpf_map_delete_elem(exits, &cgroup);
	}
}
