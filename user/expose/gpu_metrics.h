/* SPDX-License-Identifier: Apache-2.0 */
/* Families of GPUs: what owners used of them, and the engines themselves. */
#ifndef MLPROF_EXPOSE_GPU_METRICS_H
#define MLPROF_EXPOSE_GPU_METRICS_H

#include "expose/metric_writer.h"

void put_gpu_families(struct writer *w);

#endif
