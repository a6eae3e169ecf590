/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A string that grows at its end. When memory runs out it remembers so and takes nothing more: a
 * writer checks `failed` once, when it is done.
 */
#ifndef MLPROF_BASE_BUF_H
#define MLPROF_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* All zeroes is an empty one. */
struct buf {
	char *data; /* `len` bytes, no NUL behind them */
	size_t len;
	size_t size;
	bool failed; /* memory ran out, and something is missing at the end */
};

/* Frees the memory and makes it an empty one. */
void buf_free(struct buf *buf);

/* Makes room for `bytes` more; false, and `failed` set, when there is no memory. */
bool buf_grow(struct buf *buf, size_t bytes);

/* Where the next `bytes` go, for a caller who writes there and adds to `len`; NULL if no memory. */
static inline char *buf_room(struct buf *buf, size_t bytes)
{
	if (buf->size - buf->len < bytes && !buf_grow(buf, bytes))
		return NULL;
	return buf->data + buf->len;
}

static inline void buf_add(struct buf *buf, const void *data, size_t bytes)
{
	char *to = buf_room(buf, bytes);

	if (to && bytes) {
		memcpy(to, data, bytes);
		buf->len += bytes;
	}
}

static inline void buf_putc(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

static inline void buf_puts(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

/* Room that one number takes at most, in either form below. */
#define BUF_NUMBER_BYTES 24

/* Writes `value` in decimal to `at`; returns where it ends. */
char *buf_write_u64(char *at, uint64_t value);

/*
 * Writes `value` / 10^`places` exactly, with as many of the at most 9 places as are needed: 1500
 * and 3 give "1.5". Returns where it ends.
 */
char *buf_write_decimal(char *at, uint64_t value, unsigned int places);

/* The same, at the end of the string. */
void buf_put_u64(struct buf *buf, uint64_t value);
void buf_put_decimal(struct buf *buf, uint64_t value, unsigned int places);

__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *buf, const char *format, ...);

/* The string with a NUL behind it, good until the next change; "" when memory ran out. */
const char *buf_text(struct buf *buf);

#endif
