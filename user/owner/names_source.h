/* SPDX-License-Identifier: Apache-2.0 */
/* How it stands with one source of names: when to ask it next, and what of it to tell people. */
#ifndef MLPROF_OWNER_NAMES_SOURCE_H
#define MLPROF_OWNER_NAMES_SOURCE_H

#include "owner/fetch.h"
#include "owner/names.h"

struct source {
	enum names_source which;
	const char *at; /* URL or path; NULL or "" if it is not to be asked */
	struct names_status status;
	uint64_t due_ns; /* CLOCK_MONOTONIC before which it is not to be asked */
	unsigned int failed_in_a_row;
	bool said_good, said_bad; /* what the log says: that it answered once; that it fails now */
	uint64_t said_ns[NAMES_FAILURES]; /* when there was a line about each failure; 0: never */
	uint64_t said_skipped_ns;
};

void source_init(struct source *source, enum names_source which, const char *at);

/* True if there is something to ask. */
bool source_is_set(const struct source *source);

/* It gave `nr` pods or devices, and `skipped` could not be used. */
void source_good(struct source *source, size_t nr, uint64_t skipped, uint64_t interval_ns);

void source_failed(struct source *source, const struct fetch_error *error, uint64_t interval_ns);

/* It is not there, which is no failure; it may come. */
void source_absent(struct source *source, uint64_t interval_ns);

#endif
