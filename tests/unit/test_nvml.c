// SPDX-License-Identifier: Apache-2.0
/*
 * NVML by way of its helper process, against a library that says what a script wants: see
 * tests/gpu/fake_nvml.c. The helper is this program once more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <cmocka.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "gpu/nvml.h"
#include "gpu/nvml_helper.h"

#define MS	    1000000ull
#define SECOND	    1000000000ull
#define A_WHILE	    (20 * SECOND)
#define JUNK_HELPER "MLPROF_TEST_HELPER"

static char script_path[64], library[512], old_library[512];

static void sleep_ms(long ms)
{
	const struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&wait, NULL);
}

static void script(const char *text)
{
	FILE *file = fopen(script_path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	setenv("FAKE_NVML", script_path, 1);
}

static struct nvml *begin(const char *path, struct nvml_options options)
{
	struct nvml *nvml = NULL;

	options.library = path;
	if (!options.interval_ms)
		options.interval_ms = 50;
	assert_int_equal(nvml_open(&options, &nvml), 0);
	return nvml;
}

static struct nvml_status status_of(const struct nvml *nvml)
{
	struct nvml_status status;

	nvml_get_status(nvml, &status);
	return status;
}

static const struct nvml_device_state *device_of(const struct nvml *nvml, int index)
{
	const struct nvml_device_state *device = nvml_get_state(nvml)->device[index];

	assert_non_null(device);
	return device;
}

static void poll_for(struct nvml *nvml, uint64_t ns)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + ns;

	while (clock_ns(CLOCK_MONOTONIC) < until) {
		nvml_poll(nvml);
		sleep_ms(5);
	}
}

static void poll_ticks(struct nvml *nvml, uint64_t ticks)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + A_WHILE;
	uint64_t want = nvml_get_state(nvml)->tick + ticks;

	while (nvml_get_state(nvml)->tick < want && clock_ns(CLOCK_MONOTONIC) < until) {
		nvml_poll(nvml);
		sleep_ms(5);
	}
	assert_true(nvml_get_state(nvml)->tick >= want);
}

/* Until it is down and says so with `why`. */
static void poll_down(struct nvml *nvml, const char *why)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + A_WHILE;

	while (clock_ns(CLOCK_MONOTONIC) < until) {
		nvml_poll(nvml);
		if (!status_of(nvml).up && strstr(status_of(nvml).why, why))
			return;
		sleep_ms(5);
	}
	fail_msg("up %d: %s", status_of(nvml).up, status_of(nvml).why);
}

static const struct busy_row *row_of(const struct nvml_device_state *device, uint32_t pid)
{
	for (size_t i = 0; i < device->busy.nr; i++)
		if (device->busy.row[i].pid == pid)
			return &device->busy.row[i];
	return NULL;
}

static double busy_of(const struct nvml_device_state *device, uint32_t pid)
{
	const struct busy_row *row = row_of(device, pid);

	return row ? (double)row->busy[BUSY_SM].ns : 0;
}

static void check_conserved(const struct nvml_device_state *device)
{
	for (int i = 0; i < BUSY_ENGINES; i++)
		assert_true(nvml_device_busy_ns(device, i) <= nvml_device_observed_ns(device));
}

static void check_inventory(const char *stride)
{
	struct nvml *nvml;
	const struct nvml_device_state *device;
	char text[400];

	snprintf(text, sizeof(text),
		 "%s\ndevice 0\ndevice 1\nprocess 11 c 1024 0 99999999 1\n"
		 "process 12 cg 2048 0 99999999 1\nprocess 13 m 4096 0 99999999 1\n"
		 "process 14 c 1 0 1 1\n",
		 stride);
	script(text);
	nvml = begin(library, (struct nvml_options){0});
	poll_ticks(nvml, 2);
	assert_true(status_of(nvml).up);
	assert_string_equal(status_of(nvml).why, "");
	assert_string_equal(nvml_get_state(nvml)->hello.driver, "999.1");
	assert_string_equal(nvml_get_state(nvml)->hello.lacks, "");
	device = device_of(nvml, 1);
	assert_int_equal(device->last.known, NVML_KNOWN_ALL);
	assert_string_equal(device->last.uuid, "GPU-00000001-fake");
	assert_string_equal(device->last.name, "Fake GPU");
	assert_string_equal(device->last.pci, "0001:18:00.0");
	assert_int_equal(device->last.minor, 2);
	assert_true(device->last.memory_total == 80ull << 30);
	assert_true(device->last.memory_used == 5ull << 30);
	assert_true(device->last.memory_reserved == 1ull << 30);
	assert_int_equal(device->last.utilization[0], 77);
	assert_int_equal(device->last.utilization[1], 33);
	assert_int_equal(device->last.mig, 0);
	assert_int_equal(device->processes, 3);
	assert_int_equal(device->process[0].pid, 11);
	assert_int_equal(device->process[0].memory, 1024 * 1024);
	assert_int_equal(device->process[1].kinds, NVML_PROCESS_COMPUTE | NVML_PROCESS_GRAPHICS);
	assert_int_equal(device->process[1].memory, 2048 * 1024);
	assert_int_equal(device->process[2].kinds, NVML_PROCESS_MPS);
	assert_int_equal(device->process[2].gpu_instance, NVML_INSTANCE_NONE);
	assert_int_equal(device_of(nvml, 0)->processes, 0);
	nvml_close(nvml);
}

