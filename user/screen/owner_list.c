// SPDX-License-Identifier: Apache-2.0
/* Rows of owners: gathered cgroup by cgroup, sorted, and written out. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expose/text.h"
#include "screen/names.h"
#include "screen/owner_list.h"

struct row {
	uint32_t owner;
	unsigned int cgroups;
	struct path_owner path; /* of the first cgroup that tells a container, else of the first */
};

struct owner_list {
	const struct owners *owners;
	struct row *rows; /* by owner's number until they are sorted */
	size_t nr;
};

struct owner_list *owner_list_new(const struct owners *owners)
{
	struct owner_list *list = calloc(1, sizeof(*list));

	if (list)
		list->owners = owners;
	return list;
}

void owner_list_free(struct owner_list *list)
{
	if (list)
		free(list->rows);
	free(list);
}

static int grow(struct owner_list *list)
{
	size_t end = owners_end(list->owners);
	struct row *grown;

	if (end <= list->nr)
		return 0;
	grown = reallocarray(list->rows, end, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + list->nr, 0, (end - list->nr) * sizeof(*grown));
	list->rows = grown;
	list->nr = end;
	return 0;
}

int owner_list_add(struct owner_list *list, uint32_t owner, const char *path)
{
	struct row *row;
	int err = grow(list);

	if (err || owner == OWNER_NONE)
		return err;
	row = &list->rows[owner];
	row->owner = owner;
	if (!row->cgroups++ || !row->path.container[0])
		owner_of_path(path, NULL, NULL, &row->path);
	return 0;
}

static int compare_rows(const void *a, const void *b, void *context)
{
	const struct row *x = a, *y = b;
	const struct owner *p, *q;
	int order = !x->cgroups - !y->cgroups;

	if (order || !x->cgroups)
		return order;
	p = owners_at(context, x->owner);
	q = owners_at(context, y->owner);
	order = q->is_pod - p->is_pod;
	if (!order)
		order = strcmp(p->namespace_, q->namespace_);
	if (!order)
		order = strcmp(p->pod, q->pod);
	if (!order)
		order = strcmp(p->container, q->container);
	return order ? order : strcmp(p->unit, q->unit);
}

static void put_member(struct buf *to, const char *name, const char *value)
{
	text_json(to, name);
	buf_putc(to, ':');
	text_json(to, value);
}

static void put_json_row(struct buf *to, const struct row *row, const struct owner *owner)
{
	const char *const members[][2] = {
		{"kind", path_kind_names[row->path.kind]},
		{"namespace", owner->namespace_},
		{"pod", owner->pod},
		{"container", owner->container},
		{"unit", owner->unit},
		{"pod_uid", row->path.pod_uid},
		{"container_id", row->path.container},
		{"runtime", row->path.runtime},
	};

	buf_putc(to, '{');
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		put_member(to, members[i][0], members[i][1]);
		buf_putc(to, ',');
	}
	buf_puts(to, "\"cgroups\":");
	buf_put_u64(to, row->cgroups);
	buf_putc(to, '}');
}

static void render_json(struct owner_list *list, struct buf *to)
{
	buf_puts(to, "{\"schema\":\"mlprof.owners/1\",\"owners\":[");
	for (size_t i = 0; i < list->nr && list->rows[i].cgroups; i++) {
		if (i)
			buf_putc(to, ',');
		put_json_row(to, &list->rows[i], owners_at(list->owners, list->rows[i].owner));
	}
	buf_puts(to, "]}\n");
}

static void put_cell(struct buf *to, const char *text, int width)
{
	char cell[NAME_CELL_BYTES];

	name_fit(cell, text[0] ? text : "-", (size_t)width);
	buf_printf(to, "%-*s ", width, cell);
}

static void render_table(struct owner_list *list, struct buf *to)
{
	buf_printf(to, "%-19s %-16s %-36s %-30s %-10s %7s\n", "KIND", "NAMESPACE", "POD",
		   "CONTAINER/UNIT", "RUNTIME", "CGROUPS");
	for (size_t i = 0; i < list->nr && list->rows[i].cgroups; i++) {
		const struct row *row = &list->rows[i];
		const struct owner *owner = owners_at(list->owners, row->owner);

		put_cell(to, path_kind_names[row->path.kind], 19);
		put_cell(to, owner->namespace_, 16);
		put_cell(to, owner->pod, 36);
		put_cell(to, owner->is_pod ? owner->container : owner->unit, 30);
		put_cell(to, row->path.runtime, 10);
		buf_printf(to, "%7u\n", row->cgroups);
	}
}

void owner_list_render(struct owner_list *list, struct buf *to, bool json)
{
	if (list->nr)
		qsort_r(list->rows, list->nr, sizeof(*list->rows), compare_rows,
			(void *)list->owners);
	if (json)
		render_json(list, to);
	else
		render_table(list, to);
}

static void put_line(struct buf *to, const char *name, const char *value)
{
	if (!value[0])
		return;
	buf_printf(to, "%-13s ", name);
	/* A path is foreign bytes, and this goes to a terminal. */
	for (; *value; value++)
		buf_putc(to, (char)(*value >= ' ' && *value <= '~' ? *value : '?'));
	buf_putc(to, '\n');
}

void owner_explain(struct buf *to, const char *path, const struct owner *owner, bool json)
{
	struct row row = {.cgroups = 1};

	owner_of_path(path, NULL, NULL, &row.path);
	if (json) {
		put_json_row(to, &row, owner);
		buf_putc(to, '\n');
		return;
	}
	put_line(to, "path", path);
	put_line(to, "kind", path_kind_names[row.path.kind]);
	put_line(to, "pod uid", row.path.pod_uid);
	put_line(to, "container id", row.path.container);
	put_line(to, "runtime", row.path.runtime);
	put_line(to, "namespace", owner->namespace_);
	put_line(to, "shown as pod", owner->pod);
	put_line(to, "container", owner->container);
	put_line(to, "shown as unit", owner->unit);
	if (owner->is_pod && !owner->namespace_[0])
		buf_puts(to, "note          no source of names knows this pod\n");
	if (row.path.relative)
		buf_puts(to, "note          the path goes up from a cgroup namespace: read it from "
			     "the host's\n");
	if (row.path.outside_kubepods)
		buf_puts(to,
			 "note          outside of kubepods, so the pod's limits do not hold: set "
			 "SystemdCgroup in containerd\n");
}
