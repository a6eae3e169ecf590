// SPDX-License-Identifier: Apache-2.0
/* The web server as its clients meet it: good ones, slow ones and hostile ones. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "expose/http.h"
#include "expose/snapshot_json.h"
#include "tests/fixtures/node.h"

#define NS_PER_MS 1000000ULL

/* What a test needs: a server with one snapshot, and where it is. */
struct site {
	struct snapshot_board *board;
	struct http *http;
	char base[64];
};

struct answer {
	long status;
	struct buf head, body;
};

static uint64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / NS_PER_MS;
}

static void publish(struct snapshot_board *board, uint64_t age_ns)
{
	struct snapshot *snap = node_snapshot();

	snap->monotonic_ns = clock_ns(CLOCK_MONOTONIC) - age_ns;
	snapshot_publish(board, snap);
}

static void open_site(struct site *site, struct http_options options)
{
	struct expose_error error;

	site->board = options.board = snapshot_board_new();
	publish(site->board, 0);
	options.listen = options.listen ? options.listen : "127.0.0.1:0";
	options.stale_after_ns = 3000 * NS_PER_MS;
	if (http_start(&options, &site->http, &error))
		fail_msg("%s", error.text);
	snprintf(site->base, sizeof(site->base), "http://127.0.0.1:%u", http_port(site->http));
}

static void close_site(struct site *site)
{
	http_stop(site->http);
	snapshot_board_free(site->board);
}

static size_t collect(char *data, size_t size, size_t count, void *to)
{
	buf_add(to, data, size * count);
	return size * count;
}

/* `set` may be NULL. Returns curl's code; the answer is to be dropped in any case. */
static CURLcode request(struct answer *answer, const char *base, const char *path,
			void (*set)(CURL *curl))
{
	CURL *curl = curl_easy_init();
	char url[256];
	CURLcode code;

	*answer = (struct answer){0};
	snprintf(url, sizeof(url), "%s%s", base, path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 15000L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer->body);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer->head);
	if (set)
		set(curl);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
	curl_easy_cleanup(curl);
	return code;
}

static void drop(struct answer *answer)
{
	buf_free(&answer->head);
	buf_free(&answer->body);
}

static void get(struct answer *answer, const struct site *site, const char *path,
		void (*set)(CURL *curl))
{
	assert_int_equal(request(answer, site->base, path, set), CURLE_OK);
}

static void assert_has(struct buf *text, const char *part)
{
	if (!strstr(buf_text(text), part))
		fail_msg("no '%s' in:\n%s", part, buf_text(text));
}

static struct curl_slist *headers;

static void set_headers(CURL *curl)
{
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
}

static void get_with(struct answer *answer, const struct site *site, const char *path,
		     const char *header)
{
	headers = curl_slist_append(NULL, header);
	get(answer, site, path, set_headers);
	curl_slist_free_all(headers);
}