static void test_inventory(void **state)
{
	(void)state;
	check_inventory("stride 24");
	check_inventory("stride 32");
	check_inventory("stride 16");
}

#define SHARES                                                                                     \
	"device 0\nshare 1 50 100 0 9999999\nshare 2 50 100 0 9999999\n"                           \
	"process 1 c 1 0 9999999 7\nprocess 2 c 1 0 9999999 7\naccounting %d\n"                    \
	"device 1\nshare 1 90 80 0 9999999\nshare 2 10 80 0 9999999\n"                             \
	"process 1 c 1 0 9999999 7\nprocess 2 c 1 0 9999999 7\naccounting %d\n"                    \
	"device 2\nshare 1 33 100 0 9999999\nshare 2 33 100 0 9999999\n"                           \
	"share 3 33 100 0 9999999\nprocess 1 c 1 0 9999999 7\nprocess 2 c 1 0 9999999 7\n"         \
	"process 3 c 1 0 9999999 7\naccounting %d\n"

static void check_share(const struct nvml_device_state *device, uint32_t pid, double share)
{
	const struct busy_row *row = row_of(device, pid);
	double all = (double)nvml_device_observed_ns(device), off, error;

	assert_non_null(row);
	off = (double)row->busy[BUSY_SM].ns - all * share;
	error = sqrt(row->busy[BUSY_SM].variance_ns2);
	assert_true(off <= 3 * error);
	assert_true(off >= -3 * error - (double)row->busy[BUSY_SM].rounding_ns);
	/* The error that is stated says something. */
	assert_true(error < 0.15 * all);
}

static void check_shares(const struct nvml *nvml, enum nvml_busy_source source)
{
	static const double shares[3][3] = {{0.5, 0.5}, {0.72, 0.08}, {1 / 3.0, 1 / 3.0, 1 / 3.0}};

	for (int i = 0; i < 3; i++) {
		const struct nvml_device_state *device = device_of(nvml, i);

		assert_int_equal(device->last.busy_source, source);
		assert_true(nvml_device_observed_ns(device) > 2 * SECOND);
		check_conserved(device);
		for (uint32_t k = 0; k < 3; k++)
			if (shares[i][k] > 0)
				check_share(device, k + 1, shares[i][k]);
	}
}

static void run_shares(const char *first, int accounting, enum nvml_busy_source source)
{
	char text[2000];
	struct nvml *nvml;
	int used = snprintf(text, sizeof(text), "period 10000\n%s", first);

	snprintf(text + used, sizeof(text) - (size_t)used, SHARES, accounting, accounting,
		 accounting);
	script(text);
	nvml = begin(library, (struct nvml_options){.interval_ms = 200});
	poll_for(nvml, 3 * SECOND);
	check_shares(nvml, source);
	nvml_close(nvml);
}

static void test_shares(void **state)
{
	(void)state;
	run_shares("", 0, NVML_BUSY_SAMPLES);
}

static void test_shares_one_by_one(void **state)
{
	(void)state;
	/* Samples no closer than the least that is believed: each is credited a period. */
	run_shares("period 100000\nsingle\n", 0, NVML_BUSY_SAMPLES);
}

static void test_shares_accounted(void **state)
{
	(void)state;
	run_shares("", 1, NVML_BUSY_ACCOUNTING);
}

/* Samples in the time of another clock are found out, not lost. */
static void test_clocks(void **state)
{
	static const char *const clocks[] = {"clock boot\n", "clock mono\n"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char text[200];
		struct nvml *nvml;

		snprintf(text, sizeof(text), "period 5000\n%sdevice 0\nshare 5 1 100 0 9999999\n",
			 clocks[i]);
		script(text);
		nvml = begin(library, (struct nvml_options){0});
		poll_for(nvml, SECOND);
		assert_true(busy_of(device_of(nvml, 0), 5) > 0.2e9);
		check_conserved(device_of(nvml, 0));
		nvml_close(nvml);
	}
}

