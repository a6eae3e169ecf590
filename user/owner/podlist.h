/* SPDX-License-Identifier: Apache-2.0 */
/* A PodList of the Kubernetes API, in one or more pages, into a list of pods. */
#ifndef MLPROF_OWNER_PODLIST_H
#define MLPROF_OWNER_PODLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "owner/pods.h"

struct podlist_options {
	const char *labels; /* comma-separated: those to keep; NULL for none */
	const char *node;   /* leave out what is bound to another node; NULL: take all */
	bool from_kubelet;  /* and not from the API server */
};

/* What was left out. */
struct podlist_skipped {
	uint64_t pods;	     /* without a name, namespace or UID, or more than PODS_MAX */
	uint64_t duplicates; /* a UID, or a static pod's hash, for the second time */
	uint64_t elsewhere;  /* on another node */
	uint64_t fields;     /* of a wrong type, too long or no quantity, of pods that are kept */
};

struct podlist;

/* What the options point to must outlive it. NULL when memory is out. */
struct podlist *podlist_new(const struct podlist_options *options);
void podlist_free(struct podlist *list);

/*
 * Reads one page. Memory is bounded by what the pods' own fields need and one pod's JSON, whatever
 * the page holds. 0; -EBADMSG if it is no PodList or not all of one; -ENOMEM. After an error
 * the list is only good for podlist_free().
 */
int podlist_read(struct podlist *list, const char *text, size_t bytes);

/* Where the server goes on, as it wants to be told; "" after the last page. Good until the next. */
const char *podlist_continue(const struct podlist *list);

/* The pods of all pages, held for the caller; NULL when memory is out. `skipped` may be NULL. */
const struct pods *podlist_done(struct podlist *list, struct podlist_skipped *skipped);

#endif
