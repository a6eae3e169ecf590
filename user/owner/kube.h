/* SPDX-License-Identifier: Apache-2.0 */
/* The two servers that have lists of pods: the kubelet of this node, and the API server. */
#ifndef MLPROF_OWNER_KUBE_H
#define MLPROF_OWNER_KUBE_H

#include "owner/https.h"
#include "owner/podlist.h"

/*
 * Ask for the pods of this node. 0 and a list that is the caller's; -ECANCELED when stopped; -EIO,
 * and `error` says why. `skipped` is what was left out of a good list. The kubelet tells of its own
 * pods only; `options->node` is needed for the API server.
 */
int kubelet_ask(struct fetcher *fetcher, const struct https_server *server,
		const struct podlist_options *options, const struct pods **pods,
		struct podlist_skipped *skipped, struct fetch_error *error);
int api_server_ask(struct fetcher *fetcher, const struct https_server *server,
		   const struct podlist_options *options, const struct pods **pods,
		   struct podlist_skipped *skipped, struct fetch_error *error);

#endif
