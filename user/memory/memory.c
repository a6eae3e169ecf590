// SPDX-License-Identifier: Apache-2.0
/* Chooses between the two ways to sample memory and passes calls on. */
#include <errno.h>
#include <stdlib.h>

#include "memory/files.h"
#include "memory/memory.h"

struct memory_sampler {
	memory_walk *walk;
	void *source;
	struct memory_files *files; /* NULL: walk */
	memory_visit *visit;	    /* during a pass */
	void *context;
	uint64_t sampled;
};

int memory_sampler_open(const struct memory_options *options, struct memory_sampler **ret)
{
	struct memory_sampler *sampler = calloc(1, sizeof(*sampler));
	int err = 0;

	if (!sampler)
		return -ENOMEM;
	sampler->walk = options->walk;
	sampler->source = options->source;
	if (!options->walk)
		err = memory_files_open(options, &sampler->files);
	if (err) {
		free(sampler);
		return err;
	}
	*ret = sampler;
	return 0;
}

void memory_sampler_close(struct memory_sampler *sampler)
{
	if (!sampler)
		return;
	memory_files_close(sampler->files);
	free(sampler);
}

int memory_sampler_add(struct memory_sampler *sampler, uint64_t cgroup, const char *path)
{
	return sampler->files ? memory_files_add(sampler->files, cgroup, path) : 0;
}

void memory_sampler_remove(struct memory_sampler *sampler, uint64_t cgroup)
{
	if (sampler->files)
		memory_files_remove(sampler->files, cgroup);
}

static void count_and_pass_on(void *context, const struct mlprof_memory *sample)
{
	struct memory_sampler *sampler = context;

	sampler->sampled++;
	sampler->visit(sampler->context, sample);
}

int memory_sample_all(struct memory_sampler *sampler, memory_visit *visit, void *context)
{
	sampler->visit = visit;
	sampler->context = context;
	if (sampler->files)
		return memory_files_sample(sampler->files, count_and_pass_on, sampler);
	return sampler->walk(sampler->source, count_and_pass_on, sampler);
}

const char *memory_sampler_name(const struct memory_sampler *sampler)
{
	return sampler->files ? "files" : "iterator";
}

void memory_sampler_count(const struct memory_sampler *sampler, struct memory_counts *counts)
{
	*counts = (struct memory_counts){.sampled = sampler->sampled};
	if (sampler->files)
		memory_files_count(sampler->files, &counts->malformed, &counts->dropped);
}
