// SPDX-License-Identifier: Apache-2.0
/*
 * Objects lie in one pool and are found by client and handle. Each is in the list of its client,
 * and in the list of its parent's children. What is freed takes its children along, and what was
 * made with any of them, which need not be below it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/idmap.h"
#include "gpu/rm_objects.h"

#define NONE	    UINT32_MAX
#define HOLDERS_MAX 4096
#define GPUS_MAX    255

struct object {
	uint32_t client, handle, class;
	uint32_t needs[2];
	bool used, doomed;
	bool counted; /* on the account of its holder */
	enum rm_memory memory;
	uint64_t bytes;
	uint32_t root;				   /* the client that it is of */
	uint32_t device;			   /* the device that it is below; NONE */
	uint32_t parent, child, next, before;	   /* tree */
	uint32_t next_of_client, before_of_client; /* of a root: the first, and its end */
	/* Of a root only. */
	uint64_t file, cgroup;
	bool several; /* GPUs that it has named */
	/* Of a root the only GPU that it has named, of a device its own; 0: not known. */
	uint32_t gpu;
};

struct holder {
	uint64_t cgroup;
	uint32_t gpu;
	bool used;
	uint32_t computes, groups;
	uint64_t device_bytes, pinned_bytes;
	uint64_t at_ns; /* up to when the sums below are */
	uint64_t held_ns, byte_seconds, byte_ns;
};

struct rm_objects {
	struct object *pool;
	uint32_t end, capacity, free_list; /* chained by `next` */
	struct idmap by_handle;
	struct holder *holders;
	uint32_t nr_holders;
	uint8_t gpus[GPUS_MAX][RM_UUID_BYTES];
	uint32_t nr_gpus;
	struct rm_objects_counts counts;
};

struct rm_objects *rm_objects_new(void)
{
	struct rm_objects *objects = calloc(1, sizeof(*objects));

	if (!objects)
		return NULL;
	objects->free_list = NONE;
	objects->holders = calloc(HOLDERS_MAX, sizeof(*objects->holders));
	if (objects->holders)
		return objects;
	free(objects);
	return NULL;
}

void rm_objects_free(struct rm_objects *objects)
{
	if (!objects)
		return;
	idmap_free(&objects->by_handle);
	free(objects->holders);
	free(objects->pool);
	free(objects);
}

static uint64_t key_of(uint32_t client, uint32_t handle)
{
	return (uint64_t)client << 32 | handle;
}

static uint32_t find(const struct rm_objects *objects, uint32_t client, uint32_t handle)
{
	uint32_t at;

	return idmap_get(&objects->by_handle, key_of(client, handle), &at) ? at : NONE;
}

/* A GPU's number, from 1; 0 if there are too many. */
static uint32_t gpu_number(struct rm_objects *objects, const uint8_t *uuid)
{
	for (uint32_t i = 0; i < objects->nr_gpus; i++)
		if (!memcmp(objects->gpus[i], uuid, RM_UUID_BYTES))
			return i + 1;
	if (objects->nr_gpus == GPUS_MAX)
		return 0;
	memcpy(objects->gpus[objects->nr_gpus], uuid, RM_UUID_BYTES);
	return ++objects->nr_gpus;
}

/* Of whom an object is: the GPU of its device, else the only one that its client has named. */
static uint32_t gpu_of(const struct rm_objects *objects, const struct object *object)
{
	uint32_t device = object->class == RM_CLASS_DEVICE ? (uint32_t)(object - objects->pool)
							   : object->device;

	if (device != NONE && objects->pool[device].gpu)
		return objects->pool[device].gpu;
	return objects->pool[object->root].gpu;
}

/* Adds up what was held until now. */
static void settle(struct holder *holder, uint64_t now_ns)
{
	uint64_t ns = now_ns > holder->at_ns ? now_ns - holder->at_ns : 0;
	__uint128_t byte_ns = (__uint128_t)holder->device_bytes * ns + holder->byte_ns;

	if (holder->computes || holder->groups)
		holder->held_ns += ns;
	holder->byte_seconds += (uint64_t)(byte_ns / 1000000000u);
	holder->byte_ns = (uint64_t)(byte_ns % 1000000000u);
	if (now_ns > holder->at_ns)
		holder->at_ns = now_ns;
}

