// SPDX-License-Identifier: Apache-2.0
/*
 * Holds memory in a cgroup: holder [-x] [-p] [-s OOM_SCORE] [-c CGROUP_DIR]... ACTION
 *
 *	anon BYTES             maps and writes so much
 *	cache FILE BYTES       reads so much of a file
 *	reread FILE BYTES N    the same, N times
 *	revisit BYTES N        writes to every page of so much, N times
 *	grow BYTES MS          writes so much, evenly over that time
 *	compact                has the kernel compact all memory
 *	burn MS                uses the CPU for so long
 *
 * Then it says `ready` and waits for its end, or ends at once with -x. With -p it stays on CPU 0.
 *Uses nothing but system calls, so that its cgroup holds what it says and little else.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE	    4096
#define CHUNK_BYTES 65536

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(path);
	close(fd);
}

static void enter(const char *dir)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	write_file(path, "0");
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static char *map(size_t bytes)
{
	char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap");
	/* Whole pages and no more, whatever the machine prefers. */
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	return memory;
}

static void touch(size_t bytes, int times)
{
	char *memory = map(bytes);

	for (int i = 0; i < times; i++)
		for (size_t at = 0; at < bytes; at += PAGE)
			memory[at] = (char)(i + 1);
}

static void grow(size_t bytes, long ms)
{
	char *memory = map(bytes);
	long long start = now_ns(), end = ms * 1000000LL;
	size_t at = 0;

	while (at < bytes) {
		long long due = (long long)bytes / PAGE * (now_ns() - start) / end * PAGE;

		for (; at < bytes && (long long)at < due; at += PAGE)
			memory[at] = 1;
		usleep(1000);
	}
}

static void read_cache(const char *path, size_t bytes, int times)
{
	static char chunk[CHUNK_BYTES];

	for (int i = 0; i < times; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		size_t done = 0;
		ssize_t some = 1;

		if (fd < 0)
			fail(path);
		for (; done < bytes && some > 0; done += (size_t)some)
			some = read(fd, chunk, sizeof(chunk));
		close(fd);
	}
}

static void burn(long ms)
{
	long long end = now_ns() + ms * 1000000LL;

	while (now_ns() < end)
		;
}

static void pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("sched_setaffinity");
}

/* -1: there is no such action. */
static int run(char **args, int nr)
{
	if (nr == 2 && !strcmp(args[0], "anon"))
		touch(strtoul(args[1], NULL, 10), 1);
	else if (nr == 3 && !strcmp(args[0], "cache"))
		read_cache(args[1], strtoul(args[2], NULL, 10), 1);
	else if (nr == 4 && !strcmp(args[0], "reread"))
		read_cache(args[1], strtoul(args[2], NULL, 10), atoi(args[3]));
	else if (nr == 3 && !strcmp(args[0], "revisit"))
		touch(strtoul(args[1], NULL, 10), atoi(args[2]));
	else if (nr == 3 && !strcmp(args[0], "grow"))
		grow(strtoul(args[1], NULL, 10), atol(args[2]));
	else if (nr == 1 && !strcmp(args[0], "compact"))
		write_file("/proc/sys/vm/compact_memory", "1");
	else if (nr == 2 && !strcmp(args[0], "burn"))
		burn(atol(args[1]));
	else
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	int id, stay = 1;

	while ((id = getopt(argc, argv, "+xps:c:")) != -1) {
		if (id == 'x')
			stay = 0;
		else if (id == 'p')
			pin();
		else if (id == 's')
			write_file("/proc/self/oom_score_adj", optarg);
		else if (id == 'c')
			enter(optarg);
		else
			return 2;
	}
	if (run(argv + optind, argc - optind)) {
		fprintf(stderr, "holder: wrong usage, see its source\n");
		return 2;
	}
	if (write(1, "ready\n", 6) != 6)
		return 1;
	if (stay)
		pause();
	return 0;
}
