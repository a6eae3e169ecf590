// SPDX-License-Identifier: Apache-2.0
/* Reading the options about names, and what holds when they are not given. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/names_options.h"

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

static const char *own_name(void)
{
	static char host[256];
	const char *given = getenv("NODE_NAME");

	if (given && given[0])
		return given;
	if (gethostname(host, sizeof(host) - 1))
		host[0] = 0;
	return host;
}

/* The cluster's address as each pod gets it; an IPv6 address needs its brackets. */
static const char *own_cluster(void)
{
	static char url[300];
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");

	if (!host || !port || access(ACCOUNT "token", R_OK))
		return "";
	snprintf(url, sizeof(url), strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host,
		 port);
	return url;
}

void names_options_complete(struct names_options *names)
{
	if (!names->node)
		names->node = own_name();
	if (!names->api_server)
		names->api_server = own_cluster();
	if (!names->token_file)
		names->token_file = ACCOUNT "token";
	if (!names->ca_file)
		names->ca_file = ACCOUNT "ca.crt";
}

static bool read_url(const char *text, const char **url)
{
	*url = text;
	return !text[0] || (!strncmp(text, "https://", 8) && text[8]);
}

bool names_option_read(struct names_options *names, int id, const char *text)
{
	switch (id) {
	case NAMES_OPT_KUBELET:
		return read_url(text, &names->kubelet);
	case NAMES_OPT_API_SERVER:
		return read_url(text, &names->api_server);
	case NAMES_OPT_INSECURE_TLS:
		names->insecure_tls = true;
		return true;
	case NAMES_OPT_NODE:
		names->node = text;
		return true;
	case NAMES_OPT_TOKEN_FILE:
		names->token_file = text;
		return true;
	case NAMES_OPT_CA_FILE:
		names->ca_file = text;
		return true;
	case NAMES_OPT_POD_LOGS:
		names->pod_logs = text;
		return true;
	case NAMES_OPT_POD_RESOURCES:
		names->pod_resources = text;
		return true;
	default:
		names->labels = text;
		return true;
	}
}

const char *names_option_takes(int id)
{
	return id == NAMES_OPT_KUBELET || id == NAMES_OPT_API_SERVER ? "https://HOST:PORT" : "text";
}
