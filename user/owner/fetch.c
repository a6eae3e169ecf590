// SPDX-License-Identifier: Apache-2.0
/* Requests by curl's multi interface: the only one that another thread may wake. */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "owner/fetch.h"

/* curl wants to be called now and then whatever happens. */
#define POLL_MS	  1000
#define NS_PER_MS 1000000u

/* A certificate is looked at again when a connection is as old as this. */
#define CONNECTION_MAX_SECONDS 300L

struct fetcher {
	CURLM *multi;
	atomic_bool stopped;
};

/* What comes in, and when it is too much. */
struct intake {
	struct buf *body;
	size_t most;
	bool too_large;
};

void fetch_fail(struct fetch_error *error, enum names_failure failure, const char *format, ...)
{
	va_list args;

	error->failure = failure;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
}

struct fetcher *fetcher_new(void)
{
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));

	if (!fetcher)
		return NULL;
	fetcher->multi = curl_multi_init();
	if (!fetcher->multi) {
		free(fetcher);
		return NULL;
	}
	atomic_init(&fetcher->stopped, false);
	return fetcher;
}

void fetcher_free(struct fetcher *fetcher)
{
	if (!fetcher)
		return;
	curl_multi_cleanup(fetcher->multi);
	free(fetcher);
}

void fetcher_wake(struct fetcher *fetcher)
{
	curl_multi_wakeup(fetcher->multi);
}

void fetcher_stop(struct fetcher *fetcher)
{
	atomic_store(&fetcher->stopped, true);
	fetcher_wake(fetcher);
}

bool fetcher_stopped(const struct fetcher *fetcher)
{
	return atomic_load(&fetcher->stopped);
}

void fetcher_sleep(struct fetcher *fetcher, uint64_t ns)
{
	uint64_t ms = (ns + NS_PER_MS - 1) / NS_PER_MS;

	if (!fetcher_stopped(fetcher))
		curl_multi_poll(fetcher->multi, NULL, 0, ms < INT32_MAX ? (int)ms : INT32_MAX,
				NULL);
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
	struct intake *intake = arg;
	size_t bytes = size * count;

	if (bytes > intake->most - intake->body->len) {
		intake->too_large = true;
		return 0;
	}
	buf_add(intake->body, data, bytes);
	return intake->body->failed ? 0 : bytes;
}

static void set_options(CURL *curl, const struct fetch_limits *limits, struct intake *intake,
			char *details)
{
	/* What answers is named by the options, whatever proxy the environment names. */
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, limits->connect_ms);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, limits->total_ms);
	curl_easy_setopt(curl, CURLOPT_MAXLIFETIME_CONN, CONNECTION_MAX_SECONDS);
	curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)limits->bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, intake);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* A name server that hangs must not hold up the end of the agent. */
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
}

static bool is_tls(CURLcode code)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		return true;
	default:
		return false;
	}
}

static enum names_failure classify(CURLcode code, const struct intake *intake)
{
	if (intake->too_large || code == CURLE_FILESIZE_EXCEEDED)
		return NAMES_TOO_LARGE;
	if (code == CURLE_OPERATION_TIMEDOUT)
		return NAMES_TIMEOUT;
	if (is_tls(code))
		return NAMES_TLS;
	if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
		return NAMES_UNREACHABLE;
	if (!intake->body->len &&
	    (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING))
		return NAMES_UNREACHABLE;
	return NAMES_MALFORMED;
}

/* Some of curl's texts are sentences, some are not. */
static void say_why(struct fetch_error *error, enum names_failure failure, const char *why)
{
	size_t bytes = strlen(why);

	bytes -= bytes && why[bytes - 1] == '.';
	fetch_fail(error, failure, "%.*s", (int)bytes, why);
}

static int explain(CURLcode code, const char *details, const struct intake *intake,
		   struct fetch_error *error)
{
	if (intake->too_large || code == CURLE_FILESIZE_EXCEEDED)
		fetch_fail(error, NAMES_TOO_LARGE, "its answer is larger than %zu bytes",
			   intake->most);
	else if (intake->body->failed)
		fetch_fail(error, NAMES_TOO_LARGE, "no memory for its answer");
	else
		say_why(error, classify(code, intake),
			*details ? details : curl_easy_strerror(code));
	return -EIO;
}

/* Until the transfer is done or the fetcher stopped. */
static int perform(struct fetcher *fetcher, CURLcode *code)
{
	int running = 1, left;
	CURLMsg *message;

	while (running && !fetcher_stopped(fetcher)) {
		if (curl_multi_perform(fetcher->multi, &running) != CURLM_OK)
			break;
		if (running && !fetcher_stopped(fetcher))
			curl_multi_poll(fetcher->multi, NULL, 0, POLL_MS, NULL);
	}
	if (fetcher_stopped(fetcher))
		return -ECANCELED;
	message = curl_multi_info_read(fetcher->multi, &left);
	*code = message && message->msg == CURLMSG_DONE ? message->data.result : CURLE_FAILED_INIT;
	return 0;
}

int fetch(struct fetcher *fetcher, CURL *curl, const struct fetch_limits *limits, struct buf *body,
	  struct fetch_error *error)
{
	struct intake intake = {.body = body, .most = limits->bytes};
	char details[CURL_ERROR_SIZE] = "";
	CURLcode code = CURLE_OK;
	int err = -EIO;

	set_options(curl, limits, &intake, details);
	if (curl_multi_add_handle(fetcher->multi, curl) == CURLM_OK) {
		err = perform(fetcher, &code);
		curl_multi_remove_handle(fetcher->multi, curl);
	} else {
		code = CURLE_OUT_OF_MEMORY;
	}
	if (!err && code == CURLE_OK)
		return 0;
	return err == -ECANCELED ? err : explain(code, details, &intake, error);
}
