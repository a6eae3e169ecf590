// SPDX-License-Identifier: Apache-2.0
/*
 * Asks the kernel itself what a process with these capabilities may do, one line each: "map" for
 * making a BPF map, "tracing" for loading a program that reads the kernel, each with "yes" or the
 * error. mlprof looks at its capabilities before it tries.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void say(const char *what, long fd)
{
	printf("%s %s\n", what, fd < 0 ? strerror(errno) : "yes");
	if (fd >= 0)
		close((int)fd);
}

/* A ring buffer, which is among what nobody without CAP_BPF may make. */
static long make_map(void)
{
	union bpf_attr attr = {0};

	attr.map_type = BPF_MAP_TYPE_RINGBUF;
	attr.max_entries = 4096;
	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

/* Returns 0 and does nothing else; what it could read is told by its type. */
static long load_tracing(void)
{
	static const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {0};

	attr.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
	attr.insns = (uintptr_t)nothing;
	attr.insn_cnt = sizeof(nothing) / sizeof(nothing[0]);
	attr.license = (uintptr_t) "GPL";
	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

int main(void)
{
	say("map", make_map());
	say("tracing", load_tracing());
	return 0;
}
