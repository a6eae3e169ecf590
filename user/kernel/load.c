// SPDX-License-Identifier: Apache-2.0
/* From the skeleton to attached programs, and back. One program that fails never stops the rest. */
#include <bpf/bpf.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "kernel/internal.h"

#define DEFAULT_RING_BYTES ((size_t)16 << 20)

/*
 * A ring larger than this holds more than a drain interval ever fills; what it would do is keep
 * memory: a ring is mapped twice over by its reader, page by page as it comes around.
 */
#define RING_BYTES_MAX ((size_t)512 << 10)

/* All slots of all CPUs together, unless that is less than the smallest table per CPU. */
#define SLOTS_BYTES ((size_t)8 << 20)

/* Before 6.4 the kernel keeps the head of a log that is too large, and the verdict is at its end. */
#define VERIFIER_LOG_BYTES ((size_t)1 << 20)

static int libbpf_log(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[1024];

	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = 0;
	/* What libbpf warns of is our business to judge: every failure is told by its caller. */
	if (level == LIBBPF_WARN || level == LIBBPF_INFO)
		log_debug("libbpf: %s", line);
	return 0;
}

static unsigned int power_of_two_below(size_t value)
{
	unsigned int power = 1;

	while ((size_t)power * 2 <= value && power < 1u << 30)
		power *= 2;
	return power;
}

static unsigned int slots_per_cpu(unsigned int nr_cpus, unsigned int wanted)
{
	unsigned int slots = wanted;

	if (!slots)
		slots = power_of_two_below(SLOTS_BYTES / nr_cpus / sizeof(struct mlprof_usage));
	if (slots < MLPROF_SLOTS_MIN)
		slots = MLPROF_SLOTS_MIN;
	return slots > MLPROF_SLOTS_MAX ? MLPROF_SLOTS_MAX : power_of_two_below(slots);
}

static size_t ring_bytes_per_cpu(unsigned int nr_cpus, size_t budget)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes;

	bytes = power_of_two_below((budget ? budget : DEFAULT_RING_BYTES) / nr_cpus);
	if (bytes < page)
		return page;
	return bytes > RING_BYTES_MAX ? RING_BYTES_MAX : bytes;
}

static void configure(struct kernel *kernel, const struct kernel_options *options)
{
	unsigned int slots = slots_per_cpu(kernel->nr_cpus, options->slots);
	struct mlprof_bpf *bpf = kernel->bpf;
	__u32 base = bpf_map__value_size(bpf->maps.accounts) -
		     MLPROF_SLOTS_MIN * sizeof(struct mlprof_usage);

	bpf->rodata->account_mask = slots - 1;
	bpf->rodata->cgroup_v1 = options->cgroup_v1;
	bpf->rodata->cgroup_hierarchy = options->hierarchy_id;
	bpf_map__set_value_size(bpf->maps.accounts, base + slots * sizeof(struct mlprof_usage));
	bpf_map__set_max_entries(bpf->maps.accounts, kernel->nr_cpus);
	bpf_map__set_max_entries(bpf->maps.rings, kernel->nr_cpus);
}

__attribute__((format(printf, 2, 3))) static void set_failure(struct kernel *kernel,
							      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(kernel->failure, sizeof(kernel->failure), format, args);
	va_end(args);
}

static struct bpf_program *program_of(struct kernel *kernel, unsigned int feature)
{
	if (feature == FEATURE_ACCOUNT && kernel->general)
		return kernel->bpf->progs.on_switch_general;
	if (feature == FEATURE_OOM && kernel->oom_by_function)
		return kernel->bpf->progs.on_oom_by_function;
	return bpf_object__find_program_by_name(kernel->bpf->obj, program_plans[feature].program);
}

void feature_down(struct kernel_feature *feature, const char *reason)
{
	if (!feature->up && feature->reason[0])
		return;
	feature->up = false;
	snprintf(feature->reason, sizeof(feature->reason), "%s", reason);
}

/* A feature is as good as its parts, and no part is wanted by itself. */
static void settle_parts(struct kernel *kernel)
{
	for (unsigned int i = NR_FEATURES; i < NR_PROGRAMS; i++) {
		struct kernel_feature *part = &kernel->features[i];
		struct kernel_feature *whole = &kernel->features[program_wholes[i]];

		if (!part->up)
			feature_down(whole, part->reason);
	}
	for (unsigned int i = NR_FEATURES; i < NR_PROGRAMS; i++)
		if (!kernel->features[program_wholes[i]].up)
			feature_down(&kernel->features[i], "not wanted");
}