static void test_garbage(void **state)
{
	struct nvml *nvml;
	const struct nvml_device_state *device;

	(void)state;
	script("period 5000\ndevice 0\ngarbage 14\nshare 5 1 50 0 9999999\n");
	nvml = begin(library, (struct nvml_options){0});
	poll_ticks(nvml, 10);
	device = device_of(nvml, 0);
	assert_int_equal(device->busy.nr, 1);
	assert_null(row_of(device, 50554));
	assert_true(device->samples_lost >= 12);
	assert_int_equal(status_of(nvml).bad, 0);
	assert_true(busy_of(device, 5) <= 0.5 * (double)nvml_device_observed_ns(device));
	nvml_close(nvml);
}

/* A driver that has no samples has no error: nobody was busy. */
static void test_not_found(void **state)
{
	struct nvml *nvml;
	const struct nvml_device_state *device;

	(void)state;
	script("period 5000\ndevice 0\nprocess 5 c 1 0 9999999 1\n");
	nvml = begin(library, (struct nvml_options){0});
	poll_ticks(nvml, 6);
	device = device_of(nvml, 0);
	assert_true(status_of(nvml).up);
	assert_int_equal(device->last.busy_source, NVML_BUSY_SAMPLES);
	assert_string_equal(device->last.why, "");
	assert_int_equal(device->busy.nr, 0);
	assert_true(device->samples.quiet_ns > 100 * MS);
	assert_int_equal(device->samples.quiet_ns, device->samples.observed_ns);
	nvml_close(nvml);
}

static void test_process_ends(void **state)
{
	struct nvml *nvml;
	double busy;

	(void)state;
	script("period 5000\ndevice 0\nshare 5 1 100 0 700\nprocess 5 c 8 0 700 1\n");
	nvml = begin(library, (struct nvml_options){0});
	poll_ticks(nvml, 3);
	assert_int_equal(device_of(nvml, 0)->processes, 1);
	poll_for(nvml, SECOND);
	assert_int_equal(device_of(nvml, 0)->processes, 0);
	busy = busy_of(device_of(nvml, 0), 5);
	assert_true(busy > 0.2e9 && busy <= 0.75e9);
	poll_ticks(nvml, 5);
	assert_true(busy_of(device_of(nvml, 0), 5) == busy);
	nvml_close(nvml);
}

static void test_mig(void **state)
{
	struct nvml *nvml;
	const struct nvml_device_state *device;

	(void)state;
	script("device 0\nmig 1\nshare 5 1 100 0 999999\nprocess 5 c 8 0 999999 1\n");
	nvml = begin(library, (struct nvml_options){0});
	poll_ticks(nvml, 3);
	device = device_of(nvml, 0);
	assert_int_equal(device->last.mig, 1);
	assert_int_equal(device->last.busy_source, NVML_BUSY_NONE);
	assert_non_null(strstr(device->last.why, "MIG is on"));
	assert_int_equal(device->processes, 1);
	assert_int_equal(device->process[0].gpu_instance, 1);
	assert_int_equal(device->process[0].memory, 8192);
	assert_int_equal(device->busy.nr, 0);
	nvml_close(nvml);
}

static void test_gpu_lost(void **state)
{
	struct nvml *nvml;
	const struct nvml_device_state *device;

	(void)state;
	script("period 5000\ndevice 0\nlost 400\nshare 5 1 100 0 999999\nprocess 5 c 8 0 99999 1\n"
	       "device 1\nshare 6 1 100 0 999999\n");
	nvml = begin(library, (struct nvml_options){0});
	poll_ticks(nvml, 2);
	assert_int_equal(device_of(nvml, 0)->last.down, 0);
	poll_for(nvml, SECOND);
	device = device_of(nvml, 0);
	assert_true(status_of(nvml).up);
	assert_int_equal(device->last.down, 1);
	assert_non_null(strstr(device->last.why, "fallen off the bus"));
	assert_string_equal(device->last.uuid, "GPU-00000000-fake");
	assert_int_equal(device->last.known & NVML_KNOWN_PROCESSES, 0);
	assert_int_equal(device->processes, 0);
	assert_int_equal(nvml_get_state(nvml)->torn, 0);
	assert_true(busy_of(device, 5) <= 0.45e9);
	/* The other one goes on. */
	assert_int_equal(device_of(nvml, 1)->last.down, 0);
	assert_true(busy_of(device_of(nvml, 1), 6) > 0.6e9);
	assert_int_equal(status_of(nvml).starts, 1);
	nvml_close(nvml);
}

