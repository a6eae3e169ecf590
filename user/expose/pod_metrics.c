// SPDX-License-Identifier: Apache-2.0
/*
 * Families that come from the list of pods: who they are, what they asked for, what they were
 * given; and those that tell how old that list is. Usage is not from here, and goes on without.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expose/pod_metrics.h"

static int name_order(const struct pod *a, const struct pod *b)
{
	int order = strcmp(a->namespace_, b->namespace_);

	return order ? order : strcmp(a->name, b->name);
}

static int compare(const void *a, const void *b)
{
	return name_order(*(const struct pod *const *)a, *(const struct pod *const *)b);
}

/* A pod that was made again under its name is there twice, and then side by side. */
static int sort_pods(struct writer *w)
{
	const struct pods *pods = w->snap->pods;

	w->nr_pods = pods->nr;
	w->pods = calloc(pods->nr + 1, sizeof(const struct pod *));
	if (!w->pods)
		return -ENOMEM;
	for (size_t i = 0; i < pods->nr; i++)
		w->pods[i] = &pods->pod[i];
	qsort(w->pods, w->nr_pods, sizeof(const struct pod *), compare);
	return 0;
}

/* label_NAME, with what no label's name may have made to _. */
static void put_pod_label(struct writer *w, const struct pod_label *label)
{
	char name[512];
	int bytes = snprintf(name, sizeof(name), "label_%s", label->name);

	for (int i = 0; i < bytes && (size_t)i < sizeof(name) - 1; i++)
		if (!isalnum((unsigned char)name[i]))
			name[i] = '_';
	put_more(w, name, label->value);
}

static void pod_info(struct writer *w, const struct family *family)
{
	const struct pods *pods = w->snap->pods;

	(void)family;
	for (size_t i = 0; i < pods->nr; i++) {
		const struct pod *pod = &pods->pod[i];

		put_label(w, "namespace", pod->namespace_);
		put_more(w, "pod", pod->name);
		put_more(w, "uid", pod->uid);
		put_more(w, "node", w->snap->node);
		put_more(w, "owner_kind", pod->owner_kind);
		put_more(w, "owner_name", pod->owner_name);
		put_more(w, "qos", pod->qos);
		for (size_t l = 0; l < pod->nr_labels; l++)
			put_pod_label(w, &pod->labels[l]);
		buf_putc(w->to, '}');
		put_value(w, 1);
	}
}

/* `offset` is that of an int64_t in a container: -1 is absent. */
static void put_amounts(struct writer *w, const struct pod *pod, size_t offset)
{
	for (size_t i = 0; i < pod->nr_containers; i++) {
		const struct pod_container *container = &pod->containers[i];
		int64_t amount = (int64_t)value_at(container, offset);

		if (amount < 0)
			continue;
		put_label(w, "namespace", pod->namespace_);
		put_more(w, "pod", pod->name);
		put_more(w, "container", container->name);
		buf_putc(w->to, '}');
		put_value(w, (uint64_t)amount);
	}
}

static void amounts(struct writer *w, const struct family *family)
{
	for (size_t i = 0; i < w->nr_pods; i++)
		if (!i || name_order(w->pods[i - 1], w->pods[i]))
			put_amounts(w, w->pods[i], family->offset);
}

static bool same_holder(const struct pod_device *a, const struct pod_device *b)
{
	return !strcmp(a->namespace_, b->namespace_) && !strcmp(a->pod, b->pod) &&
	       !strcmp(a->container, b->container) && !strcmp(a->resource, b->resource);
}

/* How many devices of a kind a container has been given; they lie together. */
static void devices(struct writer *w, const struct family *family)
{
	const struct pods *pods = w->snap->pods;
	size_t end;

	(void)family;
	for (size_t i = 0; i < pods->nr_devices; i = end) {
		const struct pod_device *device = &pods->devices[i];

		for (end = i + 1; end < pods->nr_devices; end++)
			if (!same_holder(device, &pods->devices[end]))
				break;
		if (!strcmp(device->resource, "cpu"))
			continue;
		put_label(w, "namespace", device->namespace_);
		put_more(w, "pod", device->pod);
		put_more(w, "container", device->container);
		put_more(w, "resource", device->resource);
		buf_putc(w->to, '}');
		put_value(w, end - i);
	}
}

