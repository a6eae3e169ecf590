// SPDX-License-Identifier: Apache-2.0
/* Calls to NVIDIA's driver, from the bytes of their arguments to what a cgroup holds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/rm_events.h"

#define MIB    (UINT64_C(1) << 20)
#define SEC    UINT64_C(1000000000)
#define FILE_A 0xffff888000000100
#define FILE_B 0xffff888000000200
#define CLIENT 0xc1d00001u

enum {
	DEVICE = 0x80,
	VIDMEM = 0x40,
	SYSMEM = 0x3e,
	GROUP = 0xa06c,
	VASPACE = 0x90f1,
	CHANNEL = 0xc86f,
	COMPUTE = 0xcbc0,
};

/* Calls as records. */

static void put32(__u8 *bytes, unsigned int at, uint32_t value)
{
	memcpy(bytes + at, &value, sizeof(value));
}

static void put64(__u8 *bytes, unsigned int at, uint64_t value)
{
	memcpy(bytes + at, &value, sizeof(value));
}

static struct mlprof_record_gpu_call record(uint32_t nr, uint32_t bytes)
{
	return (struct mlprof_record_gpu_call){
		.driver = MLPROF_GPU_NVIDIA, .nr = nr, .arg_bytes = bytes, .file = FILE_A};
}

static struct mlprof_record_gpu_call alloc(uint32_t parent, uint32_t object, uint32_t class)
{
	struct mlprof_record_gpu_call call = record(0x2b, 48);

	put32(call.arg, 0, CLIENT);
	put32(call.arg, 4, parent);
	put32(call.arg, 8, object);
	put32(call.arg, 12, class);
	call.param_bytes = 128;
	return call;
}

static void layouts_of_alloc(void **state)
{
	struct mlprof_record_gpu_call call = alloc(1, 2, VIDMEM);
	struct rm_call rm;

	(void)state;
	put32(call.params, 24, 0);
	put64(call.params, 64, 65536);
	assert_int_equal(rm_call_read(&call, 570, &rm), 0);
	assert_int_equal(rm.what, RM_MADE);
	assert_int_equal(rm.object, 2);
	assert_int_equal(rm.memory, RM_DEVICE_MEMORY);
	assert_int_equal(rm.bytes, 65536);
	put32(call.arg, 40, 0x51);
	assert_int_equal(rm_call_read(&call, 570, &rm), 0);
	assert_int_equal(rm.what, RM_NOTHING);
	/* In the older form that word is something else. */
	call.arg_bytes = 40;
	assert_int_equal(rm_call_read(&call, 0, &rm), 0);
	assert_int_equal(rm.what, RM_MADE);
	put32(call.arg, 36, 0x51);
	assert_int_equal(rm_call_read(&call, 0, &rm), 0);
	assert_int_equal(rm.what, RM_NOTHING);
	call.arg_bytes = 44;
	assert_int_equal(rm_call_read(&call, 570, &rm), -EOPNOTSUPP);
	call.arg_bytes = 0;
	assert_int_equal(rm_call_read(&call, 570, &rm), -EOPNOTSUPP);
}

/* Of 32 bytes the version tells whether a word is a size or a status. */
static void the_short_alloc_needs_a_version(void **state)
{
	struct mlprof_record_gpu_call call = alloc(1, 2, DEVICE);
	struct rm_call rm;

	(void)state;
	call.arg_bytes = 32;
	assert_int_equal(rm_call_read(&call, 0, &rm), 0);
	assert_int_equal(rm.what, RM_MADE);
	put32(call.arg, 24, 56);
	assert_int_equal(rm_call_read(&call, 0, &rm), -EOPNOTSUPP);
	assert_int_equal(rm_call_read(&call, 570, &rm), 0);
	assert_int_equal(rm.what, RM_MADE);
	assert_int_equal(rm_call_read(&call, 525, &rm), 0);
	assert_int_equal(rm.what, RM_NOTHING);
}

static void what_memory_is_where(void **state)
{
	static const struct {
		uint32_t class, attr, flags;
		enum rm_memory memory;
	} cases[] = {
		{VIDMEM, 0, 0, RM_DEVICE_MEMORY},
		{VIDMEM, 3 << 25, 0, RM_DEVICE_MEMORY},
		{VIDMEM, 1 << 25, 0, RM_PINNED_MEMORY},
		{SYSMEM, 0, 0, RM_PINNED_MEMORY},
		{VIDMEM, 0, 0x80000, RM_NO_MEMORY},
		{0x50a0, 0, 0, RM_NO_MEMORY},
		{0x70, 0, 0, RM_NO_MEMORY},
	};
	struct rm_call rm;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mlprof_record_gpu_call call = alloc(1, 2, cases[i].class);

		put32(call.params, 24, cases[i].attr);
		put32(call.params, 8, cases[i].flags);
		put64(call.params, 64, 4096);
		assert_int_equal(rm_call_read(&call, 570, &rm), 0);
		assert_int_equal(rm.memory, cases[i].memory);
		assert_int_equal(rm.bytes, cases[i].memory ? 4096 : 0);
	}
}