static void check_no_children(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_hang(void **state)
{
	const struct nvml_options options = {.timeout_ns = 600 * MS, .backoff_ns = 2 * SECOND};
	uint64_t begun = clock_ns(CLOCK_MONOTONIC), longest = 0, down_ns = 0;
	struct nvml *nvml;

	(void)state;
	script("device 0\ndevice 1\nhang nvmlDeviceGetMemoryInfo_v2 400\n");
	nvml = begin(library, options);
	while (!status_of(nvml).timeouts && clock_ns(CLOCK_MONOTONIC) < begun + A_WHILE) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC), took;

		nvml_poll(nvml);
		took = clock_ns(CLOCK_MONOTONIC) - now;
		longest = took > longest ? took : longest;
		sleep_ms(5);
	}
	down_ns = clock_ns(CLOCK_MONOTONIC) - begun;
	assert_int_equal(status_of(nvml).timeouts, 1);
	assert_false(status_of(nvml).up);
	assert_non_null(strstr(status_of(nvml).why, "has not answered for 0."));
	assert_non_null(strstr(status_of(nvml).why, "while it asked about GPU 0"));
	assert_true(longest < 300 * MS);
	assert_true(down_ns < 5 * SECOND);
	assert_int_equal(nvml_fd(nvml), -1);
	poll_for(nvml, 200 * MS);
	check_no_children();
	/* What was known is still known, and how old it is. */
	assert_true(status_of(nvml).heard_ns > 0);
	assert_string_equal(device_of(nvml, 0)->last.uuid, "GPU-00000000-fake");
	/* It is tried again. */
	script("device 0\n");
	poll_for(nvml, 3 * SECOND);
	assert_int_equal(status_of(nvml).starts, 2);
	assert_true(status_of(nvml).up);
	nvml_close(nvml);
	check_no_children();
}

static void test_hang_at_start(void **state)
{
	struct nvml *nvml;

	(void)state;
	script("hang nvmlInit_v2 0\n");
	nvml = begin(library, (struct nvml_options){.timeout_ns = 200 * MS});
	/* Which may take longer than anything else. */
	poll_for(nvml, 500 * MS);
	assert_string_equal(status_of(nvml).why, "not asked yet");
	poll_down(nvml, "while NVML was starting");
	assert_int_equal(status_of(nvml).timeouts, 1);
	nvml_close(nvml);
	check_no_children();
}

/* What a process did is kept over a new helper, and what it did meanwhile is not made up. */
static void test_restart_keeps(void **state)
{
	const struct nvml_options options = {.timeout_ns = 300 * MS, .backoff_ns = 300 * MS};
	char text[200];
	struct nvml *nvml;
	double busy;

	(void)state;
	snprintf(text, sizeof(text),
		 "epoch %lu\nperiod 5000\ndevice 0\nshare 5 1 100 0 9999999\n"
		 "fail nvmlDeviceGetCount_v2 9 99999\nhang nvmlDeviceGetMigMode 700\n",
		 clock_ns(CLOCK_REALTIME) / 1000);
	script(text);
	nvml = begin(library, options);
	poll_down(nvml, "has not answered");
	busy = busy_of(device_of(nvml, 0), 5);
	assert_true(busy > 0.1e9);
	script("period 5000\ndevice 0\nshare 5 1 100 0 9999999\n");
	poll_for(nvml, 1500 * MS);
	assert_true(status_of(nvml).up);
	assert_true(busy_of(device_of(nvml, 0), 5) > busy + 0.2e9);
	assert_true(device_of(nvml, 0)->samples.unobserved_ns > 300 * MS);
	check_conserved(device_of(nvml, 0));
	assert_true(nvml_device_observed_ns(device_of(nvml, 0)) < 2500 * MS);
	nvml_close(nvml);
}

static void test_accounting_ended(void **state)
{
	struct nvml *nvml;
	const struct nvml_device_state *device;

	(void)state;
	/* One that ended long ago, one that ends, one that goes on. */
	script("period 5000\ndevice 0\naccounting 1\nprocess 4 c 1 -5000 -1 3\n"
	       "process 5 c 1 0 600 7\nprocess 6 c 1 0 9999999 8\n"
	       "share 5 50 100 0 600\nshare 6 50 100 0 9999999\n");
	nvml = begin(library, (struct nvml_options){0});
	poll_ticks(nvml, 1);
	assert_int_equal(device_of(nvml, 0)->last.accountings, 2);
	poll_for(nvml, 1200 * MS);
	device = device_of(nvml, 0);
	assert_int_equal(device->last.busy_source, NVML_BUSY_ACCOUNTING);
	assert_int_equal(device->last.accountings, 1);
	assert_null(row_of(device, 4));
	assert_true(busy_of(device, 6) > 0.4e9);
	/* Told once after its end, then left alone; its time is not lost. */
	assert_null(row_of(device, 5));
	assert_true(device->busy.gone.busy[BUSY_SM].ns > 100 * MS);
	assert_true(device->busy.gone.busy[BUSY_SM].ns < 500 * MS);
	check_conserved(device);
	nvml_close(nvml);
}

