// SPDX-License-Identifier: Apache-2.0
/* The trapezoids between samples, in integers. */
#include "memory/integral.h"

#define NS_PER_SECOND 1000000000u

void byte_integral_sample(struct byte_integral *integral, uint64_t bytes, uint64_t ns)
{
	if (integral->begun && ns > integral->ns)
		integral->twice_byte_ns +=
			((byte_ns_t)integral->bytes + bytes) * (ns - integral->ns);
	if (!integral->begun || ns > integral->ns)
		integral->ns = ns;
	integral->bytes = bytes;
	integral->begun = true;
}

void byte_integral_end(struct byte_integral *integral, uint64_t ns)
{
	if (integral->begun)
		byte_integral_sample(integral, integral->bytes, ns);
	byte_integral_pause(integral);
}

void byte_integral_pause(struct byte_integral *integral)
{
	integral->begun = false;
}

uint64_t byte_integral_seconds(const struct byte_integral *integral, uint32_t *nanoseconds)
{
	byte_ns_t all = byte_integral_ns(integral), seconds = all / NS_PER_SECOND;

	if (nanoseconds)
		*nanoseconds = (uint32_t)(all % NS_PER_SECOND);
	return seconds > UINT64_MAX ? UINT64_MAX : (uint64_t)seconds;
}
