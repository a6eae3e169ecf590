// SPDX-License-Identifier: Apache-2.0
/*
 * Samples memory both ways and drains, as it is told on stdin, a word a line; answers with lines
 * and then `done`. For tests/guest/memory and for scripts/bench:
 *   features           feature NAME up|down REASON
 *   find               tells the files' sampler of all cgroups there are
 *   iterator, files    sample PATH FIELD=VALUE..., without what is not known
 *   drain              oom, stall, exited, gone: what the kernel told since the last time
 *   cost NAME ROUNDS   NAME and the nanoseconds that this process ran per round, which are
 *                      instructions under scripts/vm --count
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kernel/kernel.h"
#include "memory/memory.h"
#include "owner/hierarchy.h"

struct probe {
	struct hierarchy hierarchy;
	struct kernel *kernel;
	struct memory_sampler *iterator; /* NULL: this kernel has none */
	struct memory_sampler *files;
	uint64_t seen;
};

static void print_if(const struct mlprof_memory *sample, uint64_t bit, const char *name,
		     uint64_t value)
{
	if (sample->known & bit)
		printf(" %s=%" PRIu64, name, value);
}

static void print_pressure(const struct mlprof_memory *sample)
{
	static const char *const names[] = {"cpu", "memory", "io"};
	char name[32];

	for (int i = 0; i < MLPROF_PRESSURES; i++) {
		snprintf(name, sizeof(name), "%s_some_ns", names[i]);
		print_if(sample, MLPROF_MEMORY_PRESSURE_SOME(i), name, sample->some_ns[i]);
		snprintf(name, sizeof(name), "%s_full_ns", names[i]);
		print_if(sample, MLPROF_MEMORY_PRESSURE_FULL(i), name, sample->full_ns[i]);
	}
}

static void print_sample(void *context, const struct mlprof_memory *sample)
{
	const struct probe *probe = context;
	char path[4096];

	/* Gone meanwhile: its path is not to be had, or has " (deleted)" behind it. */
	if (hierarchy_path(&probe->hierarchy, sample->cgroup, path, sizeof(path)) ||
	    strchr(path, ' '))
		return;
	printf("sample %s", path);
	print_if(sample, MLPROF_MEMORY_CURRENT, "current", sample->current_bytes);
	print_if(sample, MLPROF_MEMORY_INACTIVE_FILE, "inactive_file", sample->inactive_file_bytes);
	print_if(sample, MLPROF_MEMORY_ANON, "anon", sample->anon_bytes);
	print_if(sample, MLPROF_MEMORY_FILE, "file", sample->file_bytes);
	print_if(sample, MLPROF_MEMORY_PEAK, "peak", sample->peak_bytes);
	print_if(sample, MLPROF_MEMORY_LIMIT, "limit", sample->limit_bytes);
	print_if(sample, MLPROF_MEMORY_MAJOR_FAULTS, "major_faults", sample->major_faults);
	print_if(sample, MLPROF_MEMORY_OOM_KILLS, "oom_kills", sample->oom_kills);
	print_if(sample, MLPROF_MEMORY_THROTTLED, "throttled_ns", sample->throttled_ns);
	print_if(sample, MLPROF_MEMORY_THROTTLED, "throttled_periods", sample->throttled_periods);
	print_if(sample, MLPROF_MEMORY_CURRENT, "working_set", memory_working_set(sample));
	print_pressure(sample);
	printf("\n");
}

static void count_sample(void *context, const struct mlprof_memory *sample)
{
	struct probe *probe = context;

	probe->seen += sample->known != 0;
}

static void ignore_usage(void *context, const struct mlprof_usage *usage)
{
	(void)context;
	(void)usage;
}

static void ignore_cpu(void *context, const struct mlprof_record_cpu *record)
{
	(void)context;
	(void)record;
}

static void print_cgroup(void *context, const struct mlprof_record_cgroup *record)
{
	const struct probe *probe = context;

	if (record->op != MLPROF_CGROUP_REMOVED)
		return;
	printf("gone %" PRIu64 " %s\n", (uint64_t)record->cgroup,
	       record->path_bytes ? record->path : "");
	memory_sampler_remove(probe->files, record->cgroup);
}

static void print_oom(void *context, const struct mlprof_record_oom *record)
{
	(void)context;
	printf("oom %" PRIu64 " limit=%" PRIu64 " pid=%u reason=%u\n", (uint64_t)record->cgroup,
	       (uint64_t)record->limit_cgroup, record->pid, record->reason);
}

static void print_stall(void *context, const struct mlprof_stall *stall)
{
	(void)context;
	printf("stall %" PRIu64 " reclaim=%" PRIu64 " compaction=%" PRIu64 " swapin=%" PRIu64 "\n",
	       (uint64_t)stall->cgroup, (uint64_t)stall->ns[MLPROF_STALL_RECLAIM],
	       (uint64_t)stall->ns[MLPROF_STALL_COMPACTION],
	       (uint64_t)stall->ns[MLPROF_STALL_SWAPIN]);
}

