// SPDX-License-Identifier: Apache-2.0
/*
 * A quantity is DIGITS * 10^tens * 2^twos. All digits are kept in one whole number, and powers are
 * applied to it only at the end, so that nothing is lost on the way.
 */
#include <stddef.h>
#include <string.h>

#include "owner/quantity.h"

__extension__ typedef unsigned __int128 u128;

struct quantity {
	u128 digits;
	int tens, twos;
};

/* 37 digits leave no room for overflow, and Kubernetes itself keeps 19 and nine places. */
#define DIGITS_LIMIT ((u128)1000000000000000000u * 1000000000000000000u * 10)
/* Whatever is beyond does not fit either, or is less than a unit. */
#define TENS_LIMIT 1000

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool add_digit(struct quantity *q, char c)
{
	if (q->digits >= DIGITS_LIMIT / 10)
		return false;
	q->digits = q->digits * 10 + (unsigned int)(c - '0');
	return true;
}

/* "1", "1.5", ".5" and "5."; but not "." */
static bool read_digits(const char **text, struct quantity *q)
{
	const char *at = *text;
	size_t nr = 0;

	for (; is_digit(*at); at++, nr++)
		if (!add_digit(q, *at))
			return false;
	if (*at == '.')
		for (at++; is_digit(*at); at++, nr++, q->tens--)
			if (!add_digit(q, *at))
				return false;
	*text = at;
	return nr > 0;
}

static bool read_exponent(const char *text, struct quantity *q)
{
	int sign = *text == '-' ? -1 : 1, exponent = 0;

	text += *text == '-' || *text == '+';
	if (!is_digit(*text))
		return false;
	for (; is_digit(*text); text++)
		if (exponent < TENS_LIMIT)
			exponent = exponent * 10 + *text - '0';
	q->tens += sign * exponent;
	return !*text;
}

/* "E" alone is 10^18, before digits an exponent. */
static bool read_suffix(const char *text, struct quantity *q)
{
	static const char binary[] = "KMGTPE";
	static const struct {
		char suffix;
		int tens;
	} decimal[] = {{'n', -9}, {'u', -6}, {'m', -3}, {'k', 3}, {'M', 6},
		       {'G', 9},  {'T', 12}, {'P', 15}, {'E', 18}};
	const char *unit;

	if (!*text)
		return true;
	if ((*text == 'e' || *text == 'E') && text[1] && text[1] != 'i')
		return read_exponent(text + 1, q);
	unit = strchr(binary, *text);
	if (unit && text[1] == 'i' && !text[2]) {
		q->twos = 10 * (int)(unit - binary + 1);
		return true;
	}
	for (size_t i = 0; i < sizeof(decimal) / sizeof(decimal[0]); i++)
		if (decimal[i].suffix == *text && !text[1]) {
			q->tens += decimal[i].tens;
			return true;
		}
	return false;
}

/* Takes factors of ten out before those of two go in: a short number may have many zeros. */
static void shorten(struct quantity *q)
{
	while (q->tens < 0 && q->digits % 10 == 0) {
		q->digits /= 10;
		q->tens++;
	}
}

static bool apply(struct quantity *q)
{
	bool rest = false;

	shorten(q);
	for (; q->twos > 0; q->twos--) {
		if (q->digits >> 126)
			return false;
		q->digits <<= 1;
	}
	for (; q->tens < 0 && q->digits; q->tens++) {
		rest |= q->digits % 10 != 0;
		q->digits /= 10;
	}
	for (; q->tens > 0 && q->digits; q->tens--) {
		if (q->digits > INT64_MAX)
			return false;
		q->digits *= 10;
	}
	q->digits += rest;
	return q->digits <= INT64_MAX;
}

bool quantity_read(const char *text, unsigned int places, int64_t *value)
{
	struct quantity q = {.tens = (int)places};

	text += *text == '+';
	if (!read_digits(&text, &q) || !read_suffix(text, &q))
		return false;
	if (!q.digits)
		q = (struct quantity){0};
	if (!apply(&q))
		return false;
	*value = (int64_t)q.digits;
	return true;
}
