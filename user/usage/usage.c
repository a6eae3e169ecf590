// SPDX-License-Identifier: Apache-2.0
/*
 * Sums of what owners used. A record may say a little less than nothing: it takes back what an
 * estimate before it had too much (include/mlprof/record.h). Sums are kept as they are, and shown
 * as the largest they have been, so that no counter ever goes back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "usage/usage.h"

/* A sum that may dip, and what has been shown of it. */
struct shown {
	int64_t sum;
	uint64_t highest;
};

struct total {
	struct shown cpu;
	uint64_t wait_ns, voluntary, preempted;
	uint64_t wait_hist[MLPROF_HIST_BUCKETS];
};

struct namespace_total {
	char *name;
	struct wait_hist wait;
};

enum loss {
	LOSS_CGROUP_UNKNOWN,
	LOSS_OWNER,
	LOSS_WAIT,
	LOSS_MOVE,
	LOSS_EVENT,
	LOSS_MALFORMED,
	LOSS_STALL,
	LOSS_MEMORY_MALFORMED,
	LOSS_MEMORY_DROPPED,
	LOSS_GPU_JOBS_FULL,
	LOSS_GPU_JOBS_UNKNOWN,
	LOSS_GPU_CALLS_FULL,
	LOSS_GPU_RING_FULL,
	LOSS_GPU_UNREADABLE,
	LOSS_GPU_OBJECTS_FULL,
	LOSS_GPU_OBJECTS_UNKNOWN,
	NR_LOSSES,
};

static const struct {
	const char *plane, *cause;
} loss_names[NR_LOSSES] = {
	[LOSS_CGROUP_UNKNOWN] = {"account", "cgroup_unknown"},
	[LOSS_OWNER] = {"account", "overflow_full"},
	[LOSS_WAIT] = {"account", "wait_before_move_unknown"},
	[LOSS_MOVE] = {"account", "time_of_move_unknown"},
	[LOSS_EVENT] = {"event", "ring_full"},
	[LOSS_MALFORMED] = {"event", "malformed"},
	[LOSS_STALL] = {"memory", "stall_unknown"},
	[LOSS_MEMORY_MALFORMED] = {"memory", "malformed"},
	[LOSS_MEMORY_DROPPED] = {"memory", "too_many_cgroups"},
	[LOSS_GPU_JOBS_FULL] = {"gpu", "jobs_full"},
	[LOSS_GPU_JOBS_UNKNOWN] = {"gpu", "job_unknown"},
	[LOSS_GPU_CALLS_FULL] = {"gpu", "calls_full"},
	[LOSS_GPU_RING_FULL] = {"gpu", "ring_full"},
	[LOSS_GPU_UNREADABLE] = {"gpu", "unreadable"},
	[LOSS_GPU_OBJECTS_FULL] = {"gpu", "objects_full"},
	[LOSS_GPU_OBJECTS_UNKNOWN] = {"gpu", "object_unknown"},
};

struct usage {
	struct owners *owners;
	struct memory_usage *memory;
	struct gpu_usage *gpu;
	struct gpu_call_usage *gpu_calls;
	struct gpu_holding_usage *gpu_holdings;
	struct total *totals; /* by owner's number */
	uint32_t nr_totals;
	struct mlprof_usage *pending; /* of cgroups that are not known yet */
	size_t nr_pending, pending_capacity;
	struct namespace_total *namespaces; /* sorted by name */
	size_t nr_namespaces;
	uint32_t *order; /* owners as they are shown */
	size_t nr_order;
	uint64_t order_generation;

	struct shown node[NODE_MODES];
	uint64_t elapsed_ns, unattributed_wait_ns, overflowed;
	uint64_t begun_ns;    /* when this drain began */
	uint64_t *flushed_ns; /* by CPU: when it was last flushed */
	unsigned int nr_cpus;
	uint64_t losses[NR_LOSSES];
};

static uint64_t show(struct shown *shown)
{
	if (shown->sum > 0 && (uint64_t)shown->sum > shown->highest)
		shown->highest = (uint64_t)shown->sum;
	return shown->highest;
}

struct usage *usage_new(struct owners *owners, const char *gpu_in_order)
{
	struct usage *usage = calloc(1, sizeof(*usage));

