/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that asks NVML and may hang or die of it. It holds the GPUs' device files open, which
 * keeps a driver from being replaced, so it ends at once on SIGTERM and when nobody listens.
 */
#ifndef MLPROF_GPU_NVML_HELPER_H
#define MLPROF_GPU_NVML_HELPER_H

#define NVML_HELPER_VERB "nvml-helper"

/* How often it asks: the driver keeps samples for 10 s. Milliseconds. */
#define NVML_INTERVAL_LEAST_MS 10
#define NVML_INTERVAL_MS       1000
#define NVML_INTERVAL_MOST_MS  5000

/* The hidden verb: nvml-helper FD INTERVAL_MS [LIBRARY]. Messages go to FD. An exit status. */
int nvml_helper_main(int argc, char **argv);

#endif
