// SPDX-License-Identifier: Apache-2.0
/* One pass over a header, without copies: lists are cut at commas, elements at semicolons. */
#include <string.h>
#include <strings.h>

#include "expose/negotiate.h"

#define WHOLE 1000 /* weights are kept in thousandths, which is all that the RFC allows */

/* A part of a header. */
struct span {
	const char *text;
	size_t bytes;
};

/*
 * Schemes of escaping UTF-8 names. Ours are legacy names, which look the same in all of them but
 * `dots`; a client that asks for that, or for one unknown, is not told any.
 */
enum escaping {
	ESCAPING_NONE,
	ESCAPING_ALLOW_UTF8,
	ESCAPING_UNDERSCORES,
	ESCAPING_VALUES
};

/* One element of an Accept header. */
struct range {
	struct span type, subtype;
	struct span version; /* empty if it does not say */
	enum escaping escaping;
	unsigned int weight;
};

/* How well a format is accepted: by the most specific range that names it. */
struct fit {
	unsigned int weight;
	unsigned int specific; /* 0 if no range names it */
	enum escaping escaping;
};

static const struct format {
	const char *type, *subtype, *version;
} formats[] = {
	[EXPOSITION_TEXT] = {"text", "plain", "0.0.4"},
	[EXPOSITION_OPENMETRICS] = {"application", "openmetrics-text", "1.0.0"},
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
	while (s.bytes && is_blank(*s.text))
		s.text++, s.bytes--;
	while (s.bytes && is_blank(s.text[s.bytes - 1]))
		s.bytes--;
	return s;
}

/* Where `wanted` first stands outside a quoted string; the end if nowhere. */
static size_t find(struct span s, char wanted)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < s.bytes; i++) {
		if (quoted && s.text[i] == '\\')
			i++;
		else if (s.text[i] == '"')
			quoted = !quoted;
		else if (!quoted && s.text[i] == wanted)
			return i;
	}
	return s.bytes;
}

/* Cuts the part before the next `separator` off `rest`; false when nothing is left. */
static bool next_part(struct span *rest, char separator, struct span *part)
{
	size_t end;

	if (!rest->bytes)
		return false;
	end = find(*rest, separator);
	*part = trim((struct span){rest->text, end});
	end += end < rest->bytes;
	rest->text += end;
	rest->bytes -= end;
	return true;
}

static bool is_word(struct span s, const char *word)
{
	return s.bytes == strlen(word) && !strncasecmp(s.text, word, s.bytes);
}

/* The inside of a quoted string. Nothing we compare with needs an escape, so none is undone. */
static struct span unquote(struct span s)
{
	if (s.bytes >= 2 && s.text[0] == '"' && s.text[s.bytes - 1] == '"')
		return (struct span){s.text + 1, s.bytes - 2};
	return s;
}

