// SPDX-License-Identifier: Apache-2.0
/* HTTP over a Unix socket by libcurl, and why it did not work. */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "expose/snapshot_json.h"
#include "screen/agent_link.h"

/* An agent at its limit of owners sends a few MiB. */
#define ANSWER_MAX_BYTES ((size_t)64 << 20)
#define TIMEOUT_MS	 5000L

struct agent_link {
	char *path;
	const volatile sig_atomic_t *stop;
	CURL *curl;
	struct buf answer;
};

#define say(error, ...) snprintf((error)->text, sizeof((error)->text), __VA_ARGS__)

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
	struct buf *answer = arg;
	size_t bytes = size * count;

	if (bytes > ANSWER_MAX_BYTES - answer->len)
		return 0;
	buf_add(answer, data, bytes);
	return answer->failed ? 0 : bytes;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct agent_link *link = arg;

	(void)a, (void)b, (void)c, (void)d;
	return *link->stop != 0;
}

static void set_options(struct agent_link *link)
{
	CURL *curl = link->curl;

	curl_easy_setopt(curl, CURLOPT_URL, "http://localhost/v1/snapshot");
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, link->path);
	/* The socket is of this machine, whatever proxy the environment names. */
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &link->answer);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, link);
}

struct agent_link *agent_link_new(const char *path, const volatile sig_atomic_t *stop)
{
	struct agent_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->stop = stop;
	link->path = strdup(path);
	link->curl = curl_easy_init();
	if (!link->path || !link->curl) {
		agent_link_free(link);
		return NULL;
	}
	set_options(link);
	return link;
}

void agent_link_free(struct agent_link *link)
{
	if (!link)
		return;
	if (link->curl)
		curl_easy_cleanup(link->curl);
	buf_free(&link->answer);
	free(link->path);
	free(link);
}

static int explain_connect(const struct agent_link *link, int err, struct agent_error *error)
{
	const char *advice = "is the agent running? start it with: sudo mlprof agent";

	if (err == EACCES || err == EPERM)
		advice = "only its owner may open it: try sudo mlprof top";
	say(error, "cannot reach the agent at %s: %s; %s", link->path, strerror(err), advice);
	return -err;
}

static int explain_curl(const struct agent_link *link, CURLcode code, struct agent_error *error)
{
	long os_error = 0;

	if (code == CURLE_ABORTED_BY_CALLBACK)
		return -EINTR;
	curl_easy_getinfo(link->curl, CURLINFO_OS_ERRNO, &os_error);
	if (code == CURLE_COULDNT_CONNECT)
		return explain_connect(link, os_error ? (int)os_error : ECONNREFUSED, error);
	if (code == CURLE_OPERATION_TIMEDOUT) {
		say(error, "the agent at %s does not answer", link->path);
		return -ETIMEDOUT;
	}
	if (link->answer.failed) {
		say(error, "out of memory");
		return -ENOMEM;
	}
	say(error, "what listens at %s does not answer as an agent: %s", link->path,
	    curl_easy_strerror(code));
	return code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR ? -ECONNRESET : -EBADMSG;
}

static int check_status(const struct agent_link *link, struct agent_error *error)
{
	long status = 0;

	curl_easy_getinfo(link->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return 0;
	if (status == 503) {
		say(error, "the agent at %s has no data yet", link->path);
		return -EAGAIN;
	}
	say(error, "what listens at %s is no agent, or of another version: HTTP status %ld",
	    link->path, status);
	return -EBADMSG;
}

int agent_link_fetch(struct agent_link *link, struct snapshot **snap, struct agent_error *error)
{
	struct json_error why;
	CURLcode code;
	int err;

	link->answer.len = 0;
	error->text[0] = '\0';
	code = curl_easy_perform(link->curl);
	if (code != CURLE_OK)
		return explain_curl(link, code, error);
	err = check_status(link, error);
	if (err)
		return err;
	err = snapshot_json_read(link->answer.data, link->answer.len, snap, &why);
	if (err == -ENOMEM)
		say(error, "out of memory");
	else if (err)
		say(error, "what the agent at %s sent is no snapshot: %s", link->path, why.text);
	return err;
}
