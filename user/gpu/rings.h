/* SPDX-License-Identifier: Apache-2.0 */
/* What the rings of DRM drivers are: which engine of the GPU, and whether one job after the other. */
#ifndef MLPROF_GPU_RINGS_H
#define MLPROF_GPU_RINGS_H

#include <stdbool.h>

#include "gpu/engines.h"

/* By the names that the driver and the ring have in the kernel. */
enum gpu_engine gpu_ring_engine(const char *driver, const char *ring);

/*
 * Whether each of the driver's schedulers is a hardware ring that runs one job after the other, so
 * that the time between two ends is time that a job ran. `more` is a list of further such drivers
 * with commas between them. Others have a scheduler for each queue of a process, and a firmware
 * that runs many of them at a time.
 */
bool gpu_is_in_order(const char *driver, const char *more);

#endif
