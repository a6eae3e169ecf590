// SPDX-License-Identifier: Apache-2.0
/* `mlprof owners`: whose the cgroups of this machine are, and how a path of one is read. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/names_options.h"
#include "owner/hierarchy.h"
#include "owner/owners.h"
#include "screen/owner_list.h"

/* How long the sources of names may take before the table is shown without. */
#define PATIENCE_NS 3000000000ull

/* Whatever no list has named for so long never will be. */
#define LATER_NS (3600 * 1000000000ull)

enum option_id {
	OPT_JSON = 256,
	OPT_EXPLAIN,
	OPT_CGROUP_ROOT,
};

struct owners_command {
	struct names_options names;
	const char *explain, *cgroup_root;
	bool json;
	struct hierarchy hierarchy;
	struct owners *owners;
	struct owner_list *list;
};

static const struct option long_options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"explain", required_argument, NULL, OPT_EXPLAIN},
	{"cgroup-root", required_argument, NULL, OPT_CGROUP_ROOT},
	NAMES_LONG_OPTIONS,
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void help(void)
{
	fputs("usage: mlprof owners [OPTION...]\n"
	      "\n"
	      "Shows whose the cgroups of this machine are: pods and containers, services, jobs.\n"
	      "Needs no agent, and root to read the names of pods.\n"
	      "\n"
	      "  --explain PATH       how one path is read: a cgroup's, a directory below\n"
	      "                       /sys/fs/cgroup, or a line of /proc/PID/cgroup\n"
	      "  --json               for machines\n"
	      "  --cgroup-root PATH   mount point of the cgroup hierarchy (found in "
	      "/proc/self/mounts)\n"
	      "  -h, --help           this text\n"
	      "\n" NAMES_HELP,
	      stdout);
}

static bool read_option(struct owners_command *command, int id, const char *text)
{
	switch (id) {
	case OPT_JSON:
		command->json = true;
		return true;
	case OPT_EXPLAIN:
		command->explain = text;
		return true;
	case OPT_CGROUP_ROOT:
		command->cgroup_root = text;
		return true;
	default:
		return names_option_read(&command->names, id, text);
	}
}

/* 0 to go on, else the exit status plus one. */
static int read_options(struct owners_command *command, int argc, char **argv)
{
	int id, index = 0;

	opterr = 0;
	while ((id = getopt_long(argc, argv, ":h", long_options, &index)) != -1) {
		if (id == 'h') {
			help();
			return CMD_OK + 1;
		}
		if (id == ':' || id == '?')
			log_error("%s '%s'; see mlprof owners --help",
				  id == ':' ? "no value for" : "unknown option", argv[optind - 1]);
		else if (read_option(command, id, optarg))
			continue;
		else
			log_error("bad value '%s' for --%s, which takes %s", optarg,
				  long_options[index].name, names_option_takes(id));
		return CMD_USAGE + 1;
	}
	if (optind < argc) {
		log_error("unexpected argument '%s'; see mlprof owners --help", argv[optind]);
		return CMD_USAGE + 1;
	}
	names_options_complete(&command->names);
	return 0;
}

static bool given(const char *text)
{
	return text && text[0];
}

/* Whether there is anybody to wait for. */
static bool has_sources(const struct names_options *names)
{
	return given(names->kubelet) || given(names->api_server) ||
	       (given(names->pod_logs) && !access(names->pod_logs, R_OK));
}

static void ignore_merge(void *context, uint32_t goes, uint32_t stays)
{
	(void)context;
	(void)goes;
	(void)stays;
}

/* Learns the names there are, if somebody tells them in time. */
static int learn_names(struct owners_command *command)
{
	const struct timespec nap = {.tv_nsec = 20000000};
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
	const struct pods *pods = NULL;
	struct names *names;

	if (!has_sources(&command->names))
		return 0;
	names = names_start(&command->names);
	if (!names)
		return -ENOMEM;
	while (!(pods = names_get(names, NULL)) && clock_ns(CLOCK_MONOTONIC) < until)
		nanosleep(&nap, NULL);
	if (pods) {
		owners_learn(command->owners, pods, 0, ignore_merge, NULL);
		owners_learn(command->owners, pods, LATER_NS, ignore_merge, NULL);
	}
	pods_put(pods);
	names_stop(names);
	return 0;
}

static int make_known(void *context, uint64_t cgroup, const char *path)
{
	struct owners_command *command = context;

	owners_made(command->owners, cgroup, path);
	return 0;
}

static int list_cgroup(void *context, uint64_t cgroup, const char *path)
{
	struct owners_command *command = context;

	return owner_list_add(command->list, owners_find(command->owners, cgroup), path);
}

/* The names come after the cgroups: what a list has not is told from what it has by then. */
static int show_table(struct owners_command *command, struct buf *out)
{
	int err = hierarchy_open(command->cgroup_root, &command->hierarchy);

	if (err)
		return err;
	err = hierarchy_walk(&command->hierarchy, make_known, command);
	if (!err)
		err = learn_names(command);
	if (!err)
		err = hierarchy_walk(&command->hierarchy, list_cgroup, command);
	if (err)
		log_error("cannot read the cgroups below %s: %s", command->hierarchy.root,
			  strerror(-err));
	else
		owner_list_render(command->list, out, command->json);
	hierarchy_close(&command->hierarchy);
	return err;
}

static int explain(struct owners_command *command, struct buf *out)
{
	static const uint64_t any = 2;
	const char *path = path_of_line(command->explain);
	int err;

	owners_made(command->owners, any, path);
	err = learn_names(command);
	if (!err)
		owner_explain(out, path,
			      owners_at(command->owners, owners_find(command->owners, any)),
			      command->json);
	return err;
}

int cmd_owners(int argc, char **argv)
{
	struct owners_command command = {.names = NAMES_DEFAULTS};
	struct owners_options options = {
		.hierarchy = &command.hierarchy,
		.max_owners = 1u << 20,
		.max_pods = 100000,
	};
	struct buf out = {0};
	int err = read_options(&command, argc, argv);

	if (err)
		return err - 1;
	command.owners = owners_new(&options);
	command.list = command.owners ? owner_list_new(command.owners) : NULL;
	if (!command.list)
		err = -ENOMEM;
	else
		err = command.explain ? explain(&command, &out) : show_table(&command, &out);
	if (!err && (out.failed || fwrite(out.data, 1, out.len, stdout) != out.len))
		err = -EIO;
	if (err == -ENOMEM)
		log_error("memory is out");
	buf_free(&out);
	owner_list_free(command.list);
	owners_free(command.owners);
	return err ? CMD_FAILED : CMD_OK;
}
