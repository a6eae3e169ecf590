/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot as JSON, written for scripts and for `mlprof top`, and read back. The key of each
 * number ends in its unit; times are integers of nanoseconds. A reader of one schema must pass over
 * keys it does not know: they may be added without notice.
 *
 *   {"schema":"mlprof.snapshot/1","version":...,"wait_bucket_bounds_us":[1,2,4,...],
 *    "seq":...,"realtime_ns":...,"monotonic_ns":...,"cpus_online":...,
 *    "node":{"elapsed_ns":...,"pods_ns":...},"agent":{...},
 *    "rows":[{"kind":"pod","namespace":...,"cpu_ns":...,"wait_bucket_counts":[...]}],
 *    "namespaces":[...],"losses":[...],"programs":[...],"features":[...]}
 *
 * wait_bucket_counts has one count more than there are bounds: the waits longer than all of them.
 */
#ifndef MLPROF_EXPOSE_SNAPSHOT_JSON_H
#define MLPROF_EXPOSE_SNAPSHOT_JSON_H

#include "base/buf.h"
#include "usage/snapshot.h"

#define SNAPSHOT_JSON_SCHEMA "mlprof.snapshot/1"

/* Adds `snap` to `to`, with a newline at the end. 0, or -ENOMEM, and then `to` is of no use. */
int snapshot_json_write(struct buf *to, const struct snapshot *snap);

/* What is wrong with a text that is no snapshot. */
struct json_error {
	char text[160];
};

/*
 * Reads what snapshot_json_write() wrote. 0 and a snapshot that the caller must snapshot_put();
 * -EBADMSG with `error` filled if it is none, -ENOMEM.
 */
int snapshot_json_read(const char *text, size_t bytes, struct snapshot **snap,
		       struct json_error *error);

#endif
