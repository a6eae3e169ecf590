// SPDX-License-Identifier: Apache-2.0
/* The table of owners and of the cgroups that are theirs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/idmap.h"
#include "owner/owners.h"
#include "owner/path.h"

/* The owners of everything that does not fit. Always there. */
enum {
	OTHER_POD = 0,
	OTHER_UNIT = 1,
	NR_OTHERS = 2
};

struct entry {
	struct owner owner;
	bool used;
	uint32_t cgroups; /* known cgroups that are theirs, dead ones too */
	uint32_t next;	  /* of the same hash, or of the free list; OWNER_NONE at the end */
	uint64_t hash;
	char *names; /* what the strings of `owner` point into */
};

struct dead_cgroup {
	uint64_t cgroup;
	uint64_t since_ns;
};

struct owners {
	struct owners_options options;
	struct entry *entries;
	uint32_t end, capacity, free_list;
	struct idmap by_hash;	  /* hash of the names to the first entry */
	struct idmap by_cgroup;	  /* cgroup id to entry */
	struct idmap dying;	  /* cgroup ids in the queue of the dead */
	struct dead_cgroup *dead; /* a ring: in the order of their death */
	size_t dead_first, nr_dead, dead_capacity;
	uint64_t generation, dropped;
};

static uint64_t hash_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	while (*text++);
	return hash;
}

static uint64_t hash_of(const struct path_owner *who)
{
	uint64_t hash = hash_text(0xcbf29ce484222325u, who->pod_uid);

	return hash_text(hash_text(hash, who->container), who->unit);
}

static bool same_owner(const struct owner *owner, const struct path_owner *who)
{
	return !strcmp(owner->pod, who->pod_uid) && !strcmp(owner->container, who->container) &&
	       !strcmp(owner->unit, who->unit);
}

static uint32_t find_entry(const struct owners *owners, const struct path_owner *who, uint64_t hash)
{
	uint32_t number;

	if (!idmap_get(&owners->by_hash, hash, &number))
		return OWNER_NONE;
	while (number != OWNER_NONE && !same_owner(&owners->entries[number].owner, who))
		number = owners->entries[number].next;
	return number;
}

static int set_names(struct entry *entry, const struct path_owner *who)
{
	size_t pod = strlen(who->pod_uid) + 1, container = strlen(who->container) + 1;
	size_t unit = strlen(who->unit) + 1;
	char *names = malloc(pod + container + unit);

	if (!names)
		return -ENOMEM;
	memcpy(names, who->pod_uid, pod);
	memcpy(names + pod, who->container, container);
	memcpy(names + pod + container, who->unit, unit);
	entry->names = names;
	entry->owner = (struct owner){
		.is_pod = who->is_pod,
		.namespace_ = "",
		.pod = names,
		.container = names + pod,
		.unit = names + pod + container,
	};
	return 0;
}

/* A number that is not in use, or OWNER_NONE. */
static uint32_t take_number(struct owners *owners)
{
	uint32_t number = owners->free_list;
	struct entry *grown;

	if (number != OWNER_NONE) {
		owners->free_list = owners->entries[number].next;
		return number;
	}
	if (owners->end >= owners->options.max_owners + NR_OTHERS)
		return OWNER_NONE;
	if (owners->end == owners->capacity) {
		grown = reallocarray(owners->entries, owners->capacity * 2u, sizeof(*grown));
		if (!grown)
			return OWNER_NONE;
		owners->entries = grown;
		owners->capacity *= 2;
	}
	return owners->end++;
}

static uint32_t add_entry(struct owners *owners, const struct path_owner *who, uint64_t hash)
{
	uint32_t number = take_number(owners), first = OWNER_NONE;
	struct entry *entry;

	if (number == OWNER_NONE)
		return OWNER_NONE;
	entry = &owners->entries[number];
	memset(entry, 0, sizeof(*entry));
	idmap_get(&owners->by_hash, hash, &first);
	entry->next = first;
	entry->hash = hash;
	if (set_names(entry, who) || idmap_put(&owners->by_hash, hash, number)) {
		free(entry->names);
		entry->next = owners->free_list;
		owners->free_list = number;
		return OWNER_NONE;
	}
	entry->used = true;
	owners->generation++;
	return number;
}

static void unlink_hash(struct owners *owners, uint32_t number)
{
	struct entry *entry = &owners->entries[number];
	uint32_t at = OWNER_NONE;

	idmap_get(&owners->by_hash, entry->hash, &at);
	if (at == number && entry->next == OWNER_NONE) {
		idmap_remove(&owners->by_hash, entry->hash);
	} else if (at == number) {
		idmap_put(&owners->by_hash, entry->hash, entry->next);
	} else {
		while (owners->entries[at].next != number)
			at = owners->entries[at].next;
		owners->entries[at].next = entry->next;
	}
}

static void drop_entry(struct owners *owners, uint32_t number)
{
	struct entry *entry = &owners->entries[number];

	unlink_hash(owners, number);
	free(entry->names);
	memset(entry, 0, sizeof(*entry));
	entry->next = owners->free_list;
	owners->free_list = number;
	owners->generation++;
}

struct owners *owners_new(const struct owners_options *options)
{
	struct path_owner other_pod = {.is_pod = true, .pod_uid = "other"};
	struct path_owner other_unit = {.unit = "other"};
	struct owners *owners = calloc(1, sizeof(*owners));

