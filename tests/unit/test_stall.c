// SPDX-License-Identifier: Apache-2.0
/* How long tasks are held up, by the table of the BPF side, compiled for the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bpf_on_host.h"

#include "bpf/lib/stall.bpf.h"

#define RECLAIM	   MLPROF_STALL_RECLAIM
#define COMPACTION MLPROF_STALL_COMPACTION
#define NOW	   123456789012345ull

static void test_stall(void **state)
{
	(void)state;
	assert_true(stall_end(RECLAIM, 77, NOW) == STALL_UNKNOWN);
	stall_begin(RECLAIM, 77, NOW);
	stall_begin(RECLAIM, 78, NOW + 1);
	stall_begin(COMPACTION, 77, NOW + 10);
	assert_true(stall_end(RECLAIM, 77, NOW + 100) == 100);
	assert_true(stall_end(COMPACTION, 77, NOW + 100) == 90);
	assert_true(stall_end(RECLAIM, 78, NOW + 100) == 99);
	/* An end counts once. */
	assert_true(stall_end(RECLAIM, 77, NOW + 200) == STALL_UNKNOWN);
}

static void test_begun_again(void **state)
{
	(void)state;
	stall_begin(RECLAIM, 5, NOW);
	/* The end was not seen: what was in between is nobody's stall. */
	stall_begin(RECLAIM, 5, NOW + 1000);
	assert_true(stall_end(RECLAIM, 5, NOW + 1001) == 1);
}

static void test_shared_entry(void **state)
{
	(void)state;
	for (u32 pid = 1; pid < (1u << 22); pid += STALL_ENTRIES * 7) {
		stall_begin(RECLAIM, pid, NOW);
		stall_begin(RECLAIM, pid + STALL_ENTRIES, NOW + 5);
		assert_true(stall_end(RECLAIM, pid, NOW + 100) == STALL_UNKNOWN);
		assert_true(stall_end(RECLAIM, pid + STALL_ENTRIES, NOW + 100) == 95);
		stall_begin(RECLAIM, pid + STALL_ENTRIES, NOW);
		stall_begin(RECLAIM, pid, NOW + 5);
		assert_true(stall_end(RECLAIM, pid + STALL_ENTRIES, NOW + 100) == STALL_UNKNOWN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stall),
		cmocka_unit_test(test_begun_again),
		cmocka_unit_test(test_shared_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
