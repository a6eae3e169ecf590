// SPDX-License-Identifier: Apache-2.0
/*
 * The table of metric families and the code that walks it. This runs at every scrape: the label
 * sets of rows are written once and copied into each family, and numbers never see printf.
 */
#include <errno.h>
#include <stdlib.h>

#include "version.h"
#include "expose/openmetrics.h"
#include "expose/text.h"

/* More than any name of the table with its suffix. */
#define NAME_MAX_BYTES 80

#define NS_PLACES      9

enum metric_type {
	COUNTER,
	GAUGE,
	HISTOGRAM,
	INFO
};

enum metric_unit {
	UNIT_NONE,
	UNIT_SECONDS, /* kept in nanoseconds */
	UNIT_BYTES,
};

struct writer;

struct family {
	const char *name; /* as OpenMetrics has it: without _total and _info */
	enum metric_type type;
	enum metric_unit unit; /* the name ends in it */
	const char *help;
	void (*samples)(struct writer *w, const struct family *family);
	size_t offset; /* of the value in what `samples` walks over */
};

struct writer {
	struct buf *to;
	const struct snapshot *snap;
	const struct scrape_stats *scrapes;
	enum exposition form;
	/* The name of the samples of the family at hand, with _total or _info, and room for more. */
	char *name;
	size_t name_bytes;
	enum metric_unit unit;
	/* Label sets of all rows, one after the other; row i's end at ends[i]. */
	struct buf labels;
	size_t *ends;
};

/* What follows the labels: a space, the number and the end of the line. */
#define VALUE_BYTES (BUF_NUMBER_BYTES + 2)

static char *write_value(char *at, uint64_t value, enum metric_unit unit)
{
	*at++ = ' ';
	if (unit == UNIT_SECONDS)
		at = buf_write_decimal(at, value, NS_PLACES);
	else
		at = buf_write_u64(at, value);
	*at++ = '\n';
	return at;
}

static void put_value(struct writer *w, uint64_t value)
{
	char *at = buf_room(w->to, VALUE_BYTES);

	if (at)
		w->to->len = (size_t)(write_value(at, value, w->unit) - w->to->data);
}

static void put_name(struct writer *w)
{
	buf_add(w->to, w->name, w->name_bytes);
}

static void put_plain(struct writer *w, uint64_t value)
{
	put_name(w);
	put_value(w, value);
}

/* NAME{LABEL="TEXT" */
static void put_label(struct writer *w, const char *label, const char *text)
{
	put_name(w);
	buf_putc(w->to, '{');
	buf_puts(w->to, label);
	buf_puts(w->to, "=\"");
	text_label(w->to, text);
	buf_putc(w->to, '"');
}

static void put_labelled(struct writer *w, const char *label, const char *text, uint64_t value)
{
	put_label(w, label, text);
	buf_putc(w->to, '}');
	put_value(w, value);
}

/* A part of a line. */
struct piece {
	const char *text;
	size_t bytes;
};

static struct piece row_labels(const struct writer *w, size_t row)
{
	size_t begin = row ? w->ends[row - 1] : 0;

	return (struct piece){w->labels.data + begin, w->ends[row] - begin};
}

static uint64_t value_at(const void *object, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const char *)object + offset, sizeof(value));
	return value;
}

/* A line in two or three pieces and a number, with one look at the room for all of it. */
static void put_line(struct writer *w, struct piece head, struct piece labels, struct piece tail,
		     uint64_t value, enum metric_unit unit)
{
	char *at = buf_room(w->to, head.bytes + labels.bytes + tail.bytes + VALUE_BYTES);

	if (!at || !labels.text)
		return;
	at = mempcpy(at, head.text, head.bytes);
	at = mempcpy(at, labels.text, labels.bytes);
	at = mempcpy(at, tail.text, tail.bytes);
	w->to->len = (size_t)(write_value(at, value, unit) - w->to->data);
}

