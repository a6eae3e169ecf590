// SPDX-License-Identifier: Apache-2.0
/*
 * One table says what is in the JSON; the writer and the reader both walk it, so that they cannot
 * disagree. The writer is by hand, as the agent does it once a second for each `mlprof top`.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "version.h"
#include "expose/snapshot_json.h"
#include "expose/text.h"

/* Of a list that is read: a text of a few MiB must not become gigabytes. */
#define MOST_ROWS 100000

enum field_type {
	FIELD_U64,
	FIELD_UINT,
	FIELD_BOOL,
	FIELD_STRING,
	FIELD_KIND,
	FIELD_BUCKETS, /* uint64_t[MLPROF_HIST_BUCKETS] */
};

struct field {
	const char *key;
	enum field_type type;
	size_t offset;
};

/* Sets of fields, each ended by one without a key. */
#define SNAPSHOT_U64(key, field)                                                                   \
	{                                                                                          \
		key, FIELD_U64, offsetof(struct snapshot, field)                                   \
	}

static const struct field top_fields[] = {
	SNAPSHOT_U64("seq", seq),
	SNAPSHOT_U64("realtime_ns", realtime_ns),
	SNAPSHOT_U64("monotonic_ns", monotonic_ns),
	{"cpus_online", FIELD_UINT, offsetof(struct snapshot, cpus_online)},
	{0},
};

static const struct field node_fields[] = {
	SNAPSHOT_U64("elapsed_ns", elapsed_ns),
	SNAPSHOT_U64("pods_ns", node_ns[NODE_PODS]),
	SNAPSHOT_U64("units_ns", node_ns[NODE_UNITS]),
	SNAPSHOT_U64("kernel_ns", node_ns[NODE_KERNEL]),
	SNAPSHOT_U64("idle_ns", node_ns[NODE_IDLE]),
	SNAPSHOT_U64("irq_steal_ns", node_ns[NODE_IRQ_STEAL]),
	SNAPSHOT_U64("unattributed_ns", node_ns[NODE_UNATTRIBUTED]),
	SNAPSHOT_U64("unattributed_wait_ns", unattributed_wait_ns),
	{0},
};

static const struct field agent_fields[] = {
	SNAPSHOT_U64("start_realtime_ns", self.start_realtime_ns),
	SNAPSHOT_U64("cpu_ns", self.cpu_ns),
	SNAPSHOT_U64("resident_memory_bytes", self.rss_bytes),
	SNAPSHOT_U64("map_bytes", self.map_bytes),
	SNAPSHOT_U64("drains", self.drains),
	SNAPSHOT_U64("drain_ns", self.drain_ns),
	SNAPSHOT_U64("records", self.records),
	SNAPSHOT_U64("bpf_stats_ns", self.bpf_stats_ns),
	SNAPSHOT_U64("ring_size_bytes", self.ring_size_bytes),
	SNAPSHOT_U64("ring_used_bytes", self.ring_used_bytes),
	SNAPSHOT_U64("accounts_overflowed", self.accounts_overflowed),
	SNAPSHOT_U64("owners_dropped", self.owners_dropped),
	{0},
};

static const struct field row_fields[] = {
	{"kind", FIELD_KIND, offsetof(struct usage_row, kind)},
	{"namespace", FIELD_STRING, offsetof(struct usage_row, namespace_)},
	{"pod", FIELD_STRING, offsetof(struct usage_row, pod)},
	{"container", FIELD_STRING, offsetof(struct usage_row, container)},
	{"unit", FIELD_STRING, offsetof(struct usage_row, unit)},
	{"cpu_ns", FIELD_U64, offsetof(struct usage_row, cpu_ns)},
	{"wait_ns", FIELD_U64, offsetof(struct usage_row, wait_ns)},
	{"voluntary_switches", FIELD_U64, offsetof(struct usage_row, voluntary)},
	{"preempted_switches", FIELD_U64, offsetof(struct usage_row, preempted)},
	{"wait_bucket_counts", FIELD_BUCKETS, offsetof(struct usage_row, wait.bucket)},
	{"wait_sum_ns", FIELD_U64, offsetof(struct usage_row, wait.sum_ns)},
	{0},
};

static const struct field namespace_fields[] = {
	{"namespace", FIELD_STRING, offsetof(struct namespace_row, namespace_)},
	{"wait_bucket_counts", FIELD_BUCKETS, offsetof(struct namespace_row, wait.bucket)},
	{"wait_sum_ns", FIELD_U64, offsetof(struct namespace_row, wait.sum_ns)},
	{0},
};

static const struct field loss_fields[] = {
	{"plane", FIELD_STRING, offsetof(struct loss_row, plane)},
	{"cause", FIELD_STRING, offsetof(struct loss_row, cause)},
	{"count", FIELD_U64, offsetof(struct loss_row, count)},
	{0},
};

static const struct field program_fields[] = {
	{"name", FIELD_STRING, offsetof(struct program_row, name)},
	{"run_ns", FIELD_U64, offsetof(struct program_row, run_ns)},
	{"runs", FIELD_U64, offsetof(struct program_row, runs)},
	{0},
};

