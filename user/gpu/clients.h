/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who uses a DRM device how much, as drivers report it by fdinfo: one client for each file that was
 * opened, however many processes have it, with engine time that only grows.
 *
 * A driver that reports time (i915, amdgpu) reports all since the file was opened, and that of
 * amdgpu is from when a job was handed to the ring: two in flight count twice. One that reports
 * cycles (xe) has them turned into time by the clock of the GPU's own that it reports too, so only
 * what passes between two readings counts. What a GPU does by queues that a process writes to
 * itself (kfd) is in neither.
 */
#ifndef MLPROF_GPU_CLIENTS_H
#define MLPROF_GPU_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gpu/devices.h"
#include "gpu/engines.h"
#include "gpu/fdinfo.h"

#define GPU_CLIENTS_DEFAULT_MOST 8192

/* Engines of one class together. */
struct gpu_busy {
	bool known;	  /* false: the driver tells no time of such engines */
	uint64_t ns;	  /* engine time: two engines at work for 1 s make 2 s */
	uint64_t engines; /* how many engines share in it */
};

struct gpu_client_memory {
	bool known;
	uint64_t bytes;	       /* now */
	uint64_t shared_bytes; /* of them, what other clients may count as theirs too */
};

struct gpu_client {
	char device[48]; /* the gpu_device's sysfs name */
	char driver[32];
	uint64_t id; /* of the client: the driver's own number */
	/*
	 * Who has it: whoever had it when it was first seen (the lowest, if several) for as long as
	 * that process does, then the lowest of those that do.
	 */
	pid_t tgid;
	uint32_t holders;  /* processes that were seen with it in this round, or the last one */
	uint64_t first_ns; /* when it was first read: what is in `busy` by then is from before */
	uint64_t last_ns;  /* when it was last read */
	struct gpu_busy busy[GPU_ENGINES];
	struct gpu_client_memory memory[GPU_MEMORIES];
};

struct gpu_clients_counts {
	uint64_t files;	    /* read */
	uint64_t silent;    /* without an answer: the driver has no fdinfo, or no client's number */
	uint64_t gone;	    /* closed before they could be read, or another file by then */
	uint64_t malformed; /* files or values not understood */
	uint64_t backwards; /* readings that were lower than those before */
	uint64_t dropped;   /* clients that do not fit */
};

struct gpu_clients;

/* `most` clients are kept; 0: the default. 0 or -ENOMEM. */
int gpu_clients_new(size_t most, struct gpu_clients **clients);
void gpu_clients_free(struct gpu_clients *clients);

/*
 * Takes what was read of a file of `device` (its sysfs name) that `tgid` has open, at `now_ns` of a
 * clock that is always the same. 0; -ENODATA: it has no client; -ENOSPC; -ENOMEM.
 */
int gpu_clients_take(struct gpu_clients *clients, const char *device, pid_t tgid,
		     const struct fdinfo *info, uint64_t now_ns);

/* Reads proc/TGID/fdinfo/FD below `root` and takes it. As above; or -errno of the reading. */
int gpu_clients_read(struct gpu_clients *clients, int root, const struct gpu_device *device,
		     pid_t tgid, uint32_t fd, uint64_t now_ns);

/*
 * A round has ended in which every open file was read: clients that nobody had are forgotten.
 * Returns how many.
 */
size_t gpu_clients_end_round(struct gpu_clients *clients);

/* How many there are, and each; good until the next change. In no order. */
size_t gpu_clients_nr(const struct gpu_clients *clients);
const struct gpu_client *gpu_clients_get(const struct gpu_clients *clients, size_t i);

void gpu_clients_count(const struct gpu_clients *clients, struct gpu_clients_counts *counts);

#endif
