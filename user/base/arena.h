/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is taken in small pieces and given back all at once. */
#ifndef MLPROF_BASE_ARENA_H
#define MLPROF_BASE_ARENA_H

#include <stddef.h>

/* All zeros is an empty one. */
struct arena {
	struct arena_chunk *chunks;
	size_t bytes; /* handed out */
};

/* `count` zeroed elements of `size` bytes, aligned for anything; NULL when memory is out. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);

/* A copy of `bytes` bytes with a NUL behind them; NULL when memory is out. */
const char *arena_text(struct arena *arena, const char *text, size_t bytes);

void arena_free(struct arena *arena);

#endif
