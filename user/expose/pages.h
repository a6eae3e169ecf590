/* SPDX-License-Identifier: Apache-2.0 */
/* What the server answers to a request, apart from how requests and answers travel. */
#ifndef MLPROF_EXPOSE_PAGES_H
#define MLPROF_EXPOSE_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "expose/openmetrics.h"
#include "usage/snapshot.h"

struct pages {
	struct snapshot_board *board;
	uint64_t stale_after_ns; /* a snapshot older than this means that drains have stopped */
	/* As struct scrape_stats; one thread adds, any may read. */
	_Atomic uint64_t scrapes, scrape_ns;
};

/* Strings are NULL where the client sent no such header. */
struct page_request {
	const char *path;
	const char *accept;
	const char *accept_encoding;
};

struct page_reply {
	unsigned int status;	  /* of HTTP */
	const char *content_type; /* a constant */
	bool gzip;		  /* the body is compressed */
	bool negotiated;	  /* it depends on Accept and Accept-Encoding */
	struct buf body;	  /* the caller's, to buf_free() */
};

/* Answers a GET. Never fails: without memory the answer is a 503 with an empty body. */
void pages_answer(struct pages *pages, const struct page_request *request,
		  struct page_reply *reply);

/* What scrapes have cost so far. */
struct scrape_stats pages_scrape_stats(struct pages *pages);

#endif
