/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks NVML about all devices and hands on what it says as messages. Any of its calls may hang for
 * ever, so this belongs in a process of its own: see nvml_helper.h.
 */
#ifndef MLPROF_GPU_NVML_SURVEY_H
#define MLPROF_GPU_NVML_SURVEY_H

#include "gpu/nvml_message.h"

/* Takes a message that is good until it returns; 0 or a negative errno, which ends everything. */
typedef int (*nvml_send_fn)(void *context, const struct nvml_message *message);

struct nvml_survey;

/*
 * Loads and initialises the library, from `path` if not NULL. 0; -ENODEV if it cannot be used,
 * which has then been sent with the reason; or an error of `send`, or -ENOMEM.
 */
int nvml_survey_open(const char *path, nvml_send_fn send, void *context,
		     struct nvml_survey **survey);

/* One tick. 0; -ENODEV as above; or an error of `send`. */
int nvml_survey_tick(struct nvml_survey *survey);

void nvml_survey_close(struct nvml_survey *survey);

#endif
