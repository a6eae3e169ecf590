// SPDX-License-Identifier: Apache-2.0
/* The two text formats: against what was computed by hand, and against other people's parsers. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "version.h"
#include "expose/openmetrics.h"
#include "expose/text.h"
#include "tests/fixtures/node.h"

#define TRAINER "{namespace=\"team-a\",pod=\"train-0\",container=\"worker\""

static const struct scrape_stats scrapes = {41, 1230000};

/* The exposition as a string; the caller must free() it. */
static char *render(const struct snapshot *snap, enum exposition form)
{
	struct buf to = {0};

	assert_int_equal(openmetrics_render(&to, snap, &scrapes, form), 0);
	buf_text(&to);
	return to.data;
}

static char *render_node(enum exposition form)
{
	struct snapshot *snap = node_snapshot();
	char *text = render(snap, form);

	snapshot_put(snap);
	return text;
}

/* How often a whole line, or its beginning up to `bytes`, is in the text. */
static unsigned int count_lines(const char *text, const char *line, bool whole)
{
	unsigned int count = 0;
	size_t bytes = strlen(line);

	for (const char *at = text; *at; at = strchr(at, '\n') + 1)
		count += !strncmp(at, line, bytes) && (!whole || at[bytes] == '\n');
	return count;
}

static void assert_lines(const char *text, const char *const *lines)
{
	for (; *lines; lines++)
		if (count_lines(text, *lines, true) != 1)
			fail_msg("%u times: %s\nin:\n%s", count_lines(text, *lines, true), *lines,
				 text);
}

static void test_samples(void **state)
{
	static const char *const lines[] = {
		("mlprof_cpu_seconds_total" TRAINER "} 12.345678901"),
		("mlprof_cpu_wait_seconds_total" TRAINER "} 0.5"),
		("mlprof_context_switches_total" TRAINER ",kind=\"voluntary\"} 3"),
		("mlprof_context_switches_total" TRAINER ",kind=\"preempted\"} 4"),
		"mlprof_unit_cpu_seconds_total{unit=\"ssh.service\"} 1.5",
		"mlprof_unit_cpu_wait_seconds_total{unit=\"ssh.service\"} 0.00000002",
		"mlprof_node_cpu_seconds_total{mode=\"pods\"} 12.345678906",
		"mlprof_node_cpu_seconds_total{mode=\"unattributed\"} 0.004321094",
		"mlprof_node_elapsed_seconds_total 20",
		"mlprof_node_cpus_online 2",
		"mlprof_events_lost_total{plane=\"account\",cause=\"ring_full\"} 3",
		"mlprof_ring_bytes{state=\"size\"} 16777216",
		"mlprof_ring_bytes{state=\"used\"} 4096",
		"mlprof_bpf_program_seconds_total{program=\"sched_switch\"} 0.000175",
		"mlprof_bpf_program_runs_total{program=\"sched_switch\"} 1000",
		"mlprof_bpf_program_measured_seconds_total 9",
		"mlprof_accounts_overflowed_total 2",
		"mlprof_feature_up{feature=\"cgroup_attach\"} 0",
		"mlprof_feature_up{feature=\"sched_switch\"} 1",
		"mlprof_agent_cpu_seconds_total 0.03",
		"mlprof_agent_resident_memory_bytes 8388608",
		"mlprof_agent_map_bytes 4194304",
		"mlprof_agent_drains_total 7",
		"mlprof_agent_drain_seconds_total 0.007",
		"mlprof_agent_records_total 1234",
		"mlprof_agent_scrapes_total 41",
		"mlprof_agent_scrape_seconds_total 0.00123",
		"mlprof_agent_owners_dropped_total 1",
		"mlprof_agent_start_time_seconds 1699999990",
		"mlprof_snapshot_timestamp_seconds 1700000000.123456789",
		"mlprof_snapshot_monotonic_seconds 5000.000000001",
		("mlprof_build_info{version=\"" MLPROF_VERSION "\"} 1"),
		NULL,
	};

	(void)state;
	for (enum exposition form = EXPOSITION_TEXT; form <= EXPOSITION_OPENMETRICS; form++) {
		char *text = render_node(form);

		assert_lines(text, lines);
		/* As many again are modes, histograms and the pod with the foul name. */
		assert_int_equal(count_lines(text, "mlprof_", false), 32 + 4 + 2 * 28 + 4);
		free(text);
	}
}

