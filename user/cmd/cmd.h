/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs. Each is one file of this directory, takes the arguments from its own name on, and
 * returns the exit status of the process.
 */
#ifndef MLPROF_CMD_CMD_H
#define MLPROF_CMD_CMD_H

enum cmd_status {
	CMD_OK = 0,
	CMD_FAILED = 1, /* it could not be done; one line on stderr says what and what to do */
	CMD_USAGE = 2,	/* it was asked for in a wrong way */
};

int cmd_agent(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_owners(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
