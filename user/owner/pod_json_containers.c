// SPDX-License-Identifier: Apache-2.0
/* The containers of one pod, what they ask for, and the class that this gives the pod. */
#include <errno.h>
#include <string.h>

#include "owner/pod_json_internal.h"
#include "owner/quantity.h"

static bool is_gpu(const char *resource)
{
	return pod_json_ends_with(resource, "/gpu") || !strncmp(resource, "nvidia.com/mig-", 15);
}

/* Servers write texts. Whole numbers are as clear, and some proxies make them out of texts. */
static int64_t amount(struct pod_json *json, const json_t *value, unsigned int places)
{
	int64_t read;

	if (json_is_string(value) && quantity_read(json_string_value(value), places, &read))
		return read;
	if (json_is_integer(value) && json_integer_value(value) >= 0 &&
	    json_integer_value(value) <= INT64_MAX / 1000)
		return (int64_t)json_integer_value(value) * (places ? 1000 : 1);
	json->malformed++;
	return -1;
}

static void add_gpus(int64_t *sum, int64_t more)
{
	if (more >= 0 && __builtin_add_overflow(*sum < 0 ? 0 : *sum, more, sum))
		*sum = INT64_MAX;
}

static void read_amounts(struct pod_json *json, const json_t *object, struct pod_amounts *amounts)
{
	const char *name;
	json_t *value;

	*amounts = POD_AMOUNTS_ABSENT;
	json_object_foreach((json_t *)object, name, value)
	{
		if (!strcmp(name, "cpu"))
			amounts->cpu_milli = amount(json, value, 3);
		else if (!strcmp(name, "memory"))
			amounts->memory_bytes = amount(json, value, 0);
		else if (is_gpu(name))
			add_gpus(&amounts->gpus, amount(json, value, 0));
	}
}

/* "containerd://<id>" into its two halves; *runtime stays as it is if there is no id. */
static int read_id(struct pod_json *json, const json_t *object, const char **id,
		   const char **runtime)
{
	const char *text = pod_json_peek(json, object, "containerID", POD_CONTAINER_ID_MAX);
	const char *colon = strstr(text, "://");

	*id = "";
	if (!*text)
		return 0;
	if (!colon || colon == text || !colon[3]) {
		json->malformed++;
		return 0;
	}
	if (pod_json_copy(json, text, (size_t)(colon - text), runtime))
		return -ENOMEM;
	return pod_json_copy(json, colon + 3, strlen(colon + 3), id);
}

static const json_t *terminated(struct pod_json *json, const json_t *status, const char *state)
{
	return pod_json_get(json, pod_json_get(json, status, state, JSON_OBJECT), "terminated",
			    JSON_OBJECT);
}

/* A container that has ended may have its id only there. */
static int read_ids(struct pod_json *json, const json_t *status, struct pod_container *container)
{
	int err;

	container->runtime = "";
	err = read_id(json, terminated(json, status, "lastState"), &container->previous_id,
		      &container->runtime);
	if (!err)
		err = read_id(json, status, &container->id, &container->runtime);
	if (!err && !*container->id)
		err = read_id(json, terminated(json, status, "state"), &container->id,
			      &container->runtime);
	return err;
}

static const json_t *find_status(struct pod_json *json, const json_t *statuses, const char *name)
{
	for (size_t i = 0; i < json_array_size(statuses) && i < POD_CONTAINERS_MAX; i++) {
		const json_t *status = json_array_get(statuses, i);

		if (json_is_object(status) &&
		    !strcmp(pod_json_peek(json, status, "name", POD_NAME_MAX), name))
			return status;
	}
	return NULL;
}

/* One of the three lists of containers, in the specification and in the status. */
struct container_list {
	enum pod_container_kind kind;
	const char *spec, *status;
};

static const struct container_list container_lists[] = {
	{CONTAINER_APP, "containers", "containerStatuses"},
	{CONTAINER_INIT, "initContainers", "initContainerStatuses"},
	{CONTAINER_EPHEMERAL, "ephemeralContainers", "ephemeralContainerStatuses"},
};

static enum pod_container_kind kind_of(struct pod_json *json, const struct container_list *list,
				       const json_t *spec)
{
	if (list->kind == CONTAINER_INIT &&
	    !strcmp(pod_json_peek(json, spec, "restartPolicy", POD_NAME_MAX), "Always"))
		return CONTAINER_SIDECAR;
	return list->kind;
}

