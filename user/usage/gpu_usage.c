// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel tells of rings and cgroups; what is shown is of engines and owners. Of each ring and
 * cgroup the last sums are remembered, so that an owner's are sums of growth. What jobs under way
 * have run so far is shown too, and counted when they end: what has been shown is never taken back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/idmap.h"
#include "gpu/rings.h"
#include "usage/gpu_usage.h"

/* As many as the kernel's tables have, and of engines what that can be at most. */
#define RINGS_MAX   256
#define USERS_MAX   2048
#define ENGINES_MAX 128
#define TOTALS_MAX  4096

/* The kernel's own jobs have no owner. */
#define SYSTEM OWNER_NONE

struct engine {
	char gpu[MLPROF_GPU_NAME_MAX], driver[MLPROF_GPU_NAME_MAX];
	enum gpu_engine what;
	bool in_order;
	unsigned int rings;  /* in this reading */
	uint64_t busy_ns;    /* of jobs that have ended */
	uint64_t running_ns; /* so far, of those that have not */
	uint64_t known_ns;   /* of busy_ns, what is somebody's */
	uint64_t shown_busy_ns, shown_unknown_ns;
};

struct ring {
	uint64_t id;
	bool told;	 /* of, in this reading */
	uint32_t engine; /* index */
	uint64_t busy_ns, done_ns;
	/* The job that runs: of those under way the one that was handed to the ring first. */
	struct mlprof_gpu_job first;
};

/* The last sums of a ring and a cgroup. */
struct user {
	uint64_t ring, cgroup;
	struct mlprof_gpu_jobs last;
};

struct total {
	uint32_t owner, engine;
	bool used;
	uint64_t jobs, busy_ns, queue_wait_ns, ring_wait_ns;
	uint64_t running_ns; /* so far, of a job that is not done */
	uint64_t shown_ns;   /* the most that has been shown of busy_ns and running_ns */
};

struct gpu_usage {
	struct owners *owners;
	const char *in_order;
	uint64_t now_ns;
	struct engine engines[ENGINES_MAX];
	struct ring rings[RINGS_MAX];
	uint32_t nr_engines, nr_rings;
	struct user *users;
	struct idmap by_user; /* a mix of ring and cgroup to index */
	uint32_t nr_users;
	struct total *totals;
	uint32_t nr_totals;
	struct gpu_namespace_row *namespaces; /* whose names are ours */
	size_t nr_namespaces;
};

struct gpu_usage *gpu_usage_new(struct owners *owners, const char *in_order)
{
	struct gpu_usage *gpu = calloc(1, sizeof(*gpu));

	if (!gpu)
		return NULL;
	gpu->owners = owners;
	gpu->in_order = in_order;
	return gpu;
}

void gpu_usage_free(struct gpu_usage *gpu)
{
	if (!gpu)
		return;
	for (size_t i = 0; i < gpu->nr_namespaces; i++)
		free((char *)gpu->namespaces[i].namespace_);
	idmap_free(&gpu->by_user);
	free(gpu->namespaces);
	free(gpu->users);
	free(gpu->totals);
	free(gpu);
}

void gpu_usage_begin(struct gpu_usage *gpu, uint64_t now_ns)
{
	gpu->now_ns = now_ns;
	for (uint32_t i = 0; i < gpu->nr_rings; i++) {
		gpu->rings[i].told = false;
		gpu->rings[i].first.handed_ns = 0;
	}
	for (uint32_t i = 0; i < gpu->nr_engines; i++) {
		gpu->engines[i].rings = 0;
		gpu->engines[i].running_ns = 0;
	}
	for (uint32_t i = 0; i < gpu->nr_totals; i++)
		gpu->totals[i].running_ns = 0;
}

/*
 * The engine that a ring is of. A device that no driver is bound to is one that its driver has made
 * for itself, and called as itself. ENGINES_MAX if there is no room for one more.
 */
static uint32_t engine_of(struct gpu_usage *gpu, const struct mlprof_gpu_ring *ring)
{
	const char *driver = ring->driver[0] ? ring->driver : ring->device;
	enum gpu_engine what = gpu_ring_engine(driver, ring->name);
	struct engine *engine;
	uint32_t i;

	for (i = 0; i < gpu->nr_engines; i++)
		if (gpu->engines[i].what == what && !strcmp(gpu->engines[i].gpu, ring->device))
			return i;
	if (i == ENGINES_MAX)
		return i;
	engine = &gpu->engines[gpu->nr_engines++];
	engine->what = what;
	snprintf(engine->gpu, sizeof(engine->gpu), "%s", ring->device);
	snprintf(engine->driver, sizeof(engine->driver), "%s", driver);
	engine->in_order = gpu_is_in_order(driver, gpu->in_order);
	return i;
}

