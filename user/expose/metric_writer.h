/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How samples are written, for the files that have families of them. This runs at every scrape: the
 * label sets of rows are written once and copied into each family, and numbers never see printf.
 */
#ifndef MLPROF_EXPOSE_METRIC_WRITER_H
#define MLPROF_EXPOSE_METRIC_WRITER_H

#include "expose/openmetrics.h"

/* More than any name of a family with its suffix. */
#define METRIC_NAME_BYTES 80

enum metric_type {
	COUNTER,
	GAUGE,
	HISTOGRAM,
	INFO
};

enum metric_unit {
	UNIT_NONE,
	UNIT_SECONDS, /* kept in nanoseconds */
	UNIT_BYTES,
	UNIT_CORES, /* kept in thousandths */
};

struct writer;

struct family {
	const char *name; /* as OpenMetrics has it: without _total and _info */
	enum metric_type type;
	enum metric_unit unit; /* the name ends in it */
	const char *help;
	void (*samples)(struct writer *w, const struct family *family);
	size_t offset; /* of the value in what `samples` walks over */
};

struct writer {
	struct buf *to;
	const struct snapshot *snap;
	const struct scrape_stats *scrapes;
	enum exposition form;
	/* The name of the samples of the family at hand, with _total or _info, and room for more. */
	char *name;
	size_t name_bytes;
	enum metric_unit unit;
	/* The rows that are shown: not those whose time is about to go to another name. */
	const struct usage_row **rows;
	size_t nr_rows;
	/* Their label sets, one after the other; row i's end at ends[i]. */
	struct buf labels;
	size_t *ends;
	const struct pod **pods; /* those of the snapshot in the order of their names */
	size_t nr_pods;
};

/* A part of a line. */
struct piece {
	const char *text;
	size_t bytes;
};

/* The labels of a row that is shown, with the brace before them and without the one behind. */
struct piece row_labels(const struct writer *w, size_t row);

void put_piece(struct writer *w, struct piece piece);

/* A family with its samples; nothing if it has none. */
void put_family(struct writer *w, const struct family *family);

/* A line in three pieces and a number, with one look at the room for all of it. */
void put_line(struct writer *w, struct piece head, struct piece labels, struct piece tail,
	      uint64_t value, enum metric_unit unit);

/* The name of the samples, with no labels, one label, or a label to begin with: NAME{LABEL="TEXT" */
void put_plain(struct writer *w, uint64_t value);
void put_labelled(struct writer *w, const char *label, const char *text, uint64_t value);
void put_label(struct writer *w, const char *label, const char *text);

/* ,LABEL="TEXT" */
void put_more(struct writer *w, const char *label, const char *text);

/*
 * The series of a histogram of the family at hand, with the label `namespace`, and what `more` has:
 * ",LABEL=\"TEXT\"" or "" (histogram.c).
 */
void put_namespace_histogram(struct writer *w, const char *namespace_, const char *more,
			     const struct wait_hist *hist);

/* What follows the labels: a space, the number and the end of the line. */
void put_value(struct writer *w, uint64_t value);

/* The number that a member of an object at this offset holds. */
uint64_t value_at(const void *object, size_t offset);

#endif
