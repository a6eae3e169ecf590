// SPDX-License-Identifier: Apache-2.0
/* The arena: a list of chunks, of which the newest has room. */
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

/* Large enough that chunks are few, small beside what a node holds. */
#define CHUNK_BYTES ((size_t)64 << 10)

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	alignas(max_align_t) unsigned char bytes[];
};

static struct arena_chunk *add_chunk(struct arena *arena, size_t at_least)
{
	size_t size = at_least > CHUNK_BYTES ? at_least : CHUNK_BYTES;
	struct arena_chunk *chunk = malloc(sizeof(*chunk) + size);

	if (!chunk)
		return NULL;
	*chunk = (struct arena_chunk){.next = arena->chunks, .size = size};
	arena->chunks = chunk;
	return chunk;
}

static void *take(struct arena *arena, size_t bytes, size_t align)
{
	struct arena_chunk *chunk = arena->chunks;
	size_t at = chunk ? (chunk->used + align - 1) & ~(align - 1) : 0;

	if (!chunk || at > chunk->size || chunk->size - at < bytes) {
		chunk = add_chunk(arena, bytes);
		at = 0;
	}
	if (!chunk)
		return NULL;
	chunk->used = at + bytes;
	arena->bytes += bytes;
	return chunk->bytes + at;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
	void *memory;

	if (size && count > SIZE_MAX / 2 / size)
		return NULL;
	memory = take(arena, count * size, alignof(max_align_t));
	return memory ? memset(memory, 0, count * size) : NULL;
}

const char *arena_text(struct arena *arena, const char *text, size_t bytes)
{
	char *copy = bytes < SIZE_MAX / 2 ? take(arena, bytes + 1, 1) : NULL;

	if (!copy)
		return NULL;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	return copy;
}

void arena_free(struct arena *arena)
{
	struct arena_chunk *next;

	for (struct arena_chunk *chunk = arena->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	*arena = (struct arena){0};
}
