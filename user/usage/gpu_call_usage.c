// SPDX-License-Identifier: Apache-2.0
/* Sums of growth, by namespace and by owner, of what the kernel tells by cgroup and device file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/idmap.h"
#include "usage/gpu_call_usage.h"

/* As many as the kernel's table has; and what that can be at most. */
#define CALLERS_MAX    2048
#define NAMESPACES_MAX 2048
#define WAITS_MAX      4096

/* The longest label of a device: a UUID of NVIDIA's has 40 bytes. */
#define GPU_LABEL_MAX 64

struct seen {
	struct mlprof_gpu_caller caller;
	struct mlprof_gpu_calls last;
};

struct namespace_calls {
	char *name;
	struct {
		uint64_t calls, errors;
		struct wait_hist took;
	} op[MLPROF_GPU_OPS];
};

/* Time in calls that wait for a GPU. */
struct waited {
	uint32_t owner;
	bool used;
	char gpu[GPU_LABEL_MAX];
	uint64_t ns;
};

struct gpu_call_usage {
	struct owners *owners;
	struct seen *seen; /* CALLERS_MAX of them, made with the first */
	struct idmap by_caller;
	uint32_t nr_seen;
	struct namespace_calls *namespaces;
	size_t nr_namespaces;
	struct waited *waits;
	uint32_t nr_waits, room_waits;
};

struct gpu_call_usage *gpu_call_usage_new(struct owners *owners)
{
	struct gpu_call_usage *usage = calloc(1, sizeof(*usage));

	if (usage)
		usage->owners = owners;
	return usage;
}

void gpu_call_usage_free(struct gpu_call_usage *usage)
{
	if (!usage)
		return;
	for (size_t i = 0; i < usage->nr_namespaces; i++)
		free(usage->namespaces[i].name);
	idmap_free(&usage->by_caller);
	free(usage->namespaces);
	free(usage->waits);
	free(usage->seen);
	free(usage);
}

/* Ids of cgroups are small numbers; a device and what for are 35 bits. */
static uint64_t mix(const struct mlprof_gpu_caller *caller)
{
	return ((uint64_t)caller->device << 3 | caller->op) ^
	       caller->cgroup * UINT64_C(0x9e3779b97f4a7c15);
}

static struct seen *seen_of(struct gpu_call_usage *usage, const struct mlprof_gpu_caller *caller)
{
	uint32_t at;

	if (idmap_get(&usage->by_caller, mix(caller), &at))
		return &usage->seen[at];
	if (!usage->seen)
		usage->seen = calloc(CALLERS_MAX, sizeof(*usage->seen));
	if (!usage->seen || usage->nr_seen == CALLERS_MAX ||
	    idmap_put(&usage->by_caller, mix(caller), usage->nr_seen))
		return NULL;
	usage->seen[usage->nr_seen] = (struct seen){.caller = *caller};
	return &usage->seen[usage->nr_seen++];
}

/* The last one takes the place of one that is forgotten. */
static void forget_seen(struct gpu_call_usage *usage, const struct mlprof_gpu_caller *caller)
{
	const struct seen *last;
	uint32_t at;

	if (!idmap_get(&usage->by_caller, mix(caller), &at))
		return;
	idmap_remove(&usage->by_caller, mix(caller));
	last = &usage->seen[--usage->nr_seen];
	if (last == &usage->seen[at])
		return;
	usage->seen[at] = *last;
	idmap_put(&usage->by_caller, mix(&last->caller), at); /* replaces: takes no memory */
}

static struct namespace_calls *namespace_of(struct gpu_call_usage *usage, const char *name)
{
	struct namespace_calls *grown;

	for (size_t i = 0; i < usage->nr_namespaces; i++)
		if (!strcmp(usage->namespaces[i].name, name))
			return &usage->namespaces[i];
	if (usage->nr_namespaces == NAMESPACES_MAX)
		return NULL;
	grown = reallocarray(usage->namespaces, usage->nr_namespaces + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	usage->namespaces = grown;
	grown += usage->nr_namespaces;
	*grown = (struct namespace_calls){.name = strdup(name)};
	if (!grown->name)
		return NULL;
	usage->nr_namespaces++;
	return grown;
}

static struct waited *room_for_wait(struct gpu_call_usage *usage)
{
	uint32_t room = usage->room_waits ? usage->room_waits * 2 : 64;
	struct waited *grown;

	for (uint32_t i = 0; i < usage->nr_waits; i++)
		if (!usage->waits[i].used)
			return &usage->waits[i];
	if (usage->nr_waits == usage->room_waits) {
		grown = room <= WAITS_MAX ? reallocarray(usage->waits, room, sizeof(*grown)) : NULL;
		if (!grown)
			return NULL;
		usage->waits = grown;
		usage->room_waits = room;
	}
	return &usage->waits[usage->nr_waits++];
}

static struct waited *waited_of(struct gpu_call_usage *usage, uint32_t owner, const char *gpu)
{
	struct waited *waited;

