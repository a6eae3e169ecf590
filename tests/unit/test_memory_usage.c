// SPDX-License-Identifier: Apache-2.0
/* Samples of cgroups to rows of owners: pods without their containers, counters that go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "owner/owners.h"
#include "usage/memory_usage.h"

#define POD "/kubepods/pod20df4c7b-4d2a-4fe1-a997-385a170b66be"
#define ID  "c71fc11fa90fc85555d5ca80efe10b690ca916a307b193ffb2f99c445b82942b"
#define SEC 1000000000ull

enum {
	POD_CGROUP = 10,
	CONTAINER_CGROUP,
	INNER_CGROUP,
	SERVICE_CGROUP,
};

static const struct hierarchy nowhere = {.root = "/nowhere", .root_fd = -1};
static struct owners *owners;
static struct memory_usage *memory;

static int setup(void **state)
{
	struct owners_options options = {.hierarchy = &nowhere, .max_owners = 10, .max_pods = 10};

	(void)state;
	owners = owners_new(&options);
	memory = owners ? memory_usage_new(owners) : NULL;
	if (!memory)
		return -1;
	owners_made(owners, POD_CGROUP, POD);
	owners_made(owners, CONTAINER_CGROUP, POD "/" ID);
	owners_made(owners, INNER_CGROUP, POD "/" ID "/init");
	owners_made(owners, SERVICE_CGROUP, "/system.slice/x.service");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	memory_usage_free(memory);
	owners_free(owners);
	return 0;
}

static void sample(uint64_t cgroup, uint64_t bytes, uint64_t faults)
{
	const struct mlprof_memory one = {
		.cgroup = cgroup,
		.known = MLPROF_MEMORY_CURRENT | MLPROF_MEMORY_INACTIVE_FILE | MLPROF_MEMORY_ANON |
			 MLPROF_MEMORY_FILE | MLPROF_MEMORY_MAJOR_FAULTS,
		.current_bytes = bytes,
		.inactive_file_bytes = bytes / 4,
		.anon_bytes = bytes / 2,
		.file_bytes = bytes / 2,
		.major_faults = faults,
	};

	memory_usage_sample(memory, &one);
}

static struct memory_row row_of(uint64_t cgroup)
{
	struct memory_row row;

	memory_usage_row(memory, owners_find(owners, cgroup), &row);
	return row;
}

static void a_pod_holds_what_its_containers_do_not(void **state)
{
	(void)state;
	memory_usage_begin(memory);
	sample(POD_CGROUP, 1000, 7);
	sample(CONTAINER_CGROUP, 800, 5);
	sample(INNER_CGROUP, 600, 5);
	sample(SERVICE_CGROUP, 400, 5);
	memory_usage_end(memory, SEC);
	assert_int_equal(row_of(CONTAINER_CGROUP).working_set_bytes, 600);
	assert_int_equal(row_of(POD_CGROUP).working_set_bytes, 150);
	assert_int_equal(row_of(CONTAINER_CGROUP).rss_bytes, 400);
	assert_int_equal(row_of(SERVICE_CGROUP).known, 0);
}

static void counters_start_with_the_agent_and_go_on(void **state)
{
	(void)state;
	memory_usage_begin(memory);
	sample(CONTAINER_CGROUP, 800, 5);
	memory_usage_end(memory, SEC);
	assert_int_equal(row_of(CONTAINER_CGROUP).major_faults, 0);
	memory_usage_begin(memory);
	sample(CONTAINER_CGROUP, 800, 8);
	memory_usage_end(memory, 2 * SEC);
	assert_int_equal(row_of(CONTAINER_CGROUP).major_faults, 3);
	/* The same container in a cgroup that was made since: all of it counts. */
	memory_usage_removed(memory, CONTAINER_CGROUP);
	owners_made(owners, 20, POD "/" ID);
	memory_usage_begin(memory);
	sample(20, 800, 4);
	memory_usage_end(memory, 3 * SEC);
	assert_int_equal(row_of(20).major_faults, 7);
}

static void bytes_are_held_for_a_time(void **state)
{
	(void)state;
	for (uint64_t i = 0; i <= 10; i++) {
		memory_usage_begin(memory);
		sample(CONTAINER_CGROUP, 4000, 0);
		memory_usage_end(memory, i * SEC);
	}
	assert_int_equal(row_of(CONTAINER_CGROUP).byte_seconds, 30000);
	/* It is gone: what it held, it held until now and no longer. */
	for (uint64_t i = 11; i <= 15; i++) {
		memory_usage_begin(memory);
		memory_usage_end(memory, i * SEC);
	}
	assert_int_equal(row_of(CONTAINER_CGROUP).byte_seconds, 33000);
	assert_int_equal(row_of(CONTAINER_CGROUP).working_set_bytes, 0);
}

static void what_was_never_sampled_is_estimated(void **state)
{
	(void)state;
	memory_usage_exited(memory, CONTAINER_CGROUP, 5000);
	memory_usage_exited(memory, CONTAINER_CGROUP, 3000);
	assert_int_equal(row_of(CONTAINER_CGROUP).known, MEMORY_ROW_PEAK | MEMORY_ROW_ESTIMATED);
	assert_int_equal(row_of(CONTAINER_CGROUP).peak_bytes, 5000);
	memory_usage_begin(memory);
	sample(CONTAINER_CGROUP, 800, 0);
	memory_usage_end(memory, SEC);
	assert_false(row_of(CONTAINER_CGROUP).known & MEMORY_ROW_ESTIMATED);
}

static void owners_that_are_one_are_summed(void **state)
{
	uint32_t pod = owners_find(owners, POD_CGROUP);
	uint32_t container = owners_find(owners, CONTAINER_CGROUP);

	(void)state;
	for (uint64_t i = 0; i < 2; i++) {
		memory_usage_begin(memory);
		sample(CONTAINER_CGROUP, 4000, i);
		memory_usage_end(memory, i * SEC);
	}
	memory_usage_merge(memory, container, pod);
	assert_int_equal(row_of(POD_CGROUP).byte_seconds, 3000);
	assert_int_equal(row_of(POD_CGROUP).major_faults, 1);
	assert_int_equal(row_of(CONTAINER_CGROUP).known, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pod_holds_what_its_containers_do_not),
		TEST(counters_start_with_the_agent_and_go_on),
		TEST(bytes_are_held_for_a_time),
		TEST(what_was_never_sampled_is_estimated),
		TEST(owners_that_are_one_are_summed),
	};

	return cmocka_run_group_tests_name("memory_usage", tests, NULL, NULL);
}
