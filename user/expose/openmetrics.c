// SPDX-License-Identifier: Apache-2.0
/* The families that come from usage and from the agent itself, and the order of all. */
#include <errno.h>
#include <stdlib.h>

#include "version.h"
#include "expose/gpu_metrics.h"
#include "expose/memory_metrics.h"
#include "expose/metric_writer.h"
#include "expose/openmetrics.h"
#include "expose/pod_metrics.h"
#include "expose/text.h"

/* The samples of all rows of a kind. `tail` is what follows the row's own labels. */
static void put_rows(struct writer *w, enum owner_kind kind, size_t offset, const char *tail)
{
	struct piece name = {w->name, w->name_bytes}, end = {tail, strlen(tail)};

	for (size_t i = 0; i < w->nr_rows; i++)
		if (w->rows[i]->kind == kind)
			put_line(w, name, row_labels(w, i), end, value_at(w->rows[i], offset),
				 w->unit);
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

static void namespaces(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < w->snap->nr_namespaces; i++)
		put_namespace_histogram(w, w->snap->namespaces[i].namespace_, "",
					&w->snap->namespaces[i].wait);
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
		put_more(w, "cause", loss->cause);
		buf_putc(w->to, '}');
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
	w->ends = calloc(w->snap->nr_rows + 1, sizeof(*w->ends));
	w->rows = calloc(w->snap->nr_rows + 1, sizeof(*w->rows));
	if (!w->ends || !w->rows)
		return -ENOMEM;
	for (size_t i = 0; i < w->snap->nr_rows; i++) {
		const struct usage_row *row = &w->snap->rows[i];

		if (row->settling)
			continue;
		if (row->kind == OWNER_POD)
			pod_labels(&w->labels, row);
		else
			unit_labels(&w->labels, row);
		w->rows[w->nr_rows] = row;
		w->ends[w->nr_rows++] = w->labels.len;
	}
	return w->labels.failed ? -ENOMEM : 0;
}

int openmetrics_render(struct buf *to, const struct snapshot *snap,
		       const struct scrape_stats *scrapes, enum exposition form)
{
	char name[METRIC_NAME_BYTES];
	struct writer w = {.to = to, .snap = snap, .scrapes = scrapes, .form = form, .name = name};
	int err = label_rows(&w);

	for (size_t i = 0; !err && i < sizeof(families) / sizeof(families[0]); i++)
		put_family(&w, &families[i]);
	if (!err)
		put_memory_families(&w);
	if (!err)
		put_gpu_families(&w);
	if (!err)
		err = put_pod_families(&w);
	if (form == EXPOSITION_OPENMETRICS)
		buf_puts(to, "# EOF\n");
	buf_free(&w.labels);
	free(w.ends);
	free(w.rows);
	return err ? err : to->failed ? -ENOMEM : 0;
}
