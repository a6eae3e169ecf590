// SPDX-License-Identifier: Apache-2.0
/*
 * A drain: every CPU closes the slice that runs on it and writes its account into its ring, which
 * is emptied right away, so a ring of one page only makes for more calls.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "kernel/internal.h"

/* As enum flush_result in bpf/cpu.bpf.c has them. */
enum {
	FLUSH_DONE = 0,
	FLUSH_MORE = 1,
	FLUSH_FULL = 2
};

/*
 * Calls that one CPU's flush may take. The largest account through the smallest ring takes some 160;
 * what is over that is a CPU that fills its account faster than it is read, and can wait a second.
 */
#define FLUSH_CALLS_MAX 1024

/* Overflow that goes on while it is being read is left to the next drain. */
#define OVERFLOW_TURNS_MAX 4

static int flush_once(struct kernel *kernel, unsigned int cpu, bool offline, __u32 *result)
{
	__u64 args[2] = {cpu, offline};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = args, .ctx_size_in = sizeof(args),
		    .cpu = offline ? 0 : cpu, .flags = offline ? 0 : BPF_F_TEST_RUN_ON_CPU);
	int err = bpf_prog_test_run_opts(bpf_program__fd(kernel->bpf->progs.flush), &opts);

	*result = opts.retval;
	return err;
}

/* Whether the CPU is offline is asked each time: it may come back between two calls. */
static int flush_cpu(struct kernel *kernel, unsigned int cpu)
{
	__u32 result;
	int err;

	for (int calls = 0; calls < FLUSH_CALLS_MAX; calls++) {
		err = flush_once(kernel, cpu, false, &result);
		if (err == -ENXIO)
			err = flush_once(kernel, cpu, true, &result);
		if (!err)
			err = rings_consume(kernel, cpu);
		if (err || result == MLPROF_FLUSH_DONE)
			return err;
	}
	return 0;
}

static void take_overflow(struct kernel *kernel, int fd)
{
	struct mlprof_usage usage;
	__u64 key;

	while (!bpf_map_get_next_key(fd, NULL, &key)) {
		if (!bpf_map_lookup_elem(fd, &key, &usage))
			kernel->sink->usage(kernel->sink->context, &usage);
		bpf_map_delete_elem(fd, &key);
	}
}

/*
 * The overflow map in use is put out of use before the flush: when every CPU has passed one, no
 * program can still be writing to it.
 */
static int turn_overflow(struct kernel *kernel)
{
	struct mlprof_bpf *bpf = kernel->bpf;
	__u32 turn = __atomic_fetch_add(&bpf->bss->overflow_turn, 1, __ATOMIC_SEQ_CST);

	return bpf_map__fd(turn & 1 ? bpf->maps.overflow_odd : bpf->maps.overflow_even);
}

static int flush_all(struct kernel *kernel)
{
	int err = 0;

	for (unsigned int cpu = 0; cpu < kernel->nr_cpus && !err; cpu++)
		err = flush_cpu(kernel, cpu);
	return err;
}

/*
 * Overflow that this flush has told of belongs to this drain. If not every CPU could be flushed, the
 * map that was turned away from may still be written to: it is turned back to and taken next time.
 */
static int drain_overflow(struct kernel *kernel)
{
	int fd = turn_overflow(kernel), err;

	kernel->overflow_pending = false;
	err = flush_all(kernel);
	if (err) {
		turn_overflow(kernel);
		kernel->overflow_pending = true;
		return err;
	}
	take_overflow(kernel, fd);
	return 0;
}

int kernel_drain(struct kernel *kernel, const struct record_sink *sink)
{
	int err = 0;

	kernel->sink = sink;
	kernel->waiting_bytes = 0;
	/* What is left from before is read first, so that the flush finds room. */
	for (unsigned int cpu = 0; cpu < kernel->nr_cpus && !err; cpu++)
		err = rings_consume(kernel, cpu);
	kernel->counts.ring_used_bytes = kernel->waiting_bytes;
	if (!err)
		err = flush_all(kernel);
	for (int turns = 0; kernel->overflow_pending && turns < OVERFLOW_TURNS_MAX && !err; turns++)
		err = drain_overflow(kernel);
	rings_tell_removed(kernel);
	if (!err)
		err = stalls_take(kernel);
	return err;
}