static void test_old_library(void **state)
{
	struct nvml *nvml;
	const struct nvml_device_state *device;

	(void)state;
	script("period 5000\ndevice 0\naccounting 1\nshare 5 1 100 0 9999999\n"
	       "process 5 cg 16 0 9999999 1\n");
	nvml = begin(old_library, (struct nvml_options){0});
	poll_ticks(nvml, 8);
	assert_non_null(
		strstr(nvml_get_state(nvml)->hello.lacks, "nvmlDeviceGetAccountingStats_v2"));
	assert_non_null(strstr(nvml_get_state(nvml)->hello.lacks, "nvmlDeviceGetMigMode"));
	assert_null(strstr(nvml_get_state(nvml)->hello.lacks, "GetCompute"));
	device = device_of(nvml, 0);
	assert_int_equal(device->last.busy_source, NVML_BUSY_SAMPLES);
	assert_int_equal(device->last.known, NVML_KNOWN_ALL & ~(unsigned int)NVML_KNOWN_RESERVED);
	assert_true(device->last.memory_used == 6ull << 30);
	assert_int_equal(device->processes, 1);
	assert_int_equal(device->process[0].kinds, NVML_PROCESS_COMPUTE);
	assert_int_equal(device->process[0].memory, 16 * 1024);
	assert_true(busy_of(device, 5) > 0);
	nvml_close(nvml);
}

static void test_calls_fail(void **state)
{
	struct nvml *nvml;
	const struct nvml_device_state *device;

	(void)state;
	script("device 0\nfail nvmlDeviceGetProcessUtilization 4 0\n"
	       "fail nvmlDeviceGetComputeRunningProcesses_v3 3 0\n"
	       "fail nvmlDeviceGetUtilizationRates 999 0\nfail nvmlDeviceGetUUID 3 0\n");
	nvml = begin(library, (struct nvml_options){0});
	poll_ticks(nvml, 2);
	device = device_of(nvml, 0);
	assert_int_equal(device->last.down, 0);
	assert_int_equal(device->last.known & NVML_KNOWN_PROCESSES, 0);
	assert_int_equal(device->last.known & NVML_KNOWN_UTILIZATION, 0);
	assert_int_equal(device->last.known & NVML_KNOWN_MEMORY, NVML_KNOWN_MEMORY);
	assert_int_equal(device->last.busy_source, NVML_BUSY_NONE);
	assert_non_null(strstr(device->last.why, "no permission"));
	assert_string_equal(device->last.uuid, "");
	nvml_close(nvml);
}

static void test_no_driver(void **state)
{
	struct nvml *nvml;

	(void)state;
	unsetenv("FAKE_NVML");
	nvml = begin(library, (struct nvml_options){0});
	poll_down(nvml, "kernel driver is not loaded");
	assert_int_equal(status_of(nvml).bad, 0);
	nvml_close(nvml);
}

static void test_no_library(void **state)
{
	void *real = dlopen("libnvidia-ml.so.1", RTLD_LAZY);
	struct nvml *nvml;

	(void)state;
	if (real) {
		dlclose(real);
		print_message("skipped: this machine has NVML\n");
		skip();
	}
	nvml = begin("/nonexistent/libnvidia-ml.so.1", (struct nvml_options){0});
	poll_down(nvml, "is NVIDIA's driver installed");
	assert_non_null(strstr(status_of(nvml).why, "/nonexistent/libnvidia-ml.so.1"));
	nvml_close(nvml);
	/* Something else than NVML. */
	nvml = begin("libc.so.6", (struct nvml_options){0});
	poll_down(nvml, "is no NVML that can be used: it lacks nvmlInit_v2");
	nvml_close(nvml);
}

static void test_backoff(void **state)
{
	const struct nvml_options options = {
		.program = "/nonexistent", .backoff_ns = 100 * MS, .backoff_most_ns = 400 * MS};
	struct nvml *nvml = begin(library, options);

	(void)state;
	/* At 0, 0.1, 0.3, 0.7, 1.1, 1.5 and 1.9 s. */
	poll_for(nvml, 2 * SECOND);
	assert_in_range(status_of(nvml).starts, 4, 7);
	assert_non_null(strstr(status_of(nvml).why, "died while NVML was starting"));
	nvml_close(nvml);
	check_no_children();
}

static void test_bad_helper(void **state)
{
	struct nvml *nvml;

	(void)state;
	setenv(JUNK_HELPER, "junk", 1);
	nvml = begin(library, (struct nvml_options){0});
	poll_down(nvml, "cannot be understood");
	assert_int_equal(status_of(nvml).bad, 1);
	nvml_close(nvml);
	setenv(JUNK_HELPER, "half", 1);
	nvml = begin(library, (struct nvml_options){0});
	poll_down(nvml, "died");
	assert_int_equal(status_of(nvml).bad, 0);
	nvml_close(nvml);
	unsetenv(JUNK_HELPER);
	check_no_children();
}

