// SPDX-License-Identifier: Apache-2.0
/*
 * mlprof doctor: what this machine allows, and why not. It does what the agent would do, attaches,
 * drains once and lets go, so that its yes means yes.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "kernel/kernel.h"
#include "owner/hierarchy.h"

#define ROWS_MAX 32

struct report {
	struct kernel_feature rows[ROWS_MAX];
	size_t nr;
	struct hierarchy hierarchy;
	bool can_run;
};

static const char help[] =
	"usage: mlprof doctor [--json]\n"
	"\n"
	"Tells what this machine allows and why not. Ends with 0 if the agent can run, else 1.\n";

static void add_row(struct report *report, const char *name, bool required, const char *reason)
{
	struct kernel_feature *row;

	if (report->nr == ROWS_MAX)
		return;
	row = &report->rows[report->nr++];
	*row = (struct kernel_feature){.name = name, .required = required, .up = !reason};
	snprintf(row->reason, sizeof(row->reason), "%s", reason ? reason : "");
}

static void ignore_usage(void *context, const struct mlprof_usage *usage)
{
	(void)context;
	(void)usage;
}

static void ignore_cpu(void *context, const struct mlprof_record_cpu *record)
{
	(void)context;
	(void)record;
}

static void ignore_cgroup(void *context, const struct mlprof_record_cgroup *record)
{
	(void)context;
	(void)record;
}

static void probe_hierarchy(struct report *report)
{
	int err = hierarchy_open(NULL, &report->hierarchy);

	add_row(report, "cgroup_hierarchy", true,
		err ? "none is mounted: mount -t cgroup2 none /sys/fs/cgroup" : NULL);
	if (!err)
		snprintf(report->rows[report->nr - 1].reason, sizeof(report->rows[0].reason),
			 "%s at %.200s", report->hierarchy.v1 ? "v1, cpu controller" : "v2",
			 report->hierarchy.root);
}

/* Attaches as the agent would; the features say what came of it. */
static void probe_programs(struct report *report)
{
	const struct record_sink sink = {
		.usage = ignore_usage,
		.cpu = ignore_cpu,
		.cgroup = ignore_cgroup,
	};
	struct kernel_options options = {
		.ring_bytes = 1,
		.cgroup_v1 = report->hierarchy.v1,
		.hierarchy_id = report->hierarchy.id,
	};
	const struct kernel_feature *features;
	struct kernel *kernel = NULL;
	int opened = kernel_open(&options, &kernel), drained;
	size_t nr;

	if (!kernel)
		return;
	features = kernel_features(kernel, &nr);
	for (size_t i = 0; i < nr && features[i].name; i++)
		add_row(report, features[i].name, features[i].required,
			features[i].up ? NULL : features[i].reason);
	drained = opened ? opened : kernel_drain(kernel, &sink);
	add_row(report, "accounting", true,
		opened	  ? kernel_failure(kernel)
		: drained ? strerror(-drained)
			  : NULL);
	kernel_close(kernel);
}

static void examine(struct report *report)
{
	report->nr = kernel_probe(report->rows, ROWS_MAX);
	probe_hierarchy(report);
	probe_programs(report);
	hierarchy_close(&report->hierarchy);
	report->can_run = true;
	for (size_t i = 0; i < report->nr; i++)
		report->can_run &= report->rows[i].up || !report->rows[i].required;
}

static void print_table(const struct report *report)
{
	printf("%-20s %-9s %-4s %s\n", "WHAT", "NEEDED", "HAVE", "REASON");
	for (size_t i = 0; i < report->nr; i++) {
		const struct kernel_feature *row = &report->rows[i];

		printf("%-20s %-9s %-4s %s\n", row->name, row->required ? "required" : "optional",
		       row->up ? "yes" : "no", row->reason);
	}
	printf("\nThe agent %s on this machine.\n", report->can_run ? "can run" : "cannot run");
}

static int print_json(const struct report *report)
{
	json_t *rows = json_array();
	json_t *top = json_pack("{s:i, s:b, s:o}", "schema", 1, "can_run", report->can_run,
				"features", rows);

	for (size_t i = 0; i < report->nr; i++)
		json_array_append_new(
			rows, json_pack("{s:s, s:b, s:b, s:s}", "name", report->rows[i].name,
					"required", report->rows[i].required, "available",
					report->rows[i].up, "reason", report->rows[i].reason));
	if (!top || json_dumpf(top, stdout, JSON_INDENT(2)))
		return -ENOMEM;
	putchar('\n');
	json_decref(top);
	return 0;
}

int cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct report report = {.hierarchy.root_fd = -1};
	bool json = false;
	int id;

	opterr = 0;
	while ((id = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (id == 'h') {
			fputs(help, stdout);
			return CMD_OK;
		}
		if (id != 'j') {
			log_error("unknown option '%s'; see mlprof doctor --help",
				  argv[optind - 1]);
			return CMD_USAGE;
		}
		json = true;
	}
	if (optind < argc) {
		log_error("unexpected argument '%s'; see mlprof doctor --help", argv[optind]);
		return CMD_USAGE;
	}
	/* The rows say it all. */
	log_setup(LOG_FORMAT_PLAIN, LOG_LEVEL_ERROR);
	examine(&report);
	if (json && print_json(&report)) {
		log_error("memory is out");
		return CMD_FAILED;
	}
	if (!json)
		print_table(&report);
	return report.can_run ? CMD_OK : CMD_FAILED;
}
