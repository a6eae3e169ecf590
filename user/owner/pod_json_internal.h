/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that read a pod have of each other. */
#ifndef MLPROF_OWNER_POD_JSON_INTERNAL_H
#define MLPROF_OWNER_POD_JSON_INTERNAL_H

#include "owner/pod_json.h"

/*
 * What is behind `key`, if it is of that type; NULL if it is absent, null or, which is counted, of
 * another type. `object` may be NULL.
 */
const json_t *pod_json_get(struct pod_json *json, const json_t *object, const char *key,
			   json_type type);

/* The same for a text of at most `most` bytes, which stays the object's; "" if there is none. */
const char *pod_json_peek(struct pod_json *json, const json_t *object, const char *key,
			  size_t most);

/* Copies to what lives as long as the pod. 0 or -ENOMEM. */
int pod_json_copy(struct pod_json *json, const char *text, size_t bytes, const char **to);
int pod_json_copy_field(struct pod_json *json, const json_t *object, const char *key, size_t most,
			const char **to);

/* And something before it. */
bool pod_json_ends_with(const char *text, const char *suffix);

/* The containers of all three lists. 0 or -ENOMEM. */
int pod_json_containers(struct pod_json *json, const json_t *object, struct pod *pod);

/* What the status says, else what follows from the containers, which are read already. */
const char *pod_json_qos(struct pod_json *json, const json_t *object, const struct pod *pod);

#endif
