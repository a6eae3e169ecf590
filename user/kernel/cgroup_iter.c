// SPDX-License-Identifier: Apache-2.0
/* The walk over all cgroups in the kernel: what it needs to know first, and what it has found. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/internal.h"

/* A node with more cgroups than so many tables hold has other troubles. */
#define WALKS_MAX 64

const char *memcg_missing(struct memcg_plan *plan, bool cgroup_v1)
{
	if (cgroup_v1)
		return "on cgroup v1 the files are read instead";
	plan->by_kfunc = btf_has_function("bpf_mem_cgroup_page_state") &&
			 btf_has_function("bpf_mem_cgroup_vm_events") &&
			 btf_has_function("bpf_get_mem_cgroup");
	plan->flush_by_css = btf_has_function("css_rstat_flush");
	if (plan->by_kfunc)
		return NULL;
	if (plan->flush_by_css || !btf_has_function("cgroup_rstat_flush"))
		return "the kernel has no way to add up its statistics that programs may use";
	/* Until 6.11 there is no table of items, and none is needed. */
	plan->items_table = kallsyms_address("mem_cgroup_stats_index");
	plan->events_table = kallsyms_address("mem_cgroup_events_index");
	if (!plan->events_table)
		return "the kernel does not tell where it keeps its statistics: "
		       "/proc/kallsyms shows no addresses without CAP_SYSLOG";
	return NULL;
}

void cgroup_iter_load(struct kernel *kernel, bool cgroup_v1)
{
	struct kernel_feature *feature = &kernel->features[FEATURE_MEMORY_ITERATOR];
	const struct memcg_plan *plan = &kernel->memcg;
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = "/sys/kernel/btf/vmlinux");

	if (!feature->up)
		return;
	kernel->memory = memory_bpf__open_opts(&opts);
	if (!kernel->memory) {
		feature_down(feature, strerror(errno));
		return;
	}
	kernel->memory->rodata->cgroup_v1 = cgroup_v1;
	kernel->memory->rodata->page_bytes = (__u64)sysconf(_SC_PAGESIZE);
	kernel->memory->rodata->memcg_by_kfunc = plan->by_kfunc;
	kernel->memory->rodata->flush_by_css = plan->flush_by_css;
	kernel->memory->rodata->memcg_items_table = plan->items_table;
	kernel->memory->rodata->memcg_events_table = plan->events_table;
	if (!memory_bpf__load(kernel->memory))
		return;
	feature_down(feature, "the kernel does not let us load it; with CAP_SYS_ADMIN it may");
	memory_bpf__destroy(kernel->memory);
	kernel->memory = NULL;
}

static size_t table_bytes(const struct kernel *kernel)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = sizeof(struct mlprof_memory) *
		       bpf_map__max_entries(kernel->memory->maps.memory_samples);

	return (bytes + page - 1) / page * page;
}

static int open_failed(struct kernel *kernel, int err)
{
	feature_down(&kernel->features[FEATURE_MEMORY_ITERATOR], strerror(-err));
	return err;
}

int kernel_memory_open(struct kernel *kernel, int root_fd)
{
	union bpf_iter_link_info info = {
		.cgroup = {.order = BPF_CGROUP_ITER_DESCENDANTS_PRE, .cgroup_fd = (__u32)root_fd}};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_link *link;
	void *table;

	if (!kernel->features[FEATURE_MEMORY_ITERATOR].up)
		return -ENOTSUP;
	if (kernel->samples)
		return 0;
	table = mmap(NULL, table_bytes(kernel), PROT_READ, MAP_SHARED,
		     bpf_map__fd(kernel->memory->maps.memory_samples), 0);
	if (table == MAP_FAILED)
		return open_failed(kernel, -errno);
	link = bpf_program__attach_iter(kernel->memory->progs.sample_cgroups, &opts);
	if (!link) {
		int err = -errno;

		munmap(table, table_bytes(kernel));
		return open_failed(kernel, err);
	}
	kernel->links[FEATURE_MEMORY_ITERATOR] = link;
	kernel->samples = table;
	return 0;
}

void cgroup_iter_close(struct kernel *kernel)
{
	if (kernel->samples)
		munmap((void *)kernel->samples, table_bytes(kernel));
	kernel->samples = NULL;
	memory_bpf__destroy(kernel->memory);
	kernel->memory = NULL;
}

/* One walk; nothing comes through the file, whose reading is what makes the kernel walk. */
static int walk(struct kernel *kernel)
{
	int fd = bpf_iter_create(bpf_link__fd(kernel->links[FEATURE_MEMORY_ITERATOR]));
	ssize_t bytes;
	char none[64];

	if (fd < 0)
		return -errno;
	do
		bytes = read(fd, none, sizeof(none));
	while (bytes > 0 || (bytes < 0 && (errno == EINTR || errno == EAGAIN)));
	bytes = bytes < 0 ? -errno : 0;
	close(fd);
	return (int)bytes;
}

int kernel_memory_sample(struct kernel *kernel,
			 void (*visit)(void *context, const struct mlprof_memory *sample),
			 void *context)
{
	__u32 room = bpf_map__max_entries(kernel->memory->maps.memory_samples), told = 0, met;
	int err;

	if (!kernel->samples)
		return -ENOTSUP;
	for (int walks = 0; walks < WALKS_MAX; walks++) {
		kernel->memory->bss->memory_met = 0;
		kernel->memory->bss->memory_told = told;
		err = walk(kernel);
		met = kernel->memory->bss->memory_met;
		if (err || met <= told)
			return err;
		for (__u32 i = 0; i < met - told && i < room; i++)
			visit(context, &kernel->samples[i]);
		if (met - told <= room)
			return 0;
		told += room;
	}
	return -E2BIG;
}
