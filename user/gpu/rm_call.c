// SPDX-License-Identifier: Apache-2.0
/*
 * The layouts of NVIDIA's calls: names and offsets are those of the driver's public headers
 * (nvos.h, nv_escape.h, uvm_ioctl.h), which have been the same from 535 to 595 but where it is said.
 */
#include <errno.h>
#include <string.h>

#include "gpu/rm_call.h"

enum {
	ESC_RM_ALLOC_MEMORY = 0x27,
	ESC_RM_FREE = 0x29,
	ESC_RM_ALLOC = 0x2b,
	ESC_RM_DUP_OBJECT = 0x34,
	ESC_RM_VID_HEAP_CONTROL = 0x4a,
	UVM_REGISTER_GPU_VASPACE = 25,
	UVM_REGISTER_CHANNEL = 27,
	UVM_REGISTER_GPU = 37,
};

enum {
	CLASS_ROOT = 0x0,
	CLASS_ROOT_NON_PRIV = 0x1,
	CLASS_MEMORY_SYSTEM = 0x3e,
	CLASS_MEMORY_LOCAL_PRIVILEGED = 0x3f,
	CLASS_MEMORY_LOCAL_USER = 0x40,
	CLASS_ROOT_CLIENT = 0x41,
	CLASS_MEMORY_EXTENDED = 0x42,
	CLASS_OS_DESCRIPTOR = 0x71,
	CLASS_MEMORY_VIRTUAL = 0x50a0, /* addresses, and no memory behind them */
	CLASS_CONTEXT_SHARE = 0x9067,
	CLASS_VASPACE = 0x90f1,
	CLASS_CHANNEL_GROUP = 0xa06c,
};

/* Functions of VID_HEAP_CONTROL. */
enum {
	HEAP_ALLOC_SIZE = 2,
	HEAP_FREE = 3,
	HEAP_ALLOC_SIZE_RANGE = 14,
};

#define ATTR_LOCATION(attr) ((attr) >> 25 & 3)
#define LOCATION_HOST	    1
#define FLAG_VIRTUAL	    0x00080000

/* Params of memory up to its size. */
#define MEMORY_PARAMS_BYTES 72

struct bytes {
	const __u8 *at;
	uint32_t nr;
};

/* What lies beyond the copy is 0. */
static uint32_t get32(struct bytes bytes, uint32_t offset)
{
	uint32_t value = 0;

	if (offset + sizeof(value) <= bytes.nr)
		memcpy(&value, bytes.at + offset, sizeof(value));
	return value;
}

static uint64_t get64(struct bytes bytes, uint32_t offset)
{
	return get32(bytes, offset) | (uint64_t)get32(bytes, offset + 4) << 32;
}

bool rm_is_client(uint32_t class)
{
	return class == CLASS_ROOT || class == CLASS_ROOT_NON_PRIV || class == CLASS_ROOT_CLIENT;
}

bool rm_is_compute(uint32_t class)
{
	return (class & 0xff) == 0xc0 && class > 0xff;
}

bool rm_is_channel_group(uint32_t class)
{
	return class == CLASS_CHANNEL_GROUP;
}

bool rm_is_needed(uint32_t class)
{
	return class == CLASS_VASPACE || class == CLASS_CONTEXT_SHARE;
}

static bool is_channel(uint32_t class)
{
	return (class & 0xff) == 0x6f && class >= 0x506f;
}

static bool is_memory(uint32_t class)
{
	return class == CLASS_MEMORY_SYSTEM || class == CLASS_MEMORY_LOCAL_PRIVILEGED ||
	       class == CLASS_MEMORY_LOCAL_USER || class == CLASS_MEMORY_EXTENDED;
}

static enum rm_memory memory_of(uint32_t class, uint32_t attr, uint32_t flags)
{
	if (flags & FLAG_VIRTUAL)
		return RM_NO_MEMORY;
	if (class == CLASS_MEMORY_SYSTEM || class == CLASS_MEMORY_EXTENDED ||
	    class == CLASS_OS_DESCRIPTOR || ATTR_LOCATION(attr) == LOCATION_HOST)
		return RM_PINNED_MEMORY;
	return RM_DEVICE_MEMORY;
}

/* NV_MEMORY_ALLOCATION_PARAMS, NV_CHANNEL_ALLOC_PARAMS and the like. */
static int read_params(struct bytes params, struct rm_call *call)
{
	if (is_memory(call->class)) {
		if (params.nr < MEMORY_PARAMS_BYTES)
			return -EOPNOTSUPP;
		call->memory = memory_of(call->class, get32(params, 24), get32(params, 8));
		call->bytes = call->memory ? get64(params, 64) : 0;
	} else if (is_channel(call->class)) {
		call->needs[0] = get32(params, 24);
		call->needs[1] = get32(params, 28);
	} else if (call->class == CLASS_CHANNEL_GROUP) {
		call->needs[0] = get32(params, 8);
	} else if (call->class == CLASS_CONTEXT_SHARE) {
		call->needs[0] = get32(params, 0);
	}
	return 0;
}

/*
 * NVOS64 of 48 bytes, of 40 before 535, and NVOS21 of 32: there the status moved from 24 to 28 with
 * 535, and the size of the params came to where it was. Without a version only what is 0 in both
 * places, or not in the last, is sure.
 */
