// SPDX-License-Identifier: Apache-2.0
/*
 * The thread that asks for names. The kubelet comes first; the API server is asked while the
 * kubelet fails, so that thousands of nodes do not ask it all the time; the logs' directories while
 * both do. Devices are asked for beside them.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "owner/kube.h"
#include "owner/names_source.h"
#include "owner/pod_logs.h"
#include "owner/pod_resources.h"

#define SECOND		1000000000ull
#define LEAST_INTERVAL	(SECOND / 10)
#define LEAST_HURRY_GAP SECOND
#define API_HURRY_GAP	(10 * SECOND) /* all nodes of a cluster share that server */

/* A busy node takes a second to write its list; the sockets are on this machine. */
static const struct fetch_limits list_limits = {3000, 15000, (size_t)64 << 20};
static const struct fetch_limits device_limits = {1000, 5000, (size_t)16 << 20};

struct names {
	struct names_options options;
	struct fetcher *fetcher;
	pthread_t thread;
	atomic_bool hurry;

	/* Of the thread alone. */
	struct source source[NAMES_SOURCES];
	const struct pods *listed;  /* the last good answer of kubelet or API server */
	const struct pods *logged;  /* what the logs had to add since; NULL: not needed */
	const struct pods *devices; /* of the pod-resources socket */
	uint64_t asked_ns;	    /* when names were last asked for */
	uint64_t hurry_gap_ns;	    /* grows while hurrying finds nothing new */
	uint64_t rest_ns; /* after a round that was long, for the kubelet's sake and ours */

	pthread_mutex_t lock; /* for what follows */
	const struct pods *newest;
	uint64_t generation;
	struct names_status status[NAMES_SOURCES];
};

static void replace(const struct pods **place, const struct pods *with)
{
	pods_put(*place);
	*place = with;
}

static struct https_server server_of(const struct names *names, enum names_source which)
{
	return (struct https_server){
		.url = names->source[which].at,
		.token_file = names->options.token_file,
		.ca_file = names->options.ca_file,
		.insecure = names->options.insecure_tls && which == NAMES_KUBELET,
		.limits = list_limits,
	};
}

/* Kubelet or API server. */
static void ask_server(struct names *names, enum names_source which)
{
	struct podlist_options options = {names->options.labels, names->options.node, false};
	struct https_server server = server_of(names, which);
	struct source *source = &names->source[which];
	struct podlist_skipped skipped = {0};
	const struct pods *pods = NULL;
	struct fetch_error error = {0};
	int err;

	err = (which == NAMES_KUBELET ? kubelet_ask : api_server_ask)(
		names->fetcher, &server, &options, &pods, &skipped, &error);
	if (err == -EIO)
		source_failed(source, &error, names->options.interval_ns);
	if (err)
		return;
	replace(&names->listed, pods);
	replace(&names->logged, NULL);
	source_good(source, pods->nr, skipped.pods + skipped.duplicates + skipped.fields,
		    names->options.interval_ns);
}

static void logs_failed(struct source *source, int err, uint64_t interval_ns)
{
	enum names_failure failure = NAMES_UNREACHABLE;
	struct fetch_error error;

	if (err == -ENOENT) {
		source_absent(source, interval_ns);
		return;
	}
	if (err == -EACCES || err == -EPERM)
		failure = NAMES_FORBIDDEN;
	fetch_fail(&error, failure, "%s", strerror(-err));
	source_failed(source, &error, interval_ns);
}

static void read_logs(struct names *names)
{
	struct source *source = &names->source[NAMES_POD_LOGS];
	uint64_t skipped, interval_ns = names->options.interval_ns;
	const struct pods *pods = NULL;
	int err = pod_logs_read(source->at, &pods, &skipped);

	if (err) {
		logs_failed(source, err, interval_ns);
		return;
	}
	replace(&names->logged, pods);
	source_good(source, pods->nr, skipped, interval_ns);
}

static void ask_devices(struct names *names)
{
	struct source *source = &names->source[NAMES_POD_RESOURCES];
	uint64_t skipped, interval_ns = names->options.interval_ns;
	const struct pods *devices = NULL;
	struct fetch_error error;
	int err;

	if (access(source->at, F_OK) && errno == ENOENT) {
		source_absent(source, interval_ns);
		return;
	}
	err = pod_resources_ask(names->fetcher, source->at, &device_limits, &devices, &skipped,
				&error);
	if (err == -EIO)
		source_failed(source, &error, interval_ns);
	if (err)
		return;
	replace(&names->devices, devices);
	source_good(source, devices->nr_devices, skipped, interval_ns);
}

