// SPDX-License-Identifier: Apache-2.0
/* The formats of cgroup files, sampling from a tree of files made here, and byte-seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

#include "memory/integral.h"
#include "memory/memory.h"
#include "memory/stat.h"

static bool lines(const char *text, struct stat_field *fields, size_t nr)
{
	return stat_read_lines(text, strlen(text), fields, nr);
}

static void test_lines(void **state)
{
	struct stat_field fields[] = {{.name = "anon"}, {.name = "file"}, {.name = "pgmajfault"}};

	(void)state;
	assert_true(lines("anon 4096\nfile_dirty 1\nfile 0\nswap.x_9 2\n", fields, 3));
	assert_true(fields[0].found && fields[0].value == 4096);
	assert_true(fields[1].found && fields[1].value == 0);
	assert_false(fields[2].found);
	/* In any order, and a name that only begins alike is another. */
	assert_true(lines("pgmajfault 3\nfile 2\nano 9\nanon 1\nanonx 7\n", fields, 3));
	assert_int_equal(fields[0].value, 1);
	assert_int_equal(fields[1].value, 2);
	assert_int_equal(fields[2].value, 3);
	assert_true(lines("", fields, 3));
	assert_false(fields[0].found);
	assert_true(lines("anon 18446744073709551615\n", fields, 3));
	assert_true(fields[0].value == UINT64_MAX);
}

static void test_lines_that_are_not(void **state)
{
	static const char *const bad[] = {
		"anon 4096",
		"anon 4096\n\n",
		"anon\n",
		"anon \n",
		"anon  1\n",
		" anon 1\n",
		"anon -1\n",
		"anon +1\n",
		"anon 1 \n",
		"anon 1x\n",
		"anon 0x1\n",
		"anon 1\nanon 1\n",
		"Anon 1\n",
		"anon\t1\n",
		"anon 1\r\n",
		"anon 18446744073709551616\n",
		"file 1\nanon 1 2\n",
		"anon 99999999999999999999999\n",
	};
	struct stat_field fields[] = {{.name = "anon"}, {.name = "file"}};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(lines(bad[i], fields, 2));
		assert_false(fields[0].found || fields[1].found);
	}
	assert_false(stat_read_lines("anon 1\0\n", 8, fields, 2));
}

static bool number(const char *text, uint64_t *value, bool *limited)
{
	return stat_read_number(text, strlen(text), value, limited);
}

static void test_numbers(void **state)
{
	uint64_t value = 7;
	bool limited = true;

	(void)state;
	assert_true(number("max\n", &value, &limited));
	assert_false(limited);
	assert_int_equal(value, 7);
	assert_true(number("4096\n", &value, &limited));
	assert_true(limited && value == 4096);
	assert_false(number("4096", &value, &limited));
	assert_false(number("maximum\n", &value, &limited));
	assert_false(number("\n", &value, &limited));
	assert_false(number("", &value, &limited));
	assert_false(number("4096\n1\n", &value, &limited));
}

static bool pressure(const char *text, struct stat_pressure *found)
{
	return stat_read_pressure(text, strlen(text), found);
}

#define SOME "some avg10=0.00 avg60=1.25 avg300=100.00 total=12345\n"
#define FULL "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"

static void test_pressure(void **state)
{
	struct stat_pressure found = {0};

	(void)state;
	assert_true(pressure(SOME FULL, &found));
	assert_true(found.has_some && found.some_usec == 12345);
	assert_true(found.has_full && found.full_usec == 7);
	assert_true(pressure(SOME, &found));
	assert_false(found.has_full);
	assert_true(pressure(FULL, &found));
	assert_false(found.has_some);
	assert_false(pressure(FULL SOME, &found));
	assert_false(pressure("some avg10=0.00 avg60=1.25 total=1\n", &found));
	assert_false(pressure("some avg10=0.00 avg60=1.25 avg300=1 total=1\n", &found));
	assert_false(pressure(SOME "x", &found));
	/* What cannot be read leaves what was. */
	assert_true(found.has_full);
}

/* A cgroup v2 tree of ordinary files. */
struct tree {
	char root[64];
	struct hierarchy hierarchy;
	struct memory_sampler *sampler;
	struct mlprof_memory seen[4];
	size_t nr;
};

static void put(const struct tree *tree, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", tree->root, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void put_group(const struct tree *tree, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", tree->root, name);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/cpu.stat", name);
	put(tree, path, "usage_usec 10\nnr_periods 9\nnr_throttled 2\nthrottled_usec 1500\n");
}

static int setup(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	struct memory_options options = {.most_cgroups = 2};

	strcpy(tree->root, "/tmp/mlprof-test-XXXXXX");
	assert_non_null(mkdtemp(tree->root));
	strcpy(tree->hierarchy.root, tree->root);
	tree->hierarchy.root_fd = open(tree->root, O_RDONLY | O_DIRECTORY);
	options.hierarchy = &tree->hierarchy;
	assert_int_equal(memory_sampler_open(&options, &tree->sampler), 0);
	*state = tree;
	return 0;
}

