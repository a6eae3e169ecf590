// SPDX-License-Identifier: Apache-2.0
/*
 * Stands in for NVIDIA's driver: /dev/nvidiactl, /dev/nvidia0, /dev/nvidia1 and /dev/nvidia-uvm
 * made with CUSE, which have the driver's own numbers and take its ioctls as versions 535 to 595
 * lay them out. It keeps the objects of every client as the driver does, rounds sizes up, and can
 * be told to take its time or to fail. There is nothing behind it: no mmap(), no events to poll()
 * for.
 *
 * The kernel copies no argument by itself: it is told which memory of the caller is wanted, and
 * asks again with its bytes (FUSE_IOCTL_RETRY). So a pointer that leads nowhere ends any call with
 * EFAULT, where the driver, for parameters inside of parameters, answers with a status.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NR_DEVICES  4
#define NR_THREADS  8 /* of each device: so many calls can wait at the same time */
#define MAX_FILES   1024
#define MAX_OBJECTS 16384
#define MAX_PIECES  3 /* a wrapper, the call's structure, what that points to */
#define MAX_ARG	    16384
#define MAX_NESTED  65536
#define BUFFER	    (192 << 10)
#define GRANULE	    65536ULL
#define GPU_BYTES   (80ULL << 30)
#define NR_GPUS	    2

/* Statuses, as nvstatuscodes.h has them. */
#define OK		       0x00
#define ERR_GPU_UUID_NOT_FOUND 0x12
#define ERR_ILLEGAL_ACTION     0x16
#define ERR_DUPLICATE_NAME     0x19
#define ERR_NO_RESOURCES       0x1a
#define ERR_INVALID_CLIENT     0x23
#define ERR_INVALID_DEVICE     0x26
#define ERR_INVALID_FUNCTION   0x2a
#define ERR_INVALID_PARENT     0x36
#define ERR_INVALID_PARAMS     0x3a
#define ERR_NO_MEMORY	       0x51
#define ERR_NOT_FOUND	       0x57

/* Numbers of ours, which the driver does not have: tests talk to the stand-in through them. */
#define MAGIC_FAULT  0x6d6c0001 /* what happens to calls to come: struct fault */
#define MAGIC_COUNT  0x6d6c0002 /* what a client has: struct count */

#define XFER	     211
#define RM_ALLOC     0x2b
#define RM_CONTROL   0x2a
#define UVM_INIT     0x30000001
#define UVM_DEINIT   0x30000002
#define LOCATION(x)  (((x) >> 25) & 3) /* of `attr`: 0 device, 1 host */
#define FLAG_VIRTUAL 0x00080000

enum kind {
	NOTHING,
	DEVICE_MEMORY,
	PINNED_MEMORY
};

/* For calls with that number (0: any) on one open file, the next `count` of them. */
struct fault {
	uint32_t nr, count, delay_us, status;
	int32_t error; /* an errno; the call then has no effect, nor has it with a status */
};

struct count {
	uint32_t objects, contexts;
	uint64_t device, pinned; /* bytes */
};

struct device {
	const char *name;
	unsigned int major, minor;
	int fd;
};

struct file {
	bool used, initialized; /* the latter as UVM means it */
	struct fault fault;
};

/* A client is an object whose handle and client are the same. */
struct object {
	uint32_t client, handle, parent, class, needs[3];
	uint64_t bytes;
	enum kind kind;
	uint32_t file;
	bool used, doomed;
};

/* One ioctl, with the caller's memory as far as it has come. */
struct call {
	struct device *dev;
	uint32_t file, cmd, nr, size;
	uint64_t arg;
	char *data;
	uint32_t have, wanted; /* bytes */
	struct fuse_ioctl_iovec piece[MAX_PIECES];
	unsigned int pieces;
	char *top, *nested;
	uint32_t nested_size;
};

static struct device devices[NR_DEVICES] = {
	{"nvidiactl", 195, 255, -1},
	{"nvidia0", 195, 0, -1},
	{"nvidia1", 195, 1, -1},
	{"nvidia-uvm", 0, 0, -1},
};
static const uint8_t uuids[NR_GPUS][16] = {
	{0x5a, 0x1e, 0x0d, 0x3c, 0x77, 0x21, 0x4b, 0x0e, 0x9c, 0x44, 0x10, 0x32, 0x54, 0x76, 0x98,
	 0xba},
	{0x8f, 0x02, 0xb6, 0x91, 0x13, 0xd8, 0x5e, 0x7a, 0xa1, 0x60, 0xef, 0xcd, 0xab, 0x89, 0x67,
	 0x45},
};
static const char *version = "570.172.08";
static uint32_t delay_us; /* of every call */
static uint32_t clients_made;
static struct file files[MAX_FILES];
static struct object objects[MAX_OBJECTS];
static unsigned int objects_end;			 /* none is used from here on */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for all above */

