// SPDX-License-Identifier: Apache-2.0
/* A hash table from 64-bit keys to 32-bit values, with linear probing and at most 3/4 full. */
#include <errno.h>
#include <stdlib.h>

#include "base/idmap.h"

#define FIRST_CAPACITY 64

static size_t home_of(const struct idmap *map, uint64_t key)
{
	return (size_t)((key * 0x9E3779B97F4A7C15u) >> 32) & (map->capacity - 1);
}

/* The cell of the key, or the empty one where it would go. */
static size_t find_cell(const struct idmap *map, uint64_t key)
{
	size_t i = home_of(map, key);

	while (map->cells[i].used && map->cells[i].key != key)
		i = (i + 1) & (map->capacity - 1);
	return i;
}

static int grow(struct idmap *map)
{
	struct idmap bigger = {.capacity = map->capacity ? map->capacity * 2 : FIRST_CAPACITY};

	bigger.cells = calloc(bigger.capacity, sizeof(*bigger.cells));
	if (!bigger.cells)
		return -ENOMEM;
	for (size_t i = 0; i < map->capacity; i++)
		if (map->cells[i].used)
			bigger.cells[find_cell(&bigger, map->cells[i].key)] = map->cells[i];
	bigger.nr = map->nr;
	free(map->cells);
	*map = bigger;
	return 0;
}

bool idmap_get(const struct idmap *map, uint64_t key, uint32_t *value)
{
	size_t i;

	if (!map->capacity)
		return false;
	i = find_cell(map, key);
	if (!map->cells[i].used)
		return false;
	*value = map->cells[i].value;
	return true;
}

int idmap_put(struct idmap *map, uint64_t key, uint32_t value)
{
	size_t i;

	if (map->nr * 4 >= map->capacity * 3 && grow(map))
		return -ENOMEM;
	i = find_cell(map, key);
	map->nr += !map->cells[i].used;
	map->cells[i] = (struct idmap_cell){.key = key, .value = value, .used = true};
	return 0;
}

bool idmap_remove(struct idmap *map, uint64_t key)
{
	size_t hole, i, mask = map->capacity - 1;

	if (!map->capacity)
		return false;
	hole = i = find_cell(map, key);
	if (!map->cells[hole].used)
		return false;
	/* Whoever probed past the hole moves into it, so that no mark of it is needed. */
	while (map->cells[i = (i + 1) & mask].used) {
		size_t home = home_of(map, map->cells[i].key);

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		map->cells[hole] = map->cells[i];
		hole = i;
	}
	map->cells[hole].used = false;
	map->nr--;
	return true;
}

void idmap_free(struct idmap *map)
{
	free(map->cells);
	*map = (struct idmap){0};
}
