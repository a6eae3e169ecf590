/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which bucket of a wait histogram a time belongs to: the one whose bound, 2^k us, is the smallest
 * that is not below the time. Bounds are inclusive, so exactly 2^k us is in bucket k.
 *
 * A tree of comparisons with constants, because that is what costs least: any time takes five or
 * six of them, where a logarithm of whole microseconds takes some 40 instructions. Compiles for the
 * host as well.
 */
#ifndef MLPROF_HIST_BPF_H
#define MLPROF_HIST_BPF_H

#define HIST_BOUND(k) (1000ULL << (k))

/* The bucket of ns among 2, 4, 8 or 16 from k on, when it is known to be in one of them. */
#define HIST_2(ns, k)  ((ns) > HIST_BOUND(k) ? (k) + 1 : (k))
#define HIST_4(ns, k)  ((ns) > HIST_BOUND((k) + 1) ? HIST_2(ns, (k) + 2) : HIST_2(ns, k))
#define HIST_8(ns, k)  ((ns) > HIST_BOUND((k) + 3) ? HIST_4(ns, (k) + 4) : HIST_4(ns, k))
#define HIST_16(ns, k) ((ns) > HIST_BOUND((k) + 7) ? HIST_8(ns, (k) + 8) : HIST_8(ns, k))

static __always_inline u32 hist_bucket(u64 ns)
{
	if (ns <= HIST_BOUND(15))
		return HIST_16(ns, 0);
	if (ns <= HIST_BOUND(23))
		return HIST_8(ns, 16);
	return HIST_2(ns, 24);
}

#endif
