// SPDX-License-Identifier: Apache-2.0
/* Names by UID and by container id, kept from one list of pods to the next. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/idmap.h"
#include "owner/known.h"

/* A pod whose containers start again and again has more ids than this: the oldest go, but none of
 * the last list. */
#define CONTAINERS_MAX 64

struct container {
	char *id, *name;
};

struct entry {
	struct known_pod pod;
	char *uid, *namespace_, *name;
	struct container *containers;
	size_t nr_containers;
	uint64_t seen_ns; /* when it was last in a list */
};

struct known {
	struct entry *entries;
	size_t nr, max;
	struct idmap by_uid; /* hash of the UID to the entry */
	uint64_t learnt_ns;  /* when the last list came */
};

static uint64_t hash_of(const char *uid)
{
	return hash_text(HASH_EMPTY, uid);
}

struct known *known_new(size_t max_pods)
{
	struct known *known = calloc(1, sizeof(*known));

	if (known)
		known->max = max_pods;
	return known;
}

static void free_container(struct container *container)
{
	free(container->id);
	free(container->name);
}

static void free_entry(struct entry *entry)
{
	for (size_t i = 0; i < entry->nr_containers; i++)
		free_container(&entry->containers[i]);
	free(entry->containers);
	free(entry->uid);
	free(entry->namespace_);
	free(entry->name);
}

void known_free(struct known *known)
{
	if (!known)
		return;
	for (size_t i = 0; i < known->nr; i++)
		free_entry(&known->entries[i]);
	free(known->entries);
	idmap_free(&known->by_uid);
	free(known);
}

static struct entry *find(const struct known *known, const char *uid)
{
	uint32_t at;

	if (!idmap_get(&known->by_uid, hash_of(uid), &at))
		return NULL;
	return strcmp(known->entries[at].uid, uid) ? NULL : &known->entries[at];
}

/* A new entry at the end, or NULL: the table is full, or memory is out. */
static struct entry *add(struct known *known, const struct pod *pod)
{
	struct entry entry = {
		.uid = strdup(pod->cgroup_uid),
		.namespace_ = strdup(pod->namespace_),
		.name = strdup(pod->name),
	};
	struct entry *grown = NULL;

	if (known->nr < known->max)
		grown = reallocarray(known->entries, known->nr + 1, sizeof(*grown));
	if (grown)
		known->entries = grown;
	if (!grown || !entry.uid || !entry.namespace_ || !entry.name ||
	    idmap_put(&known->by_uid, hash_of(entry.uid), (uint32_t)known->nr)) {
		free_entry(&entry);
		return NULL;
	}
	entry.pod = (struct known_pod){entry.uid, entry.namespace_, entry.name, false};
	grown[known->nr] = entry;
	return &grown[known->nr++];
}

static const char *name_of(const struct entry *entry, const char *id)
{
	for (size_t i = 0; i < entry->nr_containers; i++)
		if (!strcmp(entry->containers[i].id, id))
			return entry->containers[i].name;
	return NULL;
}

static void drop_oldest(struct entry *entry)
{
	free_container(&entry->containers[0]);
	entry->nr_containers--;
	memmove(entry->containers, entry->containers + 1,
		entry->nr_containers * sizeof(*entry->containers));
}

static void add_container(struct entry *entry, const char *id, const char *name, size_t most)
{
	struct container container, *grown;

	if (!id[0] || name_of(entry, id))
		return;
	if (entry->nr_containers >= most)
		drop_oldest(entry);
	grown = reallocarray(entry->containers, entry->nr_containers + 1, sizeof(*grown));
	if (!grown)
		return;
	entry->containers = grown;
	container = (struct container){strdup(id), strdup(name)};
	if (container.id && container.name)
		grown[entry->nr_containers++] = container;
	else
		free_container(&container);
}

static void learn_pod(struct known *known, const struct pod *pod, uint64_t now_ns)
{
	size_t most =
		2 * pod->nr_containers > CONTAINERS_MAX ? 2 * pod->nr_containers : CONTAINERS_MAX;
	struct entry *entry = find(known, pod->cgroup_uid);

	if (!entry)
		entry = add(known, pod);
	if (!entry)
		return;
	entry->seen_ns = now_ns;
	entry->pod.complete = pod->nr_containers > 0;
	for (size_t i = 0; i < pod->nr_containers; i++) {
		const struct pod_container *container = &pod->containers[i];

		entry->pod.complete &= container->id[0] != 0;
		add_container(entry, container->previous_id, container->name, most);
		add_container(entry, container->id, container->name, most);
	}
}

void known_learn(struct known *known, const struct pods *pods, uint64_t now_ns)
{
	known->learnt_ns = now_ns;
	for (size_t i = 0; i < pods->nr; i++)
		learn_pod(known, &pods->pod[i], now_ns);
}

/* The last one takes the place of the one that goes. */
static void drop(struct known *known, size_t at)
{
	struct entry gone = known->entries[at];

	known->nr--;
	idmap_remove(&known->by_uid, hash_of(gone.uid));
	if (at < known->nr) {
		known->entries[at] = known->entries[known->nr];
		/* Its cell is there, so this cannot fail. */
		idmap_put(&known->by_uid, hash_of(known->entries[at].uid), (uint32_t)at);
	}
	free_entry(&gone);
}

void known_expire(struct known *known, uint64_t keep_ns)
{
	for (size_t i = known->nr; i-- > 0;)
		if (known->learnt_ns - known->entries[i].seen_ns > keep_ns)
			drop(known, i);
}

const struct known_pod *known_pod(const struct known *known, const char *uid)
{
	const struct entry *entry = find(known, uid);

	return entry ? &entry->pod : NULL;
}

const char *known_container(const struct known *known, const char *uid, const char *id)
{
	const struct entry *entry = find(known, uid);

	return entry ? name_of(entry, id) : NULL;
}