static uint32_t get32(const char *at, unsigned int offset)
{
	uint32_t value;

	memcpy(&value, at + offset, sizeof(value));
	return value;
}

static uint64_t get64(const char *at, unsigned int offset)
{
	uint64_t value;

	memcpy(&value, at + offset, sizeof(value));
	return value;
}

static void put32(char *at, unsigned int offset, uint32_t value)
{
	memcpy(at + offset, &value, sizeof(value));
}

static void put64(char *at, unsigned int offset, uint64_t value)
{
	memcpy(at + offset, &value, sizeof(value));
}

/* Objects. */

static struct object *find(uint32_t client, uint32_t handle)
{
	for (unsigned int i = 0; i < objects_end; i++)
		if (objects[i].used && objects[i].client == client && objects[i].handle == handle)
			return &objects[i];
	return NULL;
}

static struct object *free_slot(void)
{
	for (unsigned int i = 0; i < MAX_OBJECTS; i++) {
		if (!objects[i].used) {
			if (i >= objects_end)
				objects_end = i + 1;
			return &objects[i];
		}
	}
	return NULL;
}

static uint32_t unused_handle(uint32_t client)
{
	uint32_t handle = 0xcaf00000;

	while (find(client, handle))
		handle++;
	return handle;
}

/* Adds a copy of what is not in the table yet; a handle of 0 is for us to choose. */
static uint32_t add(struct object *new)
{
	struct object *slot;

	if (!find(new->client, new->client))
		return ERR_INVALID_CLIENT;
	if (!find(new->client, new->parent))
		return ERR_INVALID_PARENT;
	if (new->handle && find(new->client, new->handle))
		return ERR_DUPLICATE_NAME;
	if (!new->handle)
		new->handle = unused_handle(new->client);
	slot = free_slot();
	if (!slot)
		return ERR_NO_RESOURCES;
	*slot = *new;
	slot->used = true;
	return OK;
}

static uint32_t add_client(struct object *new)
{
	struct object *slot = free_slot();

	if (!slot)
		return ERR_NO_RESOURCES;
	if (!new->handle)
		new->handle = 0xc1d00000 + ++clients_made;
	if (find(new->handle, new->handle))
		return ERR_DUPLICATE_NAME;
	new->client = new->handle;
	*slot = *new;
	slot->used = true;
	return OK;
}

/* Whether it goes with something that goes: its parent, or what it was made with. */
static bool goes_too(const struct object *object)
{
	const uint32_t with[] = {object->parent, object->needs[0], object->needs[1],
				 object->needs[2]};

	for (unsigned int i = 0; i < 4; i++) {
		const struct object *other = with[i] ? find(object->client, with[i]) : NULL;

		if (other && other->doomed)
			return true;
	}
	return false;
}

/* Frees an object with its subtree and all that was made with any of it. */
static void remove_tree(struct object *root)
{
	bool more = true;

	root->doomed = true;
	while (more) {
		more = false;
		for (unsigned int i = 0; i < objects_end; i++) {
			struct object *object = &objects[i];

			if (object->used && !object->doomed && object->client == root->client &&
			    goes_too(object))
				object->doomed = more = true;
		}
	}
	for (unsigned int i = 0; i < objects_end; i++)
		if (objects[i].doomed)
			objects[i] = (struct object){0};
}

static void remove_clients_of(uint32_t file)
{
	for (unsigned int i = 0; i < objects_end; i++)
		if (objects[i].used && objects[i].handle == objects[i].client &&
		    objects[i].file == file)
			remove_tree(&objects[i]);
}

static uint32_t remove_object(uint32_t client, uint32_t handle)
{
	struct object *object = find(client, handle);

	if (!find(client, client))
		return ERR_INVALID_CLIENT;
	if (!object)
		return ERR_NOT_FOUND;
	remove_tree(object);
	return OK;
}

static bool is_client(uint32_t class)
{
	return class == 0 || class == 1 || class == 0x41;
}

static bool is_memory(uint32_t class)
{
	return class == 0x3e || class == 0x3f || class == 0x40 || class == 0x42 || class == 0x50a0;
}

static bool is_channel(uint32_t class)
{
	return (class & 0xff) == 0x6f && class >= 0x506f;
}

static bool is_context(uint32_t class)
{
	return class == 0xa06c || ((class & 0xff) == 0xc0 && class > 0xff);
}