static void test_formats(void **state)
{
	struct answer answer;
	struct site site;

	(void)state;
	open_site(&site, (struct http_options){0});
	get(&answer, &site, "/metrics", NULL);
	assert_int_equal(answer.status, 200);
	assert_has(&answer.head, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	assert_has(&answer.head, "Vary: Accept, Accept-Encoding\r\n");
	assert_null(strstr(buf_text(&answer.head), "Content-Encoding"));
	assert_has(&answer.body, "\nmlprof_node_cpus_online 2\n");
	assert_null(strstr(buf_text(&answer.body), "# EOF"));
	drop(&answer);
	get_with(&answer, &site, "/metrics?x=y", "Accept: application/openmetrics-text");
	assert_has(&answer.head, "Content-Type: application/openmetrics-text; version=1.0.0; "
				 "charset=utf-8\r\n");
	assert_has(&answer.body, "\n# EOF\n");
	assert_has(&answer.body, "\nmlprof_agent_scrapes_total 1\n");
	drop(&answer);
	assert_int_equal(http_scrape_stats(site.http).scrapes, 2);
	assert_true(http_scrape_stats(site.http).scrape_ns > 0);
	close_site(&site);
}

static void accept_gzip(CURL *curl)
{
	curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
}

static void test_gzip(void **state)
{
	struct answer plain, unpacked, packed;
	struct site site;

	(void)state;
	open_site(&site, (struct http_options){0});
	get(&plain, &site, "/v1/snapshot", NULL);
	get(&unpacked, &site, "/v1/snapshot", accept_gzip);
	get_with(&packed, &site, "/v1/snapshot", "Accept-Encoding: gzip;q=0.5");
	assert_has(&unpacked.head, "Content-Encoding: gzip\r\n");
	assert_int_equal(plain.body.len, unpacked.body.len);
	assert_memory_equal(plain.body.data, unpacked.body.data, plain.body.len);
	assert_true(packed.body.len < plain.body.len / 2);
	assert_memory_equal(packed.body.data, "\x1f\x8b", 2);
	drop(&packed);
	get_with(&packed, &site, "/v1/snapshot", "Accept-Encoding: gzip;q=0");
	assert_int_equal(plain.body.len, packed.body.len);
	drop(&plain);
	drop(&unpacked);
	drop(&packed);
	close_site(&site);
}

static void test_snapshot(void **state)
{
	struct json_error error;
	struct snapshot *snap;
	struct answer answer;
	struct site site;

	(void)state;
	open_site(&site, (struct http_options){0});
	get(&answer, &site, "/v1/snapshot", NULL);
	assert_has(&answer.head, "Content-Type: application/json\r\n");
	assert_int_equal(snapshot_json_read(answer.body.data, answer.body.len, &snap, &error), 0);
	assert_int_equal(snap->elapsed_ns, 20000000000);
	snapshot_put(snap);
	drop(&answer);
	close_site(&site);
}

static void test_pages(void **state)
{
	static const struct {
		const char *path;
		long status;
		const char *part;
	} pages[] = {
		{"/", 200, "href=\"/metrics\""},   {"/-/healthy", 200, "ok\n"},
		{"/-/ready", 200, "ready\n"},	   {"/metrics/", 404, "no such page"},
		{"/nothing", 404, "no such page"}, {"/../../etc/passwd", 404, "no such page"},
	};
	struct answer answer;
	struct site site;

	(void)state;
	open_site(&site, (struct http_options){0});
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		get(&answer, &site, pages[i].path, NULL);
		if (answer.status != pages[i].status)
			fail_msg("%s: status %ld", pages[i].path, answer.status);
		assert_has(&answer.body, pages[i].part);
		drop(&answer);
	}
	close_site(&site);
}

static void test_ready(void **state)
{
	struct expose_error error;
	struct http_options options = {
		.listen = "127.0.0.1:0",
		.board = snapshot_board_new(),
		.stale_after_ns = 3000 * NS_PER_MS,
	};
	struct site site = {.board = options.board};
	struct answer answer;

	(void)state;
	assert_int_equal(http_start(&options, &site.http, &error), 0);
	snprintf(site.base, sizeof(site.base), "http://127.0.0.1:%u", http_port(site.http));
	get(&answer, &site, "/-/ready", NULL);
	assert_int_equal(answer.status, 503);
	assert_has(&answer.body, "no data yet");
	drop(&answer);
	get(&answer, &site, "/metrics", NULL);
	assert_int_equal(answer.status, 503);
	drop(&answer);
	get(&answer, &site, "/v1/snapshot", NULL);
	assert_int_equal(answer.status, 503);
	drop(&answer);
	get(&answer, &site, "/-/healthy", NULL);
	assert_int_equal(answer.status, 200);
	drop(&answer);
	publish(site.board, 12000 * NS_PER_MS);
	get(&answer, &site, "/-/ready", NULL);
	assert_int_equal(answer.status, 503);
	assert_has(&answer.body, "12 s old");
	drop(&answer);
	publish(site.board, 0);
	get(&answer, &site, "/-/ready", NULL);
	assert_int_equal(answer.status, 200);
	drop(&answer);
	assert_int_equal(http_scrape_stats(site.http).scrapes, 0);
	close_site(&site);
}

static void set_head(CURL *curl)
{
	curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
}

static void set_post(CURL *curl)
{
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "a=b");
}

static void set_delete(CURL *curl)
{
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "DELETE");
}