	if (!usage)
		return NULL;
	usage->owners = owners;
	usage->order_generation = UINT64_MAX;
	usage->memory = memory_usage_new(owners);
	usage->gpu = gpu_usage_new(owners, gpu_in_order);
	usage->gpu_calls = gpu_call_usage_new(owners);
	usage->gpu_holdings = gpu_holding_usage_new(owners);
	if (!usage->memory || !usage->gpu || !usage->gpu_calls || !usage->gpu_holdings) {
		usage_free(usage);
		return NULL;
	}
	return usage;
}

struct memory_usage *usage_memory(struct usage *usage)
{
	return usage->memory;
}

struct gpu_usage *usage_gpu(struct usage *usage)
{
	return usage->gpu;
}

struct gpu_call_usage *usage_gpu_calls(struct usage *usage)
{
	return usage->gpu_calls;
}

struct gpu_holding_usage *usage_gpu_holdings(struct usage *usage)
{
	return usage->gpu_holdings;
}

void usage_free(struct usage *usage)
{
	if (!usage)
		return;
	for (size_t i = 0; i < usage->nr_namespaces; i++)
		free(usage->namespaces[i].name);
	memory_usage_free(usage->memory);
	gpu_usage_free(usage->gpu);
	gpu_call_usage_free(usage->gpu_calls);
	gpu_holding_usage_free(usage->gpu_holdings);
	free(usage->namespaces);
	free(usage->totals);
	free(usage->pending);
	free(usage->order);
	free(usage->flushed_ns);
	free(usage);
}

static struct total *total_of(struct usage *usage, uint32_t owner)
{
	uint32_t end = owners_end(usage->owners);
	struct total *grown;

	if (owner >= usage->nr_totals) {
		grown = reallocarray(usage->totals, end, sizeof(*grown));
		if (!grown)
			return NULL;
		memset(grown + usage->nr_totals, 0, (end - usage->nr_totals) * sizeof(*grown));
		usage->totals = grown;
		usage->nr_totals = end;
	}
	return &usage->totals[owner];
}

/* The sums of a namespace, which outlive its pods; NULL when memory is out. */
static struct namespace_total *namespace_of(struct usage *usage, const char *name)
{
	struct namespace_total *grown;
	size_t at = 0, end = usage->nr_namespaces;

