// SPDX-License-Identifier: Apache-2.0
/*
 * mlprof agent: sets up the stages of the road that data takes, then drains at every tick of a
 * timer until it is told to stop. The drains are this thread's; the web server has its own.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cmd/agent.h"
#include "cmd/cmd.h"
#include "expose/http.h"
#include "kernel/kernel.h"
#include "owner/hierarchy.h"
#include "owner/names.h"
#include "owner/owners.h"
#include "usage/usage.h"

/* With sampled statistics the kernel measures the programs during one drain interval of so many. */
#define STATS_PERIOD 60

/* A snapshot older than this many intervals means that the drains are stuck. */
#define STALE_INTERVALS 5

/* How often, in drains, it is looked which cgroups still exist, when events of it may be lost. */
#define SWEEP_PERIOD 60

static int learn_cgroup(void *context, uint64_t cgroup, const char *path)
{
	struct agent *agent = context;

	owners_made(agent->owners, cgroup, path);
	agent_memory_made(&agent->memory, cgroup, path);
	return 0;
}

static void forget_cgroup(void *context, uint64_t cgroup)
{
	struct agent *agent = context;

	agent_memory_removed(&agent->memory, cgroup);
	kernel_forget_cgroup(agent->kernel, cgroup);
}

/* Once in a while, and only if an event may have been missed, finds cgroups that came or went. */
static void sweep(struct agent *agent)
{
	uint64_t lost = usage_events_lost(agent->usage);

	if (agent->drains % SWEEP_PERIOD)
		return;
	if (lost == agent->swept_at_losses && !agent->removals_unknown)
		return;
	/* A cgroup that is found again is no news; if the walk fails, the next one may not. */
	if (lost != agent->swept_at_losses)
		hierarchy_walk(&agent->hierarchy, learn_cgroup, agent);
	agent->swept_at_losses = lost;
	owners_sweep(agent->owners, clock_ns(CLOCK_MONOTONIC), forget_cgroup, agent);
}

static void turn_stats(struct agent *agent)
{
	bool on = agent->options.stats == STATS_ALWAYS ||
		  (agent->options.stats == STATS_SAMPLED && agent->drains % STATS_PERIOD == 1);
	int err = kernel_set_stats(agent->kernel, on);

	if (err) {
		log_warn("cannot have the BPF programs measured: %s; going on without",
			 strerror(-err));
		agent->options.stats = STATS_NEVER;
	}
}

/* When a source of lists last gave a good answer. */
static uint64_t names_answered_ns(struct agent *agent)
{
	struct names_status status[NAMES_SOURCES];
	uint64_t last = 0;

	names_status(agent->names, status);
	for (int i = 0; i < NAMES_SOURCES; i++)
		if (i != NAMES_POD_RESOURCES && status[i].good_ns > last)
			last = status[i].good_ns;
	return last;
}

/* A newer list of pods, if there is one; and if there are pods that it has not, the next one soon. */
static void learn_names(struct agent *agent)
{
	uint64_t answered_ns = names_answered_ns(agent);
	const struct pods *pods;

	if (answered_ns != agent->names_ns) {
		pods = names_get(agent->names, NULL);
		if (pods)
			usage_learn(agent->usage, pods, clock_ns(CLOCK_MONOTONIC));
		pods_put(pods);
		agent->names_ns = answered_ns;
	}
	if (owners_want_names(agent->owners))
		names_hurry(agent->names);
}

static void drain(struct agent *agent)
{
	const struct record_sink sink = agent_sink(agent);
	uint64_t begun = clock_ns(CLOCK_MONOTONIC);
	int err;

	agent->drains++;
	learn_names(agent);
	usage_begin(agent->usage, begun);
	err = kernel_drain(agent->kernel, &sink);
	usage_end(agent->usage);
	agent_memory_sample(&agent->memory);
	agent_gpu_sample(&agent->gpu, begun);
	sweep(agent);
	if (!err)
		err = agent_publish(agent);
	if (err && agent->drains == 1)
		log_error(
			"cannot flush the accounts: %s; this kernel may not run a BPF program on a "
			"chosen CPU, see mlprof doctor",
			strerror(-err));
	else if (err && err != agent->last_error)
		log_error("cannot flush the accounts: %s; trying again at every interval",
			  strerror(-err));
	agent->last_error = err;
	turn_stats(agent);
	agent->drain_ns += clock_ns(CLOCK_MONOTONIC) - begun;
}

