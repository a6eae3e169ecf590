// SPDX-License-Identifier: Apache-2.0
/*
 * Lists of pods: much in them is what anybody who may make a pod has written. What is accepted must
 * be sorted, named and within bounds, and merging it with itself must change nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "owner/podlist.h"
#include "owner/pods_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t least, size_t most)
{
	size_t bytes = strlen(text);

	if (bytes < least || bytes > most)
		abort();
}

static void check_amounts(const struct pod_amounts *amounts)
{
	if (amounts->cpu_milli < -1 || amounts->memory_bytes < -1 || amounts->gpus < -1)
		abort();
}

static void check_container(const struct pod_container *c)
{
	check_text(c->name, 1, POD_NAME_MAX);
	check_text(c->id, 0, POD_CONTAINER_ID_MAX);
	check_text(c->previous_id, 0, POD_CONTAINER_ID_MAX);
	check_text(c->runtime, *c->id || *c->previous_id ? 1 : 0, POD_CONTAINER_ID_MAX);
	check_amounts(&c->request);
	check_amounts(&c->limit);
}

static void check_pod(const struct pod *pod)
{
	check_text(pod->namespace_, 1, POD_NAME_MAX);
	check_text(pod->name, 1, POD_NAME_MAX);
	check_text(pod->uid, 1, POD_UID_MAX);
	check_text(pod->cgroup_uid, 1, POD_UID_MAX);
	check_text(pod->owner_kind, 0, POD_NAME_MAX);
	check_text(pod->owner_name, 0, POD_NAME_MAX);
	check_text(pod->qos, strlen("Burstable"), strlen("BestEffort"));
	if (pod->nr_labels > 2 || pod->nr_containers > POD_CONTAINERS_MAX)
		abort();
	for (size_t i = 0; i < pod->nr_labels; i++)
		check_text(pod->labels[i].value, 0, POD_NAME_MAX);
	for (size_t i = 0; i < pod->nr_containers; i++)
		check_container(&pod->containers[i]);
}

static void check_list(const struct pods *pods)
{
	const struct pods *merged = pods_merge(pods, pods);

	for (size_t i = 0; i < pods->nr; i++) {
		check_pod(&pods->pod[i]);
		if (pods_find(pods, pods->pod[i].cgroup_uid) != &pods->pod[i])
			abort();
		if (i && strcmp(pods->pod[i - 1].cgroup_uid, pods->pod[i].cgroup_uid) >= 0)
			abort();
	}
	if (!pods_same(pods, merged))
		abort();
	pods_put(merged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct podlist_options options = {.labels = "app,team", .from_kubelet = size % 2};
	struct podlist *list = podlist_new(&options);
	struct podlist_skipped skipped;
	const struct pods *pods;

	if (!podlist_read(list, (const char *)data, size)) {
		pods = podlist_done(list, &skipped);
		check_list(pods);
		pods_put(pods);
	}
	podlist_free(list);
	return 0;
}
