// SPDX-License-Identifier: Apache-2.0
/* The process around the survey: its end, its pace and where its messages go. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"
#include "gpu/nvml_helper.h"
#include "gpu/nvml_survey.h"

#define NS_PER_MS 1000000u

/* By default SIGTERM and a pipe without a reader end a process at once, in any state but D. */
static void be_mortal(void)
{
	sigset_t none;

	sigemptyset(&none);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int send_message(void *context, const struct nvml_message *message)
{
	const int *fd = context;
	ssize_t written;

	do
		written = write(*fd, message, sizeof(*message));
	while (written < 0 && errno == EINTR);
	if (written < 0)
		return -errno;
	return written == (ssize_t)sizeof(*message) ? 0 : -EPIPE;
}

/* False if the reader of the pipe is gone. */
static bool wait_until(int fd, uint64_t ns)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	struct pollfd reader = {.fd = fd};

	while (now < ns) {
		if (poll(&reader, 1, (int)((ns - now + NS_PER_MS - 1) / NS_PER_MS)) > 0)
			return false;
		now = clock_ns(CLOCK_MONOTONIC);
	}
	return true;
}

static int run(int fd, uint64_t interval_ns, const char *path)
{
	struct nvml_survey *survey = NULL;
	uint64_t due = clock_ns(CLOCK_MONOTONIC);
	int err = nvml_survey_open(path, send_message, &fd, &survey);

	while (!err) {
		err = nvml_survey_tick(survey);
		/* Ticks that were late are not made up for. */
		due += interval_ns;
		if (due < clock_ns(CLOCK_MONOTONIC))
			due = clock_ns(CLOCK_MONOTONIC);
		if (!err && !wait_until(fd, due))
			break;
	}
	if (survey)
		nvml_survey_close(survey);
	return err;
}

int nvml_helper_main(int argc, char **argv)
{
	uint64_t fd, interval_ms;

	if (argc < 3 || argc > 4 || !read_unsigned(argv[1], 0, INT32_MAX, &fd) ||
	    !read_unsigned(argv[2], NVML_INTERVAL_LEAST_MS, NVML_INTERVAL_MOST_MS, &interval_ms)) {
		fputs("mlprof: " NVML_HELPER_VERB " is started by the agent, not by hand\n",
		      stderr);
		return 2;
	}
	be_mortal();
	return run((int)fd, interval_ms * NS_PER_MS, argc == 4 ? argv[3] : NULL) ? 1 : 0;
}
