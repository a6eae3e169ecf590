/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The calls of each driver: of which kind one is, and what of its arguments is copied. Numbers are
 * of the drivers' public headers; only the number within a command counts (_IOC_NR), since NVIDIA's
 * driver looks at nothing else, and UVM's commands are bare numbers.
 */
#ifndef MLPROF_GPU_OPS_BPF_H
#define MLPROF_GPU_OPS_BPF_H

/* NVIDIA's resource manager: NV_ESC_*. */
#define RM_ALLOC_MEMORY	    0x27
#define RM_FREE		    0x29
#define RM_CONTROL	    0x2a
#define RM_ALLOC	    0x2b
#define RM_DUP_OBJECT	    0x34
#define RM_SHARE	    0x35
#define RM_IDLE_CHANNELS    0x41
#define RM_VID_HEAP_CONTROL 0x4a
#define RM_MAP_MEMORY	    0x4e
#define RM_UNMAP_MEMORY	    0x4f
#define RM_MAP_MEMORY_DMA   0x57
#define RM_UNMAP_MEMORY_DMA 0x58
#define NV_CARD_INFO	    200
#define NV_REGISTER_FD	    201
#define NV_CHECK_VERSION    210
#define NV_XFER		    211 /* wraps a call whose arguments are large: u32 nr, u32 size, u64 pointer */

/* NVIDIA's unified memory: UVM_*. */
#define UVM_REGISTER_GPU_VASPACE   25
#define UVM_UNREGISTER_GPU_VASPACE 26
#define UVM_REGISTER_CHANNEL	   27
#define UVM_UNREGISTER_CHANNEL	   28
#define UVM_MAP_EXTERNAL	   33
#define UVM_FREE		   34
#define UVM_REGISTER_GPU	   37
#define UVM_UNREGISTER_GPU	   38
#define UVM_MIGRATE		   51
#define UVM_UNMAP_EXTERNAL	   66
#define UVM_CREATE_EXTERNAL_RANGE  73

/* Where RM_ALLOC's arguments have the address of those of the class. */
#define RM_ALLOC_PARAMS_AT 16

