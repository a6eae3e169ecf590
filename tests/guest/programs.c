// SPDX-License-Identifier: Apache-2.0
/*
 * Lists the BPF programs that the kernel holds, `ID NAME` a line: what an agent that has ended must
 * not have left behind. Asks the kernel itself, since bpftool loads a program of its own to do it.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static const char *name_of(uint32_t id, struct bpf_prog_info *info)
{
	union bpf_attr attr = {.prog_id = id};
	int fd = bpf(BPF_PROG_GET_FD_BY_ID, &attr);

	if (fd < 0)
		return "?";
	memset(info, 0, sizeof(*info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = fd;
	attr.info.info_len = sizeof(*info);
	attr.info.info = (uintptr_t)info;
	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr))
		info->name[0] = '\0';
	close(fd);
	return info->name;
}

int main(void)
{
	union bpf_attr attr = {.start_id = 0};
	struct bpf_prog_info info;

	while (!bpf(BPF_PROG_GET_NEXT_ID, &attr)) {
		uint32_t id = attr.next_id;

		printf("%u %s\n", id, name_of(id, &info));
		memset(&attr, 0, sizeof(attr));
		attr.start_id = id;
	}
	if (errno == ENOENT)
		return 0;
	fprintf(stderr, "programs: %s\n", strerror(errno));
	return 1;
}