static void test_methods(void **state)
{
	struct answer plain, answer;
	char length[64];
	struct site site;

	(void)state;
	open_site(&site, (struct http_options){0});
	get(&plain, &site, "/v1/snapshot", NULL);
	get(&answer, &site, "/v1/snapshot", set_head);
	snprintf(length, sizeof(length), "Content-Length: %zu\r\n", plain.body.len);
	assert_int_equal(answer.status, 200);
	assert_has(&answer.head, length);
	assert_int_equal(answer.body.len, 0);
	drop(&plain);
	drop(&answer);
	get(&answer, &site, "/metrics", set_post);
	assert_int_equal(answer.status, 405);
	assert_has(&answer.head, "Allow: GET, HEAD\r\n");
	drop(&answer);
	get(&answer, &site, "/nothing", set_delete);
	assert_int_equal(answer.status, 405);
	drop(&answer);
	close_site(&site);
}

static int connect_to(const struct site *site)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(http_port(site->http)),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* Sends bytes and collects what comes until the server closes, for `ms` at most; true if it did. */
static bool talk(int fd, const void *bytes, size_t count, struct buf *reply, int ms)
{
	uint64_t end = now_ms() + (uint64_t)ms;
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	char part[4096];
	ssize_t got;

	send(fd, bytes, count, MSG_NOSIGNAL);
	while (now_ms() < end) {
		if (poll(&poll_fd, 1, (int)(end - now_ms()) + 1) <= 0)
			continue;
		got = recv(fd, part, sizeof(part), 0);
		if (got <= 0)
			return true;
		buf_add(reply, part, (size_t)got);
	}
	return false;
}

static void assert_alive(const struct site *site)
{
	struct answer answer;

	get(&answer, site, "/metrics", NULL);
	assert_int_equal(answer.status, 200);
	drop(&answer);
}

static void test_garbage(void **state)
{
	static const char *const garbage[] = {
		"\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"GET / HTTP/9.9\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	};
	struct site site;

	(void)state;
	open_site(&site, (struct http_options){.timeout_ms = 300});
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		struct buf reply = {0};
		int fd = connect_to(&site);

		if (!talk(fd, garbage[i], strlen(garbage[i]), &reply, 2000))
			fail_msg("still open after garbage %zu", i);
		close(fd);
		buf_free(&reply);
		assert_alive(&site);
	}
	close_site(&site);
}

static void test_random_bytes(void **state)
{
	unsigned char bytes[2048];
	struct site site;

	(void)state;
	open_site(&site, (struct http_options){.timeout_ms = 300});
	srandom(1);
	for (int round = 0; round < 20; round++) {
		struct buf reply = {0};
		int fd = connect_to(&site);

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (unsigned char)random();
		assert_true(talk(fd, bytes, sizeof(bytes), &reply, 2000));
		close(fd);
		buf_free(&reply);
	}
	assert_alive(&site);
	close_site(&site);
}

static void test_big_header(void **state)
{
	struct buf header = {0}, reply = {0};
	struct site site;
	int fd;

	(void)state;
	open_site(&site, (struct http_options){0});
	fd = connect_to(&site);
	buf_puts(&header, "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Big: ");
	for (int i = 0; i < 1 << 20; i++)
		buf_putc(&header, 'x');
	/* It is told so, or, as it still talks, cut. */
	assert_true(talk(fd, header.data, header.len, &reply, 5000));
	if (reply.len)
		assert_has(&reply, "HTTP/1.1 431 ");
	close(fd);
	assert_alive(&site);
	/* What clients really send fits. */
	header.len = 0;
	reply.len = 0;
	buf_puts(&header, "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: ");
	for (int i = 0; i < 7000; i++)
		buf_putc(&header, 'x');
	buf_puts(&header, "\r\n\r\n");
	fd = connect_to(&site);
	assert_true(talk(fd, header.data, header.len, &reply, 5000));
	assert_has(&reply, "HTTP/1.1 200 ");
	close(fd);
	buf_free(&header);
	buf_free(&reply);
	close_site(&site);
}

/* A client that is silent, and one that sends a byte now and then, are both cut when time is up. */
static void test_slow(void **state)
{
	struct site site;
	uint64_t began, lasted;
	struct buf reply = {0};
	int silent, dripping;

	(void)state;
	open_site(&site, (struct http_options){.timeout_ms = 500});
	silent = connect_to(&site);
	dripping = connect_to(&site);
	began = now_ms();
	while (!talk(dripping, "G", 1, &reply, 50) && now_ms() - began < 3000)
		assert_alive(&site);
	lasted = now_ms() - began;
	assert_in_range(lasted, 400, 2500);
	assert_true(talk(silent, "", 0, &reply, 3000));
	close(silent);
	close(dripping);
	buf_free(&reply);
	close_site(&site);
}

