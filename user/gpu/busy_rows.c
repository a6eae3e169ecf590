// SPDX-License-Identifier: Apache-2.0
/* The table of rows, and the arithmetic of shares. */
#include <stdlib.h>
#include <string.h>

#include "gpu/busy_rows.h"

#define REST_PER_NS 100

__extension__ typedef unsigned __int128 wide_t;

struct busy_row *busy_rows_find(struct busy_rows *rows, uint32_t pid)
{
	for (size_t i = 0; i < rows->nr; i++)
		if (rows->row[i].pid == pid)
			return &rows->row[i];
	return NULL;
}

static struct busy_row *grow(struct busy_rows *rows)
{
	size_t capacity = rows->capacity ? rows->capacity * 2 : 16;
	struct busy_row *row;

	if (rows->nr < rows->capacity)
		return rows->row;
	if (rows->nr == BUSY_ROWS_MAX)
		return NULL;
	row = reallocarray(rows->row, capacity, sizeof(*row));
	if (!row)
		return NULL;
	rows->row = row;
	rows->capacity = capacity;
	return row;
}

struct busy_row *busy_rows_take(struct busy_rows *rows, uint32_t pid)
{
	struct busy_row *row = busy_rows_find(rows, pid);

	if (row)
		return row;
	if (!grow(rows)) {
		rows->no_room++;
		return &rows->other;
	}
	row = &rows->row[rows->nr++];
	memset(row, 0, sizeof(*row));
	row->pid = pid;
	row->serial = ++rows->serials;
	return row;
}

static void add_times(struct busy_row *to, const struct busy_row *from)
{
	for (size_t i = 0; i < BUSY_ENGINES; i++) {
		uint32_t rest = to->busy[i].rest + from->busy[i].rest;

		to->busy[i].ns += from->busy[i].ns + rest / REST_PER_NS;
		to->busy[i].rest = rest % REST_PER_NS;
		to->busy[i].variance_ns2 += from->busy[i].variance_ns2;
		to->busy[i].rounding_ns += from->busy[i].rounding_ns;
	}
	to->samples += from->samples;
}

void busy_rows_remove(struct busy_rows *rows, struct busy_row *row)
{
	add_times(&rows->gone, row);
	*row = rows->row[--rows->nr];
}

void busy_rows_expire(struct busy_rows *rows, uint64_t since)
{
	for (size_t i = 0; i < rows->nr;) {
		if (rows->row[i].seen < since)
			busy_rows_remove(rows, &rows->row[i]);
		else
			i++;
	}
}

uint64_t busy_rows_total(const struct busy_rows *rows, enum busy_engine engine)
{
	struct busy_row sum = rows->gone;

	add_times(&sum, &rows->other);
	for (size_t i = 0; i < rows->nr; i++)
		add_times(&sum, &rows->row[i]);
	return sum.busy[engine].ns;
}

void busy_rows_free(struct busy_rows *rows)
{
	free(rows->row);
	memset(rows, 0, sizeof(*rows));
}

void busy_time_add(struct busy_time *time, uint64_t ns, uint64_t of, uint64_t whole)
{
	wide_t parts = whole ? (wide_t)ns * REST_PER_NS * of / whole : 0;

	parts += time->rest;
	time->ns += (uint64_t)(parts / REST_PER_NS);
	time->rest = (uint32_t)(parts % REST_PER_NS);
}

double busy_variance(uint64_t ns, uint64_t of, uint64_t all, uint64_t whole, uint64_t samples)
{
	double time = (double)ns, share, fill;

	if (!all || !whole || of >= all)
		return 0;
	share = (double)of / (double)all;
	fill = all < whole ? (double)all / (double)whole : 1;
	return time * time * share * (1 - share) * fill / (double)(samples < 2 ? 1 : samples - 1);
}