static enum kind kind_of(uint32_t class, uint32_t attr, uint32_t flags)
{
	if (class == 0x50a0 || class == 0x70 || flags & FLAG_VIRTUAL)
		return NOTHING;
	if (class == 0x3e || class == 0x42 || class == 0x71 || LOCATION(attr) == 1)
		return PINNED_MEMORY;
	return DEVICE_MEMORY;
}

/* What a class takes; 0: anything. */
static uint32_t params_of(uint32_t class)
{
	if (is_memory(class))
		return 128;
	if (is_channel(class))
		return 368;
	switch (class) {
	case 0x80:
		return 56;
	case 0x2080:
		return 4;
	case 0x90f1:
		return 48;
	case 0x9067:
		return 12;
	case 0xa06c:
		return 20;
	default:
		return 0;
	}
}

/* Calls. Each answers an errno, negative, or 0, and writes what the driver writes. */

static uint64_t round_up(uint64_t size)
{
	return (size + GRANULE - 1) & ~(GRANULE - 1);
}

static bool fits(uint64_t size)
{
	return size && size <= GPU_BYTES;
}

/* What the parameters say: the size of memory, what a channel is made with, which GPU. */
static uint32_t read_params(const struct call *call, struct object *new)
{
	char *params = call->nested;

	if (!params)
		return is_memory(new->class) ? ERR_INVALID_PARAMS : OK;
	if (is_memory(new->class)) {
		uint64_t size = get64(params, 64);

		if (!fits(size))
			return ERR_NO_MEMORY;
		new->bytes = round_up(size);
		new->kind = kind_of(new->class, get32(params, 24), get32(params, 8));
		put64(params, 64, new->bytes);
	} else if (new->class == 0x80 && get32(params, 0) >= NR_GPUS) {
		return ERR_INVALID_DEVICE;
	} else if (is_channel(new->class)) {
		new->needs[0] = get32(params, 24);
		new->needs[1] = get32(params, 28);
	} else if (new->class == 0xa06c) {
		new->needs[0] = get32(params, 8);
	} else if (new->class == 0x9067) {
		new->needs[0] = get32(params, 0);
	}
	return OK;
}

/* Parameters have grown with the versions: which is old and which is a lie. */
static bool params_lie(const struct call *call, uint32_t class)
{
	uint32_t right = params_of(class), size = call->nested_size;

	if (!call->nested || !right || size == right)
		return false;
	if (is_memory(class))
		return size != 120;
	if (is_channel(class))
		return size != 304 && size != 360;
	return class != 0x90f1 || size != 56;
}

/* Of RM_ALLOC and of (un)mapping for DMA. */
static uint32_t status_from_size(const struct call *call)
{
	if (call->nr != RM_ALLOC)
		return call->size - 8;
	return call->size == 48 ? 40 : call->size == 40 ? 36 : 28;
}

static uint32_t try_alloc(struct call *call, struct object *new)
{
	uint32_t status;

	if (params_lie(call, new->class))
		return ERR_INVALID_PARAMS;
	status = read_params(call, new);
	if (status)
		return status;
	return is_client(new->class) ? add_client(new) : add(new);
}

static int rm_alloc(struct call *call)
{
	struct object new = {.client = get32(call->top, 0),
			     .parent = get32(call->top, 4),
			     .handle = get32(call->top, 8),
			     .class = get32(call->top, 12),
			     .file = call->file};
	uint32_t status = try_alloc(call, &new);

	if (!status)
		put32(call->top, 8, new.handle);
	put32(call->top, status_from_size(call), status);
	return 0;
}

/* Its limit is the last byte, and stays as it was. */
static int rm_alloc_memory(struct call *call)
{
	struct object new = {.client = get32(call->top, 0),
			     .parent = get32(call->top, 4),
			     .handle = get32(call->top, 8),
			     .class = get32(call->top, 12),
			     .file = call->file,
			     .bytes = get64(call->top, 32) + 1};
	uint32_t status = ERR_NO_MEMORY;

	new.kind = kind_of(new.class, 0, 0);
	if (fits(new.bytes))
		status = add(&new);
	if (!status)
		put32(call->top, 8, new.handle);
	put32(call->top, 40, status);
	return 0;
}

static int rm_free(struct call *call)
{
	put32(call->top, 12, remove_object(get32(call->top, 0), get32(call->top, 8)));
	return 0;
}

static uint32_t heap_alloc(struct call *call)
{
	uint32_t attr = get32(call->top, 56);
	struct object new = {.client = get32(call->top, 0),
			     .parent = get32(call->top, 4),
			     .handle = get32(call->top, 44),
			     .class = LOCATION(attr) == 1 ? 0x3e : 0x40,
			     .file = call->file};
	uint64_t size = get64(call->top, 88);
	uint32_t status;

	if (!fits(size))
		return ERR_NO_MEMORY;
	new.bytes = round_up(size);
	new.kind = kind_of(new.class, attr, get32(call->top, 52));
	status = add(&new);
	if (status)
		return status;
	put32(call->top, 44, new.handle);
	put64(call->top, 88, new.bytes);
	return OK;
}

