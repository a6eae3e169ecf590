// SPDX-License-Identifier: Apache-2.0
/* Numbers that people type: no sign, no blank, nothing left over, nothing rounded silently. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

static bool starts_with_digit(const char *text)
{
	return *text >= '0' && *text <= '9';
}

static bool in_range(uint64_t value, uint64_t least, uint64_t most, uint64_t *ret)
{
	if (value < least || value > most)
		return false;
	*ret = value;
	return true;
}

bool read_unsigned(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (!starts_with_digit(text) || *end || errno)
		return false;
	return in_range(number, least, most, value);
}

bool read_seconds(const char *text, uint64_t least, uint64_t most, uint64_t *ns)
{
	double seconds;
	char *end;

	errno = 0;
	seconds = strtod(text, &end);
	if (!starts_with_digit(text) || *end || errno || !(seconds < 1e9))
		return false;
	return in_range((uint64_t)llround(seconds * 1e9), least, most, ns);
}

bool read_bytes(const char *text, uint64_t least, uint64_t most, uint64_t *bytes)
{
	static const char units[] = "KMG";
	unsigned long long number;
	unsigned int shift = 0;
	const char *unit;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (!starts_with_digit(text) || errno)
		return false;
	if (*end) {
		unit = strchr(units, *end);
		if (!unit || end[1])
			return false;
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	if (number > UINT64_MAX >> shift)
		return false;
	return in_range(number << shift, least, most, bytes);
}