static const struct field feature_fields[] = {
	{"name", FIELD_STRING, offsetof(struct feature_row, name)},
	{"up", FIELD_BOOL, offsetof(struct feature_row, up)},
	{"reason", FIELD_STRING, offsetof(struct feature_row, reason)},
	{0},
};

/* The lists of a snapshot: where the pointer to their rows and the count are. */
static const struct list {
	const char *key;
	const struct field *fields;
	size_t row_bytes, rows, nr_rows;
} lists[] = {
	{"rows", row_fields, sizeof(struct usage_row), offsetof(struct snapshot, rows),
	 offsetof(struct snapshot, nr_rows)},
	{"namespaces", namespace_fields, sizeof(struct namespace_row),
	 offsetof(struct snapshot, namespaces), offsetof(struct snapshot, nr_namespaces)},
	{"losses", loss_fields, sizeof(struct loss_row), offsetof(struct snapshot, losses),
	 offsetof(struct snapshot, nr_losses)},
	{"programs", program_fields, sizeof(struct program_row),
	 offsetof(struct snapshot, programs), offsetof(struct snapshot, nr_programs)},
	{"features", feature_fields, sizeof(struct feature_row),
	 offsetof(struct snapshot, features), offsetof(struct snapshot, nr_features)},
};

#define NR_LISTS (sizeof(lists) / sizeof(lists[0]))

static const char *const kind_names[] = {[OWNER_POD] = "pod", [OWNER_UNIT] = "unit"};

static void write_key(struct buf *to, const char *key)
{
	buf_putc(to, '"');
	buf_puts(to, key);
	buf_puts(to, "\":");
}

static void write_numbers(struct buf *to, const uint64_t *numbers, size_t count)
{
	buf_putc(to, '[');
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_putc(to, ',');
		buf_put_u64(to, numbers[i]);
	}
	buf_putc(to, ']');
}

static void write_field(struct buf *to, const struct field *field, const void *at)
{
	write_key(to, field->key);
	switch (field->type) {
	case FIELD_U64:
		buf_put_u64(to, *(const uint64_t *)at);
		break;
	case FIELD_UINT:
		buf_put_u64(to, *(const unsigned int *)at);
		break;
	case FIELD_BOOL:
		buf_puts(to, *(const bool *)at ? "true" : "false");
		break;
	case FIELD_STRING:
		text_json(to, *(const char *const *)at);
		break;
	case FIELD_KIND:
		text_json(to, kind_names[*(const enum owner_kind *)at]);
		break;
	case FIELD_BUCKETS:
		write_numbers(to, at, MLPROF_HIST_BUCKETS);
		break;
	}
}

static void write_fields(struct buf *to, const struct field *fields, const void *object)
{
	for (const struct field *f = fields; f->key; f++) {
		if (f != fields)
			buf_putc(to, ',');
		write_field(to, f, (const char *)object + f->offset);
	}
}

static void write_group(struct buf *to, const char *key, const struct field *fields,
			const void *object)
{
	buf_putc(to, ',');
	write_key(to, key);
	buf_putc(to, '{');
	write_fields(to, fields, object);
	buf_putc(to, '}');
}

static void write_list(struct buf *to, const struct list *list, const struct snapshot *snap)
{
	const char *base = (const char *)snap;
	const char *rows = *(const char *const *)(base + list->rows);
	size_t count = *(const size_t *)(base + list->nr_rows);

	buf_putc(to, ',');
	write_key(to, list->key);
	buf_putc(to, '[');
	for (size_t i = 0; i < count; i++) {
		buf_puts(to, i ? ",\n{" : "\n{");
		write_fields(to, list->fields, rows + i * list->row_bytes);
		buf_putc(to, '}');
	}
	buf_putc(to, ']');
}

static void write_bounds(struct buf *to)
{
	uint64_t bounds[MLPROF_HIST_BUCKETS - 1];

	for (size_t i = 0; i < MLPROF_HIST_BUCKETS - 1; i++)
		bounds[i] = 1ULL << i;
	write_key(to, "wait_bucket_bounds_us");
	write_numbers(to, bounds, MLPROF_HIST_BUCKETS - 1);
}

int snapshot_json_write(struct buf *to, const struct snapshot *snap)
{
	buf_puts(to, "{\"schema\":\"" SNAPSHOT_JSON_SCHEMA "\",\"version\":");
	text_json(to, MLPROF_VERSION);
	buf_putc(to, ',');
	write_bounds(to);
	buf_putc(to, ',');
	write_fields(to, top_fields, snap);
	write_group(to, "node", node_fields, snap);
	write_group(to, "agent", agent_fields, snap);
	for (size_t i = 0; i < NR_LISTS; i++)
		write_list(to, &lists[i], snap);
	buf_puts(to, "}\n");
	return to->failed ? -ENOMEM : 0;
}

static int read_u64(uint64_t *to, const json_t *from)
{
	json_int_t value = json_integer_value(from);

	if (!json_is_integer(from) || value < 0)
		return -EBADMSG;
	*to = (uint64_t)value;
	return 0;
}

