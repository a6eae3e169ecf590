// SPDX-License-Identifier: Apache-2.0
/* fdinfo of DRM files, and the clients that are put together from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "gpu/clients.h"
#include "gpu/fdinfo.h"

#define TREES "tests/fixtures/gpu/"
#define SEC   1000000000ull
#define HEAD  "pos:\t0\ndrm-driver:\txe\ndrm-client-id:\t3\n"

static int parse(const char *text, struct fdinfo *info)
{
	return fdinfo_parse((struct span){text, strlen(text)}, info);
}

static const struct fdinfo_engine *engine_of(const struct fdinfo *info, const char *name)
{
	for (size_t i = 0; i < info->nr_engines; i++)
		if (!strcmp(info->engine[i].name, name))
			return &info->engine[i];
	return NULL;
}

static const struct fdinfo_region *region_of(const struct fdinfo *info, const char *name)
{
	for (size_t i = 0; i < info->nr_regions; i++)
		if (!strcmp(info->region[i].name, name))
			return &info->region[i];
	return NULL;
}

static void all_keys(void **state)
{
	struct fdinfo info;

	(void)state;
	assert_int_equal(parse(HEAD "drm-pdev:\t0000:03:00.0\n"
				    "drm-engine-gfx:   7 ns\ndrm-engine-capacity-gfx: 2\n"
				    "drm-cycles-ccs: 5\ndrm-total-cycles-ccs: 9\n"
				    "drm-maxfreq-ccs: 800 MHz\ndrm-curfreq-ccs: 1 Hz\n"
				    "drm-total-vram0: 3 MiB\ndrm-shared-vram0: 1024\n"
				    "drm-resident-vram0: 2 KiB\ndrm-purgeable-vram0: 0\n"
				    "drm-active-vram0: 1 KiB\ndrm-memory-gtt: 1 KiB\n",
			       &info),
			 0);
	assert_int_equal(info.skipped, 0);
	assert_string_equal(info.driver, "xe");
	assert_string_equal(info.pci, "0000:03:00.0");
	assert_true(info.has_client && info.client == 3);
	assert_int_equal(info.nr_engines, 2);
	assert_int_equal(engine_of(&info, "gfx")->busy_ns, 7);
	assert_int_equal(engine_of(&info, "gfx")->capacity, 2);
	assert_int_equal(engine_of(&info, "gfx")->known, FDINFO_BUSY | FDINFO_CAPACITY);
	assert_int_equal(engine_of(&info, "ccs")->cycles, 5);
	assert_int_equal(engine_of(&info, "ccs")->total_cycles, 9);
	assert_int_equal(engine_of(&info, "ccs")->capacity, 1);
	assert_int_equal(engine_of(&info, "ccs")->max_frequency_hz, 800000000);
	assert_int_equal(info.nr_regions, 2);
	assert_int_equal(region_of(&info, "vram0")->total, 3 << 20);
	assert_int_equal(region_of(&info, "vram0")->shared, 1024);
	assert_int_equal(region_of(&info, "vram0")->resident, 2048);
	assert_int_equal(region_of(&info, "vram0")->active, 1024);
	assert_int_equal(region_of(&info, "gtt")->known, FDINFO_MEMORY);
}

static void other_files(void **state)
{
	struct fdinfo info;

	(void)state;
	assert_int_equal(parse("", &info), -ENODATA);
	assert_int_equal(parse("pos:\t0\nflags:\t02\neventfd-count: 1\n", &info), -ENODATA);
	assert_int_equal(parse("drm-client-id: 3\n", &info), -ENODATA);
	/* A driver that tells nothing but its name. */
	assert_int_equal(parse("drm-driver: vgem\n", &info), 0);
	assert_false(info.has_client);
	/* Whose is it? */
	assert_int_equal(parse(HEAD "drm-client-id: 4\n", &info), -EINVAL);
	assert_int_equal(parse(HEAD "drm-driver: xe\n", &info), -EINVAL);
	assert_int_equal(parse("drm-driver: xe\ndrm-client-id: -1\n", &info), -EINVAL);
	assert_int_equal(parse("drm-driver: xe\ndrm-client-id:\n", &info), -EINVAL);
	assert_int_equal(parse("drm-driver: xe\ndrm-client-id: 18446744073709551616\n", &info),
			 -EINVAL);
	assert_int_equal(parse("drm-driver: xe\ndrm-pdev: card0\n", &info), -EINVAL);
	assert_int_equal(parse("drm-driver:\n", &info), -EINVAL);
	assert_int_equal(parse("drm-driver: \x80\n", &info), -EINVAL);
	assert_int_equal(parse("drm-driver: a-driver-of-more-than-31-letters\n", &info), -EINVAL);
}

