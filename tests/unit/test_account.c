// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's side of the account, compiled for the host: slots, eviction, moves of tasks between
 * cgroups, clocks. What the emitting of slots and the overflow map do is played here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "bpf_on_host.h"
#include "bpf/lib/account.bpf.h"
#include "bpf/lib/hist.bpf.h"

#define SLOTS MLPROF_SLOTS_MIN

static struct account *account;
static struct mlprof_usage emitted[4096], overflowed[4096];
static size_t nr_emitted, nr_overflowed, ring_room, overflow_room;

static struct account *account_of(u32 cpu)
{
	return cpu ? NULL : account;
}

static int emit_usage(u32 cpu, const struct mlprof_usage *usage)
{
	(void)cpu;
	if (nr_emitted == ring_room)
		return -1;
	emitted[nr_emitted++] = *usage;
	return 0;
}

static int overflow_add(const struct mlprof_usage *usage)
{
	if (nr_overflowed == overflow_room)
		return -1;
	overflowed[nr_overflowed++] = *usage;
	return 0;
}

#include "bpf/lib/slots.bpf.h"

#include "bpf/lib/move.bpf.h"
#include "bpf/lib/wait.bpf.h"

static int setup(void **state)
{
	(void)state;
	account = calloc(1, ACCOUNT_BYTES(SLOTS));
	memset(wait_left, 0, sizeof(wait_left));
	nr_emitted = nr_overflowed = 0;
	ring_room = overflow_room = 4096;
	return account ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(account);
	return 0;
}

static s64 charged(u64 cgroup)
{
	s64 sum = 0;

	for (size_t i = 0; i < SLOTS; i++)
		if (account->slots[i].cgroup == cgroup)
			sum += account->slots[i].cpu_ns;
	for (size_t i = 0; i < nr_emitted; i++)
		if (emitted[i].cgroup == cgroup)
			sum += emitted[i].cpu_ns;
	for (size_t i = 0; i < nr_overflowed; i++)
		if (overflowed[i].cgroup == cgroup)
			sum += overflowed[i].cpu_ns;
	return sum;
}

static void claims_are_found_again(void **state)
{
	(void)state;
	for (u64 cgroup = 100; cgroup < 116; cgroup++)
		account_charge(account, 0, cgroup, (s64)cgroup);
	for (u64 cgroup = 100; cgroup < 116; cgroup++)
		account_charge(account, 0, cgroup, 1);
	for (u64 cgroup = 100; cgroup < 116; cgroup++)
		assert_int_equal(charged(cgroup), cgroup + 1);
	assert_int_equal(account->nr_dirty, 16);
	assert_int_equal(account->evicted, 0);
}

static void no_time_is_lost_when_slots_run_out(void **state)
{
	s64 sum = 0;

	(void)state;
	for (u64 round = 0; round < 3; round++)
		for (u64 cgroup = 2; cgroup < 1002; cgroup++)
			account_charge(account, 0, cgroup, 7);
	assert_true(account->evicted > 1000);
	for (u64 cgroup = 2; cgroup < 1002; cgroup++)
		sum += charged(cgroup);
	assert_int_equal(sum, 3 * 1000 * 7);
	assert_true(account->nr_dirty <= SLOTS);
}

static void a_full_ring_overflows_and_a_full_map_keeps_the_time(void **state)
{
	s64 sum = 0;

	(void)state;
	ring_room = 5;
	overflow_room = 10;
	for (u64 cgroup = 2; cgroup < 202; cgroup++) {
		account_charge(account, 0, cgroup, 7);
		account_slot(account, account_claim(0, cgroup))->wait_ns += 3;
	}
	assert_int_equal(nr_emitted, 5);
	assert_int_equal(nr_overflowed, 10);
	assert_int_equal(account->evicted, account->overflowed + 5);
	assert_int_equal(account->overflowed, account->orphaned + 10);
	for (u64 cgroup = 2; cgroup < 202; cgroup++)
		sum += charged(cgroup);
	assert_int_equal(sum + account->unattributed_ns, 200 * 7);
	assert_int_equal(account->unattributed_wait_ns, account->orphaned * 3);
}

static void popping_empties_every_slot_once(void **state)
{
	(void)state;
	for (u64 cgroup = 2; cgroup < 42; cgroup++)
		account_charge(account, 0, cgroup, 9);
	ring_room = 10;
	while (account->nr_dirty && !account_pop(0))
		;
	assert_int_equal(nr_emitted, 10);
	assert_int_equal(account->nr_dirty, 30);
	ring_room = 4096;
	while (account->nr_dirty && !account_pop(0))
		;
	for (u64 cgroup = 2; cgroup < 42; cgroup++)
		assert_int_equal(charged(cgroup), 9);
	for (size_t i = 0; i < SLOTS; i++)
		assert_int_equal(account->slots[i].cgroup, MLPROF_CGROUP_NONE);
}

/* A slice of task 77 that began in cgroup 10 at clock 1000 with exec 500; mono is 5000 ahead. */
static void begin_slice(void)
{
	account_start(account, 1000, 6000);
	account->exec = 500;
	account->slot = account_claim(0, 10);
}

