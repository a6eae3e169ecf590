// SPDX-License-Identifier: Apache-2.0
/* What the kernel tells of rings and jobs becomes sums of owners and engines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/rings.h"
#include "usage/gpu_usage.h"

#define UID_A "aaaaaaaa-0000-0000-0000-000000000001"
#define UID_B "bbbbbbbb-0000-0000-0000-000000000002"
#define RING  UINT64_C(0xffff888000001000)
#define SEC   UINT64_C(1000000000)

static const struct hierarchy nowhere = {.root_fd = -1};

struct fixture {
	struct owners *owners;
	struct gpu_usage *gpu;
	struct snapshot *snap;
};

static int set_up(void **state)
{
	static struct fixture f;
	struct owners_options options = {
		.hierarchy = &nowhere, .max_owners = 100, .max_pods = 100, .keep_ns = 10};

	f.owners = owners_new(&options);
	f.gpu = f.owners ? gpu_usage_new(f.owners, "fake,other") : NULL;
	f.snap = NULL;
	*state = &f;
	if (!f.gpu)
		return -1;
	owners_made(f.owners, 5, "/kubepods/pod" UID_A);
	owners_made(f.owners, 6, "/kubepods/pod" UID_B);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	snapshot_put(f->snap);
	gpu_usage_free(f->gpu);
	owners_free(f->owners);
	return 0;
}

/* A ring of the driver, that has been busy for so long. */
static void ring(struct fixture *f, uint64_t id, const char *driver, uint64_t busy_ns)
{
	struct mlprof_gpu_ring told = {.id = id, .done_ns = 7 * SEC, .busy_ns = busy_ns};

	strcpy(told.name, "compute");
	strcpy(told.device, "0000:03:00.0");
	strcpy(told.driver, driver);
	gpu_usage_ring(f->gpu, &told);
}

static bool jobs(struct fixture *f, uint64_t id, uint64_t cgroup, uint64_t nr, uint64_t busy_ns)
{
	struct mlprof_gpu_jobs sums = {.jobs = nr, .busy_ns = busy_ns, .queue_wait_ns = nr};

	sums.ran_hist[3] = (uint32_t)nr;
	return gpu_usage_jobs(f->gpu, id, cgroup, &sums);
}

static void under_way(struct fixture *f, uint64_t cgroup, uint64_t handed_ns)
{
	struct mlprof_gpu_job job = {.cgroup = cgroup, .handed_ns = handed_ns};

	gpu_usage_under_way(f->gpu, RING, &job);
}

static const struct snapshot *take(struct fixture *f)
{
	snapshot_put(f->snap);
	f->snap = snapshot_new();
	assert_int_equal(gpu_usage_fill(f->gpu, f->snap), 0);
	return f->snap;
}

static const struct gpu_row *row_of(const struct snapshot *snap, const char *name)
{
	for (size_t i = 0; i < snap->nr_gpu_rows; i++)
		if (!strcmp(snap->gpu_rows[i].pod, name) || !strcmp(snap->gpu_rows[i].unit, name))
			return &snap->gpu_rows[i];
	return NULL;
}

static void sums_are_of_owners(void **state)
{
	struct fixture *f = *state;
	const struct snapshot *snap;

	gpu_usage_begin(f->gpu, SEC);
	ring(f, RING, "fake", 900);
	ring(f, RING + 8, "fake", 50);
	assert_true(jobs(f, RING, 5, 3, 500));
	assert_true(jobs(f, RING, 6, 1, 300));
	assert_true(jobs(f, RING + 8, 5, 2, 50));
	assert_true(jobs(f, RING, MLPROF_CGROUP_KERNEL, 1, 40));
	snap = take(f);
	assert_int_equal(row_of(snap, UID_A)->busy_ns, 550);
	assert_int_equal(row_of(snap, UID_A)->jobs, 5);
	assert_int_equal(row_of(snap, UID_A)->queue_wait_ns, 5);
	assert_int_equal(row_of(snap, UID_A)->engine, GPU_ENGINE_COMPUTE);
	assert_string_equal(row_of(snap, UID_A)->gpu, "0000:03:00.0");
	assert_int_equal(row_of(snap, UID_B)->busy_ns, 300);
	assert_int_equal(row_of(snap, "system")->busy_ns, 40);
	/* Two rings of one engine; 60 ns were nobody's. */
	assert_int_equal(snap->nr_gpu_engines, 1);
	assert_int_equal(snap->gpu_engines[0].rings, 2);
	assert_int_equal(snap->gpu_engines[0].busy_ns, 950);
	assert_int_equal(snap->gpu_engines[0].unattributed_ns, 60);
	assert_int_equal(snap->nr_gpu_namespaces, 1);
	assert_int_equal(snap->gpu_namespaces[0].ran.bucket[3], 6);
	/* The same sums again are no news. */
	gpu_usage_begin(f->gpu, 2 * SEC);
	ring(f, RING, "fake", 900);
	jobs(f, RING, 5, 3, 500);
	snap = take(f);
	assert_int_equal(row_of(snap, UID_A)->busy_ns, 550);
	assert_int_equal(snap->gpu_engines[0].rings, 1);
}