static bool is_up(const struct names *names, enum names_source which)
{
	return source_is_set(&names->source[which]) && names->source[which].status.up;
}

/* Whether a source is to be asked as things stand. */
static bool is_needed(const struct names *names, enum names_source which)
{
	if (!source_is_set(&names->source[which]))
		return false;
	switch (which) {
	case NAMES_API_SERVER:
		return *names->options.node && !is_up(names, NAMES_KUBELET);
	case NAMES_POD_LOGS:
		return !is_up(names, NAMES_KUBELET) &&
		       !(is_needed(names, NAMES_API_SERVER) && is_up(names, NAMES_API_SERVER));
	default:
		return true;
	}
}

/* Before which nobody is asked in a hurry. */
static uint64_t hurry_from_ns(const struct names *names)
{
	uint64_t gap_ns = names->hurry_gap_ns;

	if (is_needed(names, NAMES_API_SERVER) && is_up(names, NAMES_API_SERVER) &&
	    gap_ns < API_HURRY_GAP)
		gap_ns = API_HURRY_GAP;
	if (gap_ns < names->rest_ns)
		gap_ns = names->rest_ns;
	return names->asked_ns + gap_ns;
}

/* When to ask it: a hurry brings that forward, but does not press what fails. */
static uint64_t due_ns(const struct names *names, enum names_source which, bool hurry)
{
	const struct source *source = &names->source[which];
	uint64_t soon = hurry_from_ns(names);

	return hurry && source->status.up && soon < source->due_ns ? soon : source->due_ns;
}

static void ask(struct names *names, enum names_source which)
{
	switch (which) {
	case NAMES_POD_LOGS:
		read_logs(names);
		break;
	case NAMES_POD_RESOURCES:
		ask_devices(names);
		break;
	default:
		ask_server(names, which);
		break;
	}
}

/* The newest of all: NULL when memory is out or nothing is known yet. */
static const struct pods *compose(const struct names *names)
{
	const struct pods *pods, *all;

	if (!names->listed && !names->logged && !names->devices)
		return NULL;
	if (names->listed && names->logged)
		pods = pods_merge(names->listed, names->logged);
	else
		pods = pods_hold(names->listed ? names->listed : names->logged);
	all = pods || !names->listed ? pods_join(pods, names->devices) : NULL;
	pods_put(pods);
	return all;
}

/* True if there is something new in it. */
static bool publish(struct names *names)
{
	const struct pods *made = compose(names);
	bool news = made && !pods_same(made, names->newest);

	pthread_mutex_lock(&names->lock);
	for (int i = 0; i < NAMES_SOURCES; i++) {
		names->status[i] = names->source[i].status;
		names->status[i].asked &= is_needed(names, i);
	}
	if (news) {
		const struct pods *old = names->newest;

		names->newest = made;
		made = old;
		names->generation++;
	}
	pthread_mutex_unlock(&names->lock);
	pods_put(made);
	return news;
}

/* Somebody may hurry for ever for a pod that nobody knows. */
static void set_hurry_gap(struct names *names, bool early, bool news)
{
	uint64_t gap_ns = names->hurry_gap_ns * 2, most = names->options.interval_ns;

	if (news)
		names->hurry_gap_ns = LEAST_HURRY_GAP;
	else if (early)
		names->hurry_gap_ns = gap_ns < most ? gap_ns : most;
	if (names->hurry_gap_ns < LEAST_HURRY_GAP)
		names->hurry_gap_ns = LEAST_HURRY_GAP;
}

/* A list of 500 pods costs both sides a tenth of a second; hurry may take a tenth of a CPU. */
static void set_rest(struct names *names, uint64_t took_ns)
{
	uint64_t most = names->options.interval_ns;

	names->rest_ns = took_ns < most / 10 ? took_ns * 10 : most;
}

/* Whether this round answers a hurry; what hurries from then on is for the next. */
static bool take_hurry(struct names *names, uint64_t now)
{
	return now >= hurry_from_ns(names) && atomic_exchange(&names->hurry, false);
}

