// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Does nothing where an ioctl begins and where it ends: what measuring programs there costs. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("fentry/security_file_ioctl")
int empty_begin(void *ctx)
{
	return 0;
}

SEC("fexit/__x64_sys_ioctl")
int empty_end(void *ctx)
{
	return 0;
}