/* Params that are not in memory: how much it is cannot be known. */
static void memory_without_params_is_not_guessed(void **state)
{
	struct mlprof_record_gpu_call call = alloc(1, 2, VIDMEM);
	struct rm_call rm;

	(void)state;
	call.param_bytes = 64;
	assert_int_equal(rm_call_read(&call, 570, &rm), -EOPNOTSUPP);
}

static void the_other_calls(void **state)
{
	struct mlprof_record_gpu_call call = record(0x27, 56);
	struct rm_call rm;

	(void)state;
	put32(call.arg, 12, 0x71);
	put64(call.arg, 32, 100000);
	assert_int_equal(rm_call_read(&call, 0, &rm), 0);
	assert_int_equal(rm.memory, RM_PINNED_MEMORY);
	assert_int_equal(rm.bytes, 100001);
	call = record(0x4a, 184);
	put32(call.arg, 8, 2);
	put32(call.arg, 44, 9);
	put64(call.arg, 88, MIB);
	assert_int_equal(rm_call_read(&call, 0, &rm), 0);
	assert_int_equal(rm.object, 9);
	assert_int_equal(rm.bytes, MIB);
	put32(call.arg, 8, 3);
	assert_int_equal(rm_call_read(&call, 0, &rm), 0);
	assert_int_equal(rm.what, RM_FREED);
	call = record(37, 64);
	call.driver = MLPROF_GPU_NVIDIA_UVM;
	put32(call.arg, 28, CLIENT);
	assert_int_equal(rm_call_read(&call, 0, &rm), 0);
	assert_int_equal(rm.what, RM_GPU_OF_CLIENT);
	put32(call.arg, 36, 0x12);
	assert_int_equal(rm_call_read(&call, 0, &rm), 0);
	assert_int_equal(rm.what, RM_NOTHING);
	call = record(0x99, 16);
	assert_int_equal(rm_call_read(&call, 0, &rm), 0);
	assert_int_equal(rm.what, RM_NOTHING);
	call = record(0x29, 16);
	call.result = -14;
	assert_int_equal(rm_call_read(&call, 0, &rm), 0);
	assert_int_equal(rm.what, RM_NOTHING);
}

/* Objects. */

static struct rm_holding sum;
static unsigned int nr_holdings;

static void add_holding(void *context, const struct rm_holding *holding)
{
	(void)context;
	nr_holdings++;
	sum.contexts += holding->contexts;
	sum.device_bytes += holding->device_bytes;
	sum.pinned_bytes += holding->pinned_bytes;
	sum.held_ns += holding->held_ns;
	sum.byte_seconds += holding->byte_seconds;
}

static const struct rm_holding *held(struct rm_objects *objects, uint64_t now_ns)
{
	sum = (struct rm_holding){0};
	nr_holdings = 0;
	rm_objects_read(objects, now_ns, add_holding, NULL);
	return &sum;
}

static void make(struct rm_objects *objects, uint32_t client, uint32_t parent, uint32_t object,
		 uint32_t class, uint64_t bytes, uint64_t now_ns)
{
	struct rm_call call = {.what = RM_MADE,
			       .client = client,
			       .parent = parent,
			       .object = object,
			       .class = class,
			       .memory = bytes ? RM_DEVICE_MEMORY : RM_NO_MEMORY,
			       .bytes = bytes};

	rm_objects_call(objects, &call, client == CLIENT ? FILE_A : FILE_B, 5, now_ns);
}

static void release(struct rm_objects *objects, uint32_t client, uint32_t object, uint64_t now_ns)
{
	struct rm_call call = {.what = RM_FREED, .client = client, .object = object};

	rm_objects_call(objects, &call, FILE_A, 5, now_ns);
}

static struct rm_objects *context(uint64_t now_ns)
{
	struct rm_objects *objects = rm_objects_new();

	make(objects, CLIENT, 0, CLIENT, 0x41, 0, now_ns);
	make(objects, CLIENT, CLIENT, 1, DEVICE, 0, now_ns);
	make(objects, CLIENT, 1, 2, VASPACE, 0, now_ns);
	make(objects, CLIENT, 1, 3, GROUP, 0, now_ns);
	make(objects, CLIENT, 3, 4, CHANNEL, 0, now_ns);
	make(objects, CLIENT, 4, 5, COMPUTE, 0, now_ns);
	make(objects, CLIENT, 1, 6, VIDMEM, 10 * MIB, now_ns);
	return objects;
}