/* The samples of all rows of a kind. `tail` is what follows the row's own labels. */
static void put_rows(struct writer *w, enum owner_kind kind, size_t offset, const char *tail)
{
	struct piece name = {w->name, w->name_bytes}, end = {tail, strlen(tail)};

	for (size_t i = 0; i < w->snap->nr_rows; i++)
		if (w->snap->rows[i].kind == kind)
			put_line(w, name, row_labels(w, i), end,
				 value_at(&w->snap->rows[i], offset), w->unit);
}

static void pods(struct writer *w, const struct family *family)
{
	put_rows(w, OWNER_POD, family->offset, "}");
}

static void units(struct writer *w, const struct family *family)
{
	put_rows(w, OWNER_UNIT, family->offset, "}");
}

static void pod_switches(struct writer *w, const struct family *family)
{
	(void)family;
	put_rows(w, OWNER_POD, offsetof(struct usage_row, voluntary), ",kind=\"voluntary\"}");
	put_rows(w, OWNER_POD, offsetof(struct usage_row, preempted), ",kind=\"preempted\"}");
}

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

static void namespaces(struct writer *w, const struct family *family)
{
	struct buf label = {0};

	(void)family;
	for (size_t i = 0; i < w->snap->nr_namespaces; i++) {
		label.len = 0;
		buf_puts(&label, "{namespace=\"");
		text_label(&label, w->snap->namespaces[i].namespace_);
		buf_putc(&label, '"');
		put_histogram(w, &w->snap->namespaces[i].wait,
			      (struct piece){label.data, label.len});
	}
	if (label.failed)
		w->to->failed = true;
	buf_free(&label);
}

static void node_modes(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < NODE_MODES; i++)
		put_labelled(w, "mode", node_mode_names[i], w->snap->node_ns[i]);
}

static void cpus_online(struct writer *w, const struct family *family)
{
	(void)family;
	put_plain(w, w->snap->cpus_online);
}

static void losses(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < w->snap->nr_losses; i++) {
		const struct loss_row *loss = &w->snap->losses[i];

		put_label(w, "plane", loss->plane);
		buf_puts(w->to, ",cause=\"");
		text_label(w->to, loss->cause);
		buf_puts(w->to, "\"}");
		put_value(w, loss->count);
	}
}

static void rings(struct writer *w, const struct family *family)
{
	(void)family;
	put_labelled(w, "state", "size", w->snap->self.ring_size_bytes);
	put_labelled(w, "state", "used", w->snap->self.ring_used_bytes);
}

static void programs(struct writer *w, const struct family *family)
{
	for (size_t i = 0; i < w->snap->nr_programs; i++)
		put_labelled(w, "program", w->snap->programs[i].name,
			     value_at(&w->snap->programs[i], family->offset));
}

static void features(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < w->snap->nr_features; i++)
		put_labelled(w, "feature", w->snap->features[i].name, w->snap->features[i].up);
}

static void scalar(struct writer *w, const struct family *family)
{
	put_plain(w, value_at(w->snap, family->offset));
}

static void scraping(struct writer *w, const struct family *family)
{
	put_plain(w, value_at(w->scrapes, family->offset));
}

static void build(struct writer *w, const struct family *family)
{
	(void)family;
	put_labelled(w, "version", MLPROF_VERSION, 1);
}

#define SNAPSHOT(field) offsetof(struct snapshot, field)

