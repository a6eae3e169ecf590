// SPDX-License-Identifier: Apache-2.0
/* The thread that asks for names, with servers that come, go, hang and change. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "owner/names.h"
#include "tests/fixtures/fake_kubelet.h"

#define MS   1000000ull
#define UID1 "aaaaaaaa-bbbb-cccc-dddd-000000000001"
#define UID2 "aaaaaaaa-bbbb-cccc-dddd-000000000002"
#define POD1 "{\"name\":\"one\",\"uid\":\"" UID1 "\",\"labels\":{\"app\":\"x\"}}"
#define POD2 "{\"name\":\"two\",\"uid\":\"" UID2 "\"}"

/* Two servers: what one does must not be what the other does. */
static struct fake kubelet, api;
static bool can_run;
static char logs[128], device_socket[128];

static int setup(void **state)
{
	(void)state;
	can_run = fake_init(&kubelet) && fake_start(&kubelet, "good.pem", true) && fake_init(&api);
	/* Both are of one cluster. */
	can_run = can_run &&
		  !symlink(fake_path(&kubelet, "good.pem"), fake_path(&api, "same.pem")) &&
		  fake_start(&api, "same.pem", false);
	snprintf(logs, sizeof(logs), "%s", fake_path(&kubelet, "pods"));
	snprintf(device_socket, sizeof(device_socket), "%s", fake_path(&kubelet, "socket"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_drop(&kubelet);
	fake_drop(&api);
	return 0;
}

static struct names *start(struct names_options options)
{
	static char token[128], ca[128];
	struct names *names;

	if (!can_run)
		skip();
	snprintf(token, sizeof(token), "%s", fake_path(&kubelet, "token"));
	snprintf(ca, sizeof(ca), "%s", fake_path(&kubelet, "ca.pem"));
	options.token_file = token;
	options.ca_file = ca;
	options.interval_ns = options.interval_ns ? options.interval_ns : 200 * MS;
	names = names_start(&options);
	assert_non_null(names);
	return names;
}

static bool in_time(uint64_t begin_ns, unsigned int ms)
{
	usleep(10000);
	return clock_ns(CLOCK_MONOTONIC) - begin_ns < ms * MS;
}

/* Waits until the list has `nr` pods. */
static void wait_for_pods(struct names *names, size_t nr)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	bool found = false;

	while (!found && in_time(begin, 10000)) {
		const struct pods *pods = names_get(names, NULL);

		found = pods && pods->nr == nr;
		pods_put(pods);
	}
	assert_true(found);
}

static struct names_status status_of(struct names *names, enum names_source source)
{
	struct names_status status[NAMES_SOURCES];

	names_status(names, status);
	return status[source];
}

static void wait_for_failures(struct names *names, enum names_source source,
			      enum names_failure failure, uint64_t nr)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);

	while (status_of(names, source).failures[failure] < nr && in_time(begin, 10000))
		;
	assert_true(status_of(names, source).failures[failure] >= nr);
	assert_false(status_of(names, source).up);
}

static void wait_until_up(struct names *names, enum names_source source)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);

	while (!status_of(names, source).up && in_time(begin, 10000))
		;
	assert_true(status_of(names, source).up);
}

static void wait_for_requests(const struct fake *fake, const char *begin_of_line, size_t nr)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);

	while (fake_requests(fake, begin_of_line) < nr && in_time(begin, 10000))
		;
	assert_true(fake_requests(fake, begin_of_line) >= nr);
}

static void the_generation_grows_with_changes_only(void **state)
{
	struct names *names;
	const struct pods *pods;
	uint64_t generation, before;

	(void)state;
	fake_write(&kubelet, "state.json", "{\"pods\":[" POD1 "]}");
	names = start((struct names_options){.kubelet = kubelet.url, .labels = "app"});
	wait_for_pods(names, 1);
	before = fake_requests(&kubelet, "/pods 200");
	wait_for_requests(&kubelet, "/pods 200", before + 3);
	pods = names_get(names, &generation);
	assert_int_equal(generation, 1);
	assert_string_equal(pods->pod[0].labels[0].value, "x");
	fake_write(&kubelet, "state.json", "{\"pods\":[" POD2 "," POD1 "]}");
	wait_for_pods(names, 2);
	names_stop(names);
	assert_int_equal(pods->nr, 1);
	assert_string_equal(pods->pod[0].name, "one");
	pods_put(pods);
}