static void test_metadata(void **state)
{
	static const char *const openmetrics[] = {
		"# TYPE mlprof_cpu_seconds counter",
		"# UNIT mlprof_cpu_seconds seconds",
		"# TYPE mlprof_runqueue_latency_seconds histogram",
		"# UNIT mlprof_runqueue_latency_seconds seconds",
		"# UNIT mlprof_ring_bytes bytes",
		"# TYPE mlprof_feature_up gauge",
		"# TYPE mlprof_build info",
		"# HELP mlprof_build What is running.",
		"# EOF",
		NULL,
	};
	static const char *const text[] = {
		"# TYPE mlprof_cpu_seconds_total counter",
		"# TYPE mlprof_runqueue_latency_seconds histogram",
		"# TYPE mlprof_build_info gauge",
		"# HELP mlprof_build_info What is running.",
		NULL,
	};
	char *out = render_node(EXPOSITION_OPENMETRICS);

	(void)state;
	assert_lines(out, openmetrics);
	assert_string_equal(out + strlen(out) - strlen("\n# EOF\n"), "\n# EOF\n");
	assert_null(strstr(out, "\n\n"));
	free(out);
	out = render_node(EXPOSITION_TEXT);
	assert_lines(out, text);
	assert_int_equal(count_lines(out, "# UNIT", false), 0);
	assert_int_equal(count_lines(out, "# EOF", false), 0);
	free(out);
}

/* Absent is not zero: what nobody measured has not even a heading. */
static void test_empty(void **state)
{
	struct snapshot *snap = snapshot_new();
	char *text = render(snap, EXPOSITION_OPENMETRICS);

	(void)state;
	assert_null(strstr(text, "mlprof_cpu_seconds"));
	assert_null(strstr(text, "mlprof_runqueue_latency_seconds"));
	assert_null(strstr(text, "mlprof_events_lost"));
	assert_null(strstr(text, "mlprof_feature_up"));
	assert_null(strstr(text, "mlprof_bpf_program_runs"));
	assert_non_null(strstr(text, "\nmlprof_node_elapsed_seconds_total 0\n"));
	free(text);
	snapshot_put(snap);
}

/* What is about to be another's is shown once, as that other's. */
static void test_settling(void **state)
{
	struct usage_row rows[] = {
		{.namespace_ = "a", .pod = "p", .container = "unnamed", .unit = "", .cpu_ns = 1},
		{.namespace_ = "a", .pod = "p", .container = "main", .unit = "", .cpu_ns = 2},
	};
	struct snapshot *snap = snapshot_new();
	char *text;

	(void)state;
	rows[0].settling = true;
	rows[0].memory.known = rows[1].memory.known = MEMORY_ROW_HOLDS;
	snap->rows = rows;
	snap->nr_rows = 2;
	text = render(snap, EXPOSITION_OPENMETRICS);
	assert_null(strstr(text, "unnamed"));
	assert_int_equal(count_lines(text, "mlprof_cpu_seconds_total{", false), 1);
	assert_int_equal(count_lines(text, "mlprof_memory_byte_seconds_total{", false), 1);
	free(text);
	snapshot_put(snap);
}