static const struct family families[] = {
	{"mlprof_cpu_seconds", COUNTER, UNIT_SECONDS,
	 "Time on the CPU, by container; the same clock as cpu.stat of its cgroup.", pods,
	 offsetof(struct usage_row, cpu_ns)},
	{"mlprof_cpu_wait_seconds", COUNTER, UNIT_SECONDS,
	 "Time runnable and waiting for a CPU, by container, summed over its tasks.", pods,
	 offsetof(struct usage_row, wait_ns)},
	{"mlprof_runqueue_latency_seconds", HISTOGRAM, UNIT_SECONDS,
	 "How long tasks of pods waited for a CPU each time they were runnable.", namespaces, 0},
	{"mlprof_context_switches", COUNTER, UNIT_NONE,
	 "Switches away from a task, by container: it went to sleep (voluntary) or had to yield.",
	 pod_switches, 0},
	{"mlprof_unit_cpu_seconds", COUNTER, UNIT_SECONDS,
	 "Time on the CPU of what belongs to no pod, by systemd unit or top cgroup.", units,
	 offsetof(struct usage_row, cpu_ns)},
	{"mlprof_unit_cpu_wait_seconds", COUNTER, UNIT_SECONDS,
	 "Time runnable and waiting for a CPU of what belongs to no pod.", units,
	 offsetof(struct usage_row, wait_ns)},
	{"mlprof_node_cpu_seconds", COUNTER, UNIT_SECONDS,
	 "Where the CPU time of the node went; all modes together are the time that passed.",
	 node_modes, 0},
	{"mlprof_node_elapsed_seconds", COUNTER, UNIT_SECONDS,
	 "Time that passed, summed over the CPUs online.", scalar, SNAPSHOT(elapsed_ns)},
	{"mlprof_node_cpus_online", GAUGE, UNIT_NONE, "CPUs online.", cpus_online, 0},
	{"mlprof_events_lost", COUNTER, UNIT_NONE,
	 "What was lost between the kernel and here, by plane and cause.", losses, 0},
	{"mlprof_ring_bytes", GAUGE, UNIT_BYTES,
	 "Ring buffers: what they hold at most, and what waited in them at the last drain.", rings,
	 0},
	{"mlprof_bpf_program_seconds", COUNTER, UNIT_SECONDS,
	 "Run time of a BPF program while the kernel's run statistics were on.", programs,
	 offsetof(struct program_row, run_ns)},
	{"mlprof_bpf_program_runs", COUNTER, UNIT_NONE,
	 "Runs of a BPF program while the kernel's run statistics were on.", programs,
	 offsetof(struct program_row, runs)},
	{"mlprof_bpf_program_measured_seconds", COUNTER, UNIT_SECONDS,
	 "How long the kernel's run statistics were on: the time base of the two before.", scalar,
	 SNAPSHOT(self.bpf_stats_ns)},
	{"mlprof_accounts_overflowed", COUNTER, UNIT_NONE,
	 "Accounts that found their ring full and went to the overflow map.", scalar,
	 SNAPSHOT(self.accounts_overflowed)},
	{"mlprof_feature_up", GAUGE, UNIT_NONE,
	 "1 if the agent can do this on this kernel, 0 if not; mlprof doctor tells why.", features,
	 0},
	{"mlprof_agent_cpu_seconds", COUNTER, UNIT_SECONDS,
	 "User and system time of the agent's process.", scalar, SNAPSHOT(self.cpu_ns)},
	{"mlprof_agent_resident_memory_bytes", GAUGE, UNIT_BYTES,
	 "Resident memory of the agent's process.", scalar, SNAPSHOT(self.rss_bytes)},
	{"mlprof_agent_map_bytes", GAUGE, UNIT_BYTES,
	 "Kernel memory of the agent's BPF maps, rings included.", scalar,
	 SNAPSHOT(self.map_bytes)},
	{"mlprof_agent_drains", COUNTER, UNIT_NONE, "Drains of the rings.", scalar,
	 SNAPSHOT(self.drains)},
	{"mlprof_agent_drain_seconds", COUNTER, UNIT_SECONDS, "Time that drains took.", scalar,
	 SNAPSHOT(self.drain_ns)},
	{"mlprof_agent_records", COUNTER, UNIT_NONE, "Records read from the rings.", scalar,
	 SNAPSHOT(self.records)},
	{"mlprof_agent_scrapes", COUNTER, UNIT_NONE, "Scrapes answered before this one.", scraping,
	 offsetof(struct scrape_stats, scrapes)},
	{"mlprof_agent_scrape_seconds", COUNTER, UNIT_SECONDS,
	 "Time that rendering and compressing those scrapes took.", scraping,
	 offsetof(struct scrape_stats, scrape_ns)},
	{"mlprof_agent_owners_dropped", COUNTER, UNIT_NONE,
	 "Owners that found the table full; what they used is under the name other.", scalar,
	 SNAPSHOT(self.owners_dropped)},
	{"mlprof_agent_start_time_seconds", GAUGE, UNIT_SECONDS,
	 "When the agent began to count, in Unix time.", scalar, SNAPSHOT(self.start_realtime_ns)},
	{"mlprof_snapshot_timestamp_seconds", GAUGE, UNIT_SECONDS,
	 "When all of this was true, in Unix time.", scalar, SNAPSHOT(realtime_ns)},
	{"mlprof_snapshot_monotonic_seconds", GAUGE, UNIT_SECONDS,
	 "When all of this was true, by the node's monotonic clock.", scalar,
	 SNAPSHOT(monotonic_ns)},
	{"mlprof_build", INFO, UNIT_NONE, "What is running.", build, 0},
};

