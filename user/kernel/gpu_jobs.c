// SPDX-License-Identifier: Apache-2.0
/* The programs on the GPU scheduler's events: what they must know of its types, their names, and
 * the reading of their tables. */
#include <bpf/btf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/gpu_jobs.h"
#include "kernel/internal.h"

#define MODULE_BTF	  "/sys/kernel/btf/gpu_sched"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Each event has one name before 6.17 and another from then on; which, the kernel is asked. */
static const struct {
	const char *program;
	const char *names[2];
} events[] = {
	{"on_job_queued", {"drm_sched_job_queue", "drm_sched_job"}},
	{"on_job_handed", {"drm_sched_job_run", "drm_run_job"}},
	{"on_job_done", {"drm_sched_job_done", "drm_sched_process_job"}},
};

#define NR_EVENTS ARRAY_SIZE(events)

struct gpu_jobs {
	struct gpu_sched_bpf *bpf;
	struct bpf_link *links[NR_EVENTS];
};

/* Where a struct has a field, in bytes; -1 if it has none. */
static int offset_of(const struct btf *btf, const char *type, const char *field)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);
	const struct btf_type *t = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);

	for (unsigned int i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), field))
			return (int)btf_member_bit_offset(t, i) / 8;
	return -1;
}

static int set_offsets(struct gpu_sched_bpf *bpf, const struct btf *btf)
{
	const struct {
		const char *type, *field;
		__u32 *offset;
	} wanted[] = {
		{"drm_sched_job", "s_fence", (__u32 *)&bpf->rodata->job_fence_at},
		{"drm_sched_job", "sched", (__u32 *)&bpf->rodata->job_sched_at},
		{"drm_sched_fence", "sched", (__u32 *)&bpf->rodata->fence_sched_at},
		{"drm_gpu_scheduler", "name", (__u32 *)&bpf->rodata->sched_name_at},
		{"drm_gpu_scheduler", "dev", (__u32 *)&bpf->rodata->sched_device_at},
	};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		int offset = offset_of(btf, wanted[i].type, wanted[i].field);

		if (offset < 0)
			return -ENOTSUP;
		*wanted[i].offset = (__u32)offset;
	}
	return 0;
}

/* The types of the scheduler, whether it is a module or part of the kernel. */
static int learn_types(struct gpu_sched_bpf *bpf)
{
	struct btf *kernel = btf__load_vmlinux_btf(), *module = NULL;
	int err = kernel ? 0 : -ENOTSUP;

	if (!err && !access(MODULE_BTF, R_OK))
		module = btf__parse_split(MODULE_BTF, kernel);
	if (!err)
		err = set_offsets(bpf, module ? module : kernel);
	btf__free(module);
	btf__free(kernel);
	return err;
}

static int attach(struct gpu_jobs *jobs)
{
	for (size_t i = 0; i < NR_EVENTS; i++) {
		struct bpf_program *program =
			bpf_object__find_program_by_name(jobs->bpf->obj, events[i].program);

		for (size_t name = 0; name < 2 && !jobs->links[i]; name++)
			jobs->links[i] =
				bpf_program__attach_raw_tracepoint(program, events[i].names[name]);
		if (!jobs->links[i])
			return -errno;
	}
	return 0;
}

/* As open_object() in load.c has it for the same reason. */
static int open_programs(struct gpu_jobs *jobs, bool cgroup_v1)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = "/sys/kernel/btf/vmlinux");

	jobs->bpf = gpu_sched_bpf__open_opts(&opts);
	if (!jobs->bpf)
		return -errno;
	jobs->bpf->rodata->cgroup_v1 = cgroup_v1;
	return 0;
}

/* Drivers are holders of the module; where it is part of the kernel, its types are. */
bool gpu_jobs_wanted(void)
{
	DIR *holders = opendir("/sys/module/gpu_sched/holders");
	struct dirent *entry = NULL;

	if (holders) {
		while ((entry = readdir(holders)) && entry->d_name[0] == '.')
			;
		closedir(holders);
		return entry;
	}
	return btf_has_field("drm_sched_job", NULL);
}

