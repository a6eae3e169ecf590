// SPDX-License-Identifier: Apache-2.0
/* Escaping: plain bytes are copied in runs, everything else one character at a time. */
#include <string.h>

#include "expose/text.h"

static const char hex[] = "0123456789abcdef";
static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* Bytes that do not mean themselves, by value: controls, NUL, the two that quote, all but ASCII. */
static const bool is_special[256] = {
	[0x00 ... 0x1f] = true,
	['"'] = true,
	['\\'] = true,
	[0x7f ... 0xff] = true,
};

/* Adds the plain bytes at `at`; returns what follows them. */
static const unsigned char *add_plain(struct buf *to, const unsigned char *at)
{
	const unsigned char *from = at;

	while (!is_special[*at])
		at++;
	buf_add(to, from, (size_t)(at - from));
	return at;
}

/*
 * Bytes of the UTF-8 sequence at `s`, at least two; 0 if there is none. The second byte's range
 * rules out overlong forms, surrogates and what lies beyond U+10FFFF.
 */
static size_t sequence_bytes(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t bytes = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < bytes; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return bytes;
}

/* Adds what stands for the byte at `s`; returns what follows it. */
static const unsigned char *add_byte(struct buf *to, const unsigned char *s)
{
	buf_puts(to, replacement);
	buf_putc(to, hex[*s >> 4]);
	buf_putc(to, hex[*s & 15]);
	return s + 1;
}

/* Adds the character at `s`, which is not ASCII; returns what follows it. */
static const unsigned char *add_wide(struct buf *to, const unsigned char *s)
{
	size_t bytes = sequence_bytes(s);

	if (!bytes)
		return add_byte(to, s);
	buf_add(to, s, bytes);
	return s + bytes;
}

void text_label(struct buf *to, const char *value)
{
	const unsigned char *at = (const unsigned char *)value;

	while (*(at = add_plain(to, at))) {
		if (*at >= 0x80) {
			/* Two series of the same labels would be an error in the whole answer. */
			at = strncmp((const char *)at, replacement, 3) ? add_wide(to, at)
								       : add_byte(to, at);
			continue;
		}
		if (*at == '"' || *at == '\\')
			buf_putc(to, '\\');
		buf_putc(to, *at == '\n' ? '\\' : (char)*at);
		if (*at == '\n')
			buf_putc(to, 'n');
		at++;
	}
}

static void add_json_escape(struct buf *to, unsigned char c)
{
	buf_putc(to, '\\');
	if (c == '"' || c == '\\') {
		buf_putc(to, (char)c);
		return;
	}
	buf_puts(to, "u00");
	buf_putc(to, hex[c >> 4]);
	buf_putc(to, hex[c & 15]);
}

void text_json(struct buf *to, const char *value)
{
	const unsigned char *at = (const unsigned char *)value;

	buf_putc(to, '"');
	while (*(at = add_plain(to, at))) {
		if (*at >= 0x80)
			at = add_wide(to, at);
		else
			add_json_escape(to, *at++);
	}
	buf_putc(to, '"');
}