static int make_socket_directory(const char *socket)
{
	char directory[PATH_MAX];
	char *slash;

	snprintf(directory, sizeof(directory), "%s", socket);
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return 0;
	*slash = 0;
	return mkdir(directory, 0755) && errno != EEXIST ? -errno : 0;
}

static int start_http(struct agent *agent)
{
	const struct agent_options *o = &agent->options;
	struct expose_error error = {0};
	struct http_options http = {
		.listen = o->listen[0] ? o->listen : NULL,
		.socket = o->socket[0] ? o->socket : NULL,
		.board = agent->board,
		.stale_after_ns = STALE_INTERVALS * o->interval_ns,
	};
	int err = http.socket ? make_socket_directory(http.socket) : 0;

	if (err) {
		log_error(
			"cannot make the directory of socket %s: %s; choose another with --socket",
			o->socket, strerror(-err));
		return err;
	}
	err = http_start(&http, &agent->http, &error);
	if (err)
		log_error("%s", error.text);
	/* An address or a path that can never be one was asked for in a wrong way. */
	agent->usage_error = err == -EINVAL || err == -ENAMETOOLONG;
	return err;
}

static const char *early_socket;

/* Nothing of ours outlives the process but the socket's name. */
static void end_early(int signal_number)
{
	(void)signal_number;
	if (early_socket)
		unlink(early_socket);
	_exit(CMD_OK);
}

/*
 * The verifier may take seconds for all programs, and whoever wants the agent to end is not to wait
 * for it: meanwhile a signal ends the process there and then. This thread only; the others leave
 * signals to the signalfd.
 */
static int open_kernel(struct agent *agent, const struct kernel_options *options)
{
	struct sigaction end = {.sa_handler = end_early};
	sigset_t set;
	int err;

	early_socket = agent->options.socket[0] ? agent->options.socket : NULL;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	err = kernel_open(options, &agent->kernel);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return err;
}

static int start_kernel(struct agent *agent)
{
	struct kernel_options options = {
		.ring_bytes = agent->options.ring_bytes,
		.slots = (unsigned int)agent->options.slots,
		.cgroup_v1 = agent->hierarchy.v1,
		.hierarchy_id = agent->hierarchy.id,
	};
	const struct kernel_feature *features;
	size_t nr;
	int err = open_kernel(agent, &options);

	if (err) {
		log_error("%s", agent->kernel ? kernel_failure(agent->kernel) : strerror(-err));
		return err;
	}
	features = kernel_features(agent->kernel, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (features[i].up || features[i].nowhere)
			continue;
		log_warn("going on without %s: %s", features[i].name, features[i].reason);
		agent->removals_unknown |= !strcmp(features[i].name, "cgroup_removed");
	}
	return 0;
}

