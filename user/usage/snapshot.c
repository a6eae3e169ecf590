// SPDX-License-Identifier: Apache-2.0
/* Snapshots: counted holders, memory that goes in one piece, and the board they are had from. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "usage/snapshot.h"

/* A snapshot and what only this file may touch of it. */
struct held_snapshot {
	struct snapshot snap; /* first, so that the two convert into each other */
	atomic_uint holders;
	struct arena arena;
};

struct snapshot_board {
	pthread_mutex_t lock;
	const struct snapshot *newest;
};

const char *const node_mode_names[NODE_MODES] = {
	[NODE_PODS] = "pods", [NODE_UNITS] = "units",	      [NODE_KERNEL] = "kernel",
	[NODE_IDLE] = "idle", [NODE_IRQ_STEAL] = "irq_steal", [NODE_UNATTRIBUTED] = "unattributed",
};

static struct held_snapshot *held(const struct snapshot *snap)
{
	return (struct held_snapshot *)snap;
}

struct snapshot *snapshot_new(void)
{
	struct held_snapshot *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	atomic_init(&h->holders, 1);
	h->snap.node = "";
	return &h->snap;
}

void *snapshot_alloc(struct snapshot *snap, size_t bytes)
{
	return arena_alloc(&held(snap)->arena, 1, bytes);
}

const char *snapshot_strdup(struct snapshot *snap, const char *text)
{
	return arena_text(&held(snap)->arena, text, strlen(text));
}

void snapshot_put(const struct snapshot *snap)
{
	struct held_snapshot *h = held(snap);

	if (!snap || atomic_fetch_sub_explicit(&h->holders, 1, memory_order_acq_rel) != 1)
		return;
	pods_put(snap->pods);
	arena_free(&h->arena);
	free(h);
}

struct snapshot_board *snapshot_board_new(void)
{
	struct snapshot_board *board = calloc(1, sizeof(*board));

	if (board)
		pthread_mutex_init(&board->lock, NULL);
	return board;
}

void snapshot_board_free(struct snapshot_board *board)
{
	if (!board)
		return;
	snapshot_put(board->newest);
	pthread_mutex_destroy(&board->lock);
	free(board);
}

const struct snapshot *snapshot_get(struct snapshot_board *board)
{
	const struct snapshot *snap;

	pthread_mutex_lock(&board->lock);
	snap = board->newest;
	if (snap)
		atomic_fetch_add_explicit(&held(snap)->holders, 1, memory_order_relaxed);
	pthread_mutex_unlock(&board->lock);
	return snap;
}

void snapshot_publish(struct snapshot_board *board, const struct snapshot *snap)
{
	const struct snapshot *old;

	pthread_mutex_lock(&board->lock);
	old = board->newest;
	board->newest = snap;
	pthread_mutex_unlock(&board->lock);
	snapshot_put(old);
}
