/* SPDX-License-Identifier: Apache-2.0 */
/* Rates as text: a table for people, and JSON for programs. */
#ifndef MLPROF_SCREEN_TABLE_H
#define MLPROF_SCREEN_TABLE_H

#include "base/buf.h"
#include "screen/rates.h"

/* No line is longer, whatever the names. */
#define TABLE_COLUMNS 100

/*
 * Adds a table with a line of headings and an empty line at its end: ASCII without escape codes. A
 * name too long for its column is cut where a `~` stands, which no pod's name can hold; two that
 * would look the same get a number behind it. 0 or -ENOMEM.
 */
int table_print(struct buf *to, const struct rates *rates);

/*
 * Adds one line of JSON. What is not known, or had no sample, is null; a quantile longer than all
 * bounds is "+Inf". 0 or -ENOMEM.
 */
int table_print_json(struct buf *to, const struct rates *rates);

#endif