static int start(struct agent *agent)
{
	struct owners_options owners = {
		.hierarchy = &agent->hierarchy,
		.max_owners = agent->options.most_owners,
		.max_pods = agent->options.most_pods,
		.keep_ns = agent->options.keep_ns,
	};
	const char *missing = kernel_capabilities_missing();
	int err;

	if (missing) {
		log_error("cannot attach to the kernel: %s", missing);
		return -EPERM;
	}
	err = hierarchy_open(agent->options.cgroup_root, &agent->hierarchy);
	if (err)
		return err;
	agent->board = snapshot_board_new();
	agent->owners = owners_new(&owners);
	agent->usage = agent->owners ? usage_new(agent->owners, agent->options.gpu_in_order) : NULL;
	if (!agent->board || !agent->usage) {
		log_error("memory is out");
		return -ENOMEM;
	}
	/* The address before the programs: what is in use by another is found out soonest. */
	err = start_http(agent);
	if (err)
		return err;
	agent->start_realtime_ns = clock_ns(CLOCK_REALTIME);
	err = start_kernel(agent);
	if (err)
		return err;
	agent_memory_start(&agent->memory, agent->kernel, &agent->hierarchy,
			   usage_memory(agent->usage), agent->options.interval_ns);
	agent_gpu_start(&agent->gpu, &(struct agent_gpu_options){
					     .kernel = agent->kernel,
					     .usage = agent->usage,
					     .cgroup_v1 = agent->hierarchy.v1,
					     .in_order = agent->options.gpu_in_order,
					     .root = agent->options.gpu_root,
				     });
	agent->names = names_start(&agent->options.names);
	if (!agent->names) {
		log_error("memory is out");
		return -ENOMEM;
	}
	/* After attaching, so that a cgroup made meanwhile is in the walk or in an event. */
	err = hierarchy_walk(&agent->hierarchy, learn_cgroup, agent);
	if (err)
		log_error("cannot read the cgroups below %s: %s", agent->hierarchy.root,
			  strerror(-err));
	if (!err)
		drain(agent);
	/* Loading has read the types of the whole kernel, twice; nobody needs them any more. */
	malloc_trim(0);
	/* What fails the first time is this kernel's way, and will fail again. */
	return err ? err : agent->last_error;
}

static void stop(struct agent *agent)
{
	http_stop(agent->http);
	names_stop(agent->names);
	agent_memory_stop(&agent->memory);
	agent_gpu_stop(&agent->gpu); /* before the kernel, whose rings it writes to */
	kernel_close(agent->kernel);
	usage_free(agent->usage);
	owners_free(agent->owners);
	snapshot_board_free(agent->board);
	hierarchy_close(&agent->hierarchy);
}

/* A timer for drains and a descriptor for signals to end, both in one epoll. */
static int open_events(const struct agent_options *options, int *timer, int *signals)
{
	struct itimerspec every = {
		.it_interval = {(time_t)(options->interval_ns / 1000000000u),
				(long)(options->interval_ns % 1000000000u)},
	};
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	sigset_t set;

	every.it_value = every.it_interval;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	*signals = signalfd(-1, &set, SFD_CLOEXEC);
	*timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (epoll < 0 || *signals < 0 || *timer < 0 || timerfd_settime(*timer, 0, &every, NULL))
		return -errno;
	event.data.fd = *signals;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, *signals, &event))
		return -errno;
	event.data.fd = *timer;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, *timer, &event))
		return -errno;
	return epoll;
}

static int run(struct agent *agent)
{
	struct epoll_event event;
	int timer, signals, epoll;
	uint64_t ticks;

	epoll = open_events(&agent->options, &timer, &signals);
	if (epoll < 0) {
		log_error("cannot set up the agent's timer: %s", strerror(-epoll));
		return epoll;
	}
	for (;;) {
		if (epoll_wait(epoll, &event, 1, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (event.data.fd == signals)
			return 0;
		/* Ticks that were missed while a drain took longer are one drain. */
		if (read(timer, &ticks, sizeof(ticks)) == sizeof(ticks))
			drain(agent);
	}
}

/* Before any thread is made, so that all of them leave these signals to the signalfd. */
static void block_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int cmd_agent(int argc, char **argv)
{
	struct agent agent = {.hierarchy.root_fd = -1};
	int err = agent_options_read(&agent.options, argc, argv);

	if (err)
		return err - 1;
	log_setup(agent.options.log_format, agent.options.log_level);
	block_signals();
	err = start(&agent);
	if (!err) {
		log_info("watching %s at %s", agent.hierarchy.v1 ? "cgroup v1 (cpu)" : "cgroup v2",
			 agent.hierarchy.root);
		if (agent.options.listen[0])
			log_info("serving /metrics on %s", agent.options.listen);
		err = run(&agent);
	}
	stop(&agent);
	if (err)
		return agent.usage_error ? CMD_USAGE : CMD_FAILED;
	return CMD_OK;
}
