// SPDX-License-Identifier: Apache-2.0
/* The two calls to the kubelet's pod-resources socket, and what their messages say. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "owner/grpc.h"
#include "owner/pod_resources.h"
#include "owner/pods_build.h"
#include "owner/pod_resources.pb-c.h"

/* A message of two bytes may unpack to 100: what it may take is limited, not what it brings. */
#define UNPACK_MAX_BYTES ((size_t)64 << 20)
#define CPUS_MAX	 8192

/* Rows in the making. */
struct rows {
	struct arena *arena;
	struct pod_device *row;
	size_t nr, capacity;
	uint64_t skipped;
};

static void *budget_alloc(void *left, size_t bytes)
{
	size_t *budget = left;

	if (bytes > *budget)
		return NULL;
	*budget -= bytes;
	return malloc(bytes);
}

static void budget_free(void *left, void *memory)
{
	(void)left;
	free(memory);
}

static int grow(struct rows *rows)
{
	size_t capacity = rows->capacity ? rows->capacity * 2 : 64;
	struct pod_device *row = reallocarray(rows->row, capacity, sizeof(*row));

	if (!row)
		return -ENOMEM;
	rows->row = row;
	rows->capacity = capacity;
	return 0;
}

static int copy(struct rows *rows, const char *text, const char **to)
{
	*to = *text ? arena_text(rows->arena, text, strlen(text)) : "";
	return *to ? 0 : -ENOMEM;
}

static bool fits(const char *text)
{
	return *text && strlen(text) <= POD_NAME_MAX;
}

/* One device of `whose`, whose names are copied already. */
static int add(struct rows *rows, const struct pod_device *whose, const char *resource,
	       const char *id)
{
	struct pod_device *row;

	if (!fits(resource) || !*id || rows->nr == POD_DEVICES_MAX) {
		rows->skipped++;
		return 0;
	}
	if (rows->nr == rows->capacity && grow(rows))
		return -ENOMEM;
	row = &rows->row[rows->nr];
	*row = *whose;
	if (copy(rows, resource, &row->resource) || copy(rows, id, &row->id))
		return -ENOMEM;
	rows->nr++;
	return 0;
}

static int add_devices(struct rows *rows, const struct pod_device *whose, Podres__Devices *const *d,
		       size_t nr)
{
	int err = 0;

	for (size_t i = 0; i < nr; i++)
		for (size_t k = 0; !err && k < d[i]->n_device_ids; k++)
			err = fits(d[i]->device_ids[k])
				      ? add(rows, whose, d[i]->resource_name, d[i]->device_ids[k])
				      : add(rows, whose, "", "");
	return err;
}

static int add_claims(struct rows *rows, const struct pod_device *whose,
		      const Podres__ContainerResources *c)
{
	int err = 0;

	for (size_t i = 0; i < c->n_dynamic_resources; i++) {
		const Podres__DynamicResource *dynamic = c->dynamic_resources[i];

		for (size_t k = 0; !err && k < dynamic->n_claim_resources; k++)
			err = add(rows, whose, dynamic->claim_resources[k]->driver_name,
				  dynamic->claim_resources[k]->device_name);
	}
	return err;
}

static int compare_cpus(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorted numbers as the kernel writes lists of CPUs: "0-3,8". */
static void write_cpus(struct buf *text, const int64_t *cpu, size_t nr)
{
	for (size_t i = 0, last; i < nr; i = last + 1) {
		for (last = i; last + 1 < nr && cpu[last + 1] <= cpu[last] + 1;)
			last++;
		buf_printf(text, "%s%lld", text->len ? "," : "", (long long)cpu[i]);
		if (cpu[last] > cpu[i])
			buf_printf(text, "-%lld", (long long)cpu[last]);
	}
}

static int add_cpus(struct rows *rows, const struct pod_device *whose, int64_t *cpu, size_t nr)
{
	struct buf text = {0};
	int err;

	if (!nr)
		return 0;
	qsort(cpu, nr, sizeof(*cpu), compare_cpus);
	if (nr > CPUS_MAX || cpu[0] < 0 || cpu[nr - 1] > INT32_MAX)
		return add(rows, whose, "", "");
	write_cpus(&text, cpu, nr);
	err = add(rows, whose, "cpu", buf_text(&text));
	buf_free(&text);
	return err;
}

static int add_container(struct rows *rows, struct pod_device whose,
			 const Podres__ContainerResources *c)
{
	int err = copy(rows, c->name, &whose.container);

	if (!err)
		err = add_devices(rows, &whose, c->devices, c->n_devices);
	if (!err)
		err = add_cpus(rows, &whose, c->cpu_ids, c->n_cpu_ids);
	return err ? err : add_claims(rows, &whose, c);
}

static int add_pod(struct rows *rows, const Podres__PodResources *pod)
{
	struct pod_device whose = {0};
	int err = 0;

	if (!fits(pod->name) || !fits(pod->namespace_)) {
		rows->skipped++;
		return 0;
	}
	if (copy(rows, pod->namespace_, &whose.namespace_) || copy(rows, pod->name, &whose.pod))
		return -ENOMEM;
	for (size_t i = 0; !err && i < pod->n_containers; i++) {
		if (fits(pod->containers[i]->name))
			err = add_container(rows, whose, pod->containers[i]);
		else
			rows->skipped++;
	}
	return err;
}

static int read_list(struct pod_resources_message message, struct rows *rows)
{
	size_t budget = UNPACK_MAX_BYTES;
	ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};
	Podres__ListResponse *list;
	int err = 0;

	list = podres__list_response__unpack(&allocator, message.bytes, message.data);
	if (!list)
		return -EBADMSG;
	for (size_t i = 0; !err && i < list->n_pod_resources; i++)
		err = add_pod(rows, list->pod_resources[i]);
	podres__list_response__free_unpacked(list, &allocator);
	return err;
}

