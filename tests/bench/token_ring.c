// SPDX-License-Identifier: Apache-2.0
/*
 * A known number of context switches: N processes, each in a cgroup of its own, pass a token around
 * through pipes for so many rounds. usage: token_ring PARENT_CGROUP N ROUNDS
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 1024

static void die(const char *what)
{
	fprintf(stderr, "token_ring: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void enter_cgroup(const char *parent, int i)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/pod%08x-0000-4000-8000-%012x", parent, i, i);
	if (mkdir(path, 0755) && errno != EEXIST)
		die(path);
	strcat(path, "/cgroup.procs");
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(path);
	close(fd);
}

static void pass_on(int from, int to, int rounds)
{
	char token;

	for (int i = 0; i < rounds; i++) {
		if (read(from, &token, 1) != 1)
			break;
		if (write(to, &token, 1) != 1)
			break;
	}
}

static void raise_file_limit(void)
{
	struct rlimit files = {4096, 4096};

	setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv)
{
	static int pipes[MOST][2];
	int n, rounds;
	char token = 't';

	if (argc != 4) {
		fprintf(stderr, "usage: token_ring PARENT_CGROUP N ROUNDS\n");
		return 2;
	}
	n = atoi(argv[2]);
	rounds = atoi(argv[3]);
	if (n < 1 || n > MOST)
		return 2;
	raise_file_limit();
	for (int i = 0; i < n; i++)
		if (pipe2(pipes[i], O_CLOEXEC))
			die("pipe");
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		enter_cgroup(argv[1], i);
		pass_on(pipes[i][0], pipes[(i + 1) % n][1], rounds);
		_exit(0);
	}
	if (write(pipes[0][1], &token, 1) != 1)
		die("write");
	while (wait(NULL) > 0)
		;
	return 0;
}
