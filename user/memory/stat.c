// SPDX-License-Identifier: Apache-2.0
/* The formats of cgroup files, read strictly: what is not understood is not believed. */
#include <string.h>

#include "memory/stat.h"

struct text {
	const char *at, *end;
};

static bool starts_with_digit(const struct text *text)
{
	return text->at < text->end && *text->at >= '0' && *text->at <= '9';
}

/* A decimal number without sign that fits. */
static bool take_number(struct text *text, uint64_t *value)
{
	uint64_t sum = 0;

	if (!starts_with_digit(text))
		return false;
	for (; starts_with_digit(text); text->at++) {
		unsigned int digit = (unsigned int)(*text->at - '0');

		if (sum > (UINT64_MAX - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*value = sum;
	return true;
}

static bool take_text(struct text *text, const char *expected)
{
	size_t bytes = strlen(expected);

	if ((size_t)(text->end - text->at) < bytes || memcmp(text->at, expected, bytes))
		return false;
	text->at += bytes;
	return true;
}

/* Up to the blank, which is taken too: a word of small letters, digits and what joins them. */
static bool take_name(struct text *text, struct text *name)
{
	name->at = text->at;
	while (text->at < text->end &&
	       ((*text->at >= 'a' && *text->at <= 'z') || *text->at == '_' || *text->at == '.' ||
		starts_with_digit(text)))
		text->at++;
	name->end = text->at;
	return name->at < name->end && take_text(text, " ");
}

static bool is_named(const struct stat_field *field, const struct text *name)
{
	size_t bytes = (size_t)(name->end - name->at);

	return !strncmp(field->name, name->at, bytes) && !field->name[bytes];
}

/* The field of that name, looked for from `*next` on: kernels keep the order of their lines. */
static struct stat_field *find_field(struct stat_field *fields, size_t nr, size_t *next,
				     const struct text *name)
{
	for (size_t i = 0; i < nr; i++) {
		size_t at = (*next + i) % nr;

		if (!is_named(&fields[at], name))
			continue;
		*next = (at + 1) % nr;
		return &fields[at];
	}
	return NULL;
}

static bool read_lines(struct text *text, struct stat_field *fields, size_t nr)
{
	struct stat_field *field;
	struct text name;
	uint64_t value;
	size_t next = 0;

	while (text->at < text->end) {
		if (!take_name(text, &name) || !take_number(text, &value) || !take_text(text, "\n"))
			return false;
		field = find_field(fields, nr, &next, &name);
		if (!field)
			continue;
		if (field->found)
			return false;
		field->value = value;
		field->found = true;
	}
	return true;
}

bool stat_read_lines(const char *text, size_t bytes, struct stat_field *fields, size_t nr)
{
	struct text all = {text, text + bytes};
	bool good;

	for (size_t i = 0; i < nr; i++)
		fields[i].found = false;
	good = read_lines(&all, fields, nr);
	for (size_t i = 0; i < nr && !good; i++)
		fields[i].found = false;
	return good;
}

bool stat_read_number(const char *text, size_t bytes, uint64_t *value, bool *limited)
{
	struct text all = {text, text + bytes};
	bool number = starts_with_digit(&all);
	uint64_t read = 0;

	if (!(number ? take_number(&all, &read) : take_text(&all, "max")))
		return false;
	if (!take_text(&all, "\n") || all.at != all.end)
		return false;
	if (number)
		*value = read;
	*limited = number;
	return true;
}

/* "avg10=0.00 " */
static bool skip_average(struct text *text, const char *name)
{
	uint64_t ignored;

	return take_text(text, name) && take_number(text, &ignored) && take_text(text, ".") &&
	       take_number(text, &ignored) && take_text(text, " ");
}

static bool take_pressure(struct text *text, uint64_t *usec)
{
	return skip_average(text, " avg10=") && skip_average(text, "avg60=") &&
	       skip_average(text, "avg300=") && take_text(text, "total=") &&
	       take_number(text, usec) && take_text(text, "\n");
}

bool stat_read_pressure(const char *text, size_t bytes, struct stat_pressure *pressure)
{
	struct text all = {text, text + bytes};
	struct stat_pressure read = {0};

	read.has_some = take_text(&all, "some");
	if (read.has_some && !take_pressure(&all, &read.some_usec))
		return false;
	read.has_full = take_text(&all, "full");
	if (read.has_full && !take_pressure(&all, &read.full_usec))
		return false;
	if (all.at != all.end)
		return false;
	*pressure = read;
	return true;
}
