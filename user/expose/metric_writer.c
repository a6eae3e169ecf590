// SPDX-License-Identifier: Apache-2.0
/* Lines of the exposition, and the head of a family. */
#include <string.h>

#include "expose/metric_writer.h"
#include "expose/text.h"

/* What follows the labels: a space, the number and the end of the line. */
#define VALUE_BYTES (BUF_NUMBER_BYTES + 2)

static char *write_value(char *at, uint64_t value, enum metric_unit unit)
{
	*at++ = ' ';
	if (unit == UNIT_SECONDS)
		at = buf_write_decimal(at, value, 9);
	else if (unit == UNIT_CORES)
		at = buf_write_decimal(at, value, 3);
	else
		at = buf_write_u64(at, value);
	*at++ = '\n';
	return at;
}

void put_value(struct writer *w, uint64_t value)
{
	char *at = buf_room(w->to, VALUE_BYTES);

	if (at)
		w->to->len = (size_t)(write_value(at, value, w->unit) - w->to->data);
}

struct piece row_labels(const struct writer *w, size_t row)
{
	size_t begin = row ? w->ends[row - 1] : 0;

	return (struct piece){w->labels.data + begin, w->ends[row] - begin};
}

void put_piece(struct writer *w, struct piece piece)
{
	buf_add(w->to, piece.text, piece.bytes);
}

static void put_name(struct writer *w)
{
	buf_add(w->to, w->name, w->name_bytes);
}

void put_plain(struct writer *w, uint64_t value)
{
	put_name(w);
	put_value(w, value);
}

void put_label(struct writer *w, const char *label, const char *text)
{
	put_name(w);
	buf_putc(w->to, '{');
	buf_puts(w->to, label);
	buf_puts(w->to, "=\"");
	text_label(w->to, text);
	buf_putc(w->to, '"');
}

void put_more(struct writer *w, const char *label, const char *text)
{
	buf_putc(w->to, ',');
	buf_puts(w->to, label);
	buf_puts(w->to, "=\"");
	text_label(w->to, text);
	buf_putc(w->to, '"');
}

void put_labelled(struct writer *w, const char *label, const char *text, uint64_t value)
{
	put_label(w, label, text);
	buf_putc(w->to, '}');
	put_value(w, value);
}

uint64_t value_at(const void *object, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const char *)object + offset, sizeof(value));
	return value;
}

void put_line(struct writer *w, struct piece head, struct piece labels, struct piece tail,
	      uint64_t value, enum metric_unit unit)
{
	char *at = buf_room(w->to, head.bytes + labels.bytes + tail.bytes + VALUE_BYTES);

	if (!at || !labels.text)
		return;
	at = mempcpy(at, head.text, head.bytes);
	at = mempcpy(at, labels.text, labels.bytes);
	at = mempcpy(at, tail.text, tail.bytes);
	w->to->len = (size_t)(write_value(at, value, unit) - w->to->data);
}

static const char *type_name(const struct family *family, enum exposition form)
{
	switch (family->type) {
	case COUNTER:
		return "counter";
	case HISTOGRAM:
		return "histogram";
	case INFO:
		return form == EXPOSITION_OPENMETRICS ? "info" : "gauge";
	default:
		return "gauge";
	}
}

static const char *suffix(const struct family *family)
{
	return family->type == COUNTER ? "_total" : family->type == INFO ? "_info" : "";
}

static void put_meta(struct writer *w, const char *what, const struct family *family,
		     const char *text)
{
	buf_puts(w->to, what);
	if (w->form == EXPOSITION_OPENMETRICS)
		buf_puts(w->to, family->name);
	else
		put_name(w);
	buf_putc(w->to, ' ');
	buf_puts(w->to, text);
	buf_putc(w->to, '\n');
}

void put_family(struct writer *w, const struct family *family)
{
	static const char *const units_named[] = {NULL, "seconds", "bytes", "cores"};
	size_t before = w->to->len, after;
	char *end = stpcpy(stpcpy(w->name, family->name), suffix(family));

	w->name_bytes = (size_t)(end - w->name);
	w->unit = family->unit;
	put_meta(w, "# TYPE ", family, type_name(family, w->form));
	if (family->unit && w->form == EXPOSITION_OPENMETRICS)
		put_meta(w, "# UNIT ", family, units_named[family->unit]);
	put_meta(w, "# HELP ", family, family->help);
	after = w->to->len;
	family->samples(w, family);
	if (w->to->len == after)
		w->to->len = before;
}
