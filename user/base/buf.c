// SPDX-License-Identifier: Apache-2.0
/* The growing string: memory, and numbers without printf, which the scrape path has no time for. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

#define FIRST_BYTES 256

void buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}

bool buf_grow(struct buf *buf, size_t bytes)
{
	size_t size = buf->size ? buf->size : FIRST_BYTES;
	char *data;

	if (buf->failed)
		return false;
	while (size - buf->len < bytes && size <= SIZE_MAX / 2)
		size *= 2;
	data = size - buf->len < bytes ? NULL : realloc(buf->data, size);
	if (!data) {
		/* A full buffer refuses even what would still have fitted: no holes. */
		buf->size = buf->len;
		buf->failed = true;
		return false;
	}
	buf->data = data;
	buf->size = size;
	return true;
}

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
				  "25262728293031323334353637383940414243444546474849"
				  "50515253545556575859606162636465666768697071727374"
				  "75767778798081828384858687888990919293949596979899";

static const uint64_t powers_of_ten[] = {
	1,
	10,
	100,
	1000,
	10000,
	100000,
	1000000,
	10000000,
	100000000,
	1000000000,
	10000000000,
	100000000000,
	1000000000000,
	10000000000000,
	100000000000000,
	1000000000000000,
	10000000000000000,
	100000000000000000,
	1000000000000000000,
	10000000000000000000U,
};

/* 1233 / 4096 is a little less than log10(2), so the guess is right or one too small. */
static unsigned int count_digits(uint64_t value)
{
	unsigned int bits = 64 - (unsigned int)__builtin_clzll(value | 1);
	unsigned int guess = bits * 1233 >> 12;

	return guess + (value >= powers_of_ten[guess]);
}

/* Writes the last `count` digits of `value`, zeros in front included. */
static void write_digits(char *at, uint64_t value, unsigned int count)
{
	for (; count >= 2; count -= 2, value /= 100)
		memcpy(at + count - 2, digit_pairs + value % 100 * 2, 2);
	if (count)
		*at = (char)('0' + value % 10);
}

char *buf_write_u64(char *at, uint64_t value)
{
	unsigned int count = value ? count_digits(value) : 1;

	write_digits(at, value, count);
	return at + count;
}

char *buf_write_decimal(char *at, uint64_t value, unsigned int places)
{
	uint64_t one = powers_of_ten[places], rest = value % one;

	at = buf_write_u64(at, value / one);
	if (!rest)
		return at;
	*at++ = '.';
	write_digits(at, rest, places);
	for (at += places; at[-1] == '0'; at--)
		;
	return at;
}

void buf_put_u64(struct buf *buf, uint64_t value)
{
	char *at = buf_room(buf, BUF_NUMBER_BYTES);

	if (at)
		buf->len = (size_t)(buf_write_u64(at, value) - buf->data);
}

void buf_put_decimal(struct buf *buf, uint64_t value, unsigned int places)
{
	char *at = buf_room(buf, BUF_NUMBER_BYTES);

	if (at)
		buf->len = (size_t)(buf_write_decimal(at, value, places) - buf->data);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args, again;
	int bytes;
	char *to;

	va_start(args, format);
	va_copy(again, args);
	bytes = vsnprintf(NULL, 0, format, args);
	va_end(args);
	to = bytes < 0 ? NULL : buf_room(buf, (size_t)bytes + 1);
	if (to) {
		vsnprintf(to, (size_t)bytes + 1, format, again);
		buf->len += (size_t)bytes;
	}
	va_end(again);
}

const char *buf_text(struct buf *buf)
{
	char *end = buf_room(buf, 1);

	if (!end)
		return "";
	*end = '\0';
	return buf->data;
}
