/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The formats of cgroup files. Each function takes the whole text, `bytes` long and not terminated,
 * and returns false, with nothing written, unless it is exactly what the kernel writes.
 */
#ifndef MLPROF_MEMORY_STAT_H
#define MLPROF_MEMORY_STAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line "NAME VALUE" of which the value is wanted. */
struct stat_field {
	const char *name;
	uint64_t value;
	bool found; /* false: there is no such line */
};

/*
 * Lines "NAME VALUE". Names that are not asked for are checked and skipped. The fields come back in
 * the order of their lines as far as they are asked for in that order: then it takes one pass.
 */
bool stat_read_lines(const char *text, size_t bytes, struct stat_field *fields, size_t nr);

/* One number on a line; `limited` is false if it is "max" instead. */
bool stat_read_number(const char *text, size_t bytes, uint64_t *value, bool *limited);

struct stat_pressure {
	bool has_some, has_full;
	uint64_t some_usec, full_usec;
};

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and the same with "full". */
bool stat_read_pressure(const char *text, size_t bytes, struct stat_pressure *pressure);

#endif
