/* SPDX-License-Identifier: Apache-2.0 */
/* Memory sampled from the files of cgroups, v2 and v1. For memory.c only. */
#ifndef MLPROF_MEMORY_FILES_H
#define MLPROF_MEMORY_FILES_H

#include "memory/memory.h"

struct memory_files;

/* As the functions of memory.h have it. */
int memory_files_open(const struct memory_options *options, struct memory_files **ret);
void memory_files_close(struct memory_files *files);
int memory_files_add(struct memory_files *files, uint64_t cgroup, const char *path);
void memory_files_remove(struct memory_files *files, uint64_t cgroup);
int memory_files_sample(struct memory_files *files, memory_visit *visit, void *context);
void memory_files_count(const struct memory_files *files, uint64_t *malformed, uint64_t *dropped);

#endif