int gpu_jobs_open(bool cgroup_v1, struct gpu_jobs **ret, const char **why)
{
	static char reason[128];
	struct gpu_jobs *jobs;
	const char *step = "open the programs";
	int err;

	*why = "no driver of a GPU that uses the kernel's scheduler is loaded";
	if (!gpu_jobs_wanted())
		return -ENOENT;
	jobs = calloc(1, sizeof(*jobs));
	if (!jobs)
		return -ENOMEM;
	err = open_programs(jobs, cgroup_v1);
	if (!err) {
		step = "know its types in " MODULE_BTF;
		err = learn_types(jobs->bpf);
	}
	if (!err) {
		step = "load the programs";
		err = gpu_sched_bpf__load(jobs->bpf);
	}
	if (!err) {
		step = "attach to its events";
		err = attach(jobs);
	}
	snprintf(reason, sizeof(reason), "cannot %s: %s", step, strerror(-err));
	*why = reason;
	if (err)
		gpu_jobs_close(jobs);
	else
		*ret = jobs;
	return err;
}

void gpu_jobs_close(struct gpu_jobs *jobs)
{
	if (!jobs)
		return;
	for (size_t i = 0; i < NR_EVENTS; i++)
		bpf_link__destroy(jobs->links[i]);
	gpu_sched_bpf__destroy(jobs->bpf);
	free(jobs);
}

/* The programs write meanwhile: what is handed over is a copy. */
static void read_rings(const struct gpu_sched_bpf *bpf, const struct gpu_jobs_sink *sink)
{
	for (size_t i = 0; i < ARRAY_SIZE(bpf->bss->gpu_rings); i++) {
		struct mlprof_gpu_ring ring = bpf->bss->gpu_rings[i];

		if (ring.id)
			sink->ring(sink->context, &ring);
	}
}

/* Those that no cgroup has are the largest numbers, and their upper bits are all ones. */
static uint64_t cgroup_of(uint64_t key)
{
	return (uint64_t)((int64_t)key >> 8);
}

static void read_sums(const struct gpu_sched_bpf *bpf, const struct gpu_jobs_sink *sink)
{
	for (size_t i = 0; i < ARRAY_SIZE(bpf->bss->gpu_sums); i++) {
		struct mlprof_gpu_jobs sums = bpf->bss->gpu_sums[i];

		if (sums.key && sums.jobs)
			sink->jobs(sink->context, bpf->bss->gpu_rings[sums.key & 0xff].id,
				   cgroup_of(sums.key), &sums);
	}
}

static void read_jobs(const struct gpu_sched_bpf *bpf, const struct gpu_jobs_sink *sink)
{
	for (size_t i = 0; i < ARRAY_SIZE(bpf->bss->gpu_jobs); i++) {
		struct mlprof_gpu_job job = bpf->bss->gpu_jobs[i];

		if (job.fence && job.handed_ns && job.ring &&
		    job.ring <= ARRAY_SIZE(bpf->bss->gpu_rings))
			sink->under_way(sink->context, bpf->bss->gpu_rings[job.ring - 1].id, &job);
	}
}

void gpu_jobs_read(struct gpu_jobs *jobs, const struct gpu_jobs_sink *sink)
{
	read_rings(jobs->bpf, sink);
	read_sums(jobs->bpf, sink);
	read_jobs(jobs->bpf, sink);
}

/* The key goes last: until then nobody takes the place. */
void gpu_jobs_forget(struct gpu_jobs *jobs, uint64_t cgroup)
{
	for (size_t i = 0; i < ARRAY_SIZE(jobs->bpf->bss->gpu_sums); i++) {
		struct mlprof_gpu_jobs *sums = &jobs->bpf->bss->gpu_sums[i];

		if (!sums->key || cgroup_of(sums->key) != cgroup)
			continue;
		memset(&sums->jobs, 0, sizeof(*sums) - offsetof(struct mlprof_gpu_jobs, jobs));
		__atomic_store_n(&sums->key, 0, __ATOMIC_RELEASE);
	}
}

void gpu_jobs_count(const struct gpu_jobs *jobs, struct gpu_jobs_counts *counts)
{
	counts->lost = jobs->bpf->bss->jobs_lost;
	counts->unknown = jobs->bpf->bss->jobs_unknown;
}
