/* SPDX-License-Identifier: Apache-2.0 */
/* Compression of an answer, for clients that accept it. */
#ifndef MLPROF_EXPOSE_GZIP_H
#define MLPROF_EXPOSE_GZIP_H

#include "base/buf.h"

/* Adds `bytes` of `data` to `to` as one gzip member. 0 or -ENOMEM, and then `to` is of no use. */
int gzip_compress(struct buf *to, const void *data, size_t bytes);

#endif
