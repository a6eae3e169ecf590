/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client accepts, from its Accept and Accept-Encoding headers (RFC 9110, 12.5): weights,
 * wildcards, parameters and quoted strings. Headers are foreign bytes: what does not parse is
 * passed over, and only the first NEGOTIATE_MAX_BYTES are looked at.
 */
#ifndef MLPROF_EXPOSE_NEGOTIATE_H
#define MLPROF_EXPOSE_NEGOTIATE_H

#include <stdbool.h>

#include "expose/openmetrics.h"

#define NEGOTIATE_MAX_BYTES 8192

struct negotiated {
	enum exposition form;
	const char *content_type; /* as to be sent; a constant */
};

/*
 * The format for a client that sent this Accept header, NULL if it sent none. Where nothing it
 * accepts can be had it gets Prometheus text 0.0.4 all the same, as Prometheus' documentation says.
 */
struct negotiated negotiate_form(const char *accept);

/* Whether to compress with gzip for a client that sent this Accept-Encoding, NULL if none. */
bool negotiate_gzip(const char *accept_encoding);

#endif
