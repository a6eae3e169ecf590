// SPDX-License-Identifier: Apache-2.0
/*
 * Has the stand-in GPU run jobs: gpu_jobs [OPTION]... RING[,RING] COUNT LENGTH_US DEPTH
 *
 *	-c CGROUP_DIR  works in this cgroup; may be given again, for another hierarchy
 *	-d NODE        the device, else the first render node that is a stand-in
 *	-k             has the kernel submit the jobs
 *	-f             opens the device, then has a child with that file enter the cgroup and work
 *	-x N           kills itself when N jobs are done, with the rest in flight
 *	-s             stays with the device open until it is killed
 *
 * Keeps DEPTH jobs queued, of the rings in turn, until COUNT are done. Prints `client=ID pid=PID`
 * once the device is open; at the end, for each ring of the device, how long it was at jobs of
 * this client, of the kernel and of everybody, by its own clock; then `done` and the time it took.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gpu/drm/fakegpu.h"

#define MAX_CGROUPS  8
#define FIRST_RENDER 128
#define LAST_RENDER  191
#define WAIT_NS	     60000000000ULL

struct options {
	const char *cgroups[MAX_CGROUPS];
	int nr_cgroups;
	const char *node;
	bool kernels, forks, stays;
	long kill_after; /* 0: never */
	unsigned int rings[FAKEGPU_RINGS];
	int nr_rings;
	long count, length_us, depth;
};

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "gpu_jobs: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void enter(const char *dir)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail(path);
	close(fd);
}

static unsigned long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static int call(int fd, unsigned long request, void *args)
{
	int ret;

	do {
		ret = ioctl(fd, request, args);
	} while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret;
}

/* By the device that the node is of. */
static bool is_fakegpu(int nr)
{
	char path[64], target[512];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/class/drm/renderD%d/device", nr);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	return !strcmp(strrchr(target, '/') ? strrchr(target, '/') + 1 : target, FAKEGPU_NAME);
}

static int open_node(const char *node)
{
	int fd = open(node, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail(node);
	return fd;
}

static int open_device(const char *node)
{
	char path[64];

	if (node)
		return open_node(node);
	for (int nr = FIRST_RENDER; nr <= LAST_RENDER; nr++) {
		if (is_fakegpu(nr)) {
			snprintf(path, sizeof(path), "/dev/dri/renderD%d", nr);
			return open_node(path);
		}
	}
	errno = ENODEV;
	fail("no stand-in GPU in /dev/dri");
}

static unsigned int submit(int fd, const struct options *opt, long nr)
{
	struct drm_fakegpu_submit args = {
		.ring = opt->rings[nr % opt->nr_rings],
		.length_ns = opt->length_us * 1000ULL,
	};

	if (call(fd, opt->kernels ? DRM_IOCTL_FAKEGPU_KERNEL_SUBMIT : DRM_IOCTL_FAKEGPU_SUBMIT,
		 &args))
		fail("submit");
	return args.handle;
}

static void wait_for(int fd, unsigned int handle)
{
	struct drm_fakegpu_wait args = {.handle = handle, .timeout_ns = WAIT_NS};

	if (call(fd, DRM_IOCTL_FAKEGPU_WAIT, &args))
		fail("wait");
	if (args.error) {
		errno = -args.error;
		fail("a job");
	}
}

static void run(int fd, const struct options *opt)
{
	unsigned int *handles = calloc(opt->depth, sizeof(*handles));
	long submitted = 0;

	if (!handles)
		fail("memory");
	for (long done = 0; done < opt->count; done++) {
		for (; submitted < opt->count && submitted < done + opt->depth; submitted++)
			handles[submitted % opt->depth] = submit(fd, opt, submitted);
		wait_for(fd, handles[done % opt->depth]);
		if (done + 1 == opt->kill_after)
			raise(SIGKILL);
	}
	free(handles);
}

static void get_truth(int fd, unsigned int ring, struct drm_fakegpu_truth *truth)
{
	memset(truth, 0, sizeof(*truth));
	truth->ring = ring;
	if (call(fd, DRM_IOCTL_FAKEGPU_TRUTH, truth))
		fail("truth");
}

static void print_used(const char *whose, unsigned int ring, const struct fakegpu_used *used)
{
	printf("%s ring=%u busy_ns=%llu asked_ns=%llu jobs=%llu cancelled=%llu\n", whose, ring,
	       used->busy_ns, used->asked_ns, used->jobs, used->cancelled);
}

static void print_truth(int fd)
{
	struct drm_fakegpu_truth truth;

	for (unsigned int ring = 0; ring < FAKEGPU_RINGS; ring++) {
		get_truth(fd, ring, &truth);
		print_used("mine", ring, &truth.mine);
		print_used("kernel", ring, &truth.kernels);
		print_used("all", ring, &truth.all);
	}
}

static void work(int fd, const struct options *opt)
{
	struct drm_fakegpu_truth truth;
	unsigned long long start;

	for (int i = 0; i < opt->nr_cgroups; i++)
		enter(opt->cgroups[i]);
	get_truth(fd, 0, &truth);
	printf("client=%llu pid=%d\n", truth.client, getpid());
	fflush(stdout);
	start = now_ns();
	run(fd, opt);
	start = now_ns() - start;
	print_truth(fd);
	printf("done wall_ns=%llu\n", start);
	fflush(stdout);
	while (opt->stays)
		pause();
}

/* The parent keeps the file open too, and ends as the child does. */
static int work_in_child(int fd, const struct options *opt)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (!pid) {
		work(fd, opt);
		exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool parse_rings(const char *text, struct options *opt)
{
	do {
		char *end;
		unsigned long ring = strtoul(text, &end, 10);

		if (end == text || ring >= FAKEGPU_RINGS || opt->nr_rings == FAKEGPU_RINGS)
			return false;
		opt->rings[opt->nr_rings++] = ring;
		text = end;
	} while (*text++ == ',');
	return !text[-1];
}

static bool parse_option(int id, struct options *opt)
{
	if (id == 'c' && opt->nr_cgroups < MAX_CGROUPS)
		opt->cgroups[opt->nr_cgroups++] = optarg;
	else if (id == 'd')
		opt->node = optarg;
	else if (id == 'k')
		opt->kernels = true;
	else if (id == 'f')
		opt->forks = true;
	else if (id == 'x')
		opt->kill_after = atol(optarg);
	else if (id == 's')
		opt->stays = true;
	else
		return false;
	return true;
}

static bool parse(int argc, char **argv, struct options *opt)
{
	int id;

	while ((id = getopt(argc, argv, "+c:d:kfx:s")) != -1)
		if (!parse_option(id, opt))
			return false;
	argv += optind;
	if (argc - optind != 4 || !parse_rings(argv[0], opt))
		return false;
	opt->count = atol(argv[1]);
	opt->length_us = atol(argv[2]);
	opt->depth = atol(argv[3]);
	return opt->count >= 0 && opt->length_us >= 0 && opt->depth > 0 &&
	       opt->depth <= FAKEGPU_MAX_HANDLES;
}

int main(int argc, char **argv)
{
	struct options opt = {0};
	int fd;

	if (!parse(argc, argv, &opt)) {
		fprintf(stderr, "gpu_jobs: wrong usage, see its source\n");
		return 2;
	}
	fd = open_device(opt.node);
	if (opt.forks)
		return work_in_child(fd, &opt);
	work(fd, &opt);
	return 0;
}
