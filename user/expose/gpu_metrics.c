// SPDX-License-Identifier: Apache-2.0
/*
 * What has no busy time has no sample of it: an engine whose jobs run side by side, where only how
 * many there were and how long they waited is known.
 */
#include <stdio.h>

#include "expose/gpu_metrics.h"

static void put_row(struct writer *w, const struct gpu_row *row, uint64_t value)
{
	if (row->kind == OWNER_POD) {
		put_label(w, "namespace", row->namespace_);
		put_more(w, "pod", row->pod);
		put_more(w, "container", row->container);
	} else {
		put_label(w, "unit", row->unit);
	}
	put_more(w, "gpu", row->gpu);
	put_more(w, "engine", gpu_engine_name(row->engine));
	buf_putc(w->to, '}');
	put_value(w, value);
}

static void put_rows(struct writer *w, enum owner_kind kind, size_t offset, bool of_busy)
{
	for (size_t i = 0; i < w->snap->nr_gpu_rows; i++) {
		const struct gpu_row *row = &w->snap->gpu_rows[i];

		if (row->kind == kind && !row->settling && (row->busy_known || !of_busy))
			put_row(w, row, value_at(row, offset));
	}
}

static void pods(struct writer *w, const struct family *family)
{
	put_rows(w, OWNER_POD, family->offset, false);
}

static void pods_busy(struct writer *w, const struct family *family)
{
	put_rows(w, OWNER_POD, family->offset, true);
}

static void units(struct writer *w, const struct family *family)
{
	put_rows(w, OWNER_UNIT, family->offset, false);
}

static void units_busy(struct writer *w, const struct family *family)
{
	put_rows(w, OWNER_UNIT, family->offset, true);
}

static void namespaces(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < w->snap->nr_gpu_namespaces; i++)
		put_namespace_histogram(w, w->snap->gpu_namespaces[i].namespace_, "",
					&w->snap->gpu_namespaces[i].ran);
}

static void put_engine(struct writer *w, const struct gpu_engine_row *row, uint64_t value)
{
	put_label(w, "gpu", row->gpu);
	put_more(w, "engine", gpu_engine_name(row->engine));
	buf_putc(w->to, '}');
	put_value(w, value);
}

static void engines(struct writer *w, const struct family *family)
{
	for (size_t i = 0; i < w->snap->nr_gpu_engines; i++)
		if (w->snap->gpu_engines[i].busy_known)
			put_engine(w, &w->snap->gpu_engines[i],
				   value_at(&w->snap->gpu_engines[i], family->offset));
}

static void rings(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < w->snap->nr_gpu_engines; i++)
		put_engine(w, &w->snap->gpu_engines[i], w->snap->gpu_engines[i].rings);
}

/* What a call is for, as the label `operation` spells it. */
static const char *const operations[MLPROF_GPU_OPS] = {
	[MLPROF_GPU_OP_OTHER] = "other",     [MLPROF_GPU_OP_SUBMIT] = "submit",
	[MLPROF_GPU_OP_WAIT] = "wait",	     [MLPROF_GPU_OP_ALLOC] = "alloc",
	[MLPROF_GPU_OP_FREE] = "free",	     [MLPROF_GPU_OP_MAP] = "map",
	[MLPROF_GPU_OP_CONTEXT] = "context", [MLPROF_GPU_OP_QUERY] = "query",
};

static void calls(struct writer *w, const struct family *family)
{
	char operation[32];

	(void)family;
	for (size_t i = 0; i < w->snap->nr_gpu_calls; i++) {
		const struct gpu_calls_row *row = &w->snap->gpu_calls[i];

		snprintf(operation, sizeof(operation), ",operation=\"%s\"", operations[row->op]);
		put_namespace_histogram(w, row->namespace_, operation, &row->took);
	}
}

static void call_errors(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < w->snap->nr_gpu_calls; i++) {
		const struct gpu_calls_row *row = &w->snap->gpu_calls[i];

		put_label(w, "namespace", row->namespace_);
		put_more(w, "operation", operations[row->op]);
		buf_putc(w->to, '}');
		put_value(w, row->errors);
	}
}

static void host_waits(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < w->snap->nr_gpu_waits; i++) {
		const struct gpu_wait_row *row = &w->snap->gpu_waits[i];

		if (row->kind != OWNER_POD || row->settling)
			continue;
		put_label(w, "namespace", row->namespace_);
		put_more(w, "pod", row->pod);
		put_more(w, "container", row->container);
		put_more(w, "gpu", row->gpu);
		put_more(w, "method", "ioctl");
		buf_putc(w->to, '}');
		put_value(w, row->wait_ns);
	}
}

/* What follows the labels of a pod and a GPU: "", or ",LABEL=\"TEXT\"...". */
static void put_holdings(struct writer *w, size_t offset, const char *more)
{
	for (size_t i = 0; i < w->snap->nr_gpu_holdings; i++) {
		const struct gpu_holding_row *row = &w->snap->gpu_holdings[i];

		if (row->kind != OWNER_POD || row->settling)
			continue;
		put_label(w, "namespace", row->namespace_);
		put_more(w, "pod", row->pod);
		put_more(w, "container", row->container);
		put_more(w, "gpu", row->gpu);
		buf_puts(w->to, more);
		buf_putc(w->to, '}');
		put_value(w, value_at(row, offset));
	}
}