/* The verifier's last word is its verdict; before it come pages of how it got there. */
static void feature_rejected(struct kernel_feature *feature, char *log)
{
	char *line, *last = log, *save = NULL;

	for (line = strtok_r(log, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, "processed ", 10) && strncmp(line, "verification time", 17))
			last = line;
	snprintf(feature->reason, sizeof(feature->reason), "rejected by the kernel: %.200s", last);
	feature->up = false;
}

/*
 * Types that this kernel does not have are looked for in all of its modules too, which takes
 * CAP_SYS_ADMIN and fails everything without, unless the BTF is said to be somebody's choice.
 */
static int open_object(struct kernel *kernel, const struct kernel_options *options, char *logs)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = "/sys/kernel/btf/vmlinux");

	kernel->bpf = mlprof_bpf__open_opts(&opts);
	if (!kernel->bpf)
		return -errno;
	configure(kernel, options);
	for (unsigned int i = 0; i < NR_PROGRAMS; i++) {
		char *log = logs + i * VERIFIER_LOG_BYTES;

		log[0] = 0;
		if (program_plans[i].hook_kind == HOOK_NOWHERE ||
		    program_plans[i].hook_kind == HOOK_ITERATOR)
			continue;
		bpf_program__set_log_buf(program_of(kernel, i), log, VERIFIER_LOG_BYTES);
		bpf_program__set_autoload(program_of(kernel, i), kernel->features[i].up);
	}
	/* Of each two only the one that program_of() knows is wanted. */
	bpf_program__set_autoload(kernel->general ? kernel->bpf->progs.on_switch
						  : kernel->bpf->progs.on_switch_general,
				  false);
	bpf_program__set_autoload(kernel->oom_by_function ? kernel->bpf->progs.on_oom
							  : kernel->bpf->progs.on_oom_by_function,
				  false);
	return 0;
}

/* Which program the kernel rejected: the only one whose log has been written. */
static int rejected_program(struct kernel *kernel, char *logs)
{
	for (unsigned int i = 0; i < NR_PROGRAMS; i++) {
		char *log = logs + i * VERIFIER_LOG_BYTES;

		if (kernel->features[i].up && log[0]) {
			feature_rejected(&kernel->features[i], log);
			return (int)i;
		}
	}
	return -1;
}

static const char *load_hint(int err)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
		return "it needs root, or the capabilities CAP_BPF and CAP_PERFMON, and before "
		       "Linux 5.11 CAP_SYS_RESOURCE";
	case -ENOMEM:
		return "memory is out, or a memory limit of this container is too small";
	default:
		return "see mlprof doctor";
	}
}

/* Loads what can be loaded: whatever the verifier rejects is left out and the rest tried again. */
static int load_object(struct kernel *kernel, const struct kernel_options *options)
{
	char *logs = calloc(NR_PROGRAMS, VERIFIER_LOG_BYTES);
	int err = logs ? 0 : -ENOMEM, rejected = 0;

	while (!err) {
		err = open_object(kernel, options, logs);
		if (err)
			break;
		err = mlprof_bpf__load(kernel->bpf);
		if (!err)
			break;
		rejected = rejected_program(kernel, logs);
		mlprof_bpf__destroy(kernel->bpf);
		kernel->bpf = NULL;
		if (rejected < 0 || kernel->features[rejected].required)
			break;
		settle_parts(kernel);
		err = 0;
	}
	if (err && rejected >= 0 && logs && kernel->features[rejected].reason[0])
		set_failure(kernel, "cannot load %s: %s; see mlprof doctor",
			    program_plans[rejected].program, kernel->features[rejected].reason);
	else if (err)
		set_failure(kernel, "cannot load the BPF programs: %s; %s", strerror(-err),
			    load_hint(err));
	free(logs);
	return err;
}

/* -errno if a required program is missing. */
static int check_required(struct kernel *kernel)
{
	for (unsigned int i = 0; i < NR_PROGRAMS; i++) {
		const struct kernel_feature *feature = &kernel->features[i];

		if (feature->up || !feature->required)
			continue;
		set_failure(kernel, "cannot account CPU time: %s: %s", feature->name,
			    feature->reason);
		return -ENOTSUP;
	}
	return 0;
}