static int read_uint(unsigned int *to, const json_t *from)
{
	uint64_t value;
	int err = read_u64(&value, from);

	if (err || value > UINT32_MAX)
		return -EBADMSG;
	*to = (unsigned int)value;
	return 0;
}

static int read_buckets(uint64_t *to, const json_t *from)
{
	int err = json_array_size(from) == MLPROF_HIST_BUCKETS ? 0 : -EBADMSG;

	for (size_t i = 0; !err && i < MLPROF_HIST_BUCKETS; i++)
		err = read_u64(&to[i], json_array_get(from, i));
	return err;
}

static int read_string(const char **to, const json_t *from, struct snapshot *snap)
{
	if (!json_is_string(from))
		return -EBADMSG;
	*to = snapshot_strdup(snap, json_string_value(from));
	return *to ? 0 : -ENOMEM;
}

static int read_kind(enum owner_kind *to, const json_t *from)
{
	const char *name = json_string_value(from);

	for (size_t i = 0; name && i < sizeof(kind_names) / sizeof(kind_names[0]); i++) {
		*to = (enum owner_kind)i;
		if (!strcmp(name, kind_names[i]))
			return 0;
	}
	return -EBADMSG;
}

static int read_field(struct snapshot *snap, const struct field *field, void *at,
		      const json_t *from)
{
	switch (field->type) {
	case FIELD_U64:
		return read_u64(at, from);
	case FIELD_UINT:
		return read_uint(at, from);
	case FIELD_BOOL:
		*(bool *)at = json_is_true(from);
		return json_is_boolean(from) ? 0 : -EBADMSG;
	case FIELD_STRING:
		return read_string(at, from, snap);
	case FIELD_KIND:
		return read_kind(at, from);
	case FIELD_BUCKETS:
		return read_buckets(at, from);
	}
	return -EBADMSG;
}

static int read_fields(struct snapshot *snap, const struct field *fields, void *object,
		       const json_t *from, struct json_error *error)
{
	for (const struct field *f = fields; f->key; f++) {
		int err = read_field(snap, f, (char *)object + f->offset,
				     json_object_get(from, f->key));

		if (err == -EBADMSG)
			snprintf(error->text, sizeof(error->text), "'%s' is missing or bad",
				 f->key);
		if (err)
			return err;
	}
	return 0;
}

static int read_list(struct snapshot *snap, const struct list *list, const json_t *from,
		     struct json_error *error)
{
	size_t count = json_array_size(from);
	char *base = (char *)snap, *rows;
	int err = 0;

	if (!json_is_array(from) || count > MOST_ROWS) {
		snprintf(error->text, sizeof(error->text), "'%s' is missing or bad", list->key);
		return -EBADMSG;
	}
	if (!count)
		return 0;
	rows = snapshot_alloc(snap, count * list->row_bytes);
	if (!rows)
		return -ENOMEM;
	memcpy(base + list->rows, &rows, sizeof(rows));
	memcpy(base + list->nr_rows, &count, sizeof(count));
	for (size_t i = 0; !err && i < count; i++)
		err = read_fields(snap, list->fields, rows + i * list->row_bytes,
				  json_array_get(from, i), error);
	return err;
}

static int read_snapshot(struct snapshot *snap, const json_t *from, struct json_error *error)
{
	const char *schema = json_string_value(json_object_get(from, "schema"));
	int err;

	if (!schema || strcmp(schema, SNAPSHOT_JSON_SCHEMA)) {
		snprintf(error->text, sizeof(error->text), "its schema is %.60s, not %s",
			 schema ? schema : "not told", SNAPSHOT_JSON_SCHEMA);
		return -EBADMSG;
	}
	err = read_fields(snap, top_fields, snap, from, error);
	if (!err)
		err = read_fields(snap, node_fields, snap, json_object_get(from, "node"), error);
	if (!err)
		err = read_fields(snap, agent_fields, snap, json_object_get(from, "agent"), error);
	for (size_t i = 0; !err && i < NR_LISTS; i++)
		err = read_list(snap, &lists[i], json_object_get(from, lists[i].key), error);
	return err;
}

/* The text may be anybody's, and what is wrong with it is shown on a terminal. */
static void make_plain(struct json_error *error)
{
	for (char *c = error->text; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
}

int snapshot_json_read(const char *text, size_t bytes, struct snapshot **snap,
		       struct json_error *error)
{
	json_error_t why;
	json_t *root = json_loadb(text, bytes, 0, &why);
	int err = -EBADMSG;

	error->text[0] = '\0';
	*snap = root ? snapshot_new() : NULL;
	if (!root)
		snprintf(error->text, sizeof(error->text), "it is no JSON: %.100s", why.text);
	else
		err = *snap ? read_snapshot(*snap, root, error) : -ENOMEM;
	json_decref(root);
	if (err) {
		snapshot_put(*snap);
		*snap = NULL;
		make_plain(error);
	}
	return err;
}
