// SPDX-License-Identifier: Apache-2.0
/* The kubelet's pod-resources socket, served by a real gRPC server that is none of ours. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cmocka.h>

#include "owner/pod_resources.h"
#include "tests/fixtures/fake_kubelet.h"

#define DEVICES                                                                                    \
	"\"devices\":["                                                                            \
	"{\"namespace\":\"n\",\"pod\":\"p\",\"container\":\"c\",\"resource\":\"nvidia.com/gpu\","  \
	"\"ids\":[\"GPU-2\",\"GPU-1\",\"GPU-2\"],\"cpus\":[300,2,1,0,4,5,1]},"                     \
	"{\"namespace\":\"a\",\"pod\":\"q\",\"container\":\"d\","                                  \
	"\"claims\":[[\"gpu.example.com\",\"gpu-7\"]]},"                                           \
	"{\"namespace\":\"a\",\"pod\":\"r\",\"container\":\"\",\"resource\":\"x/y\",\"ids\":[\"1\"]}]"
#define ALLOCATABLE                                                                                \
	"\"allocatable\":{\"devices\":{\"nvidia.com/gpu\":[\"GPU-1\",\"GPU-2\",\"GPU-3\"]},"       \
	"\"cpus\":[0,1,2,3]}"

static struct fake fake;
static bool can_run;

static int setup(void **state)
{
	(void)state;
	can_run = fake_init(&fake) && fake_start(&fake, "good.pem", true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_drop(&fake);
	return 0;
}

/* -1 for a good answer, else the failure. */
static int ask_at(const char *path, long total_ms, const struct pods **devices, uint64_t *skipped)
{
	struct fetch_limits limits = {5000, total_ms, 1 << 20};
	struct fetch_error error = {0};
	struct fetcher *fetcher;
	int err;

	if (!can_run)
		skip();
	fetcher = fetcher_new();
	err = pod_resources_ask(fetcher, path, &limits, devices, skipped, &error);
	fetcher_free(fetcher);
	assert_true(!err || (err == -EIO && *error.text));
	return err ? (int)error.failure : -1;
}

static int ask(const struct pods **devices, uint64_t *skipped)
{
	return ask_at(fake_path(&fake, "socket"), 20000, devices, skipped);
}

static void check(const struct pod_device *d, const char *namespace_, const char *pod,
		  const char *container, const char *resource, const char *id)
{
	assert_string_equal(d->namespace_, namespace_);
	assert_string_equal(d->pod, pod);
	assert_string_equal(d->container, container);
	assert_string_equal(d->resource, resource);
	assert_string_equal(d->id, id);
}

static void devices_are_told(void **state)
{
	const struct pods *pods = NULL;
	uint64_t skipped;

	(void)state;
	fake_write(&fake, "state.json", "{" DEVICES "," ALLOCATABLE "}");
	assert_int_equal(ask(&pods, &skipped), -1);
	assert_int_equal(pods->nr, 0);
	assert_int_equal(pods->nr_devices, 4);
	check(&pods->devices[0], "a", "q", "d", "gpu.example.com", "gpu-7");
	check(&pods->devices[1], "n", "p", "c", "cpu", "0-2,4-5,300");
	check(&pods->devices[2], "n", "p", "c", "nvidia.com/gpu", "GPU-1");
	check(&pods->devices[3], "n", "p", "c", "nvidia.com/gpu", "GPU-2");
	assert_int_equal(skipped, 1);
	assert_int_equal(pods->nr_allocatable, 4);
	check(&pods->allocatable[0], "", "", "", "cpu", "0-3");
	check(&pods->allocatable[3], "", "", "", "nvidia.com/gpu", "GPU-3");
	pods_put(pods);
}

static void what_an_old_kubelet_does_not_tell_is_unknown(void **state)
{
	const struct pods *pods = NULL;
	uint64_t skipped;

	(void)state;
	fake_write(&fake, "state.json", "{" DEVICES "}");
	assert_int_equal(ask(&pods, &skipped), -1);
	assert_int_equal(pods->nr_devices, 4);
	assert_null(pods->allocatable);
	pods_put(pods);
	fake_write(&fake, "state.json", "{\"allocatable\":{}}");
	assert_int_equal(ask(&pods, &skipped), -1);
	assert_non_null(pods->devices);
	assert_int_equal(pods->nr_devices, 0);
	assert_non_null(pods->allocatable);
	assert_int_equal(pods->nr_allocatable, 0);
	pods_put(pods);
}