static struct ring *find_ring(struct gpu_usage *gpu, uint64_t id)
{
	for (uint32_t i = 0; i < gpu->nr_rings; i++)
		if (gpu->rings[i].id == id)
			return &gpu->rings[i];
	return NULL;
}

/* A place for a ring that is new: one that is gone is given up for it. */
static struct ring *add_ring(struct gpu_usage *gpu, uint64_t id)
{
	struct ring *ring = gpu->nr_rings < RINGS_MAX ? &gpu->rings[gpu->nr_rings++] : NULL;

	for (uint32_t i = 0; !ring && i < gpu->nr_rings; i++)
		if (!gpu->rings[i].told)
			ring = &gpu->rings[i];
	if (ring)
		*ring = (struct ring){.id = id};
	return ring;
}

static uint64_t growth(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

void gpu_usage_ring(struct gpu_usage *gpu, const struct mlprof_gpu_ring *told)
{
	uint32_t engine = engine_of(gpu, told);
	struct ring *ring = find_ring(gpu, told->id);

	if (!ring)
		ring = add_ring(gpu, told->id);
	if (!ring || engine == ENGINES_MAX)
		return;
	ring->told = true;
	ring->engine = engine;
	ring->done_ns = told->done_ns;
	gpu->engines[engine].rings++;
	gpu->engines[engine].busy_ns += growth(told->busy_ns, ring->busy_ns);
	ring->busy_ns = told->busy_ns;
}

/* Ids of cgroups are small numbers, addresses of rings are multiples of 8: no two mix into one. */
static uint64_t mix(uint64_t ring, uint64_t cgroup)
{
	return ring ^ cgroup * UINT64_C(0x9e3779b97f4a7c15);
}

static struct user *user_of(struct gpu_usage *gpu, uint64_t ring, uint64_t cgroup)
{
	uint64_t mixed = mix(ring, cgroup);
	struct user *user;
	uint32_t at;

	if (idmap_get(&gpu->by_user, mixed, &at))
		return &gpu->users[at];
	if (gpu->nr_users == USERS_MAX)
		return NULL;
	if (!gpu->users)
		gpu->users = calloc(USERS_MAX, sizeof(*gpu->users));
	if (!gpu->users || idmap_put(&gpu->by_user, mixed, gpu->nr_users))
		return NULL;
	user = &gpu->users[gpu->nr_users++];
	*user = (struct user){.ring = ring, .cgroup = cgroup};
	return user;
}

/* The last one takes the place of one that is forgotten. */
static void forget_user(struct gpu_usage *gpu, uint64_t ring, uint64_t cgroup)
{
	const struct user *last;
	uint32_t at;

	if (!idmap_get(&gpu->by_user, mix(ring, cgroup), &at))
		return;
	idmap_remove(&gpu->by_user, mix(ring, cgroup));
	last = &gpu->users[--gpu->nr_users];
	if (last == &gpu->users[at])
		return;
	gpu->users[at] = *last;
	idmap_put(&gpu->by_user, mix(last->ring, last->cgroup),
		  at); /* replaces, which takes no memory */
}

static struct total *total_of(struct gpu_usage *gpu, uint32_t owner, uint32_t engine)
{
	struct total *free_one = NULL;

	for (uint32_t i = 0; i < gpu->nr_totals; i++) {
		struct total *total = &gpu->totals[i];

		if (total->used && total->owner == owner && total->engine == engine)
			return total;
		if (!total->used)
			free_one = total;
	}
	if (!gpu->totals)
		gpu->totals = calloc(TOTALS_MAX, sizeof(*gpu->totals));
	if (!free_one && gpu->totals && gpu->nr_totals < TOTALS_MAX)
		free_one = &gpu->totals[gpu->nr_totals++];
	if (free_one)
		*free_one = (struct total){.owner = owner, .engine = engine, .used = true};
	return free_one;
}

/* The number of an owner, SYSTEM, or `*known` is false. */
static uint32_t owner_of(struct gpu_usage *gpu, uint64_t cgroup, bool *known)
{
	uint32_t owner;

	*known = true;
	if (cgroup == MLPROF_CGROUP_KERNEL)
		return SYSTEM;
	owner = owners_resolve(gpu->owners, cgroup);
	*known = owner != OWNER_NONE;
	return owner;
}

static struct wait_hist *hist_of(struct gpu_usage *gpu, const char *name)
{
	struct gpu_namespace_row *grown;

	for (size_t i = 0; i < gpu->nr_namespaces; i++)
		if (!strcmp(gpu->namespaces[i].namespace_, name))
			return &gpu->namespaces[i].ran;
	grown = reallocarray(gpu->namespaces, gpu->nr_namespaces + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	gpu->namespaces = grown;
	grown += gpu->nr_namespaces;
	*grown = (struct gpu_namespace_row){.namespace_ = strdup(name)};
	if (!grown->namespace_)
		return NULL;
	gpu->nr_namespaces++;
	return &grown->ran;
}

static void add_ran(struct gpu_usage *gpu, uint32_t number, const struct mlprof_gpu_jobs *jobs,
		    const struct mlprof_gpu_jobs *last)
{
	const struct owner *owner = number == SYSTEM ? NULL : owners_at(gpu->owners, number);
	struct wait_hist *hist = owner && owner->is_pod ? hist_of(gpu, owner->namespace_) : NULL;

	if (!hist)
		return;
	for (int i = 0; i < MLPROF_HIST_BUCKETS; i++)
		hist->bucket[i] += (uint32_t)(jobs->ran_hist[i] - last->ran_hist[i]);
	hist->sum_ns += growth(jobs->busy_ns, last->busy_ns);
}

bool gpu_usage_jobs(struct gpu_usage *gpu, uint64_t id, uint64_t cgroup,
		    const struct mlprof_gpu_jobs *jobs)
{
	struct ring *ring = find_ring(gpu, id);
	bool known;
	uint32_t owner = owner_of(gpu, cgroup, &known);
	struct user *user = ring && known ? user_of(gpu, id, cgroup) : NULL;
	struct total *total = user ? total_of(gpu, owner, ring->engine) : NULL;

	if (!known)
		forget_user(gpu, id, cgroup);
	if (!total)
		return known;
	/* It was forgotten there, and has begun anew. */
	if (jobs->jobs < user->last.jobs)
		user->last = (struct mlprof_gpu_jobs){0};
	gpu->engines[ring->engine].known_ns += growth(jobs->busy_ns, user->last.busy_ns);
	total->jobs += growth(jobs->jobs, user->last.jobs);
	total->busy_ns += growth(jobs->busy_ns, user->last.busy_ns);
	total->queue_wait_ns += growth(jobs->queue_wait_ns, user->last.queue_wait_ns);
	total->ring_wait_ns += growth(jobs->ring_wait_ns, user->last.ring_wait_ns);
	if (gpu->engines[ring->engine].in_order)
		add_ran(gpu, owner, jobs, &user->last);
	user->last = *jobs;
	return true;
}

void gpu_usage_under_way(struct gpu_usage *gpu, uint64_t id, const struct mlprof_gpu_job *job)
{
	struct ring *ring = find_ring(gpu, id);

	if (ring && (!ring->first.handed_ns || job->handed_ns < ring->first.handed_ns))
		ring->first = *job;
}

/* Whoever's job runs on a ring has used it from its beginning up to now. */
static void add_running(struct gpu_usage *gpu, const struct ring *ring)
{
	uint64_t begun = ring->first.handed_ns;
	struct engine *engine = &gpu->engines[ring->engine];
	struct total *total;
	uint32_t owner;
	bool known;

	if (!begun || !ring->told || !engine->in_order)
		return;
	owner = owner_of(gpu, ring->first.cgroup, &known);
	total = known ? total_of(gpu, owner, ring->engine) : NULL;
	if (begun < ring->done_ns)
		begun = ring->done_ns;
	engine->running_ns += growth(gpu->now_ns, begun);
	if (total)
		total->running_ns += growth(gpu->now_ns, begun);
}

void gpu_usage_merge(struct gpu_usage *gpu, uint32_t goes, uint32_t stays)
{
	for (uint32_t i = 0; i < gpu->nr_totals; i++) {
		struct total *from = &gpu->totals[i], *to;

		if (!from->used || from->owner != goes)
			continue;
		to = total_of(gpu, stays, from->engine);
		if (to) {
			to->jobs += from->jobs;
			to->busy_ns += from->busy_ns;
			to->queue_wait_ns += from->queue_wait_ns;
			to->ring_wait_ns += from->ring_wait_ns;
			to->shown_ns += from->shown_ns;
		}
		from->used = false;
	}
}

void gpu_usage_forget(struct gpu_usage *gpu, uint32_t owner)
{
	for (uint32_t i = 0; i < gpu->nr_totals; i++)
		if (gpu->totals[i].used && gpu->totals[i].owner == owner)
			gpu->totals[i].used = false;
}

static int fill_row(struct gpu_usage *gpu, struct snapshot *snap, struct total *total,
		    struct gpu_row *row)
{
	static const struct owner system = {false, "", "", "", "system"};
	const struct owner *owner =
		total->owner == SYSTEM ? &system : owners_at(gpu->owners, total->owner);
	const struct engine *engine = &gpu->engines[total->engine];

	if (total->busy_ns + total->running_ns > total->shown_ns)
		total->shown_ns = total->busy_ns + total->running_ns;
	*row = (struct gpu_row){
		.kind = owner->is_pod ? OWNER_POD : OWNER_UNIT,
		.namespace_ = snapshot_strdup(snap, owner->namespace_),
		.pod = snapshot_strdup(snap, owner->pod),
		.container = snapshot_strdup(snap, owner->container),
		.unit = snapshot_strdup(snap, owner->unit),
		.settling = owner != &system && owners_settling(gpu->owners, total->owner),
		.gpu = snapshot_strdup(snap, engine->gpu),
		.engine = engine->what,
		.jobs = total->jobs,
		.busy_known = engine->in_order,
		.busy_ns = total->shown_ns,
		.queue_wait_ns = total->queue_wait_ns,
		.ring_wait_ns = total->ring_wait_ns,
	};
	return row->namespace_ && row->pod && row->container && row->unit && row->gpu ? 0 : -ENOMEM;
}

static int fill_rows(struct gpu_usage *gpu, struct snapshot *snap)
{
	struct gpu_row *rows = snapshot_alloc(snap, (gpu->nr_totals + 1) * sizeof(*rows));
	int err = rows ? 0 : -ENOMEM;
	size_t nr = 0;

	for (uint32_t i = 0; !err && i < gpu->nr_totals; i++)
		if (gpu->totals[i].used)
			err = fill_row(gpu, snap, &gpu->totals[i], &rows[nr++]);
	snap->gpu_rows = rows;
	snap->nr_gpu_rows = err ? 0 : nr;
	return err;
}

/* Rings are read before users, who may have ended jobs in between: what has been shown stays. */
static void show_engine(struct engine *engine)
{
	uint64_t unknown = growth(engine->busy_ns, engine->known_ns);

	if (engine->busy_ns + engine->running_ns > engine->shown_busy_ns)
		engine->shown_busy_ns = engine->busy_ns + engine->running_ns;
	if (unknown > engine->shown_unknown_ns)
		engine->shown_unknown_ns = unknown;
}

static int fill_engines(struct gpu_usage *gpu, struct snapshot *snap)
{
	struct gpu_engine_row *rows = snapshot_alloc(snap, (gpu->nr_engines + 1) * sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < gpu->nr_engines; i++) {
		struct engine *engine = &gpu->engines[i];

		show_engine(engine);
		rows[i] = (struct gpu_engine_row){
			.gpu = snapshot_strdup(snap, engine->gpu),
			.driver = snapshot_strdup(snap, engine->driver),
			.engine = engine->what,
			.rings = engine->rings,
			.busy_known = engine->in_order,
			.busy_ns = engine->shown_busy_ns,
			.unattributed_ns = engine->shown_unknown_ns,
		};
		if (!rows[i].gpu || !rows[i].driver)
			return -ENOMEM;
	}
	snap->gpu_engines = rows;
	snap->nr_gpu_engines = gpu->nr_engines;
	return 0;
}

static int fill_namespaces(struct gpu_usage *gpu, struct snapshot *snap)
{
	struct gpu_namespace_row *rows =
		snapshot_alloc(snap, (gpu->nr_namespaces + 1) * sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < gpu->nr_namespaces; i++) {
		rows[i].namespace_ = snapshot_strdup(snap, gpu->namespaces[i].namespace_);
		rows[i].ran = gpu->namespaces[i].ran;
		if (!rows[i].namespace_)
			return -ENOMEM;
	}
	snap->gpu_namespaces = rows;
	snap->nr_gpu_namespaces = gpu->nr_namespaces;
	return 0;
}

int gpu_usage_fill(struct gpu_usage *gpu, struct snapshot *snap)
{
	int err;

	for (uint32_t i = 0; i < gpu->nr_rings; i++)
		add_running(gpu, &gpu->rings[i]);
	err = fill_rows(gpu, snap);
	if (!err)
		err = fill_engines(gpu, snap);
	return err ? err : fill_namespaces(gpu, snap);
}