static int take_away(const char *path, const struct stat *about, int kind, struct FTW *where)
{
	(void)about;
	(void)kind;
	(void)where;
	return remove(path);
}

static int teardown(void **state)
{
	struct tree *tree = *state;

	memory_sampler_close(tree->sampler);
	close(tree->hierarchy.root_fd);
	nftw(tree->root, take_away, 8, FTW_DEPTH | FTW_PHYS);
	free(tree);
	return 0;
}

static void see(void *context, const struct mlprof_memory *sample)
{
	struct tree *tree = context;

	assert_true(tree->nr < 4);
	tree->seen[tree->nr++] = *sample;
}

static const struct mlprof_memory *sample_again(struct tree *tree)
{
	tree->nr = 0;
	assert_int_equal(memory_sample_all(tree->sampler, see, tree), 0);
	return tree->seen;
}

static void test_files(void **state)
{
	struct tree *tree = *state;
	const struct mlprof_memory *seen;

	put_group(tree, "a");
	put(tree, "a/memory.current", "40960\n");
	put(tree, "a/memory.stat", "anon 4096\nfile 8192\ninactive_file 12288\npgmajfault 3\n");
	put(tree, "a/memory.max", "max\n");
	put(tree, "a/memory.events", "low 0\noom 1\noom_kill 1\n");
	put(tree, "a/memory.pressure", SOME FULL);
	assert_int_equal(memory_sampler_add(tree->sampler, 11, "/a"), 0);
	assert_int_equal(memory_sampler_add(tree->sampler, 11, "/a"), 0);
	seen = sample_again(tree);
	assert_int_equal(tree->nr, 1);
	assert_int_equal(seen->cgroup, 11);
	assert_int_equal(seen->current_bytes, 40960);
	assert_int_equal(memory_working_set(seen), 40960 - 12288);
	assert_int_equal(seen->major_faults, 3);
	assert_int_equal(seen->oom_kills, 1);
	assert_int_equal(seen->throttled_ns, 1500000);
	assert_int_equal(seen->some_ns[MLPROF_PRESSURE_MEMORY], 12345000);
	/* No limit, no peak on this kernel, no pressure of the CPU: absent, not zero. */
	assert_true(seen->known & MLPROF_MEMORY_PRESSURE_FULL(MLPROF_PRESSURE_MEMORY));
	assert_false(seen->known & MLPROF_MEMORY_LIMIT);
	assert_false(seen->known & MLPROF_MEMORY_PEAK);
	assert_false(seen->known & MLPROF_MEMORY_PRESSURE_SOME(MLPROF_PRESSURE_CPU));
}

static void test_files_gone_and_too_many(void **state)
{
	struct tree *tree = *state;
	struct memory_counts counts;

	put_group(tree, "a");
	put_group(tree, "b");
	put_group(tree, "c");
	assert_int_equal(memory_sampler_add(tree->sampler, 9, "/none"), -ENOENT);
	assert_int_equal(memory_sampler_add(tree->sampler, 1, "/"), 0);
	assert_int_equal(memory_sampler_add(tree->sampler, 11, "/a"), 0);
	assert_int_equal(memory_sampler_add(tree->sampler, 12, "/b"), 0);
	assert_int_equal(memory_sampler_add(tree->sampler, 13, "/c"), -ENOSPC);
	sample_again(tree);
	assert_int_equal(tree->nr, 2);
	memory_sampler_remove(tree->sampler, 11);
	memory_sampler_remove(tree->sampler, 11);
	assert_int_equal(memory_sampler_add(tree->sampler, 13, "/c"), 0);
	assert_int_equal(sample_again(tree)[0].cgroup, 12);
	assert_int_equal(tree->seen[1].cgroup, 13);
	/* Removed, and nobody has told. */
	put(tree, "b/cpu.stat", "");
	assert_int_equal(sample_again(tree)[0].cgroup, 13);
	memory_sampler_count(tree->sampler, &counts);
	assert_int_equal(counts.dropped, 1);
	assert_int_equal(counts.sampled, 5);
	assert_int_equal(counts.malformed, 0);
}

static void test_files_malformed(void **state)
{
	struct tree *tree = *state;
	const struct mlprof_memory *seen;
	struct memory_counts counts;

	put_group(tree, "a");
	put(tree, "a/memory.current", "4k\n");
	put(tree, "a/memory.pressure", "some\n");
	put(tree, "a/cpu.stat", "nr_throttled many\n");
	assert_int_equal(memory_sampler_add(tree->sampler, 11, "/a"), 0);
	seen = sample_again(tree);
	assert_int_equal(tree->nr, 1);
	assert_int_equal(seen->known, 0);
	memory_sampler_count(tree->sampler, &counts);
	assert_int_equal(counts.malformed, 3);
}

