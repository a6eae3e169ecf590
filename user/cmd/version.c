// SPDX-License-Identifier: Apache-2.0
/* mlprof version. */
#include <stdio.h>

#include "version.h"
#include "cmd/cmd.h"

int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("mlprof " MLPROF_VERSION);
	return CMD_OK;
}
