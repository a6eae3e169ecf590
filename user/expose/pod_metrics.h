/* SPDX-License-Identifier: Apache-2.0 */
/* What the cluster says of pods, and how it stands with those who say so, as metrics. */
#ifndef MLPROF_EXPOSE_POD_METRICS_H
#define MLPROF_EXPOSE_POD_METRICS_H

#include "expose/metric_writer.h"

/* Adds the families to what the writer writes. 0 or -ENOMEM. */
int put_pod_families(struct writer *w);

#endif