static void a_slice_is_cut_at_each_move(void **state)
{
	(void)state;
	begin_slice();
	move_note(account, 77, 590, 20);
	move_note(account, 77, 680, 10);
	move_note(account, 77, 800, 30);
	assert_int_equal(account->cset, 0);
	account_settle(0, 77, 1000, 30);
	assert_int_equal(charged(10), 90 + 120);
	assert_int_equal(charged(20), 90);
	assert_int_equal(account->exec, 800);
	assert_int_equal(account->cgroup, 30);
	assert_int_equal(account->moves_unknown, 0);
}

static void a_move_is_settled_once(void **state)
{
	(void)state;
	begin_slice();
	move_note(account, 77, 600, 20);
	account_settle(0, 77, 1000, 20);
	account_charge(account, 0, 20, 400);
	account->exec = 1000;
	account_settle(0, 77, 1100, 20);
	assert_int_equal(account->exec, 1000);
	assert_int_equal(charged(10), 100);
	assert_int_equal(charged(20), 400);
}

static void a_move_of_another_task_is_not_its_business(void **state)
{
	(void)state;
	begin_slice();
	move_note(account, 78, 600, 20);
	account_settle(0, 77, 1000, 10);
	assert_int_equal(account->exec, 500);
	assert_int_equal(charged(10), 0);
	assert_int_equal(account->cgroup, 10);
	assert_int_equal(account->moves_unknown, 0);
}

static void a_note_is_amended_or_made_anew(void **state)
{
	(void)state;
	begin_slice();
	move_note(account, 77, 600, 20);
	move_amend(account, 77, 640, 20, true);
	account_settle(0, 77, 1000, 20);
	assert_int_equal(account->exec, 640);
	assert_int_equal(charged(10), 140);
	/* One too many. */
	account_charge(account, 0, 20, 360);
	account->exec = 1000;
	move_amend(account, 77, 640, 20, true);
	account_settle(0, 77, 1100, 20);
	assert_int_equal(charged(20), 0);
	assert_int_equal(account->exec, 640);
	/* Looked at too early, when the kernel had not made the move yet. */
	move_note(account, 77, 650, 30);
	account_settle(0, 77, 660, 20);
	assert_int_equal(account->cgroup, 20);
	assert_int_equal(account->exec, 640);
	/* Looked at too early, by the slice of another task. */
	move_note(account, 77, 700, 30);
	account_settle(0, 78, 1000, 20);
	move_amend(account, 77, 710, 30, true);
	account_settle(0, 77, 1000, 30);
	assert_int_equal(charged(20), 70);
	assert_int_equal(account->moves_unknown, 0);
}

static void a_charge_is_before_a_move_or_after_it(void **state)
{
	(void)state;
	begin_slice();
	account->mono_ahead = 5000;
	account->move_began = 10000;
	assert_true(charged_before_move(account, 4990, 10050));
	assert_true(charged_before_move(account, 5010, 10050));
	assert_false(charged_before_move(account, 5040, 10050));
	move_note(account, 77, 600, 20);
	move_amend(account, 77, 640, 20, false);
	account_settle(0, 77, 1000, 20);
	assert_int_equal(account->exec, 600);
}

static void a_move_at_an_unknown_time_is_counted(void **state)
{
	(void)state;
	begin_slice();
	account_settle(0, 77, 1000, 20);
	assert_int_equal(charged(10), 500);
	assert_int_equal(account->exec, 1000);
	assert_int_equal(account->cgroup, 20);
	assert_int_equal(account->moves_unknown, 1);
}

static void what_a_flush_gave_too_early_is_given_back(void **state)
{
	(void)state;
	begin_slice();
	/* A flush at exec 700 has charged cgroup 10; the last tick before the move was at 640. */
	account_settle(0, 77, 700, 10);
	account_charge(account, 0, 10, 200);
	account->exec = 700;
	move_note(account, 77, 640, 20);
	account_settle(0, 77, 1000, 20);
	assert_int_equal(charged(10), 140);
	assert_int_equal(account->exec, 640);
	/* But not what is older than a tick: that is another story. */
	account->exec = 640 + TICK_LONGEST_NS + 1;
	move_note(account, 77, 640, 10);
	account_settle(0, 77, account->exec + 10, 10);
	assert_int_equal(charged(20), 10);
	assert_int_equal(account->moves_unknown, 1);
}

static void a_move_of_an_earlier_slice_is_not_its_business(void **state)
{
	(void)state;
	/* It was leaving the CPU when it was moved, to 20; it is back in 10, and moves once more. */
	move_note(account, 77, 480, 20);
	begin_slice();
	move_note(account, 77, 600, 30);
	account_settle(0, 77, 1000, 30);
	assert_int_equal(charged(10), 100);
	assert_int_equal(charged(20), 0);
	assert_int_equal(account->exec, 600);
}

