/* SPDX-License-Identifier: Apache-2.0 */
/* What this process itself costs. */
#ifndef MLPROF_BASE_SELF_H
#define MLPROF_BASE_SELF_H

#include <stdint.h>

/* User and system time of all its threads, in nanoseconds. */
uint64_t self_cpu_ns(void);

/* Its resident memory; 0 if that cannot be read. */
uint64_t self_rss_bytes(void);

#endif
