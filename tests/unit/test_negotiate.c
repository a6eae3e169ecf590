// SPDX-License-Identifier: Apache-2.0
/* What a client gets for the headers it sends: real ones, and garbage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "expose/negotiate.h"

#define TEXT	    "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define OM	    "application/openmetrics-text"

/* As these versions of Prometheus send them. */
#define PROMETHEUS_2_42                                                                            \
	"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"   \
	"q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
#define PROMETHEUS_2_53                                                                            \
	"application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;"           \
	"version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
#define PROMETHEUS_3_5                                                                             \
	"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"                   \
	"application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"               \
	"escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
#define PROMETHEUS_3_5_PROTOBUF                                                                    \
	"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"                 \
	"encoding=delimited;q=0.7," PROMETHEUS_3_5

static const struct accept_case {
	const char *accept, *content_type;
} accept_cases[] = {
	{NULL, TEXT},
	{"", TEXT},
	{"*/*", TEXT},
	{PROMETHEUS_2_42, OPENMETRICS},
	{PROMETHEUS_2_53, OPENMETRICS},
	{PROMETHEUS_3_5, OPENMETRICS "; escaping=allow-utf-8"},
	{PROMETHEUS_3_5_PROTOBUF, OPENMETRICS "; escaping=allow-utf-8"},
	/* A browser's. */
	{"text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8", TEXT},

	{OM, OPENMETRICS},
	{OM ";version=1.0.0", OPENMETRICS},
	{OM ";version=0.0.1", TEXT},
	{OM ";version=2.0.0", TEXT},
	{OM ";version=10.0.0", TEXT},
	{"text/plain", TEXT},
	{"text/plain;version=0.0.4", TEXT},

	/* The weight decides, whatever stands first. */
	{OM ";q=0.4,text/plain;q=0.5", TEXT},
	{"text/plain;q=0.5," OM ";q=0.6", OPENMETRICS},
	{OM ";q=0.001,text/plain;q=0.0009", OPENMETRICS},
	{"text/plain;q=0.5," OM, OPENMETRICS},
	{OM ";q=0,text/plain;q=0.1", TEXT},
	{OM ";q=0.000", TEXT},
	{"text/plain;q=0,*/*;q=0.1", OPENMETRICS},
	{"*/*;q=0", TEXT},
	{OM ",text/plain", OPENMETRICS},
	{"text/plain," OM, OPENMETRICS},

	/* The closest range counts for a format, not the first nor the heaviest. */
	{"*/*," OM ";q=0", TEXT},
	{OM ";q=0.1,*/*", TEXT},
	{"application/*;q=0.9,text/*;q=0.8", OPENMETRICS},
	{"application/*,text/*", TEXT},
	{"application/*", OPENMETRICS},
	{"application/*;q=0.3," OM ";q=0.1,text/plain;q=0.2", TEXT},
	{OM ";q=0.1," OM ";version=1.0.0;q=0.9,text/plain;q=0.5", OPENMETRICS},
	{OM ";q=0.9," OM ";version=1.0.0;q=0.1,text/plain;q=0.5", TEXT},
	{"*/plain", TEXT},
	{"application/openmetrics-text;q=0.5,*/openmetrics-text;q=0.9,text/plain;q=0.7", TEXT},

	/* Case, blanks, quotes, parameters nobody knows. */
	{"APPLICATION/OpenMetrics-Text;VERSION=1.0.0", OPENMETRICS},
	{" \t" OM " ; version = 1.0.0 ; q = 1 , text/plain ; q=0.9 ", OPENMETRICS},
	{OM ";version=\"1.0.0\";q=\"0.9\",text/plain;q=0.5", OPENMETRICS},
	{OM ";x=\"a,b;q=0\\\",\";q=0.9,text/plain;q=0.5", OPENMETRICS},
	{"text/plain;q=0.9," OM ";x=\",text/plain;\\\",\";q=0.1", TEXT},
	{OM ";charset=utf-8;flag;=;x=", OPENMETRICS},
	{OM ";q=.9,text/plain;q=0.8", OPENMETRICS},
	{OM ";q=1.,text/plain;q=0.999", OPENMETRICS},
	{OM ";q=7,text/plain", OPENMETRICS},

	/* Schemes of escaping are told back if they are known and change nothing for our names. */
	{OM ";version=1.0.0;escaping=underscores", OPENMETRICS "; escaping=underscores"},
	{OM ";version=1.0.0;escaping=values", OPENMETRICS "; escaping=values"},
	{OM ";version=1.0.0;escaping=dots", OPENMETRICS},
	{OM ";version=1.0.0;escaping=../../etc", OPENMETRICS},
	{OM ";version=1.0.0;escaping=\"a\r\nb\"", OPENMETRICS},

	/* Garbage accepts nothing, and does no harm to what stands beside it. */
	{",", TEXT},
	{";;;,,,///,;=;", TEXT},
	{"garbage", TEXT},
	{"garbage," OM ";q=0.5", OPENMETRICS},
	{OM ";q=abc", TEXT},
	{OM ";q=", TEXT},
	{OM ";q=.", TEXT},
	{OM ";q=-1", TEXT},
	{OM ";q=1.0.0", TEXT},
	{OM ";q=0x1", TEXT},
	{"/", TEXT},
	{"*", TEXT},
	{OM ";version=\"1.0.0", TEXT},
	{"\"" OM, TEXT},
	{"\xff\xfe/\x01," OM, OPENMETRICS},
};

static void test_accept(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(accept_cases) / sizeof(accept_cases[0]); i++) {
		const struct accept_case *c = &accept_cases[i];
		struct negotiated got = negotiate_form(c->accept);

		if (strcmp(got.content_type, c->content_type))
			fail_msg("'%s' got %s", c->accept, got.content_type);
		assert_int_equal(got.form == EXPOSITION_OPENMETRICS,
				 !strncmp(c->content_type, OM, strlen(OM)));
	}
}

static void test_encoding(void **state)
{
	static const struct {
		const char *accept;
		bool gzip;
	} cases[] = {
		{NULL, false},
		{"", false},
		{"gzip", true},
		{"GZIP", true},
		{"x-gzip", true},
		{"gzip, deflate, br, zstd", true},
		{"br;q=1.0, gzip;q=0.8, *;q=0.1", true},
		{"deflate", false},
		{"gzipped", false},
		{"gzip;q=0", false},
		{"gzip;q=0.000", false},
		{"gzip;q=0.001", true},
		{"gzip;q=0,*", false},
		{"*;q=0,gzip", true},
		{"*", true},
		{"*;q=0", false},
		{"identity", false},
		{"identity;q=1, gzip;q=0.5", false},
		{"identity;q=0.5, gzip;q=1", true},
		{"gzip;q=abc", false},
		{"gzip;q=", false},
		{";q=1", false},
		{",,;,gzip", true},
		{" gzip ; q = 0.5 ", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (negotiate_gzip(cases[i].accept) != cases[i].gzip)
			fail_msg("'%s' is not %d", cases[i].accept, cases[i].gzip);
}

/* A header of a megabyte costs what its first part costs. */
static void test_long(void **state)
{
	size_t bytes = (size_t)1 << 20;
	char *header = malloc(bytes + 1);

	(void)state;
	memset(header, ',', bytes);
	header[bytes] = '\0';
	memcpy(header + bytes - strlen(OM), OM, strlen(OM));
	assert_string_equal(negotiate_form(header).content_type, TEXT);
	memcpy(header + NEGOTIATE_MAX_BYTES - strlen(OM), OM, strlen(OM));
	assert_string_equal(negotiate_form(header).content_type, OPENMETRICS);
	free(header);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