/* Each is counted, and none becomes a number. */
static void bad_values(void **state)
{
	static const char *const lines[] = {
		"drm-engine-gfx: 7\n",
		"drm-engine-gfx: 7 us\n",
		"drm-engine-gfx: 7 ns ns\n",
		"drm-engine-gfx: -7 ns\n",
		"drm-engine-gfx: +7 ns\n",
		"drm-engine-gfx: 0x7 ns\n",
		"drm-engine-gfx:\n",
		"drm-engine-gfx: 18446744073709551616 ns\n",
		"drm-engine-: 7 ns\n",
		"drm-engine-of-a-name-that-is-much-too-long: 7 ns\n",
		"drm-engine-g x: 7 ns\n",
		"drm-engine-capacity-gfx: 0\n",
		"drm-engine-capacity-gfx: 99999\n",
		"drm-cycles-ccs: 5 ns\n",
		"drm-cycles-ccs: many\n",
		"drm-total-vram: 18014398509481984 KiB\n",
		"drm-total-vram: 1 kB\n",
		"drm-resident-vram: 1 ns\n",
		"drm-maxfreq-gfx: 1 KiB\n",
	};
	struct fdinfo info;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(text, sizeof(text), HEAD "%s", lines[i]);
		assert_int_equal(parse(text, &info), 0);
		if (info.skipped != 1)
			fail_msg("%s", lines[i]);
		for (size_t j = 0; j < info.nr_engines; j++)
			assert_int_equal(info.engine[j].known, 0);
		for (size_t j = 0; j < info.nr_regions; j++)
			assert_int_equal(info.region[j].known, 0);
	}
}

static void twice_and_too_many(void **state)
{
	struct fdinfo info;
	char text[4096];
	int bytes;

	(void)state;
	assert_int_equal(parse(HEAD "drm-engine-gfx: 7 ns\ndrm-engine-gfx: 9 ns\n"
				    "drm-total-vram: 1 KiB\ndrm-total-vram: 9 KiB\n",
			       &info),
			 0);
	assert_int_equal(info.skipped, 2);
	assert_int_equal(engine_of(&info, "gfx")->busy_ns, 7);
	assert_int_equal(region_of(&info, "vram")->total, 1024);
	bytes = snprintf(text, sizeof(text), HEAD);
	for (int i = 0; i < 40; i++)
		bytes += snprintf(text + bytes, sizeof(text) - (size_t)bytes,
				  "drm-engine-e%d: 1 ns\ndrm-total-r%d: 1\n", i, i);
	assert_int_equal(parse(text, &info), 0);
	assert_int_equal(info.nr_engines, FDINFO_ENGINES_MAX);
	assert_int_equal(info.nr_regions, FDINFO_REGIONS_MAX);
	assert_int_equal(info.skipped, 40 - FDINFO_ENGINES_MAX + 40 - FDINFO_REGIONS_MAX);
}

/* A tree, and what is in its fdinfo. */
struct bench {
	int root;
	struct gpu_devices *devices;
	struct gpu_clients *clients;
	struct gpu_clients_counts counts;
};

static void set_up(struct bench *bench, const char *tree, size_t most)
{
	bench->root = open(tree, O_PATH | O_DIRECTORY);
	assert_true(bench->root >= 0);
	assert_int_equal(gpu_devices_read(tree, NULL, &bench->devices), 0);
	assert_int_equal(gpu_clients_new(most, &bench->clients), 0);
}

