// SPDX-License-Identifier: Apache-2.0
/*
 * Samples come by cgroup and are kept by owner. Of each cgroup the counters of its last sample are
 * remembered, so that an owner's are sums of growth, whatever cgroups it has had.
 */
#include <stdlib.h>
#include <string.h>

#include "base/idmap.h"
#include "memory/integral.h"
#include "memory/memory.h"
#include "usage/memory_usage.h"

/* What a pod's cgroup counts includes what its containers count: a pod's own is not known. */
#define NOT_OF_A_POD                                                                               \
	(MEMORY_ROW_PEAK | MEMORY_ROW_FAULTS | MEMORY_ROW_OOM | MEMORY_ROW_PRESSURE(0) |           \
	 MEMORY_ROW_PRESSURE(1) | MEMORY_ROW_PRESSURE(2))

/* The counters of a sample in one array: faults, kills, throttled twice, and pressure. */
enum {
	COUNT_FAULTS,
	COUNT_OOM,
	COUNT_THROTTLED_NS,
	COUNT_THROTTLED_PERIODS,
	COUNT_STALL,
	COUNT_SOME = COUNT_STALL + MLPROF_STALLS,
	COUNT_FULL = COUNT_SOME + MLPROF_PRESSURES,
	NR_COUNTS = COUNT_FULL + MLPROF_PRESSURES,
};

/* What is remembered of a cgroup. */
struct seen {
	uint64_t cgroup; /* 0: free */
	uint32_t pass;	 /* the last that it was sampled in; 0: never */
	uint64_t last[NR_COUNTS];
};

struct holding {
	uint64_t working_set, rss, cache;
};

struct owner_memory {
	uint32_t known; /* MEMORY_ROW_* */
	bool in_pass;	/* sampled in the pass at hand */
	struct holding now, pass;
	uint64_t peak;
	uint64_t counts[NR_COUNTS];
	struct byte_integral integral;
	struct byte_integral merged; /* of owners that turned out to be this one */
};

struct memory_usage {
	const struct owners *owners;
	struct owner_memory *by_owner;
	uint32_t nr_owners;
	struct seen *seen;
	size_t nr_seen;
	uint32_t free_seen; /* where to look for a free one first */
	struct idmap by_cgroup;
	uint32_t pass;	 /* counts from 1 */
	bool first_pass; /* what cgroups had counted before the agent came is not ours */
};

struct memory_usage *memory_usage_new(const struct owners *owners)
{
	struct memory_usage *memory = calloc(1, sizeof(*memory));

	if (memory) {
		memory->owners = owners;
		memory->first_pass = true;
	}
	return memory;
}

void memory_usage_free(struct memory_usage *memory)
{
	if (!memory)
		return;
	idmap_free(&memory->by_cgroup);
	free(memory->seen);
	free(memory->by_owner);
	free(memory);
}

static struct owner_memory *of_owner(struct memory_usage *memory, uint32_t owner)
{
	uint32_t end = owners_end(memory->owners);
	struct owner_memory *grown;

	if (owner >= end)
		return NULL;
	if (owner >= memory->nr_owners) {
		grown = reallocarray(memory->by_owner, end, sizeof(*grown));
		if (!grown)
			return NULL;
		memset(grown + memory->nr_owners, 0, (end - memory->nr_owners) * sizeof(*grown));
		memory->by_owner = grown;
		memory->nr_owners = end;
	}
	return &memory->by_owner[owner];
}

static struct seen *free_place(struct memory_usage *memory)
{
	size_t nr = memory->nr_seen ? memory->nr_seen * 2 : 64;
	struct seen *grown;

	while (memory->free_seen < memory->nr_seen && memory->seen[memory->free_seen].cgroup)
		memory->free_seen++;
	if (memory->free_seen < memory->nr_seen)
		return &memory->seen[memory->free_seen];
	grown = reallocarray(memory->seen, nr, sizeof(*grown));
	if (!grown)
		return NULL;
	memset(grown + memory->nr_seen, 0, (nr - memory->nr_seen) * sizeof(*grown));
	memory->seen = grown;
	memory->nr_seen = nr;
	return &memory->seen[memory->free_seen];
}

static struct seen *seen_of(struct memory_usage *memory, uint64_t cgroup)
{
	struct seen *place;
	uint32_t at;

	if (idmap_get(&memory->by_cgroup, cgroup, &at))
		return &memory->seen[at];
	place = free_place(memory);
	if (!place || idmap_put(&memory->by_cgroup, cgroup, memory->free_seen))
		return NULL;
	memset(place, 0, sizeof(*place));
	place->cgroup = cgroup;
	return place;
}

/* A counter of the kernel's that goes back is another one's: nothing is known of the difference. */
static void count(struct owner_memory *owner, struct seen *seen, int what, uint64_t value)
{
	if (value > seen->last[what])
		owner->counts[what] += value - seen->last[what];
	seen->last[what] = value;
}