static void test_histogram(void **state)
{
	/* As Go prints them; `le` is compared as text. */
	static const char *const bounds[MLPROF_HIST_BUCKETS] = {
		"1e-06",    "2e-06",	"4e-06",    "8e-06",	 "1.6e-05",  "3.2e-05",	 "6.4e-05",
		"0.000128", "0.000256", "0.000512", "0.001024",	 "0.002048", "0.004096", "0.008192",
		"0.016384", "0.032768", "0.065536", "0.131072",	 "0.262144", "0.524288", "1.048576",
		"2.097152", "4.194304", "8.388608", "16.777216", "+Inf",
	};
	char *text = render_node(EXPOSITION_OPENMETRICS), line[128];
	const char *const rest[] = {
		"mlprof_runqueue_latency_seconds_sum{namespace=\"team-a\"} 17.000000018",
		"mlprof_runqueue_latency_seconds_count{namespace=\"team-a\"} 9",
		"mlprof_runqueue_latency_seconds_bucket{namespace=\"\",le=\"+Inf\"} 0",
		"mlprof_runqueue_latency_seconds_sum{namespace=\"\"} 0",
		"mlprof_runqueue_latency_seconds_count{namespace=\"\"} 0",
		NULL,
	};
	const char *const one[] = {line, NULL};

	(void)state;
	for (int k = 0; k < MLPROF_HIST_BUCKETS; k++) {
		/* In the buckets: 1 up to 1 us, 2 up to 8 us, 5 up to 2^20 us, 1 beyond them all. */
		int count = k < 3 ? 1 : k < 20 ? 3 : k < 25 ? 8 : 9;

		if (k < MLPROF_HIST_BUCKETS - 1)
			assert_true(fabs(strtod(bounds[k], NULL) - ldexp(1e-6, k)) < 1e-15);
		snprintf(
			line, sizeof(line),
			"mlprof_runqueue_latency_seconds_bucket{namespace=\"team-a\",le=\"%s\"} %d",
			bounds[k], count);
		assert_lines(text, one);
	}
	assert_lines(text, rest);
	free(text);
}

/* What stands for a byte that is no UTF-8, before its two digits. */
#define BYTE "\xef\xbf\xbd"