static int alloc_status(struct bytes arg, unsigned int version, uint32_t *status)
{
	switch (arg.nr) {
	case 48:
		*status = get32(arg, 40);
		return 0;
	case 40:
		*status = get32(arg, 36);
		return 0;
	case 32:
		*status = get32(arg, version && version < 535 ? 24 : 28);
		return !version && !*status && get32(arg, 24) ? -EOPNOTSUPP : 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int read_alloc(struct bytes arg, struct bytes params, unsigned int version,
		      struct rm_call *call)
{
	uint32_t status;
	int err = alloc_status(arg, version, &status);

	if (err || status)
		return err;
	call->what = RM_MADE;
	call->client = get32(arg, 0);
	call->parent = get32(arg, 4);
	call->object = get32(arg, 8);
	call->class = get32(arg, 12);
	if (rm_is_client(call->class)) {
		call->client = call->object;
		call->parent = 0;
	}
	return read_params(params, call);
}

/* NVOS02: memory of the caller's, whose limit is its last byte. */
static int read_alloc_memory(struct bytes arg, struct rm_call *call)
{
	if (arg.nr != 56)
		return -EOPNOTSUPP;
	if (get32(arg, 40))
		return 0;
	call->what = RM_MADE;
	call->client = get32(arg, 0);
	call->parent = get32(arg, 4);
	call->object = get32(arg, 8);
	call->class = get32(arg, 12);
	call->memory = memory_of(call->class, 0, 0);
	call->bytes = get64(arg, 32) + 1;
	return 0;
}

/* NVOS00. */
static int read_free(struct bytes arg, struct rm_call *call)
{
	if (arg.nr != 16)
		return -EOPNOTSUPP;
	if (get32(arg, 12))
		return 0;
	call->what = RM_FREED;
	call->client = get32(arg, 0);
	call->object = get32(arg, 8);
	return 0;
}

/* NVOS55. */
static int read_dup(struct bytes arg, struct rm_call *call)
{
	if (arg.nr != 28)
		return -EOPNOTSUPP;
	if (get32(arg, 24))
		return 0;
	call->what = RM_DUPLICATED;
	call->client = get32(arg, 0);
	call->parent = get32(arg, 4);
	call->object = get32(arg, 8);
	call->source_client = get32(arg, 12);
	call->source_object = get32(arg, 16);
	return 0;
}

/* NVOS32. */
static int read_heap(struct bytes arg, struct rm_call *call)
{
	uint32_t function = get32(arg, 8);

	if (arg.nr != 184)
		return -EOPNOTSUPP;
	if (get32(arg, 20))
		return 0;
	call->client = get32(arg, 0);
	call->parent = get32(arg, 4);
	call->object = get32(arg, 44);
	if (function == HEAP_FREE)
		call->what = RM_FREED;
	if (function != HEAP_ALLOC_SIZE && function != HEAP_ALLOC_SIZE_RANGE)
		return 0;
	call->what = RM_MADE;
	call->class = CLASS_MEMORY_LOCAL_USER;
	call->memory = memory_of(call->class, get32(arg, 56), get32(arg, 52));
	call->bytes = call->memory ? get64(arg, 88) : 0;
	return 0;
}

/* UVM's begin with the GPU; where its status is, and which object it names, its number tells. */
static int read_uvm(uint32_t nr, struct bytes arg, struct rm_call *call)
{
	const uint32_t status_at = nr == UVM_REGISTER_GPU	    ? 36
				   : nr == UVM_REGISTER_GPU_VASPACE ? 28
								    : 48;

	if (nr != UVM_REGISTER_GPU && nr != UVM_REGISTER_GPU_VASPACE && nr != UVM_REGISTER_CHANNEL)
		return 0;
	if (arg.nr < status_at + 4)
		return -EOPNOTSUPP;
	if (get32(arg, status_at))
		return 0;
	call->what = nr == UVM_REGISTER_GPU ? RM_GPU_OF_CLIENT : RM_GPU_OF_OBJECT;
	call->client = get32(arg, nr == UVM_REGISTER_GPU ? 28 : 20);
	call->object = nr == UVM_REGISTER_GPU ? 0 : get32(arg, 24);
	memcpy(call->gpu, arg.at, RM_UUID_BYTES);
	return 0;
}

static int read_rm(uint32_t nr, struct bytes arg, struct bytes params, unsigned int version,
		   struct rm_call *call)
{
	switch (nr) {
	case ESC_RM_ALLOC:
		return read_alloc(arg, params, version, call);
	case ESC_RM_ALLOC_MEMORY:
		return read_alloc_memory(arg, call);
	case ESC_RM_FREE:
		return read_free(arg, call);
	case ESC_RM_DUP_OBJECT:
		return read_dup(arg, call);
	case ESC_RM_VID_HEAP_CONTROL:
		return read_heap(arg, call);
	default:
		return 0;
	}
}

int rm_call_read(const struct mlprof_record_gpu_call *record, unsigned int version,
		 struct rm_call *call)
{
	struct bytes arg = {record->arg, record->arg_bytes};
	struct bytes params = {record->params, record->param_bytes};

	*call = (struct rm_call){.what = RM_NOTHING};
	if (record->result < 0)
		return 0;
	if (!arg.nr)
		return -EOPNOTSUPP;
	if (record->driver == MLPROF_GPU_NVIDIA)
		return read_rm(record->nr, arg, params, version, call);
	if (record->driver == MLPROF_GPU_NVIDIA_UVM)
		return read_uvm(record->nr, arg, call);
	return 0;
}