static void what_is_held_is_summed_over_time(void **state)
{
	struct rm_objects *objects = context(SEC);

	(void)state;
	held(objects, 3 * SEC);
	assert_int_equal(sum.contexts, 1);
	assert_int_equal(sum.device_bytes, 10 * MIB);
	assert_int_equal(sum.held_ns, 2 * SEC);
	assert_int_equal(sum.byte_seconds, 20 * MIB);
	/* Since the last time. */
	held(objects, 3 * SEC + SEC / 2);
	assert_int_equal(sum.held_ns, SEC / 2);
	assert_int_equal(sum.byte_seconds, 5 * MIB);
	release(objects, CLIENT, 6, 4 * SEC);
	held(objects, 5 * SEC);
	assert_int_equal(sum.device_bytes, 0);
	assert_int_equal(sum.byte_seconds, 5 * MIB);
	rm_objects_free(objects);
}

static void a_subtree_goes_with_its_top(void **state)
{
	struct rm_objects *objects = context(SEC);
	struct rm_objects_counts counts;

	(void)state;
	release(objects, CLIENT, 3, 2 * SEC);
	assert_int_equal(held(objects, 2 * SEC)->contexts, 0);
	assert_int_equal(sum.device_bytes, 10 * MIB);
	release(objects, CLIENT, 1, 2 * SEC);
	assert_int_equal(held(objects, 2 * SEC)->device_bytes, 0);
	rm_objects_count(objects, &counts);
	assert_int_equal(counts.objects, 1);
	release(objects, CLIENT, CLIENT, 2 * SEC);
	rm_objects_count(objects, &counts);
	assert_int_equal(counts.objects, 0);
	assert_int_equal(counts.unknown, 0);
	rm_objects_free(objects);
}

static void what_was_made_with_it_goes_too(void **state)
{
	struct rm_objects *objects = context(SEC);
	struct rm_call group = {.what = RM_MADE,
				.client = CLIENT,
				.parent = 1,
				.object = 7,
				.class = GROUP,
				.needs = {2, 0}};

	(void)state;
	rm_objects_call(objects, &group, FILE_A, 5, SEC);
	make(objects, CLIENT, 7, 8, COMPUTE, 0, SEC);
	assert_int_equal(held(objects, SEC)->contexts, 2);
	release(objects, CLIENT, 2, 2 * SEC);
	assert_int_equal(held(objects, 2 * SEC)->contexts, 1);
	rm_objects_free(objects);
}

static void a_closed_file_frees_its_clients(void **state)
{
	struct rm_objects *objects = context(SEC);
	struct rm_objects_counts counts;

	(void)state;
	make(objects, 77, 0, 77, 0x41, 0, SEC);
	make(objects, 77, 77, 1, DEVICE, 0, SEC);
	make(objects, 77, 1, 2, VIDMEM, MIB, SEC);
	rm_objects_closed(objects, FILE_A, 2 * SEC);
	assert_int_equal(held(objects, 2 * SEC)->device_bytes, MIB);
	assert_int_equal(sum.contexts, 0);
	rm_objects_closed(objects, FILE_B, 2 * SEC);
	rm_objects_count(objects, &counts);
	assert_int_equal(counts.objects, 0);
	assert_int_equal(held(objects, 2 * SEC)->device_bytes, 0);
	rm_objects_forget(objects, 5);
	held(objects, 3 * SEC);
	assert_int_equal(nr_holdings, 0);
	rm_objects_free(objects);
}

/* An end that was missed, and a beginning. */
static void what_does_not_fit_together_is_counted(void **state)
{
	struct rm_objects *objects = context(SEC);
	struct rm_objects_counts counts;

	(void)state;
	make(objects, CLIENT, 1, 6, VIDMEM, MIB, 2 * SEC);
	assert_int_equal(held(objects, 2 * SEC)->device_bytes, MIB);
	release(objects, CLIENT, 99, 2 * SEC);
	make(objects, 88, 4, 9, VIDMEM, MIB, 2 * SEC);
	rm_objects_count(objects, &counts);
	assert_int_equal(counts.clashes, 1);
	assert_int_equal(counts.unknown, 2);
	assert_int_equal(held(objects, 2 * SEC)->device_bytes, 2 * MIB);
	make(objects, 88, 10, 10, VIDMEM, MIB, 2 * SEC);
	assert_int_equal(held(objects, 2 * SEC)->device_bytes, 3 * MIB);
	release(objects, 88, 10, 2 * SEC);
	release(objects, CLIENT, 6, SEC);
	release(objects, CLIENT, 6, SEC);
	assert_int_equal(held(objects, 2 * SEC)->device_bytes, MIB);
	rm_objects_free(objects);
}

