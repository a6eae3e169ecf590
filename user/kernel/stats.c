// SPDX-License-Identifier: Apache-2.0
/* What the programs and maps cost, by the kernel's own count. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "kernel/internal.h"

int kernel_set_stats(struct kernel *kernel, bool on)
{
	if (on == (kernel->stats_fd >= 0))
		return 0;
	if (on) {
		kernel->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
		if (kernel->stats_fd < 0)
			return -errno;
		kernel->stats_on_since_ns = clock_ns(CLOCK_MONOTONIC);
		return 0;
	}
	close(kernel->stats_fd);
	kernel->stats_fd = -1;
	kernel->counts.bpf_stats_ns += clock_ns(CLOCK_MONOTONIC) - kernel->stats_on_since_ns;
	return 0;
}

/* The memory of a map as the kernel counts it, which the map's info does not tell but fdinfo does. */
static uint64_t map_fd_bytes(int fd)
{
	unsigned long long bytes = 0;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	fclose(file);
	return bytes;
}

/* Maps keep their size, so it is asked once. */
static uint64_t maps_bytes(struct kernel *kernel)
{
	uint64_t bytes = 0;
	struct bpf_map *map;

	bpf_object__for_each_map(map, kernel->bpf->obj) bytes += map_fd_bytes(bpf_map__fd(map));
	if (kernel->memory)
		bytes += map_fd_bytes(bpf_map__fd(kernel->memory->maps.memory_samples));
	for (unsigned int cpu = 0; cpu < kernel->nr_cpus; cpu++)
		bytes += map_fd_bytes(kernel->ring_fds[cpu]);
	return bytes;
}

void kernel_count(struct kernel *kernel, struct kernel_counts *counts)
{
	if (!kernel->counts.map_bytes)
		kernel->counts.map_bytes = maps_bytes(kernel);
	*counts = kernel->counts;
	counts->stalls_lost = kernel->bpf->bss->stalls_lost;
	if (kernel->stats_fd >= 0)
		counts->bpf_stats_ns += clock_ns(CLOCK_MONOTONIC) - kernel->stats_on_since_ns;
}

static size_t programs_of(const struct bpf_object *object, struct kernel_program *rows, size_t max)
{
	struct bpf_program *program;
	size_t nr = 0;

	bpf_object__for_each_program(program, object)
	{
		struct bpf_prog_info info = {0};
		__u32 bytes = sizeof(info);

		if (nr == max || bpf_program__fd(program) < 0)
			continue;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &bytes))
			continue;
		rows[nr].name = bpf_program__name(program);
		rows[nr].run_ns = info.run_time_ns;
		rows[nr].runs = info.run_cnt;
		nr++;
	}
	return nr;
}

size_t kernel_programs(struct kernel *kernel, struct kernel_program *rows, size_t max)
{
	size_t nr = programs_of(kernel->bpf->obj, rows, max);

	if (kernel->memory)
		nr += programs_of(kernel->memory->obj, rows + nr, max - nr);
	return nr;
}
