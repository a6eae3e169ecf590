// SPDX-License-Identifier: Apache-2.0
/*
 * The state of a source. A line in the log when it changes, then one every few minutes while it is
 * bad; one that changes all the time gets no more than that for each state either.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "owner/names_source.h"

#define SECOND	    1000000000ull
#define FIRST_RETRY SECOND
#define LAST_RETRY  (60 * SECOND)
#define SAY_AGAIN   (300 * SECOND)

const char *const names_source_names[NAMES_SOURCES] = {
	[NAMES_KUBELET] = "kubelet",
	[NAMES_API_SERVER] = "api_server",
	[NAMES_POD_LOGS] = "pod_logs",
	[NAMES_POD_RESOURCES] = "pod_resources",
};

const char *const names_failure_names[NAMES_FAILURES] = {
	[NAMES_UNREACHABLE] = "unreachable",
	[NAMES_TIMEOUT] = "timeout",
	[NAMES_TLS] = "tls",
	[NAMES_UNAUTHORIZED] = "unauthorized",
	[NAMES_FORBIDDEN] = "forbidden",
	[NAMES_NOT_FOUND] = "not_found",
	[NAMES_STATUS] = "status",
	[NAMES_TOO_LARGE] = "too_large",
	[NAMES_MALFORMED] = "malformed",
};

static const char *const spoken[NAMES_SOURCES] = {
	[NAMES_KUBELET] = "the kubelet at",
	[NAMES_API_SERVER] = "the API server at",
	[NAMES_POD_LOGS] = "the directory of pod logs",
	[NAMES_POD_RESOURCES] = "the kubelet's pod-resources socket",
};

/* What to do, where that depends on who was asked. */
static const char *const own_advice[NAMES_SOURCES][NAMES_FAILURES] = {
	[NAMES_KUBELET] =
		{
			[NAMES_UNREACHABLE] = "is that the address that the kubelet listens on?",
			[NAMES_TLS] =
				"give the CA that signed the kubelet's certificate, or, if it "
				"signs its own, do not have it checked",
			[NAMES_FORBIDDEN] =
				"allow its service account \"get\" on \"nodes/pods\", or on "
				"\"nodes/proxy\" if Kubernetes is older than 1.33",
		},
	[NAMES_API_SERVER] =
		{
			[NAMES_UNREACHABLE] = "is the address of the API server right?",
			[NAMES_TLS] = "give the CA of the cluster",
			[NAMES_FORBIDDEN] = "allow its service account \"list\" on \"pods\"",
		},
	[NAMES_POD_LOGS] =
		{
			[NAMES_FORBIDDEN] = ("mlprof needs to read it: run as root or with "
					     "CAP_DAC_READ_SEARCH"),
		},
	[NAMES_POD_RESOURCES] =
		{
			[NAMES_UNREACHABLE] = "is the kubelet running?",
		},
};

/* And where it does not. */
static const char *const advice[NAMES_FAILURES] = {
	[NAMES_UNREACHABLE] = "can it be reached from here?",
	[NAMES_TIMEOUT] = "it is overloaded or hangs",
	[NAMES_TLS] = "is the right CA given?",
	[NAMES_UNAUTHORIZED] = "is the token file that of a service account of this cluster?",
	[NAMES_FORBIDDEN] = "a permission is missing",
	[NAMES_NOT_FOUND] = "is it what it is taken for?",
	[NAMES_STATUS] = "its own log may say more",
	[NAMES_TOO_LARGE] = "is it what it is taken for?",
	[NAMES_MALFORMED] = "it was cut short, or something else listens there",
};

void source_init(struct source *source, enum names_source which, const char *at)
{
	*source = (struct source){.which = which, .at = at};
}

bool source_is_set(const struct source *source)
{
	return source->at && *source->at;
}

/* Between half of it and all: nodes that fail together shall not come back together. */
static uint64_t jitter(uint64_t ns)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)clock_ns(CLOCK_MONOTONIC);
	return ns - (uint64_t)((double)ns / 2 * random / UINT32_MAX);
}

static uint64_t retry_after(unsigned int failures, uint64_t interval_ns)
{
	uint64_t most = interval_ns > LAST_RETRY ? interval_ns : LAST_RETRY;
	uint64_t ns = interval_ns < FIRST_RETRY ? interval_ns : FIRST_RETRY;

	while (--failures && ns < most)
		ns *= 2;
	return jitter(ns < most ? ns : most);
}

/*
 * Whether now is the time for a line about a failure. That it is good again is only said after
 * such a line, so that is bounded too.
 */
static bool is_news(struct source *source, enum names_failure failure)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), *at = &source->said_ns[failure];

	if (*at && now - *at < SAY_AGAIN)
		return false;
	source->said_bad = true;
	*at = now;
	return true;
}

static void say_skipped(struct source *source, uint64_t skipped)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (!skipped || (source->said_skipped_ns && now - source->said_skipped_ns < SAY_AGAIN))
		return;
	source->said_skipped_ns = now;
	log_warn(
		"%s %s: %llu entries of its answer were left out: incomplete, repeated or too many",
		spoken[source->which], source->at, (unsigned long long)skipped);
}

void source_good(struct source *source, size_t nr, uint64_t skipped, uint64_t interval_ns)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	const char *what = source->which == NAMES_POD_RESOURCES ? "devices" : "pods";

	source->failed_in_a_row = 0;
	source->status.asked = source->status.up = true;
	source->status.good_ns = now;
	source->due_ns = now + interval_ns - interval_ns / 8 + jitter(interval_ns / 8);
	source->status.skipped = skipped;
	say_skipped(source, skipped);
	if (!source->said_good || source->said_bad)
		log_info("%s %s gives %zu %s", spoken[source->which], source->at, nr, what);
	source->said_good = true;
	source->said_bad = false;
}

void source_failed(struct source *source, const struct fetch_error *error, uint64_t interval_ns)
{
	const char *what = source->which == NAMES_POD_RESOURCES ? "devices" : "names";
	const char *todo = own_advice[source->which][error->failure];
	uint64_t wait_ns = retry_after(++source->failed_in_a_row, interval_ns);

	source->status.asked = true;
	source->status.up = false;
	source->status.failures[error->failure]++;
	source->due_ns = clock_ns(CLOCK_MONOTONIC) + wait_ns;
	if (is_news(source, error->failure))
		log_warn("%s %s gives no %s: %s; %s (%s known so far are kept, next try in %.1f s)",
			 spoken[source->which], source->at, what, error->text,
			 todo ? todo : advice[error->failure], what, (double)wait_ns / SECOND);
}

void source_absent(struct source *source, uint64_t interval_ns)
{
	source->status.asked = source->status.up = false;
	source->failed_in_a_row = 0;
	source->due_ns = clock_ns(CLOCK_MONOTONIC) + interval_ns;
}