static void name_gpu(struct rm_objects *objects, uint32_t object, uint8_t gpu, uint64_t now_ns)
{
	struct rm_call call = {.what = object ? RM_GPU_OF_OBJECT : RM_GPU_OF_CLIENT,
			       .client = CLIENT,
			       .object = object,
			       .gpu = {gpu}};

	rm_objects_call(objects, &call, 0, 0, now_ns);
}

static void known_gpu(void *context, const struct rm_holding *holding)
{
	if (holding->gpu && holding->device_bytes)
		((uint64_t *)context)[holding->gpu[0]] += holding->device_bytes;
}

static void whose_gpu_it_is(void **state)
{
	struct rm_objects *objects = context(SEC);
	uint64_t bytes[4] = {0};

	(void)state;
	make(objects, CLIENT, CLIENT, 11, DEVICE, 0, SEC);
	make(objects, CLIENT, 11, 12, VASPACE, 0, SEC);
	make(objects, CLIENT, 11, 13, VIDMEM, 3 * MIB, SEC);
	name_gpu(objects, 0, 1, SEC);
	rm_objects_read(objects, SEC, known_gpu, bytes);
	assert_int_equal(bytes[1], 13 * MIB);
	name_gpu(objects, 0, 1, SEC);
	name_gpu(objects, 0, 2, SEC);
	name_gpu(objects, 0, 3, SEC);
	name_gpu(objects, 0, 1, SEC);
	memset(bytes, 0, sizeof(bytes));
	rm_objects_read(objects, SEC, known_gpu, bytes);
	assert_int_equal(bytes[1] + bytes[2] + bytes[3], 0);
	name_gpu(objects, 2, 1, SEC);
	name_gpu(objects, 12, 2, SEC);
	memset(bytes, 0, sizeof(bytes));
	rm_objects_read(objects, SEC, known_gpu, bytes);
	assert_int_equal(bytes[1], 10 * MIB);
	assert_int_equal(bytes[2], 3 * MIB);
	release(objects, CLIENT, 1, SEC);
	memset(bytes, 0, sizeof(bytes));
	rm_objects_read(objects, SEC, known_gpu, bytes);
	assert_int_equal(bytes[1], 0);
	assert_int_equal(bytes[2], 3 * MIB);
	rm_objects_free(objects);
}

static void many_objects(void **state)
{
	struct rm_objects *objects = context(SEC);
	struct rm_objects_counts counts;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++)
		make(objects, CLIENT, 1, 1000 + i, VIDMEM, 4096, SEC);
	assert_int_equal(held(objects, SEC)->device_bytes, 10 * MIB + 100000 * 4096ull);
	rm_objects_closed(objects, FILE_A, SEC);
	rm_objects_count(objects, &counts);
	assert_int_equal(counts.objects, 0);
	assert_int_equal(held(objects, SEC)->device_bytes, 0);
	rm_objects_free(objects);
}

static void events_come_in_order(void **state)
{
	struct rm_events *events = rm_events_new();
	struct rm_objects *objects = rm_objects_new();
	struct mlprof_record_gpu_call made = alloc(1, 2, VIDMEM), freed = record(0x29, 16);
	struct mlprof_record_gpu_closed closed = {.file = FILE_A, .mono_ns = 4 * SEC};

	(void)state;
	put64(made.params, 64, MIB);
	made.mono_ns = 2 * SEC;
	made.cgroup = 5;
	put32(freed.arg, 0, CLIENT);
	put32(freed.arg, 8, 2);
	freed.mono_ns = 3 * SEC;
	rm_events_closed(events, &closed);
	rm_events_call(events, &freed, 570);
	rm_events_call(events, &made, 570);
	rm_events_apply(events, 3 * SEC, objects);
	assert_int_equal(held(objects, 3 * SEC)->device_bytes, MIB);
	rm_events_apply(events, 5 * SEC, objects);
	assert_int_equal(held(objects, 5 * SEC)->device_bytes, 0);
	assert_int_equal(sum.byte_seconds, 0);
	rm_events_free(events);
	rm_objects_free(objects);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts_of_alloc),
		cmocka_unit_test(the_short_alloc_needs_a_version),
		cmocka_unit_test(what_memory_is_where),
		cmocka_unit_test(memory_without_params_is_not_guessed),
		cmocka_unit_test(the_other_calls),
		cmocka_unit_test(what_is_held_is_summed_over_time),
		cmocka_unit_test(a_subtree_goes_with_its_top),
		cmocka_unit_test(what_was_made_with_it_goes_too),
		cmocka_unit_test(a_closed_file_frees_its_clients),
		cmocka_unit_test(what_does_not_fit_together_is_counted),
		cmocka_unit_test(whose_gpu_it_is),
		cmocka_unit_test(many_objects),
		cmocka_unit_test(events_come_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
