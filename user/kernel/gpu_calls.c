// SPDX-License-Identifier: Apache-2.0
/* The programs at ioctl: loaded beside the others, into whose rings they write. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/gpu_calls.h"
#include "kernel/internal.h"

/* Entries per call; on the stack. */
#define BATCH 32

struct gpu_calls {
	struct gpu_ioctl_bpf *bpf;
};

/* The system call, as the kernel names its own on each architecture. */
static const char *ioctl_function(void)
{
	static const char *const names[] = {"__x64_sys_ioctl", "__arm64_sys_ioctl"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (btf_has_function(names[i]))
			return names[i];
	return NULL;
}

static int load(struct gpu_calls *calls, struct kernel *kernel, bool cgroup_v1)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = "/sys/kernel/btf/vmlinux");
	int err;

	calls->bpf = gpu_ioctl_bpf__open_opts(&opts);
	if (!calls->bpf)
		return -errno;
	calls->bpf->rodata->cgroup_v1 = cgroup_v1;
	bpf_map__set_max_entries(calls->bpf->maps.rings, kernel->nr_cpus);
	err = bpf_map__reuse_fd(calls->bpf->maps.rings, bpf_map__fd(kernel->bpf->maps.rings));
	if (!err)
		err = bpf_program__set_attach_target(calls->bpf->progs.on_ioctl_done, 0,
						     ioctl_function());
	return err ? err : gpu_ioctl_bpf__load(calls->bpf);
}

int gpu_calls_open(struct kernel *kernel, bool cgroup_v1, struct gpu_calls **ret, const char **why)
{
	static char reason[128];
	struct gpu_calls *calls;
	int err;

	*why = "the kernel has no function of ioctl's to attach to";
	if (!ioctl_function())
		return -ENOTSUP;
	calls = calloc(1, sizeof(*calls));
	err = calls ? load(calls, kernel, cgroup_v1) : -ENOMEM;
	if (!err)
		err = gpu_ioctl_bpf__attach(calls->bpf);
	snprintf(reason, sizeof(reason), "cannot attach to ioctl: %s", strerror(-err));
	*why = reason;
	if (err)
		gpu_calls_close(calls);
	else
		*ret = calls;
	return err;
}

void gpu_calls_close(struct gpu_calls *calls)
{
	if (!calls)
		return;
	gpu_ioctl_bpf__destroy(calls->bpf);
	free(calls);
}

void gpu_calls_watch(struct gpu_calls *calls, unsigned int major, enum mlprof_gpu_driver driver)
{
	if (major < sizeof(calls->bpf->bss->gpu_majors))
		calls->bpf->bss->gpu_majors[major] = (__u8)driver;
}

void gpu_calls_watch_drm(struct gpu_calls *calls, unsigned int minor, enum mlprof_gpu_driver driver)
{
	if (minor < sizeof(calls->bpf->bss->gpu_drm_minors))
		calls->bpf->bss->gpu_drm_minors[minor] = (__u8)driver;
}

int gpu_calls_read(struct gpu_calls *calls,
		   void (*visit)(void *context, const struct mlprof_gpu_caller *caller,
				 const struct mlprof_gpu_calls *sums),
		   void *context)
{
	struct mlprof_gpu_caller callers[BATCH];
	struct mlprof_gpu_calls sums[BATCH];
	int fd = bpf_map__fd(calls->bpf->maps.gpu_call_sums), err;
	bool more = false;
	__u32 at, nr;

	do {
		nr = BATCH;
		err = bpf_map_lookup_batch(fd, more ? &at : NULL, &at, callers, sums, &nr, NULL);
		/* -ENOENT comes with the last ones, however many they are. */
		if (err && err != -ENOENT)
			return err;
		for (__u32 i = 0; i < nr; i++)
			visit(context, &callers[i], &sums[i]);
		more = true;
	} while (!err);
	return 0;
}

void gpu_calls_forget(struct gpu_calls *calls, const struct mlprof_gpu_caller *caller)
{
	bpf_map_delete_elem(bpf_map__fd(calls->bpf->maps.gpu_call_sums), caller);
}

void gpu_calls_count(const struct gpu_calls *calls, struct gpu_calls_counts *counts)
{
	counts->lost = calls->bpf->bss->gpu_calls_lost;
	counts->copies_lost = calls->bpf->bss->gpu_copies_lost;
	counts->copies_unreadable = calls->bpf->bss->gpu_copies_unreadable;
}
