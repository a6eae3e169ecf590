// SPDX-License-Identifier: Apache-2.0
/* What the kernel tells of calls becomes histograms of namespaces and waits of owners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "usage/gpu_call_usage.h"

#define UID_A "aaaaaaaa-0000-0000-0000-000000000001"
#define UID_B "bbbbbbbb-0000-0000-0000-000000000002"

static const struct hierarchy nowhere = {.root_fd = -1};

struct fixture {
	struct owners *owners;
	struct gpu_call_usage *usage;
	struct snapshot *snap;
};

static int set_up(void **state)
{
	static struct fixture f;
	struct owners_options options = {
		.hierarchy = &nowhere, .max_owners = 100, .max_pods = 100, .keep_ns = 10};

	f.owners = owners_new(&options);
	f.usage = f.owners ? gpu_call_usage_new(f.owners) : NULL;
	f.snap = NULL;
	*state = &f;
	if (!f.usage)
		return -1;
	owners_made(f.owners, 5, "/kubepods/pod" UID_A);
	owners_made(f.owners, 6, "/kubepods/pod" UID_B);
	owners_made(f.owners, 7, "/system.slice/x.service");
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	snapshot_put(f->snap);
	gpu_call_usage_free(f->usage);
	owners_free(f->owners);
	return 0;
}

static bool add(struct fixture *f, uint64_t cgroup, enum mlprof_gpu_op op, uint64_t calls)
{
	struct mlprof_gpu_caller caller = {.cgroup = cgroup, .device = 226 << 20, .op = op};
	struct mlprof_gpu_calls sums = {.calls = calls, .errors = calls / 2, .ns = 1000 * calls};

	sums.hist[2] = (uint32_t)calls;
	return gpu_call_usage_add(f->usage, &caller, &sums, "gpu-1");
}

static const struct snapshot *take(struct fixture *f)
{
	snapshot_put(f->snap);
	f->snap = snapshot_new();
	assert_int_equal(gpu_call_usage_fill(f->usage, f->snap), 0);
	return f->snap;
}

static void calls_are_of_namespaces(void **state)
{
	struct fixture *f = *state;
	const struct snapshot *snap;

	assert_true(add(f, 5, MLPROF_GPU_OP_ALLOC, 4));
	assert_true(add(f, 5, MLPROF_GPU_OP_ALLOC, 6));
	assert_true(add(f, 6, MLPROF_GPU_OP_ALLOC, 1));
	assert_true(add(f, 7, MLPROF_GPU_OP_FREE, 3));
	snap = take(f);
	/* None of them has a name yet, and so no namespace. */
	assert_int_equal(snap->nr_gpu_calls, 2);
	assert_int_equal(snap->gpu_calls[0].op, MLPROF_GPU_OP_ALLOC);
	assert_int_equal(snap->gpu_calls[0].took.bucket[2], 7);
	assert_int_equal(snap->gpu_calls[0].took.sum_ns, 7000);
	assert_int_equal(snap->gpu_calls[0].errors, 3);
	assert_int_equal(snap->gpu_calls[1].op, MLPROF_GPU_OP_FREE);
	assert_int_equal(snap->nr_gpu_waits, 0);
}

static void waits_are_of_owners(void **state)
{
	struct fixture *f = *state;
	const struct snapshot *snap;

	add(f, 5, MLPROF_GPU_OP_WAIT, 4);
	add(f, 6, MLPROF_GPU_OP_WAIT, 1);
	add(f, 5, MLPROF_GPU_OP_WAIT, 5);
	snap = take(f);
	assert_int_equal(snap->nr_gpu_waits, 2);
	assert_string_equal(snap->gpu_waits[0].pod, UID_A);
	assert_string_equal(snap->gpu_waits[0].gpu, "gpu-1");
	assert_int_equal(snap->gpu_waits[0].wait_ns, 5000);
	gpu_call_usage_merge(f->usage, owners_find(f->owners, 5), owners_find(f->owners, 6));
	snap = take(f);
	assert_int_equal(snap->nr_gpu_waits, 1);
	assert_string_equal(snap->gpu_waits[0].pod, UID_B);
	assert_int_equal(snap->gpu_waits[0].wait_ns, 6000);
	gpu_call_usage_forget(f->usage, owners_find(f->owners, 6));
	assert_int_equal(take(f)->nr_gpu_waits, 0);
}

static void sums_may_begin_anew(void **state)
{
	struct fixture *f = *state;

	add(f, 5, MLPROF_GPU_OP_WAIT, 4);
	add(f, 5, MLPROF_GPU_OP_WAIT, 1);
	assert_int_equal(take(f)->gpu_waits[0].wait_ns, 5000);
	assert_int_equal(f->snap->gpu_calls[0].took.bucket[2], 5);
}

static void nobody_is_forgotten(void **state)
{
	struct fixture *f = *state;

	assert_false(add(f, 99, MLPROF_GPU_OP_WAIT, 4));
	assert_int_equal(take(f)->nr_gpu_calls, 0);
}

static void more_than_fits_is_passed_over(void **state)
{
	struct fixture *f = *state;
	struct mlprof_gpu_caller caller = {.cgroup = 5, .op = MLPROF_GPU_OP_QUERY};
	const struct mlprof_gpu_calls sums = {.calls = 1};

	for (caller.device = 0; caller.device < 3000; caller.device++)
		assert_true(gpu_call_usage_add(f->usage, &caller, &sums, ""));
	assert_int_equal(take(f)->nr_gpu_calls, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(calls_are_of_namespaces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(waits_are_of_owners, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sums_may_begin_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(more_than_fits_is_passed_over, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
