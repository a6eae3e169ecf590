// SPDX-License-Identifier: Apache-2.0
/* Whether two lists of pods say the same, so that whoever follows them works only on changes. */
#include <string.h>

#include "owner/pods_build.h"

static bool same(const char *a, const char *b)
{
	return !strcmp(a, b);
}

static bool same_amounts(const struct pod_amounts *a, const struct pod_amounts *b)
{
	return a->cpu_milli == b->cpu_milli && a->memory_bytes == b->memory_bytes &&
	       a->gpus == b->gpus;
}

static bool same_container(const struct pod_container *a, const struct pod_container *b)
{
	return a->kind == b->kind && same(a->name, b->name) && same(a->id, b->id) &&
	       same(a->previous_id, b->previous_id) && same(a->runtime, b->runtime) &&
	       same_amounts(&a->request, &b->request) && same_amounts(&a->limit, &b->limit);
}

static bool same_containers(const struct pod *a, const struct pod *b)
{
	if (a->nr_containers != b->nr_containers)
		return false;
	for (size_t i = 0; i < a->nr_containers; i++)
		if (!same_container(&a->containers[i], &b->containers[i]))
			return false;
	return true;
}

static bool same_labels(const struct pod *a, const struct pod *b)
{
	if (a->nr_labels != b->nr_labels)
		return false;
	for (size_t i = 0; i < a->nr_labels; i++)
		if (!same(a->labels[i].name, b->labels[i].name) ||
		    !same(a->labels[i].value, b->labels[i].value))
			return false;
	return true;
}

static bool same_pod(const struct pod *a, const struct pod *b)
{
	return same(a->namespace_, b->namespace_) && same(a->name, b->name) &&
	       same(a->uid, b->uid) && same(a->cgroup_uid, b->cgroup_uid) &&
	       same(a->owner_kind, b->owner_kind) && same(a->owner_name, b->owner_name) &&
	       same(a->qos, b->qos) && same_labels(a, b) && same_containers(a, b);
}

static bool same_devices(const struct pod_device *a, size_t nr_a, const struct pod_device *b,
			 size_t nr_b)
{
	if (nr_a != nr_b || !a != !b)
		return false;
	for (size_t i = 0; a && i < nr_a; i++)
		if (!same(a[i].namespace_, b[i].namespace_) || !same(a[i].pod, b[i].pod) ||
		    !same(a[i].container, b[i].container) || !same(a[i].resource, b[i].resource) ||
		    !same(a[i].id, b[i].id))
			return false;
	return true;
}

bool pods_same(const struct pods *a, const struct pods *b)
{
	if (!a || !b)
		return a == b;
	if (a->nr != b->nr)
		return false;
	for (size_t i = 0; i < a->nr; i++)
		if (!same_pod(&a->pod[i], &b->pod[i]))
			return false;
	return same_devices(a->devices, a->nr_devices, b->devices, b->nr_devices) &&
	       same_devices(a->allocatable, a->nr_allocatable, b->allocatable, b->nr_allocatable);
}