static void the_last_good_list_stays(void **state)
{
	struct names *names;
	struct names_status status;

	(void)state;
	fake_write(&kubelet, "state.json", "{\"pods\":[" POD1 "," POD2 "]}");
	names = start((struct names_options){.kubelet = kubelet.url});
	wait_for_pods(names, 2);
	fake_write(&kubelet, "state.json", "{\"http\":\"half\"}");
	wait_for_failures(names, NAMES_KUBELET, NAMES_MALFORMED, 2);
	wait_for_pods(names, 2);
	fake_stop(&kubelet);
	wait_for_failures(names, NAMES_KUBELET, NAMES_UNREACHABLE, 1);
	wait_for_pods(names, 2);
	fake_write(&kubelet, "state.json", "{\"pods\":[" POD2 "]}");
	assert_true(fake_start(&kubelet, "good.pem", true));
	wait_for_pods(names, 1);
	status = status_of(names, NAMES_KUBELET);
	assert_true(status.up && status.asked && status.good_ns);
	assert_false(status_of(names, NAMES_API_SERVER).asked);
	names_stop(names);
}

static void the_api_server_stands_in(void **state)
{
	struct names *names;
	size_t before;

	(void)state;
	fake_write(&kubelet, "state.json", "{\"pods\":[" POD1 "]}");
	fake_write(&api, "state.json", "{\"pods\":[" POD1 "," POD2 "]}");
	names = start((struct names_options){
		.kubelet = kubelet.url, .api_server = api.url, .node = "node"});
	wait_for_pods(names, 1);
	assert_int_equal(fake_requests(&api, "/api"), 0);
	fake_write(&kubelet, "state.json", "{\"http\":403}");
	wait_for_pods(names, 2);
	assert_true(status_of(names, NAMES_API_SERVER).asked);
	fake_write(&kubelet, "state.json", "{\"pods\":[" POD1 "]}");
	wait_for_pods(names, 1);
	assert_false(status_of(names, NAMES_API_SERVER).asked);
	before = fake_requests(&api, "/api");
	wait_for_requests(&kubelet, "/pods 200", fake_requests(&kubelet, "/pods 200") + 2);
	assert_int_equal(fake_requests(&api, "/api"), before);
	names_stop(names);
}

static void logs_are_the_last_resort(void **state)
{
	struct names *names;
	const struct pods *pods;

	(void)state;
	fake_write(&kubelet, "state.json", "{\"pods\":[" POD1 "]}");
	names = start(
		(struct names_options){.kubelet = kubelet.url, .pod_logs = logs, .labels = "app"});
	wait_for_pods(names, 1);
	fake_write(&kubelet, "state.json", "{\"http\":500}");
	wait_for_failures(names, NAMES_KUBELET, NAMES_STATUS, 1);
	assert_false(status_of(names, NAMES_POD_LOGS).asked);
	assert_int_equal(mkdir(logs, 0755), 0);
	assert_int_equal(mkdir(fake_path(&kubelet, "pods/ns_two_" UID2), 0755), 0);
	wait_for_pods(names, 2);
	pods = names_get(names, NULL);
	assert_string_equal(pods->pod[0].labels[0].value, "x");
	assert_string_equal(pods->pod[1].namespace_, "ns");
	pods_put(pods);
	wait_until_up(names, NAMES_POD_LOGS);
	fake_write(&kubelet, "state.json", "{\"pods\":[" POD1 "]}");
	wait_for_pods(names, 1);
	names_stop(names);
}

static void devices_come_beside_names(void **state)
{
	struct names *names;
	const struct pods *pods;

	(void)state;
	fake_write(&kubelet, "state.json",
		   "{\"pods\":[" POD1 "],\"devices\":[{\"pod\":\"one\",\"container\":\"c\","
		   "\"resource\":\"nvidia.com/gpu\",\"ids\":[\"GPU-1\"]}]}");
	names = start(
		(struct names_options){.kubelet = kubelet.url, .pod_resources = device_socket});
	wait_until_up(names, NAMES_POD_RESOURCES);
	wait_for_pods(names, 1);
	fake_write(&kubelet, "state.json", "{\"pods\":[" POD1 "," POD2 "],\"grpc\":14}");
	wait_for_pods(names, 2);
	wait_for_failures(names, NAMES_POD_RESOURCES, NAMES_STATUS, 1);
	pods = names_get(names, NULL);
	assert_int_equal(pods->nr_devices, 1);
	assert_string_equal(pods->devices[0].pod, "one");
	assert_string_equal(pods->devices[0].id, "GPU-1");
	pods_put(pods);
	names_stop(names);
}