static void count_sample(struct owner_memory *owner, struct seen *seen,
			 const struct mlprof_memory *sample)
{
	if (sample->known & MLPROF_MEMORY_MAJOR_FAULTS) {
		count(owner, seen, COUNT_FAULTS, sample->major_faults);
		owner->known |= MEMORY_ROW_FAULTS;
	}
	if (sample->known & MLPROF_MEMORY_OOM_KILLS) {
		count(owner, seen, COUNT_OOM, sample->oom_kills);
		owner->known |= MEMORY_ROW_OOM;
	}
	if (sample->known & MLPROF_MEMORY_THROTTLED) {
		count(owner, seen, COUNT_THROTTLED_NS, sample->throttled_ns);
		count(owner, seen, COUNT_THROTTLED_PERIODS, sample->throttled_periods);
		owner->known |= MEMORY_ROW_THROTTLED;
	}
	for (int i = 0; i < MLPROF_PRESSURES; i++) {
		if (!(sample->known & MLPROF_MEMORY_PRESSURE_SOME(i)))
			continue;
		count(owner, seen, COUNT_SOME + i, sample->some_ns[i]);
		owner->known |= MEMORY_ROW_PRESSURE(i);
		if (!(sample->known & MLPROF_MEMORY_PRESSURE_FULL(i)))
			continue;
		count(owner, seen, COUNT_FULL + i, sample->full_ns[i]);
		owner->known |= MEMORY_ROW_PRESSURE_FULL(i);
	}
}

/* The counters start where they are: they counted before anybody watched. */
static void begin_counting(struct seen *seen, const struct mlprof_memory *sample)
{
	struct owner_memory nobody = {0};

	count_sample(&nobody, seen, sample);
}

static void hold_sample(struct owner_memory *owner, const struct mlprof_memory *sample)
{
	if (sample->known & MLPROF_MEMORY_CURRENT && sample->known & MLPROF_MEMORY_INACTIVE_FILE) {
		owner->pass.working_set += memory_working_set(sample);
		owner->pass.rss += sample->anon_bytes;
		owner->pass.cache += sample->file_bytes;
		owner->known |= MEMORY_ROW_HOLDS;
	}
	if (sample->known & MLPROF_MEMORY_PEAK) {
		if (sample->peak_bytes > owner->peak || owner->known & MEMORY_ROW_ESTIMATED)
			owner->peak = sample->peak_bytes;
		owner->known |= MEMORY_ROW_PEAK;
	} else if (owner->known & MEMORY_ROW_ESTIMATED) {
		owner->known &= ~MEMORY_ROW_PEAK;
	}
	owner->known &= ~MEMORY_ROW_ESTIMATED;
	owner->in_pass = true;
}

void memory_usage_begin(struct memory_usage *memory)
{
	memory->pass++;
	for (uint32_t i = 0; i < memory->nr_owners; i++) {
		memory->by_owner[i].in_pass = false;
		memory->by_owner[i].pass = (struct holding){0};
	}
}

void memory_usage_sample(struct memory_usage *memory, const struct mlprof_memory *sample)
{
	uint32_t number = owners_find_top(memory->owners, sample->cgroup);
	struct owner_memory *owner = number == OWNER_NONE ? NULL : of_owner(memory, number);
	struct seen *seen = owner ? seen_of(memory, sample->cgroup) : NULL;

	/* A walk over very many cgroups may come to one twice. */
	if (!seen || seen->pass == memory->pass)
		return;
	if (!seen->pass && memory->first_pass)
		begin_counting(seen, sample);
	seen->pass = memory->pass;
	hold_sample(owner, sample);
	count_sample(owner, seen, sample);
}

static uint64_t less(uint64_t all, uint64_t part)
{
	return all > part ? all - part : 0;
}

/* What the pod's cgroup holds includes what its containers hold. */
static void take_from_pod(struct memory_usage *memory, uint32_t number)
{
	struct owner_memory *own = &memory->by_owner[number], *pod;
	uint32_t of = owners_pod_of(memory->owners, number);

	if (of == OWNER_NONE || of == number || of >= memory->nr_owners)
		return;
	pod = &memory->by_owner[of];
	pod->pass.working_set = less(pod->pass.working_set, own->pass.working_set);
	pod->pass.rss = less(pod->pass.rss, own->pass.rss);
	pod->pass.cache = less(pod->pass.cache, own->pass.cache);
}

void memory_usage_end(struct memory_usage *memory, uint64_t now_ns)
{
	for (uint32_t i = 0; i < memory->nr_owners; i++)
		if (memory->by_owner[i].in_pass && owners_at(memory->owners, i)->container[0])
			take_from_pod(memory, i);
	for (uint32_t i = 0; i < memory->nr_owners; i++) {
		struct owner_memory *owner = &memory->by_owner[i];

		if (!(owner->known & MEMORY_ROW_HOLDS))
			continue;
		owner->now = owner->pass;
		if (owner->in_pass)
			byte_integral_sample(&owner->integral, owner->now.working_set, now_ns);
		else
			byte_integral_end(&owner->integral, now_ns);
	}
	memory->first_pass = false;
}

