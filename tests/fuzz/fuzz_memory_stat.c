// SPDX-License-Identifier: Apache-2.0
/*
 * Files of cgroups are foreign bytes: the machine, a container runtime or a stand-in for cgroupfs
 * writes them. What is read is checked against what was there.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "memory/stat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every line that was believed must be in the text, written as the kernel would. */
static void check_lines(const char *text, size_t bytes)
{
	struct stat_field fields[] = {{.name = "anon"},
				      {.name = "file"},
				      {.name = "inactive_file"},
				      {.name = "pgmajfault"}};
	bool good = stat_read_lines(text, bytes, fields, 4);

	for (size_t i = 0; i < 4; i++)
		if (fields[i].found &&
		    (!good || !memmem(text, bytes, fields[i].name, strlen(fields[i].name))))
			abort();
	if (good && bytes && text[bytes - 1] != '\n')
		abort();
}

static void check_number(const char *text, size_t bytes)
{
	uint64_t value = 7;
	bool limited = false;

	if (!stat_read_number(text, bytes, &value, &limited))
		limited = false;
	if (!limited && value != 7)
		abort();
}

static void check_pressure(const char *text, size_t bytes)
{
	struct stat_pressure pressure = {.has_some = true, .some_usec = 7};

	if (stat_read_pressure(text, bytes, &pressure)) {
		if (!pressure.has_some && pressure.some_usec)
			abort();
		if (!pressure.has_full && pressure.full_usec)
			abort();
	} else if (pressure.some_usec != 7) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its own size, so that a read behind the end is noticed. */
	char *text = malloc(size ? size : 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	check_lines(text, size);
	check_number(text, size);
	check_pressure(text, size);
	free(text);
	return 0;
}