static const char *type_name(const struct family *family, enum exposition form)
{
	switch (family->type) {
	case COUNTER:
		return "counter";
	case HISTOGRAM:
		return "histogram";
	case INFO:
		return form == EXPOSITION_OPENMETRICS ? "info" : "gauge";
	default:
		return "gauge";
	}
}

static const char *suffix(const struct family *family)
{
	return family->type == COUNTER ? "_total" : family->type == INFO ? "_info" : "";
}

static void put_meta(struct writer *w, const char *what, const struct family *family,
		     const char *text)
{
	buf_puts(w->to, what);
	if (w->form == EXPOSITION_OPENMETRICS)
		buf_puts(w->to, family->name);
	else
		put_name(w);
	buf_putc(w->to, ' ');
	buf_puts(w->to, text);
	buf_putc(w->to, '\n');
}

static void put_family(struct writer *w, const struct family *family)
{
	static const char *const units_named[] = {NULL, "seconds", "bytes"};
	size_t before = w->to->len, after;
	char *end = stpcpy(stpcpy(w->name, family->name), suffix(family));

	w->name_bytes = (size_t)(end - w->name);
	w->unit = family->unit;
	put_meta(w, "# TYPE ", family, type_name(family, w->form));
	if (family->unit && w->form == EXPOSITION_OPENMETRICS)
		put_meta(w, "# UNIT ", family, units_named[family->unit]);
	put_meta(w, "# HELP ", family, family->help);
	after = w->to->len;
	family->samples(w, family);
	if (w->to->len == after)
		w->to->len = before;
}

static void pod_labels(struct buf *to, const struct usage_row *row)
{
	buf_puts(to, "{namespace=\"");
	text_label(to, row->namespace_);
	buf_puts(to, "\",pod=\"");
	text_label(to, row->pod);
	buf_puts(to, "\",container=\"");
	text_label(to, row->container);
	buf_putc(to, '"');
}

static void unit_labels(struct buf *to, const struct usage_row *row)
{
	buf_puts(to, "{unit=\"");
	text_label(to, row->unit);
	buf_putc(to, '"');
}

static int label_rows(struct writer *w)
{
	const struct usage_row *rows = w->snap->rows;

	w->ends = calloc(w->snap->nr_rows + 1, sizeof(*w->ends));
	if (!w->ends)
		return -ENOMEM;
	for (size_t i = 0; i < w->snap->nr_rows; i++) {
		if (rows[i].kind == OWNER_POD)
			pod_labels(&w->labels, &rows[i]);
		else
			unit_labels(&w->labels, &rows[i]);
		w->ends[i] = w->labels.len;
	}
	return w->labels.failed ? -ENOMEM : 0;
}

int openmetrics_render(struct buf *to, const struct snapshot *snap,
		       const struct scrape_stats *scrapes, enum exposition form)
{
	char name[NAME_MAX_BYTES];
	struct writer w = {.to = to, .snap = snap, .scrapes = scrapes, .form = form, .name = name};
	int err = label_rows(&w);

	for (size_t i = 0; !err && i < sizeof(families) / sizeof(families[0]); i++)
		put_family(&w, &families[i]);
	if (form == EXPOSITION_OPENMETRICS)
		buf_puts(to, "# EOF\n");
	buf_free(&w.labels);
	free(w.ends);
	return err ? err : to->failed ? -ENOMEM : 0;
}
