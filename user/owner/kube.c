// SPDX-License-Identifier: Apache-2.0
/* Requests for lists of pods, and their pages. */
#include <errno.h>
#include <string.h>

#include "owner/kube.h"

/* The API server gives as many as it is asked for; more pages than this are no node's. */
#define PAGE_PODS 250
#define PAGES_MAX 256

static int explain(int err, struct fetch_error *error)
{
	if (err == -ENOMEM)
		fetch_fail(error, NAMES_TOO_LARGE, "no memory for its pods");
	else
		fetch_fail(error, NAMES_MALFORMED, "its answer is no complete list of pods");
	return -EIO;
}

static int read_page(struct fetcher *fetcher, const struct https_server *server, const char *path,
		     struct podlist *list, struct fetch_error *error)
{
	struct buf body = {0};
	int err = https_get(fetcher, server, path, &body, error);

	if (!err) {
		err = podlist_read(list, body.data, body.len);
		err = err ? explain(err, error) : 0;
	}
	buf_free(&body);
	return err;
}

static int done(struct podlist *list, const struct pods **pods, struct podlist_skipped *skipped,
		struct fetch_error *error)
{
	*pods = podlist_done(list, skipped);
	return *pods ? 0 : explain(-ENOMEM, error);
}

int kubelet_ask(struct fetcher *fetcher, const struct https_server *server,
		const struct podlist_options *options, const struct pods **pods,
		struct podlist_skipped *skipped, struct fetch_error *error)
{
	struct podlist_options own = {.labels = options->labels, .from_kubelet = true};
	struct podlist *list = podlist_new(&own);
	int err;

	if (!list)
		return explain(-ENOMEM, error);
	err = read_page(fetcher, server, "/pods", list, error);
	if (!err)
		err = done(list, pods, skipped, error);
	podlist_free(list);
	return err;
}

/* As a part of a URL. */
static void put_escaped(struct buf *path, const char *text)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text; text++)
		if (strchr(plain, *text))
			buf_putc(path, *text);
		else
			buf_printf(path, "%%%02X", (unsigned char)*text);
}

/* Version 0 is what the server has in memory: many nodes may ask at once, and its store is slow. */
static void write_path(struct buf *path, const char *node, const char *next)
{
	buf_free(path);
	buf_puts(path, "/api/v1/pods?fieldSelector=spec.nodeName%3D");
	put_escaped(path, node);
	buf_printf(path, "&limit=%d", PAGE_PODS);
	buf_puts(path, *next ? "&continue=" : "&resourceVersion=0");
	put_escaped(path, next);
}

static int read_pages(struct fetcher *fetcher, const struct https_server *server, const char *node,
		      struct podlist *list, struct fetch_error *error)
{
	struct buf path = {0};
	int err, pages = 0;

	do {
		write_path(&path, node, podlist_continue(list));
		err = read_page(fetcher, server, buf_text(&path), list, error);
	} while (!err && *podlist_continue(list) && ++pages < PAGES_MAX);
	buf_free(&path);
	if (!err && *podlist_continue(list)) {
		fetch_fail(error, NAMES_TOO_LARGE, "its list has more than %d pages", PAGES_MAX);
		err = -EIO;
	}
	return err;
}

int api_server_ask(struct fetcher *fetcher, const struct https_server *server,
		   const struct podlist_options *options, const struct pods **pods,
		   struct podlist_skipped *skipped, struct fetch_error *error)
{
	struct podlist_options own = {.labels = options->labels, .node = options->node};
	struct podlist *list = podlist_new(&own);
	int err;

	if (!list)
		return explain(-ENOMEM, error);
	err = read_pages(fetcher, server, options->node, list, error);
	if (!err)
		err = done(list, pods, skipped, error);
	podlist_free(list);
	return err;
}
