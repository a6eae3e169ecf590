// SPDX-License-Identifier: Apache-2.0
/*
 * Amounts are what people write. In thousandths a number is what it is in whole units, a thousand
 * times finer; and a number read from its own decimal form is the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "owner/quantity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text)
{
	int64_t units, thousandths, again;
	char digits[32];

	if (!quantity_read(text, 0, &units))
		return;
	snprintf(digits, sizeof(digits), "%lld", (long long)units);
	if (units < 0 || !quantity_read(digits, 0, &again) || again != units)
		abort();
	if (!quantity_read(text, 3, &thousandths))
		return;
	/* Both are rounded up. */
	if (thousandths / 1000 + (thousandths % 1000 > 0) != units)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	check(text);
	free(text);
	return 0;
}
