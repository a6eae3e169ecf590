// SPDX-License-Identifier: Apache-2.0
/*
 * Pods as the kubelet and the API server write them. Whoever makes a pod chooses much of what is in
 * it, so any field may be missing, of another type or of any size; then it is left out and counted.
 */
#include <errno.h>
#include <string.h>

#include "owner/pod_json_internal.h"

#define CONFIG_HASH   "kubernetes.io/config.hash"
#define CONFIG_MIRROR "kubernetes.io/config.mirror"
#define CONFIG_SOURCE "kubernetes.io/config.source"

static size_t count_names(const char *list)
{
	size_t nr = 1;

	for (; *list; list++)
		nr += *list == ',';
	return nr;
}

/* One label: `name` is not terminated. 1 if the pod has it, 0 if not, -ENOMEM. */
static int read_label(struct pod_json *json, const json_t *labels, const char *name, size_t bytes,
		      struct pod_label *label)
{
	const json_t *value = json_object_getn(labels, name, bytes);

	if (!value || !bytes)
		return 0;
	if (!json_is_string(value) || json_string_length(value) > POD_NAME_MAX ||
	    strlen(json_string_value(value)) != json_string_length(value)) {
		json->malformed++;
		return 0;
	}
	if (pod_json_copy(json, name, bytes, &label->name) ||
	    pod_json_copy(json, json_string_value(value), json_string_length(value), &label->value))
		return -ENOMEM;
	return 1;
}

static int read_labels(struct pod_json *json, const json_t *metadata, struct pod *pod)
{
	const json_t *labels = pod_json_get(json, metadata, "labels", JSON_OBJECT);
	const char *at = json->labels ? json->labels : "", *end;
	struct pod_label *rows;
	int got;

	if (!*at || !labels)
		return 0;
	rows = arena_alloc(json->arena, count_names(at), sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	pod->labels = rows;
	for (;; at = end + 1) {
		end = strchrnul(at, ',');
		got = read_label(json, labels, at, (size_t)(end - at), &rows[pod->nr_labels]);
		if (got < 0)
			return got;
		pod->nr_labels += (size_t)got;
		if (!*end)
			return 0;
	}
}

static const json_t *find_controller(struct pod_json *json, const json_t *metadata)
{
	const json_t *references = pod_json_get(json, metadata, "ownerReferences", JSON_ARRAY);

	for (size_t i = 0; i < json_array_size(references); i++)
		if (json_is_true(json_object_get(json_array_get(references, i), "controller")))
			return json_array_get(references, i);
	return NULL;
}

/*
 * What made a ReplicaSet puts a hash on its pods and the same hash behind the name of the
 * ReplicaSet. One that somebody made by hand has no such label.
 */
static bool owner_of_replicas(struct pod_json *json, const json_t *metadata, struct pod *pod)
{
	static const struct {
		const char *label, *kind;
	} makers[] = {{"pod-template-hash", "Deployment"},
		      {"rollouts-pod-template-hash", "Rollout"}};
	const json_t *labels = pod_json_get(json, metadata, "labels", JSON_OBJECT);
	size_t bytes = strlen(pod->owner_name);

	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		const char *hash = pod_json_peek(json, labels, makers[i].label, POD_NAME_MAX);
		size_t tail = strlen(hash) + 1;

		if (tail < 2 || bytes <= tail || !pod_json_ends_with(pod->owner_name, hash) ||
		    pod->owner_name[bytes - tail] != '-')
			continue;
		pod->owner_kind = makers[i].kind;
		return !pod_json_copy(json, pod->owner_name, bytes - tail, &pod->owner_name);
	}
	return true;
}

static int read_owner(struct pod_json *json, const json_t *metadata, struct pod *pod)
{
	const json_t *controller = find_controller(json, metadata);

	if (pod_json_copy_field(json, controller, "kind", POD_NAME_MAX, &pod->owner_kind) ||
	    pod_json_copy_field(json, controller, "name", POD_NAME_MAX, &pod->owner_name))
		return -ENOMEM;
	if (strcmp(pod->owner_kind, "ReplicaSet") != 0)
		return 0;
	return owner_of_replicas(json, metadata, pod) ? 0 : -ENOMEM;
}

static bool is_hash(const char *text)
{
	return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

/*
 * A static pod's cgroup bears the hash of its manifest. The API server knows the pod by a mirror
 * with a UID of its own and both annotations. The kubelet knows it by itself, and itself says where
 * it has each pod from; to the API server that is a text like others, which people may write.
 */
static bool is_static(struct pod_json *json, const json_t *notes, const char *hash)
{
	const char *source = pod_json_peek(json, notes, CONFIG_SOURCE, POD_NAME_MAX);

	if (!is_hash(hash))
		return false;
	if (json->from_kubelet && *source)
		return strcmp(source, "api") != 0;
	return !strcmp(pod_json_peek(json, notes, CONFIG_MIRROR, POD_UID_MAX), hash);
}

/* A mirror says that its node owns it; the kubelet's own view does not, but means the same. */
static int read_static(struct pod_json *json, const json_t *object, const json_t *metadata,
		       struct pod *pod)
{
	const json_t *notes = pod_json_get(json, metadata, "annotations", JSON_OBJECT);
	const char *hash = pod_json_peek(json, notes, CONFIG_HASH, POD_UID_MAX);

	pod->cgroup_uid = pod->uid;
	if (!is_static(json, notes, hash))
		return 0;
	if (pod_json_copy(json, hash, strlen(hash), &pod->cgroup_uid))
		return -ENOMEM;
	pod->owner_kind = "Node";
	return pod_json_copy_field(json, pod_json_get(json, object, "spec", JSON_OBJECT),
				   "nodeName", POD_NAME_MAX, &pod->owner_name);
}

static int read_names(struct pod_json *json, const json_t *metadata, struct pod *pod)
{
	if (pod_json_copy_field(json, metadata, "namespace", POD_NAME_MAX, &pod->namespace_) ||
	    pod_json_copy_field(json, metadata, "name", POD_NAME_MAX, &pod->name) ||
	    pod_json_copy_field(json, metadata, "uid", POD_UID_MAX, &pod->uid))
		return -ENOMEM;
	return *pod->namespace_ && *pod->name && *pod->uid ? 0 : -EBADMSG;
}

int pod_json_read(struct pod_json *json, const json_t *object, struct pod *pod)
{
	const json_t *metadata;
	int err;

	*pod = (struct pod){0};
	if (!json_is_object(object))
		return -EBADMSG;
	metadata = pod_json_get(json, object, "metadata", JSON_OBJECT);
	err = read_names(json, metadata, pod);
	if (!err)
		err = read_owner(json, metadata, pod);
	if (!err)
		err = read_static(json, object, metadata, pod);
	if (!err)
		err = read_labels(json, metadata, pod);
	if (!err)
		err = pod_json_containers(json, object, pod);
	if (!err)
		pod->qos = pod_json_qos(json, object, pod);
	return err;
}
