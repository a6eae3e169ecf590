// SPDX-License-Identifier: Apache-2.0
/* `mlprof top`: asks a running agent again and again, and shows what happened in between. */
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/number.h"
#include "cmd/cmd.h"
#include "screen/agent_link.h"
#include "screen/rates.h"
#include "screen/table.h"

#define DEFAULT_SOCKET "/run/mlprof/agent.sock"
#define NS_PER_S       1000000000ULL
#define LEAST_DELAY_NS (NS_PER_S / 20)
#define MOST_DELAY_NS  (3600 * NS_PER_S)

/* How long an agent that was there may be gone, or make nothing new. */
#define PATIENCE_NS (30 * NS_PER_S)
/* Between two questions where the agent had nothing new. */
#define RETRY_NS (NS_PER_S / 20)

struct top_options {
	const char *socket;
	uint64_t iterations; /* 0 for without end */
	uint64_t delay_ns;
	bool batch, json;
};

struct top {
	struct top_options options;
	struct agent_link *link;
	struct snapshot *before; /* what the next one is compared with */
	uint64_t due_ns;	 /* when the next table is due, by the monotonic clock */
	bool away;		 /* it was said that the agent is gone */
};

static volatile sig_atomic_t stop;

static void on_signal(int signal_number)
{
	(void)signal_number;
	stop = 1;
}

static void help(void)
{
	printf("usage: mlprof top -b [OPTION...]\n\n"
	       "Shows who used the CPUs of this node and who waited for them, from a running agent.\n"
	       "\n"
	       "  -b, --batch      print a table per interval; the only mode there is yet\n"
	       "  -n N             end after N tables (default: never)\n"
	       "  -d SECONDS       length of an interval, 0.05 to 3600 (default: 1)\n"
	       "      --json       print a line of JSON per interval instead\n"
	       "      --socket PATH  where the agent listens (default: %s)\n"
	       "  -h, --help       print this\n\n"
	       "CPU is in cores, WAIT in seconds waited for a CPU per second; WAIT-P50 and -P99 tell\n"
	       "how long half and 99%% of the single waits took at most, - that there was none.\n",
	       DEFAULT_SOCKET);
}

static int parse_count(const char *text, uint64_t *count)
{
	if (read_unsigned(text, 1, UINT64_MAX, count))
		return 0;
	log_error("top: bad number of tables '%s': want 1 or more", text);
	return -EINVAL;
}

static int parse_delay(const char *text, uint64_t *delay_ns)
{
	if (read_seconds(text, LEAST_DELAY_NS, MOST_DELAY_NS, delay_ns))
		return 0;
	log_error("top: bad interval '%s': want 0.05 to 3600 seconds", text);
	return -EINVAL;
}

static int bad_option(int option, const char *text)
{
	if (option == ':')
		log_error("top: option '%s' wants a value; see mlprof top --help", text);
	else
		log_error("top: unknown option '%s'; see mlprof top --help", text);
	return -EINVAL;
}

static int take_option(struct top_options *options, int option)
{
	switch (option) {
	case 'b':
		options->batch = true;
		return 0;
	case 'j':
		options->json = true;
		return 0;
	case 'n':
		return parse_count(optarg, &options->iterations);
	case 'd':
		return parse_delay(optarg, &options->delay_ns);
	case 's':
		options->socket = optarg;
		return 0;
	default:
		return -EINVAL;
	}
}