static unsigned int count_sockets(void)
{
	unsigned int count = 0;
	char path[64], what[64];

	for (int fd = 0; fd < 256; fd++) {
		ssize_t bytes;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		bytes = readlink(path, what, sizeof(what));
		count += bytes > 7 && !strncmp(what, "socket:", 7);
	}
	return count;
}

static void wait_for_sockets(unsigned int count)
{
	for (int tries = 0; tries < 1000 && count_sockets() != count; tries++)
		usleep(5000);
	assert_int_equal(count_sockets(), count);
}

/*
 * An answer that nobody takes is given up as well. The client cannot see that, as the end comes
 * after all that it does not read; but the server's ends are in this process too.
 */
static void test_no_reader(void **state)
{
	static const char ask[] = "GET /v1/snapshot HTTP/1.1\r\nHost: x\r\n\r\n";
	unsigned int before;
	int fds[4], tiny = 1;
	struct site site;

	(void)state;
	open_site(&site, (struct http_options){.timeout_ms = 500});
	before = count_sockets();
	for (int i = 0; i < 4; i++) {
		fds[i] = connect_to(&site);
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &tiny, sizeof(tiny));
		for (int k = 0; k < 2000; k++)
			send(fds[i], ask, sizeof(ask) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	wait_for_sockets(before + 8);
	wait_for_sockets(before + 4);
	assert_alive(&site);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	close_site(&site);
}

/* A connection lives on while its requests come in time. */
static void test_keep_alive(void **state)
{
	static const char ask[] = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
	struct buf reply = {0};
	struct site site;
	int fd;

	(void)state;
	open_site(&site, (struct http_options){.timeout_ms = 1200});
	fd = connect_to(&site);
	for (int i = 0; i < 5; i++) {
		reply.len = 0;
		assert_false(talk(fd, ask, sizeof(ask) - 1, &reply, 400));
		assert_has(&reply, "HTTP/1.1 200 ");
	}
	assert_true(talk(fd, "", 0, &reply, 5000));
	close(fd);
	buf_free(&reply);
	close_site(&site);
}

static void test_limits(void **state)
{
	struct buf reply = {0};
	struct site site;
	int fds[3], over;

	(void)state;
	open_site(&site, (struct http_options){.timeout_ms = 1500, .most_per_address = 3});
	for (int i = 0; i < 3; i++)
		fds[i] = connect_to(&site);
	usleep(100000);
	over = connect_to(&site);
	assert_true(talk(over, "GET / HTTP/1.0\r\n\r\n", 18, &reply, 1000));
	assert_int_equal(reply.len, 0);
	close(over);
	/* Those that hang are cut, and then there is room again. */
	for (int i = 0; i < 3; i++) {
		assert_true(talk(fds[i], "", 0, &reply, 5000));
		close(fds[i]);
	}
	assert_alive(&site);
	close_site(&site);

	/* One too many in all waits, and has its turn. */
	open_site(&site, (struct http_options){.timeout_ms = 500, .most_connections = 3});
	for (int i = 0; i < 3; i++)
		fds[i] = connect_to(&site);
	assert_alive(&site);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	buf_free(&reply);
	close_site(&site);
}

static void *scrape_often(void *arg)
{
	struct site *site = arg;
	struct answer answer;
	uintptr_t good = 0;

	for (int i = 0; i < 4; i++) {
		good += request(&answer, site->base, "/metrics", accept_gzip) == CURLE_OK &&
			answer.status == 200;
		drop(&answer);
	}
	return (void *)good;
}

static void test_parallel(void **state)
{
	pthread_t threads[50];
	struct site site;
	void *good;

	(void)state;
	open_site(&site, (struct http_options){0});
	for (int i = 0; i < 50; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, scrape_often, &site), 0);
	/* Snapshots come and go meanwhile, as the sanitizer would tell. */
	for (int i = 0; i < 50; i++)
		publish(site.board, 0);
	for (int i = 0; i < 50; i++) {
		pthread_join(threads[i], &good);
		assert_int_equal((uintptr_t)good, 4);
	}
	assert_int_equal(http_scrape_stats(site.http).scrapes, 200);
	close_site(&site);
}

