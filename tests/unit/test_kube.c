// SPDX-License-Identifier: Apache-2.0
/* Requests to a kubelet and an API server that answer well, badly or not at all. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "owner/kube.h"
#include "tests/fixtures/fake_kubelet.h"

#define PODS "\"pods\":[{\"name\":\"p\",\"uid\":\"u\"}]"

static struct fake fake;
static bool can_run;

static int setup(void **state)
{
	(void)state;
	can_run = fake_init(&fake) && fake_start(&fake, "good.pem", false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_drop(&fake);
	return 0;
}

/* How a test asks. */
struct question {
	const char *url, *token, *ca;
	bool insecure, api_server;
	long total_ms;
};

/* -1 for a good answer, else the failure. */
static int ask_as(const struct question *q, const struct pods **pods, struct fetch_error *error)
{
	struct https_server server = {
		.url = q->url ? q->url : fake.url,
		.token_file = fake_path(&fake, q->token ? q->token : "token"),
		.ca_file = fake_path(&fake, q->ca ? q->ca : "ca.pem"),
		.insecure = q->insecure,
		.limits = {10000, q->total_ms ? q->total_ms : 20000, 1 << 20},
	};
	struct podlist_options options = {.node = "node"};
	struct fetcher *fetcher = fetcher_new();
	struct podlist_skipped skipped = {0};
	int err;

	error->text[0] = '\0';
	err = (q->api_server ? api_server_ask : kubelet_ask)(fetcher, &server, &options, pods,
							     &skipped, error);
	fetcher_free(fetcher);
	assert_true(!err || (err == -EIO && *error->text));
	return err ? (int)error->failure : -1;
}

static int ask(struct question question)
{
	const struct pods *pods = NULL;
	struct fetch_error error;
	int got;

	if (!can_run)
		skip();
	got = ask_as(&question, &pods, &error);
	assert_int_equal(got < 0, pods != NULL);
	if (pods)
		assert_int_equal(pods->nr, 1);
	pods_put(pods);
	return got;
}

static void serve_badly(const char *how)
{
	fake_write(&fake, "state.json", "{" PODS ",\"http\":%s}", how);
}

static void serve_well(void)
{
	serve_badly("\"ok\"");
}

static void restart(const char *certificate)
{
	if (!can_run)
		skip();
	fake_stop(&fake);
	assert_true(fake_start(&fake, certificate, false));
}

static void a_good_answer_is_read(void **state)
{
	char slash[80];

	(void)state;
	serve_well();
	assert_int_equal(ask((struct question){0}), -1);
	assert_int_equal(ask((struct question){.api_server = true}), -1);
	snprintf(slash, sizeof(slash), "%s//", fake.url);
	assert_int_equal(ask((struct question){.url = slash}), -1);
}

