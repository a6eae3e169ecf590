// SPDX-License-Identifier: Apache-2.0
/* GET over HTTPS: the token, whom to trust, and what each status means. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "owner/https.h"

/* Tokens of service accounts have about one KiB. */
#define TOKEN_MAX 16384

static ssize_t read_file(const char *path, char *text, size_t most)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t bytes = 0;
	ssize_t got = 1;

	if (fd < 0)
		return -errno;
	while (bytes < most && (got = read(fd, text + bytes, most - bytes)) > 0)
		bytes += (size_t)got;
	if (got < 0)
		got = -errno;
	close(fd);
	return got < 0 ? got : (ssize_t)bytes;
}

/* What may be behind "Bearer": anything else could write headers of its own. */
static bool is_token(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return bytes > 0;
}

/* "Authorization: Bearer TOKEN" */
static int read_token(const char *path, char *header, size_t size, struct fetch_error *error)
{
	int head = snprintf(header, size, "Authorization: Bearer ");
	char *token = header + head;
	ssize_t bytes = read_file(path, token, size - (size_t)head - 1);

	if (bytes < 0) {
		fetch_fail(error, NAMES_UNAUTHORIZED, "cannot read the token %s: %s", path,
			   strerror((int)-bytes));
		return -EIO;
	}
	while (bytes && strchr(" \t\r\n", token[bytes - 1]))
		bytes--;
	token[bytes] = '\0';
	if (is_token(token, (size_t)bytes))
		return 0;
	fetch_fail(error, NAMES_UNAUTHORIZED, "what is in %s is no token", path);
	return -EIO;
}

static struct curl_slist *make_headers(const char *token, struct fetch_error *error)
{
	struct curl_slist *accept = curl_slist_append(NULL, "Accept: application/json"), *all;

	all = accept && *token ? curl_slist_append(accept, token) : accept;
	if (all)
		return all;
	curl_slist_free_all(accept);
	fetch_fail(error, NAMES_UNREACHABLE, "no memory");
	return NULL;
}

static void set_options(CURL *curl, const struct https_server *server, const char *url,
			struct curl_slist *headers)
{
	long check = !server->insecure;

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	/* One request at a time gains nothing from HTTP/2. */
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, check);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, check * 2);
	if (server->ca_file && *server->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, server->ca_file);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
#else
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTPS);
#endif
}

static int check_status(CURL *curl, struct fetch_error *error)
{
	enum names_failure failure = NAMES_STATUS;
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return 0;
	if (status == 401)
		failure = NAMES_UNAUTHORIZED;
	else if (status == 403)
		failure = NAMES_FORBIDDEN;
	else if (status == 404)
		failure = NAMES_NOT_FOUND;
	fetch_fail(error, failure, "it answers with HTTP status %ld", status);
	return -EIO;
}

static int get(struct fetcher *fetcher, CURL *curl, const struct https_server *server,
	       struct buf *body, struct fetch_error *error)
{
	int err = fetch(fetcher, curl, &server->limits, body, error);

	return err ? err : check_status(curl, error);
}

static int request(struct fetcher *fetcher, const struct https_server *server, const char *url,
		   struct curl_slist *headers, struct buf *body, struct fetch_error *error)
{
	CURL *curl = curl_easy_init();
	int err;

	if (!curl) {
		fetch_fail(error, NAMES_UNREACHABLE, "no memory");
		return -EIO;
	}
	set_options(curl, server, url, headers);
	err = get(fetcher, curl, server, body, error);
	curl_easy_cleanup(curl);
	return err;
}

/* People write "https://HOST:PORT/" too. */
static void put_url(struct buf *url, const char *base, const char *path)
{
	size_t bytes = strlen(base);

	while (bytes && base[bytes - 1] == '/')
		bytes--;
	buf_add(url, base, bytes);
	buf_puts(url, path);
}

int https_get(struct fetcher *fetcher, const struct https_server *server, const char *path,
	      struct buf *body, struct fetch_error *error)
{
	char token[TOKEN_MAX] = "";
	struct curl_slist *headers = NULL;
	struct buf url = {0};
	int err = 0;

	if (server->token_file && *server->token_file)
		err = read_token(server->token_file, token, sizeof(token), error);
	if (!err) {
		headers = make_headers(token, error);
		err = headers ? 0 : -EIO;
	}
	if (!err) {
		put_url(&url, server->url, path);
		err = request(fetcher, server, buf_text(&url), headers, body, error);
	}
	curl_slist_free_all(headers);
	buf_free(&url);
	explicit_bzero(token, sizeof(token));
	return err;
}
