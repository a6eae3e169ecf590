// SPDX-License-Identifier: Apache-2.0
/*
 * libmicrohttpd, driven by a loop of our own: its time limit is one of idleness only, and a client
 * that sends a byte now and then would hold its connection for hours.
 */
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "expose/http.h"
#include "expose/pages.h"

#define MOST_CONNECTIONS 128
#define MOST_PER_ADDRESS 64
#define TIMEOUT_MS	 10000

/* Half of it is for a request's line and headers, the rest for what becomes of them. */
#define CONNECTION_MEMORY ((size_t)16 << 10)

#define MAX_LISTENERS	  2

/* A connection with a request under way, or waiting for one. */
struct peer {
	TAILQ_ENTRY(peer) link;
	uint64_t deadline_ms; /* by the monotonic clock */
	int fd;
	bool cut; /* no longer in the list */
};

struct http {
	struct pages pages;
	struct MHD_Daemon *daemons[MAX_LISTENERS];
	unsigned int nr_daemons;
	/* Those whose time is up first come first. Only the thread touches it. */
	TAILQ_HEAD(peer_list, peer) peers;
	unsigned int timeout_ms;
	struct listen_path socket; /* its path is empty without one */
	uint16_t port;
	int stop_fd;
	pthread_t thread;
	bool running;
	bool run_again; /* a connection has ended, and the library may have room for another */
};

static uint64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static void peer_opened(struct http *http, struct MHD_Connection *connection, void **context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct peer *peer = info ? calloc(1, sizeof(*peer)) : NULL;

	*context = peer;
	if (!peer)
		return;
	peer->fd = info->connect_fd;
	peer->deadline_ms = now_ms() + http->timeout_ms;
	TAILQ_INSERT_TAIL(&http->peers, peer, link);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http *http = cls;
	struct peer *peer = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		peer_opened(http, connection, context);
		return;
	}
	http->run_again = true;
	if (peer && !peer->cut)
		TAILQ_REMOVE(&http->peers, peer, link);
	free(peer);
	*context = NULL;
}

/* The answer is out: the time for the next request of this connection begins. */
static void on_completed(void *cls, struct MHD_Connection *connection, void **request,
			 enum MHD_RequestTerminationCode code)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct peer *peer = info ? info->socket_context : NULL;
	struct http *http = cls;

	(void)request;
	if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK || !peer || peer->cut)
		return;
	TAILQ_REMOVE(&http->peers, peer, link);
	peer->deadline_ms = now_ms() + http->timeout_ms;
	TAILQ_INSERT_TAIL(&http->peers, peer, link);
}

/* The library finds the connection closed and ends it in its own way. */
static void cut_late(struct http *http)
{
	uint64_t now = now_ms();
	struct peer *peer;

	while ((peer = TAILQ_FIRST(&http->peers)) && peer->deadline_ms <= now) {
		TAILQ_REMOVE(&http->peers, peer, link);
		peer->cut = true;
		shutdown(peer->fd, SHUT_RDWR);
	}
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct page_reply *reply)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		reply->body.len, reply->body.data, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!response) {
		buf_free(&reply->body);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
	if (reply->gzip)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	if (reply->negotiated)
		MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
	result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

/* Sent before a body is read; the library closes the connection after it. */
static enum MHD_Result refuse_method(struct MHD_Connection *connection)
{
	static char text[] = "only GET and HEAD\n";
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				"text/plain; charset=utf-8");
	result = MHD_queue_response(connection, MHD_HTTP_METHOD_NOT_ALLOWED, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_bytes, void **request)
{
	struct page_request want = {.path = url};
	struct http *http = cls;
	struct page_reply reply;

	(void)version;
	(void)upload;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return refuse_method(connection);
	/* First it calls with the headers, then with each part of a body, then for the answer. */
	if (!*request || *upload_bytes) {
		*request = http;
		*upload_bytes = 0;
		return MHD_YES;
	}
	want.accept =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	want.accept_encoding = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							   MHD_HTTP_HEADER_ACCEPT_ENCODING);
	pages_answer(&http->pages, &want, &reply);
	return send_reply(connection, &reply);
}

