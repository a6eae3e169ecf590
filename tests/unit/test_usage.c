// SPDX-License-Identifier: Apache-2.0
/* Records to usage per owner: sums, times that are taken back, owners learnt late, and the dead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "usage/usage.h"

#define POD "/kubepods/pod20df4c7b-4d2a-4fe1-a997-385a170b66be"

static const struct hierarchy nowhere = {.root = "/nowhere", .root_fd = -1};

struct fixture {
	struct owners *owners;
	struct usage *usage;
};

static int setup(void **state)
{
	struct owners_options options = {
		.hierarchy = &nowhere, .max_owners = 100, .max_pods = 100, .keep_ns = 1000};
	struct fixture *f = calloc(1, sizeof(*f));

	f->owners = owners_new(&options);
	f->usage = usage_new(f->owners, "");
	*state = f;
	return f->owners && f->usage ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	usage_free(f->usage);
	owners_free(f->owners);
	free(f);
	return 0;
}

static void add(struct fixture *f, uint64_t cgroup, int64_t cpu_ns, int64_t wait_ns)
{
	struct mlprof_usage record = {
		.cgroup = cgroup,
		.cpu_ns = cpu_ns,
		.wait_ns = wait_ns,
		.switches = {1, 2},
	};

	record.wait_hist[3] = 1;
	usage_add(f->usage, &record);
}

static struct snapshot *take(struct fixture *f, uint64_t now)
{
	struct snapshot *snap = snapshot_new();

	usage_begin(f->usage, now);
	usage_end(f->usage);
	assert_int_equal(usage_fill(f->usage, snap), 0);
	return snap;
}

static void records_add_up(void **state)
{
	struct fixture *f = *state;
	struct mlprof_record_cpu cpu = {.elapsed_ns = 1000, .idle_ns = 400, .irq_steal_ns = 10};
	struct snapshot *snap;

	owners_made(f->owners, 5, POD "/a");
	owners_made(f->owners, 6, "/ssh.service");
	add(f, 5, 100, 7);
	add(f, 5, 150, 8);
	add(f, 6, 300, 0);
	add(f, MLPROF_CGROUP_KERNEL, 40, 0);
	usage_add_cpu(f->usage, &cpu);
	snap = take(f, 1);
	assert_int_equal(snap->nr_rows, 2);
	assert_int_equal(snap->rows[0].kind, OWNER_POD);
	assert_int_equal(snap->rows[0].cpu_ns, 250);
	assert_int_equal(snap->rows[0].wait_ns, 15);
	assert_int_equal(snap->rows[0].wait.bucket[3], 2);
	assert_int_equal(snap->rows[0].voluntary, 2);
	assert_int_equal(snap->rows[0].preempted, 4);
	assert_string_equal(snap->rows[1].unit, "ssh.service");
	assert_int_equal(snap->node_ns[NODE_PODS], 250);
	assert_int_equal(snap->node_ns[NODE_UNITS], 300);
	assert_int_equal(snap->node_ns[NODE_KERNEL], 40);
	assert_int_equal(snap->node_ns[NODE_IDLE], 400);
	assert_int_equal(snap->node_ns[NODE_IRQ_STEAL], 10);
	assert_int_equal(snap->elapsed_ns, 1000);
	assert_int_equal(snap->nr_namespaces, 1);
	assert_int_equal(snap->namespaces[0].wait.sum_ns, 15);
	snapshot_put(snap);
}

static void what_is_taken_back_is_never_shown(void **state)
{
	struct fixture *f = *state;
	struct snapshot *snap;

	owners_made(f->owners, 5, POD "/a");
	add(f, 5, 1000, 0);
	snapshot_put(take(f, 1));
	add(f, 5, -30, 0);
	snap = take(f, 2);
	assert_int_equal(snap->rows[0].cpu_ns, 1000);
	assert_int_equal(snap->node_ns[NODE_PODS], 1000);
	snapshot_put(snap);
	add(f, 5, 50, 0);
	snap = take(f, 3);
	assert_int_equal(snap->rows[0].cpu_ns, 1020);
	snapshot_put(snap);
}

static void usage_may_come_before_its_cgroup(void **state)
{
	struct fixture *f = *state;
	struct snapshot *snap;

	add(f, 5, 70, 0);
	owners_made(f->owners, 5, POD "/a");
	snap = take(f, 1);
	assert_int_equal(snap->nr_rows, 1);
	assert_int_equal(snap->rows[0].cpu_ns, 70);
	assert_int_equal(snap->node_ns[NODE_UNATTRIBUTED], 0);
	snapshot_put(snap);
}

static void usage_of_nobody_is_unattributed_and_counted(void **state)
{
	struct fixture *f = *state;
	struct snapshot *snap;
	uint64_t unknown = 0;

	add(f, 99, 70, 3);
	snap = take(f, 1);
	assert_int_equal(snap->nr_rows, 0);
	assert_int_equal(snap->node_ns[NODE_UNATTRIBUTED], 70);
	assert_int_equal(snap->unattributed_wait_ns, 3);
	for (size_t i = 0; i < snap->nr_losses; i++)
		if (!strcmp(snap->losses[i].cause, "cgroup_unknown"))
			unknown = snap->losses[i].count;
	assert_int_equal(unknown, 1);
	snapshot_put(snap);
}

static void the_node_keeps_what_the_dead_used(void **state)
{
	struct fixture *f = *state;
	struct snapshot *snap;

	owners_made(f->owners, 5, POD "/a");
	add(f, 5, 70, 9);
	owners_removed(f->owners, 5, 10);
	snap = take(f, 10);
	assert_int_equal(snap->nr_rows, 1);
	snapshot_put(snap);
	snap = take(f, 2000);
	assert_int_equal(snap->nr_rows, 1);
	snapshot_put(snap);
	snap = take(f, 2002);
	assert_int_equal(snap->nr_rows, 0);
	assert_int_equal(snap->node_ns[NODE_PODS], 70);
	assert_int_equal(snap->namespaces[0].wait.sum_ns, 9);
	snapshot_put(snap);
	/* Its number goes to another, who starts from nothing. */
	owners_made(f->owners, 6, "/new.service");
	add(f, 6, 5, 0);
	snap = take(f, 2003);
	assert_int_equal(snap->nr_rows, 1);
	assert_int_equal(snap->rows[0].cpu_ns, 5);
	snapshot_put(snap);
}

static void a_held_snapshot_outlives_newer_ones(void **state)
{
	struct snapshot_board *board = snapshot_board_new();
	struct snapshot *first = snapshot_new(), *second = snapshot_new();
	const struct snapshot *held;

	(void)state;
	assert_null(snapshot_get(board));
	first->seq = 1;
	second->seq = 2;
	snapshot_publish(board, first);
	held = snapshot_get(board);
	snapshot_publish(board, second);
	assert_int_equal(held->seq, 1);
	assert_non_null(snapshot_alloc(second, 1 << 20));
	snapshot_put(held);
	held = snapshot_get(board);
	assert_int_equal(held->seq, 2);
	snapshot_put(held);
	snapshot_board_free(board);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(records_add_up),
		TEST(what_is_taken_back_is_never_shown),
		TEST(usage_may_come_before_its_cgroup),
		TEST(usage_of_nobody_is_unattributed_and_counted),
		TEST(the_node_keeps_what_the_dead_used),
		TEST(a_held_snapshot_outlives_newer_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
