/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreign names as the formats want them. A name comes from a cgroup directory and may hold any
 * byte but NUL and '/'; what comes out is valid UTF-8. A byte that is none becomes U+FFFD and its
 * two hexadecimal digits. In labels the bytes of U+FFFD itself do so too: names that differ still
 * differ.
 */
#ifndef MLPROF_EXPOSE_TEXT_H
#define MLPROF_EXPOSE_TEXT_H

#include "base/buf.h"

/* As a label value of OpenMetrics and of Prometheus text, without the quotes around it. */
void text_label(struct buf *to, const char *value);

/* As a JSON string, with the quotes around it. */
void text_json(struct buf *to, const char *value);

#endif