static void print_exited(void *context, uint64_t cgroup, uint64_t rss_bytes)
{
	(void)context;
	printf("exited %" PRIu64 " rss=%" PRIu64 "\n", cgroup, rss_bytes);
}

static void drain(struct probe *probe)
{
	const struct record_sink sink = {
		.context = probe,
		.usage = ignore_usage,
		.cpu = ignore_cpu,
		.cgroup = print_cgroup,
		.oom = print_oom,
		.stall = print_stall,
		.exited = print_exited,
	};
	struct kernel_counts counts;
	int err = kernel_drain(probe->kernel, &sink);

	kernel_count(probe->kernel, &counts);
	printf("drained %d malformed=%" PRIu64 " stalls_lost=%" PRIu64 "\n", err, counts.malformed,
	       counts.stalls_lost);
}

static void print_features(const struct probe *probe)
{
	const struct kernel_feature *features;
	size_t nr;

	features = kernel_features(probe->kernel, &nr);
	for (size_t i = 0; i < nr; i++)
		printf("feature %s %s %s\n", features[i].name, features[i].up ? "up" : "down",
		       features[i].reason);
}

static int add_found(void *context, uint64_t cgroup, const char *path)
{
	struct probe *probe = context;

	return memory_sampler_add(probe->files, cgroup, path) == -ENOMEM ? -ENOMEM : 0;
}

static void sample(struct probe *probe, struct memory_sampler *sampler, memory_visit *visit)
{
	struct memory_counts counts;
	int err = sampler ? memory_sample_all(sampler, visit, probe) : -ENOTSUP;

	if (visit != print_sample)
		return;
	if (sampler)
		memory_sampler_count(sampler, &counts);
	printf("sampled %d malformed=%" PRIu64 "\n", err, sampler ? counts.malformed : 0);
}

/* What is the same in every round is measured by many of them. */
static void cost(struct probe *probe, const char *name, unsigned int rounds)
{
	struct memory_sampler *sampler = strcmp(name, "files") ? probe->iterator : probe->files;
	uint64_t start;

	if (!sampler)
		return;
	sample(probe, sampler, count_sample);
	probe->seen = 0;
	start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (unsigned int i = 0; i < rounds; i++)
		sample(probe, sampler, count_sample);
	printf("%s %" PRIu64 " cgroups %" PRIu64 "\n", name,
	       (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / rounds, probe->seen / rounds);
}

static void obey(struct probe *probe, const char *line)
{
	unsigned int rounds;
	char name[16];

	if (!strcmp(line, "features\n"))
		print_features(probe);
	else if (!strcmp(line, "find\n"))
		hierarchy_walk(&probe->hierarchy, add_found, probe);
	else if (!strcmp(line, "iterator\n"))
		sample(probe, probe->iterator, print_sample);
	else if (!strcmp(line, "files\n"))
		sample(probe, probe->files, print_sample);
	else if (!strcmp(line, "drain\n"))
		drain(probe);
	else if (sscanf(line, "cost %15s %u", name, &rounds) == 2 && rounds)
		cost(probe, name, rounds);
	printf("done\n");
	fflush(stdout);
}

static int walk(void *source, memory_visit *visit, void *context)
{
	return kernel_memory_sample(source, visit, context);
}

static int open_all(struct probe *probe)
{
	struct memory_options files = {.hierarchy = &probe->hierarchy};
	struct memory_options iterator = {.hierarchy = &probe->hierarchy, .walk = walk};
	struct kernel_options options = {0};
	int err = hierarchy_open(NULL, &probe->hierarchy);

	if (err)
		return err;
	options.cgroup_v1 = probe->hierarchy.v1;
	options.hierarchy_id = probe->hierarchy.id;
	err = kernel_open(&options, &probe->kernel);
	if (!err)
		err = memory_sampler_open(&files, &probe->files);
	iterator.source = probe->kernel;
	if (!err && !kernel_memory_open(probe->kernel, probe->hierarchy.root_fd))
		err = memory_sampler_open(&iterator, &probe->iterator);
	return err;
}

int main(void)
{
	struct probe probe = {0};
	char line[64];
	int err = open_all(&probe);

	if (err) {
		fprintf(stderr, "memory_probe: cannot start: %s\n",
			probe.kernel ? kernel_failure(probe.kernel) : strerror(-err));
		return 1;
	}
	while (fgets(line, sizeof(line), stdin))
		obey(&probe, line);
	memory_sampler_close(probe.iterator);
	memory_sampler_close(probe.files);
	kernel_close(probe.kernel);
	hierarchy_close(&probe.hierarchy);
	return 0;
}