static void source_up(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < NAMES_SOURCES; i++)
		if (w->snap->names[i].asked)
			put_labelled(w, "source", names_source_names[i], w->snap->names[i].up);
}

static void source_age(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < NAMES_SOURCES; i++) {
		const struct names_status *status = &w->snap->names[i];
		uint64_t now = w->snap->names_ns;

		if (status->asked && status->good_ns)
			put_labelled(w, "source", names_source_names[i],
				     now > status->good_ns ? now - status->good_ns : 0);
	}
}

static void source_failures(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < NAMES_SOURCES; i++) {
		const struct names_status *status = &w->snap->names[i];

		for (size_t cause = 0; status->asked && cause < NAMES_FAILURES; cause++) {
			put_label(w, "source", names_source_names[i]);
			put_more(w, "cause", names_failure_names[cause]);
			buf_putc(w->to, '}');
			put_value(w, status->failures[cause]);
		}
	}
}

static void skipped(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < NAMES_SOURCES; i++)
		if (w->snap->names[i].asked && w->snap->names[i].good_ns)
			put_labelled(w, "source", names_source_names[i], w->snap->names[i].skipped);
}

static void nameless(struct writer *w, const struct family *family)
{
	bool any = false;

	(void)family;
	for (size_t i = 0; i < NAMES_SOURCES; i++)
		any |= w->snap->names[i].asked;
	if (any)
		put_plain(w, w->snap->pods_nameless);
}

#define CONTAINER(field) offsetof(struct pod_container, field)

static const struct family of_sources[] = {
	{"mlprof_names_source_up", GAUGE, UNIT_NONE,
	 "1 if the last answer of a source of names was good.", source_up, 0},
	{"mlprof_names_source_age_seconds", GAUGE, UNIT_SECONDS,
	 "How long ago a source of names gave a good answer.", source_age, 0},
	{"mlprof_names_source_failures", COUNTER, UNIT_NONE,
	 "Questions to a source of names that got no good answer, by cause.", source_failures, 0},
	{"mlprof_names_source_skipped", GAUGE, UNIT_NONE,
	 "Pods and fields of a source's last good answer that could not be used.", skipped, 0},
	{"mlprof_pods_nameless", GAUGE, UNIT_NONE,
	 "Containers that are shown by UID, their pod's name being unknown.", nameless, 0},
};

static const struct family of_pods[] = {
	{"mlprof_pod", INFO, UNIT_NONE, "A pod of this node, as the cluster has it.", pod_info, 0},
	{"mlprof_cpu_request_cores", GAUGE, UNIT_CORES, "CPU that a container asked for.", amounts,
	 CONTAINER(request.cpu_milli)},
	{"mlprof_cpu_limit_cores", GAUGE, UNIT_CORES, "CPU that a container may use at most.",
	 amounts, CONTAINER(limit.cpu_milli)},
	{"mlprof_memory_request_bytes", GAUGE, UNIT_BYTES, "Memory that a container asked for.",
	 amounts, CONTAINER(request.memory_bytes)},
	{"mlprof_memory_limit_bytes", GAUGE, UNIT_BYTES, "Memory that a container may use at most.",
	 amounts, CONTAINER(limit.memory_bytes)},
	{"mlprof_gpu_request_devices", GAUGE, UNIT_NONE, "GPUs that a container asked for.",
	 amounts, CONTAINER(request.gpus)},
	{"mlprof_pod_devices", GAUGE, UNIT_NONE,
	 "Devices that the kubelet has given to a container, by resource.", devices, 0},
};

int put_pod_families(struct writer *w)
{
	int err;

	for (size_t i = 0; i < sizeof(of_sources) / sizeof(of_sources[0]); i++)
		put_family(w, &of_sources[i]);
	if (!w->snap->pods)
		return 0;
	err = sort_pods(w);
	for (size_t i = 0; !err && i < sizeof(of_pods) / sizeof(of_pods[0]); i++)
		put_family(w, &of_pods[i]);
	free(w->pods);
	return err;
}
