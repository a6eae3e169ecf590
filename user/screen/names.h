/* SPDX-License-Identifier: Apache-2.0 */
/* Names that fit into a column of a terminal. */
#ifndef MLPROF_SCREEN_NAMES_H
#define MLPROF_SCREEN_NAMES_H

#include <stddef.h>

/* What a cell can hold at most, with the NUL. */
#define NAME_CELL_BYTES 64

/*
 * Fits `name` into `width` columns, 3 to NAME_CELL_BYTES - 1: bytes that are not printable ASCII
 * become '?', and what is too long is cut, with a '~' in place of what is missing: ids at their
 * end, as other tools do, and names in their middle, as what tells them apart comes last.
 */
void name_fit(char *cell, const char *name, size_t width);

/* Marks a cell whose text another one has too, by '~' and `number` in place of its end. */
void name_number(char *cell, size_t width, unsigned int number);

#endif
