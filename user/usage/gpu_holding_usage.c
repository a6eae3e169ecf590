// SPDX-License-Identifier: Apache-2.0
/* By owner and device: what is held now, told anew by each reading, and sums of what was. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "usage/gpu_holding_usage.h"

#define TOTALS_MAX    4096
#define GPU_LABEL_MAX 64

struct total {
	uint32_t owner;
	bool used;
	char gpu[GPU_LABEL_MAX];
	uint64_t contexts, device_bytes, pinned_bytes;
	uint64_t held_ns, byte_seconds;
};

struct gpu_holding_usage {
	struct owners *owners;
	struct total *totals;
	uint32_t nr, room;
};

struct gpu_holding_usage *gpu_holding_usage_new(struct owners *owners)
{
	struct gpu_holding_usage *usage = calloc(1, sizeof(*usage));

	if (usage)
		usage->owners = owners;
	return usage;
}

void gpu_holding_usage_free(struct gpu_holding_usage *usage)
{
	if (!usage)
		return;
	free(usage->totals);
	free(usage);
}

void gpu_holding_usage_begin(struct gpu_holding_usage *usage)
{
	for (uint32_t i = 0; i < usage->nr; i++) {
		usage->totals[i].contexts = 0;
		usage->totals[i].device_bytes = 0;
		usage->totals[i].pinned_bytes = 0;
	}
}

static struct total *free_total(struct gpu_holding_usage *usage)
{
	uint32_t room = usage->room ? usage->room * 2 : 64;
	struct total *grown;

	for (uint32_t i = 0; i < usage->nr; i++)
		if (!usage->totals[i].used)
			return &usage->totals[i];
	if (usage->nr == usage->room) {
		grown = room <= TOTALS_MAX ? reallocarray(usage->totals, room, sizeof(*grown))
					   : NULL;
		if (!grown)
			return NULL;
		usage->totals = grown;
		usage->room = room;
	}
	return &usage->totals[usage->nr++];
}

static struct total *total_of(struct gpu_holding_usage *usage, uint32_t owner, const char *gpu)
{
	struct total *total;

	for (uint32_t i = 0; i < usage->nr; i++) {
		total = &usage->totals[i];
		if (total->used && total->owner == owner && !strcmp(total->gpu, gpu))
			return total;
	}
	total = free_total(usage);
	if (total) {
		*total = (struct total){.owner = owner, .used = true};
		snprintf(total->gpu, sizeof(total->gpu), "%s", gpu);
	}
	return total;
}

bool gpu_holding_usage_add(struct gpu_holding_usage *usage, const struct rm_holding *holding,
			   const char *gpu)
{
	uint32_t owner = owners_resolve(usage->owners, holding->cgroup);
	struct total *total = owner == OWNER_NONE ? NULL : total_of(usage, owner, gpu);

	if (!total)
		return owner != OWNER_NONE;
	total->contexts += holding->contexts;
	total->device_bytes += holding->device_bytes;
	total->pinned_bytes += holding->pinned_bytes;
	total->held_ns += holding->held_ns;
	total->byte_seconds += holding->byte_seconds;
	return true;
}

void gpu_holding_usage_merge(struct gpu_holding_usage *usage, uint32_t goes, uint32_t stays)
{
	for (uint32_t i = 0; i < usage->nr; i++) {
		struct total from = usage->totals[i], *to;

		if (!from.used || from.owner != goes)
			continue;
		usage->totals[i].used = false;
		to = total_of(usage, stays, from.gpu);
		if (!to)
			continue;
		to->contexts += from.contexts;
		to->device_bytes += from.device_bytes;
		to->pinned_bytes += from.pinned_bytes;
		to->held_ns += from.held_ns;
		to->byte_seconds += from.byte_seconds;
	}
}

void gpu_holding_usage_forget(struct gpu_holding_usage *usage, uint32_t owner)
{
	for (uint32_t i = 0; i < usage->nr; i++)
		if (usage->totals[i].used && usage->totals[i].owner == owner)
			usage->totals[i].used = false;
}

static int fill_row(const struct gpu_holding_usage *usage, struct snapshot *snap,
		    const struct total *total, struct gpu_holding_row *row)
{
	const struct owner *owner = owners_at(usage->owners, total->owner);

	*row = (struct gpu_holding_row){
		.kind = owner->is_pod ? OWNER_POD : OWNER_UNIT,
		.namespace_ = snapshot_strdup(snap, owner->namespace_),
		.pod = snapshot_strdup(snap, owner->pod),
		.container = snapshot_strdup(snap, owner->container),
		.unit = snapshot_strdup(snap, owner->unit),
		.settling = owners_settling(usage->owners, total->owner),
		.gpu = snapshot_strdup(snap, total->gpu),
		.contexts = total->contexts,
		.device_bytes = total->device_bytes,
		.pinned_bytes = total->pinned_bytes,
		.held_ns = total->held_ns,
		.byte_seconds = total->byte_seconds,
	};
	return row->namespace_ && row->pod && row->container && row->unit && row->gpu ? 0 : -ENOMEM;
}

int gpu_holding_usage_fill(struct gpu_holding_usage *usage, struct snapshot *snap)
{
	struct gpu_holding_row *rows = snapshot_alloc(snap, (usage->nr + 1) * sizeof(*rows));
	int err = rows ? 0 : -ENOMEM;
	size_t nr = 0;

	for (uint32_t i = 0; !err && i < usage->nr; i++)
		if (usage->totals[i].used)
			err = fill_row(usage, snap, &usage->totals[i], &rows[nr++]);
	snap->gpu_holdings = rows;
	snap->nr_gpu_holdings = err ? 0 : nr;
	return err;
}
