// SPDX-License-Identifier: Apache-2.0
/*
 * Lists of pods. As a tree in memory a list takes ten times its text, and what people write into
 * their pods is most of it: so only one pod at a time is made a tree.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "owner/pod_json.h"
#include "owner/podlist.h"

/* One object; the API server's own store takes 1.5 MiB. */
#define VALUE_MAX_BYTES ((size_t)2 << 20)
#define CONTINUE_MAX	8192

struct podlist {
	struct podlist_options options;
	struct pods *pods;
	struct pod *rows;
	size_t nr, capacity;
	struct podlist_skipped skipped;
	char next[CONTINUE_MAX + 1];
};

struct cursor {
	const char *at, *end;
};

static void skip_space(struct cursor *c)
{
	while (c->at < c->end && *c->at && strchr(" \t\r\n", *c->at))
		c->at++;
}

static bool take(struct cursor *c, char wanted)
{
	skip_space(c);
	if (c->at == c->end || *c->at != wanted)
		return false;
	c->at++;
	return true;
}

/* Texts that people write may hold a NUL, which must not cost the node its list. */
static json_t *take_value(struct cursor *c)
{
	size_t bytes = (size_t)(c->end - c->at);
	json_error_t where;
	json_t *value;

	value = json_loadb(c->at, bytes < VALUE_MAX_BYTES ? bytes : VALUE_MAX_BYTES,
			   JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY | JSON_ALLOW_NUL, &where);
	if (value)
		c->at += where.position;
	return value;
}

static int grow(struct podlist *list)
{
	size_t capacity = list->capacity ? list->capacity * 2 : 64;
	struct pod *rows = reallocarray(list->rows, capacity, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	list->rows = rows;
	list->capacity = capacity;
	return 0;
}

static bool is_elsewhere(const struct podlist *list, const json_t *object)
{
	const char *node;

	if (!list->options.node || !*list->options.node)
		return false;
	node = json_string_value(json_object_get(json_object_get(object, "spec"), "nodeName"));
	return node && *node && strcmp(node, list->options.node) != 0;
}

static bool is_full(const struct podlist *list)
{
	return list->nr == PODS_MAX || pods_arena(list->pods)->bytes > PODS_MAX_BYTES;
}

/* What is wrong with one pod is no reason to lose the others. */
static int add_pod(struct podlist *list, const json_t *object)
{
	struct pod_json json = {
		.arena = pods_arena(list->pods),
		.labels = list->options.labels,
		.from_kubelet = list->options.from_kubelet,
	};
	int err = is_full(list) ? -EBADMSG : 0;

	if (is_elsewhere(list, object)) {
		list->skipped.elsewhere++;
		return 0;
	}
	if (!err && list->nr == list->capacity)
		err = grow(list);
	if (!err)
		err = pod_json_read(&json, object, &list->rows[list->nr]);
	if (err == -EBADMSG) {
		list->skipped.pods++;
		return 0;
	}
	if (!err) {
		list->nr++;
		list->skipped.fields += json.malformed;
	}
	return err;
}

static int read_pod(struct podlist *list, struct cursor *c)
{
	json_t *object = take_value(c);
	int err;

	if (!object)
		return -EBADMSG;
	err = add_pod(list, object);
	json_decref(object);
	return err;
}

/* The elements of an array, its bracket being read. */
static int read_items(struct podlist *list, struct cursor *c)
{
	int err;

	if (take(c, ']'))
		return 0;
	do {
		skip_space(c);
		err = read_pod(list, c);
	} while (!err && take(c, ','));
	if (err)
		return err;
	return take(c, ']') ? 0 : -EBADMSG;
}

static void note_continue(struct podlist *list, const json_t *metadata)
{
	const json_t *value = json_object_get(metadata, "continue");
	size_t bytes = json_string_length(value);

	if (bytes && bytes <= CONTINUE_MAX && !memchr(json_string_value(value), 0, bytes))
		memcpy(list->next, json_string_value(value), bytes + 1);
}

/* `items` is null where there are none. */
static int read_member(struct podlist *list, struct cursor *c, const char *name, bool *has_items)
{
	bool is_items = !strcmp(name, "items");
	json_t *value;
	int err = 0;

	if (is_items && take(c, '[')) {
		*has_items = true;
		return read_items(list, c);
	}
	skip_space(c);
	value = take_value(c);
	if (!value)
		return -EBADMSG;
	if (is_items && !json_is_null(value))
		err = -EBADMSG;
	*has_items |= is_items;
	if (!strcmp(name, "metadata"))
		note_continue(list, value);
	json_decref(value);
	return err;
}

static int read_name_and_member(struct podlist *list, struct cursor *c, bool *has_items)
{
	json_t *name;
	int err = -EBADMSG;

	skip_space(c);
	name = take_value(c);
	if (json_is_string(name) && take(c, ':'))
		err = read_member(list, c, json_string_value(name), has_items);
	json_decref(name);
	return err;
}

int podlist_read(struct podlist *list, const char *text, size_t bytes)
{
	struct cursor c = {.at = text, .end = text + bytes};
	bool has_items = false;
	int err;

	list->next[0] = '\0';
	if (!take(&c, '{'))
		return -EBADMSG;
	do
		err = read_name_and_member(list, &c, &has_items);
	while (!err && take(&c, ','));
	if (err)
		return err;
	if (!take(&c, '}') || !has_items)
		return -EBADMSG;
	skip_space(&c);
	return c.at == c.end ? 0 : -EBADMSG;
}

const char *podlist_continue(const struct podlist *list)
{
	return list->next;
}

struct podlist *podlist_new(const struct podlist_options *options)
{
	struct podlist *list = calloc(1, sizeof(*list));

	if (!list)
		return NULL;
	list->options = *options;
	list->pods = pods_new();
	if (!list->pods) {
		free(list);
		return NULL;
	}
	return list;
}

void podlist_free(struct podlist *list)
{
	if (!list)
		return;
	pods_put(list->pods);
	free(list->rows);
	free(list);
}

const struct pods *podlist_done(struct podlist *list, struct podlist_skipped *skipped)
{
	size_t dropped;

	if (pods_set(list->pods, list->rows, list->nr, &dropped))
		return NULL;
	list->skipped.duplicates += dropped;
	if (skipped)
		*skipped = list->skipped;
	return pods_hold(list->pods);
}