/* Milliseconds until somebody must be cut or the library wants to run; -1 if nothing is due. */
static int wait_ms(const struct http *http)
{
	struct peer *first = TAILQ_FIRST(&http->peers);
	uint64_t now = now_ms(), wait = UINT64_MAX;
	MHD_UNSIGNED_LONG_LONG wanted;

	if (http->run_again)
		return 0;
	if (first)
		wait = first->deadline_ms > now ? first->deadline_ms - now : 0;
	for (unsigned int i = 0; i < http->nr_daemons; i++)
		if (MHD_get_timeout(http->daemons[i], &wanted) == MHD_YES && wanted < wait)
			wait = wanted;
	if (wait == UINT64_MAX)
		return -1;
	return wait > TIMEOUT_MS ? TIMEOUT_MS : (int)wait;
}

static void *serve(void *arg)
{
	struct http *http = arg;
	struct pollfd fds[1 + MAX_LISTENERS] = {{.fd = http->stop_fd, .events = POLLIN}};

	for (unsigned int i = 0; i < http->nr_daemons; i++) {
		fds[1 + i].fd =
			MHD_get_daemon_info(http->daemons[i], MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
		fds[1 + i].events = POLLIN;
	}
	for (;;) {
		poll(fds, 1 + http->nr_daemons, wait_ms(http));
		if (fds[0].revents)
			return NULL;
		/* At its limit it stops to accept, and begins again only when it is run once more. */
		http->run_again = false;
		for (unsigned int i = 0; i < http->nr_daemons; i++)
			MHD_run(http->daemons[i]);
		cut_late(http);
	}
}

/* Takes the socket over, also when it fails. */
static int add_listener(struct http *http, int fd, const struct http_options *options)
{
	unsigned int most = options->most_connections, per_address = options->most_per_address;
	struct MHD_Daemon *daemon =
		MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, http,
				 MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				 most ? most : MOST_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
				 per_address ? per_address : MOST_PER_ADDRESS,
				 MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
				 MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
				 MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_END);

	if (!daemon) {
		int err = errno ? -errno : -ENOMEM;

		/* Where it fails late the library has closed it. */
		if (fcntl(fd, F_GETFD) >= 0)
			close(fd);
		return err;
	}
	http->daemons[http->nr_daemons++] = daemon;
	return 0;
}

static int listen_all(struct http *http, const struct http_options *options,
		      struct expose_error *error)
{
	int fd, err = 0;

	if (options->listen) {
		fd = listen_tcp(options->listen, error);
		if (fd < 0)
			return fd;
		http->port = listen_port(fd);
		err = add_listener(http, fd, options);
	}
	if (!err && options->socket) {
		fd = listen_unix(options->socket, &http->socket, error);
		if (fd < 0)
			return fd;
		err = add_listener(http, fd, options);
	}
	return err;
}

/* Signals are for the agent's main thread. */
static int start_thread(struct http *http)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&http->thread, NULL, serve, http);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	http->running = !err;
	if (!err)
		pthread_setname_np(http->thread, "mlprof-http");
	return -err;
}

int http_start(const struct http_options *options, struct http **http, struct expose_error *error)
{
	struct http *h = calloc(1, sizeof(*h));
	int err = -ENOMEM;

	error->text[0] = '\0';
	if (h) {
		TAILQ_INIT(&h->peers);
		h->pages.board = options->board;
		h->pages.stale_after_ns = options->stale_after_ns;
		h->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
		h->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		err = h->stop_fd < 0 ? -errno : listen_all(h, options, error);
		if (!err)
			err = start_thread(h);
	}
	if (!err) {
		*http = h;
		return 0;
	}
	if (!error->text[0])
		snprintf(error->text, sizeof(error->text), "cannot serve: %s", strerror(-err));
	http_stop(h);
	return err;
}

uint16_t http_port(const struct http *http)
{
	return http->port;
}

struct scrape_stats http_scrape_stats(struct http *http)
{
	return pages_scrape_stats(&http->pages);
}

void http_stop(struct http *http)
{
	if (!http)
		return;
	if (http->running) {
		eventfd_write(http->stop_fd, 1);
		pthread_join(http->thread, NULL);
	}
	for (unsigned int i = 0; i < http->nr_daemons; i++)
		MHD_stop_daemon(http->daemons[i]);
	if (http->socket.path[0])
		listen_unlink(&http->socket);
	if (http->stop_fd >= 0)
		close(http->stop_fd);
	free(http);
}
