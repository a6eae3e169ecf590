/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Busy time out of the driver's accounting: for each process, also after it has ended, a sum of
 * how busy the GPU was in the samples that were its, and how many samples the GPU had since the
 * process began. Both only grow, so nothing of a process that goes on is lost, however seldom they
 * are read. What it did before the device was first read is not credited.
 */
#ifndef MLPROF_GPU_BUSY_ACCOUNTING_H
#define MLPROF_GPU_BUSY_ACCOUNTING_H

#include <stdbool.h>

#include "gpu/busy_rows.h"

#define BUSY_SUM_WHOLE 10000 /* what one sample adds to a sum at most: a percent is 100 */

struct busy_account {
	uint32_t pid;
	uint32_t samples; /* that the device had since the process began */
	uint64_t sum[2];  /* BUSY_SM and BUSY_MEMORY */
	uint64_t started_us;
};

/* All zeros is one that has read nothing. */
struct busy_accounting {
	bool begun;
	uint64_t ns;	      /* when it was last read */
	uint64_t credited_ns; /* up to when time has been credited */
	uint64_t observed_ns; /* between the first time it was read and the last */
	uint64_t adopted;     /* processes that had run before they were first seen */
	uint64_t reused;      /* pids that were another process the next time */
	uint64_t went_back;   /* sums or counts that were less the next time: begun anew */
	uint64_t unclear;     /* readings that told of a process twice: not believed */
	uint64_t overfull;    /* times when the sums came to more than samples could give */
};

/*
 * Credits to `rows` what `nr` accounts, read at `ns`, have grown by. Rows of processes that are no
 * longer told are taken out. Rows must have been credited by nobody else since the last time.
 */
void busy_accounting_credit(struct busy_accounting *accounting, struct busy_rows *rows,
			    const struct busy_account *accounts, size_t nr, uint64_t ns);

#endif
