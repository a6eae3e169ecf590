/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much memory every cgroup holds, sampled at each drain: by the kernel's own walk where it lets
 * us, which is one call for all, else from the cgroups' files.
 */
#ifndef MLPROF_MEMORY_MEMORY_H
#define MLPROF_MEMORY_MEMORY_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "mlprof/record.h"
#include "owner/hierarchy.h"

/* Takes one sample, which is valid during the call. What is not in `known` is not known. */
typedef void memory_visit(void *context, const struct mlprof_memory *sample);

/* Samples all cgroups but the root: kernel_memory_sample(), behind a function of this type. */
typedef int memory_walk(void *source, memory_visit *visit, void *context);

struct memory_options {
	const struct hierarchy *hierarchy; /* of the accounts; must outlive the sampler */
	memory_walk *walk;		   /* NULL: read the files */
	void *source;			   /* for `walk` */
	unsigned int most_cgroups;	   /* at most so many are sampled by files; 0: 16,384 */
};

struct memory_counts {
	uint64_t sampled;   /* cgroups, ever */
	uint64_t malformed; /* files that were not as the kernel writes them; their fields are
			       unknown */
	uint64_t dropped;   /* cgroups beyond most_cgroups, or beyond the limit of open files */
};

struct memory_sampler;

/* 0, or negative errno and nothing to close. */
int memory_sampler_open(const struct memory_options *options, struct memory_sampler **ret);
void memory_sampler_close(struct memory_sampler *sampler);

/*
 * A cgroup was made or found, or is gone. The walk needs neither; files do, because to look for
 * cgroups in the tree costs more than to sample the ones that events have told of. `path` is from
 * the root of the hierarchy. 0, -ENOENT if there is no such cgroup any more, -ENOSPC if there are
 * too many. A cgroup that is there already is no error.
 */
int memory_sampler_add(struct memory_sampler *sampler, uint64_t cgroup, const char *path);
void memory_sampler_remove(struct memory_sampler *sampler, uint64_t cgroup);

/* One pass over all cgroups. Negative errno if it failed; what was visited before is right. */
int memory_sample_all(struct memory_sampler *sampler, memory_visit *visit, void *context);

/* "iterator" or "files". */
const char *memory_sampler_name(const struct memory_sampler *sampler);
void memory_sampler_count(const struct memory_sampler *sampler, struct memory_counts *counts);

/* Kubelet's working set: what is charged less page cache that would not be missed. */
static inline uint64_t memory_working_set(const struct mlprof_memory *sample)
{
	if (sample->inactive_file_bytes >= sample->current_bytes)
		return 0;
	return sample->current_bytes - sample->inactive_file_bytes;
}

#endif
