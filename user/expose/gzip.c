// SPDX-License-Identifier: Apache-2.0
/*
 * gzip by zlib at its fastest level: metrics are so repetitive that the better levels save little
 * and cost several times the instructions, at every scrape.
 */
#include <errno.h>
#include <limits.h>
#include <zlib.h>

#include "expose/gzip.h"

#define GZIP_WINDOW_BITS (15 + 16) /* 32 KiB of window; 16 asks for the gzip frame */
#define MEMORY_LEVEL	 8

int gzip_compress(struct buf *to, const void *data, size_t bytes)
{
	z_stream z = {0};
	uLong most;
	int ret;

	if (bytes > UINT_MAX / 2 || deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS,
						 MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	most = deflateBound(&z, bytes);
	z.next_in = (Bytef *)data;
	z.avail_in = (uInt)bytes;
	z.next_out = (Bytef *)buf_room(to, most);
	z.avail_out = (uInt)most;
	ret = z.next_out ? deflate(&z, Z_FINISH) : Z_MEM_ERROR;
	to->len += z.total_out;
	deflateEnd(&z);
	return ret == Z_STREAM_END ? 0 : -ENOMEM;
}