	for (uint32_t i = 0; i < usage->nr_waits; i++) {
		waited = &usage->waits[i];
		if (waited->used && waited->owner == owner && !strcmp(waited->gpu, gpu))
			return waited;
	}
	waited = room_for_wait(usage);
	if (waited) {
		*waited = (struct waited){.owner = owner, .used = true};
		snprintf(waited->gpu, sizeof(waited->gpu), "%s", gpu);
	}
	return waited;
}

static void add_to_namespace(struct namespace_calls *sums, const struct seen *seen,
			     const struct mlprof_gpu_calls *now)
{
	uint32_t op = seen->caller.op % MLPROF_GPU_OPS;

	sums->op[op].calls += now->calls - seen->last.calls;
	sums->op[op].errors += now->errors - seen->last.errors;
	sums->op[op].took.sum_ns += now->ns - seen->last.ns;
	for (int i = 0; i < MLPROF_HIST_BUCKETS; i++)
		sums->op[op].took.bucket[i] += (uint32_t)(now->hist[i] - seen->last.hist[i]);
}

bool gpu_call_usage_add(struct gpu_call_usage *usage, const struct mlprof_gpu_caller *caller,
			const struct mlprof_gpu_calls *sums, const char *gpu)
{
	uint32_t owner = owners_resolve(usage->owners, caller->cgroup);
	struct namespace_calls *of_namespace;
	struct waited *waited;
	struct seen *seen;

	if (owner == OWNER_NONE) {
		forget_seen(usage, caller);
		return false;
	}
	seen = seen_of(usage, caller);
	if (!seen)
		return true;
	/* It was forgotten there, and has begun anew. */
	if (sums->calls < seen->last.calls)
		seen->last = (struct mlprof_gpu_calls){0};
	of_namespace = namespace_of(usage, owners_at(usage->owners, owner)->namespace_);
	if (of_namespace)
		add_to_namespace(of_namespace, seen, sums);
	waited = caller->op == MLPROF_GPU_OP_WAIT ? waited_of(usage, owner, gpu) : NULL;
	if (waited)
		waited->ns += sums->ns - seen->last.ns;
	seen->last = *sums;
	return true;
}

void gpu_call_usage_merge(struct gpu_call_usage *usage, uint32_t goes, uint32_t stays)
{
	for (uint32_t i = 0; i < usage->nr_waits; i++) {
		struct waited from = usage->waits[i], *to;

		if (!from.used || from.owner != goes)
			continue;
		usage->waits[i].used = false;
		to = waited_of(usage, stays, from.gpu);
		if (to)
			to->ns += from.ns;
	}
}

void gpu_call_usage_forget(struct gpu_call_usage *usage, uint32_t owner)
{
	for (uint32_t i = 0; i < usage->nr_waits; i++)
		if (usage->waits[i].used && usage->waits[i].owner == owner)
			usage->waits[i].used = false;
}

static int fill_calls(const struct gpu_call_usage *usage, struct snapshot *snap)
{
	size_t most = usage->nr_namespaces * MLPROF_GPU_OPS, nr = 0;
	struct gpu_calls_row *rows = snapshot_alloc(snap, (most + 1) * sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < most; i++) {
		const struct namespace_calls *sums = &usage->namespaces[i / MLPROF_GPU_OPS];
		uint32_t op = i % MLPROF_GPU_OPS;

		if (!sums->op[op].calls)
			continue;
		rows[nr] = (struct gpu_calls_row){
			.namespace_ = snapshot_strdup(snap, sums->name),
			.op = (enum mlprof_gpu_op)op,
			.errors = sums->op[op].errors,
			.took = sums->op[op].took,
		};
		if (!rows[nr++].namespace_)
			return -ENOMEM;
	}
	snap->gpu_calls = rows;
	snap->nr_gpu_calls = nr;
	return 0;
}

static int fill_wait(const struct gpu_call_usage *usage, struct snapshot *snap,
		     const struct waited *waited, struct gpu_wait_row *row)
{
	const struct owner *owner = owners_at(usage->owners, waited->owner);

	*row = (struct gpu_wait_row){
		.kind = owner->is_pod ? OWNER_POD : OWNER_UNIT,
		.namespace_ = snapshot_strdup(snap, owner->namespace_),
		.pod = snapshot_strdup(snap, owner->pod),
		.container = snapshot_strdup(snap, owner->container),
		.unit = snapshot_strdup(snap, owner->unit),
		.settling = owners_settling(usage->owners, waited->owner),
		.gpu = snapshot_strdup(snap, waited->gpu),
		.wait_ns = waited->ns,
	};
	return row->namespace_ && row->pod && row->container && row->unit && row->gpu ? 0 : -ENOMEM;
}

int gpu_call_usage_fill(struct gpu_call_usage *usage, struct snapshot *snap)
{
	struct gpu_wait_row *rows = snapshot_alloc(snap, (usage->nr_waits + 1) * sizeof(*rows));
	int err = rows ? fill_calls(usage, snap) : -ENOMEM;
	size_t nr = 0;

	for (uint32_t i = 0; !err && i < usage->nr_waits; i++)
		if (usage->waits[i].used)
			err = fill_wait(usage, snap, &usage->waits[i], &rows[nr++]);
	snap->gpu_waits = rows;
	snap->nr_gpu_waits = err ? 0 : nr;
	return err;
}