static void tear_down(struct bench *bench)
{
	gpu_clients_free(bench->clients);
	gpu_devices_free(bench->devices);
	close(bench->root);
}

static int read_file(struct bench *bench, pid_t tgid, uint32_t fd, uint64_t now_ns)
{
	int err = gpu_clients_read(bench->clients, bench->root, bench->devices->device[0], tgid, fd,
				   now_ns);

	gpu_clients_count(bench->clients, &bench->counts);
	return err;
}

static const struct gpu_client *client_of(const struct bench *bench, uint64_t id)
{
	for (size_t i = 0; i < gpu_clients_nr(bench->clients); i++)
		if (gpu_clients_get(bench->clients, i)->id == id)
			return gpu_clients_get(bench->clients, i);
	return NULL;
}

static uint64_t busy_ns(const struct gpu_client *client, enum gpu_engine engine)
{
	assert_true(client->busy[engine].known);
	return client->busy[engine].ns;
}

/* The same file under two numbers in one process and inherited by another. */
static void amdgpu(void **state)
{
	const struct gpu_client *client;
	struct bench bench;

	(void)state;
	set_up(&bench, TREES "amdgpu", 0);
	assert_int_equal(read_file(&bench, 4243, 5, SEC), 0);
	assert_int_equal(read_file(&bench, 4242, 5, SEC), 0);
	assert_int_equal(read_file(&bench, 4242, 6, SEC), 0);
	assert_int_equal(read_file(&bench, 4242, 7, SEC), 0);
	assert_int_equal(gpu_clients_nr(bench.clients), 2);
	client = client_of(&bench, 217);
	assert_string_equal(client->device, "0000:03:00.0");
	assert_string_equal(client->driver, "amdgpu");
	assert_int_equal(client->tgid, 4242);
	assert_int_equal(client->holders, 2);
	assert_int_equal(busy_ns(client, GPU_ENGINE_GRAPHICS), 107322799);
	assert_int_equal(busy_ns(client, GPU_ENGINE_COMPUTE), 5000);
	assert_int_equal(busy_ns(client, GPU_ENGINE_COPY), 400);
	assert_int_equal(busy_ns(client, GPU_ENGINE_VIDEO), 32);
	assert_false(client->busy[GPU_ENGINE_OTHER].known);
	/* What lies there, and not what may or what an older key says too. */
	assert_int_equal(client->memory[GPU_MEMORY_DEVICE].bytes, 2060 << 10);
	assert_int_equal(client->memory[GPU_MEMORY_SYSTEM].bytes, 8 << 20);
	assert_int_equal(client->memory[GPU_MEMORY_SYSTEM].shared_bytes, 4 << 20);
	/* The older form. */
	client = client_of(&bench, 218);
	assert_int_equal(client->memory[GPU_MEMORY_DEVICE].bytes, 16 << 10);
	assert_int_equal(client->memory[GPU_MEMORY_SYSTEM].bytes, 0);
	assert_true(client->memory[GPU_MEMORY_SYSTEM].known);
	assert_int_equal(bench.counts.files, 4);
	assert_int_equal(bench.counts.malformed, 0);
	/* By the time it was read the number was that of another GPU's file. */
	assert_int_equal(gpu_clients_read(bench.clients, bench.root, bench.devices->device[1], 4242,
					  5, SEC),
			 -ENOENT);
	gpu_clients_count(bench.clients, &bench.counts);
	assert_int_equal(bench.counts.gone, 1);
	assert_int_equal(gpu_clients_nr(bench.clients), 2);
	tear_down(&bench);
}

static void i915(void **state)
{
	const struct gpu_client *client;
	struct bench bench;

	(void)state;
	set_up(&bench, TREES "i915", 0);
	assert_int_equal(read_file(&bench, 2317, 9, SEC), 0);
	client = client_of(&bench, 42);
	assert_int_equal(busy_ns(client, GPU_ENGINE_GRAPHICS), 25662044495);
	assert_int_equal(busy_ns(client, GPU_ENGINE_VIDEO), 1200);
	assert_int_equal(client->busy[GPU_ENGINE_VIDEO].engines, 3);
	assert_int_equal(client->memory[GPU_MEMORY_SYSTEM].bytes, 40 << 20);
	assert_false(client->memory[GPU_MEMORY_DEVICE].known);
	/* Closed, or another process's by now. */
	assert_int_equal(read_file(&bench, 2317, 10, SEC), -ENOENT);
	assert_int_equal(bench.counts.gone, 1);
	tear_down(&bench);
}