static int walk(void *source, memory_visit *visit, void *context)
{
	struct mlprof_memory sample = {.cgroup = 5};

	if (source)
		return -EIO;
	visit(context, &sample);
	return 0;
}

static void test_walk(void **state)
{
	struct memory_options options = {.walk = walk};
	struct memory_sampler *sampler;
	struct tree tree = {0};
	int broken;

	(void)state;
	assert_int_equal(memory_sampler_open(&options, &sampler), 0);
	assert_string_equal(memory_sampler_name(sampler), "iterator");
	assert_int_equal(memory_sampler_add(sampler, 5, "/anything"), 0);
	memory_sampler_remove(sampler, 5);
	assert_int_equal(memory_sample_all(sampler, see, &tree), 0);
	assert_int_equal(tree.seen[0].cgroup, 5);
	memory_sampler_close(sampler);
	options.source = &broken;
	assert_int_equal(memory_sampler_open(&options, &sampler), 0);
	assert_int_equal(memory_sample_all(sampler, see, &tree), -EIO);
	memory_sampler_close(sampler);
}

#define SEC 1000000000ull

static void test_integral(void **state)
{
	struct byte_integral sum = {0};
	uint32_t nanoseconds;

	(void)state;
	byte_integral_sample(&sum, 1000, 5 * SEC);
	assert_int_equal(byte_integral_seconds(&sum, NULL), 0);
	byte_integral_sample(&sum, 3000, 7 * SEC);
	assert_int_equal(byte_integral_seconds(&sum, NULL), 4000);
	/* Odd sums are not rounded away: 1 byte for 1 ns, twice half of it. */
	sum = (struct byte_integral){0};
	byte_integral_sample(&sum, 0, 0);
	byte_integral_sample(&sum, 1, 1);
	assert_true(sum.twice_byte_ns == 1 && byte_integral_ns(&sum) == 0);
	byte_integral_sample(&sum, 0, 2);
	assert_true(byte_integral_ns(&sum) == 1);
	assert_int_equal(byte_integral_seconds(&sum, &nanoseconds), 0);
	assert_int_equal(nanoseconds, 1);
}

static void test_integral_pauses(void **state)
{
	struct byte_integral sum = {0};

	(void)state;
	byte_integral_end(&sum, SEC);
	assert_int_equal(byte_integral_seconds(&sum, NULL), 0);
	byte_integral_sample(&sum, 100, SEC);
	byte_integral_end(&sum, 3 * SEC);
	assert_int_equal(byte_integral_seconds(&sum, NULL), 200);
	byte_integral_sample(&sum, 100, 100 * SEC);
	assert_int_equal(byte_integral_seconds(&sum, NULL), 200);
	/* The clock does not go back; if it seems to, the newer amount holds from the later time. */
	byte_integral_sample(&sum, 10, 99 * SEC);
	byte_integral_sample(&sum, 10, 110 * SEC);
	assert_int_equal(byte_integral_seconds(&sum, NULL), 300);
}

/* 16 EiB for a century fit; what does not fit into the answer says so. */
static void test_integral_large(void **state)
{
	struct byte_integral sum = {0};

	(void)state;
	byte_integral_sample(&sum, UINT64_MAX, 0);
	byte_integral_sample(&sum, UINT64_MAX, UINT64_MAX / 4);
	byte_integral_sample(&sum, UINT64_MAX, UINT64_MAX / 2);
	assert_true(byte_integral_ns(&sum) == (byte_ns_t)UINT64_MAX * (UINT64_MAX / 2));
	assert_true(byte_integral_seconds(&sum, NULL) == UINT64_MAX);
}

/*
 * A sawtooth of 10 s, from nothing to 64 MiB, sampled about once a second. Each fall is off by up
 * to half a tooth's top times an interval, either way; at changing moments that evens out.
 */
static void test_integral_sawtooth(void **state)
{
	const uint64_t period = 10 * SEC, top = 64u << 20, teeth = 60;
	struct byte_integral sum = {0};
	uint64_t want = teeth * top / 2 * 10, got;

	(void)state;
	for (uint64_t at = 0; at <= teeth * period; at += SEC + SEC / 27)
		byte_integral_sample(&sum, at % period * (top / 1024) / (period / 1024), at);
	got = byte_integral_seconds(&sum, NULL);
	assert_true(got > want - want / 100 && got < want + want / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lines_that_are_not),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_pressure),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files_gone_and_too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files_malformed, setup, teardown),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_integral),
		cmocka_unit_test(test_integral_pauses),
		cmocka_unit_test(test_integral_large),
		cmocka_unit_test(test_integral_sawtooth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