static int rm_vid_heap(struct call *call)
{
	uint32_t status = ERR_INVALID_FUNCTION;

	switch (get32(call->top, 8)) {
	case 2:
	case 14:
		status = heap_alloc(call);
		break;
	case 3:
		status = remove_object(get32(call->top, 0), get32(call->top, 44));
		break;
	default:
		break;
	}
	put64(call->top, 24, GPU_BYTES);
	put64(call->top, 32, GPU_BYTES / 2);
	put32(call->top, 20, status);
	return 0;
}

static int rm_dup(struct call *call)
{
	struct object *source = find(get32(call->top, 12), get32(call->top, 16));
	struct object new = {.client = get32(call->top, 0),
			     .parent = get32(call->top, 4),
			     .handle = get32(call->top, 8),
			     .file = call->file};
	uint32_t status = ERR_NOT_FOUND;

	if (source) {
		new.class = source->class;
		status = add(&new);
	}
	if (!status)
		put32(call->top, 8, new.handle);
	put32(call->top, 24, status);
	return 0;
}

static void count_client(uint32_t client, struct count *count)
{
	for (unsigned int i = 0; i < objects_end; i++) {
		const struct object *object = &objects[i];

		if (!object->used || object->client != client)
			continue;
		count->objects++;
		count->contexts += is_context(object->class);
		count->device += object->kind == DEVICE_MEMORY ? object->bytes : 0;
		count->pinned += object->kind == PINNED_MEMORY ? object->bytes : 0;
	}
}

static uint32_t control_status(struct call *call)
{
	uint32_t client = get32(call->top, 0);
	uint32_t cmd = get32(call->top, 8);
	struct count count = {0};

	if (cmd == MAGIC_COUNT && call->nested && call->nested_size == sizeof(count)) {
		count_client(client, &count);
		memcpy(call->nested, &count, sizeof(count));
		return OK;
	}
	if (!find(client, client))
		return ERR_INVALID_CLIENT;
	return find(client, get32(call->top, 4)) ? OK : ERR_NOT_FOUND;
}

static int rm_control(struct call *call)
{
	put32(call->top, 28, control_status(call));
	return 0;
}

static int rm_version(struct call *call)
{
	put32(call->top, 4, 1);
	memset(call->top + 8, 0, 64);
	memcpy(call->top + 8, version, strlen(version));
	return 0;
}

static int rm_cards(struct call *call)
{
	for (unsigned int gpu = 0; gpu < NR_GPUS && 72 * (gpu + 1) <= call->size; gpu++) {
		char *card = call->top + gpu * 72;

		memset(card, 0, 72);
		card[0] = 1;
		card[8] = (char)(gpu ? 0xc1 : 0x62);
		put32(card, 12, 0x233010de);
		put32(card, 16, gpu ? 0xc100 : 0x6200);
		put64(card, 48, GPU_BYTES);
		put32(card, 56, gpu);
	}
	return 0;
}

/* Any that names a client and otherwise only answers: whether both are there. */
static int rm_about_object(struct call *call, unsigned int handle_at, unsigned int status_at)
{
	uint32_t client = get32(call->top, 0);
	uint32_t status = ERR_INVALID_CLIENT;

	if (find(client, client))
		status = find(client, get32(call->top, handle_at)) ? OK : ERR_NOT_FOUND;
	put32(call->top, status_at, status);
	return 0;
}

static int rm_map(struct call *call)
{
	put64(call->top, 32, 0x7f0000000000);
	return rm_about_object(call, 8, 40);
}

static int rm_unmap(struct call *call)
{
	return rm_about_object(call, 8, 24);
}

static int rm_share(struct call *call)
{
	return rm_about_object(call, 4, 20);
}

/* Longer from 580 on, but its end is the same. */
static int rm_map_dma(struct call *call)
{
	put64(call->top, call->size - 16, get64(call->top, 16));
	return rm_about_object(call, 12, call->size - 8);
}

static int rm_unmap_dma(struct call *call)
{
	return rm_about_object(call, 12, call->size - 8);
}

static int just_answer(struct call *call)
{
	(void)call;
	return 0;
}

/* UVM's own: all have a status at a place that depends on the number. */

static int gpu_of(const char *uuid)
{
	for (int gpu = 0; gpu < NR_GPUS; gpu++)
		if (!memcmp(uuid, uuids[gpu], 16))
			return gpu;
	return -1;
}