/* In a second of 19.2 million cycles a quarter of one engine, and three of four others. */
static void xe(void **state)
{
	const struct gpu_client *client;
	struct bench bench;

	(void)state;
	set_up(&bench, TREES "xe", 0);
	assert_int_equal(read_file(&bench, 900, 4, 5 * SEC), 0);
	client = client_of(&bench, 3);
	assert_int_equal(busy_ns(client, GPU_ENGINE_GRAPHICS), 0);
	assert_int_equal(read_file(&bench, 901, 4, 6 * SEC), 0);
	assert_int_equal(gpu_clients_nr(bench.clients), 1);
	assert_int_equal(busy_ns(client, GPU_ENGINE_GRAPHICS), SEC / 4);
	assert_int_equal(busy_ns(client, GPU_ENGINE_COMPUTE), 3 * SEC);
	assert_int_equal(client->busy[GPU_ENGINE_COMPUTE].engines, 4);
	assert_int_equal(busy_ns(client, GPU_ENGINE_COPY), 0);
	assert_int_equal(client->memory[GPU_MEMORY_DEVICE].bytes, 23992 << 10);
	assert_int_equal(client->memory[GPU_MEMORY_DEVICE].shared_bytes, 16 << 20);
	assert_int_equal(client->memory[GPU_MEMORY_SYSTEM].bytes, 192 << 10);
	/* Again, and the reading before once more: it never goes back. */
	assert_int_equal(read_file(&bench, 901, 4, 6 * SEC), 0);
	assert_int_equal(busy_ns(client, GPU_ENGINE_GRAPHICS), SEC / 4);
	assert_int_equal(bench.counts.backwards, 0);
	tear_down(&bench);
}

static int take(struct bench *bench, pid_t tgid, uint64_t now_ns, const char *text)
{
	struct fdinfo info;
	int err = parse(text, &info);

	assert_int_equal(err, 0);
	err = gpu_clients_take(bench->clients, "card", tgid, &info, now_ns);
	gpu_clients_count(bench->clients, &bench->counts);
	return err;
}

static void time_never_goes_back(void **state)
{
	struct bench bench;

	(void)state;
	set_up(&bench, TREES "nothing", 0);
	assert_int_equal(take(&bench, 1, SEC, HEAD "drm-engine-rcs: 100 ns\n"), 0);
	assert_int_equal(take(&bench, 1, SEC, HEAD "drm-engine-rcs: 90 ns\n"), 0);
	assert_int_equal(busy_ns(client_of(&bench, 3), GPU_ENGINE_GRAPHICS), 100);
	assert_int_equal(bench.counts.backwards, 1);
	assert_int_equal(take(&bench, 1, SEC, HEAD "drm-engine-rcs: 101 ns\n"), 0);
	assert_int_equal(busy_ns(client_of(&bench, 3), GPU_ENGINE_GRAPHICS), 101);
	/* A file without its engines, of an idle driver, takes nothing away. */
	assert_int_equal(take(&bench, 1, SEC, HEAD), 0);
	assert_int_equal(busy_ns(client_of(&bench, 3), GPU_ENGINE_GRAPHICS), 101);
	tear_down(&bench);
}

#define CYCLES(busy, total) HEAD "drm-cycles-rcs: " #busy "\ndrm-total-cycles-rcs: " #total "\n"