/* NULL if there are too many. */
static struct holder *holder_of(struct rm_objects *objects, uint64_t cgroup, uint32_t gpu,
				uint64_t now_ns)
{
	struct holder *free_one = NULL;

	for (uint32_t i = 0; i < objects->nr_holders; i++) {
		struct holder *holder = &objects->holders[i];

		if (holder->used && holder->cgroup == cgroup && holder->gpu == gpu)
			return holder;
		if (!holder->used)
			free_one = holder;
	}
	if (!free_one && objects->nr_holders < HOLDERS_MAX)
		free_one = &objects->holders[objects->nr_holders++];
	if (free_one)
		*free_one = (struct holder){
			.cgroup = cgroup, .gpu = gpu, .used = true, .at_ns = now_ns};
	return free_one;
}

static bool holds_anything(const struct object *object)
{
	return object->memory || rm_is_compute(object->class) || rm_is_channel_group(object->class);
}

static void add_held(struct holder *holder, const struct object *object)
{
	holder->computes += rm_is_compute(object->class);
	holder->groups += rm_is_channel_group(object->class);
	holder->device_bytes += object->memory == RM_DEVICE_MEMORY ? object->bytes : 0;
	holder->pinned_bytes += object->memory == RM_PINNED_MEMORY ? object->bytes : 0;
}

static void take_held(struct holder *holder, const struct object *object)
{
	holder->computes -= rm_is_compute(object->class);
	holder->groups -= rm_is_channel_group(object->class);
	holder->device_bytes -= object->memory == RM_DEVICE_MEMORY ? object->bytes : 0;
	holder->pinned_bytes -= object->memory == RM_PINNED_MEMORY ? object->bytes : 0;
}

/* An object is held from now on, or no longer. Only what was added is taken off again. */
static void account(struct rm_objects *objects, struct object *object, bool held, uint64_t now_ns)
{
	struct holder *holder;

	if (!holds_anything(object) || object->counted == held)
		return;
	holder = holder_of(objects, objects->pool[object->root].cgroup, gpu_of(objects, object),
			   now_ns);
	if (!holder) {
		objects->counts.no_room++;
		return;
	}
	settle(holder, now_ns);
	if (held)
		add_held(holder, object);
	else
		take_held(holder, object);
	object->counted = held;
}

static uint32_t take_place(struct rm_objects *objects)
{
	uint32_t at = objects->free_list,
		 capacity = objects->capacity ? objects->capacity * 2 : 256;
	struct object *grown;

	if (at != NONE) {
		objects->free_list = objects->pool[at].next;
		return at;
	}
	if (objects->end == RM_OBJECTS_MAX)
		return NONE;
	if (objects->end == objects->capacity) {
		grown = reallocarray(objects->pool, capacity, sizeof(*grown));
		if (!grown)
			return NONE;
		objects->pool = grown;
		objects->capacity = capacity;
	}
	return objects->end++;
}

static void give_place(struct rm_objects *objects, uint32_t at)
{
	objects->pool[at] = (struct object){.next = objects->free_list};
	objects->free_list = at;
}

/* Into the lists of its parent and of its client. */
static void link_object(struct rm_objects *objects, uint32_t at)
{
	struct object *object = &objects->pool[at], *root = &objects->pool[object->root];

	object->child = object->next = object->before = NONE;
	object->next_of_client = object->before_of_client = NONE;
	if (object->root == at)
		return;
	object->next = objects->pool[object->parent].child;
	if (object->next != NONE)
		objects->pool[object->next].before = at;
	objects->pool[object->parent].child = at;
	object->next_of_client = root->next_of_client;
	if (object->next_of_client != NONE)
		objects->pool[object->next_of_client].before_of_client = at;
	object->before_of_client = object->root;
	root->next_of_client = at;
}

static void unlink_object(struct rm_objects *objects, uint32_t at)
{
	struct object *pool = objects->pool, *object = &pool[at];

	if (object->root == at)
		return;
	if (object->before != NONE)
		pool[object->before].next = object->next;
	else
		pool[object->parent].child = object->next;
	if (object->next != NONE)
		pool[object->next].before = object->before;
	pool[object->before_of_client].next_of_client = object->next_of_client;
	if (object->next_of_client != NONE)
		pool[object->next_of_client].before_of_client = object->before_of_client;
}

static uint32_t add_object(struct rm_objects *objects, uint32_t client, uint32_t handle,
			   uint32_t class)
{
	uint32_t at = take_place(objects);

	if (at == NONE || idmap_put(&objects->by_handle, key_of(client, handle), at)) {
		if (at != NONE)
			give_place(objects, at);
		objects->counts.no_room++;
		return NONE;
	}
	objects->pool[at] = (struct object){.client = client,
					    .handle = handle,
					    .class = class,
					    .used = true,
					    .root = at,
					    .device = NONE,
					    .parent = NONE};
	objects->counts.objects++;
	return at;
}

