// SPDX-License-Identifier: Apache-2.0
/* gRPC is HTTP/2 with a frame around each message and a status behind the last. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "owner/grpc.h"

/* One byte that says whether the message is compressed, and four of its length. */
#define FRAME_BYTES 5

enum {
	GRPC_OK = 0,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_NOT_SAID = -1,
};

/* What the server says about the call, in headers or behind the message. */
struct grpc_status {
	long code;
	char text[128];
};

/* "name: value" -> value without the blanks around it; false if it is another header. */
static bool header_value(const char *line, size_t bytes, const char *name, char *value, size_t size)
{
	size_t head = strlen(name), n = 0;

	if (bytes <= head || strncasecmp(line, name, head) != 0 || line[head] != ':')
		return false;
	for (head++; head < bytes && (line[head] == ' ' || line[head] == '\t');)
		head++;
	/* Foreign bytes that end in the log. */
	for (; head < bytes && n + 1 < size && isprint((unsigned char)line[head]); head++)
		value[n++] = line[head];
	value[n] = '\0';
	return true;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct grpc_status *status = arg;
	size_t bytes = size * count;
	char value[16], *end;

	header_value(line, bytes, "grpc-message", status->text, sizeof(status->text));
	if (header_value(line, bytes, "grpc-status", value, sizeof(value))) {
		status->code = strtol(value, &end, 10);
		if (!*value || *end)
			status->code = GRPC_NOT_SAID;
	}
	return bytes;
}

static struct curl_slist *make_headers(void)
{
	static const char *const lines[] = {"Content-Type: application/grpc", "TE: trailers",
					    "Accept:"};
	struct curl_slist *headers = NULL, *more;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		more = curl_slist_append(headers, lines[i]);
		if (!more) {
			curl_slist_free_all(headers);
			return NULL;
		}
		headers = more;
	}
	return headers;
}

static void set_options(CURL *curl, const char *socket, const char *url, struct curl_slist *headers,
			struct grpc_status *status)
{
	static const char empty_message[FRAME_BYTES];

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	/* libcurl 7.88, that of Debian 12, fails on a connection that it has used so before. */
	curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)FRAME_BYTES);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, empty_message);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, status);
}

static int check(CURL *curl, const struct grpc_status *status, struct fetch_error *error)
{
	long http = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
	if (http == 200 && status->code == GRPC_OK)
		return 0;
	if (http != 200)
		fetch_fail(error, NAMES_STATUS, "it answers with HTTP status %ld", http);
	else if (status->code == GRPC_NOT_SAID)
		fetch_fail(error, NAMES_MALFORMED, "its answer has no gRPC status");
	else
		fetch_fail(error, NAMES_STATUS, "it answers with gRPC status %ld: %s", status->code,
			   status->text);
	return http == 200 && status->code == GRPC_UNIMPLEMENTED ? -ENOSYS : -EIO;
}

/* Exactly one message, not compressed: we said that we take nothing else. */
static int unframe(struct buf *frame, struct fetch_error *error)
{
	uint32_t bytes;

	if (frame->len >= FRAME_BYTES && !frame->data[0]) {
		memcpy(&bytes, frame->data + 1, sizeof(bytes));
		if (ntohl(bytes) == frame->len - FRAME_BYTES) {
			frame->len -= FRAME_BYTES;
			memmove(frame->data, frame->data + FRAME_BYTES, frame->len);
			return 0;
		}
	}
	fetch_fail(error, NAMES_MALFORMED, "its answer is not one gRPC message");
	return -EIO;
}

static int call(struct fetcher *fetcher, CURL *curl, const struct grpc_status *status,
		const struct fetch_limits *limits, struct buf *message, struct fetch_error *error)
{
	int err = fetch(fetcher, curl, limits, message, error);

	if (!err)
		err = check(curl, status, error);
	return err ? err : unframe(message, error);
}

int grpc_call(struct fetcher *fetcher, const char *socket, const char *method,
	      const struct fetch_limits *limits, struct buf *message, struct fetch_error *error)
{
	struct grpc_status status = {.code = GRPC_NOT_SAID};
	struct curl_slist *headers = make_headers();
	CURL *curl = curl_easy_init();
	char url[256];
	int err = -EIO;

	snprintf(url, sizeof(url), "http://localhost/%s", method);
	if (curl && headers) {
		set_options(curl, socket, url, headers, &status);
		err = call(fetcher, curl, &status, limits, message, error);
	} else {
		fetch_fail(error, NAMES_UNREACHABLE, "no memory");
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	return err;
}
