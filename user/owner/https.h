/* SPDX-License-Identifier: Apache-2.0 */
/* GET over HTTPS with the token of a service account. */
#ifndef MLPROF_OWNER_HTTPS_H
#define MLPROF_OWNER_HTTPS_H

#include "owner/fetch.h"

struct https_server {
	const char *url;	/* https://HOST:PORT */
	const char *token_file; /* read for each request; NULL or "": send none */
	const char *ca_file;	/* NULL or "": those that this machine trusts */
	bool insecure;		/* do not check the certificate */
	struct fetch_limits limits;
};

/*
 * Gets `path`, which begins with a slash, into the end of `body`. Only a status of 200 is good. 0;
 * -ECANCELED when stopped; -EIO, and `error` says why. The token goes to no other server and over
 * nothing but TLS.
 */
int https_get(struct fetcher *fetcher, const struct https_server *server, const char *path,
	      struct buf *body, struct fetch_error *error);

#endif