	if (!owners)
		return NULL;
	owners->options = *options;
	owners->free_list = OWNER_NONE;
	owners->capacity = 256;
	owners->entries = calloc(owners->capacity, sizeof(*owners->entries));
	if (!owners->entries || add_entry(owners, &other_pod, hash_of(&other_pod)) != OTHER_POD ||
	    add_entry(owners, &other_unit, hash_of(&other_unit)) != OTHER_UNIT) {
		owners_free(owners);
		return NULL;
	}
	return owners;
}

void owners_free(struct owners *owners)
{
	if (!owners)
		return;
	for (uint32_t i = 0; i < owners->end; i++)
		free(owners->entries[i].names);
	idmap_free(&owners->by_hash);
	idmap_free(&owners->by_cgroup);
	idmap_free(&owners->dying);
	free(owners->dead);
	free(owners->entries);
	free(owners);
}

void owners_made(struct owners *owners, uint64_t cgroup, const char *path)
{
	struct path_owner who;
	uint32_t number;
	uint64_t hash;

	if (owners_find(owners, cgroup) != OWNER_NONE)
		return;
	owner_of_path(path, NULL, NULL, &who);
	hash = hash_of(&who);
	number = find_entry(owners, &who, hash);
	if (number == OWNER_NONE)
		number = add_entry(owners, &who, hash);
	if (number == OWNER_NONE) {
		owners->dropped++;
		number = who.is_pod ? OTHER_POD : OTHER_UNIT;
	}
	if (!idmap_put(&owners->by_cgroup, cgroup, number))
		owners->entries[number].cgroups++;
}

static int grow_dead(struct owners *owners)
{
	size_t capacity = owners->dead_capacity ? owners->dead_capacity * 2 : 64;
	struct dead_cgroup *grown = calloc(capacity, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	for (size_t i = 0; i < owners->nr_dead; i++)
		grown[i] = owners->dead[(owners->dead_first + i) % owners->dead_capacity];
	free(owners->dead);
	owners->dead = grown;
	owners->dead_first = 0;
	owners->dead_capacity = capacity;
	return 0;
}

void owners_removed(struct owners *owners, uint64_t cgroup, uint64_t now_ns)
{
	uint32_t ignored;

	if (idmap_get(&owners->dying, cgroup, &ignored))
		return;
	if (owners->nr_dead == owners->dead_capacity && grow_dead(owners))
		return;
	if (idmap_put(&owners->dying, cgroup, 0))
		return;
	owners->dead[(owners->dead_first + owners->nr_dead++) % owners->dead_capacity] =
		(struct dead_cgroup){.cgroup = cgroup, .since_ns = now_ns};
}

uint32_t owners_find(const struct owners *owners, uint64_t cgroup)
{
	uint32_t number;

	return idmap_get(&owners->by_cgroup, cgroup, &number) ? number : OWNER_NONE;
}

uint32_t owners_resolve(struct owners *owners, uint64_t cgroup)
{
	char path[PATH_MAX];

	if (owners_find(owners, cgroup) == OWNER_NONE &&
	    !hierarchy_path(owners->options.hierarchy, cgroup, path, sizeof(path)))
		owners_made(owners, cgroup, path);
	return owners_find(owners, cgroup);
}

static int visit_cgroup(void *context, uint64_t cgroup, const char *path)
{
	owners_made(context, cgroup, path);
	return 0;
}

int owners_walk(struct owners *owners)
{
	return hierarchy_walk(owners->options.hierarchy, visit_cgroup, owners);
}

void owners_sweep(struct owners *owners, uint64_t now_ns)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < owners->by_cgroup.capacity; i++) {
		const struct idmap_cell *cell = &owners->by_cgroup.cells[i];

		if (cell->used && hierarchy_path(owners->options.hierarchy, cell->key, path,
						 sizeof(path)) == -ENOENT)
			owners_removed(owners, cell->key, now_ns);
	}
}

static void forget_cgroup(struct owners *owners, uint64_t cgroup,
			  void (*gone)(void *context, uint32_t owner), void *context)
{
	uint32_t number = owners_find(owners, cgroup);

	idmap_remove(&owners->dying, cgroup);
	if (!idmap_remove(&owners->by_cgroup, cgroup))
		return;
	if (--owners->entries[number].cgroups || number < NR_OTHERS)
		return;
	gone(context, number);
	drop_entry(owners, number);
}

void owners_expire(struct owners *owners, uint64_t now_ns,
		   void (*gone)(void *context, uint32_t owner), void *context)
{
	while (owners->nr_dead) {
		struct dead_cgroup *dead = &owners->dead[owners->dead_first];

		if (now_ns - dead->since_ns < owners->options.keep_ns)
			return;
		owners->dead_first = (owners->dead_first + 1) % owners->dead_capacity;
		owners->nr_dead--;
		forget_cgroup(owners, dead->cgroup, gone, context);
	}
}

uint32_t owners_end(const struct owners *owners)
{
	return owners->end;
}

const struct owner *owners_at(const struct owners *owners, uint32_t number)
{
	return owners->entries[number].used ? &owners->entries[number].owner : NULL;
}

uint64_t owners_generation(const struct owners *owners)
{
	return owners->generation;
}

uint64_t owners_dropped(const struct owners *owners)
{
	return owners->dropped;
}