static void holdings(struct writer *w, const struct family *family)
{
	put_holdings(w, family->offset, "");
}

static void memory(struct writer *w, const struct family *family)
{
	(void)family;
	put_holdings(w, offsetof(struct gpu_holding_row, device_bytes),
		     ",kind=\"device\",source=\"rm_ledger\"");
	put_holdings(w, offsetof(struct gpu_holding_row, pinned_bytes),
		     ",kind=\"pinned_host\",source=\"rm_ledger\"");
}

static void infos(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < w->snap->nr_gpu_devices; i++) {
		const struct gpu_device_row *row = &w->snap->gpu_devices[i];

		put_label(w, "gpu", row->gpu);
		put_more(w, "vendor", row->vendor);
		put_more(w, "driver", row->driver);
		put_more(w, "driver_version", row->driver_version);
		put_more(w, "model", row->model);
		put_more(w, "sharing", row->sharing);
		put_more(w, "busy_source", row->busy_source);
		put_more(w, "busy_quality", row->busy_quality);
		buf_putc(w->to, '}');
		put_value(w, 1);
	}
}

static void memory_sizes(struct writer *w, const struct family *family)
{
	(void)family;
	for (size_t i = 0; i < w->snap->nr_gpu_devices; i++)
		if (w->snap->gpu_devices[i].memory_known)
			put_labelled(w, "gpu", w->snap->gpu_devices[i].gpu,
				     w->snap->gpu_devices[i].memory_bytes);
}

#define HOLDING(member) offsetof(struct gpu_holding_row, member)
#define ROW(member)	offsetof(struct gpu_row, member)
#define ENGINE(member)	offsetof(struct gpu_engine_row, member)

static const struct family families[] = {
	{"mlprof_gpu", INFO, UNIT_NONE,
	 "A GPU of this node; where its busy time comes from, and what that is worth.", infos, 0},
	{"mlprof_gpu_device_memory_size_bytes", GAUGE, UNIT_BYTES, "Memory of a GPU's own.",
	 memory_sizes, 0},
	{"mlprof_gpu_context_held_seconds", COUNTER, UNIT_SECONDS,
	 "Time that a container had a context on a GPU, whether it used it or not.", holdings,
	 HOLDING(held_ns)},
	{"mlprof_gpu_contexts", GAUGE, UNIT_NONE, "Contexts that a container has on a GPU.",
	 holdings, HOLDING(contexts)},
	{"mlprof_gpu_memory_bytes", GAUGE, UNIT_BYTES,
	 "Memory that a container has asked the driver for and not given back.", memory, 0},
	{"mlprof_gpu_memory_byte_seconds", COUNTER, UNIT_NONE,
	 "Of that, memory of the GPU times the time that it was held.", holdings,
	 HOLDING(byte_seconds)},
	{"mlprof_gpu_host_wait_seconds", COUNTER, UNIT_SECONDS,
	 "Time that tasks of a container were in calls that wait for a GPU.", host_waits, 0},
	{"mlprof_gpu_ioctl_seconds", HISTOGRAM, UNIT_SECONDS,
	 "How long calls to the drivers of GPUs took, by what they are for.", calls, 0},
	{"mlprof_gpu_ioctl_errors", COUNTER, UNIT_NONE, "Of these calls, those that failed.",
	 call_errors, 0},
	{"mlprof_gpu_busy_seconds", COUNTER, UNIT_SECONDS,
	 "Time that jobs of a container ran on an engine of a GPU.", pods_busy, ROW(busy_ns)},
	{"mlprof_gpu_queue_wait_seconds", COUNTER, UNIT_SECONDS,
	 "Time that jobs of a container waited before the GPU was given them.", pods,
	 ROW(queue_wait_ns)},
	{"mlprof_gpu_ring_wait_seconds", COUNTER, UNIT_SECONDS,
	 "Time that jobs of a container waited at the GPU, which ran another one.", pods_busy,
	 ROW(ring_wait_ns)},
	{"mlprof_gpu_jobs", COUNTER, UNIT_NONE, "Jobs of a container that have ended.", pods,
	 ROW(jobs)},
	{"mlprof_gpu_job_seconds", HISTOGRAM, UNIT_SECONDS, "How long jobs of pods ran.",
	 namespaces, 0},
	{"mlprof_unit_gpu_busy_seconds", COUNTER, UNIT_SECONDS,
	 "The same for what belongs to no pod; the unit system is the kernel's own jobs.",
	 units_busy, ROW(busy_ns)},
	{"mlprof_unit_gpu_jobs", COUNTER, UNIT_NONE, "Jobs of what belongs to no pod.", units,
	 ROW(jobs)},
	{"mlprof_gpu_device_busy_seconds", COUNTER, UNIT_SECONDS,
	 "Time that an engine of a GPU ran a job, whosever, summed over its rings.", engines,
	 ENGINE(busy_ns)},
	{"mlprof_gpu_unattributed_busy_seconds", COUNTER, UNIT_SECONDS,
	 "Of that, time of jobs whose owner is not known.", engines, ENGINE(unattributed_ns)},
	{"mlprof_gpu_engine_rings", GAUGE, UNIT_NONE,
	 "Rings of an engine, which work side by side.", rings, 0},
};

void put_gpu_families(struct writer *w)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		put_family(w, &families[i]);
}