static void bad_answers_have_their_names(void **state)
{
	static const struct {
		const char *how;
		enum names_failure failure;
	} answers[] = {
		{"14", NAMES_STATUS},
		{"12", NAMES_STATUS},
		{"\"garbage\"", NAMES_MALFORMED},
		{"\"hang\"", NAMES_TIMEOUT},
	};
	const struct pods *pods = NULL;
	uint64_t skipped;

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		fake_write(&fake, "state.json", "{\"grpc\":%s}", answers[i].how);
		if (ask_at(fake_path(&fake, "socket"),
			   answers[i].failure == NAMES_TIMEOUT ? 1500 : 20000, &pods,
			   &skipped) != (int)answers[i].failure)
			fail_msg("%s", answers[i].how);
	}
	assert_int_equal(ask_at(fake_path(&fake, "none"), 20000, &pods, &skipped),
			 NAMES_UNREACHABLE);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* Whoever listens there need not speak HTTP/2, or need not speak. */
static void another_server_is_none(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	const struct pods *pods = NULL;
	uint64_t skipped;
	int fd, client;
	pid_t child;

	(void)state;
	if (!can_run)
		skip();
	fd = listen_at(fake_path(&fake, "other"));
	assert_int_equal(ask_at(fake_path(&fake, "other"), 1500, &pods, &skipped), NAMES_TIMEOUT);
	child = fork();
	if (!child) {
		while ((client = accept(fd, NULL, NULL)) >= 0) {
			(void)!write(client, answer, strlen(answer));
			close(client);
		}
		_exit(0);
	}
	assert_true(ask_at(fake_path(&fake, "other"), 20000, &pods, &skipped) >= 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(fd);
}

static int read_bytes_as(const void *data, size_t bytes, bool allocatable)
{
	struct pod_resources_message message = {data, bytes}, none = {0};
	const struct pods *pods = NULL;
	uint64_t skipped;
	int err = pod_resources_read(allocatable ? none : message, allocatable ? message : none,
				     &pods, &skipped);

	if (!err)
		pods_put(pods);
	return err;
}

/* Two bytes each, for which a reader takes a hundred. */
static void a_small_message_does_not_take_all_memory(void **state)
{
	size_t bytes = (size_t)4 << 20;
	char *bomb = malloc(bytes);

	(void)state;
	for (size_t i = 0; i < bytes; i += 2) {
		bomb[i] = 1 << 3 | 2;
		bomb[i + 1] = 0;
	}
	assert_int_equal(read_bytes_as(bomb, bytes, false), -EBADMSG);
	assert_int_equal(read_bytes_as(bomb, bytes, true), -EBADMSG);
	assert_int_equal(read_bytes_as(bomb, 100, false), 0);
	free(bomb);
}

static void odd_cpus_are_not_taken(void **state)
{
	static const unsigned char negative[] = {2 << 3 | 2, 10,   0xff, 0xff, 0xff, 0xff,
						 0xff,	     0xff, 0xff, 0xff, 0xff, 1};
	struct pod_resources_message message = {negative, sizeof(negative)}, none = {0};
	const struct pods *pods = NULL;
	uint64_t skipped;

	(void)state;
	assert_int_equal(pod_resources_read(none, message, &pods, &skipped), 0);
	assert_int_equal(pods->nr_allocatable, 0);
	assert_int_equal(skipped, 1);
	pods_put(pods);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_are_told),
		cmocka_unit_test(what_an_old_kubelet_does_not_tell_is_unknown),
		cmocka_unit_test(bad_answers_have_their_names),
		cmocka_unit_test(another_server_is_none),
		cmocka_unit_test(a_small_message_does_not_take_all_memory),
		cmocka_unit_test(odd_cpus_are_not_taken),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
