/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request at a time, which another thread can cut short. The waiting between requests is here
 * too, so that one signal ends either.
 */
#ifndef MLPROF_OWNER_FETCH_H
#define MLPROF_OWNER_FETCH_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "owner/names.h"

/* Why a source gave nothing, for a metric and for a person. */
struct fetch_error {
	enum names_failure failure;
	char text[256];
};

__attribute__((format(printf, 3, 4))) void
fetch_fail(struct fetch_error *error, enum names_failure failure, const char *format, ...);

struct fetcher;

/* NULL when memory is out. */
struct fetcher *fetcher_new(void);
void fetcher_free(struct fetcher *fetcher);

/* From any thread. After the second, requests and sleeps end at once, also those to come. */
void fetcher_wake(struct fetcher *fetcher);
void fetcher_stop(struct fetcher *fetcher);
bool fetcher_stopped(const struct fetcher *fetcher);

/* Returns after `ns`, or earlier if woken, or for no cause. */
void fetcher_sleep(struct fetcher *fetcher, uint64_t ns);

/* How long to wait, and for how much. All three are needed. */
struct fetch_limits {
	long connect_ms;
	long total_ms;
	size_t bytes;
};

/*
 * Does the request that `curl` is set up for; its answer goes to the end of `body`. 0; -ECANCELED
 * when stopped; -EIO, and `error` says why, when no complete answer came. The HTTP status is for
 * the caller.
 */
int fetch(struct fetcher *fetcher, CURL *curl, const struct fetch_limits *limits, struct buf *body,
	  struct fetch_error *error);

#endif
