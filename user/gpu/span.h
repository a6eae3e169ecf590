/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of files that drivers write, taken apart without a copy: a key, a separator, a value. What
 * is read is foreign: a number is all of a span or nothing, text is printable or nothing.
 */
#ifndef MLPROF_GPU_SPAN_H
#define MLPROF_GPU_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of a longer text, not terminated. */
struct span {
	const char *at;
	size_t bytes;
};

/*
 * Takes the next line that is not blank out of `text`. Key and value come without the blanks around
 * them; where the line has no `separator` the key is the whole line and the value is empty. False
 * at the end.
 */
bool span_line(struct span *text, char separator, struct span *key, struct span *value);

/* Takes the next word of a line, up to a blank; false if there is none. */
bool span_word(struct span *text, struct span *word);

bool span_is(struct span span, const char *text);

/* Takes `prefix` off the beginning; false, and nothing taken, if it begins otherwise. */
bool span_after(struct span *span, const char *prefix);

/* The whole span as a decimal number, or as a hexadecimal one with or without "0x". */
bool span_number(struct span span, uint64_t *value);
bool span_hex(struct span span, uint64_t *value);

/* Copies with a NUL; false, and "" copied, if it is too long or is not printable ASCII. */
bool span_copy(struct span span, char *to, size_t size);

#endif