static void test_stop(void **state)
{
	static const char half[] = "GET /metrics HTTP/1.1\r\nHo";
	struct site site;
	uint64_t began;
	int fds[10];

	(void)state;
	open_site(&site, (struct http_options){0});
	for (int i = 0; i < 10; i++) {
		fds[i] = connect_to(&site);
		send(fds[i], half, sizeof(half) - 1, MSG_NOSIGNAL);
	}
	assert_alive(&site);
	began = now_ms();
	close_site(&site);
	assert_true(now_ms() - began < 1000);
	for (int i = 0; i < 10; i++)
		close(fds[i]);
	http_stop(NULL);
}

/* The thread takes no signal away from the agent's own. */
static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
	(void)number;
	signalled = 1;
}

static void test_signals(void **state)
{
	sigset_t term, old;
	struct site site;

	(void)state;
	signal(SIGTERM, on_signal);
	open_site(&site, (struct http_options){0});
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, &old);
	kill(getpid(), SIGTERM);
	assert_alive(&site);
	assert_false(signalled);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	assert_true(signalled);
	signal(SIGTERM, SIG_DFL);
	close_site(&site);
}

static void assert_refused(const char *listen, int err, const char *why)
{
	struct http_options options = {.listen = listen};
	struct expose_error error;
	struct http *http = NULL;
	int got = http_start(&options, &http, &error);

	if (got != err || !strstr(error.text, why) || strchr(error.text, '\n'))
		fail_msg("'%s': %d, %s", listen, got, error.text);
	assert_null(http);
}

static void test_bad_addresses(void **state)
{
	char address[64];
	struct site site;

	(void)state;
	assert_refused("", -EINVAL, "want HOST:PORT");
	assert_refused("9477", -EINVAL, "want HOST:PORT");
	assert_refused("127.0.0.1:", -EINVAL, "want HOST:PORT");
	assert_refused("127.0.0.1:x", -EINVAL, "want HOST:PORT");
	assert_refused("127.0.0.1:1x", -EINVAL, "want HOST:PORT");
	assert_refused("127.0.0.1:65536", -EINVAL, "want HOST:PORT");
	assert_refused("127.0.0.1:-1", -EINVAL, "want HOST:PORT");
	assert_refused("127.0.0.1:99999999999", -EINVAL, "want HOST:PORT");
	assert_refused("::1:9477", -EINVAL, "[IPV6]:PORT");
	assert_refused("[::1:9477", -EINVAL, "[IPV6]:PORT");
	assert_refused("[]:9477", -EINVAL, "[IPV6]:PORT");
	assert_refused("[::1]9477", -EINVAL, "[IPV6]:PORT");
	assert_refused("host.invalid:9477", -ENOENT, "cannot listen on host.invalid:9477: ");
	assert_refused("192.0.2.1:9477", -EADDRNOTAVAIL, "does not have that address");
	open_site(&site, (struct http_options){0});
	snprintf(address, sizeof(address), "127.0.0.1:%u", http_port(site.http));
	assert_refused(address, -EADDRINUSE, "another program");
	close_site(&site);
}

static void test_addresses(void **state)
{
	struct answer answer;
	struct site site;
	char base[64];
	int six;

	(void)state;
	open_site(&site, (struct http_options){.listen = ":0"});
	assert_alive(&site);
	close_site(&site);
	open_site(&site, (struct http_options){.listen = "localhost:0"});
	assert_alive(&site);
	close_site(&site);
	six = socket(AF_INET6, SOCK_STREAM, 0);
	if (six < 0)
		return;
	close(six);
	open_site(&site, (struct http_options){.listen = "[::1]:0"});
	snprintf(base, sizeof(base), "http://[::1]:%u", http_port(site.http));
	assert_int_equal(request(&answer, base, "/metrics", NULL), CURLE_OK);
	drop(&answer);
	close_site(&site);
}

static char socket_dir[] = "/tmp/mlprof-http-XXXXXX";
static char socket_path[64];

static void set_socket(CURL *curl)
{
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
}