/* Indexed by driver and number; what is not here is other. DRM's own numbers begin at 0x40. */
static const volatile u8 gpu_ops[MLPROF_GPU_DRIVERS][256] = {
	[MLPROF_GPU_NVIDIA] =
		{
			[RM_ALLOC_MEMORY] = MLPROF_GPU_OP_ALLOC,
			[RM_FREE] = MLPROF_GPU_OP_FREE,
			[RM_CONTROL] = MLPROF_GPU_OP_QUERY,
			[RM_ALLOC] = MLPROF_GPU_OP_ALLOC,
			[RM_DUP_OBJECT] = MLPROF_GPU_OP_ALLOC,
			[RM_IDLE_CHANNELS] = MLPROF_GPU_OP_WAIT,
			[RM_VID_HEAP_CONTROL] = MLPROF_GPU_OP_ALLOC,
			[RM_MAP_MEMORY] = MLPROF_GPU_OP_MAP,
			[RM_UNMAP_MEMORY] = MLPROF_GPU_OP_MAP,
			[RM_MAP_MEMORY_DMA] = MLPROF_GPU_OP_MAP,
			[RM_UNMAP_MEMORY_DMA] = MLPROF_GPU_OP_MAP,
			[NV_CARD_INFO] = MLPROF_GPU_OP_QUERY,
			[NV_CHECK_VERSION] = MLPROF_GPU_OP_QUERY,
		},
	[MLPROF_GPU_NVIDIA_UVM] =
		{
			[UVM_REGISTER_GPU_VASPACE] = MLPROF_GPU_OP_CONTEXT,
			[UVM_UNREGISTER_GPU_VASPACE] = MLPROF_GPU_OP_CONTEXT,
			[UVM_REGISTER_CHANNEL] = MLPROF_GPU_OP_CONTEXT,
			[UVM_UNREGISTER_CHANNEL] = MLPROF_GPU_OP_CONTEXT,
			[UVM_REGISTER_GPU] = MLPROF_GPU_OP_CONTEXT,
			[UVM_UNREGISTER_GPU] = MLPROF_GPU_OP_CONTEXT,
			[UVM_MAP_EXTERNAL] = MLPROF_GPU_OP_MAP,
			[UVM_UNMAP_EXTERNAL] = MLPROF_GPU_OP_MAP,
			[UVM_CREATE_EXTERNAL_RANGE] = MLPROF_GPU_OP_MAP,
			[UVM_FREE] = MLPROF_GPU_OP_FREE,
			[UVM_MIGRATE] = MLPROF_GPU_OP_MAP,
		},
	[MLPROF_GPU_KFD] =
		{
			[0x02] = MLPROF_GPU_OP_CONTEXT,
			[0x03] = MLPROF_GPU_OP_CONTEXT, /* queues */
			[0x0c] = MLPROF_GPU_OP_WAIT,
			[0x15] = MLPROF_GPU_OP_CONTEXT,
			[0x16] = MLPROF_GPU_OP_ALLOC,
			[0x17] = MLPROF_GPU_OP_FREE,
			[0x18] = MLPROF_GPU_OP_MAP,
			[0x19] = MLPROF_GPU_OP_MAP,
		},
/* Of all DRM drivers: GEM_CLOSE; syncobj waits. */
#define OF_DRM [0x09] = MLPROF_GPU_OP_FREE, [0xc3] = MLPROF_GPU_OP_WAIT, [0xca] = MLPROF_GPU_OP_WAIT
	[MLPROF_GPU_DRM_OTHER] = {OF_DRM},
	[MLPROF_GPU_AMDGPU] =
		{
			OF_DRM,
			[0x40] = MLPROF_GPU_OP_ALLOC,
			[0x41] = MLPROF_GPU_OP_MAP,
			[0x42] = MLPROF_GPU_OP_CONTEXT,
			[0x44] = MLPROF_GPU_OP_SUBMIT,
			[0x45] = MLPROF_GPU_OP_QUERY,
			[0x47] = MLPROF_GPU_OP_WAIT,
			[0x48] = MLPROF_GPU_OP_MAP,
			[0x49] = MLPROF_GPU_OP_WAIT,
			[0x52] = MLPROF_GPU_OP_WAIT,
		},
	[MLPROF_GPU_I915] =
		{
			OF_DRM,
			[0x69] = MLPROF_GPU_OP_SUBMIT,
			[0x6c] = MLPROF_GPU_OP_WAIT,
			[0x7c] = MLPROF_GPU_OP_ALLOC,
			[0x5b] = MLPROF_GPU_OP_ALLOC,
		},
	[MLPROF_GPU_XE] =
		{
			OF_DRM,
			[0x41] = MLPROF_GPU_OP_ALLOC,
			[0x46] = MLPROF_GPU_OP_CONTEXT,
			[0x49] = MLPROF_GPU_OP_SUBMIT,
			[0x4a] = MLPROF_GPU_OP_WAIT,
		},
	[MLPROF_GPU_NOUVEAU] =
		{
			OF_DRM,
			[0x81] = MLPROF_GPU_OP_SUBMIT,
			[0x52] = MLPROF_GPU_OP_SUBMIT,
			[0x82] = MLPROF_GPU_OP_WAIT,
		},
	[MLPROF_GPU_VIRTIO] =
		{
			OF_DRM,
			[0x42] = MLPROF_GPU_OP_SUBMIT,
			[0x48] = MLPROF_GPU_OP_WAIT,
			[0x4a] = MLPROF_GPU_OP_ALLOC,
		},
	[MLPROF_GPU_PANFROST] =
		{
			OF_DRM,
			[0x40] = MLPROF_GPU_OP_SUBMIT,
			[0x41] = MLPROF_GPU_OP_WAIT,
		},
	[MLPROF_GPU_V3D] = {OF_DRM, [0x40] = MLPROF_GPU_OP_SUBMIT, [0x41] = MLPROF_GPU_OP_WAIT},
	[MLPROF_GPU_MSM] = {OF_DRM, [0x46] = MLPROF_GPU_OP_SUBMIT, [0x47] = MLPROF_GPU_OP_WAIT},
	[MLPROF_GPU_LIMA] = {OF_DRM, [0x44] = MLPROF_GPU_OP_WAIT},
	[MLPROF_GPU_ETNAVIV] = {OF_DRM, [0x47] = MLPROF_GPU_OP_WAIT},
#undef OF_DRM
};

