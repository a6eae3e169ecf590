/* SPDX-License-Identifier: Apache-2.0 */
/* FNV-1a over strings, for keys of an idmap. Not for strangers to choose collisions by. */
#ifndef MLPROF_BASE_HASH_H
#define MLPROF_BASE_HASH_H

#include <stdint.h>

#define HASH_EMPTY UINT64_C(0xcbf29ce484222325)

/* The hash of what came before, which is HASH_EMPTY for nothing, and of `text` with its NUL. */
static inline uint64_t hash_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	while (*text++);
	return hash;
}

#endif