/* Leaves a socket behind that nobody listens on any more. */
static void make_stale(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
}

static void test_unix_socket(void **state)
{
	struct expose_error error;
	struct http_options second = {.socket = socket_path};
	struct http *http;
	struct answer answer;
	struct stat made;
	struct site site;
	char who[32];

	(void)state;
	make_stale();
	open_site(&site, (struct http_options){.socket = socket_path});
	assert_int_equal(stat(socket_path, &made), 0);
	assert_int_equal(made.st_mode, S_IFSOCK | 0600);
	assert_int_equal(request(&answer, "http://localhost", "/metrics", set_socket), CURLE_OK);
	assert_int_equal(answer.status, 200);
	drop(&answer);
	/* A second one is told who has it, and does the first no harm. */
	assert_int_equal(http_start(&second, &http, &error), -EADDRINUSE);
	snprintf(who, sizeof(who), "process %d ", (int)getpid());
	assert_non_null(strstr(error.text, who));
	assert_int_equal(request(&answer, "http://localhost", "/metrics", set_socket), CURLE_OK);
	drop(&answer);
	close_site(&site);
	assert_int_equal(stat(socket_path, &made), -1);
}

/* A socket that is no longer ours is not ours to remove. */
static void test_socket_replaced(void **state)
{
	struct stat there;
	struct site site;

	(void)state;
	open_site(&site, (struct http_options){.socket = socket_path});
	unlink(socket_path);
	make_stale();
	close_site(&site);
	assert_int_equal(stat(socket_path, &there), 0);
	unlink(socket_path);
}

static void test_bad_sockets(void **state)
{
	struct http_options options = {.socket = socket_path};
	char deep[128], longer[200] = "/tmp/";
	struct expose_error error;
	struct http *http;
	int fd = open(socket_path, O_CREAT | O_WRONLY, 0600);

	(void)state;
	close(fd);
	assert_int_equal(http_start(&options, &http, &error), -EEXIST);
	assert_non_null(strstr(error.text, "no socket"));
	assert_int_equal(unlink(socket_path), 0);
	memset(longer + 5, 'x', 150);
	options.socket = longer;
	assert_int_equal(http_start(&options, &http, &error), -EINVAL);
	options.socket = "";
	assert_int_equal(http_start(&options, &http, &error), -EINVAL);
	snprintf(deep, sizeof(deep), "%s/no/where/agent.sock", socket_dir);
	options.socket = deep;
	assert_int_equal(http_start(&options, &http, &error), -ENOENT);
	/* One level is made. */
	snprintf(deep, sizeof(deep), "%s/made/agent.sock", socket_dir);
	assert_int_equal(http_start(&options, &http, &error), 0);
	http_stop(http);
	snprintf(deep, sizeof(deep), "%s/made", socket_dir);
	assert_int_equal(rmdir(deep), 0);
}

/* Whoever may not, is told so in one line and nothing stays behind. */
static void test_no_permission(void **state)
{
	int status;
	pid_t child;

	(void)state;
	if (geteuid())
		skip();
	child = fork();
	if (!child) {
		struct http_options options = {.socket = "/mlprof-no-permission.sock"};
		struct expose_error error;
		struct http *http;

		if (setresuid(65534, 65534, 65534))
			_exit(2);
		_exit(http_start(&options, &http, &error) != -EACCES ||
		      !strstr(error.text, "Permission denied"));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int make_dir(void **state)
{
	(void)state;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (!mkdtemp(socket_dir))
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/agent.sock", socket_dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	curl_global_cleanup();
	return rmdir(socket_dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),	      cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_snapshot),      cmocka_unit_test(test_pages),
		cmocka_unit_test(test_ready),	      cmocka_unit_test(test_methods),
		cmocka_unit_test(test_garbage),	      cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_big_header),    cmocka_unit_test(test_slow),
		cmocka_unit_test(test_no_reader),     cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_limits),	      cmocka_unit_test(test_parallel),
		cmocka_unit_test(test_stop),	      cmocka_unit_test(test_signals),
		cmocka_unit_test(test_bad_addresses), cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_unix_socket),   cmocka_unit_test(test_socket_replaced),
		cmocka_unit_test(test_bad_sockets),   cmocka_unit_test(test_no_permission),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
