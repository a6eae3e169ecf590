// SPDX-License-Identifier: Apache-2.0
/* The table of owners and of the cgroups that are theirs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>

#include "mlprof/record.h"
#include "base/hash.h"
#include "base/idmap.h"
#include "owner/graveyard.h"
#include "owner/known.h"
#include "owner/owners.h"
#include "owner/path.h"

/* The owners of everything that does not fit. Always there. */
enum {
	OTHER_POD = 0,
	OTHER_UNIT = 1,
	NR_OTHERS = 2
};

/*
 * A container that no list has named for so long is taken for the sandbox of its pod, which no list
 * ever has. The kubelet tells the id of a container that starts again some seconds late.
 */
#define SANDBOX_AFTER_NS 30000000000ull

/* A container of a known pod that has no name after so long will be shown by its id. A sandbox is
 * known as such before: lists come more often. */
#define SETTLED_AFTER_NS (2 * SANDBOX_AFTER_NS)

/* Dead cgroups that are remembered; more than so many, and the oldest go before their time. */
#define MOST_DEAD 65536

/* Lists after which no more is expected of the next one: whoever waits need not hurry. */
#define LISTS_HOPED 5

struct entry {
	struct owner owner;
	const char *uid, *id; /* of the pod and the container, as their cgroups have them */
	bool used;
	bool named;	    /* as far as it will ever be */
	unsigned int asked; /* lists that had no name for it */
	uint64_t asked_ns;  /* when the first of them was */
	uint64_t made_ns;   /* when it came, by the last call that said what time it is */
	uint32_t cgroups;   /* known cgroups that are theirs, dead ones too */
	uint32_t next;	    /* of the same hash, or of the free list; OWNER_NONE at the end */
	uint32_t merged;    /* the one that it turned out to be; OWNER_NONE */
	uint64_t hash;
	char *names; /* what the strings above point into */
};

struct owners {
	struct owners_options options;
	struct entry *entries;
	uint32_t end, capacity, free_list;
	struct idmap by_hash;	/* hash of the owner to the first entry */
	struct idmap by_cgroup; /* cgroup id to entry */
	struct idmap tops;	/* of these, those that owners_find_top() finds */
	struct idmap pods;	/* hash of namespace and pod to how many entries it has */
	struct graveyard dead;
	struct known *known;
	uint64_t generation, dropped;
	uint64_t now_ns; /* the latest that a call has told */
};

static uint64_t hash_of_pod(const struct owner *owner)
{
	return hash_text(hash_text(HASH_EMPTY, owner->namespace_), owner->pod);
}

static uint64_t hash_of(const struct owner *owner)
{
	return hash_text(hash_text(hash_of_pod(owner), owner->container), owner->unit);
}

static bool same_owner(const struct owner *a, const struct owner *b)
{
	return !strcmp(a->pod, b->pod) && !strcmp(a->container, b->container) &&
	       !strcmp(a->namespace_, b->namespace_) && !strcmp(a->unit, b->unit);
}

static uint32_t find_entry(const struct owners *owners, const struct owner *owner)
{
	uint32_t number;

	if (!idmap_get(&owners->by_hash, hash_of(owner), &number))
		return OWNER_NONE;
	while (number != OWNER_NONE && !same_owner(&owners->entries[number].owner, owner))
		number = owners->entries[number].next;
	return number;
}

/* Copies `text` to `*to`, which moves on behind it. */
static const char *put_name(char **to, const char *text)
{
	char *copy = *to;

	*to = stpcpy(copy, text) + 1;
	return copy;
}

static int set_names(struct entry *entry, const struct owner *owner, const char *uid,
		     const char *id)
{
	size_t bytes = strlen(owner->namespace_) + strlen(owner->pod) + strlen(owner->container) +
		       strlen(owner->unit) + strlen(uid) + strlen(id) + 6;
	char *names = malloc(bytes), *at = names, *old = entry->names;

	if (!names)
		return -ENOMEM;
	entry->owner = (struct owner){
		.is_pod = owner->is_pod,
		.namespace_ = put_name(&at, owner->namespace_),
		.pod = put_name(&at, owner->pod),
		.container = put_name(&at, owner->container),
		.unit = put_name(&at, owner->unit),
	};
	entry->uid = put_name(&at, uid);
	entry->id = put_name(&at, id);
	entry->names = names;
	entry->hash = hash_of(&entry->owner);
	free(old); /* not before: the new may be made of the old */
	return 0;
}

