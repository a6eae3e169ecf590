// SPDX-License-Identifier: Apache-2.0
/* The table of verbs and nothing else. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{"agent", cmd_agent, "attach, aggregate and serve /metrics"},
	{"top", cmd_top, "show who uses and who waits for the CPU, from a running agent"},
	{"doctor", cmd_doctor, "tell what this machine allows, and why not"},
	{"owners", cmd_owners, "tell whose the cgroups of this machine are"},
	{"version", cmd_version, "print the version"},
};

#define NR_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static int usage(FILE *to, int status)
{
	fputs("usage: mlprof VERB [OPTION...]\n\n", to);
	for (size_t i = 0; i < NR_VERBS; i++)
		fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].help);
	fputs("\nmlprof VERB --help tells the options of a verb.\n", to);
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr, CMD_USAGE);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return usage(stdout, CMD_OK);
	if (!strcmp(argv[1], "--version"))
		return cmd_version(argc - 1, argv + 1);
	for (size_t i = 0; i < NR_VERBS; i++)
		if (!strcmp(argv[1], verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	fprintf(stderr, "mlprof: unknown verb '%s'; see mlprof --help\n", argv[1]);
	return CMD_USAGE;
}
