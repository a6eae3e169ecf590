/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call to NVIDIA's resource manager or its unified memory did, read from a copy of its
 * arguments. Where fields are goes by the size that the call itself had, which differs between
 * drivers where the fields do; what the size does not prove is not read.
 */
#ifndef MLPROF_GPU_RM_CALL_H
#define MLPROF_GPU_RM_CALL_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "mlprof/record.h"

#define RM_UUID_BYTES 16

enum rm_what {
	RM_NOTHING,	  /* it failed, or is of no interest */
	RM_MADE,	  /* an object, as a child of `parent` */
	RM_DUPLICATED,	  /* an object of another client, whose bytes stay the other's */
	RM_FREED,	  /* an object, and all that was made with it */
	RM_GPU_OF_CLIENT, /* a client uses a GPU */
	RM_GPU_OF_OBJECT, /* the device that an object belongs to is that GPU */
};

/* What an object holds. */
enum rm_memory {
	RM_NO_MEMORY,
	RM_DEVICE_MEMORY,
	RM_PINNED_MEMORY, /* of the host, which the device can reach */
};

struct rm_call {
	enum rm_what what;
	uint32_t client, parent, object; /* handles; a client's own is its client */
	uint32_t class;			 /* of what was made; 0 for a duplicate: the source's */
	uint32_t source_client, source_object; /* of a duplicate */
	uint32_t needs[2]; /* handles of what else it goes with when that is freed; 0: none */
	enum rm_memory memory;
	uint64_t bytes; /* of memory, as the driver rounded them */
	uint8_t gpu[RM_UUID_BYTES];
};

/*
 * `version` is the driver's first number, 570 of 570.172.08; 0: not known. 0; -EOPNOTSUPP: the
 * arguments have a size that no known driver gives them, or that does not tell which, or they were
 * not copied.
 */
int rm_call_read(const struct mlprof_record_gpu_call *record, unsigned int version,
		 struct rm_call *call);

/* Whether an object of that class stands for work that can run on a GPU: a context. */
bool rm_is_compute(uint32_t class);
bool rm_is_channel_group(uint32_t class);
bool rm_is_client(uint32_t class);

/* What may be in `needs` of others. */
bool rm_is_needed(uint32_t class);

#define RM_CLASS_DEVICE 0x80

#endif
