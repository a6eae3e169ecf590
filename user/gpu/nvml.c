// SPDX-License-Identifier: Apache-2.0
/* The helper's life as the agent sees it: start, messages, silence, end, and when to try again. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "gpu/nvml.h"
#include "gpu/nvml_helper.h"

#define HELPER_FD	     3
#define MESSAGES_PER_POLL    512
#define CLOSE_WAITS	     100
#define CLOSE_WAIT_NS	     10000000
#define STEADY_TIMES_BACKOFF 2
/* Where the driver does not stay loaded, starting wakes up one GPU after the other. */
#define START_TIMES_TIMEOUT 6

struct nvml {
	struct nvml_options options;
	pid_t child; /* 0: none. It may have been killed and not be gone yet. */
	int fd;	     /* -1: nobody is listened to */
	struct nvml_status status;
	char why[512];
	uint64_t started_ns, spoke_ns, due_ns, backoff_ns;
	unsigned char partial[NVML_MESSAGE_BYTES];
	size_t have;
	struct nvml_state state;
};

static uint64_t or_default(uint64_t value, uint64_t if_zero)
{
	return value ? value : if_zero;
}

int nvml_open(const struct nvml_options *options, struct nvml **nvml)
{
	struct nvml *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->options = *options;
	made->options.program = options->program ? options->program : "/proc/self/exe";
	made->options.interval_ms = (uint32_t)or_default(options->interval_ms, NVML_INTERVAL_MS);
	made->options.timeout_ns = or_default(options->timeout_ns, NVML_TIMEOUT_NS);
	made->options.backoff_ns = or_default(options->backoff_ns, NVML_BACKOFF_NS);
	made->options.backoff_most_ns = or_default(options->backoff_most_ns, NVML_BACKOFF_MOST_NS);
	made->backoff_ns = made->options.backoff_ns;
	made->fd = -1;
	made->state.asking = -1;
	made->status.since_ns = clock_ns(CLOCK_MONOTONIC);
	snprintf(made->why, sizeof(made->why), "not asked yet");
	*nvml = made;
	return 0;
}

static void set_up(struct nvml *nvml, bool up, uint64_t now)
{
	if (nvml->status.up != up)
		nvml->status.since_ns = now;
	nvml->status.up = up;
	if (up)
		nvml->why[0] = 0;
}

/* Between fork() and exec() of a program with threads: only what is safe in a signal handler. */
static void become_helper(const struct nvml *nvml, int fd, pid_t parent, const char *interval)
{
	char *argv[] = {(char *)"mlprof", (char *)NVML_HELPER_VERB,	 (char *)"3",
			(char *)interval, (char *)nvml->options.library, NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0)
		_exit(126);
	if (fd == HELPER_FD ? fcntl(fd, F_SETFD, 0) : dup2(fd, HELPER_FD) < 0)
		_exit(126);
	close_range(HELPER_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	execv(nvml->options.program, argv);
	_exit(127);
}

static void start(struct nvml *nvml, uint64_t now)
{
	char interval[16];
	pid_t parent = getpid();
	int pipe_fds[2];

	nvml->due_ns = now + nvml->backoff_ns;
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK)) {
		snprintf(nvml->why, sizeof(nvml->why), "no pipe for the NVML helper: %s",
			 strerror(errno));
		return;
	}
	/* The helper may wait for us, and we may not wait for it. */
	fcntl(pipe_fds[1], F_SETFL, 0);
	snprintf(interval, sizeof(interval), "%u", nvml->options.interval_ms);
	nvml->child = fork();
	if (!nvml->child)
		become_helper(nvml, pipe_fds[1], parent, interval);
	close(pipe_fds[1]);
	if (nvml->child < 0) {
		snprintf(nvml->why, sizeof(nvml->why), "the NVML helper cannot be started: %s",
			 strerror(errno));
		nvml->child = 0;
		close(pipe_fds[0]);
		return;
	}
	nvml->fd = pipe_fds[0];
	nvml->have = 0;
	nvml->started_ns = nvml->spoke_ns = now;
	nvml->status.starts++;
	nvml_state_restart(&nvml->state);
}

/* What it was about to do when it was last heard of, to find the GPU that hangs. */
static const char *last_doing(const struct nvml *nvml, char *text, size_t bytes)
{
	if (!nvml->state.greeted)
		snprintf(text, bytes, "while NVML was starting");
	else if (nvml->state.asking >= 0)
		snprintf(text, bytes, "while it asked about GPU %d", nvml->state.asking);
	else
		snprintf(text, bytes, "between two rounds");
	return text;
}

