/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading /proc and /sys, or a tree of files that looks like them: everything is found below a
 * descriptor of a directory, and nothing is read without a bound.
 */
#ifndef MLPROF_GPU_TREE_H
#define MLPROF_GPU_TREE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Enough for every small file of sysfs, which has a page at most. */
#define TREE_FILE_BYTES 16384

/* A name in a directory, with its NUL. */
#define TREE_NAME_BYTES 256

/* A descriptor of a directory, only to find files below it; -errno. The caller closes it. */
int tree_open(int dir, const char *path);

/*
 * All of a file into `into`, which is emptied first. 0; -errno if it cannot be read; -EFBIG if it
 * is longer than `most` bytes; -ENOMEM. After an error `into` is empty.
 */
int tree_read(int dir, const char *path, size_t most, struct buf *into);

/* A file that holds one number, decimal or with "0x". False if it does not, or is not there. */
bool tree_number(int dir, const char *path, uint64_t *value);

/* A file that holds a line, such as a name. False, and "", if it is not there, long or odd. */
bool tree_text(int dir, const char *path, char *text, size_t size);

/* A file "MAJOR:MINOR". */
bool tree_device_number(int dir, const char *path, uint32_t *major, uint32_t *minor);

/* The last part of what a link leads to. */
bool tree_link_name(int dir, const char *path, char *name, size_t size);

/* "gpu12" with the prefix "gpu" is 12. */
bool tree_name_number(const char *name, const char *prefix, uint32_t *number);

/* The names in a directory; NULL, and errno set. The caller closes it. */
DIR *tree_names(int dir, const char *path);

/* Called with the directory that `name` is in; what is not 0 ends the walk. */
typedef int tree_visit(void *context, int dir, const char *name);

/*
 * Calls `visit` for the names in a directory, in no order, for `most` of them; `skipped` grows by
 * the rest. 0, -errno if it cannot be read, or what `visit` returned.
 */
int tree_each(int dir, const char *path, size_t most, tree_visit *visit, void *context,
	      uint64_t *skipped);

#endif
