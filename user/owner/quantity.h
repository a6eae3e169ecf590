/* SPDX-License-Identifier: Apache-2.0 */
/* Amounts as Kubernetes writes them: "250m", "1.5Gi", "2e3", "100M". */
#ifndef MLPROF_OWNER_QUANTITY_H
#define MLPROF_OWNER_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Reads all of `text` in units of 10^-`places`: 3 for thousandths of a core, 0 for bytes. Exact;
 * what is smaller than a unit is rounded up, as Kubernetes does. False for what is no quantity, is
 * below zero or does not fit.
 */
bool quantity_read(const char *text, unsigned int places, int64_t *value);

#endif