/* It is not listened to any more, and gone as soon as the kernel lets it. */
static void finish(struct nvml *nvml, uint64_t now)
{
	const struct nvml_options *options = &nvml->options;

	if (nvml->fd >= 0)
		close(nvml->fd);
	nvml->fd = -1;
	if (nvml->child > 0)
		kill(nvml->child, SIGKILL);
	set_up(nvml, false, now);
	if (now - nvml->started_ns > options->backoff_most_ns * STEADY_TIMES_BACKOFF)
		nvml->backoff_ns = options->backoff_ns;
	nvml->due_ns = now + nvml->backoff_ns;
	nvml->backoff_ns *= 2;
	if (nvml->backoff_ns > options->backoff_most_ns)
		nvml->backoff_ns = options->backoff_most_ns;
}

static void finish_ended(struct nvml *nvml, uint64_t now)
{
	char doing[64];

	if (nvml->state.why[0])
		memcpy(nvml->why, nvml->state.why, sizeof(nvml->state.why));
	else
		snprintf(nvml->why, sizeof(nvml->why), "the NVML helper died %s",
			 last_doing(nvml, doing, sizeof(doing)));
	finish(nvml, now);
}

static void finish_bad(struct nvml *nvml, uint64_t now)
{
	nvml->status.bad++;
	snprintf(nvml->why, sizeof(nvml->why),
		 "the NVML helper said what cannot be understood: is it of another version?");
	finish(nvml, now);
}

static void finish_silent(struct nvml *nvml, uint64_t now)
{
	char doing[64];

	nvml->status.timeouts++;
	snprintf(nvml->why, sizeof(nvml->why), "NVML has not answered for %.1f s, %s",
		 (double)(now - nvml->spoke_ns) / 1e9, last_doing(nvml, doing, sizeof(doing)));
	finish(nvml, now);
}

/* False if that is the end of it. */
static bool take_message(struct nvml *nvml, uint64_t now)
{
	struct nvml_message message;
	uint64_t tick = nvml->state.tick;

	nvml->have = 0;
	if (!nvml_message_read(nvml->partial, sizeof(nvml->partial), &message)) {
		finish_bad(nvml, now);
		return false;
	}
	nvml->spoke_ns = now;
	nvml_state_receive(&nvml->state, &message, now);
	if (nvml->state.tick != tick) {
		nvml->status.heard_ns = now;
		set_up(nvml, true, now);
	}
	return true;
}

static void listen_to(struct nvml *nvml, uint64_t now)
{
	for (int i = 0; i < MESSAGES_PER_POLL; i++) {
		ssize_t got = read(nvml->fd, nvml->partial + nvml->have,
				   sizeof(nvml->partial) - nvml->have);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0) {
			finish_ended(nvml, now);
			return;
		}
		nvml->have += (size_t)got;
		if (nvml->have == sizeof(nvml->partial) && !take_message(nvml, now))
			return;
	}
}

/* True once there is no child any more. */
static bool reap(struct nvml *nvml)
{
	pid_t gone;

	if (!nvml->child)
		return true;
	gone = waitpid(nvml->child, NULL, WNOHANG);
	if (gone == nvml->child || (gone < 0 && errno == ECHILD))
		nvml->child = 0;
	return !nvml->child;
}

static uint64_t patience(const struct nvml *nvml)
{
	return nvml->options.timeout_ns * (nvml->state.greeted ? 1 : START_TIMES_TIMEOUT);
}

void nvml_poll(struct nvml *nvml)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (nvml->fd >= 0)
		listen_to(nvml, now);
	if (nvml->fd >= 0 && now - nvml->spoke_ns > patience(nvml))
		finish_silent(nvml, now);
	/* One that hangs in the driver goes when that lets it. Another one would hang as well. */
	if (nvml->fd < 0 && reap(nvml) && now >= nvml->due_ns)
		start(nvml, now);
}

int nvml_fd(const struct nvml *nvml)
{
	return nvml->fd;
}

void nvml_get_status(const struct nvml *nvml, struct nvml_status *status)
{
	*status = nvml->status;
	status->why = nvml->why;
}

const struct nvml_state *nvml_get_state(const struct nvml *nvml)
{
	return &nvml->state;
}

void nvml_close(struct nvml *nvml)
{
	const struct timespec wait = {.tv_nsec = CLOSE_WAIT_NS};

	finish(nvml, clock_ns(CLOCK_MONOTONIC));
	for (int i = 0; i < CLOSE_WAITS && !reap(nvml); i++)
		nanosleep(&wait, NULL);
	nvml_state_free(&nvml->state);
	free(nvml);
}