/* One at the start, and after that no more than one a second, however much it hurries. */
static void a_hurry_is_bounded(void **state)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	size_t before = fake_requests(&kubelet, "/pods");
	struct names *names;

	(void)state;
	fake_write(&kubelet, "state.json", "{\"pods\":[" POD1 "]}");
	names = start((struct names_options){.kubelet = kubelet.url, .interval_ns = 60000 * MS});
	wait_for_pods(names, 1);
	fake_write(&kubelet, "state.json", "{\"pods\":[" POD1 "," POD2 "]}");
	while (in_time(begin, 4500))
		names_hurry(names);
	wait_for_pods(names, 2);
	names_stop(names);
	before = fake_requests(&kubelet, "/pods") - before;
	assert_true(before >= 2 && before <= 6);
}

/* Time that names_stop() takes while a request hangs. */
static void check_stop(struct names_options options, const char *request)
{
	size_t before = fake_requests(&kubelet, request);
	struct names *names = start(options);
	uint64_t begin;

	wait_for_requests(&kubelet, request, before + 1);
	begin = clock_ns(CLOCK_MONOTONIC);
	names_stop(names);
	assert_true(clock_ns(CLOCK_MONOTONIC) - begin < 1000 * MS);
}

static void whatever_hangs_it_stops(void **state)
{
	(void)state;
	if (!can_run)
		skip();
	fake_write(&kubelet, "state.json", "{\"http\":\"hang\",\"grpc\":\"hang\"}");
	check_stop((struct names_options){.kubelet = kubelet.url}, "/pods hang");
	check_stop((struct names_options){.pod_resources = device_socket}, "List hang");
	fake_write(&kubelet, "state.json", "{\"http\":\"endless\"}");
	check_stop((struct names_options){.kubelet = kubelet.url}, "/pods 200");
	fake_write(&kubelet, "state.json", "{\"http\":\"ok\"}");
	check_stop((struct names_options){.kubelet = kubelet.url, .interval_ns = 60000 * MS},
		   "/pods 200");
}

/* Everything that standard error gets while `names` asks; lines that have `text` in them. */
struct listening {
	int saved;
	FILE *file;
};

static void listen_to_stderr(struct listening *listening)
{
	listening->saved = dup(STDERR_FILENO);
	listening->file = tmpfile();
	dup2(fileno(listening->file), STDERR_FILENO);
}

static size_t lines_with(struct listening *listening, const char *text)
{
	char line[2048];
	size_t nr = 0;

	rewind(listening->file);
	while (fgets(line, sizeof(line), listening->file))
		nr += strstr(line, text) != NULL;
	return nr;
}

static void stop_listening(struct listening *listening)
{
	dup2(listening->saved, STDERR_FILENO);
	close(listening->saved);
	fclose(listening->file);
}

static void the_log_says_what_to_do_and_no_more(void **state)
{
	struct listening listening;
	struct names *names;
	size_t role, all, up;

	(void)state;
	fake_write(&kubelet, "state.json", "{\"http\":403}");
	listen_to_stderr(&listening);
	names = start((struct names_options){.kubelet = kubelet.url});
	wait_for_failures(names, NAMES_KUBELET, NAMES_FORBIDDEN, 4);
	fake_write(&kubelet, "state.json", "{\"pods\":[" POD1 "]}");
	wait_until_up(names, NAMES_KUBELET);
	fake_write(&kubelet, "state.json", "{\"http\":403}");
	wait_for_failures(names, NAMES_KUBELET, NAMES_FORBIDDEN, 6);
	names_stop(names);
	role = lines_with(&listening, "\"nodes/proxy\"");
	up = lines_with(&listening, "gives 1 pods");
	all = lines_with(&listening, "");
	stop_listening(&listening);
	assert_int_equal(role, 1);
	assert_int_equal(up, 1);
	assert_int_equal(all, 2);
}

static void nothing_to_ask_is_no_error(void **state)
{
	struct names *names = start((struct names_options){
		.kubelet = "", .pod_logs = "/nowhere", .pod_resources = "/nowhere/socket"});

	(void)state;
	usleep(300000);
	assert_null(names_get(names, NULL));
	for (int i = 0; i < NAMES_SOURCES; i++)
		assert_false(status_of(names, i).asked);
	names_hurry(names);
	names_stop(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_generation_grows_with_changes_only),
		cmocka_unit_test(the_last_good_list_stays),
		cmocka_unit_test(the_api_server_stands_in),
		cmocka_unit_test(logs_are_the_last_resort),
		cmocka_unit_test(devices_come_beside_names),
		cmocka_unit_test(a_hurry_is_bounded),
		cmocka_unit_test(whatever_hangs_it_stops),
		cmocka_unit_test(the_log_says_what_to_do_and_no_more),
		cmocka_unit_test(nothing_to_ask_is_no_error),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