static bool has_container(const struct pod_container *rows, size_t nr, const char *name)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(rows[i].name, name))
			return true;
	return false;
}

/* 0, -EBADMSG for what has no name of its own, -ENOMEM. */
static int read_container(struct pod_json *json, const struct container_list *list,
			  const json_t *spec, const json_t *statuses, struct pod_container *rows,
			  size_t nr)
{
	struct pod_container *container = &rows[nr];
	const char *name =
		json_is_object(spec) ? pod_json_peek(json, spec, "name", POD_NAME_MAX) : "";
	const json_t *resources;

	if (!*name || has_container(rows, nr, name))
		return -EBADMSG;
	container->kind = kind_of(json, list, spec);
	resources = pod_json_get(json, spec, "resources", JSON_OBJECT);
	read_amounts(json, pod_json_get(json, resources, "requests", JSON_OBJECT),
		     &container->request);
	read_amounts(json, pod_json_get(json, resources, "limits", JSON_OBJECT), &container->limit);
	if (pod_json_copy(json, name, strlen(name), &container->name))
		return -ENOMEM;
	return read_ids(json, find_status(json, statuses, name), container);
}

/* Appends the containers of one list. */
static int read_list(struct pod_json *json, const struct container_list *list, const json_t *object,
		     struct pod_container *rows, size_t *nr)
{
	const json_t *specs = pod_json_get(json, pod_json_get(json, object, "spec", JSON_OBJECT),
					   list->spec, JSON_ARRAY);
	const json_t *statuses = pod_json_get(
		json, pod_json_get(json, object, "status", JSON_OBJECT), list->status, JSON_ARRAY);

	for (size_t i = 0; i < json_array_size(specs); i++) {
		int err = -EBADMSG;

		if (*nr < POD_CONTAINERS_MAX)
			err = read_container(json, list, json_array_get(specs, i), statuses, rows,
					     *nr);
		if (err == -ENOMEM)
			return err;
		if (err)
			json->malformed++;
		else
			++*nr;
	}
	return 0;
}

static size_t count_containers(const json_t *object)
{
	const json_t *spec = json_object_get(object, "spec");
	size_t nr = 0;

	for (size_t i = 0; i < sizeof(container_lists) / sizeof(container_lists[0]); i++)
		nr += json_array_size(json_object_get(spec, container_lists[i].spec));
	return nr < POD_CONTAINERS_MAX ? nr : POD_CONTAINERS_MAX;
}

int pod_json_containers(struct pod_json *json, const json_t *object, struct pod *pod)
{
	struct pod_container *rows;
	int err = 0;

	rows = arena_alloc(json->arena, count_containers(object), sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	pod->containers = rows;
	for (size_t i = 0; !err && i < sizeof(container_lists) / sizeof(container_lists[0]); i++)
		err = read_list(json, &container_lists[i], object, rows, &pod->nr_containers);
	return err;
}

static bool asks_for_something(const struct pod_amounts *amounts)
{
	return amounts->cpu_milli > 0 || amounts->memory_bytes > 0;
}

static bool is_guaranteed(const struct pod_container *c)
{
	const struct pod_amounts *request = &c->request, *limit = &c->limit;

	return limit->cpu_milli > 0 && limit->memory_bytes > 0 &&
	       (request->cpu_milli < 0 || request->cpu_milli == limit->cpu_milli) &&
	       (request->memory_bytes < 0 || request->memory_bytes == limit->memory_bytes);
}

/* As Kubernetes does it; ephemeral containers ask for nothing and do not count. */
static const char *compute_qos(const struct pod *pod)
{
	bool guaranteed = pod->nr_containers > 0, any = false;

	for (size_t i = 0; i < pod->nr_containers; i++) {
		const struct pod_container *c = &pod->containers[i];

		if (c->kind == CONTAINER_EPHEMERAL)
			continue;
		any |= asks_for_something(&c->request) || asks_for_something(&c->limit);
		guaranteed &= is_guaranteed(c);
	}
	if (!any)
		return "BestEffort";
	return guaranteed ? "Guaranteed" : "Burstable";
}

const char *pod_json_qos(struct pod_json *json, const json_t *object, const struct pod *pod)
{
	static const char *const classes[] = {"Guaranteed", "Burstable", "BestEffort"};
	const char *qos = pod_json_peek(json, pod_json_get(json, object, "status", JSON_OBJECT),
					"qosClass", 64);

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (!strcmp(qos, classes[i]))
			return classes[i];
	if (*qos)
		json->malformed++;
	return compute_qos(pod);
}
