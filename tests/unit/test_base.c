// SPDX-License-Identifier: Apache-2.0
/* Numbers as people type them: all of the text or nothing, and nothing out of bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"

static void unsigned_numbers(void **state)
{
	static const char *const bad[] = {"",	" 1",	"-1",  "+1",
					  "1x", "0x10", "1.5", "99999999999999999999"};
	uint64_t value = 7;

	(void)state;
	assert_true(read_unsigned("64", 64, 4096, &value));
	assert_int_equal(value, 64);
	assert_false(read_unsigned("63", 64, 4096, &value));
	assert_false(read_unsigned("4097", 64, 4096, &value));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(read_unsigned(bad[i], 0, UINT64_MAX, &value));
	assert_int_equal(value, 64);
}

static void seconds(void **state)
{
	static const char *const bad[] = {"", "-1", "nan", "inf", "1s", "1e400", ".5"};
	uint64_t ns;

	(void)state;
	assert_true(read_seconds("0.25", 0, UINT64_MAX, &ns));
	assert_int_equal(ns, 250000000);
	assert_true(read_seconds("30", 0, UINT64_MAX, &ns));
	assert_int_equal(ns, 30000000000);
	assert_false(read_seconds("0.04", 50000000, UINT64_MAX, &ns));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(read_seconds(bad[i], 0, UINT64_MAX, &ns));
}

static void bytes(void **state)
{
	static const char *const bad[] = {"", "K", "1KB", "1k", "-1K", "99999999999G", "1 M"};
	uint64_t value;

	(void)state;
	assert_true(read_bytes("4096", 1, UINT64_MAX, &value));
	assert_int_equal(value, 4096);
	assert_true(read_bytes("16M", 1, UINT64_MAX, &value));
	assert_int_equal(value, 16 << 20);
	assert_true(read_bytes("1G", 1, 1 << 30, &value));
	assert_false(read_bytes("2G", 1, 1 << 30, &value));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(read_bytes(bad[i], 0, UINT64_MAX, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unsigned_numbers),
		cmocka_unit_test(seconds),
		cmocka_unit_test(bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
