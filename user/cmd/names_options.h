/* SPDX-License-Identifier: Apache-2.0 */
/* The options about where names come from, which several verbs have. */
#ifndef MLPROF_CMD_NAMES_OPTIONS_H
#define MLPROF_CMD_NAMES_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>

#include "owner/names.h"

enum names_option {
	NAMES_OPT_FIRST = 512,
	NAMES_OPT_KUBELET = NAMES_OPT_FIRST,
	NAMES_OPT_INSECURE_TLS,
	NAMES_OPT_API_SERVER,
	NAMES_OPT_NODE,
	NAMES_OPT_TOKEN_FILE,
	NAMES_OPT_CA_FILE,
	NAMES_OPT_POD_LOGS,
	NAMES_OPT_POD_RESOURCES,
	NAMES_OPT_POD_LABELS,
};

/* clang-format off */
#define NAMES_LONG_OPTIONS \
	{"kubelet", required_argument, NULL, NAMES_OPT_KUBELET}, \
	{"kubelet-insecure-tls", no_argument, NULL, NAMES_OPT_INSECURE_TLS}, \
	{"api-server", required_argument, NULL, NAMES_OPT_API_SERVER}, \
	{"node", required_argument, NULL, NAMES_OPT_NODE}, \
	{"token-file", required_argument, NULL, NAMES_OPT_TOKEN_FILE}, \
	{"ca-file", required_argument, NULL, NAMES_OPT_CA_FILE}, \
	{"pod-logs", required_argument, NULL, NAMES_OPT_POD_LOGS}, \
	{"pod-resources", required_argument, NULL, NAMES_OPT_POD_RESOURCES}, \
	{"pod-labels", required_argument, NULL, NAMES_OPT_POD_LABELS}

#define NAMES_HELP \
	"Names of pods, from whichever of these answers; '' for not to ask:\n" \
	"  --kubelet URL        say https://127.0.0.1:10250 (not asked unless given)\n" \
	"  --kubelet-insecure-tls  do not check the kubelet's certificate\n" \
	"  --api-server URL     asked when the kubelet fails (in a pod: its cluster)\n" \
	"  --node NAME          this node's ($NODE_NAME, else the host's name)\n" \
	"  --token-file FILE    bearer token for both (in a pod: its service account's)\n" \
	"  --ca-file FILE       whom their certificates must come from (likewise)\n" \
	"  --pod-logs DIR       directories named after pods (/var/log/pods)\n" \
	"  --pod-resources PATH socket that tells devices\n" \
	"                       (/var/lib/kubelet/pod-resources/kubelet.sock)\n" \
	"  --pod-labels A,B     labels of pods to show in mlprof_pod_info\n"
/* clang-format on */

/* What holds before any option is read. */
#define NAMES_DEFAULTS                                                                             \
	{                                                                                          \
		.pod_logs = "/var/log/pods",                                                       \
		.pod_resources = "/var/lib/kubelet/pod-resources/kubelet.sock",                    \
		.interval_ns = 15000000000ull,                                                     \
	}

/* Reads one option; false if the value is bad. */
bool names_option_read(struct names_options *names, int id, const char *text);

/* What a bad value should have been. */
const char *names_option_takes(int id);

/*
 * Fills what the options left open: from the environment that Kubernetes gives to a pod, and from
 * this machine's name. The strings live as long as the process.
 */
void names_options_complete(struct names_options *names);

#endif
