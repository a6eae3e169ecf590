/* SPDX-License-Identifier: Apache-2.0 */
/* One pod of the Kubernetes API, as JSON, into a struct pod. */
#ifndef MLPROF_OWNER_POD_JSON_H
#define MLPROF_OWNER_POD_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "owner/pods_build.h"

struct pod_json {
	struct arena *arena; /* what the pod's texts and arrays are taken from */
	const char *labels;  /* comma-separated: those to keep */
	bool from_kubelet;   /* and not from the API server */
	uint64_t malformed;  /* fields that were left out: of a wrong type, too long, too many */
};

/* 0; -EBADMSG if it lacks a namespace, a name or a UID, or is no pod at all; -ENOMEM. */
int pod_json_read(struct pod_json *json, const json_t *object, struct pod *pod);

#endif