/* UVM's numbers begin at 0; two begin at 0x30000001, and are none of those above. */
static __always_inline u32 gpu_nr(u32 driver, u32 command)
{
	return driver == MLPROF_GPU_NVIDIA_UVM && command > 0xff ? 0 : command & 0xff;
}

static __always_inline u32 gpu_op(u32 driver, u32 command)
{
	return gpu_ops[driver & (MLPROF_GPU_DRIVERS - 1)][gpu_nr(driver, command)];
}

/* Whether a call makes, frees or names what outlives it, and is so to be copied. */
static __always_inline bool gpu_makes_something(u32 driver, u32 command)
{
	u32 nr = gpu_nr(driver, command), op;

	if (driver == MLPROF_GPU_NVIDIA && nr == NV_XFER)
		return true;
	op = gpu_op(driver, command);
	if (driver == MLPROF_GPU_NVIDIA)
		return op == MLPROF_GPU_OP_ALLOC || op == MLPROF_GPU_OP_FREE;
	return driver == MLPROF_GPU_NVIDIA_UVM && op == MLPROF_GPU_OP_CONTEXT;
}

/* Whether closing a file of the driver frees what was made through it, as far as we know of it. */
static __always_inline bool gpu_files_hold(u32 driver)
{
	return driver == MLPROF_GPU_NVIDIA || driver == MLPROF_GPU_NVIDIA_UVM;
}

/* The size that a command says its arguments have; UVM's say nothing. */
static __always_inline u32 gpu_arg_bytes(u32 driver, u32 command)
{
	u32 bytes =
		driver == MLPROF_GPU_NVIDIA_UVM ? MLPROF_GPU_UVM_BYTES : (command >> 16) & 0x3fff;

	return bytes > MLPROF_GPU_ARG_MAX ? MLPROF_GPU_ARG_MAX : bytes;
}

/* As much as there is of what the class of an object is made with: its page may end before. */
static __always_inline void gpu_copy_params(struct mlprof_record_gpu_call *record)
{
	const void *params = *(const void **)&record->arg[RM_ALLOC_PARAMS_AT];

	if (!params)
		return;
	if (!bpf_probe_read_user(record->params, MLPROF_GPU_PARAMS_MAX, params))
		record->param_bytes = MLPROF_GPU_PARAMS_MAX;
	else if (!bpf_probe_read_user(record->params, MLPROF_GPU_PARAMS_MAX / 2, params))
		record->param_bytes = MLPROF_GPU_PARAMS_MAX / 2;
}

/* Fills `nr`, `arg` and `params`; what could not be read has no bytes. */
static __always_inline void gpu_copy(struct mlprof_record_gpu_call *record, u32 driver, u32 command,
				     u64 arg)
{
	struct {
		u32 nr, size;
		u64 pointer;
	} xfer;
	u32 nr = gpu_nr(driver, command), bytes = gpu_arg_bytes(driver, command);

	record->param_bytes = 0;
	record->padding = 0;
	if (driver == MLPROF_GPU_NVIDIA && nr == NV_XFER) {
		xfer.nr = 0;
		if (bpf_probe_read_user(&xfer, sizeof(xfer), (void *)arg))
			xfer.size = 0;
		nr = xfer.nr;
		arg = xfer.pointer;
		bytes = xfer.size > MLPROF_GPU_ARG_MAX ? MLPROF_GPU_ARG_MAX : xfer.size;
	}
	__builtin_memset(record->arg, 0, sizeof(record->arg));
	__builtin_memset(record->params, 0, sizeof(record->params));
	record->nr = nr;
	if (!bytes || bpf_probe_read_user(record->arg, bytes & MLPROF_GPU_ARG_MAX, (void *)arg))
		bytes = 0;
	record->arg_bytes = bytes;
	if (driver == MLPROF_GPU_NVIDIA && nr == RM_ALLOC && bytes >= 32)
		gpu_copy_params(record);
}

#endif