/* Asks all whose time has come, in their order: what one answers decides about the next. */
static void ask_round(struct names *names)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	bool hurry = take_hurry(names, now), asked = false, early = false;

	for (int i = 0; i < NAMES_SOURCES && !fetcher_stopped(names->fetcher); i++) {
		if (!is_needed(names, i) || due_ns(names, i, hurry) > now)
			continue;
		early |= names->source[i].due_ns > now;
		asked = true;
		ask(names, i);
	}
	if (!asked || fetcher_stopped(names->fetcher))
		return;
	names->asked_ns = now;
	set_rest(names, clock_ns(CLOCK_MONOTONIC) - now);
	set_hurry_gap(names, early, publish(names));
}

static uint64_t next_due(const struct names *names)
{
	bool hurry = atomic_load(&names->hurry);
	uint64_t next = UINT64_MAX;

	for (int i = 0; i < NAMES_SOURCES; i++)
		if (is_needed(names, i) && due_ns(names, i, hurry) < next)
			next = due_ns(names, i, hurry);
	return next;
}

static void *run(void *arg)
{
	struct names *names = arg;

	while (!fetcher_stopped(names->fetcher)) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC), next = next_due(names);

		if (next > now)
			fetcher_sleep(names->fetcher, next - now);
		else
			ask_round(names);
	}
	return NULL;
}

static const char *or_nothing(const char *text)
{
	return text ? text : "";
}

static void set_options(struct names *names, const struct names_options *options)
{
	names->options = *options;
	names->options.node = or_nothing(options->node);
	names->options.labels = or_nothing(options->labels);
	if (options->interval_ns < LEAST_INTERVAL)
		names->options.interval_ns = LEAST_INTERVAL;
	names->hurry_gap_ns = LEAST_HURRY_GAP;
	source_init(&names->source[NAMES_KUBELET], NAMES_KUBELET, options->kubelet);
	source_init(&names->source[NAMES_API_SERVER], NAMES_API_SERVER, options->api_server);
	source_init(&names->source[NAMES_POD_LOGS], NAMES_POD_LOGS, options->pod_logs);
	source_init(&names->source[NAMES_POD_RESOURCES], NAMES_POD_RESOURCES,
		    options->pod_resources);
}

static void warn_of_options(const struct names *names)
{
	if (source_is_set(&names->source[NAMES_API_SERVER]) && !*names->options.node)
		log_warn("the API server at %s is not asked for names: the name of this node is "
			 "not given",
			 names->options.api_server);
	if (source_is_set(&names->source[NAMES_KUBELET]) && names->options.insecure_tls)
		log_warn("the certificate of the kubelet at %s is not checked: whoever takes that "
			 "address gets the token",
			 names->options.kubelet);
}

static void free_names(struct names *names)
{
	fetcher_free(names->fetcher);
	pods_put(names->listed);
	pods_put(names->logged);
	pods_put(names->devices);
	pods_put(names->newest);
	free(names);
}

/* Signals are for the thread that waits for them. */
static int start_thread(struct names *names)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&names->thread, NULL, run, names);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

struct names *names_start(const struct names_options *options)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	set_options(names, options);
	pthread_mutex_init(&names->lock, NULL);
	names->fetcher = fetcher_new();
	if (!names->fetcher || start_thread(names)) {
		free_names(names);
		return NULL;
	}
	warn_of_options(names);
	return names;
}

void names_stop(struct names *names)
{
	if (!names)
		return;
	fetcher_stop(names->fetcher);
	pthread_join(names->thread, NULL);
	pthread_mutex_destroy(&names->lock);
	free_names(names);
}

/* Only the first of many has to wake the thread. */
void names_hurry(struct names *names)
{
	if (!atomic_exchange(&names->hurry, true))
		fetcher_wake(names->fetcher);
}

const struct pods *names_get(struct names *names, uint64_t *generation)
{
	const struct pods *pods;

	pthread_mutex_lock(&names->lock);
	pods = pods_hold(names->newest);
	if (generation)
		*generation = names->generation;
	pthread_mutex_unlock(&names->lock);
	return pods;
}

void names_status(struct names *names, struct names_status status[NAMES_SOURCES])
{
	pthread_mutex_lock(&names->lock);
	memcpy(status, names->status, sizeof(names->status));
	pthread_mutex_unlock(&names->lock);
}