static void test_labels(void **state)
{
	static const struct {
		const char *value, *label, *json;
	} cases[] = {
		{"plain", "plain", "\"plain\""},
		{"", "", "\"\""},
		{"a\"b\\c\nd", "a\\\"b\\\\c\\nd", "\"a\\\"b\\\\c\\u000ad\""},
		{"t\tx\x7f", "t\tx\x7f", "\"t\\u0009x\\u007f\""},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		 "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
		/* A byte alone, an overlong slash, a surrogate, beyond the last, one that breaks
		   off, and what would look like one of these. */
		{"\xff", BYTE "ff", "\"" BYTE "ff\""},
		{"\x80", BYTE "80", "\"" BYTE "80\""},
		{"\xc0\xaf", BYTE "c0" BYTE "af", "\"" BYTE "c0" BYTE "af\""},
		{"\xed\xa0\x80", BYTE "ed" BYTE "a0" BYTE "80",
		 "\"" BYTE "ed" BYTE "a0" BYTE "80\""},
		{"\xf4\x90\x80\x80", BYTE "f4" BYTE "90" BYTE "80" BYTE "80",
		 "\"" BYTE "f4" BYTE "90" BYTE "80" BYTE "80\""},
		{"\xe2\x82", BYTE "e2" BYTE "82", "\"" BYTE "e2" BYTE "82\""},
		{BYTE "ff", BYTE "ef" BYTE "bf" BYTE "bdff", "\"" BYTE "ff\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf to = {0};

		text_label(&to, cases[i].value);
		assert_string_equal(buf_text(&to), cases[i].label);
		to.len = 0;
		text_json(&to, cases[i].value);
		assert_string_equal(buf_text(&to), cases[i].json);
		buf_free(&to);
	}
}

static void assert_number(uint64_t value)
{
	char expected[32], digits[32];
	struct buf to = {0};

	snprintf(expected, sizeof(expected), "%llu", (unsigned long long)value);
	buf_put_u64(&to, value);
	assert_string_equal(buf_text(&to), expected);
	to.len = 0;
	buf_put_decimal(&to, value, 9);
	snprintf(digits, sizeof(digits), "%llu.%09llu", (unsigned long long)value / 1000000000,
		 (unsigned long long)value % 1000000000);
	for (size_t end = strlen(digits); digits[end - 1] == '0' || digits[end - 1] == '.';) {
		bool point = digits[--end] == '.';

		digits[end] = '\0';
		if (point)
			break;
	}
	assert_string_equal(buf_text(&to), digits);
	buf_free(&to);
}

static void test_numbers(void **state)
{
	uint64_t power = 1, number = 88172645463325252ULL;

	(void)state;
	assert_number(0);
	assert_number(UINT64_MAX);
	for (int i = 0; i < 20; i++, power *= 10) {
		assert_number(power - 1);
		assert_number(power);
		assert_number(power + 1);
	}
	for (int i = 0; i < 64; i++) {
		assert_number(1ULL << i);
		assert_number((1ULL << i) - 1);
	}
	for (int i = 0; i < 20000; i++) {
		number ^= number << 13;
		number ^= number >> 7;
		number ^= number << 17;
		assert_number(number >> (i % 64));
	}
}

static void test_no_memory(void **state)
{
	struct buf to = {.failed = true};
	struct snapshot *snap = node_snapshot();

	(void)state;
	assert_int_equal(openmetrics_render(&to, snap, &scrapes, EXPOSITION_TEXT), -ENOMEM);
	assert_int_equal(to.len, 0);
	assert_false(buf_grow(&to, SIZE_MAX));
	snapshot_put(snap);
}

static void test_buf(void **state)
{
	struct buf to = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_printf(&to, "%03d", i);
	assert_int_equal(to.len, 3000);
	assert_memory_equal(to.data + 2997, "999", 3);
	assert_false(buf_grow(&to, SIZE_MAX - 10));
	assert_true(to.failed);
	buf_puts(&to, "lost");
	assert_int_equal(to.len, 3000);
	buf_free(&to);
	assert_null(to.data);
}

/* Writes the node's exposition to a new file, whose name it puts in `path`. */
static void write_node(char *path, enum exposition form)
{
	char *text = render_node(form);
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	free(text);
}

/* Runs a shell command; its exit status. */
static int run(const char *command)
{
	pid_t child = fork();
	int status;

	if (!child) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_python_parsers(void **state)
{
	char strict[] = "/tmp/mlprof-test-XXXXXX", plain[] = "/tmp/mlprof-test-XXXXXX";
	char command[256];
	int status = 77;

	(void)state;
	write_node(strict, EXPOSITION_OPENMETRICS);
	write_node(plain, EXPOSITION_TEXT);
	/* The first python3 of the path need not be the one that packages are installed for. */
	for (int i = 0; i < 2 && (status == 77 || status == 127); i++) {
		snprintf(command, sizeof(command), "%s tests/fixtures/parse_metrics.py %s %s >&2",
			 i ? "/usr/bin/python3" : "python3", strict, plain);
		status = run(command);
	}
	unlink(strict);
	unlink(plain);
	if (status == 77 || status == 127)
		skip();
	assert_int_equal(status, 0);
}

/* It prints what it does not like, also where that is not an error. */
static void test_promtool(void **state)
{
	char plain[] = "/tmp/mlprof-test-XXXXXX", command[512];
	int status;

	(void)state;
	write_node(plain, EXPOSITION_TEXT);
	snprintf(
		command, sizeof(command),
		"promtool=$(command -v promtool || echo \"$(scripts/lib/deb prometheus 2>/dev/null)"
		"/usr/bin/promtool\")\n"
		"[ -x \"$promtool\" ] || exit 77\n"
		"said=$(\"$promtool\" check metrics <%s 2>&1) && [ -z \"$said\" ] && exit 0\n"
		"echo \"$said\" >&2; exit 1",
		plain);
	status = run(command);
	unlink(plain);
	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),	 cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_empty),	 cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_settling), cmocka_unit_test(test_labels),
		cmocka_unit_test(test_numbers),	 cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_buf),	 cmocka_unit_test(test_python_parsers),
		cmocka_unit_test(test_promtool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