static void attach_all(struct kernel *kernel)
{
	for (unsigned int i = 0; i < NR_PROGRAMS; i++) {
		struct kernel_feature *feature = &kernel->features[i];

		if (!feature->up || program_plans[i].hook_kind == HOOK_NONE ||
		    program_plans[i].hook_kind == HOOK_ITERATOR)
			continue;
		kernel->links[i] = bpf_program__attach(program_of(kernel, i));
		if (!kernel->links[i])
			feature_down(feature, strerror(errno));
	}
	settle_parts(kernel);
}

/*
 * An account begins at the first switch on its CPU. An idle CPU may not switch for long, so this
 * thread visits each once. A CPU it may not visit begins by itself.
 */
static void visit_cpus(struct kernel *kernel)
{
	size_t bytes = CPU_ALLOC_SIZE(kernel->nr_cpus);
	cpu_set_t *before = CPU_ALLOC(kernel->nr_cpus), *one = CPU_ALLOC(kernel->nr_cpus);

	if (before && one && !sched_getaffinity(0, bytes, before)) {
		for (unsigned int cpu = 0; cpu < kernel->nr_cpus; cpu++) {
			CPU_ZERO_S(bytes, one);
			CPU_SET_S(cpu, bytes, one);
			if (!sched_setaffinity(0, bytes, one))
				usleep(1);
		}
		sched_setaffinity(0, bytes, before);
	}
	CPU_FREE(before);
	CPU_FREE(one);
}

/* Before 5.11 maps and programs count as locked memory. A ring takes two descriptors. */
static void lift_limits(void)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY}, files;

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static int features_probe(struct kernel *kernel)
{
	for (unsigned int i = 0; i < NR_PROGRAMS; i++) {
		struct kernel_feature *feature = &kernel->features[i];
		const char *missing = hook_missing(&program_plans[i]);

		feature->name = program_plans[i].feature;
		feature->required = program_plans[i].required;
		feature->nowhere = program_plans[i].hook_kind == HOOK_NOWHERE;
		feature->up = !missing;
		if (missing)
			feature_down(feature, missing);
	}
	settle_parts(kernel);
	return check_required(kernel);
}

static void memory_probe(struct kernel *kernel, bool cgroup_v1)
{
	struct kernel_feature *feature = &kernel->features[FEATURE_MEMORY_ITERATOR];
	const char *missing = feature->up ? memcg_missing(&kernel->memcg, cgroup_v1) : NULL;

	if (missing)
		feature_down(feature, missing);
	kernel->oom_by_function = !btf_has_field("trace_event_raw_mark_victim", "uid");
}

static int prepare(struct kernel *kernel, const struct kernel_options *options)
{
	int nr_cpus = libbpf_num_possible_cpus(), err;

	if (nr_cpus <= 0)
		return nr_cpus ? nr_cpus : -EINVAL;
	kernel->nr_cpus = (unsigned int)nr_cpus;
	kernel->ring_bytes = ring_bytes_per_cpu(kernel->nr_cpus, options->ring_bytes);
	kernel->general = options->cgroup_v1 || !kernel_is_common();
	libbpf_set_print(libbpf_log);
	lift_limits();
	err = features_probe(kernel);
	memory_probe(kernel, options->cgroup_v1);
	return err;
}

static int start(struct kernel *kernel, const struct kernel_options *options)
{
	int err = prepare(kernel, options);

	if (!err)
		err = load_object(kernel, options);
	if (!err)
		cgroup_iter_load(kernel, options->cgroup_v1);
	if (!err)
		err = rings_open(kernel);
	if (err)
		return err;
	attach_all(kernel);
	err = check_required(kernel);
	if (!err)
		visit_cpus(kernel);
	return err;
}

int kernel_open(const struct kernel_options *options, struct kernel **ret)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));
	int err;

	if (!kernel)
		return -ENOMEM;
	kernel->stats_fd = -1;
	*ret = kernel;
	err = start(kernel, options);
	if (err && !kernel->failure[0])
		set_failure(kernel, "cannot set up the BPF programs: %s", strerror(-err));
	return err;
}

const char *kernel_failure(const struct kernel *kernel)
{
	return kernel->failure;
}

void kernel_close(struct kernel *kernel)
{
	if (!kernel)
		return;
	kernel_set_stats(kernel, false);
	cgroup_iter_close(kernel);
	for (unsigned int i = 0; i < NR_PROGRAMS; i++)
		bpf_link__destroy(kernel->links[i]);
	rings_close(kernel);
	mlprof_bpf__destroy(kernel->bpf);
	free(kernel->removed);
	free(kernel);
}

const struct kernel_feature *kernel_features(const struct kernel *kernel, size_t *nr)
{
	*nr = NR_FEATURES;
	return kernel->features;
}
