/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a running agent for its newest snapshot, through its Unix socket. */
#ifndef MLPROF_SCREEN_AGENT_LINK_H
#define MLPROF_SCREEN_AGENT_LINK_H

#include <signal.h>

#include "usage/snapshot.h"

struct agent_link;

/* What went wrong and what to do, for a person. */
struct agent_error {
	char text[400];
};

/*
 * Makes a link to the agent that listens at `path`, without asking it anything yet. Once `*stop` is
 * not zero a question under way ends with -EINTR. NULL when memory is out; agent_link_free() frees.
 */
struct agent_link *agent_link_new(const char *path, const volatile sig_atomic_t *stop);
void agent_link_free(struct agent_link *link);

/*
 * The newest snapshot, which the caller must snapshot_put(). 0; -EAGAIN if the agent has none yet;
 * -EINTR; -ENOENT, -ECONNREFUSED, -EACCES or another -errno if it cannot be reached; -EBADMSG if
 * what answers is no agent, or one of another version. `error` is filled
 * unless it is 0 or -EINTR.
 */
int agent_link_fetch(struct agent_link *link, struct snapshot **snap, struct agent_error *error);

#endif