/* "0.75" is 750. More digits than three are cut off, more than one is one; -1 if it is none. */
static int parse_weight(struct span s)
{
	unsigned int weight = 0, unit = WHOLE;
	bool point = false;

	if (!s.bytes || is_word(s, "."))
		return -1;
	for (size_t i = 0; i < s.bytes; i++) {
		unsigned int digit = (unsigned int)(s.text[i] - '0');

		if (s.text[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (digit > 9)
			return -1;
		unit = point ? unit / 10 : unit;
		weight += digit * unit;
		weight = weight > WHOLE ? WHOLE : weight;
	}
	return (int)weight;
}

static enum escaping parse_escaping(struct span value)
{
	if (is_word(value, "allow-utf-8"))
		return ESCAPING_ALLOW_UTF8;
	if (is_word(value, "underscores"))
		return ESCAPING_UNDERSCORES;
	if (is_word(value, "values"))
		return ESCAPING_VALUES;
	return ESCAPING_NONE;
}

/* Takes in one NAME=VALUE; those it does not know do not matter. False if the weight is none. */
static bool parse_parameter(struct range *range, struct span parameter)
{
	size_t equals = find(parameter, '=');
	struct span name = trim((struct span){parameter.text, equals}), value = {"", 0};
	int weight;

	if (equals < parameter.bytes)
		value = (struct span){parameter.text + equals + 1, parameter.bytes - equals - 1};
	value = unquote(trim(value));
	if (is_word(name, "version")) {
		range->version = value;
	} else if (is_word(name, "escaping")) {
		range->escaping = parse_escaping(value);
	} else if (is_word(name, "q")) {
		weight = parse_weight(value);
		range->weight = weight < 0 ? 0 : (unsigned int)weight;
		return weight >= 0;
	}
	return true;
}

/* TYPE/SUBTYPE;NAME=VALUE... False if it is garbage, and then it accepts nothing. */
static bool parse_range(struct range *range, struct span element)
{
	struct span name, parameter;
	size_t slash;

	*range = (struct range){.weight = WHOLE};
	if (!next_part(&element, ';', &name))
		return false;
	slash = find(name, '/');
	if (slash == name.bytes)
		return false;
	range->type = trim((struct span){name.text, slash});
	range->subtype = trim((struct span){name.text + slash + 1, name.bytes - slash - 1});
	while (next_part(&element, ';', &parameter))
		if (!parse_parameter(range, parameter))
			return false;
	return true;
}

/* 0 if the range does not name the format, else more the closer it does. */
static unsigned int specificity(const struct range *range, const struct format *format)
{
	if (is_word(range->type, "*"))
		return is_word(range->subtype, "*") ? 1 : 0;
	if (!is_word(range->type, format->type))
		return 0;
	if (is_word(range->subtype, "*"))
		return 2;
	if (!is_word(range->subtype, format->subtype))
		return 0;
	if (!range->version.bytes)
		return 3;
	return is_word(range->version, format->version) ? 4 : 0;
}

static void weigh(struct fit *fit, const struct range *range, const struct format *format)
{
	unsigned int specific = specificity(range, format);

	if (!specific || specific < fit->specific)
		return;
	if (specific == fit->specific && range->weight <= fit->weight)
		return;
	*fit = (struct fit){range->weight, specific, range->escaping};
}

/* The heavier, then the one that was named more closely; text where the client has no opinion. */
static bool wants_openmetrics(const struct fit *text, const struct fit *openmetrics)
{
	if (!openmetrics->weight)
		return false;
	if (openmetrics->weight != text->weight)
		return openmetrics->weight > text->weight;
	if (openmetrics->specific != text->specific)
		return openmetrics->specific > text->specific;
	return openmetrics->specific > 2;
}

static struct span header_span(const char *header)
{
	return (struct span){header ? header : "",
			     header ? strnlen(header, NEGOTIATE_MAX_BYTES) : 0};
}

struct negotiated negotiate_form(const char *accept)
{
	static const char *const openmetrics_types[] = {
		[ESCAPING_NONE] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
		[ESCAPING_ALLOW_UTF8] = "application/openmetrics-text; version=1.0.0; "
					"charset=utf-8; escaping=allow-utf-8",
		[ESCAPING_UNDERSCORES] = "application/openmetrics-text; version=1.0.0; "
					 "charset=utf-8; escaping=underscores",
		[ESCAPING_VALUES] = "application/openmetrics-text; version=1.0.0; "
				    "charset=utf-8; escaping=values",
	};
	struct span rest = header_span(accept), element;
	struct fit text = {0}, openmetrics = {0};
	struct range range;

	while (next_part(&rest, ',', &element)) {
		if (!parse_range(&range, element))
			continue;
		weigh(&text, &range, &formats[EXPOSITION_TEXT]);
		weigh(&openmetrics, &range, &formats[EXPOSITION_OPENMETRICS]);
	}
	if (wants_openmetrics(&text, &openmetrics))
		return (struct negotiated){EXPOSITION_OPENMETRICS,
					   openmetrics_types[openmetrics.escaping]};
	return (struct negotiated){EXPOSITION_TEXT, "text/plain; version=0.0.4; charset=utf-8"};
}

/* NAME;q=WEIGHT. The weight, 0 if it is garbage. */
static unsigned int coding_weight(struct span element, struct span *name)
{
	struct range range = {.weight = WHOLE};
	struct span parameter;

	*name = (struct span){"", 0};
	if (!next_part(&element, ';', name))
		return 0;
	while (next_part(&element, ';', &parameter))
		if (!parse_parameter(&range, parameter))
			return 0;
	return range.weight;
}

bool negotiate_gzip(const char *accept_encoding)
{
	struct span rest = header_span(accept_encoding), element, name;
	int gzip = -1, any = -1, identity = -1;

	while (next_part(&rest, ',', &element)) {
		int weight = (int)coding_weight(element, &name);

		if (is_word(name, "gzip") || is_word(name, "x-gzip"))
			gzip = weight > gzip ? weight : gzip;
		else if (is_word(name, "*"))
			any = weight;
		else if (is_word(name, "identity"))
			identity = weight;
	}
	gzip = gzip < 0 ? any : gzip;
	return gzip > 0 && gzip >= identity;
}
