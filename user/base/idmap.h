/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table from 64-bit keys to 32-bit values: open addressing, grows, forgets nothing. */
#ifndef MLPROF_BASE_IDMAP_H
#define MLPROF_BASE_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idmap_cell {
	uint64_t key;
	uint32_t value;
	bool used;
};

/* All zeros is an empty map. */
struct idmap {
	struct idmap_cell *cells;
	size_t nr, capacity; /* capacity is 0 or a power of two */
};

/* True and the value if the key is there. */
bool idmap_get(const struct idmap *map, uint64_t key, uint32_t *value);

/* Puts or replaces; 0 or -ENOMEM, and then nothing has changed. */
int idmap_put(struct idmap *map, uint64_t key, uint32_t value);

/* Takes a key out; false if it was not there. */
bool idmap_remove(struct idmap *map, uint64_t key);

void idmap_free(struct idmap *map);

#endif