/* The root of a client; one whose making nobody has seen is made now. */
static uint32_t root_of(struct rm_objects *objects, uint32_t client, uint64_t file, uint64_t cgroup)
{
	uint32_t at = find(objects, client, client);

	if (at != NONE)
		return at;
	at = add_object(objects, client, client, 0);
	if (at == NONE)
		return NONE;
	objects->pool[at].file = file;
	objects->pool[at].cgroup = cgroup;
	link_object(objects, at);
	return at;
}

static bool needs_doomed(const struct rm_objects *objects, const struct object *object)
{
	for (int i = 0; i < 2; i++) {
		uint32_t other =
			object->needs[i] ? find(objects, object->client, object->needs[i]) : NONE;

		if (other != NONE && objects->pool[other].doomed)
			return true;
	}
	return false;
}

/* Dooms what lies below an object, itself included; true if others may need any of it. */
static bool doom_tree(struct rm_objects *objects, uint32_t top)
{
	struct object *pool = objects->pool;
	uint32_t at = top;
	bool needed = false;

	for (;;) {
		pool[at].doomed = true;
		needed |= rm_is_needed(pool[at].class);
		if (pool[at].child != NONE) {
			at = pool[at].child;
			continue;
		}
		while (at != top && pool[at].next == NONE)
			at = pool[at].parent;
		if (at == top)
			return needed;
		at = pool[at].next;
	}
}

static void doom(struct rm_objects *objects, uint32_t top)
{
	struct object *pool = objects->pool;
	bool again = doom_tree(objects, top);

	while (again) {
		again = false;
		for (uint32_t at = pool[pool[top].root].next_of_client; at != NONE;
		     at = pool[at].next_of_client)
			if (!pool[at].doomed && needs_doomed(objects, &pool[at]))
				again |= doom_tree(objects, at);
	}
}

static void drop(struct rm_objects *objects, uint32_t at)
{
	struct object *object = &objects->pool[at];

	unlink_object(objects, at);
	idmap_remove(&objects->by_handle, key_of(object->client, object->handle));
	give_place(objects, at);
	objects->counts.objects--;
}

/* What goes is taken off the accounts first: whose GPU it is of is told by its device. */
static void free_tree(struct rm_objects *objects, uint32_t top, uint64_t now_ns)
{
	struct object *pool = objects->pool;
	uint32_t root = pool[top].root, next;

	doom(objects, top);
	for (uint32_t at = root; at != NONE; at = pool[at].next_of_client)
		if (pool[at].doomed)
			account(objects, &pool[at], false, now_ns);
	for (uint32_t at = pool[root].next_of_client; at != NONE; at = next) {
		next = pool[at].next_of_client;
		if (pool[at].doomed)
			drop(objects, at);
	}
	if (pool[root].doomed)
		drop(objects, root);
}

/* Most of what is freed is memory, with nothing below it. */
static void free_object(struct rm_objects *objects, uint32_t at, uint64_t now_ns)
{
	struct object *object = &objects->pool[at];

	if (object->root == at || object->child != NONE || rm_is_needed(object->class)) {
		free_tree(objects, at, now_ns);
		return;
	}
	account(objects, object, false, now_ns);
	drop(objects, at);
}

/* A place below its parent, or below its client if the parent's making was missed; NONE. */
static uint32_t make(struct rm_objects *objects, const struct rm_call *call, uint32_t root,
		     uint64_t now_ns)
{
	uint32_t before = find(objects, call->client, call->object), parent, at;

	if (before != NONE) {
		objects->counts.clashes++;
		free_object(objects, before, now_ns);
	}
	/* Before it is there itself: what is its own parent has none. */
	parent = find(objects, call->client, call->parent);
	at = add_object(objects, call->client, call->object, call->class);
	if (at == NONE)
		return NONE;
	objects->counts.unknown += parent == NONE;
	objects->pool[at].root = root;
	objects->pool[at].parent = parent == NONE ? root : parent;
	parent = objects->pool[at].parent;
	objects->pool[at].device = objects->pool[parent].class == RM_CLASS_DEVICE
					   ? parent
					   : objects->pool[parent].device;
	link_object(objects, at);
	return at;
}

static void made(struct rm_objects *objects, const struct rm_call *call, uint32_t root,
		 uint64_t now_ns)
{
	uint32_t at = make(objects, call, root, now_ns);
	struct object *object = at == NONE ? NULL : &objects->pool[at];

	if (!object)
		return;
	memcpy(object->needs, call->needs, sizeof(object->needs));
	object->memory = call->memory;
	object->bytes = call->bytes;
	account(objects, object, true, now_ns);
}