/* 1 to go on, else 0 (help was printed) or -EINVAL (one line said why). */
static int parse_options(struct top_options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{"batch", no_argument, NULL, 'b'},
		{"json", no_argument, NULL, 'j'},
		{"socket", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option, err;

	while ((option = getopt_long(argc, argv, ":bn:d:h", longs, NULL)) != -1) {
		if (option == 'h') {
			help();
			return 0;
		}
		if (option == '?' || option == ':')
			return bad_option(option, argv[optind - 1]);
		err = take_option(options, option);
		if (err)
			return err;
	}
	if (optind < argc) {
		log_error("top: unexpected '%s'; see mlprof top --help", argv[optind]);
		return -EINVAL;
	}
	if (!options->batch && !options->json) {
		log_error("top: the interactive screen is not there yet; use mlprof top -b");
		return -EINVAL;
	}
	return 1;
}

/* Until then by the monotonic clock, or until a signal asks to stop, which is never missed. */
static void sleep_until(uint64_t due_ns)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), left = due_ns > now ? due_ns - now : 0;
	struct timespec wait = {(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
	sigset_t all, old;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	if (!stop)
		ppoll(NULL, 0, &wait, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

/* Whether a fetch that failed so may succeed later: the agent starts, or starts again. */
static bool may_return(int err)
{
	return err == -EAGAIN || err == -ENOENT || err == -ECONNREFUSED || err == -ECONNRESET ||
	       err == -ETIMEDOUT;
}

/*
 * The agent's newest snapshot. One that was there before may be gone for a while. 0, or -EINTR when
 * asked to stop, or another -errno after a line that says why.
 */
static int fetch(struct top *top, struct snapshot **snap)
{
	uint64_t began = clock_ns(CLOCK_MONOTONIC);
	struct agent_error error;
	int err;

	for (;;) {
		err = agent_link_fetch(top->link, snap, &error);
		if (!err)
			top->away = false;
		if (!err || stop)
			return err ? -EINTR : 0;
		if (!may_return(err) || (!top->before && err != -EAGAIN) ||
		    clock_ns(CLOCK_MONOTONIC) - began > PATIENCE_NS)
			break;
		if (!top->away)
			log_warn("%s; waiting for it", error.text);
		top->away = true;
		sleep_until(clock_ns(CLOCK_MONOTONIC) + 4 * RETRY_NS);
	}
	log_error("%s", error.text);
	return err;
}

/* From now on this one is what the next is compared with. */
static void keep(struct top *top, struct snapshot *snap)
{
	snapshot_put(top->before);
	top->before = snap;
}

/* 0, or -errno: -EPIPE if the reader has left, which is its good right. */
static int show(const struct top *top, const struct rates *rates)
{
	struct buf text = {0};
	int err = top->options.json ? table_print_json(&text, rates) : table_print(&text, rates);

	if (!err && (fwrite(text.data, 1, text.len, stdout) != text.len || fflush(stdout)))
		err = -errno;
	if (err && err != -EPIPE)
		log_error("top: cannot write: %s", strerror(-err));
	buf_free(&text);
	return err;
}

/*
 * Asks until there is something new and shows it. 0 if a table was shown, 1 if not as the agent
 * began anew, -errno after a line that says why, -EINTR when asked to stop.
 */
static int show_next(struct top *top)
{
	uint64_t began = clock_ns(CLOCK_MONOTONIC);
	struct snapshot *snap;
	struct rates rates;
	int err;

	for (;;) {
		err = fetch(top, &snap);
		if (err)
			return err;
		err = rates_make(&rates, top->before, snap);
		if (err != -EAGAIN)
			break;
		snapshot_put(snap);
		if (clock_ns(CLOCK_MONOTONIC) - began > PATIENCE_NS) {
			log_error("the agent has made nothing new for %llu s; is it stuck?",
				  PATIENCE_NS / NS_PER_S);
			return -ETIMEDOUT;
		}
		sleep_until(clock_ns(CLOCK_MONOTONIC) + RETRY_NS);
		if (stop)
			return -EINTR;
	}
	if (!err)
		err = show(top, &rates);
	else if (err == -ESTALE)
		log_warn("the agent began anew, and so does this");
	else
		log_error("out of memory");
	rates_free(&rates);
	keep(top, snap);
	return err == -ESTALE ? 1 : err;
}

static void wait_for_next(struct top *top)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	top->due_ns += top->options.delay_ns;
	if (top->due_ns < now)
		top->due_ns = now;
	sleep_until(top->due_ns);
}

static int run(struct top *top)
{
	uint64_t shown = 0, wanted = top->options.iterations;
	struct snapshot *first;
	int err = fetch(top, &first);

	if (err)
		return err;
	keep(top, first);
	log_info("measuring; the first table comes in %g s", (double)top->options.delay_ns / 1e9);
	top->due_ns = clock_ns(CLOCK_MONOTONIC);
	while (!wanted || shown < wanted) {
		wait_for_next(top);
		if (stop)
			return -EINTR;
		err = show_next(top);
		if (err < 0)
			return err;
		shown += !err;
	}
	return 0;
}

/* A reader that leaves is told by write(), so that the end is quiet and its status 0. */
static void take_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int cmd_top(int argc, char **argv)
{
	struct top top = {.options = {.socket = DEFAULT_SOCKET, .delay_ns = NS_PER_S}};
	int err = parse_options(&top.options, argc, argv);

	if (err <= 0)
		return err ? CMD_USAGE : CMD_OK;
	take_signals();
	curl_global_init(CURL_GLOBAL_DEFAULT);
	top.link = agent_link_new(top.options.socket, &stop);
	err = -ENOMEM;
	if (top.link)
		err = run(&top);
	else
		log_error("out of memory");
	snapshot_put(top.before);
	agent_link_free(top.link);
	curl_global_cleanup();
	return !err || err == -EINTR || err == -EPIPE ? CMD_OK : CMD_FAILED;
}