/* The child of `parent`, 0 if it has none. */
static pid_t find_child(pid_t parent)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	assert_non_null(proc);
	while (!found && (entry = readdir(proc))) {
		char path[300], line[300] = "";
		int pid = atoi(entry->d_name), its_parent = 0;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		file = pid > 0 ? fopen(path, "re") : NULL;
		if (!file)
			continue;
		if (fgets(line, sizeof(line), file) && strrchr(line, ')') &&
		    sscanf(strrchr(line, ')'), ") %*c %d", &its_parent) == 1 &&
		    its_parent == parent)
			found = pid;
		fclose(file);
	}
	closedir(proc);
	return found;
}

/* Its status; it has to end by itself. */
static int wait_for_end(pid_t pid)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + 5 * SECOND;
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (clock_ns(CLOCK_MONOTONIC) > until) {
			kill(pid, SIGKILL);
			fail_msg("process %d does not end", pid);
		}
		sleep_ms(5);
	}
	return status;
}

static void run_until_killed(int up_fd)
{
	struct nvml *nvml = begin(library, (struct nvml_options){0});

	while (!nvml_get_state(nvml)->greeted) {
		nvml_poll(nvml);
		sleep_ms(5);
	}
	if (write(up_fd, "", 1) != 1)
		_exit(1);
	for (;;)
		sleep_ms(1000);
}

/* An agent that is killed cannot clean up: its helper goes by itself, even out of a hanging call. */
static void check_dies_with_parent(const char *text, bool hangs)
{
	int up[2], status;
	char byte;
	pid_t agent, helper;

	script(text);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	assert_int_equal(pipe(up), 0);
	agent = fork();
	if (!agent)
		run_until_killed(up[1]);
	assert_int_equal(read(up[0], &byte, 1), 1);
	helper = find_child(agent);
	assert_true(helper > 0);
	/* Long after the hang begins, and long before a silent helper is ended. */
	sleep_ms(800);
	kill(agent, SIGKILL);
	wait_for_end(agent);
	status = wait_for_end(helper);
	/* Killed with its parent, if it has not seen first that nobody listens. */
	assert_true(hangs ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
			  : WIFSIGNALED(status) || WIFEXITED(status));
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	close(up[0]);
	close(up[1]);
	check_no_children();
}

static void test_dies_with_parent(void **state)
{
	(void)state;
	check_dies_with_parent("device 0\n", false);
	check_dies_with_parent("device 0\nhang nvmlDeviceGetMigMode 50\n", true);
}

static pid_t start_bare_helper(int fd)
{
	char number[16];
	pid_t pid = fork();

	if (pid)
		return pid;
	snprintf(number, sizeof(number), "%d", fd);
	execl("/proc/self/exe", "mlprof", NVML_HELPER_VERB, number, "1000", library, NULL);
	_exit(127);
}

/* Nobody listens: it ends, though its parent is there and it has nothing to say for a second. */
static void test_ends_without_reader(void **state)
{
	uint64_t closed;
	int fds[2], status;
	char bytes[4 * NVML_MESSAGE_BYTES];
	pid_t helper;

	(void)state;
	script("device 0\n");
	assert_int_equal(pipe(fds), 0);
	fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	helper = start_bare_helper(fds[1]);
	close(fds[1]);
	/* HELLO, ASKING, DEVICE, END. */
	for (size_t have = 0; have < sizeof(bytes);) {
		ssize_t got = read(fds[0], bytes + have, sizeof(bytes) - have);

		assert_true(got > 0);
		have += (size_t)got;
	}
	close(fds[0]);
	closed = clock_ns(CLOCK_MONOTONIC);
	status = wait_for_end(helper);
	assert_true(clock_ns(CLOCK_MONOTONIC) - closed < SECOND / 2);
	assert_true(WIFEXITED(status));
}

