// SPDX-License-Identifier: Apache-2.0
/* A list that is sorted when it is asked for. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/rm_events.h"

struct event {
	uint64_t mono_ns, file, cgroup;
	uint64_t nr; /* in the order that they came, for those of one time */
	bool closed; /* the file; else it is the call */
	struct rm_call call;
};

struct rm_events {
	struct event *list;
	size_t nr, capacity;
	uint64_t came;
	struct rm_events_counts counts;
};

struct rm_events *rm_events_new(void)
{
	return calloc(1, sizeof(struct rm_events));
}

void rm_events_free(struct rm_events *events)
{
	if (!events)
		return;
	free(events->list);
	free(events);
}

static struct event *add(struct rm_events *events)
{
	size_t capacity = events->capacity ? events->capacity * 2 : 256;
	struct event *grown;

	if (events->nr == events->capacity) {
		grown = capacity <= RM_EVENTS_MAX
				? reallocarray(events->list, capacity, sizeof(*grown))
				: NULL;
		if (!grown) {
			events->counts.lost++;
			return NULL;
		}
		events->list = grown;
		events->capacity = capacity;
	}
	events->list[events->nr] = (struct event){.nr = events->came++};
	return &events->list[events->nr++];
}

void rm_events_call(struct rm_events *events, const struct mlprof_record_gpu_call *record,
		    unsigned int version)
{
	struct rm_call call;
	struct event *event;

	if (rm_call_read(record, version, &call)) {
		events->counts.unreadable++;
		return;
	}
	event = call.what == RM_NOTHING ? NULL : add(events);
	if (!event)
		return;
	event->mono_ns = record->mono_ns;
	event->file = record->file;
	event->cgroup = record->cgroup;
	event->call = call;
}

void rm_events_closed(struct rm_events *events, const struct mlprof_record_gpu_closed *record)
{
	struct event *event = add(events);

	if (!event)
		return;
	event->mono_ns = record->mono_ns;
	event->file = record->file;
	event->closed = true;
}

static int compare(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->mono_ns != y->mono_ns)
		return x->mono_ns < y->mono_ns ? -1 : 1;
	return x->nr < y->nr ? -1 : x->nr > y->nr;
}

void rm_events_apply(struct rm_events *events, uint64_t until_ns, struct rm_objects *objects)
{
	size_t done = 0;

	if (!events->nr)
		return;
	qsort(events->list, events->nr, sizeof(*events->list), compare);
	for (; done < events->nr && events->list[done].mono_ns < until_ns; done++) {
		const struct event *event = &events->list[done];

		if (event->closed)
			rm_objects_closed(objects, event->file, event->mono_ns);
		else
			rm_objects_call(objects, &event->call, event->file, event->cgroup,
					event->mono_ns);
	}
	events->nr -= done;
	memmove(events->list, events->list + done, events->nr * sizeof(*events->list));
}

void rm_events_count(const struct rm_events *events, struct rm_events_counts *counts)
{
	*counts = events->counts;
}
