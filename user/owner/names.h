/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the names of pods come from: kubelet, API server, the directories of /var/log, asked again
 * and again by a thread of its own. None of them can stop or delay the agent; the last good answer
 * stays until there is a better one.
 */
#ifndef MLPROF_OWNER_NAMES_H
#define MLPROF_OWNER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "owner/pods.h"

/* NULL or "" for what is not to be asked. Strings must outlive names_stop(). */
struct names_options {
	const char *kubelet;	/* https://HOST:10250 */
	const char *api_server; /* https://HOST:PORT */
	const char *node;	/* name of this node, for the API server's field selector */
	const char *token_file; /* read again for each request: it is rotated */
	const char *ca_file;	/* whom the servers' certificates must come from */
	bool insecure_tls;	/* do not check the kubelet's: many sign their own */
	const char *pod_logs;	/* /var/log/pods; the containers are beside it in ../containers */
	const char *pod_resources; /* the kubelet's socket of devices */
	const char *labels;	   /* comma-separated: those to keep, of the pods' labels */
	uint64_t interval_ns;	   /* between two requests when all is well */
};

enum names_source {
	NAMES_KUBELET,
	NAMES_API_SERVER,
	NAMES_POD_LOGS,
	NAMES_POD_RESOURCES,
	NAMES_SOURCES,
};

enum names_failure {
	NAMES_UNREACHABLE,  /* no connection */
	NAMES_TIMEOUT,	    /* none or half an answer in time */
	NAMES_TLS,	    /* certificate expired, of another CA or for another host */
	NAMES_UNAUTHORIZED, /* 401, or no token */
	NAMES_FORBIDDEN,    /* 403: a role is missing */
	NAMES_NOT_FOUND,    /* 404 */
	NAMES_STATUS,	    /* any other status that is not 200 */
	NAMES_TOO_LARGE,
	NAMES_MALFORMED,
	NAMES_FAILURES,
};

/* As metrics spell them, by enum names_source and enum names_failure. */
extern const char *const names_source_names[NAMES_SOURCES];
extern const char *const names_failure_names[NAMES_FAILURES];

/* How it stands with a source. */
struct names_status {
	bool asked;	  /* it is configured and there */
	bool up;	  /* its last answer was good */
	uint64_t good_ns; /* CLOCK_MONOTONIC of its last good answer; 0: never */
	uint64_t skipped; /* what its last good answer had that could not be used */
	uint64_t failures[NAMES_FAILURES];
};

struct names;

/* Starts the thread. NULL when memory is out; a source that is not there is no error. */
struct names *names_start(const struct names_options *options);
void names_stop(struct names *names);

/* Ask soon: a pod was seen whose name is not known. Cheap, and bounded in its effect. */
void names_hurry(struct names *names);

/* The newest list, held for the caller, or NULL before the first answer. `generation`, which may
 * be NULL, grows with each list that differs. */
const struct pods *names_get(struct names *names, uint64_t *generation);

void names_status(struct names *names, struct names_status status[NAMES_SOURCES]);

#endif
