/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC call with one empty message there and one message back, over a Unix socket. */
#ifndef MLPROF_OWNER_GRPC_H
#define MLPROF_OWNER_GRPC_H

#include "owner/fetch.h"

/*
 * Calls `method` ("v1.Service/Method") and puts the bytes of the answer's message into `message`.
 * 0; -ECANCELED when stopped; -ENOSYS if the server has no such method; -EIO, and `error` says why.
 */
int grpc_call(struct fetcher *fetcher, const char *socket, const char *method,
	      const struct fetch_limits *limits, struct buf *message, struct fetch_error *error);

#endif