static uint32_t uvm_gpu(const struct call *call)
{
	return gpu_of(call->top) < 0 ? ERR_GPU_UUID_NOT_FOUND : OK;
}

static uint32_t uvm_register_gpu(const struct call *call)
{
	put32(call->top, 16, 0);
	put32(call->top, 20, (uint32_t)-1);
	return uvm_gpu(call);
}

static uint32_t uvm_with_object(const struct call *call)
{
	if (!find(get32(call->top, 20), get32(call->top, 24)))
		return ERR_NOT_FOUND;
	return uvm_gpu(call);
}

static uint32_t uvm_migrate(const struct call *call)
{
	return gpu_of(call->top + 16) < 0 ? ERR_GPU_UUID_NOT_FOUND : OK;
}

static uint32_t uvm_ok(const struct call *call)
{
	(void)call;
	return OK;
}

static uint32_t uvm_initialize(const struct call *call)
{
	files[call->file].initialized = true;
	return OK;
}

struct uvm_op {
	uint32_t nr, size, status_at;
	uint32_t (*run)(const struct call *call);
};

static const struct uvm_op uvm_ops[] = {
	{UVM_INIT, 16, 8, uvm_initialize},
	{25, 32, 28, uvm_with_object}, /* REGISTER_GPU_VASPACE */
	{26, 20, 16, uvm_gpu},	       /* UNREGISTER_GPU_VASPACE */
	{27, 56, 48, uvm_with_object}, /* REGISTER_CHANNEL */
	{28, 28, 24, uvm_gpu},	       /* UNREGISTER_CHANNEL */
	{34, 24, 16, uvm_ok},	       /* FREE */
	{37, 40, 36, uvm_register_gpu},
	{38, 20, 16, uvm_gpu}, /* UNREGISTER_GPU */
	{39, 8, 4, uvm_ok},    /* PAGEABLE_MEM_ACCESS */
	{51, 80, 72, uvm_migrate},
	{66, 40, 32, uvm_ok}, /* UNMAP_EXTERNAL */
	{72, 24, 16, uvm_ok}, /* VALIDATE_VA_RANGE */
	{73, 24, 16, uvm_ok}, /* CREATE_EXTERNAL_RANGE */
	{75, 8, 4, uvm_ok},   /* MM_INITIALIZE */
};

#define NO_STATUS (-1)
#define FROM_SIZE (-2) /* at another place in each of its sizes */

struct rm_op {
	uint32_t nr, sizes[3]; /* which it may have; the last again if fewer */
	int status_at;
	int (*run)(struct call *call);
};

static const struct rm_op rm_ops[] = {
	{0x27, {56, 56, 56}, 40, rm_alloc_memory},
	{0x29, {16, 16, 16}, 12, rm_free},
	{RM_CONTROL, {32, 32, 32}, 28, rm_control},
	{RM_ALLOC, {48, 40, 32}, FROM_SIZE, rm_alloc},
	{0x34, {28, 28, 28}, 24, rm_dup},
	{0x35, {24, 24, 24}, 20, rm_share},
	{0x4a, {184, 184, 184}, 20, rm_vid_heap},
	{0x4e, {56, 56, 56}, 40, rm_map},
	{0x4f, {32, 32, 32}, 24, rm_unmap},
	{0x57, {56, 64, 64}, FROM_SIZE, rm_map_dma},
	{0x58, {48, 40, 40}, FROM_SIZE, rm_unmap_dma},
	{200, {72 * 32, 72, 72}, NO_STATUS, rm_cards},
	{201, {4, 4, 4}, NO_STATUS, just_answer}, /* REGISTER_FD */
	{206, {16, 16, 16}, 12, just_answer},	  /* ALLOC_OS_EVENT */
	{207, {16, 16, 16}, 12, just_answer},	  /* FREE_OS_EVENT */
	{210, {72, 72, 72}, NO_STATUS, rm_version},
	{214, {8, 8, 8}, NO_STATUS, just_answer}, /* SYS_PARAMS */
	{218, {8, 8, 8}, NO_STATUS, just_answer}, /* WAIT_OPEN_COMPLETE */
};

static const struct uvm_op *uvm_op(uint32_t nr)
{
	for (size_t i = 0; i < sizeof(uvm_ops) / sizeof(uvm_ops[0]); i++)
		if (uvm_ops[i].nr == nr)
			return &uvm_ops[i];
	return NULL;
}

static const struct rm_op *rm_op(uint32_t nr, uint32_t size)
{
	for (size_t i = 0; i < sizeof(rm_ops) / sizeof(rm_ops[0]); i++)
		if (rm_ops[i].nr == nr)
			for (int j = 0; j < 3; j++)
				if (rm_ops[i].sizes[j] == size)
					return &rm_ops[i];
	return NULL;
}