static void more_moves_than_are_kept_lose_no_time(void **state)
{
	s64 sum = 0;

	(void)state;
	begin_slice();
	for (u32 i = 1; i <= 3 * MOVES_KEPT; i++)
		move_note(account, 77, 500 + i, 10 + i % 5);
	account_settle(0, 77, 1500, 10 + 3 * MOVES_KEPT % 5);
	for (u64 cgroup = 10; cgroup < 15; cgroup++)
		sum += charged(cgroup);
	assert_int_equal(sum, account->exec - 500);
	assert_int_equal(account->exec, 500 + 3 * MOVES_KEPT);
	assert_int_equal(account->moves_unknown, 2 * MOVES_KEPT);
}

static void buckets_are_closed_above(void **state)
{
	(void)state;
	assert_int_equal(hist_bucket(0), 0);
	assert_int_equal(hist_bucket(1), 0);
	for (u32 k = 0; k < 25; k++) {
		u64 bound = 1000ULL << k;

		assert_int_equal(hist_bucket(bound), k);
		assert_int_equal(hist_bucket(bound + 1), k + 1);
		if (k)
			assert_int_equal(hist_bucket(bound - 1), k);
	}
	assert_int_equal(hist_bucket(~0ULL), MLPROF_HIST_BUCKETS - 1);
}

static void waits_before_a_move_are_told_by_task(void **state)
{
	(void)state;
	/* A pid of before the table: it looks like a wait of an hour, and is none. */
	assert_false(wait_is_known(1000));
	assert_true(wait_before_move(1000, 5000) > HIST_BOUND(15));
	wait_leave(77, 1000);
	assert_true(wait_is_known(77));
	assert_int_equal(wait_before_move(77, 1000), 0);
	assert_int_equal(wait_before_move(77, 1250), 250);
	/* Another task in the same entry, in either order of their delays: not known. */
	assert_true(wait_before_move(77 + WAIT_ENTRIES, 0) >= WAIT_LONGEST);
	assert_true(wait_before_move(77 + WAIT_ENTRIES, ~0ULL >> 20) >= WAIT_LONGEST);
	wait_leave(77 + 63 * WAIT_ENTRIES, 5);
	assert_true(wait_before_move(77, 1250) >= WAIT_LONGEST);
	/* Delays of hours. */
	wait_leave(9, 1ULL << 45);
	assert_int_equal(wait_before_move(9, (1ULL << 45) + 9), 9);
}

static void every_small_pid_has_an_entry_of_its_own(void **state)
{
	static bool taken[WAIT_ENTRIES];

	(void)state;
	for (u32 pid = 0; pid < WAIT_ENTRIES; pid++) {
		size_t entry = (size_t)(wait_entry(pid) - (u64 *)wait_left);

		assert_false(taken[entry]);
		taken[entry] = true;
		if (pid)
			assert_true(labs((long)entry -
					 (long)(wait_entry(pid - 1) - (u64 *)wait_left)) >= 8);
	}
}

static void clocks_are_compared_down_at_once_and_up_slowly(void **state)
{
	(void)state;
	account_start(account, 1000, 6000);
	account->clock = 2000;
	account_compare_clocks(account, 6900);
	assert_int_equal(account->mono_ahead, 4900);
	/* The start was 100 late, and so was elapsed time. */
	assert_int_equal(account->elapsed_ns, 100);
	/* A second later by both clocks; this reading is 3 ms late, and drift is at most 1/2048. */
	account->clock = 2000 + 1000000000;
	account_compare_clocks(account, 6900 + 1000000000 + 3000000);
	assert_int_equal(account->mono_ahead, 4900 + (1000000000 + 3000000 + 900) / 2048);
}

static void a_dead_cpu_was_idle_to_its_end(void **state)
{
	(void)state;
	account_start(account, 1000, 6000);
	account_stop(account, 6700);
	assert_int_equal(account->idle_ns, 700);
	assert_int_equal(account->elapsed_ns, 700);
	account_stop(account, 9999);
	assert_int_equal(account->elapsed_ns, 700);
	account_start(account, 5000, 10000);
	account_stop(account, 10001);
	assert_int_equal(account->elapsed_ns, 701);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(claims_are_found_again),
		TEST(no_time_is_lost_when_slots_run_out),
		TEST(a_full_ring_overflows_and_a_full_map_keeps_the_time),
		TEST(popping_empties_every_slot_once),
		TEST(a_slice_is_cut_at_each_move),
		TEST(a_move_is_settled_once),
		TEST(a_note_is_amended_or_made_anew),
		TEST(a_charge_is_before_a_move_or_after_it),
		TEST(a_move_of_another_task_is_not_its_business),
		TEST(a_move_at_an_unknown_time_is_counted),
		TEST(what_a_flush_gave_too_early_is_given_back),
		TEST(a_move_of_an_earlier_slice_is_not_its_business),
		TEST(more_moves_than_are_kept_lose_no_time),
		TEST(buckets_are_closed_above),
		TEST(waits_before_a_move_are_told_by_task),
		TEST(every_small_pid_has_an_entry_of_its_own),
		TEST(clocks_are_compared_down_at_once_and_up_slowly),
		TEST(a_dead_cpu_was_idle_to_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
