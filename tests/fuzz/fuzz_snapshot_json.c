// SPDX-License-Identifier: Apache-2.0
/*
 * What `mlprof top` reads from a socket. What is accepted must come back the same when it is
 * written and read again, and the table of it must keep within its columns.
 */
#include <stdlib.h>
#include <string.h>

#include "expose/snapshot_json.h"
#include "screen/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void write_twice(const struct snapshot *snap)
{
	struct buf first = {0}, second = {0};
	struct json_error error;
	struct snapshot *again;

	if (snapshot_json_write(&first, snap) ||
	    snapshot_json_read(first.data, first.len, &again, &error))
		abort();
	if (snapshot_json_write(&second, again) || first.len != second.len ||
	    memcmp(first.data, second.data, first.len) != 0)
		abort();
	snapshot_put(again);
	buf_free(&first);
	buf_free(&second);
}

/* As if all of it had happened since an agent began. */
static void show(const struct snapshot *snap)
{
	struct snapshot *before = snapshot_new();
	struct buf text = {0};
	struct rates rates;

	if (!before)
		return;
	before->self.start_realtime_ns = snap->self.start_realtime_ns;
	before->cpus_online = snap->cpus_online;
	if (!rates_make(&rates, before, snap)) {
		table_print(&text, &rates);
		table_print_json(&text, &rates);
		rates_free(&rates);
	}
	buf_free(&text);
	snapshot_put(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct json_error error;
	struct snapshot *snap;

	if (snapshot_json_read((const char *)data, bytes, &snap, &error))
		return 0;
	write_twice(snap);
	show(snap);
	snapshot_put(snap);
	return 0;
}