/* From what the kernel sent to a call with all its memory. */

/* The caller's memory from there on, or NULL until the kernel has sent it. */
static char *want(struct call *call, uint64_t at, uint32_t size)
{
	uint32_t before = call->wanted;

	call->piece[call->pieces++] = (struct fuse_ioctl_iovec){.base = at, .len = size};
	call->wanted += size;
	return call->have >= call->wanted ? call->data + before : NULL;
}

/* 0, or the errno of a call that is none; true in `more` where memory is still to come. */
static int gather_nested(struct call *call, bool *more)
{
	uint64_t at = get64(call->top, 16);
	uint32_t size;

	if (call->nr == RM_CONTROL)
		size = get32(call->top, 24);
	else if (call->nr == RM_ALLOC && !is_client(get32(call->top, 12)))
		size = get32(call->top, call->size == 32 ? 24 : 32);
	else
		return 0;
	if (call->nr == RM_ALLOC && call->size == 40)
		size = 0; /* the old layout has flags there */
	if (call->nr == RM_ALLOC && !size)
		size = params_of(get32(call->top, 12));
	if (!at || !size)
		return 0;
	if (size > MAX_NESTED)
		return -EINVAL;
	call->nested_size = size;
	call->nested = want(call, at, size);
	*more = !call->nested;
	return 0;
}

/* A call may come wrapped, when its structure is too large for the number of an ioctl. */
static int unwrap(struct call *call, bool *more)
{
	char *wrapper;

	if (call->nr != XFER)
		return 0;
	if (call->size != 16)
		return -EINVAL;
	wrapper = want(call, call->arg, 16);
	*more = !wrapper;
	if (!wrapper)
		return 0;
	call->nr = get32(wrapper, 0);
	call->size = get32(wrapper, 4);
	call->arg = get64(wrapper, 8);
	return call->size > MAX_ARG ? -EINVAL : 0;
}

static int gather_rm(struct call *call, bool *more)
{
	int error = unwrap(call, more);

	if (error || *more)
		return error;
	if (!rm_op(call->nr, call->size))
		return -EINVAL;
	call->top = want(call, call->arg, call->size);
	*more = !call->top;
	return *more ? 0 : gather_nested(call, more);
}

static int gather_uvm(struct call *call, bool *more)
{
	const struct uvm_op *op = uvm_op(call->cmd);

	call->nr = call->cmd;
	if (call->nr == UVM_DEINIT)
		return 0;
	if (call->nr == MAGIC_FAULT)
		call->size = sizeof(struct fault);
	else if (op)
		call->size = op->size;
	else
		return -EINVAL;
	call->top = want(call, call->arg, call->size);
	*more = !call->top;
	return 0;
}

static bool is_uvm(const struct call *call)
{
	return call->dev == &devices[NR_DEVICES - 1];
}

static int gather(struct call *call, bool *more)
{
	if (is_uvm(call))
		return gather_uvm(call, more);
	call->nr = _IOC_NR(call->cmd);
	call->size = _IOC_SIZE(call->cmd);
	return gather_rm(call, more);
}

/* Running it. */

/* What is to happen to this call, and one less to come. */
static struct fault take_fault(const struct call *call)
{
	struct fault none = {.delay_us = delay_us};
	struct fault *fault = &files[call->file].fault;

	if (!fault->count || (fault->nr && fault->nr != call->nr))
		return none;
	fault->count--;
	return *fault;
}

/* Whether the call was one to the stand-in itself. */
static bool set_fault(struct call *call)
{
	const char *from = NULL;

	if (is_uvm(call) && call->nr == MAGIC_FAULT)
		from = call->top;
	if (!is_uvm(call) && call->nr == RM_CONTROL && get32(call->top, 8) == MAGIC_FAULT &&
	    call->nested && call->nested_size == sizeof(struct fault)) {
		from = call->nested;
		put32(call->top, 28, OK);
	}
	if (from)
		memcpy(&files[call->file].fault, from, sizeof(struct fault));
	return from;
}

static int run_uvm(struct call *call, uint32_t status)
{
	const struct uvm_op *op = uvm_op(call->nr);

	if (call->nr == UVM_DEINIT) {
		files[call->file].initialized = false;
		return 0;
	}
	if (!status && call->nr != UVM_INIT && !files[call->file].initialized)
		status = ERR_ILLEGAL_ACTION;
	put32(call->top, op->status_at, status ? status : op->run(call));
	return 0;
}

static int run_rm(struct call *call, uint32_t status)
{
	const struct rm_op *op = rm_op(call->nr, call->size);

	if (!status)
		return op->run(call);
	if (op->status_at == FROM_SIZE)
		put32(call->top, status_from_size(call), status);
	else if (op->status_at != NO_STATUS)
		put32(call->top, op->status_at, status);
	return 0;
}

