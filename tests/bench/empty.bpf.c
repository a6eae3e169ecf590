// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Does nothing at every context switch: what the kernel's measurement of a program itself costs. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sched_switch")
int empty(void *ctx)
{
	return 0;
}
