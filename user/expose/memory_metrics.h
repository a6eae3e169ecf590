/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, throttling, stalls and pressure of pods and containers, as metrics. */
#ifndef MLPROF_EXPOSE_MEMORY_METRICS_H
#define MLPROF_EXPOSE_MEMORY_METRICS_H

#include "expose/metric_writer.h"

/* Adds the families to what the writer writes. */
void put_memory_families(struct writer *w);

#endif
