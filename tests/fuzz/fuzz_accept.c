// SPDX-License-Identifier: Apache-2.0
/* Accept and Accept-Encoding headers of anybody who can reach the port. */
#include <stdlib.h>
#include <string.h>

#include "expose/negotiate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char *header = malloc(bytes + 1);
	struct negotiated got;

	if (!header)
		return 0;
	memcpy(header, data, bytes);
	header[bytes] = '\0';
	got = negotiate_form(header);
	if (!got.content_type || (got.form != EXPOSITION_TEXT) != (got.content_type[0] == 'a'))
		abort();
	negotiate_gzip(header);
	free(header);
	return 0;
}