	while (at < end) {
		size_t middle = (at + end) / 2;

		if (strcmp(usage->namespaces[middle].name, name) < 0)
			at = middle + 1;
		else
			end = middle;
	}
	if (at < usage->nr_namespaces && !strcmp(usage->namespaces[at].name, name))
		return &usage->namespaces[at];
	grown = reallocarray(usage->namespaces, usage->nr_namespaces + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	usage->namespaces = grown;
	memmove(grown + at + 1, grown + at, (usage->nr_namespaces - at) * sizeof(*grown));
	memset(&grown[at], 0, sizeof(grown[at]));
	grown[at].name = strdup(name);
	if (!grown[at].name) {
		memmove(grown + at, grown + at + 1, (usage->nr_namespaces - at) * sizeof(*grown));
		return NULL;
	}
	usage->nr_namespaces++;
	return &grown[at];
}

static void add_unattributed(struct usage *usage, const struct mlprof_usage *record)
{
	usage->node[NODE_UNATTRIBUTED].sum += record->cpu_ns;
	usage->unattributed_wait_ns += (uint64_t)record->wait_ns;
	usage->losses[LOSS_CGROUP_UNKNOWN]++;
}

static void add_namespace(struct usage *usage, const char *name, const struct mlprof_usage *record)
{
	struct namespace_total *sums = namespace_of(usage, name);

	if (!sums)
		return;
	for (int i = 0; i < MLPROF_HIST_BUCKETS; i++)
		sums->wait.bucket[i] += record->wait_hist[i];
	sums->wait.sum_ns += (uint64_t)record->wait_ns;
}

static void add_to_owner(struct usage *usage, uint32_t number, const struct mlprof_usage *record)
{
	const struct owner *owner = owners_at(usage->owners, number);
	struct total *total = total_of(usage, number);

	if (!total) {
		add_unattributed(usage, record);
		return;
	}
	total->cpu.sum += record->cpu_ns;
	total->wait_ns += (uint64_t)record->wait_ns;
	total->voluntary += record->switches[MLPROF_SWITCH_VOLUNTARY];
	total->preempted += record->switches[MLPROF_SWITCH_PREEMPTED];
	for (int i = 0; i < MLPROF_HIST_BUCKETS; i++)
		total->wait_hist[i] += record->wait_hist[i];
	usage->node[owner->is_pod ? NODE_PODS : NODE_UNITS].sum += record->cpu_ns;
	if (owner->is_pod)
		add_namespace(usage, owner->namespace_, record);
}

/* Keeps a record until the end of the drain: the event that names its cgroup may be in another
 * ring. */
static bool set_aside(struct usage *usage, const struct mlprof_usage *record)
{
	size_t capacity = usage->pending_capacity ? usage->pending_capacity * 2 : 64;
	struct mlprof_usage *grown;

	if (usage->nr_pending == usage->pending_capacity) {
		grown = reallocarray(usage->pending, capacity, sizeof(*grown));
		if (!grown)
			return false;
		usage->pending = grown;
		usage->pending_capacity = capacity;
	}
	usage->pending[usage->nr_pending++] = *record;
	return true;
}

void usage_add(struct usage *usage, const struct mlprof_usage *record)
{
	uint32_t owner;

	if (record->cgroup == MLPROF_CGROUP_KERNEL) {
		usage->node[NODE_KERNEL].sum += record->cpu_ns;
		return;
	}
	owner = owners_find(usage->owners, record->cgroup);
	if (owner != OWNER_NONE)
		add_to_owner(usage, owner, record);
	else if (!set_aside(usage, record))
		add_unattributed(usage, record);
}

static void note_flush(struct usage *usage, unsigned int cpu, uint64_t mono_ns)
{
	uint64_t *grown;

	if (cpu >= usage->nr_cpus) {
		grown = reallocarray(usage->flushed_ns, cpu + 1, sizeof(*grown));
		if (!grown)
			return;
		memset(grown + usage->nr_cpus, 0, (cpu + 1 - usage->nr_cpus) * sizeof(*grown));
		usage->flushed_ns = grown;
		usage->nr_cpus = cpu + 1;
	}
	usage->flushed_ns[cpu] = mono_ns;
}

/* The mean time at which the CPUs that are online were flushed in this drain. */
static uint64_t mean_flush_ns(const struct usage *usage)
{
	uint64_t after_begin = 0, nr = 0;

	for (unsigned int cpu = 0; cpu < usage->nr_cpus; cpu++) {
		if (usage->flushed_ns[cpu] < usage->begun_ns)
			continue;
		after_begin += usage->flushed_ns[cpu] - usage->begun_ns;
		nr++;
	}
	return usage->begun_ns + (nr ? after_begin / nr : 0);
}

void usage_add_cpu(struct usage *usage, const struct mlprof_record_cpu *record)
{
	note_flush(usage, record->header.cpu, record->mono_ns);
	usage->node[NODE_IDLE].sum += record->idle_ns;
	usage->node[NODE_IRQ_STEAL].sum += record->irq_steal_ns;
	usage->node[NODE_UNATTRIBUTED].sum += record->unattributed_ns;
	usage->unattributed_wait_ns += record->unattributed_wait_ns;
	usage->elapsed_ns += (uint64_t)record->elapsed_ns;
	usage->overflowed += record->overflowed;
	usage->losses[LOSS_OWNER] += record->orphaned;
	usage->losses[LOSS_WAIT] += record->waits_unknown;
	usage->losses[LOSS_MOVE] += record->moves_unknown;
	usage->losses[LOSS_EVENT] += record->events_lost;
}

static void forget_owner(void *context, uint32_t owner)
{
	struct usage *usage = context;

	memory_usage_forget(usage->memory, owner);
	gpu_usage_forget(usage->gpu, owner);
	gpu_call_usage_forget(usage->gpu_calls, owner);
	gpu_holding_usage_forget(usage->gpu_holdings, owner);
	if (owner < usage->nr_totals)
		memset(&usage->totals[owner], 0, sizeof(usage->totals[owner]));
}

/* What was shown of both stays shown: the sum of the one that stays never goes back. */
static void merge_totals(void *context, uint32_t goes, uint32_t stays)
{
	struct usage *usage = context;
	struct total *from = goes < usage->nr_totals ? &usage->totals[goes] : NULL, *to;

	memory_usage_merge(usage->memory, goes, stays);
	gpu_usage_merge(usage->gpu, goes, stays);
	gpu_call_usage_merge(usage->gpu_calls, goes, stays);
	gpu_holding_usage_merge(usage->gpu_holdings, goes, stays);
	to = from ? total_of(usage, stays) : NULL;
	if (!to)
		return;
	from = &usage->totals[goes]; /* total_of() may have moved them */
	to->cpu.sum += from->cpu.sum;
	to->cpu.highest += from->cpu.highest;
	to->wait_ns += from->wait_ns;
	to->voluntary += from->voluntary;
	to->preempted += from->preempted;
	for (int i = 0; i < MLPROF_HIST_BUCKETS; i++)
		to->wait_hist[i] += from->wait_hist[i];
	memset(from, 0, sizeof(*from));
}

/*
 * Time goes on for owners as of the last drain's beginning: whoever was found dead in that drain
 * has been published since, with all that was still in the accounts.
 */
void usage_begin(struct usage *usage, uint64_t now_ns)
{
	owners_expire(usage->owners, usage->begun_ns, forget_owner, usage);
	usage->begun_ns = now_ns;
}

void usage_learn(struct usage *usage, const struct pods *pods, uint64_t now_ns)
{
	owners_learn(usage->owners, pods, now_ns, merge_totals, usage);
}

void usage_end(struct usage *usage)
{
	for (size_t i = 0; i < usage->nr_pending; i++) {
		const struct mlprof_usage *record = &usage->pending[i];
		uint32_t owner = owners_resolve(usage->owners, record->cgroup);

		if (owner == OWNER_NONE)
			add_unattributed(usage, record);
		else
			add_to_owner(usage, owner, record);
	}
	usage->nr_pending = 0;
}

uint64_t usage_events_lost(const struct usage *usage)
{
	return usage->losses[LOSS_EVENT];
}

void usage_set_losses(struct usage *usage, const struct usage_losses *losses)
{
	usage->losses[LOSS_MALFORMED] = losses->records;
	usage->losses[LOSS_STALL] = losses->stalls;
	usage->losses[LOSS_MEMORY_MALFORMED] = losses->memory_malformed;
	usage->losses[LOSS_MEMORY_DROPPED] = losses->memory_dropped;
	usage->losses[LOSS_GPU_JOBS_FULL] = losses->gpu_jobs_full;
	usage->losses[LOSS_GPU_JOBS_UNKNOWN] = losses->gpu_jobs_unknown;
	usage->losses[LOSS_GPU_CALLS_FULL] = losses->gpu_calls_full;
	usage->losses[LOSS_GPU_RING_FULL] = losses->gpu_ring_full;
	usage->losses[LOSS_GPU_UNREADABLE] = losses->gpu_unreadable;
	usage->losses[LOSS_GPU_OBJECTS_FULL] = losses->gpu_objects_full;
	usage->losses[LOSS_GPU_OBJECTS_UNKNOWN] = losses->gpu_objects_unknown;
}

/* Pods first, then units, each by its names. */
static int compare_owners(const void *a, const void *b, void *context)
{
	const struct owner *x = owners_at(context, *(const uint32_t *)a);
	const struct owner *y = owners_at(context, *(const uint32_t *)b);
	int order = y->is_pod - x->is_pod;

	if (!order)
		order = strcmp(x->namespace_, y->namespace_);
	if (!order)
		order = strcmp(x->pod, y->pod);
	if (!order)
		order = strcmp(x->container, y->container);
	return order ? order : strcmp(x->unit, y->unit);
}

/* Sorting is most of the work of a snapshot, and owners seldom change: keep the order. */
static int put_in_order(struct usage *usage)
{
	uint32_t end = owners_end(usage->owners), *grown;
	size_t nr = 0;

	if (usage->order_generation == owners_generation(usage->owners))
		return 0;
	grown = reallocarray(usage->order, end, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	usage->order = grown;
	for (uint32_t number = 0; number < end; number++)
		if (owners_at(usage->owners, number))
			grown[nr++] = number;
	qsort_r(grown, nr, sizeof(*grown), compare_owners, usage->owners);
	usage->nr_order = nr;
	usage->order_generation = owners_generation(usage->owners);
	return 0;
}

/* A row is shown once its owner has run, waited or held memory: cgroups of cgroups never do. */
static bool has_used(const struct total *total)
{
	return total->cpu.sum || total->wait_ns || total->voluntary || total->preempted;
}

/* Byte-seconds stay when it holds nothing any more, and so does the row. */
static bool has_held(const struct memory_row *row)
{
	return row->working_set_bytes || row->byte_seconds || row->byte_seconds_nano;
}

static int fill_row(struct usage_row *row, struct snapshot *snap, const struct owner *owner,
		    struct total *total)
{
	row->kind = owner->is_pod ? OWNER_POD : OWNER_UNIT;
	row->namespace_ = snapshot_strdup(snap, owner->namespace_);
	row->pod = snapshot_strdup(snap, owner->pod);
	row->container = snapshot_strdup(snap, owner->container);
	row->unit = snapshot_strdup(snap, owner->unit);
	row->cpu_ns = show(&total->cpu);
	row->wait_ns = total->wait_ns;
	row->voluntary = total->voluntary;
	row->preempted = total->preempted;
	memcpy(row->wait.bucket, total->wait_hist, sizeof(total->wait_hist));
	row->wait.sum_ns = total->wait_ns;
	return row->namespace_ && row->pod && row->container && row->unit ? 0 : -ENOMEM;
}

static int fill_rows(struct usage *usage, struct snapshot *snap)
{
	struct usage_row *rows = snapshot_alloc(snap, (usage->nr_order + 1) * sizeof(*rows));
	size_t nr = 0;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < usage->nr_order; i++) {
		uint32_t number = usage->order[i];

		struct total *total = total_of(usage, number);

		if (!total)
			return -ENOMEM;
		memory_usage_row(usage->memory, number, &rows[nr].memory);
		if (!has_used(total) && !has_held(&rows[nr].memory))
			continue;
		rows[nr].settling = owners_settling(usage->owners, number);
		if (fill_row(&rows[nr++], snap, owners_at(usage->owners, number), total))
			return -ENOMEM;
	}
	snap->rows = rows;
	snap->nr_rows = nr;
	return 0;
}

static int fill_namespaces(struct usage *usage, struct snapshot *snap)
{
	struct namespace_row *rows =
		snapshot_alloc(snap, (usage->nr_namespaces + 1) * sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < usage->nr_namespaces; i++) {
		rows[i].namespace_ = snapshot_strdup(snap, usage->namespaces[i].name);
		rows[i].wait = usage->namespaces[i].wait;
		if (!rows[i].namespace_)
			return -ENOMEM;
	}
	snap->namespaces = rows;
	snap->nr_namespaces = usage->nr_namespaces;
	return 0;
}

static int fill_losses(struct usage *usage, struct snapshot *snap)
{
	struct loss_row *rows = snapshot_alloc(snap, NR_LOSSES * sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (int i = 0; i < NR_LOSSES; i++)
		rows[i] = (struct loss_row){
			.plane = loss_names[i].plane,
			.cause = loss_names[i].cause,
			.count = usage->losses[i],
		};
	snap->losses = rows;
	snap->nr_losses = NR_LOSSES;
	return 0;
}

int usage_fill(struct usage *usage, struct snapshot *snap)
{
	int err = put_in_order(usage);

	for (int mode = 0; mode < NODE_MODES; mode++)
		snap->node_ns[mode] = show(&usage->node[mode]);
	snap->elapsed_ns = usage->elapsed_ns;
	snap->monotonic_ns = mean_flush_ns(usage);
	snap->unattributed_wait_ns = usage->unattributed_wait_ns;
	snap->self.accounts_overflowed = usage->overflowed;
	snap->self.owners_dropped = owners_dropped(usage->owners);
	if (!err)
		err = fill_rows(usage, snap);
	if (!err)
		err = fill_namespaces(usage, snap);
	if (!err)
		err = gpu_usage_fill(usage->gpu, snap);
	if (!err)
		err = gpu_call_usage_fill(usage->gpu_calls, snap);
	if (!err)
		err = gpu_holding_usage_fill(usage->gpu_holdings, snap);
	return err ? err : fill_losses(usage, snap);
}
