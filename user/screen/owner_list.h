/* SPDX-License-Identifier: Apache-2.0 */
/* The table of owners as people and machines read it, and how one path came to its owner. */
#ifndef MLPROF_SCREEN_OWNER_LIST_H
#define MLPROF_SCREEN_OWNER_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "owner/owners.h"
#include "owner/path.h"

struct owner_list;

/* `owners` must outlive the result. NULL when memory is out. */
struct owner_list *owner_list_new(const struct owners *owners);
void owner_list_free(struct owner_list *list);

/* A cgroup of that path is the owner's of that number; OWNER_NONE is nobody's. 0 or -ENOMEM. */
int owner_list_add(struct owner_list *list, uint32_t owner, const char *path);

/* Adds the table, or one JSON object, to `to`. */
void owner_list_render(struct owner_list *list, struct buf *to, bool json);

/* Adds to `to` what a path says, and who `owner` is by that. */
void owner_explain(struct buf *to, const char *path, const struct owner *owner, bool json);

#endif