static void cycles_never_go_back(void **state)
{
	struct bench bench;
	const struct gpu_client *client;

	(void)state;
	set_up(&bench, TREES "nothing", 0);
	assert_int_equal(take(&bench, 1, 1 * SEC, CYCLES(1000, 10000)), 0);
	client = client_of(&bench, 3);
	/* Half of a second, then a reading too low, then all of the two seconds since. */
	assert_int_equal(take(&bench, 1, 2 * SEC, CYCLES(1500, 11000)), 0);
	assert_int_equal(busy_ns(client, GPU_ENGINE_GRAPHICS), SEC / 2);
	assert_int_equal(take(&bench, 1, 3 * SEC, CYCLES(1400, 12000)), 0);
	assert_int_equal(busy_ns(client, GPU_ENGINE_GRAPHICS), SEC / 2);
	assert_int_equal(bench.counts.backwards, 1);
	assert_int_equal(take(&bench, 1, 4 * SEC, CYCLES(3500, 13000)), 0);
	assert_int_equal(busy_ns(client, GPU_ENGINE_GRAPHICS), SEC / 2 + 2 * SEC);
	/* The GPU was reset: nothing is known of that second, all of the next one. */
	assert_int_equal(take(&bench, 1, 5 * SEC, CYCLES(10, 100)), 0);
	assert_int_equal(bench.counts.backwards, 2);
	assert_int_equal(take(&bench, 1, 6 * SEC, CYCLES(1010, 1100)), 0);
	assert_int_equal(busy_ns(client, GPU_ENGINE_GRAPHICS), SEC / 2 + 3 * SEC);
	/* One engine cannot work more than there is time; a clock that stands still tells none. */
	assert_int_equal(take(&bench, 1, 7 * SEC, CYCLES(999999, 1101)), 0);
	assert_int_equal(busy_ns(client, GPU_ENGINE_GRAPHICS), SEC / 2 + 4 * SEC);
	assert_int_equal(take(&bench, 1, 8 * SEC, CYCLES(1999999, 1101)), 0);
	assert_int_equal(busy_ns(client, GPU_ENGINE_GRAPHICS), SEC / 2 + 4 * SEC);
	assert_int_equal(take(&bench, 1, 9 * SEC,
			      HEAD "drm-cycles-rcs: 18446744073709551615\n"
				   "drm-total-cycles-rcs: 18446744073709551615\n"),
			 0);
	/* Almost all of both seconds, which is rounded down. */
	assert_int_equal(busy_ns(client, GPU_ENGINE_GRAPHICS), SEC / 2 + 6 * SEC - 1);
	tear_down(&bench);
}

static void cycles_without_a_clock(void **state)
{
	struct bench bench;

	(void)state;
	set_up(&bench, TREES "nothing", 0);
	assert_int_equal(take(&bench, 1, SEC, HEAD "drm-cycles-rcs: 5\n"), 0);
	assert_false(client_of(&bench, 3)->busy[GPU_ENGINE_GRAPHICS].known);
	tear_down(&bench);
}

static void owners(void **state)
{
	struct bench bench;

	(void)state;
	set_up(&bench, TREES "nothing", 0);
	/* Opened by 50, which then had a child that it gave it to, of a lower number. */
	take(&bench, 50, SEC, HEAD);
	gpu_clients_end_round(bench.clients);
	take(&bench, 20, SEC, HEAD);
	take(&bench, 50, SEC, HEAD);
	gpu_clients_end_round(bench.clients);
	assert_int_equal(client_of(&bench, 3)->tgid, 50);
	assert_int_equal(client_of(&bench, 3)->holders, 2);
	take(&bench, 30, SEC, HEAD);
	take(&bench, 20, SEC, HEAD);
	gpu_clients_end_round(bench.clients);
	assert_int_equal(client_of(&bench, 3)->tgid, 20);
	assert_int_equal(gpu_clients_end_round(bench.clients), 1);
	assert_int_equal(gpu_clients_nr(bench.clients), 0);
	/* The number given out anew, by a driver that was loaded anew, is another client. */
	take(&bench, 7, 9 * SEC, HEAD "drm-engine-rcs: 5 ns\n");
	assert_int_equal(client_of(&bench, 3)->first_ns, 9 * SEC);
	assert_int_equal(busy_ns(client_of(&bench, 3), GPU_ENGINE_GRAPHICS), 5);
	tear_down(&bench);
}

