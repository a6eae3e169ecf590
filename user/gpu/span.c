// SPDX-License-Identifier: Apache-2.0
/* Lines, words and numbers in texts of others. */
#include <string.h>

#include "base/number.h"
#include "gpu/span.h"

/* More digits than any number of 64 bits has. */
#define NUMBER_BYTES_MAX 32

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(const char *at, const char *end)
{
	while (at < end && is_blank(*at))
		at++;
	while (at < end && is_blank(end[-1]))
		end--;
	return (struct span){at, (size_t)(end - at)};
}

/* The next line, without its end. */
static struct span take_line(struct span *text)
{
	const char *at = text->at, *end = at + text->bytes;
	const char *newline = memchr(at, '\n', text->bytes);
	const char *next = newline ? newline + 1 : end;

	text->bytes = (size_t)(end - next);
	text->at = next;
	return trim(at, newline ? newline : end);
}

bool span_line(struct span *text, char separator, struct span *key, struct span *value)
{
	struct span line = {0};
	const char *found, *end;

	while (text->bytes && !line.bytes)
		line = take_line(text);
	if (!line.bytes)
		return false;
	end = line.at + line.bytes;
	found = memchr(line.at, separator, line.bytes);
	*key = trim(line.at, found ? found : end);
	*value = trim(found ? found + 1 : end, end);
	return true;
}

bool span_word(struct span *text, struct span *word)
{
	struct span rest = trim(text->at, text->at + text->bytes);
	size_t bytes = 0;

	while (bytes < rest.bytes && !is_blank(rest.at[bytes]) && rest.at[bytes] != '\n')
		bytes++;
	*word = (struct span){rest.at, bytes};
	*text = (struct span){rest.at + bytes, rest.bytes - bytes};
	return bytes > 0;
}

bool span_is(struct span span, const char *text)
{
	return span_after(&span, text) && !span.bytes;
}

bool span_after(struct span *span, const char *prefix)
{
	size_t bytes = strlen(prefix);

	if (span->bytes < bytes || (bytes && memcmp(span->at, prefix, bytes)))
		return false;
	span->at += bytes;
	span->bytes -= bytes;
	return true;
}

bool span_number(struct span span, uint64_t *value)
{
	char digits[NUMBER_BYTES_MAX];

	return span_copy(span, digits, sizeof(digits)) &&
	       read_unsigned(digits, 0, UINT64_MAX, value);
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 'a' - 'A' : c) : NULL;

	return found ? (int)(found - digits) : -1;
}

bool span_hex(struct span span, uint64_t *value)
{
	uint64_t sum = 0;

	(void)span_after(&span, "0x");
	if (!span.bytes || span.bytes > 16)
		return false;
	for (size_t i = 0; i < span.bytes; i++) {
		int digit = hex_digit(span.at[i]);

		if (digit < 0)
			return false;
		sum = sum << 4 | (unsigned int)digit;
	}
	*value = sum;
	return true;
}

bool span_copy(struct span span, char *to, size_t size)
{
	bool good = span.bytes < size;

	for (size_t i = 0; good && i < span.bytes; i++)
		good = span.at[i] >= ' ' && span.at[i] <= '~';
	if (!good)
		span.bytes = 0;
	if (span.bytes)
		memcpy(to, span.at, span.bytes);
	to[span.bytes] = '\0';
	return good;
}
