// SPDX-License-Identifier: Apache-2.0
/* Making listening sockets, and saying in one line why one cannot be had. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "expose/listen.h"

#define SOCKET_TYPE	(SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
#define BACKLOG		64

#define say(error, ...) snprintf((error)->text, sizeof((error)->text), __VA_ARGS__)

struct tcp_address {
	char host[256];
	char port[6];
};

static int bad_address(const char *address, struct expose_error *error)
{
	say(error, "bad value '%s' for --listen: want HOST:PORT, [IPV6]:PORT or :PORT", address);
	return -EINVAL;
}

static int split_address(const char *address, struct tcp_address *to, struct expose_error *error)
{
	const char *host = address, *colon = strrchr(address, ':'), *end = colon;
	size_t digits;

	if (!colon)
		return bad_address(address, error);
	if (*host == '[' && colon > host + 2 && colon[-1] == ']')
		host++, end--;
	else if (memchr(host, ':', (size_t)(colon - host)) || strpbrk(host, "[]"))
		return bad_address(address, error);
	digits = strspn(colon + 1, "0123456789");
	if (!digits || colon[1 + digits] || digits >= sizeof(to->port) ||
	    atoi(colon + 1) > UINT16_MAX || (size_t)(end - host) >= sizeof(to->host))
		return bad_address(address, error);
	snprintf(to->host, sizeof(to->host), "%.*s", (int)(end - host), host);
	snprintf(to->port, sizeof(to->port), "%s", colon + 1);
	return 0;
}

static int bind_and_listen(const struct addrinfo *to)
{
	int fd = socket(to->ai_family, SOCKET_TYPE, 0), on = 1, off = 0, err;

	if (fd < 0)
		return -errno;
	/* An agent that starts again need not wait until the kernel forgets old connections. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (to->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (!bind(fd, to->ai_addr, to->ai_addrlen) && !listen(fd, BACKLOG))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* The first address of the family that works; -ENOENT with `*unknown` set if it has none. */
static int listen_family(const struct tcp_address *at, int family, int *unknown)
{
	struct addrinfo hints = {.ai_family = family,
				 .ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list, *i;
	int fd = -ENOENT;

	*unknown = getaddrinfo(*at->host ? at->host : NULL, at->port, &hints, &list);
	if (*unknown)
		return -ENOENT;
	for (i = list; i && fd < 0; i = i->ai_next)
		fd = bind_and_listen(i);
	freeaddrinfo(list);
	return fd;
}

static void explain_tcp(const char *address, int err, struct expose_error *error)
{
	switch (-err) {
	case EADDRINUSE:
		say(error, "cannot listen on %s: another program does; choose another port",
		    address);
		break;
	case EACCES:
		say(error,
		    "cannot listen on %s: not permitted; a port below 1024 needs "
		    "CAP_NET_BIND_SERVICE",
		    address);
		break;
	case EADDRNOTAVAIL:
		say(error, "cannot listen on %s: this machine does not have that address", address);
		break;
	default:
		say(error, "cannot listen on %s: %s", address, strerror(-err));
	}
}

int listen_tcp(const char *address, struct expose_error *error)
{
	struct tcp_address at;
	int err = split_address(address, &at, error), unknown, fd;
	/* A name is IPv4 first, as its readers expect; every address is IPv6, which takes both. */
	int first = err || *at.host ? AF_INET : AF_INET6;

	if (err)
		return err;
	fd = listen_family(&at, first, &unknown);
	if (fd == -ENOENT || fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) {
		int second = listen_family(&at, first == AF_INET ? AF_INET6 : AF_INET, &unknown);

		fd = second == -ENOENT && fd != -ENOENT ? fd : second;
	}
	if (fd == -ENOENT)
		say(error, "cannot listen on %s: %s", address, gai_strerror(unknown));
	else if (fd < 0)
		explain_tcp(address, fd, error);
	return fd;
}

uint16_t listen_port(int fd)
{
	struct sockaddr_storage name = {0};
	socklen_t bytes = sizeof(name);

	if (getsockname(fd, (struct sockaddr *)&name, &bytes))
		return 0;
	if (name.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&name)->sin6_port);
	return name.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&name)->sin_port) : 0;
}

static void make_directory(const char *path)
{
	char directory[sizeof(((struct listen_path *)0)->path)];
	char *slash;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (slash && slash != directory) {
		*slash = '\0';
		/* If it cannot be made, bind() says so. */
		(void)!mkdir(directory, 0755);
	}
}

/* Whether somebody listens there, and who; 0 if nobody does. */
static int try_connect(const struct sockaddr_un *to, pid_t *who)
{
	struct ucred peer = {0};
	socklen_t bytes = sizeof(peer);
	int fd = socket(AF_UNIX, SOCKET_TYPE, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (!connect(fd, (const struct sockaddr *)to, sizeof(*to)) || errno == EAGAIN)
		err = -EADDRINUSE;
	else if (errno != ECONNREFUSED && errno != ENOENT)
		err = -errno;
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes))
		*who = peer.pid;
	close(fd);
	return err;
}

/* Makes way for a new socket, unless what is there is somebody's. */
static int clear_path(const struct sockaddr_un *at, struct expose_error *error)
{
	struct stat there;
	pid_t who = 0;
	int err;

	if (lstat(at->sun_path, &there))
		return 0;
	if (!S_ISSOCK(there.st_mode)) {
		say(error, "cannot listen at %s: a file that is no socket is there", at->sun_path);
		return -EEXIST;
	}
	err = try_connect(at, &who);
	if (err == -EADDRINUSE)
		say(error, "cannot listen at %s: process %d does; is an agent running already?",
		    at->sun_path, (int)who);
	else if (!err && unlink(at->sun_path))
		err = -errno;
	return err;
}

/* The mode is set before the file exists: nobody gets in between. */
static int bind_path(const struct sockaddr_un *at, struct listen_path *where)
{
	int fd = socket(AF_UNIX, SOCKET_TYPE, 0), err;
	struct stat made;

	if (fd < 0)
		return -errno;
	if (!fchmod(fd, 0600) && !bind(fd, (const struct sockaddr *)at, sizeof(*at)) &&
	    !stat(at->sun_path, &made) && !listen(fd, BACKLOG)) {
		snprintf(where->path, sizeof(where->path), "%s", at->sun_path);
		where->device = made.st_dev;
		where->inode = made.st_ino;
		return fd;
	}
	err = -errno;
	close(fd);
	return err;
}

int listen_unix(const char *path, struct listen_path *where, struct expose_error *error)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int err;

	error->text[0] = '\0';
	if (!*path || strlen(path) >= sizeof(at.sun_path)) {
		say(error, "bad socket path '%s': want 1 to %zu bytes", path,
		    sizeof(at.sun_path) - 1);
		return -EINVAL;
	}
	memcpy(at.sun_path, path, strlen(path) + 1);
	make_directory(path);
	err = clear_path(&at, error);
	if (!err)
		err = bind_path(&at, where);
	if (err < 0 && !error->text[0])
		say(error, "cannot listen at %s: %s", path, strerror(-err));
	return err;
}

void listen_unlink(const struct listen_path *where)
{
	struct stat there;

	if (!stat(where->path, &there) && there.st_dev == where->device &&
	    there.st_ino == where->inode)
		unlink(where->path);
}