static int run(struct call *call)
{
	struct fault fault;
	int result = 0;

	pthread_mutex_lock(&lock);
	if (set_fault(call)) {
		pthread_mutex_unlock(&lock);
		return 0;
	}
	fault = take_fault(call);
	pthread_mutex_unlock(&lock);
	if (fault.delay_us)
		usleep(fault.delay_us);
	if (fault.error)
		return -fault.error;
	pthread_mutex_lock(&lock);
	result = is_uvm(call) ? run_uvm(call, fault.status) : run_rm(call, fault.status);
	pthread_mutex_unlock(&lock);
	return result;
}

/* The protocol. */

static void reply(const struct device *dev, uint64_t unique, int error, const void *first,
		  size_t first_size, const void *second, size_t second_size)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + first_size + second_size, .error = error, .unique = unique};
	struct iovec parts[] = {
		{&out, sizeof(out)}, {(void *)first, first_size}, {(void *)second, second_size}};

	/* A caller that was killed has taken its question back: ENOENT. */
	if (writev(dev->fd, parts, 3) < 0 && errno != ENOENT && errno != ENODEV)
		perror("nvidia_devices: reply");
}

static void answer_ioctl(struct device *dev, char *request)
{
	const struct fuse_in_header *in = (void *)request;
	const struct fuse_ioctl_in *ask = (void *)(request + sizeof(*in));
	struct call call = {.dev = dev,
			    .file = ask->fh,
			    .cmd = ask->cmd,
			    .arg = ask->arg,
			    .have = ask->in_size};
	struct fuse_ioctl_iovec again[2 * MAX_PIECES];
	struct fuse_ioctl_out out = {0};
	bool more = false;

	call.data = request + sizeof(*in) + sizeof(*ask);
	out.result = gather(&call, &more);
	if (more && !out.result) {
		out.flags = FUSE_IOCTL_RETRY;
		out.in_iovs = out.out_iovs = call.pieces;
		memcpy(again, call.piece, call.pieces * sizeof(again[0]));
		memcpy(again + call.pieces, call.piece, call.pieces * sizeof(again[0]));
		reply(dev, in->unique, 0, &out, sizeof(out), again,
		      2 * call.pieces * sizeof(again[0]));
		return;
	}
	if (!out.result)
		out.result = run(&call);
	reply(dev, in->unique, 0, &out, sizeof(out), call.data, out.result < 0 ? 0 : call.have);
}

static void answer_open(const struct device *dev, const struct fuse_in_header *in)
{
	struct fuse_open_out out = {0};
	unsigned int i = 0;

	pthread_mutex_lock(&lock);
	while (i < MAX_FILES && files[i].used)
		i++;
	if (i < MAX_FILES)
		files[i] = (struct file){.used = true};
	pthread_mutex_unlock(&lock);
	out.fh = i;
	if (i < MAX_FILES)
		reply(dev, in->unique, 0, &out, sizeof(out), NULL, 0);
	else
		reply(dev, in->unique, -EMFILE, NULL, 0, NULL, 0);
}

static void answer_release(const struct device *dev, const struct fuse_in_header *in,
			   const char *body)
{
	const struct fuse_release_in *ask = (const void *)body;

	pthread_mutex_lock(&lock);
	remove_clients_of(ask->fh);
	files[ask->fh].used = false;
	pthread_mutex_unlock(&lock);
	reply(dev, in->unique, 0, NULL, 0, NULL, 0);
}

static void answer(struct device *dev, char *request)
{
	const struct fuse_in_header *in = (void *)request;
	const char *body = request + sizeof(*in);

	switch (in->opcode) {
	case FUSE_OPEN:
		answer_open(dev, in);
		break;
	case FUSE_RELEASE:
		answer_release(dev, in, body);
		break;
	case FUSE_IOCTL:
		answer_ioctl(dev, request);
		break;
	case FUSE_INTERRUPT: /* a call goes on to its end, as the driver's do */
		break;
	default:
		reply(dev, in->unique, -ENOSYS, NULL, 0, NULL, 0);
	}
}

/* One request; false at the end of the device. */
static bool read_request(const struct device *dev, char *buffer)
{
	ssize_t len;

	do
		len = read(dev->fd, buffer, BUFFER);
	while (len < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT));
	return len >= (ssize_t)sizeof(struct fuse_in_header);
}

static void *serve(void *arg)
{
	struct device *dev = arg;
	char *buffer = malloc(BUFFER);

	while (buffer && read_request(dev, buffer))
		answer(dev, buffer);
	free(buffer);
	return NULL;
}

/* Bringing it up. */

