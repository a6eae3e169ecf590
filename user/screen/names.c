// SPDX-License-Identifier: Apache-2.0
/* Cutting and cleaning names for the screen. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "screen/names.h"

/* UIDs of pods and ids of containers: their first digits are enough. */
static bool is_id(const char *name)
{
	return strspn(name, "0123456789abcdef-") == strlen(name);
}

static void copy_printable(char *to, const char *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?';
}

void name_fit(char *cell, const char *name, size_t width)
{
	size_t bytes = strlen(name), tail;

	if (bytes <= width) {
		copy_printable(cell, name, bytes);
		cell[bytes] = '\0';
		return;
	}
	tail = is_id(name) ? 0 : (width - 1) / 2;
	copy_printable(cell, name, width - 1 - tail);
	cell[width - 1 - tail] = '~';
	copy_printable(cell + width - tail, name + bytes - tail, tail);
	cell[width] = '\0';
}

void name_number(char *cell, size_t width, unsigned int number)
{
	char mark[16];
	size_t bytes = (size_t)snprintf(mark, sizeof(mark), "~%u", number), at = strlen(cell);

	if (bytes > width)
		return;
	if (at + bytes > width)
		at = width - bytes;
	memcpy(cell + at, mark, bytes + 1);
}
