// SPDX-License-Identifier: Apache-2.0
/* Reading the options about names, and what holds when they are not given. */
#include <ctype.h>
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

/* Two labels of pods that would be one label of a metric: such a scrape nobody reads. */
static bool same_label(const char *a, const char *b)
{
	size_t i = 0;

	for (; a[i] && a[i] != ',' && b[i] && b[i] != ','; i++)
		if (a[i] != b[i] && (isalnum((unsigned char)a[i]) || isalnum((unsigned char)b[i])))
			return false;
	return (!a[i] || a[i] == ',') && (!b[i] || b[i] == ',');
}

/* A label's name has 63 characters at most, and a prefix of 253. */
static bool read_labels(const char *text, const char **labels)
{
	*labels = text;
	for (const char *a = text; *a; a += strcspn(a, ",") + (a[strcspn(a, ",")] == ','))
		for (const char *b = text; b < a; b += strcspn(b, ",") + 1)
			if (same_label(a, b))
				return false;
	return true;
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
		return read_labels(text, &names->labels);
	}
}

const char *names_option_takes(int id)
{
	if (id == NAMES_OPT_POD_LABELS)
		return "names that differ, also with _ for what is no letter or digit";
	return id == NAMES_OPT_KUBELET || id == NAMES_OPT_API_SERVER ? "https://HOST:PORT" : "text";
}