/* A pod has one entry more, or one less. */
static int count_pod(struct owners *owners, const struct owner *owner, int change)
{
	uint64_t hash = hash_of_pod(owner);
	uint32_t entries = 0;

	if (!owner->is_pod)
		return 0;
	idmap_get(&owners->pods, hash, &entries);
	entries += (uint32_t)change;
	if (entries)
		return idmap_put(&owners->pods, hash, entries);
	idmap_remove(&owners->pods, hash);
	return 0;
}

static bool pod_fits(const struct owners *owners, const struct owner *owner)
{
	uint32_t entries;

	return !owner->is_pod || owners->pods.nr <= owners->options.max_pods ||
	       idmap_get(&owners->pods, hash_of_pod(owner), &entries);
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

static void give_number(struct owners *owners, uint32_t number)
{
	struct entry *entry = &owners->entries[number];

	free(entry->names);
	memset(entry, 0, sizeof(*entry));
	entry->next = owners->free_list;
	owners->free_list = number;
}

static int link_hash(struct owners *owners, uint32_t number)
{
	struct entry *entry = &owners->entries[number];

	entry->next = OWNER_NONE;
	idmap_get(&owners->by_hash, entry->hash, &entry->next);
	return idmap_put(&owners->by_hash, entry->hash, number);
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

static uint32_t add_entry(struct owners *owners, const struct owner *owner, const char *uid,
			  const char *id)
{
	uint32_t number = pod_fits(owners, owner) ? take_number(owners) : OWNER_NONE;
	struct entry *entry;

	if (number == OWNER_NONE)
		return OWNER_NONE;
	entry = &owners->entries[number];
	memset(entry, 0, sizeof(*entry));
	entry->merged = OWNER_NONE;
	if (set_names(entry, owner, uid, id) || link_hash(owners, number)) {
		give_number(owners, number);
		return OWNER_NONE;
	}
	/* Without memory a pod counts one entry too few, and the limit is a little higher. */
	count_pod(owners, &entry->owner, 1);
	entry->used = true;
	entry->made_ns = owners->now_ns;
	owners->generation++;
	return number;
}

static void drop_entry(struct owners *owners, uint32_t number)
{
	count_pod(owners, &owners->entries[number].owner, -1);
	unlink_hash(owners, number);
	give_number(owners, number);
	owners->generation++;
}

struct owners *owners_new(const struct owners_options *options)
{
	static const struct owner other_pod = {true, "", "other", "", ""};
	static const struct owner other_unit = {false, "", "", "", "other"};
	struct owners *owners = calloc(1, sizeof(*owners));

	if (!owners)
		return NULL;
	owners->options = *options;
	owners->free_list = OWNER_NONE;
	owners->capacity = 256;
	owners->entries = calloc(owners->capacity, sizeof(*owners->entries));
	owners->known = known_new(options->max_pods * 2);
	if (!owners->entries || !owners->known ||
	    add_entry(owners, &other_pod, "", "") != OTHER_POD ||
	    add_entry(owners, &other_unit, "", "") != OTHER_UNIT) {
		owners_free(owners);
		return NULL;
	}
	owners->entries[OTHER_POD].named = true;
	return owners;
}

void owners_free(struct owners *owners)
{
	if (!owners)
		return;
	for (uint32_t i = 0; owners->entries && i < owners->end; i++)
		free(owners->entries[i].names);
	idmap_free(&owners->by_hash);
	idmap_free(&owners->by_cgroup);
	idmap_free(&owners->tops);
	idmap_free(&owners->pods);
	graveyard_free(&owners->dead);
	known_free(owners->known);
	free(owners->entries);
	free(owners);
}

/*
 * Names a container of a pod, or the pod's own cgroup, as well as is known; true if that is for
 * good. `is_sandbox` is what it is if all containers are known and it is none of them. The strings
 * are those of `known`, or the arguments.
 */
static bool name_pod(const struct owners *owners, const char *uid, const char *id, bool is_sandbox,
		     struct owner *owner)
{
	const struct known_pod *pod = known_pod(owners->known, uid);
	const char *name = pod && id[0] ? known_container(owners->known, uid, id) : NULL;

	*owner = (struct owner){
		.is_pod = true,
		.namespace_ = pod ? pod->namespace_ : "",
		.pod = pod ? pod->name : uid,
		.container = name ? name : id,
		.unit = "",
	};
	if (!pod || !id[0] || name)
		return pod != NULL;
	if (!pod->complete || !is_sandbox)
		return false;
	owner->container = "";
	return true;
}

static bool is_known(void *context, const char *uid)
{
	const struct owners *owners = context;

	return known_pod(owners->known, uid);
}

void owners_made(struct owners *owners, uint64_t cgroup, const char *path)
{
	struct owner owner = {.namespace_ = "", .pod = "", .container = ""};
	struct path_owner who;
	bool named = true;
	uint32_t number;

	if (owners_find(owners, cgroup) != OWNER_NONE)
		return;
	owner_of_path(path, is_known, owners, &who);
	owner.unit = who.unit;
	if (who.is_pod)
		named = name_pod(owners, who.pod_uid, who.container, false, &owner);
	number = find_entry(owners, &owner);
	if (number == OWNER_NONE) {
		number = add_entry(owners, &owner, who.pod_uid, who.container);
		if (number != OWNER_NONE)
			owners->entries[number].named = named;
	}
	if (number == OWNER_NONE) {
		owners->dropped++;
		number = who.is_pod ? OTHER_POD : OTHER_UNIT;
	}
	if (idmap_put(&owners->by_cgroup, cgroup, number))
		return;
	owners->entries[number].cgroups++;
	/* Without memory its own is not known. */
	if (who.is_top && (number >= NR_OTHERS || !who.container[0]))
		idmap_put(&owners->tops, cgroup, 0);
}

static void rename_entry(struct owners *owners, uint32_t number, const struct owner *owner)
{
	struct entry *entry = &owners->entries[number];

	count_pod(owners, &entry->owner, -1);
	unlink_hash(owners, number);
	/* Without memory it keeps the name it had. */
	if (!set_names(entry, owner, entry->uid, entry->id))
		owners->generation++;
	link_hash(owners, number);
	count_pod(owners, &entry->owner, 1);
}

/* Gives an entry the names that are known by now; true if it turned out to be another one. */
static bool name_entry(struct owners *owners, uint32_t number, uint64_t now_ns)
{
	struct entry *entry = &owners->entries[number];
	struct owner owner;
	uint32_t same;

	if (!entry->asked++)
		entry->asked_ns = now_ns;
	entry->named = name_pod(owners, entry->uid, entry->id,
				now_ns - entry->asked_ns >= SANDBOX_AFTER_NS, &owner);
	if (same_owner(&entry->owner, &owner))
		return false;
	same = find_entry(owners, &owner);
	if (same == OWNER_NONE)
		rename_entry(owners, number, &owner);
	else
		entry->merged = same;
	return same != OWNER_NONE;
}

static bool is_merged(const struct owners *owners, uint32_t number)
{
	return owners->entries[number].used && owners->entries[number].merged != OWNER_NONE;
}

static uint32_t merged_into(const struct owners *owners, uint32_t number)
{
	while (owners->entries[number].merged != OWNER_NONE)
		number = owners->entries[number].merged;
	return number;
}

/* The cgroups of those that turned out to be others are theirs. */
static void move_cgroups(struct owners *owners)
{
	for (size_t i = 0; i < owners->by_cgroup.capacity; i++) {
		struct idmap_cell *cell = &owners->by_cgroup.cells[i];
		uint32_t to = cell->used ? merged_into(owners, cell->value) : 0;

		if (!cell->used || to == cell->value)
			continue;
		/* A sandbox lies below its pod's cgroup, which is its owner's by now. */
		if (!owners->entries[to].owner.container[0] &&
		    owners->entries[cell->value].owner.container[0])
			idmap_remove(&owners->tops, cell->key);
		owners->entries[to].cgroups++;
		cell->value = to;
	}
}

void owners_learn(struct owners *owners, const struct pods *pods, uint64_t now_ns,
		  void (*merged)(void *context, uint32_t goes, uint32_t stays), void *context)
{
	bool any = false;

	owners->now_ns = now_ns;
	known_learn(owners->known, pods, now_ns);
	for (uint32_t i = NR_OTHERS; i < owners->end; i++) {
		const struct entry *entry = &owners->entries[i];

		if (entry->used && entry->owner.is_pod && !entry->named)
			any |= name_entry(owners, i, now_ns);
	}
	if (!any)
		return;
	move_cgroups(owners);
	for (uint32_t i = NR_OTHERS; i < owners->end; i++)
		if (is_merged(owners, i))
			merged(context, i, merged_into(owners, i));
	for (uint32_t i = NR_OTHERS; i < owners->end; i++)
		if (is_merged(owners, i))
			drop_entry(owners, i);
}

bool owners_want_names(const struct owners *owners)
{
	for (uint32_t i = NR_OTHERS; i < owners->end; i++) {
		const struct entry *entry = &owners->entries[i];

		if (entry->used && entry->owner.is_pod && !entry->named &&
		    entry->asked < LISTS_HOPED)
			return true;
	}
	return false;
}

bool owners_settling(const struct owners *owners, uint32_t number)
{
	const struct entry *entry = &owners->entries[number];
	uint64_t since = entry->asked_ns > entry->made_ns ? entry->asked_ns : entry->made_ns;

	return entry->owner.is_pod && entry->owner.namespace_[0] && !entry->named &&
	       owners->now_ns - since < SETTLED_AFTER_NS;
}

size_t owners_nameless(const struct owners *owners)
{
	size_t nr = 0;

	for (uint32_t i = NR_OTHERS; i < owners->end; i++)
		nr += owners->entries[i].used && owners->entries[i].owner.is_pod &&
		      !owners->entries[i].owner.namespace_[0];
	return nr;
}

void owners_removed(struct owners *owners, uint64_t cgroup, uint64_t now_ns)
{
	/* Without memory it stays until a sweep finds it gone. */
	graveyard_add(&owners->dead, cgroup, now_ns);
}

uint32_t owners_find(const struct owners *owners, uint64_t cgroup)
{
	uint32_t number;

	if (cgroup == MLPROF_CGROUP_ROOT_TASKS)
		cgroup = MLPROF_CGROUP_ROOT;
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

void owners_sweep(struct owners *owners, uint64_t now_ns,
		  void (*gone)(void *context, uint64_t cgroup), void *context)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < owners->by_cgroup.capacity; i++) {
		const struct idmap_cell *cell = &owners->by_cgroup.cells[i];

		if (!cell->used || hierarchy_path(owners->options.hierarchy, cell->key, path,
						  sizeof(path)) != -ENOENT)
			continue;
		owners_removed(owners, cell->key, now_ns);
		gone(context, cell->key);
	}
}

uint32_t owners_find_top(const struct owners *owners, uint64_t cgroup)
{
	uint32_t ignored;

	if (!idmap_get(&owners->tops, cgroup, &ignored))
		return OWNER_NONE;
	return owners_find(owners, cgroup);
}

uint32_t owners_pod_of(const struct owners *owners, uint32_t number)
{
	struct owner owner = owners->entries[number].owner;

	owner.container = "";
	return find_entry(owners, &owner);
}

static void forget_cgroup(struct owners *owners, uint64_t cgroup,
			  void (*gone)(void *context, uint32_t owner), void *context)
{
	uint32_t number = owners_find(owners, cgroup);

	idmap_remove(&owners->tops, cgroup);
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
	uint64_t cgroup;

	/* The dead go by the drain before, names come by now. */
	if (now_ns > owners->now_ns)
		owners->now_ns = now_ns;
	while (graveyard_take(&owners->dead, now_ns,
			      owners->dead.nr > MOST_DEAD ? 0 : owners->options.keep_ns, &cgroup))
		forget_cgroup(owners, cgroup, gone, context);
	known_expire(owners->known, owners->options.keep_ns);
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