/* Its bytes are the other client's, and it is no context of its own. */
static void duplicated(struct rm_objects *objects, const struct rm_call *call, uint32_t root,
		       uint64_t now_ns)
{
	make(objects, call, root, now_ns);
}

/* From now on what a client holds on a device, or on all that are not known, is that GPU's. */
static void set_gpu(struct rm_objects *objects, uint32_t at, uint32_t gpu, uint64_t now_ns)
{
	struct object *pool = objects->pool;
	uint32_t root = pool[at].root;

	if (pool[at].gpu == gpu)
		return;
	for (uint32_t i = pool[root].next_of_client; i != NONE; i = pool[i].next_of_client)
		account(objects, &pool[i], false, now_ns);
	pool[at].gpu = gpu;
	for (uint32_t i = pool[root].next_of_client; i != NONE; i = pool[i].next_of_client)
		account(objects, &pool[i], true, now_ns);
}

/* The second that a client names tells nothing of which is meant by what. */
static void client_named(struct rm_objects *objects, uint32_t root, uint32_t gpu, uint64_t now_ns)
{
	struct object *object = &objects->pool[root];

	if (object->several || object->gpu == gpu)
		return;
	object->several = object->gpu;
	set_gpu(objects, root, object->several ? 0 : gpu, now_ns);
}

static void named_gpu(struct rm_objects *objects, const struct rm_call *call, uint64_t now_ns)
{
	uint32_t gpu = gpu_number(objects, call->gpu), at;

	at = find(objects, call->client, call->object ? call->object : call->client);
	if (at == NONE || !gpu) {
		objects->counts.unknown++;
		return;
	}
	if (call->what == RM_GPU_OF_OBJECT && objects->pool[at].device != NONE)
		set_gpu(objects, objects->pool[at].device, gpu, now_ns);
	else if (call->what == RM_GPU_OF_CLIENT)
		client_named(objects, at, gpu, now_ns);
}

void rm_objects_call(struct rm_objects *objects, const struct rm_call *call, uint64_t file,
		     uint64_t cgroup, uint64_t now_ns)
{
	uint32_t at;

	if (call->what == RM_NOTHING)
		return;
	if (call->what == RM_GPU_OF_CLIENT || call->what == RM_GPU_OF_OBJECT) {
		named_gpu(objects, call, now_ns);
		return;
	}
	at = find(objects, call->client, call->object);
	if (call->what == RM_FREED) {
		objects->counts.unknown += at == NONE;
		if (at != NONE)
			free_object(objects, at, now_ns);
		return;
	}
	if (call->object == call->client && at != NONE) {
		objects->counts.clashes++;
		free_object(objects, at, now_ns);
	}
	at = root_of(objects, call->client, file, cgroup);
	if (at == NONE || call->object == call->client)
		return;
	if (call->what == RM_MADE)
		made(objects, call, at, now_ns);
	else
		duplicated(objects, call, at, now_ns);
}

void rm_objects_closed(struct rm_objects *objects, uint64_t file, uint64_t now_ns)
{
	for (uint32_t at = 0; at < objects->end; at++) {
		const struct object *object = &objects->pool[at];

		if (object->used && object->root == at && object->file == file)
			free_object(objects, at, now_ns);
	}
}

void rm_objects_read(struct rm_objects *objects, uint64_t now_ns,
		     void (*visit)(void *context, const struct rm_holding *holding), void *context)
{
	for (uint32_t i = 0; i < objects->nr_holders; i++) {
		struct holder *holder = &objects->holders[i];
		struct rm_holding holding;

		if (!holder->used)
			continue;
		settle(holder, now_ns);
		holding = (struct rm_holding){
			.cgroup = holder->cgroup,
			.gpu = holder->gpu ? objects->gpus[holder->gpu - 1] : NULL,
			.contexts = holder->computes ? holder->computes : holder->groups,
			.device_bytes = holder->device_bytes,
			.pinned_bytes = holder->pinned_bytes,
			.held_ns = holder->held_ns,
			.byte_seconds = holder->byte_seconds,
		};
		visit(context, &holding);
		holder->held_ns = holder->byte_seconds = 0;
	}
}

void rm_objects_forget(struct rm_objects *objects, uint64_t cgroup)
{
	for (uint32_t i = 0; i < objects->nr_holders; i++) {
		struct holder *holder = &objects->holders[i];

		if (holder->used && holder->cgroup == cgroup && !holder->computes &&
		    !holder->groups && !holder->device_bytes && !holder->pinned_bytes)
			holder->used = false;
	}
}

void rm_objects_count(const struct rm_objects *objects, struct rm_objects_counts *counts)
{
	*counts = objects->counts;
}
