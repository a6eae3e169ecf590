// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Cgroups that come and go. The path travels with the event, so that a container that lived for
 * 10 ms still has its name when user space looks.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "mlprof/record.h"
#include "lib/compat.bpf.h"
#include "lib/account.bpf.h"
#include "lib/accounts.bpf.h"
#include "lib/ring.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * Where an event is put together. One is enough: the kernel calls with a path under one spinlock,
 * trace_cgroup_path_lock. Memory: 4 KiB in all.
 */
__u64 cgroup_event[(sizeof(struct mlprof_record_cgroup) + MLPROF_CGROUP_PATH_MAX) / sizeof(u64)];

static __always_inline int send_event(struct cgroup *cgroup, const char *path, u32 op)
{
	struct mlprof_record_cgroup *record = (void *)cgroup_event;
	u32 cpu = bpf_get_smp_processor_id();
	void *ring = ring_of(cpu);
	long bytes;

	if (!cgroup_is_watched(cgroup))
		return 0;
	bytes = bpf_probe_read_kernel_str(record->path, MLPROF_CGROUP_PATH_MAX, path);
	if (bytes <= 0 || bytes > MLPROF_CGROUP_PATH_MAX)
		bytes = 0;
	record->header.kind = MLPROF_RECORD_CGROUP;
	record->header.cpu = cpu;
	record->cgroup = cgroup->kn->id;
	record->op = op;
	record->path_bytes = bytes;
	if (!ring || bpf_ringbuf_output(ring, record, sizeof(*record) + bytes, BPF_RB_NO_WAKEUP))
		account_lost_event(cpu);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_made, struct cgroup *cgroup, const char *path)
{
	return send_event(cgroup, path, MLPROF_CGROUP_MADE);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_cgroup_removed, struct cgroup *cgroup, const char *path)
{
	return send_event(cgroup, path, MLPROF_CGROUP_REMOVED);
}
