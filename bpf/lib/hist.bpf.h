/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which bucket of a wait histogram a time belongs to. Compiles for the host as well. */
#ifndef MLPROF_HIST_BPF_H
#define MLPROF_HIST_BPF_H

/* A wait of this long or longer, 17.2 s, is over the last bound; below it 32 bits do. */
#define HIST_OVER_NS (1ULL << 34)

/*
 * ceil(ns / 1000) for ns below HIST_OVER_NS, without a division: 1000 = 8 * 125, and 2199023256 is
 * 2^38 / 125 rounded up by 56/125, so the product is exact for every operand that can occur.
 */
static __always_inline u64 whole_microseconds(u64 ns)
{
	return (((ns + 999) >> 3) * 2199023256ULL) >> 38;
}

/* ceil(log2(v)) for 1 <= v < 2^25. The steps are what the verifier can bound and clang keeps. */
static __always_inline u32 log2_ceil(u32 v)
{
	u32 k = 0;

	v -= 1;
	if (v >> 16) {
		v >>= 16;
		k = 16;
	}
	if (v >> 8) {
		v >>= 8;
		k += 8;
	}
	if (v >> 4) {
		v >>= 4;
		k += 4;
	}
	if (v >> 2) {
		v >>= 2;
		k += 2;
	}
	if (v >> 1) {
		v >>= 1;
		k += 1;
	}
	return k + v;
}

/*
 * The bucket whose bound, 2^k us, is the smallest that is not below the time: le is inclusive, so
 * exactly 2^k us is in bucket k.
 */
static __always_inline u32 hist_bucket(u64 ns)
{
	u32 bucket;

	if (ns <= 1000)
		return 0;
	if (ns >= HIST_OVER_NS)
		return MLPROF_HIST_BUCKETS - 1;
	bucket = log2_ceil(whole_microseconds(ns));
	return bucket < MLPROF_HIST_BUCKETS ? bucket : MLPROF_HIST_BUCKETS - 1;
}

#endif