/* SIGTERM ends it at once, though whoever started it has SIGTERM blocked. */
static void test_sigterm(void **state)
{
	sigset_t set, before;
	uint64_t asked;
	int fds[2], status;
	char byte;
	pid_t helper;

	(void)state;
	script("hang nvmlDeviceGetMemoryInfo_v2 0\ndevice 0\n");
	assert_int_equal(pipe(fds), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &before);
	helper = start_bare_helper(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	asked = clock_ns(CLOCK_MONOTONIC);
	kill(helper, SIGTERM);
	status = wait_for_end(helper);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	assert_true(clock_ns(CLOCK_MONOTONIC) - asked < SECOND);
	close(fds[0]);
	close(fds[1]);
}

/* The helper has nothing of the agent's but its pipe and stderr. */
static void test_inherits_nothing(void **state)
{
	struct nvml *nvml;
	int leak[2], seen = 0;
	char path[64], target[300];
	pid_t helper;

	(void)state;
	script("device 0\n");
	assert_int_equal(pipe(leak), 0);
	nvml = begin(library, (struct nvml_options){0});
	poll_ticks(nvml, 1);
	helper = find_child(getpid());
	assert_true(helper > 0);
	for (int fd = 0; fd < 64; fd++) {
		ssize_t bytes;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", helper, fd);
		bytes = readlink(path, target, sizeof(target) - 1);
		if (bytes <= 0)
			continue;
		target[bytes] = 0;
		seen++;
		if (fd < 2)
			assert_string_equal(target, "/dev/null");
	}
	assert_int_equal(seen, 4);
	close(leak[0]);
	close(leak[1]);
	nvml_close(nvml);
}

static bool reads(const struct nvml_message *message)
{
	struct nvml_message copy;

	return nvml_message_read(message, sizeof(*message), &copy);
}

static void test_messages(void **state)
{
	struct nvml_message good, bad;

	(void)state;
	nvml_message_init(&good, NVML_MESSAGE_SAMPLES, 3);
	good.count = 2;
	for (int i = 0; i < 2; i++)
		good.body.sample[i] = (struct nvml_message_sample){5, {100, 1, 2, 3}, 9};
	assert_true(reads(&good));
	assert_false(nvml_message_read(&good, sizeof(good) - 1, &bad));
#define BREAKS(member, value)                                                                      \
	do {                                                                                       \
		bad = good;                                                                        \
		bad.member = value;                                                                \
		assert_false(reads(&bad));                                                         \
	} while (0)
	BREAKS(magic, 1);
	BREAKS(version, NVML_MESSAGE_VERSION + 1);
	BREAKS(type, 0);
	BREAKS(type, NVML_MESSAGE_TYPES);
	BREAKS(type, NVML_MESSAGE_END); /* which has no rows */
	BREAKS(bytes, 7);
	BREAKS(device, NVML_DEVICES_MAX);
	BREAKS(count, NVML_SAMPLES_PER_MESSAGE + 1);
	BREAKS(reserved, 1);
	BREAKS(body.sample[1].percent[2], 101);
	BREAKS(body.sample[1].pid, 0);
	BREAKS(body.sample[1].us, 0);
	nvml_message_init(&good, NVML_MESSAGE_DEVICE, 0);
	assert_true(reads(&good));
	BREAKS(body.device.known, NVML_KNOWN_ALL + 1);
	BREAKS(body.device.down, 2);
	BREAKS(body.device.mig, 2);
	BREAKS(body.device.busy_source, NVML_BUSY_SOURCES);
	BREAKS(body.device.utilization[1], 101);
	BREAKS(body.device.processes, NVML_PROCESSES_MAX + 1);
	BREAKS(body.device.samples, NVML_SAMPLES_MAX + 1);
	BREAKS(body.device.accountings, NVML_ACCOUNTING_MAX + 1);
	BREAKS(body.device.from_us, 1);
	BREAKS(body.device.to_us, UINT64_C(1) << 53);
	BREAKS(body.device.ns, UINT64_MAX);
	memset(good.body.device.uuid, 'x', sizeof(good.body.device.uuid));
	assert_false(reads(&good));
	nvml_message_init(&good, NVML_MESSAGE_PROCESSES, 0);
	good.count = 1;
	good.body.process[0] = (struct nvml_message_process){.pid = 1, .kinds = 1};
	assert_true(reads(&good));
	BREAKS(body.process[0].kinds, 0);
	BREAKS(body.process[0].kinds, 8);
	BREAKS(body.process[0].pid, 0);
	nvml_message_init(&good, NVML_MESSAGE_DOWN, 0);
	memset(good.body.down.why, 'x', sizeof(good.body.down.why));
	assert_false(reads(&good));
	nvml_message_init(&good, NVML_MESSAGE_HELLO, 0);
	assert_true(reads(&good));
	BREAKS(body.hello.reserved, 1);
	memset(good.body.hello.lacks, 'x', sizeof(good.body.hello.lacks));
	assert_false(reads(&good));
#undef BREAKS
}

static void tell_sample(struct nvml_state *state, uint32_t device, uint32_t pid, uint64_t us)
{
	struct nvml_message message;

	nvml_message_init(&message, NVML_MESSAGE_SAMPLES, device);
	message.count = 1;
	message.body.sample[0] = (struct nvml_message_sample){pid, {100}, us};
	nvml_state_receive(state, &message, 1);
}

static void tell_device(struct nvml_state *state, uint32_t device, const char *uuid,
			uint32_t samples, uint64_t to_us)
{
	struct nvml_message message;

	nvml_message_init(&message, NVML_MESSAGE_DEVICE, device);
	snprintf(message.body.device.uuid, sizeof(message.body.device.uuid), "%s", uuid);
	message.body.device.busy_source = NVML_BUSY_SAMPLES;
	message.body.device.samples = samples;
	message.body.device.from_us = to_us - 1000;
	message.body.device.to_us = to_us;
	nvml_state_receive(state, &message, 1);
}

static void test_state(void **unused)
{
	struct nvml_state state = {0};

	(void)unused;
	tell_sample(&state, 0, 5, 1000000);
	tell_device(&state, 0, "A", 1, 1000000);
	assert_int_equal(nvml_device_busy_ns(state.device[0], BUSY_SM), 1000000);
	/* Less, or more, came than was said: none of it is believed. */
	tell_sample(&state, 0, 5, 1001000);
	tell_device(&state, 0, "A", 2, 1001000);
	tell_device(&state, 0, "A", 1, 1001000);
	assert_int_equal(state.torn, 2);
	assert_int_equal(nvml_device_busy_ns(state.device[0], BUSY_SM), 1000000);
	/* What a helper left behind is not the next one's. */
	tell_sample(&state, 0, 5, 1002000);
	nvml_state_restart(&state);
	tell_device(&state, 0, "A", 0, 1002000);
	assert_int_equal(state.torn, 2);
	for (int i = 0; i < NVML_SAMPLES_MAX + 1; i++)
		tell_sample(&state, 0, 5, 1003000);
	tell_device(&state, 0, "A", NVML_SAMPLES_MAX, 1003000);
	assert_int_equal(state.torn, 3);
	nvml_state_free(&state);
}

/* GPUs that the library numbers anew keep their own times. */
static void test_state_moves(void **unused)
{
	struct nvml_state state = {0};

	(void)unused;
	tell_sample(&state, 0, 5, 1000000);
	tell_device(&state, 0, "A", 1, 1000000);
	tell_device(&state, 1, "B", 0, 1000000);
	tell_sample(&state, 0, 6, 1001000);
	tell_device(&state, 0, "B", 1, 1001000);
	assert_string_equal(state.device[0]->last.uuid, "B");
	assert_true(busy_of(state.device[0], 6) == 1000000);
	assert_true(busy_of(state.device[0], 5) == 0);
	assert_string_equal(state.device[1]->last.uuid, "A");
	assert_true(busy_of(state.device[1], 5) == 1000000);
	/* A new one, where A was: A waits elsewhere, and comes back with what it had. */
	tell_device(&state, 1, "C", 0, 1001000);
	assert_int_equal(nvml_device_busy_ns(state.device[1], BUSY_SM), 0);
	tell_sample(&state, 0, 5, 1002000);
	tell_device(&state, 0, "A", 1, 1002000);
	assert_true(busy_of(state.device[0], 5) == 2000000);
	assert_int_equal(state.torn, 0);
	nvml_state_free(&state);
}

static int bad_helper(const char *kind)
{
	static const char junk[NVML_MESSAGE_BYTES] = "mlprof";
	size_t bytes = !strcmp(kind, "half") ? sizeof(junk) / 2 : sizeof(junk);

	return write(3, junk, bytes) == (ssize_t)bytes ? 0 : 1;
}

static void find_libraries(const char *self)
{
	char path[400] = "";
	char *slash;

	if (readlink(self, path, sizeof(path) - 1) < 0)
		abort();
	slash = strrchr(path, '/');
	*slash = 0;
	snprintf(library, sizeof(library), "%s/../gpu/libnvidia-ml.so.1", path);
	snprintf(old_library, sizeof(old_library), "%s/../gpu/old/libnvidia-ml.so.1", path);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_state_moves),
		cmocka_unit_test(test_inventory),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_shares_one_by_one),
		cmocka_unit_test(test_shares_accounted),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_process_ends),
		cmocka_unit_test(test_mig),
		cmocka_unit_test(test_gpu_lost),
		cmocka_unit_test(test_hang),
		cmocka_unit_test(test_hang_at_start),
		cmocka_unit_test(test_restart_keeps),
		cmocka_unit_test(test_accounting_ended),
		cmocka_unit_test(test_old_library),
		cmocka_unit_test(test_calls_fail),
		cmocka_unit_test(test_no_driver),
		cmocka_unit_test(test_no_library),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_bad_helper),
		cmocka_unit_test(test_dies_with_parent),
		cmocka_unit_test(test_ends_without_reader),
		cmocka_unit_test(test_sigterm),
		cmocka_unit_test(test_inherits_nothing),
	};
	int failed;

	if (argc > 1 && !strcmp(argv[1], NVML_HELPER_VERB)) {
		const char *kind = getenv(JUNK_HELPER);

		/* Without the search for leaks, which makes one more process. */
		_exit(kind ? bad_helper(kind) : nvml_helper_main(argc - 1, argv + 1));
	}
	find_libraries("/proc/self/exe");
	snprintf(script_path, sizeof(script_path), "/tmp/test_nvml.%d", getpid());
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(script_path);
	return failed;
}
