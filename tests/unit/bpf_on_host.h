/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets bodies of bpf/lib compile for the host: the types of vmlinux.h, the attributes of
 * bpf_helpers.h, and maps that are arrays. Include it before a header of bpf/lib.
 */
#ifndef MLPROF_TESTS_BPF_ON_HOST_H
#define MLPROF_TESTS_BPF_ON_HOST_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#undef __always_inline
#define __always_inline inline __attribute__((always_inline, unused))
#define __noinline	static __attribute__((noinline, unused))
#define __weak

#include "mlprof/record.h"

#endif
