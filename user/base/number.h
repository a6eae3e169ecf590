/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that people type. Each takes the whole text or nothing. */
#ifndef MLPROF_BASE_NUMBER_H
#define MLPROF_BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* A decimal number from `least` to `most`. */
bool read_unsigned(const char *text, uint64_t least, uint64_t most, uint64_t *value);

/* Seconds such as "1", "0.25", "30": from `least` to `most` nanoseconds. */
bool read_seconds(const char *text, uint64_t least, uint64_t most, uint64_t *ns);

/* Bytes such as "4096", "64K", "16M", "1G". */
bool read_bytes(const char *text, uint64_t least, uint64_t most, uint64_t *bytes);

#endif
