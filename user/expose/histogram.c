// SPDX-License-Identifier: Apache-2.0
/* Histograms of times, one for each namespace. */
#include <string.h>

#include "expose/metric_writer.h"
#include "expose/text.h"

/* Powers of two of a microsecond, in seconds, as Go prints a float: stores compare `le` as text. */
static const char *const bucket_tails[MLPROF_HIST_BUCKETS] = {
	",le=\"1e-06\"}",     ",le=\"2e-06\"}",	   ",le=\"4e-06\"}",	",le=\"8e-06\"}",
	",le=\"1.6e-05\"}",   ",le=\"3.2e-05\"}",  ",le=\"6.4e-05\"}",	",le=\"0.000128\"}",
	",le=\"0.000256\"}",  ",le=\"0.000512\"}", ",le=\"0.001024\"}", ",le=\"0.002048\"}",
	",le=\"0.004096\"}",  ",le=\"0.008192\"}", ",le=\"0.016384\"}", ",le=\"0.032768\"}",
	",le=\"0.065536\"}",  ",le=\"0.131072\"}", ",le=\"0.262144\"}", ",le=\"0.524288\"}",
	",le=\"1.048576\"}",  ",le=\"2.097152\"}", ",le=\"4.194304\"}", ",le=\"8.388608\"}",
	",le=\"16.777216\"}", ",le=\"+Inf\"}",
};

/* `labels` is "{namespace=...", without the brace that closes it. */
static void put_histogram(struct writer *w, const struct wait_hist *hist, struct piece labels)
{
	static const struct piece close = {"}", 1};
	struct piece head = {w->name, w->name_bytes};
	uint64_t count = 0;

	head.bytes = (size_t)(stpcpy(w->name + w->name_bytes, "_bucket") - w->name);
	for (size_t i = 0; i < MLPROF_HIST_BUCKETS; i++) {
		struct piece tail = {bucket_tails[i], strlen(bucket_tails[i])};

		count += hist->bucket[i];
		put_line(w, head, labels, tail, count, UNIT_NONE);
	}
	head.bytes = (size_t)(stpcpy(w->name + w->name_bytes, "_sum") - w->name);
	put_line(w, head, labels, close, hist->sum_ns, w->unit);
	head.bytes = (size_t)(stpcpy(w->name + w->name_bytes, "_count") - w->name);
	put_line(w, head, labels, close, count, UNIT_NONE);
}

void put_namespace_histogram(struct writer *w, const char *namespace_, const char *more,
			     const struct wait_hist *hist)
{
	struct buf label = {0};

	buf_puts(&label, "{namespace=\"");
	text_label(&label, namespace_);
	buf_putc(&label, '"');
	buf_puts(&label, more);
	put_histogram(w, hist, (struct piece){label.data, label.len});
	if (label.failed)
		w->to->failed = true;
	buf_free(&label);
}
