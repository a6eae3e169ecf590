// SPDX-License-Identifier: Apache-2.0
/* The rings: one per possible CPU out of one budget, and the reading of their records. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/internal.h"

static int take_usage(struct kernel *kernel, const struct mlprof_record_usage *record, size_t bytes)
{
	if (bytes != sizeof(*record))
		return -EBADMSG;
	kernel->sink->usage(kernel->sink->context, &record->usage);
	return 0;
}

static int take_cpu(struct kernel *kernel, const struct mlprof_record_cpu *record, size_t bytes)
{
	if (bytes != sizeof(*record))
		return -EBADMSG;
	if (record->overflowed > record->orphaned)
		kernel->overflow_pending = true;
	kernel->sink->cpu(kernel->sink->context, record);
	return 0;
}

/*
 * The removal of a cgroup may be in a ring that is read before the one with its making: it is told
 * when all rings have been read. False when memory is out.
 */
static bool keep_removed(struct kernel *kernel, const struct mlprof_record_cgroup *record)
{
	size_t capacity = kernel->removed_capacity ? kernel->removed_capacity * 2 : 64;
	struct mlprof_record_cgroup *grown;

	if (kernel->nr_removed == kernel->removed_capacity) {
		grown = reallocarray(kernel->removed, capacity, sizeof(*grown));
		if (!grown)
			return false;
		kernel->removed = grown;
		kernel->removed_capacity = capacity;
	}
	kernel->removed[kernel->nr_removed] = *record;
	kernel->removed[kernel->nr_removed++].path_bytes = 0;
	return true;
}

static int take_cgroup(struct kernel *kernel, const struct mlprof_record_cgroup *record,
		       size_t bytes)
{
	if (bytes < sizeof(*record) || bytes - sizeof(*record) < record->path_bytes)
		return -EBADMSG;
	if (record->path_bytes && record->path[record->path_bytes - 1])
		return -EBADMSG;
	if (record->op == MLPROF_CGROUP_REMOVED && keep_removed(kernel, record))
		return 0;
	kernel->sink->cgroup(kernel->sink->context, record);
	return 0;
}

void rings_tell_removed(struct kernel *kernel)
{
	for (size_t i = 0; i < kernel->nr_removed; i++) {
		stalls_take_gone(kernel, kernel->removed[i].cgroup);
		kernel->sink->cgroup(kernel->sink->context, &kernel->removed[i]);
	}
	kernel->nr_removed = 0;
}

static int take_oom(struct kernel *kernel, const struct mlprof_record_oom *record, size_t bytes)
{
	if (bytes != sizeof(*record))
		return -EBADMSG;
	if (kernel->sink->oom)
		kernel->sink->oom(kernel->sink->context, record);
	return 0;
}

static int take_gpu_call(struct kernel *kernel, const struct mlprof_record_gpu_call *record,
			 size_t bytes)
{
	if (bytes != sizeof(*record) || record->arg_bytes > sizeof(record->arg) ||
	    record->param_bytes > sizeof(record->params))
		return -EBADMSG;
	if (kernel->sink->gpu_call)
		kernel->sink->gpu_call(kernel->sink->context, record);
	return 0;
}

static int take_gpu_closed(struct kernel *kernel, const struct mlprof_record_gpu_closed *record,
			   size_t bytes)
{
	if (bytes != sizeof(*record))
		return -EBADMSG;
	if (kernel->sink->gpu_closed)
		kernel->sink->gpu_closed(kernel->sink->context, record);
	return 0;
}

static int take_by_kind(struct kernel *kernel, void *data, size_t bytes)
{
	const struct mlprof_record_header *header = data;

	if (bytes < sizeof(*header))
		return -EBADMSG;
	switch (header->kind) {
	case MLPROF_RECORD_USAGE:
		return take_usage(kernel, data, bytes);
	case MLPROF_RECORD_CPU:
		return take_cpu(kernel, data, bytes);
	case MLPROF_RECORD_CGROUP:
		return take_cgroup(kernel, data, bytes);
	case MLPROF_RECORD_OOM:
		return take_oom(kernel, data, bytes);
	case MLPROF_RECORD_GPU_CALL:
		return take_gpu_call(kernel, data, bytes);
	case MLPROF_RECORD_GPU_CLOSED:
		return take_gpu_closed(kernel, data, bytes);
	default:
		return -EBADMSG;
	}
}

static int take_record(void *context, void *data, size_t bytes)
{
	struct kernel *kernel = context;

	kernel->counts.records++;
	/* As the kernel lays them out: eight bytes before each, and whole words. */
	kernel->waiting_bytes += (bytes + 8 + 7) & ~(size_t)7;
	if (take_by_kind(kernel, data, bytes))
		kernel->counts.malformed++;
	return 0;
}

static int ring_open(struct kernel *kernel, unsigned int cpu)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, kernel->ring_bytes, NULL);
	__u32 key = cpu;

	if (fd < 0)
		return -errno;
	kernel->ring_fds[cpu] = fd;
	if (bpf_map_update_elem(bpf_map__fd(kernel->bpf->maps.rings), &key, &fd, BPF_ANY))
		return -errno;
	kernel->rings[cpu] = ring_buffer__new(fd, take_record, kernel, NULL);
	if (!kernel->rings[cpu])
		return -errno;
	kernel->counts.ring_size_bytes += kernel->ring_bytes;
	return 0;
}

int rings_open(struct kernel *kernel)
{
	kernel->rings = calloc(kernel->nr_cpus, sizeof(*kernel->rings));
	kernel->ring_fds = malloc(kernel->nr_cpus * sizeof(*kernel->ring_fds));
	if (!kernel->rings || !kernel->ring_fds)
		return -ENOMEM;
	for (unsigned int cpu = 0; cpu < kernel->nr_cpus; cpu++)
		kernel->ring_fds[cpu] = -1;
	for (unsigned int cpu = 0; cpu < kernel->nr_cpus; cpu++) {
		int err = ring_open(kernel, cpu);

		if (err)
			return err;
	}
	return 0;
}

void rings_close(struct kernel *kernel)
{
	for (unsigned int cpu = 0; cpu < kernel->nr_cpus; cpu++) {
		if (kernel->rings)
			ring_buffer__free(kernel->rings[cpu]);
		if (kernel->ring_fds && kernel->ring_fds[cpu] >= 0)
			close(kernel->ring_fds[cpu]);
	}
	free(kernel->rings);
	free(kernel->ring_fds);
}

int rings_consume(struct kernel *kernel, unsigned int cpu)
{
	int nr = ring_buffer__consume(kernel->rings[cpu]);

	return nr < 0 ? nr : 0;
}
