// SPDX-License-Identifier: Apache-2.0
/* Fields of an object that may have anything in it. */
#include <errno.h>
#include <string.h>

#include "owner/pod_json_internal.h"

/* What is behind `key`, NULL if nothing is. jansson takes NULL for an object that has nothing. */
const json_t *pod_json_get(struct pod_json *json, const json_t *object, const char *key,
			   json_type type)
{
	const json_t *value = json_object_get(object, key);

	if (!value || json_is_null(value))
		return NULL;
	if (json_typeof(value) == type)
		return value;
	json->malformed++;
	return NULL;
}

/* The same for texts, not copied; "" if there is none. */
const char *pod_json_peek(struct pod_json *json, const json_t *object, const char *key, size_t most)
{
	const json_t *value = pod_json_get(json, object, key, JSON_STRING);
	size_t bytes = json_string_length(value);

	if (!value)
		return "";
	if (bytes <= most && strlen(json_string_value(value)) == bytes)
		return json_string_value(value);
	json->malformed++;
	return "";
}

int pod_json_copy(struct pod_json *json, const char *text, size_t bytes, const char **to)
{
	*to = bytes ? arena_text(json->arena, text, bytes) : "";
	return *to ? 0 : -ENOMEM;
}

int pod_json_copy_field(struct pod_json *json, const json_t *object, const char *key, size_t most,
			const char **to)
{
	const char *text = pod_json_peek(json, object, key, most);

	return pod_json_copy(json, text, strlen(text), to);
}

bool pod_json_ends_with(const char *text, const char *suffix)
{
	size_t bytes = strlen(text), tail = strlen(suffix);

	return bytes > tail && !strcmp(text + bytes - tail, suffix);
}