void memory_usage_stall(struct memory_usage *memory, const struct mlprof_stall *stall)
{
	uint32_t number = owners_find(memory->owners, stall->cgroup);
	struct owner_memory *owner = number == OWNER_NONE ? NULL : of_owner(memory, number);
	struct seen *seen = owner ? seen_of(memory, stall->cgroup) : NULL;

	if (!seen)
		return;
	for (int i = 0; i < MLPROF_STALLS; i++)
		count(owner, seen, COUNT_STALL + i, stall->ns[i]);
	owner->known |= MEMORY_ROW_STALL;
}

void memory_usage_exited(struct memory_usage *memory, uint64_t cgroup, uint64_t rss_bytes)
{
	uint32_t number = owners_find(memory->owners, cgroup);
	struct owner_memory *owner = number == OWNER_NONE ? NULL : of_owner(memory, number);

	if (!owner || (owner->known & MEMORY_ROW_HOLDS && !(owner->known & MEMORY_ROW_ESTIMATED)))
		return;
	owner->known |= MEMORY_ROW_PEAK | MEMORY_ROW_ESTIMATED;
	owner->peak = rss_bytes > owner->peak ? rss_bytes : owner->peak;
}

void memory_usage_removed(struct memory_usage *memory, uint64_t cgroup)
{
	uint32_t at;

	if (!idmap_get(&memory->by_cgroup, cgroup, &at))
		return;
	idmap_remove(&memory->by_cgroup, cgroup);
	memory->seen[at].cgroup = 0;
	if (at < memory->free_seen)
		memory->free_seen = at;
}

/* Until the next sample tells, the one that stays holds what both held. */
static void merge_holdings(struct owner_memory *to, const struct owner_memory *from)
{
	to->merged.twice_byte_ns += from->integral.twice_byte_ns + from->merged.twice_byte_ns;
	to->now.working_set += from->now.working_set;
	to->now.rss += from->now.rss;
	to->now.cache += from->now.cache;
	if (!from->integral.begun)
		return;
	if (!to->integral.begun) {
		to->integral.bytes = 0;
		to->integral.ns = from->integral.ns;
		to->integral.begun = true;
	}
	to->integral.bytes += from->integral.bytes;
}

void memory_usage_merge(struct memory_usage *memory, uint32_t goes, uint32_t stays)
{
	struct owner_memory *to = goes < memory->nr_owners ? of_owner(memory, stays) : NULL, *from;

	if (!to)
		return;
	from = &memory->by_owner[goes];
	merge_holdings(to, from);
	to->known |= from->known & ~MEMORY_ROW_ESTIMATED;
	if (from->known & MEMORY_ROW_ESTIMATED && !(to->known & MEMORY_ROW_HOLDS))
		to->known |= MEMORY_ROW_ESTIMATED;
	to->peak = from->peak > to->peak ? from->peak : to->peak;
	for (int i = 0; i < NR_COUNTS; i++)
		to->counts[i] += from->counts[i];
	memset(from, 0, sizeof(*from));
}

void memory_usage_forget(struct memory_usage *memory, uint32_t owner)
{
	if (owner < memory->nr_owners)
		memset(&memory->by_owner[owner], 0, sizeof(memory->by_owner[owner]));
}

void memory_usage_row(const struct memory_usage *memory, uint32_t number, struct memory_row *row)
{
	const struct owner_memory *owner;
	struct byte_integral all;

	*row = (struct memory_row){0};
	if (number >= memory->nr_owners)
		return;
	owner = &memory->by_owner[number];
	row->known = owner->known;
	if (!owners_at(memory->owners, number)->container[0])
		row->known &= ~NOT_OF_A_POD;
	row->working_set_bytes = owner->now.working_set;
	row->rss_bytes = owner->now.rss;
	row->cache_bytes = owner->now.cache;
	row->peak_bytes = owner->peak;
	row->major_faults = owner->counts[COUNT_FAULTS];
	row->oom_kills = owner->counts[COUNT_OOM];
	row->throttled_ns = owner->counts[COUNT_THROTTLED_NS];
	row->throttled_periods = owner->counts[COUNT_THROTTLED_PERIODS];
	memcpy(row->stall_ns, &owner->counts[COUNT_STALL], sizeof(row->stall_ns));
	memcpy(row->some_ns, &owner->counts[COUNT_SOME], sizeof(row->some_ns));
	memcpy(row->full_ns, &owner->counts[COUNT_FULL], sizeof(row->full_ns));
	all = owner->integral;
	all.twice_byte_ns += owner->merged.twice_byte_ns;
	row->byte_seconds = byte_integral_seconds(&all, &row->byte_seconds_nano);
}
