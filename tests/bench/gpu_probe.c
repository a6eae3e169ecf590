// SPDX-License-Identifier: Apache-2.0
/*
 * Watches calls to the files of GPUs as the agent does; does what it is told on stdin, a line each,
 * and answers with lines and then `done`. For tests/guest and for scripts/bench:
 *   watch MAJOR DRIVER   by enum mlprof_gpu_driver
 *   sums                 sum CGROUP MAJOR:MINOR OP CALLS ERRORS NS
 *   drain                call NR RESULT CGROUP TGID FILE ARGUMENTS PARAMS in hexadecimal, closed
 * FILE counts               counts LOST COPIES_LOST COPIES_UNREADABLE
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kernel/gpu_calls.h"
#include "kernel/kernel.h"

struct probe {
	struct kernel *kernel;
	struct gpu_calls *calls;
};

static void print_bytes(const __u8 *bytes, __u32 nr)
{
	putchar(' ');
	if (!nr)
		putchar('-');
	for (__u32 i = 0; i < nr; i++)
		printf("%02x", bytes[i]);
}

static void print_call(void *context, const struct mlprof_record_gpu_call *call)
{
	(void)context;
	printf("call %" PRIu32 " %" PRId32 " %" PRIu64 " %" PRIu32 " %" PRIx64, call->nr,
	       call->result, (uint64_t)call->cgroup, call->tgid, (uint64_t)call->file);
	print_bytes(call->arg, call->arg_bytes);
	print_bytes(call->params, call->param_bytes);
	putchar('\n');
}

static void print_closed(void *context, const struct mlprof_record_gpu_closed *closed)
{
	(void)context;
	printf("closed %" PRIx64 "\n", (uint64_t)closed->file);
}

static void print_sum(void *context, const struct mlprof_gpu_caller *caller,
		      const struct mlprof_gpu_calls *sums)
{
	(void)context;
	printf("sum %" PRIu64 " %" PRIu32 ":%" PRIu32 " %" PRIu32 " %" PRIu64 " %" PRIu64
	       " %" PRIu64 "\n",
	       (uint64_t)caller->cgroup, caller->device >> 20, caller->device & 0xfffff, caller->op,
	       (uint64_t)sums->calls, (uint64_t)sums->errors, (uint64_t)sums->ns);
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

static void ignore_cgroup(void *context, const struct mlprof_record_cgroup *record)
{
	(void)context;
	(void)record;
}

static void drain(struct probe *probe)
{
	const struct record_sink sink = {
		.usage = ignore_usage,
		.cpu = ignore_cpu,
		.cgroup = ignore_cgroup,
		.gpu_call = print_call,
		.gpu_closed = print_closed,
	};
	int err = kernel_drain(probe->kernel, &sink);

	if (err)
		printf("failed %s\n", strerror(-err));
}

static void obey(struct probe *probe, const char *line)
{
	struct gpu_calls_counts counts;
	unsigned int major, driver;

	if (sscanf(line, "watch %u %u", &major, &driver) == 2)
		gpu_calls_watch(probe->calls, major, driver);
	else if (!strcmp(line, "sums\n"))
		gpu_calls_read(probe->calls, print_sum, NULL);
	else if (!strcmp(line, "drain\n"))
		drain(probe);
	gpu_calls_count(probe->calls, &counts);
	if (!strcmp(line, "counts\n"))
		printf("counts %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", counts.lost,
		       counts.copies_lost, counts.copies_unreadable);
	puts("done");
	fflush(stdout);
}

int main(void)
{
	struct kernel_options options = {0};
	struct probe probe = {0};
	const char *why = "";
	char line[64];
	int err = kernel_open(&options, &probe.kernel);

	if (!err)
		err = gpu_calls_open(probe.kernel, false, &probe.calls, &why);
	if (err)
		fprintf(stderr, "gpu_probe: cannot start: %s; %s\n",
			probe.kernel ? kernel_failure(probe.kernel) : strerror(-err), why);
	while (!err && fgets(line, sizeof(line), stdin))
		obey(&probe, line);
	gpu_calls_close(probe.calls);
	kernel_close(probe.kernel);
	return err ? 1 : 0;
}