static void many_clients(void **state)
{
	struct bench bench;
	struct fdinfo info;

	(void)state;
	set_up(&bench, TREES "nothing", 5000);
	assert_int_equal(parse(HEAD "drm-engine-rcs: 1 ns\n", &info), 0);
	for (int round = 0; round < 2; round++) {
		for (uint64_t i = 0; i < 10000; i++) {
			info.client = i % 6000;
			gpu_clients_take(bench.clients, i % 2 ? "a" : "b", (pid_t)i + 1, &info,
					 SEC);
		}
		gpu_clients_count(bench.clients, &bench.counts);
		assert_int_equal(gpu_clients_nr(bench.clients), 5000);
		/* The last thousand, once. */
		assert_int_equal(bench.counts.dropped, 1000 * (round + 1));
		gpu_clients_end_round(bench.clients);
	}
	for (uint64_t i = 0; i < 4000; i += 2) {
		info.client = i;
		assert_int_equal(gpu_clients_take(bench.clients, "b", 1, &info, SEC), 0);
	}
	assert_int_equal(gpu_clients_end_round(bench.clients), 3000);
	assert_int_equal(gpu_clients_nr(bench.clients), 2000);
	assert_null(gpu_clients_get(bench.clients, 2000));
	/* Others take the places that became free, and those that stayed are found as before. */
	for (uint64_t i = 0; i < 3000; i++) {
		info.client = 7000 + i;
		assert_int_equal(gpu_clients_take(bench.clients, "a", 1, &info, SEC), 0);
	}
	for (uint64_t i = 0; i < 4000; i += 2) {
		info.client = i;
		assert_int_equal(gpu_clients_take(bench.clients, "b", 1, &info, SEC), 0);
	}
	assert_int_equal(gpu_clients_nr(bench.clients), 5000);
	assert_int_equal(gpu_clients_take(bench.clients,
					  "a-device-that-has-a-name-of-more-than-47-letters", 1,
					  &info, SEC),
			 -ENOSPC);
	/* The same number on another device is another client. */
	gpu_clients_end_round(bench.clients);
	gpu_clients_end_round(bench.clients);
	assert_int_equal(gpu_clients_take(bench.clients, "a", 1, &info, SEC), 0);
	assert_int_equal(gpu_clients_take(bench.clients, "b", 1, &info, SEC), 0);
	assert_int_equal(gpu_clients_nr(bench.clients), 2);
	tear_down(&bench);
}

static void names(void **state)
{
	(void)state;
	assert_int_equal(gpu_engine_class("amdgpu", "enc_1"), GPU_ENGINE_VIDEO);
	assert_int_equal(gpu_engine_class("amdgpu", "gfx2"), GPU_ENGINE_OTHER);
	assert_int_equal(gpu_engine_class("i915", "video-enhance"), GPU_ENGINE_VIDEO);
	assert_int_equal(gpu_engine_class("xe", "render"), GPU_ENGINE_OTHER);
	assert_int_equal(gpu_engine_class("", ""), GPU_ENGINE_OTHER);
	assert_int_equal(gpu_memory_class("stolen-local0"), GPU_MEMORY_DEVICE);
	assert_int_equal(gpu_memory_class("stolen-system0"), GPU_MEMORY_SYSTEM);
	assert_int_equal(gpu_memory_class("visible-vram"), GPU_MEMORY_NONE);
	assert_string_equal(gpu_engine_name(GPU_ENGINE_OTHER), "other");
	assert_string_equal(gpu_memory_name(GPU_MEMORY_SYSTEM), "system");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_keys),
		cmocka_unit_test(other_files),
		cmocka_unit_test(bad_values),
		cmocka_unit_test(twice_and_too_many),
		cmocka_unit_test(amdgpu),
		cmocka_unit_test(i915),
		cmocka_unit_test(xe),
		cmocka_unit_test(time_never_goes_back),
		cmocka_unit_test(cycles_never_go_back),
		cmocka_unit_test(cycles_without_a_clock),
		cmocka_unit_test(owners),
		cmocka_unit_test(many_clients),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
