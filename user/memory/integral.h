/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What memory costs: bytes times how long they were held. Between two samples the amount is taken
 * to have moved in a straight line. Integers throughout, so sums of parts equal the sum.
 */
#ifndef MLPROF_MEMORY_INTEGRAL_H
#define MLPROF_MEMORY_INTEGRAL_H

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 byte_ns_t;

/* All zeros is one that has not begun. */
struct byte_integral {
	byte_ns_t twice_byte_ns; /* twice the integral, in byte-nanoseconds, so that it is whole */
	uint64_t bytes;		 /* the last sample */
	uint64_t ns;		 /* its time, CLOCK_MONOTONIC */
	bool begun;
};

/* It held `bytes` at `ns`. A time that is not after the last one replaces the amount only. */
void byte_integral_sample(struct byte_integral *integral, uint64_t bytes, uint64_t ns);

/*
 * Until `ns` it held what it had at its last sample: for a cgroup that is gone. Nothing is added
 * after this until it is sampled twice more.
 */
void byte_integral_end(struct byte_integral *integral, uint64_t ns);

/* What comes until the next sample was not watched and is not counted. */
void byte_integral_pause(struct byte_integral *integral);

/* Byte-nanoseconds so far, rounded down. */
static inline byte_ns_t byte_integral_ns(const struct byte_integral *integral)
{
	return integral->twice_byte_ns / 2;
}

/* Whole byte-seconds so far, and byte-nanoseconds beyond; UINT64_MAX if there are more than that. */
uint64_t byte_integral_seconds(const struct byte_integral *integral, uint32_t *nanoseconds);

#endif