static bool begin(struct device *dev, char *buffer)
{
	const struct fuse_in_header *in = (void *)buffer;
	const struct cuse_init_in *ask = (void *)(buffer + sizeof(*in));
	struct cuse_init_out out = {.major = FUSE_KERNEL_VERSION,
				    .flags = CUSE_UNRESTRICTED_IOCTL,
				    .max_read = 4096,
				    .max_write = 4096,
				    .dev_major = dev->major,
				    .dev_minor = dev->minor};
	char name[64];

	dev->fd = open("/dev/cuse", O_RDWR | O_CLOEXEC);
	if (dev->fd < 0 || !read_request(dev, buffer) || in->opcode != CUSE_INIT)
		return false;
	out.minor = ask->minor < FUSE_KERNEL_MINOR_VERSION ? ask->minor : FUSE_KERNEL_MINOR_VERSION;
	snprintf(name, sizeof(name), "DEVNAME=%s", dev->name);
	reply(dev, in->unique, 0, &out, sizeof(out), name, strlen(name) + 1);
	return true;
}

/* The number that the kernel gave, once the device is there. */
static bool read_number(struct device *dev)
{
	char path[64];
	FILE *file;
	bool good;

	snprintf(path, sizeof(path), "/sys/class/cuse/%s/dev", dev->name);
	file = fopen(path, "re");
	good = file && fscanf(file, "%u:%u", &dev->major, &dev->minor) == 2;
	if (file)
		fclose(file);
	return good;
}

/* Its node in /dev, open to all as the driver's are. */
static bool show(struct device *dev)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/dev/%s", dev->name);
	for (int i = 0; i < 100 && !read_number(dev); i++)
		usleep(20000);
	if (!read_number(dev))
		return false;
	if (stat(path, &st))
		mknod(path, S_IFCHR | 0666, makedev(dev->major, dev->minor));
	if (stat(path, &st) || st.st_rdev != makedev(dev->major, dev->minor) || chmod(path, 0666))
		return false;
	printf("%u:%u %s\n", dev->major, dev->minor, path);
	return true;
}

static bool refuse(const struct device *dev, const char *why)
{
	fprintf(stderr, "nvidia_devices: cannot make /dev/%s: %s\n", dev->name, why);
	return false;
}

static bool start(struct device *dev)
{
	char *buffer = malloc(BUFFER);
	struct device other = *dev;
	pthread_t thread;
	bool good;

	if (read_number(&other)) {
		free(buffer);
		return refuse(dev, "it is there already");
	}
	good = buffer && begin(dev, buffer);
	free(buffer);
	for (int i = 0; good && i < NR_THREADS; i++)
		good = !pthread_create(&thread, NULL, serve, dev);
	if (!good)
		return refuse(dev, strerror(errno));
	return show(dev) || refuse(dev, "the kernel did not take it");
}

/* What runs on after the parent has ended: keeps nothing open that a reader waits for. */
static int stay(int ready)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < NR_DEVICES; i++)
		if (!start(&devices[i]))
			return 1;
	fflush(stdout);
	if (setsid() < 0 || null < 0 || chdir("/"))
		return 1;
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	if (write(ready, "", 1) != 1)
		return 1;
	close(ready);
	for (;;)
		pause();
}

/* The parent waits for the word, so that whoever started it finds the devices there. */
static int run_behind(const char *pid_file)
{
	char word;
	int pipes[2];
	pid_t pid;
	FILE *file;

	if (pipe2(pipes, O_CLOEXEC)) {
		perror("nvidia_devices: pipe");
		return 1;
	}
	pid = fork();
	if (!pid)
		return stay(pipes[1]);
	close(pipes[1]);
	if (pid < 0 || read(pipes[0], &word, 1) != 1)
		return 1;
	file = pid_file ? fopen(pid_file, "we") : NULL;
	if (file) {
		fprintf(file, "%d\n", pid);
		fclose(file);
	}
	return pid_file && !file;
}

int main(int argc, char **argv)
{
	const char *pid_file = NULL;
	bool good = true;
	int opt;

	while ((opt = getopt(argc, argv, "d:p:v:")) != -1) {
		if (opt == 'd')
			delay_us = atoi(optarg);
		else if (opt == 'p')
			pid_file = optarg;
		else if (opt == 'v' && strlen(optarg) < 64)
			version = optarg;
		else
			good = false;
	}
	if (!good || optind != argc) {
		fputs("usage: nvidia_devices [-d MICROSECONDS] [-p PIDFILE] [-v VERSION]\n"
		      "  -d  that long takes every call (0)\n"
		      "  -v  the driver's version that is told\n",
		      stderr);
		return 2;
	}
	return run_behind(pid_file);
}
