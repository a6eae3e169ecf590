/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who kept a device busy for how long: a row for each process, and its time in whole nanoseconds.
 * What a row loses, because it is old or there is no room, goes to the row `gone` or `other`, so
 * that the sum over all of them only ever grows.
 */
#ifndef MLPROF_GPU_BUSY_ROWS_H
#define MLPROF_GPU_BUSY_ROWS_H

#include <stddef.h>
#include <stdint.h>

#define BUSY_ROWS_MAX 1024

/* Parts of a GPU that work at the same time, so that their times do not add up to anything. */
enum busy_engine {
	BUSY_SM,     /* one or more kernels were running */
	BUSY_MEMORY, /* device memory was read or written */
	BUSY_ENCODER,
	BUSY_DECODER,
	BUSY_ENGINES
};

struct busy_time {
	uint64_t ns;
	uint32_t rest; /* hundredths of a nanosecond beyond, less than 100 */
	/*
	 * The square of the standard error of `ns`, in square nanoseconds. A share that was drawn:
	 * see busy_variance(). Errors of different times are independent, so variances add up.
	 */
	double variance_ns2;
	/* The most that rounding to whole percents, by the driver, can have changed `ns` by. */
	uint64_t rounding_ns;
};

/* What accounting said of a process when it was last read. */
struct busy_base {
	uint64_t started_us, sum[2];
	uint32_t samples;
};

struct busy_row {
	uint32_t pid;
	uint64_t serial;  /* of this row alone, from 1: a pid that is used again gets another */
	uint64_t seen;	  /* when anything was heard of it, in the time of its source */
	uint64_t samples; /* that the device had in the times that were credited to it */
	struct busy_time busy[BUSY_ENGINES];
	struct busy_base base;
};

/* All zeros is empty. */
struct busy_rows {
	struct busy_row *row;
	size_t nr, capacity;
	struct busy_row gone;  /* of rows that were taken out */
	struct busy_row other; /* of processes that had no room */
	uint64_t serials;
	uint64_t no_room; /* times that `other` was credited instead of a process */
};

/* The row of `pid`, or NULL. Good until the next change. */
struct busy_row *busy_rows_find(struct busy_rows *rows, uint32_t pid);

/* The row of `pid`, made if there is none; `other` if there is no room or memory. Never NULL. */
struct busy_row *busy_rows_take(struct busy_rows *rows, uint32_t pid);

/* Takes out `row`, one of them. The last one then lies in its place. */
void busy_rows_remove(struct busy_rows *rows, struct busy_row *row);

/* Takes out those of which nothing was heard since `since`. */
void busy_rows_expire(struct busy_rows *rows, uint64_t since);

/* The sum over all rows with `gone` and `other`, in ns. */
uint64_t busy_rows_total(const struct busy_rows *rows, enum busy_engine engine);

void busy_rows_free(struct busy_rows *rows);

/* Adds `of`/`whole` of `ns`, rounded down to a hundredth of a nanosecond. */
void busy_time_add(struct busy_time *time, uint64_t ns, uint64_t of, uint64_t whole);

/*
 * The variance of what busy_time_add(ns, of, whole) adds, when the device was busy `all`/`whole`
 * of the time, `samples` samples were taken of who kept it so, and each was given to one process.
 *
 * With share p = of/all, samples n, time T: T^2 * p(1-p)/(n-1) * all/whole. That is
 * (T * sqrt(p(1-p)/n))^2 for a device that is always busy, with the n-1 that makes up for p being
 * the share that was seen and not the true one. `all`/`whole` is not squared: how busy the device
 * was in each sample is not known, and of all that give this mean, some samples at 100% and the
 * rest at 0 spread most. A process that was alone has no error of this kind. `samples` below 2 are
 * taken for 2.
 */
double busy_variance(uint64_t ns, uint64_t of, uint64_t all, uint64_t whole, uint64_t samples);

#endif
