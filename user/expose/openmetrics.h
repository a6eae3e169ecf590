/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot as metrics, in the two text formats that Prometheus and its kin read. One table of
 * families serves both; docs of each family are its HELP line.
 */
#ifndef MLPROF_EXPOSE_OPENMETRICS_H
#define MLPROF_EXPOSE_OPENMETRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "usage/snapshot.h"

enum exposition {
	EXPOSITION_TEXT,	/* Prometheus text 0.0.4 */
	EXPOSITION_OPENMETRICS, /* OpenMetrics text 1.0.0 */
};

/* What scraping has cost so far. The snapshot cannot know: scrapes happen between drains. */
struct scrape_stats {
	uint64_t scrapes;   /* answers to /metrics that were rendered */
	uint64_t scrape_ns; /* what rendering and compressing them took, by the monotonic clock */
};

/*
 * Adds the exposition of `snap` to `to`. Families without a sample are left out: absent is not
 * zero. 0, or -ENOMEM, and then what was added is of no use.
 */
int openmetrics_render(struct buf *to, const struct snapshot *snap,
		       const struct scrape_stats *scrapes, enum exposition form);

#endif
