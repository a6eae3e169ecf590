/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's web server: metrics, probes and the snapshot, on a TCP address and on a Unix socket.
 * It has a thread of its own, in which every signal is blocked, and only ever looks at published
 * snapshots, so that no client can delay a drain. A request, from the moment the connection is free
 * for it until its answer is taken, has `timeout_ms`; then the connection is cut.
 */
#ifndef MLPROF_EXPOSE_HTTP_H
#define MLPROF_EXPOSE_HTTP_H

#include <stdint.h>

#include "expose/listen.h"
#include "expose/openmetrics.h"
#include "usage/snapshot.h"

struct http_options {
	const char *listen;	      /* as listen_tcp() takes it; NULL for none */
	const char *socket;	      /* path of the Unix socket; NULL for none */
	struct snapshot_board *board; /* must outlive the server */
	uint64_t stale_after_ns;      /* /-/ready says no when the snapshot is older */
	/* Of each listener; 0 for what is good for an agent: 128, 64 and 10 s. */
	unsigned int most_connections;
	unsigned int most_per_address; /* of one IP address */
	unsigned int timeout_ms;
};

struct http;

/*
 * Starts to serve; http_stop() ends it. 0, or -errno with one line for a person in `error`, and
 * then nothing is left behind.
 */
int http_start(const struct http_options *options, struct http **http, struct expose_error *error);

/* The TCP port it listens on, which is of use where 0 was asked for; 0 without TCP. */
uint16_t http_port(const struct http *http);

/* What scrapes have cost so far; from any thread. */
struct scrape_stats http_scrape_stats(struct http *http);

/*
 * Cuts every connection, removes the Unix socket and frees all. Takes no longer than the answer
 * that is being rendered. NULL is nothing to stop.
 */
void http_stop(struct http *http);

#endif
