/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the process that asks NVML tells the agent, through a pipe: messages of one size, each
 * written in one piece. A tick is, for each device, any number of PROCESSES, SAMPLES and
 * ACCOUNTING and then its DEVICE, and after all devices one END.
 */
#ifndef MLPROF_GPU_NVML_MESSAGE_H
#define MLPROF_GPU_NVML_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NVML_MESSAGE_BYTES   1024 /* less than PIPE_BUF, so that it is never torn */
#define NVML_MESSAGE_MAGIC   0x4c4d564eu
#define NVML_MESSAGE_VERSION 1

/* What a device may bring in one tick; what is beyond is counted. */
#define NVML_DEVICES_MAX    32
#define NVML_PROCESSES_MAX  512
#define NVML_SAMPLES_MAX    1024
#define NVML_ACCOUNTING_MAX 512

enum nvml_message_type {
	NVML_MESSAGE_HELLO = 1,	 /* the library is loaded and initialised */
	NVML_MESSAGE_DOWN,	 /* it cannot be used; the sender ends after this */
	NVML_MESSAGE_ASKING,	 /* about to ask about `device` */
	NVML_MESSAGE_PROCESSES,	 /* `count` of them */
	NVML_MESSAGE_SAMPLES,	 /* `count` of them */
	NVML_MESSAGE_ACCOUNTING, /* `count` of them */
	NVML_MESSAGE_DEVICE,	 /* the device itself; what came of it before belongs to it */
	NVML_MESSAGE_END,	 /* of a tick */
	NVML_MESSAGE_TYPES
};

/* Where busy time of processes comes from; a device has one source at a time. */
enum nvml_busy_source {
	NVML_BUSY_NONE,
	NVML_BUSY_SAMPLES,    /* nvmlDeviceGetProcessUtilization() */
	NVML_BUSY_ACCOUNTING, /* nvmlDeviceGetAccountingStats_v2() */
	NVML_BUSY_SOURCES
};

enum nvml_process_kind {
	NVML_PROCESS_COMPUTE = 1,
	NVML_PROCESS_GRAPHICS = 2,
	NVML_PROCESS_MPS = 4
};

struct nvml_hello {
	char path[256];	   /* of the library */
	char driver[80];   /* its version, "" if not known */
	char library[80];  /* likewise */
	char lacks[400];   /* functions that are not there, joined by blanks */
	uint32_t devices;  /* that the library counts; those beyond NVML_DEVICES_MAX are left out */
	uint32_t reserved; /* 0 */
};

struct nvml_down {
	char why[400];
};

struct nvml_message_process {
	uint32_t pid;
	uint32_t kinds;				 /* of enum nvml_process_kind, or'ed */
	uint32_t gpu_instance, compute_instance; /* NVML_INSTANCE_NONE outside of MIG */
	uint64_t memory;			 /* bytes or NVML_MEMORY_UNKNOWN */
};

struct nvml_message_sample {
	uint32_t pid;
	uint8_t percent[4]; /* by enum busy_engine, 100 at most */
	uint64_t us;	    /* by the clock of `from_us` */
};

struct nvml_message_accounting {
	uint32_t pid;
	uint32_t samples; /* that the device had since the process began */
	uint64_t sum[2];  /* of the process, SM and memory, 10000 a sample at most */
	uint64_t started_us;
};

enum nvml_known {
	NVML_KNOWN_MINOR = 1 << 0,
	NVML_KNOWN_MEMORY = 1 << 1,
	NVML_KNOWN_RESERVED = 1 << 2,
	NVML_KNOWN_UTILIZATION = 1 << 3,
	NVML_KNOWN_PROCESSES = 1 << 4, /* and if there are none, there are none */
	NVML_KNOWN_MIG = 1 << 5,
	NVML_KNOWN_ALL = (1 << 6) - 1
};

struct nvml_message_device {
	char uuid[96], name[96]; /* "" if not known */
	char pci[24];		 /* as in sysfs, "0000:17:00.0"; "" if not known */
	char why[160];		 /* why the device is down, or else why there is no busy time */
	uint32_t known;		 /* of enum nvml_known, or'ed: which of the numbers are */
	uint32_t down;		 /* 1: nothing of it could be read */
	uint32_t busy_source;	 /* enum nvml_busy_source */
	uint32_t minor;
	uint64_t memory_total, memory_used, memory_reserved; /* bytes */
	uint32_t utilization[2]; /* percent of the last sample period: SM, memory */
	uint32_t mig;		 /* 1: MIG is on */
	uint32_t processes, samples, accountings; /* that came before this */
	uint32_t processes_lost;		  /* did not fit, or made no sense, this tick */
	uint32_t samples_lost;
	uint64_t from_us, to_us; /* samples are of this time; CLOCK_REALTIME or the driver's own */
	uint64_t ns;		 /* when accounting was read, CLOCK_MONOTONIC */
};

struct nvml_end {
	uint64_t tick; /* from 1 */
};

#define NVML_MESSAGE_BODY_BYTES	   (NVML_MESSAGE_BYTES - 24)
#define NVML_PROCESSES_PER_MESSAGE (NVML_MESSAGE_BODY_BYTES / sizeof(struct nvml_message_process))
#define NVML_SAMPLES_PER_MESSAGE   (NVML_MESSAGE_BODY_BYTES / sizeof(struct nvml_message_sample))
#define NVML_ACCOUNTINGS_PER_MESSAGE                                                               \
	(NVML_MESSAGE_BODY_BYTES / sizeof(struct nvml_message_accounting))

struct nvml_message {
	uint32_t magic;
	uint16_t version, type;
	uint32_t bytes;	   /* NVML_MESSAGE_BYTES */
	uint32_t device;   /* index; 0 where there is none */
	uint32_t count;	   /* of what `body` has many of, else 0 */
	uint32_t reserved; /* 0 */
	union {
		struct nvml_hello hello;
		struct nvml_down down;
		struct nvml_message_process process[NVML_PROCESSES_PER_MESSAGE];
		struct nvml_message_sample sample[NVML_SAMPLES_PER_MESSAGE];
		struct nvml_message_accounting accounting[NVML_ACCOUNTINGS_PER_MESSAGE];
		struct nvml_message_device device;
		struct nvml_end end;
		uint8_t bytes[NVML_MESSAGE_BODY_BYTES];
	} body;
};

_Static_assert(sizeof(struct nvml_message) == NVML_MESSAGE_BYTES, "messages have one size");

/* An empty message of `type`. */
void nvml_message_init(struct nvml_message *message, enum nvml_message_type type, uint32_t device);

/*
 * Copies one out of bytes that came through a pipe. False, and `message` is then not to be used,
 * if it is not one of this version in every field: then nothing that comes after it is, either.
 */
bool nvml_message_read(const void *data, size_t bytes, struct nvml_message *message);

#endif