static void bad_answers_have_their_names(void **state)
{
	static const struct {
		const char *how;
		enum names_failure failure;
	} answers[] = {
		{"401", NAMES_UNAUTHORIZED},	{"403", NAMES_FORBIDDEN},
		{"404", NAMES_NOT_FOUND},	{"500", NAMES_STATUS},
		{"503", NAMES_STATUS},		{"204", NAMES_STATUS},
		{"\"redirect\"", NAMES_STATUS}, {"\"garbage\"", NAMES_MALFORMED},
		{"\"half\"", NAMES_MALFORMED},	{"\"cut\"", NAMES_MALFORMED},
		{"\"huge\"", NAMES_TOO_LARGE},	{"\"endless\"", NAMES_TOO_LARGE},
		{"\"hang\"", NAMES_TIMEOUT},	{"\"drip\"", NAMES_TIMEOUT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		serve_badly(answers[i].how);
		/* Others may be slow only because the machine is. */
		if (ask((struct question){
			    .total_ms = answers[i].failure == NAMES_TIMEOUT ? 1500 : 20000}) !=
		    (int)answers[i].failure)
			fail_msg("%s", answers[i].how);
	}
	serve_well();
	assert_int_equal(ask((struct question){0}), -1);
}

static void only_our_ca_is_believed(void **state)
{
	(void)state;
	serve_well();
	assert_int_equal(ask((struct question){.ca = "unknown.pem"}), NAMES_TLS);
	assert_int_equal(ask((struct question){.ca = "missing.pem"}), NAMES_TLS);
	restart("stranger.pem");
	assert_int_equal(ask((struct question){0}), NAMES_TLS);
	assert_int_equal(ask((struct question){.insecure = true}), -1);
	restart("expired.pem");
	assert_int_equal(ask((struct question){0}), NAMES_TLS);
	restart("elsewhere.pem");
	assert_int_equal(ask((struct question){0}), NAMES_TLS);
	restart("good.pem");
	assert_int_equal(ask((struct question){0}), -1);
}

static void a_token_may_change_at_any_time(void **state)
{
	(void)state;
	serve_well();
	fake_write(&fake, "mine", "secret");
	assert_int_equal(ask((struct question){.token = "mine"}), -1);
	fake_write(&fake, "token", "rotated");
	assert_int_equal(ask((struct question){.token = "mine"}), NAMES_UNAUTHORIZED);
	fake_write(&fake, "mine", "rotated \r\n");
	assert_int_equal(ask((struct question){.token = "mine"}), -1);
	fake_write(&fake, "token", "secret");
}

static void what_is_no_token_is_not_sent(void **state)
{
	static const char *const tokens[] = {"", "\n", "a b", "a\r\nX-Header: b", "\x80"};
	size_t before = fake_requests(&fake, "");

	(void)state;
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		fake_write(&fake, "mine", "%s", tokens[i]);
		assert_int_equal(ask((struct question){.token = "mine"}), NAMES_UNAUTHORIZED);
	}
	assert_int_equal(ask((struct question){.token = "missing"}), NAMES_UNAUTHORIZED);
	assert_int_equal(fake_requests(&fake, ""), before);
}

static void nobody_there_is_told(void **state)
{
	(void)state;
	assert_int_equal(ask((struct question){.url = "https://127.0.0.1:1"}), NAMES_UNREACHABLE);
	assert_int_equal(ask((struct question){.url = "http://127.0.0.1:1"}), NAMES_MALFORMED);
	assert_int_equal(ask((struct question){.url = "nonsense://"}), NAMES_MALFORMED);
}

static void write_many(size_t nr)
{
	struct buf text = {0};

	for (size_t i = 0; i < nr; i++)
		buf_printf(&text, "%s{\"name\":\"p%zu\",\"uid\":\"%06zu\",\"node\":\"%s\"}",
			   i ? "," : "", i, i, i % 2 ? "node" : "other");
	fake_write(&fake, "state.json", "{\"pods\":[%s]}", buf_text(&text));
	buf_free(&text);
}

static void the_api_server_is_asked_page_by_page(void **state)
{
	struct question question = {.api_server = true};
	const struct pods *pods = NULL;
	struct fetch_error error;
	size_t before;

	(void)state;
	if (!can_run)
		skip();
	before = fake_requests(&fake, "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode&limit=");
	write_many(1500);
	assert_int_equal(ask_as(&question, &pods, &error), -1);
	assert_int_equal(pods->nr, 750);
	assert_string_equal(pods->pod[749].uid, "001499");
	pods_put(pods);
	assert_int_equal(fake_requests(&fake,
				       "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode&limit="),
			 before + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_answer_is_read),
		cmocka_unit_test(bad_answers_have_their_names),
		cmocka_unit_test(only_our_ca_is_believed),
		cmocka_unit_test(a_token_may_change_at_any_time),
		cmocka_unit_test(what_is_no_token_is_not_sent),
		cmocka_unit_test(nobody_there_is_told),
		cmocka_unit_test(the_api_server_is_asked_page_by_page),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
