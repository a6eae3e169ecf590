// SPDX-License-Identifier: Apache-2.0
/* Lists of pods: counted holders, one memory for each, and lists that are made out of lists. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "owner/pods_build.h"

/* A list and what only this file may touch of it. */
struct held_pods {
	struct pods pods; /* first, so that the two convert into each other */
	atomic_uint holders;
	struct arena arena;
	const struct pods *parts[2]; /* lists whose memory this one points into */
};

static struct held_pods *held(const struct pods *pods)
{
	return (struct held_pods *)pods;
}

struct pods *pods_new(void)
{
	struct held_pods *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	atomic_init(&h->holders, 1);
	return &h->pods;
}

struct arena *pods_arena(struct pods *pods)
{
	return &held(pods)->arena;
}

const struct pods *pods_hold(const struct pods *pods)
{
	if (pods)
		atomic_fetch_add_explicit(&held(pods)->holders, 1, memory_order_relaxed);
	return pods;
}

/* Parts are never made of parts of the same list, so this ends. */
void pods_put(const struct pods *pods)
{
	struct held_pods *h = held(pods);

	if (!pods || atomic_fetch_sub_explicit(&h->holders, 1, memory_order_acq_rel) > 1)
		return;
	pods_put(h->parts[0]);
	pods_put(h->parts[1]);
	arena_free(&h->arena);
	free(h);
}

/* Rows of one array: which came first is told by the address. */
static int by_position(const struct pod *a, const struct pod *b)
{
	return a < b ? -1 : a > b;
}

static int by_uid(const void *a, const void *b)
{
	const struct pod *x = *(const struct pod *const *)a, *y = *(const struct pod *const *)b;
	int order = strcmp(x->uid, y->uid);

	return order ? order : by_position(x, y);
}

static bool owns_cgroup(const struct pod *pod)
{
	return !strcmp(pod->uid, pod->cgroup_uid);
}

static int by_cgroup(const void *a, const void *b)
{
	const struct pod *x = *(const struct pod *const *)a, *y = *(const struct pod *const *)b;
	int order = strcmp(x->cgroup_uid, y->cgroup_uid);

	if (order)
		return order;
	if (owns_cgroup(x) != owns_cgroup(y))
		return owns_cgroup(x) ? -1 : 1;
	return by_position(x, y);
}

/* Sorts and keeps the first of those for which `same` says so; how many are left. */
static size_t sort_unique(const struct pod **pod, size_t nr,
			  int (*order)(const void *, const void *),
			  bool (*same)(const struct pod *a, const struct pod *b))
{
	size_t kept = 0;

	qsort(pod, nr, sizeof(*pod), order);
	for (size_t i = 0; i < nr; i++)
		if (!kept || !same(pod[kept - 1], pod[i]))
			pod[kept++] = pod[i];
	return kept;
}

static bool same_uid(const struct pod *a, const struct pod *b)
{
	return !strcmp(a->uid, b->uid);
}

static bool same_cgroup(const struct pod *a, const struct pod *b)
{
	return !strcmp(a->cgroup_uid, b->cgroup_uid);
}

int pods_set(struct pods *pods, const struct pod *pod, size_t nr, size_t *dropped)
{
	const struct pod **order = nr ? malloc(nr * sizeof(const struct pod *)) : NULL;
	struct pod *rows = arena_alloc(pods_arena(pods), nr, sizeof(*rows));
	size_t kept;

	if (!rows || (nr && !order)) {
		free(order);
		return -ENOMEM;
	}
	for (size_t i = 0; i < nr; i++)
		order[i] = &pod[i];
	kept = nr ? sort_unique(order, nr, by_uid, same_uid) : 0;
	kept = kept ? sort_unique(order, kept, by_cgroup, same_cgroup) : 0;
	for (size_t i = 0; i < kept; i++)
		rows[i] = *order[i];
	free(order);
	pods->pod = rows;
	pods->nr = kept;
	*dropped = nr - kept;
	return 0;
}

static struct pods *new_from(const struct pods *first, const struct pods *second)
{
	struct pods *made = pods_new();

	if (!made)
		return NULL;
	held(made)->parts[0] = pods_hold(first);
	held(made)->parts[1] = pods_hold(second);
	return made;
}

const struct pods *pods_join(const struct pods *pods, const struct pods *devices)
{
	struct pods *made = new_from(pods, devices);

	if (made && pods) {
		made->pod = pods->pod;
		made->nr = pods->nr;
	}
	if (made && devices) {
		made->devices = devices->devices;
		made->nr_devices = devices->nr_devices;
		made->allocatable = devices->allocatable;
		made->nr_allocatable = devices->nr_allocatable;
	}
	return made;
}

static int compare_cgroup(const void *uid, const void *pod)
{
	return strcmp(uid, ((const struct pod *)pod)->cgroup_uid);
}

const struct pod *pods_find(const struct pods *pods, const char *cgroup_uid)
{
	if (!pods || !pods->nr)
		return NULL;
	return bsearch(cgroup_uid, pods->pod, pods->nr, sizeof(*pods->pod), compare_cgroup);
}

static const struct pod_container *find_container(const struct pod *pod, const char *name)
{
	for (size_t i = 0; i < pod->nr_containers; i++)
		if (!strcmp(pod->containers[i].name, name))
			return &pod->containers[i];
	return NULL;
}

static bool started_again(const struct pod_container *old, const struct pod_container *now)
{
	return now && *now->id && strcmp(now->id, old->id) != 0 &&
	       strcmp(now->id, old->previous_id) != 0;
}

/* `pod`, with the ids of the containers that run now. */
static int renew(struct arena *arena, struct pod *pod, const struct pod *now)
{
	struct pod_container *rows;

	rows = arena_alloc(arena, pod->nr_containers, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < pod->nr_containers; i++) {
		const struct pod_container *old = &pod->containers[i];
		const struct pod_container *new = find_container(now, old->name);

		rows[i] = *old;
		if (started_again(old, new)) {
			rows[i].previous_id = *new->previous_id ? new->previous_id : old->id;
			rows[i].id = new->id;
		}
	}
	pod->containers = rows;
	return 0;
}

/* Puts those of `second` behind those of `first`; the number of rows, or -ENOMEM. */
static ssize_t merge_rows(struct arena *arena, struct pod *rows, const struct pods *first,
			  const struct pods *second)
{
	size_t nr = first->nr;

	for (size_t i = 0; i < first->nr; i++)
		rows[i] = first->pod[i];
	for (size_t i = 0; i < second->nr; i++) {
		const struct pod *pod = &second->pod[i];
		const struct pod *found = pods_find(first, pod->cgroup_uid);

		if (!found && nr < PODS_MAX)
			rows[nr++] = *pod;
		else if (found && renew(arena, &rows[found - first->pod], pod))
			return -ENOMEM;
	}
	return (ssize_t)nr;
}

const struct pods *pods_merge(const struct pods *first, const struct pods *second)
{
	struct pod *rows = calloc(first->nr + second->nr + 1, sizeof(*rows));
	struct pods *made = new_from(first, second);
	ssize_t nr = -ENOMEM;
	size_t dropped;

	if (made && rows)
		nr = merge_rows(pods_arena(made), rows, first, second);
	if (nr < 0 || pods_set(made, rows, (size_t)nr, &dropped)) {
		pods_put(made);
		made = NULL;
	}
	free(rows);
	return made;
}
