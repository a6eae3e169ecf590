// SPDX-License-Identifier: Apache-2.0
/* Rates as one line of JSON per interval. */
#include <errno.h>

#include "expose/text.h"
#include "screen/table.h"

#define MICRO_PLACES 6

static void put_number(struct buf *to, const char *key, uint64_t value, unsigned int places)
{
	buf_printf(to, ",\"%s\":", key);
	buf_put_decimal(to, value, places);
}

static void put_string(struct buf *to, const char *key, const char *text)
{
	buf_printf(to, ",\"%s\":", key);
	text_json(to, text);
}

static void put_bucket(struct buf *to, const char *key, int bucket)
{
	buf_printf(to, ",\"%s\":", key);
	if (bucket == RATE_NO_BUCKET)
		buf_puts(to, "null");
	else if (bucket == MLPROF_HIST_BUCKETS - 1)
		buf_puts(to, "\"+Inf\"");
	else
		buf_put_u64(to, 1ULL << bucket);
}

static void put_wait(struct buf *to, const struct rates *rates, const struct rate_row *row)
{
	if (row->has_wait) {
		put_number(to, "wait_ns", row->wait_ns, 0);
		put_number(to, "wait_seconds_per_second", rates_per_core_micro(rates, row->wait_ns),
			   MICRO_PLACES);
	} else {
		buf_puts(to, ",\"wait_ns\":null,\"wait_seconds_per_second\":null");
	}
	put_bucket(to, "wait_p50_le_us", row->p50);
	put_bucket(to, "wait_p99_le_us", row->p99);
}

static void put_row(struct buf *to, const struct rates *rates, const struct rate_row *row)
{
	static const char *const kinds[] = {
		[RATE_POD] = "pod",
		[RATE_PODS_OTHER] = "pods_other",
		[RATE_UNIT] = "unit",
		[RATE_UNITS_OTHER] = "units_other",
		[RATE_KERNEL] = "kernel",
		[RATE_IDLE] = "idle",
		[RATE_IRQ_STEAL] = "irq_steal",
		[RATE_UNATTRIBUTED] = "unattributed",
		[RATE_NODE] = "node",
	};

	buf_printf(to, "{\"kind\":\"%s\"", kinds[row->kind]);
	if (row->kind == RATE_POD) {
		put_string(to, "namespace", row->who->namespace_);
		put_string(to, "pod", row->who->pod);
		put_string(to, "container", row->who->container);
	} else if (row->kind == RATE_UNIT) {
		put_string(to, "unit", row->who->unit);
	} else if (row->kind == RATE_UNITS_OTHER) {
		put_number(to, "units_count", row->members, 0);
	}
	put_number(to, "cpu_ns", row->cpu_ns, 0);
	put_number(to, "cpu_cores", rates_per_core_micro(rates, row->cpu_ns), MICRO_PLACES);
	put_number(to, "node_ratio", rates_of_node_micro(rates, row->cpu_ns), MICRO_PLACES);
	put_wait(to, rates, row);
	buf_putc(to, '}');
}

int table_print_json(struct buf *to, const struct rates *rates)
{
	buf_puts(to, "{\"schema\":\"mlprof.top/1\"");
	put_number(to, "realtime_ns", rates->now->realtime_ns, 0);
	put_number(to, "interval_ns", rates->interval_ns, 0);
	put_number(to, "node_ns", rates->node_ns, 0);
	put_number(to, "cpus_online", rates->now->cpus_online, 0);
	put_number(to, "lost_count", rates->lost, 0);
	buf_puts(to, ",\"rows\":[");
	for (size_t i = 0; i < rates->nr_rows; i++) {
		if (i)
			buf_putc(to, ',');
		put_row(to, rates, &rates->rows[i]);
	}
	buf_puts(to, "]}\n");
	return to->failed ? -ENOMEM : 0;
}