static void what_runs_counts_up_to_now(void **state)
{
	struct fixture *f = *state;
	const struct snapshot *snap;

	gpu_usage_begin(f->gpu, 10 * SEC);
	ring(f, RING, "fake", 0);
	/* Of these the first runs, since the one before it was done at 7 s. */
	under_way(f, 6, 6 * SEC);
	under_way(f, 5, 5 * SEC);
	snap = take(f);
	assert_int_equal(row_of(snap, UID_A)->busy_ns, 3 * SEC);
	assert_null(row_of(snap, UID_B));
	assert_int_equal(snap->gpu_engines[0].busy_ns, 3 * SEC);
	assert_int_equal(snap->gpu_engines[0].unattributed_ns, 0);
	/* It was done a little before that reading; what has been shown stays. */
	gpu_usage_begin(f->gpu, 11 * SEC);
	ring(f, RING, "fake", 3 * SEC - 5);
	jobs(f, RING, 5, 1, 3 * SEC - 5);
	snap = take(f);
	assert_int_equal(row_of(snap, UID_A)->busy_ns, 3 * SEC);
	gpu_usage_begin(f->gpu, 12 * SEC);
	ring(f, RING, "fake", 4 * SEC);
	jobs(f, RING, 5, 2, 4 * SEC);
	assert_int_equal(row_of(take(f), UID_A)->busy_ns, 4 * SEC);
}

static void side_by_side_is_not_busy_time(void **state)
{
	struct fixture *f = *state;
	const struct snapshot *snap;

	gpu_usage_begin(f->gpu, SEC);
	ring(f, RING, "xe", 900);
	jobs(f, RING, 5, 3, 500);
	under_way(f, 5, SEC / 2);
	snap = take(f);
	assert_int_equal(row_of(snap, UID_A)->jobs, 3);
	assert_false(row_of(snap, UID_A)->busy_known);
	assert_false(snap->gpu_engines[0].busy_known);
	assert_int_equal(snap->nr_gpu_namespaces, 0);
}

static void nobody_is_not_an_owner(void **state)
{
	struct fixture *f = *state;
	const struct snapshot *snap;

	gpu_usage_begin(f->gpu, SEC);
	ring(f, RING, "fake", 900);
	assert_false(jobs(f, RING, 99, 3, 500));
	assert_true(jobs(f, RING + 16, 5, 3, 500)); /* a ring that nobody told of */
	snap = take(f);
	assert_int_equal(snap->nr_gpu_rows, 0);
	assert_int_equal(snap->gpu_engines[0].unattributed_ns, 900);
}

static void sums_may_begin_anew(void **state)
{
	struct fixture *f = *state;

	gpu_usage_begin(f->gpu, SEC);
	ring(f, RING, "fake", 900);
	jobs(f, RING, 5, 3, 500);
	jobs(f, RING, 5, 1, 20);
	assert_int_equal(row_of(take(f), UID_A)->busy_ns, 520);
	gpu_usage_merge(f->gpu, owners_find(f->owners, 5), owners_find(f->owners, 6));
	assert_null(row_of(take(f), UID_A));
	assert_int_equal(row_of(f->snap, UID_B)->busy_ns, 520);
	gpu_usage_forget(f->gpu, owners_find(f->owners, 6));
	assert_int_equal(take(f)->nr_gpu_rows, 0);
}

static void more_than_fits_is_dropped(void **state)
{
	struct fixture *f = *state;

	gpu_usage_begin(f->gpu, SEC);
	for (uint64_t i = 0; i < 300; i++)
		ring(f, RING + 8 * i, "fake", 1);
	for (uint64_t i = 0; i < 300; i++)
		jobs(f, RING + 8 * i, 5, 1, 1);
	assert_int_equal(row_of(take(f), UID_A)->busy_ns, 256);
	assert_int_equal(f->snap->gpu_engines[0].busy_ns, 256);
}

static void drivers_and_engines(void **state)
{
	(void)state;
	assert_true(gpu_is_in_order("amdgpu", ""));
	assert_true(gpu_is_in_order("mine", "other,mine"));
	assert_false(gpu_is_in_order("min", "other,mine"));
	assert_false(gpu_is_in_order("xe", ""));
	assert_false(gpu_is_in_order("", ","));
	assert_int_equal(gpu_ring_engine("amdgpu", "sdma0"), GPU_ENGINE_COPY);
	assert_int_equal(gpu_ring_engine("amdgpu", "comp_1.0.0"), GPU_ENGINE_COMPUTE);
	assert_int_equal(gpu_ring_engine("amdgpu", "gfx_0.0.0"), GPU_ENGINE_GRAPHICS);
	assert_int_equal(gpu_ring_engine("unheard", "of"), GPU_ENGINE_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sums_are_of_owners, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_runs_counts_up_to_now, set_up, tear_down),
		cmocka_unit_test_setup_teardown(side_by_side_is_not_busy_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_is_not_an_owner, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sums_may_begin_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(more_than_fits_is_dropped, set_up, tear_down),
		cmocka_unit_test(drivers_and_engines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