static int read_allocatable(struct pod_resources_message message, struct rows *rows)
{
	static const struct pod_device nobody = {.namespace_ = "", .pod = "", .container = ""};
	size_t budget = UNPACK_MAX_BYTES;
	ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};
	Podres__AllocatableResponse *all;
	int err;

	all = podres__allocatable_response__unpack(&allocator, message.bytes, message.data);
	if (!all)
		return -EBADMSG;
	err = add_devices(rows, &nobody, all->devices, all->n_devices);
	if (!err)
		err = add_cpus(rows, &nobody, all->cpu_ids, all->n_cpu_ids);
	podres__allocatable_response__free_unpacked(all, &allocator);
	return err;
}

static int compare_devices(const void *a, const void *b)
{
	const struct pod_device *x = a, *y = b;
	const char *const left[] = {x->namespace_, x->pod, x->container, x->resource, x->id};
	const char *const right[] = {y->namespace_, y->pod, y->container, y->resource, y->id};
	int order = 0;

	for (size_t i = 0; !order && i < sizeof(left) / sizeof(left[0]); i++)
		order = strcmp(left[i], right[i]);
	return order;
}

/* Into `to`, which has room for all; how many there are. */
static size_t sort_unique(struct pod_device *to, struct pod_device *row, size_t nr)
{
	size_t kept = 0;

	if (nr)
		qsort(row, nr, sizeof(*row), compare_devices);
	for (size_t i = 0; i < nr; i++)
		if (!kept || compare_devices(&to[kept - 1], &row[i]) != 0)
			to[kept++] = row[i];
	return kept;
}

/* Reads one message into sorted rows that live as long as the list. */
static int make_rows(struct pods *pods, struct pod_resources_message message,
		     int (*read)(struct pod_resources_message, struct rows *),
		     const struct pod_device **to, size_t *nr, uint64_t *skipped)
{
	struct rows rows = {.arena = pods_arena(pods)};
	struct pod_device *kept = NULL;
	int err = read(message, &rows);

	if (!err) {
		kept = arena_alloc(pods_arena(pods), rows.nr, sizeof(*kept));
		err = kept ? 0 : -ENOMEM;
	}
	*nr = err ? 0 : sort_unique(kept, rows.row, rows.nr);
	free(rows.row);
	*to = kept;
	*skipped += rows.skipped;
	return err;
}

int pod_resources_read(struct pod_resources_message list, struct pod_resources_message allocatable,
		       const struct pods **devices, uint64_t *skipped)
{
	struct pods *pods = pods_new();
	int err = pods ? 0 : -ENOMEM;

	*skipped = 0;
	if (!err && list.data)
		err = make_rows(pods, list, read_list, &pods->devices, &pods->nr_devices, skipped);
	if (!err && allocatable.data)
		err = make_rows(pods, allocatable, read_allocatable, &pods->allocatable,
				&pods->nr_allocatable, skipped);
	if (err)
		pods_put(pods);
	else
		*devices = pods;
	return err;
}

static int explain(int err, struct fetch_error *error)
{
	if (err == -ENOMEM)
		fetch_fail(error, NAMES_TOO_LARGE, "no memory for its devices");
	else
		fetch_fail(error, NAMES_MALFORMED, "its answer is no list of devices");
	return -EIO;
}

/* An empty message is no memory to point to, and yet there. */
static struct pod_resources_message message_of(const struct buf *buf)
{
	return (struct pod_resources_message){buf->data ? buf->data : "", buf->len};
}

/* Kubernetes 1.23 and later have it. Earlier ones know no such call or refuse it. */
static int ask_allocatable(struct fetcher *fetcher, const char *socket,
			   const struct fetch_limits *limits, struct buf *message, bool *has_it,
			   struct fetch_error *error)
{
	int err = grpc_call(fetcher, socket, "v1.PodResourcesLister/GetAllocatableResources",
			    limits, message, error);

	*has_it = !err;
	return err == -ENOSYS || (err == -EIO && error->failure == NAMES_STATUS) ? 0 : err;
}

int pod_resources_ask(struct fetcher *fetcher, const char *socket,
		      const struct fetch_limits *limits, const struct pods **devices,
		      uint64_t *skipped, struct fetch_error *error)
{
	struct buf list = {0}, all = {0};
	struct pod_resources_message none = {0};
	bool has_all = false;
	int err;

	err = grpc_call(fetcher, socket, "v1.PodResourcesLister/List", limits, &list, error);
	if (!err)
		err = ask_allocatable(fetcher, socket, limits, &all, &has_all, error);
	if (!err) {
		err = pod_resources_read(message_of(&list), has_all ? message_of(&all) : none,
					 devices, skipped);
		err = err ? explain(err, error) : 0;
	}
	buf_free(&list);
	buf_free(&all);
	return err == -ENOSYS ? -EIO : err;
}
