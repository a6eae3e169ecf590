// SPDX-License-Identifier: Apache-2.0
/* The paths and their answers. What is rendered is rendered from one held snapshot. */
#include <errno.h>
#include <string.h>

#include "version.h"
#include "base/clock.h"
#include "expose/gzip.h"
#include "expose/negotiate.h"
#include "expose/pages.h"
#include "expose/snapshot_json.h"

#define NS_PER_S 1000000000ULL

static const char plain_text[] = "text/plain; charset=utf-8";

static void answer_text(struct page_reply *reply, unsigned int status, const char *text)
{
	reply->status = status;
	reply->content_type = plain_text;
	reply->body.len = 0;
	buf_puts(&reply->body, text);
}

static void out_of_memory(struct page_reply *reply)
{
	buf_free(&reply->body);
	reply->gzip = false;
	answer_text(reply, 503, "out of memory\n");
}

/* Replaces the body by its compressed form. */
static int compress_body(struct page_reply *reply)
{
	struct buf packed = {0};
	int err = gzip_compress(&packed, reply->body.data, reply->body.len);

	if (err) {
		buf_free(&packed);
		return err;
	}
	buf_free(&reply->body);
	reply->body = packed;
	reply->gzip = true;
	return 0;
}

/* Ends an answer of the snapshot's: `err` as from its renderer. */
static void finish(struct page_reply *reply, const struct page_request *request, int err)
{
	reply->status = 200;
	reply->negotiated = true;
	if (!err && negotiate_gzip(request->accept_encoding))
		err = compress_body(reply);
	if (err)
		out_of_memory(reply);
}

/* The newest snapshot; NULL, and an answer that says so, before there is one. */
static const struct snapshot *newest(struct pages *pages, struct page_reply *reply)
{
	const struct snapshot *snap = snapshot_get(pages->board);

	if (!snap)
		answer_text(reply, 503, "no data yet: the first drain has not ended\n");
	return snap;
}

static void metrics(struct pages *pages, const struct page_request *request,
		    struct page_reply *reply)
{
	struct negotiated want = negotiate_form(request->accept);
	const struct snapshot *snap = newest(pages, reply);
	struct scrape_stats before = pages_scrape_stats(pages);
	uint64_t began = clock_ns(CLOCK_MONOTONIC);

	if (!snap)
		return;
	reply->content_type = want.content_type;
	finish(reply, request, openmetrics_render(&reply->body, snap, &before, want.form));
	snapshot_put(snap);
	atomic_fetch_add(&pages->scrapes, 1);
	atomic_fetch_add(&pages->scrape_ns, clock_ns(CLOCK_MONOTONIC) - began);
}

static void snapshot(struct pages *pages, const struct page_request *request,
		     struct page_reply *reply)
{
	const struct snapshot *snap = newest(pages, reply);

	if (!snap)
		return;
	reply->content_type = "application/json";
	finish(reply, request, snapshot_json_write(&reply->body, snap));
	snapshot_put(snap);
}

static void healthy(struct pages *pages, const struct page_request *request,
		    struct page_reply *reply)
{
	(void)pages;
	(void)request;
	answer_text(reply, 200, "ok\n");
}

static void ready(struct pages *pages, const struct page_request *request, struct page_reply *reply)
{
	const struct snapshot *snap = newest(pages, reply);
	uint64_t now = clock_ns(CLOCK_MONOTONIC), age;

	(void)request;
	if (!snap)
		return;
	age = now > snap->monotonic_ns ? now - snap->monotonic_ns : 0;
	snapshot_put(snap);
	if (age <= pages->stale_after_ns) {
		answer_text(reply, 200, "ready\n");
		return;
	}
	answer_text(reply, 503, "");
	buf_printf(&reply->body, "the newest data is %llu s old: draining has stopped\n",
		   (unsigned long long)(age / NS_PER_S));
}

static void landing(struct pages *pages, const struct page_request *request,
		    struct page_reply *reply)
{
	(void)pages;
	(void)request;
	reply->status = 200;
	reply->content_type = "text/html; charset=utf-8";
	buf_puts(&reply->body,
		 "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">"
		 "<title>mlprof</title></head>\n<body>\n<h1>mlprof " MLPROF_VERSION "</h1>\n"
		 "<p>Who used the CPUs of this node, and who waited for them.</p>\n<ul>\n"
		 "<li><a href=\"/metrics\">/metrics</a>: for Prometheus</li>\n"
		 "<li><a href=\"/v1/snapshot\">/v1/snapshot</a>: the same and more, as JSON</li>\n"
		 "<li><a href=\"/-/ready\">/-/ready</a>: whether there is data, and why not</li>\n"
		 "<li><a href=\"/-/healthy\">/-/healthy</a>: whether the agent lives</li>\n"
		 "</ul>\n</body>\n</html>\n");
}

static const struct page {
	const char *path;
	void (*answer)(struct pages *pages, const struct page_request *request,
		       struct page_reply *reply);
} all_pages[] = {
	{"/metrics", metrics},	    {"/-/healthy", healthy}, {"/-/ready", ready},
	{"/v1/snapshot", snapshot}, {"/", landing},
};

void pages_answer(struct pages *pages, const struct page_request *request, struct page_reply *reply)
{
	*reply = (struct page_reply){0};
	for (size_t i = 0; i < sizeof(all_pages) / sizeof(all_pages[0]); i++) {
		if (strcmp(request->path, all_pages[i].path))
			continue;
		all_pages[i].answer(pages, request, reply);
		if (reply->body.failed)
			out_of_memory(reply);
		return;
	}
	answer_text(reply, 404, "no such page; see /\n");
}

struct scrape_stats pages_scrape_stats(struct pages *pages)
{
	return (struct scrape_stats){atomic_load(&pages->scrapes), atomic_load(&pages->scrape_ns)};
}
