/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: a TCP address as people write it, and a path for programs of this machine. */
#ifndef MLPROF_EXPOSE_LISTEN_H
#define MLPROF_EXPOSE_LISTEN_H

#include <stdint.h>
#include <sys/types.h>

/* Why something could not be had and what to do, for a person; "" if all is well. */
struct expose_error {
	char text[256];
};

/*
 * A non-blocking socket that listens on `address`: HOST:PORT, [IPV6]:PORT, or :PORT for every
 * address of the machine. Port 0 is any free one. The socket, or -errno with `error` filled.
 */
int listen_tcp(const char *address, struct expose_error *error);

/* The port that a socket of listen_tcp() got; 0 if it cannot be told. */
uint16_t listen_port(int fd);

/* A socket in the file system, and what tells that the file is still ours. */
struct listen_path {
	char path[108];
	dev_t device;
	ino_t inode;
};

/*
 * A non-blocking socket that listens at `path`, which only its owner may open: it tells what every
 * workload of the node is called and does. The directory is made if only it is missing, and a
 * socket that a dead process left is replaced; one in use is an error that names its process.
 * The socket, or -errno with `error` filled. `where` is for listen_unlink().
 */
int listen_unix(const char *path, struct listen_path *where, struct expose_error *error);

/* Removes the file if it is still the one that listen_unix() made. */
void listen_unlink(const struct listen_path *where);

#endif
