// SPDX-License-Identifier: Apache-2.0
/* `mlprof top`: from the JSON to the numbers, from the numbers to the table, and the whole of it. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "version.h"
#include "base/clock.h"
#include "cmd/cmd.h"
#include "expose/http.h"
#include "expose/snapshot_json.h"
#include "screen/names.h"
#include "screen/rates.h"
#include "screen/table.h"
#include "tests/fixtures/node.h"

#define NS_PER_S 1000000000ULL

/* --- JSON --- */

static void read_fixture(struct buf *to)
{
	FILE *file = fopen("tests/fixtures/snapshot.json", "re");
	char part[4096];
	size_t got;

	assert_non_null(file);
	while ((got = fread(part, 1, sizeof(part), file)) > 0)
		buf_add(to, part, got);
	fclose(file);
}

/* What an agent of the first version wrote is read and written again, every byte the same. */
static void test_json_fixture(void **state)
{
	struct buf fixture = {0}, again = {0}, expected = {0};
	struct json_error error;
	struct snapshot *snap;
	char *version;

	(void)state;
	read_fixture(&fixture);
	if (snapshot_json_read(fixture.data, fixture.len, &snap, &error))
		fail_msg("%s", error.text);
	assert_int_equal(snap->nr_rows, 3);
	assert_int_equal(snap->rows[1].wait.bucket[20], 5);
	assert_string_equal(snap->rows[2].unit, "ssh.service");
	assert_int_equal(snapshot_json_write(&again, snap), 0);
	version = strstr(buf_text(&fixture), "v0.1.0");
	buf_add(&expected, fixture.data, (size_t)(version - fixture.data));
	buf_puts(&expected, MLPROF_VERSION);
	buf_puts(&expected, version + strlen("v0.1.0"));
	assert_string_equal(buf_text(&again), buf_text(&expected));
	snapshot_put(snap);
	buf_free(&fixture);
	buf_free(&again);
	buf_free(&expected);
}

static void test_json_large(void **state)
{
	struct snapshot *snap = node_snapshot(), *again;
	struct buf text = {0};
	struct json_error error;

	(void)state;
	snap->elapsed_ns = INT64_MAX;
	snap->node_ns[NODE_IDLE] = (1ULL << 53) + 1;
	assert_int_equal(snapshot_json_write(&text, snap), 0);
	assert_int_equal(snapshot_json_read(text.data, text.len, &again, &error), 0);
	assert_int_equal(again->elapsed_ns, INT64_MAX);
	assert_int_equal(again->node_ns[NODE_IDLE], (1ULL << 53) + 1);
	snapshot_put(snap);
	snapshot_put(again);
	buf_free(&text);
}

/* Puts `by` in place of the first `what`, and expects an error that has `why` in it. */
static void assert_bad(const char *text, const char *what, const char *by, const char *why)
{
	const char *at = strstr(text, what);
	struct buf bad = {0};
	struct json_error error;
	struct snapshot *snap;
	int err;

	assert_non_null(at);
	buf_add(&bad, text, (size_t)(at - text));
	buf_puts(&bad, by);
	buf_puts(&bad, at + strlen(what));
	err = snapshot_json_read(bad.data, bad.len, &snap, &error);
	if (err != -EBADMSG || !strstr(error.text, why))
		fail_msg("'%s' for '%s': %d, %s", by, what, err, error.text);
	assert_null(snap);
	buf_free(&bad);
}

static void test_json_bad(void **state)
{
	struct buf fixture = {0};
	struct json_error error;
	struct snapshot *snap;
	const char *text;

	(void)state;
	read_fixture(&fixture);
	text = buf_text(&fixture);
	assert_bad(text, "mlprof.snapshot/1", "mlprof.snapshot/2",
		   "its schema is mlprof.snapshot/2");
	assert_bad(text, "\"schema\"", "\"scheme\"", "its schema is not told");
	assert_bad(text, "mlprof.snapshot/1", "\\u001b[31m", "its schema is ?[31m");
	assert_bad(text, "\"seq\":7", "\"seq\":-7", "'seq'");
	assert_bad(text, "\"seq\":7", "\"seq\":7.0", "'seq'");
	assert_bad(text, "\"seq\":7", "\"seq\":99999999999999999999", "it is no JSON: too big");
	assert_bad(text, "\"cpus_online\":2", "\"cpus_online\":4294967296", "'cpus_online'");
	assert_bad(text, "\"kind\":\"pod\"", "\"kind\":\"cow\"", "'kind'");
	assert_bad(text, "\"kind\":\"pod\"", "\"kind\":5", "'kind'");
	assert_bad(text, "\"namespace\":\"\"", "\"namespace\":null", "'namespace'");
	assert_bad(text, "\"namespace\":\"\"", "\"namespace\":\"\\u0000\"", "it is no JSON");
	assert_bad(text, "[0,0,", "[0,", "'wait_bucket_counts'");
	assert_bad(text, "[0,0,", "[0,0,0,", "'wait_bucket_counts'");
	assert_bad(text, "[0,0,", "[0,\"0\",", "'wait_bucket_counts'");
	assert_bad(text, "\"rows\":[", "\"rows\":[7,", "'kind'");
	assert_bad(text, "\"features\":[", "\"features\":7,\"x\":[", "'features'");
	assert_bad(text, "\"up\":true", "\"up\":1", "'up'");
	assert_bad(text, "\"node\":{", "\"node\":7,\"x\":{", "'elapsed_ns'");
	/* Broken off anywhere, it is refused. The last byte is the newline. */
	for (size_t bytes = 0; bytes < fixture.len - 1; bytes++)
		assert_int_equal(snapshot_json_read(text, bytes, &snap, &error), -EBADMSG);
	buf_free(&fixture);
}

/* --- rates --- */

/* Some time later: `step` makes counters grow. */
static struct snapshot *later(unsigned int seconds,
			      void (*step)(struct snapshot *, struct usage_row *))
{
	struct snapshot *snap = node_snapshot();
	struct usage_row *rows = snapshot_alloc(snap, 12 * sizeof(*rows));

	memcpy(rows, snap->rows, snap->nr_rows * sizeof(*rows));
	snap->rows = rows;
	snap->seq += seconds;
	snap->monotonic_ns += seconds * NS_PER_S;
	snap->realtime_ns += seconds * NS_PER_S;
	if (step)
		step(snap, rows);
	for (size_t i = 0; i < NODE_MODES; i++)
		snap->elapsed_ns += snap->node_ns[i];
	return snap;
}

/* The worker runs 0.75 s, waits 0.25 s; ssh 0.1 s; idle and the rest fill 2 CPUs for 1 s. */
static void one_second(struct snapshot *snap, struct usage_row *rows)
{
	rows[1].cpu_ns += 750000000;
	rows[1].wait_ns += 250000000;
	rows[1].wait.bucket[6] += 98;
	rows[1].wait.bucket[10] += 2;
	rows[2].cpu_ns += 100000000;
	rows[2].wait.bucket[0] += 1;
	snap->node_ns[NODE_PODS] += 750000000;
	snap->node_ns[NODE_UNITS] += 100000000;
	snap->node_ns[NODE_KERNEL] += 30000000;
	snap->node_ns[NODE_IDLE] += 1109999000;
	snap->node_ns[NODE_IRQ_STEAL] += 10000000;
	snap->node_ns[NODE_UNATTRIBUTED] += 1000;
	snap->unattributed_wait_ns += 500;
}

static const struct rate_row *row_of(const struct rates *rates, enum rate_kind kind)
{
	for (size_t i = 0; i < rates->nr_rows; i++)
		if (rates->rows[i].kind == kind)
			return &rates->rows[i];
	return NULL;
}

static uint64_t sum_without_node(const struct rates *rates)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < rates->nr_rows; i++)
		if (rates->rows[i].kind != RATE_NODE)
			sum += rates->rows[i].cpu_ns;
	return sum;
}

static void test_rates(void **state)
{
	struct snapshot *before = node_snapshot(), *now = later(1, one_second);
	struct rates rates;
	const struct rate_row *row;

	(void)state;
	assert_int_equal(rates_make(&rates, before, now), 0);
	assert_int_equal(rates.interval_ns, NS_PER_S);
	assert_int_equal(rates.node_ns, 2 * NS_PER_S);
	assert_int_equal(rates.core_ns, NS_PER_S);
	assert_int_equal(rates.lost, 0);
	row = &rates.rows[0];
	assert_int_equal(row->kind, RATE_POD);
	assert_string_equal(row->who->pod, "train-0");
	assert_int_equal(row->cpu_ns, 750000000);
	assert_int_equal(rates_per_core_micro(&rates, row->cpu_ns), 750000);
	assert_int_equal(rates_of_node_micro(&rates, row->cpu_ns), 375000);
	assert_int_equal(row->wait_ns, 250000000);
	/* Of 100 waits the 50th is in 2^6 us, and so is the 98th; the 99th is in 2^10 us. */
	assert_int_equal(row->p50, 6);
	assert_int_equal(row->p99, 10);
	/* The other pod did nothing, and waited not once: that is no bucket, not the first. */
	assert_int_equal(rates.rows[1].cpu_ns, 0);
	assert_int_equal(rates.rows[1].p50, RATE_NO_BUCKET);
	assert_null(row_of(&rates, RATE_PODS_OTHER));
	assert_int_equal(row_of(&rates, RATE_UNIT)->p99, 0);
	assert_int_equal(row_of(&rates, RATE_UNATTRIBUTED)->wait_ns, 500);
	assert_false(row_of(&rates, RATE_IDLE)->has_wait);
	assert_int_equal(rates.rows[rates.nr_rows - 1].kind, RATE_NODE);
	assert_int_equal(rates.rows[rates.nr_rows - 1].cpu_ns, 2 * NS_PER_S);
	assert_int_equal(sum_without_node(&rates), 2 * NS_PER_S);
	rates_free(&rates);
	snapshot_put(before);
	snapshot_put(now);
}

static void wait_only(struct snapshot *snap, struct usage_row *rows)
{
	static const unsigned int counts[MLPROF_HIST_BUCKETS] = {[2] = 1, [4] = 1, [25] = 1};

	for (size_t k = 0; k < MLPROF_HIST_BUCKETS; k++)
		rows[1].wait.bucket[k] += counts[k];
	snap->node_ns[NODE_IDLE] += NS_PER_S;
}

static void test_quantiles(void **state)
{
	struct snapshot *before = node_snapshot(), *now = later(1, wait_only);
	struct rates rates;

	(void)state;
	assert_int_equal(rates_make(&rates, before, now), 0);
	for (size_t i = 0; i < 2; i++) {
		if (rates.rows[i].who != &now->rows[1])
			continue;
		/* The second of three, and the third, which is beyond the last bound. */
		assert_int_equal(rates.rows[i].p50, 4);
		assert_int_equal(rates.rows[i].p99, MLPROF_HIST_BUCKETS - 1);
	}
	rates_free(&rates);
	snapshot_put(before);
	snapshot_put(now);
}

/* Eight more units of 1 to 8 ms, a new pod of 5 ms, and 2 ms of pods that are no longer there. */
static void many_owners(struct snapshot *snap, struct usage_row *rows)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};

	for (unsigned int i = 0; i < 8; i++)
		rows[3 + i] = (struct usage_row){
			.kind = OWNER_UNIT,
			.namespace_ = "",
			.pod = "",
			.container = "",
			.unit = names[i],
			.cpu_ns = (i + 1) * 1000000ULL,
		};
	rows[11] = (struct usage_row){
		.kind = OWNER_POD,
		.namespace_ = "new",
		.pod = "pod",
		.container = "x",
		.unit = "",
		.cpu_ns = 5000000,
	};
	snap->nr_rows = 12;
	snap->node_ns[NODE_UNITS] += 36000000;
	snap->node_ns[NODE_PODS] += 7000000;
	snap->node_ns[NODE_IDLE] += 2 * NS_PER_S - 43000000;
}

static void test_owners_come_and_go(void **state)
{
	struct snapshot *before = node_snapshot(), *now = later(1, many_owners);
	const struct rate_row *row;
	struct rates rates;

	(void)state;
	assert_int_equal(rates_make(&rates, before, now), 0);
	assert_string_equal(rates.rows[0].who->namespace_, "new");
	assert_int_equal(rates.rows[0].cpu_ns, 5000000);
	assert_int_equal(row_of(&rates, RATE_PODS_OTHER)->cpu_ns, 2000000);
	row = row_of(&rates, RATE_UNIT);
	for (int i = 0; i < RATES_UNITS_SHOWN; i++)
		assert_int_equal(row[i].cpu_ns, (8 - i) * 1000000);
	row = row_of(&rates, RATE_UNITS_OTHER);
	assert_int_equal(row->cpu_ns, 6000000);
	assert_int_equal(row->members, 4);
	assert_int_equal(sum_without_node(&rates), 2 * NS_PER_S);
	rates_free(&rates);
	snapshot_put(before);
	snapshot_put(now);
}

/* What got its name in the interval has a past that does not belong into it. */
static void renamed(struct snapshot *snap, struct usage_row *rows)
{
	rows[1].pod = "another";
	one_second(snap, rows);
}

static void test_renamed(void **state)
{
	struct snapshot *before = node_snapshot(), *now = later(1, renamed);
	struct rates rates;

	(void)state;
	assert_int_equal(rates_make(&rates, before, now), 0);
	assert_int_equal(rates.rows[0].cpu_ns, 0);
	assert_int_equal(row_of(&rates, RATE_PODS_OTHER)->cpu_ns, 750000000);
	assert_int_equal(sum_without_node(&rates), 2 * NS_PER_S);
	rates_free(&rates);
	snapshot_put(before);
	snapshot_put(now);
}

static void began_anew(struct snapshot *snap, struct usage_row *rows)
{
	one_second(snap, rows);
	snap->self.start_realtime_ns++;
}

static void counter_back(struct snapshot *snap, struct usage_row *rows)
{
	one_second(snap, rows);
	rows[1].wait_ns = 0;
}

static void bucket_back(struct snapshot *snap, struct usage_row *rows)
{
	one_second(snap, rows);
	rows[1].wait.bucket[0]--;
}

static void smaller_seq(struct snapshot *snap, struct usage_row *rows)
{
	one_second(snap, rows);
	snap->seq = 3;
}

static void mode_back(struct snapshot *snap, struct usage_row *rows)
{
	one_second(snap, rows);
	snap->node_ns[NODE_KERNEL] = 0;
}

static void test_agent_began_anew(void **state)
{
	static void (*const steps[])(struct snapshot *, struct usage_row *) = {
		began_anew, counter_back, bucket_back, smaller_seq, mode_back,
	};
	struct snapshot *before = node_snapshot(), *now;
	struct rates rates;

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		now = later(1, steps[i]);
		assert_int_equal(rates_make(&rates, before, now), -ESTALE);
		rates_free(&rates);
		snapshot_put(now);
	}
	now = later(0, NULL);
	assert_int_equal(rates_make(&rates, before, now), -EAGAIN);
	rates_free(&rates);
	snapshot_put(now);
	snapshot_put(before);
}

/* A CPU went away: per core by the clock. CPUs as before: the node is exactly its CPUs. */
static void test_time_base(void **state)
{
	struct snapshot *before = node_snapshot(), *now = later(1, one_second);
	struct rates rates;

	(void)state;
	now->cpus_online = 1;
	assert_int_equal(rates_make(&rates, before, now), 0);
	assert_int_equal(rates.core_ns, NS_PER_S);
	assert_int_equal(rates_per_core_micro(&rates, rates.node_ns), 2000000);
	rates_free(&rates);
	now->cpus_online = 2;
	now->monotonic_ns += 3000000;
	assert_int_equal(rates_make(&rates, before, now), 0);
	assert_int_equal(rates.interval_ns, 1003000000);
	assert_int_equal(rates_per_core_micro(&rates, rates.node_ns), 2000000);
	rates_free(&rates);
	snapshot_put(before);
	snapshot_put(now);
}

/* --- the table --- */

static void test_names(void **state)
{
	static const struct {
		const char *name;
		size_t width;
		const char *cell;
	} cases[] = {
		{"short", 5, "short"},
		{"", 5, ""},
		{"trainer-llama-7b-worker-12", 11, "train~er-12"},
		{"trainer-llama-7b-worker-12", 12, "traine~er-12"},
		{"8c2f0b1e-4f7a-4a57-9b1f-000000000001", 13, "8c2f0b1e-4f7~"},
		{"3f2a9c1b77d03f2a9c1b77d0", 13, "3f2a9c1b77d0~"},
		{"a\x1b[31mb", 10, "a?[31mb"},
		{"caf\xc3\xa9", 10, "caf??"},
		{"abcdefgz", 3, "a~z"},
	};
	char cell[NAME_CELL_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		name_fit(cell, cases[i].name, cases[i].width);
		assert_string_equal(cell, cases[i].cell);
	}
	strcpy(cell, "train~er-12");
	name_number(cell, 11, 12);
	assert_string_equal(cell, "train~er~12");
	strcpy(cell, "ab");
	name_number(cell, 11, 3);
	assert_string_equal(cell, "ab~3");
}

static void print(struct buf *text, struct snapshot *now)
{
	struct snapshot *before = node_snapshot();
	struct rates rates;

	assert_int_equal(rates_make(&rates, before, now), 0);
	assert_int_equal(table_print(text, &rates), 0);
	rates_free(&rates);
	snapshot_put(before);
	snapshot_put(now);
}

static void test_table(void **state)
{
	static const char expected[] =
		"2023-11-14 22:13:21  2 CPUs online, 2 containers, interval 1.000 s\n"
		"NAMESPACE POD         CONTAINER      CPU  WAIT-P50  WAIT-P99     WAIT  NODE%\n"
		"team-a    train-0     worker       0.750    <=64us  <=1.03ms    0.250   37.5\n"
		"          a\"b\\c\?d\?g\?\? -            0.000         -         -    0.000    0.0\n"
		"unit ssh.service                   0.100     <=1us     <=1us    0.000    5.0\n"
		"kernel                             0.030         -         -        -    1.5\n"
		"idle                               1.110         -         -        -   55.5\n"
		"irq/steal                          0.010         -         -        -    0.5\n"
		"unattributed                       0.000         -         -    0.000    0.0\n"
		"node                               2.000         -         -        -  100.0\n"
		"\n";
	struct buf text = {0};

	(void)state;
	print(&text, later(1, one_second));
	assert_string_equal(buf_text(&text), expected);
	buf_free(&text);
}

static void test_bounds(void **state)
{
	static const char *const bounds[MLPROF_HIST_BUCKETS] = {
		"<=1us",    "<=2us",	"<=4us",    "<=8us",	"<=16us",   "<=32us",	"<=64us",
		"<=128us",  "<=256us",	"<=512us",  "<=1.03ms", "<=2.05ms", "<=4.10ms", "<=8.20ms",
		"<=16.4ms", "<=32.8ms", "<=65.6ms", "<=132ms",	"<=263ms",  "<=525ms",	"<=1.05s",
		"<=2.10s",  "<=4.20s",	"<=8.39s",  "<=16.8s",	">16.7s",
	};
	struct rate_row row = {.kind = RATE_KERNEL};
	struct snapshot *snap = node_snapshot();
	struct rates rates = {.now = snap, .core_ns = 1, .node_ns = 1, .rows = &row, .nr_rows = 1};
	struct buf text = {0};
	char part[64];

	(void)state;
	for (int k = 0; k < MLPROF_HIST_BUCKETS; k++) {
		text.len = 0;
		row.p50 = row.p99 = k;
		assert_int_equal(table_print(&text, &rates), 0);
		snprintf(part, sizeof(part), " %9s %9s ", bounds[k], bounds[k]);
		if (!strstr(buf_text(&text), part))
			fail_msg("no %s in %s", part, buf_text(&text));
	}
	buf_free(&text);
	snapshot_put(snap);
}

/* Names that are long, foreign and alike; more pods that do nothing than are shown. */
static struct snapshot *foul_node(size_t nr_pods)
{
	struct snapshot *snap = later(1, one_second);
	struct usage_row *rows = snapshot_alloc(snap, (nr_pods + 1) * sizeof(*rows));
	char name[256];

	for (size_t i = 0; i < nr_pods; i++) {
		/* All differ only in the middle, which is what is cut away. */
		snprintf(name, sizeof(name), "%0100d%04zux%0100d", 0, i, 0);
		rows[i] = (struct usage_row){
			.kind = OWNER_POD,
			.namespace_ = "a-namespace-with-a-long-name",
			.pod = snapshot_strdup(snap, name),
			.container = "\xff\x1b[2Jcontainer",
			.unit = "",
			.cpu_ns = i < 4 ? 1000 : 0,
		};
	}
	rows[nr_pods] = (struct usage_row){
		.kind = OWNER_UNIT,
		.namespace_ = "",
		.pod = "",
		.container = "",
		.unit = "system-\n-with-a-name-that-is-longer-than-all-the-columns-of-names.slice",
		.cpu_ns = 7000,
	};
	snap->rows = rows;
	snap->nr_rows = nr_pods + 1;
	return snap;
}

static void assert_plain(const char *text)
{
	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		size_t bytes = strcspn(line, "\n");

		if (bytes > TABLE_COLUMNS)
			fail_msg("%zu columns: %.*s", bytes, (int)bytes, line);
		for (size_t i = 0; i < bytes; i++)
			assert_in_range(line[i], 0x20, 0x7e);
	}
}

static unsigned int count(const char *text, const char *part)
{
	unsigned int found = 0;

	for (; (text = strstr(text, part)); text++)
		found++;
	return found;
}

static void test_foul_names(void **state)
{
	struct buf text = {0};

	(void)state;
	print(&text, foul_node(30));
	assert_plain(buf_text(&text));
	/* Four that did something and ten that did not have a line each, and no two the same name. */
	assert_int_equal(count(buf_text(&text), "a-names~g-name "), 14);
	assert_int_equal(count(buf_text(&text), "00~1 "), 1);
	assert_int_equal(count(buf_text(&text), "0~14 "), 1);
	assert_non_null(strstr(buf_text(&text), "(16 more containers did nothing)\n"));
	assert_non_null(strstr(buf_text(&text), "\nunit system-?-with-"));
	buf_free(&text);
}

static void loses(struct snapshot *snap, struct usage_row *rows)
{
	static const struct loss_row loss = {"event", "ring_full", 10};

	one_second(snap, rows);
	snap->losses = &loss;
	snap->nr_losses = 1;
}

/* Every loss is shown unasked. */
static void test_losses(void **state)
{
	struct buf text = {0};

	(void)state;
	print(&text, later(1, loses));
	assert_non_null(strstr(buf_text(&text), "\nlost in this interval: 7; "));
	buf_free(&text);
}

static void test_table_json(void **state)
{
	struct snapshot *before = node_snapshot(), *now = later(1, one_second);
	struct buf text = {0};
	json_int_t sum = 0;
	struct rates rates;
	json_t *root, *row;
	size_t i;

	(void)state;
	assert_int_equal(rates_make(&rates, before, now), 0);
	assert_int_equal(table_print_json(&text, &rates), 0);
	assert_ptr_equal(strchr(buf_text(&text), '\n'), text.data + text.len - 1);
	root = json_loadb(text.data, text.len, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(root, "schema")), "mlprof.top/1");
	json_array_foreach(json_object_get(root, "rows"), i, row) sum +=
		json_integer_value(json_object_get(row, "cpu_ns"));
	assert_int_equal(sum, 2 * json_integer_value(json_object_get(root, "node_ns")));
	row = json_array_get(json_object_get(root, "rows"), 0);
	assert_string_equal(json_string_value(json_object_get(row, "pod")), "train-0");
	assert_true(json_real_value(json_object_get(row, "cpu_cores")) == 0.75);
	assert_int_equal(json_integer_value(json_object_get(row, "wait_p99_le_us")), 1024);
	row = json_array_get(json_object_get(root, "rows"), 1);
	assert_true(json_is_null(json_object_get(row, "wait_p50_le_us")));
	json_decref(root);
	rates_free(&rates);
	snapshot_put(before);
	snapshot_put(now);
	buf_free(&text);
}

/* --- the command --- */

struct run {
	pid_t pid;
	int out, err; /* pipes to read from */
	struct buf said, complained;
};

/* An agent whose snapshots go on by themselves. */
struct agent {
	struct snapshot_board *board;
	struct http *http;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint life;
	_Atomic unsigned int ticks;
};

static char socket_dir[] = "/tmp/mlprof-top-XXXXXX";
static char socket_path[64];

static void *tick(void *arg)
{
	struct agent *agent = arg;

	while (!atomic_load(&agent->stop)) {
		unsigned int n = atomic_fetch_add(&agent->ticks, 1);
		struct snapshot *snap = later(n, NULL);

		snap->self.start_realtime_ns += atomic_load(&agent->life);
		snap->node_ns[NODE_IDLE] += 2 * NS_PER_S * n;
		snapshot_publish(agent->board, snap);
		usleep(20000);
	}
	return NULL;
}

static void start_agent(struct agent *agent)
{
	struct http_options options = {.socket = socket_path};
	struct expose_error error;

	memset(agent, 0, sizeof(*agent));
	agent->board = options.board = snapshot_board_new();
	if (http_start(&options, &agent->http, &error))
		fail_msg("%s", error.text);
	assert_int_equal(pthread_create(&agent->thread, NULL, tick, agent), 0);
	while (atomic_load(&agent->ticks) < 2)
		usleep(1000);
}

static void stop_agent(struct agent *agent)
{
	atomic_store(&agent->stop, true);
	pthread_join(agent->thread, NULL);
	http_stop(agent->http);
	snapshot_board_free(agent->board);
}

static void start_top(struct run *run, char **argv)
{
	int out[2], err[2], argc = 0;

	while (argv[argc])
		argc++;
	*run = (struct run){0};
	assert_int_equal(pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
	run->pid = fork();
	if (!run->pid) {
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		close(out[0]);
		argc = cmd_top(argc, argv);
		fflush(stdout);
		_exit(argc);
	}
	close(out[1]);
	close(err[1]);
	run->out = out[0];
	run->err = err[0];
}

static void read_all(int fd, struct buf *to)
{
	char part[4096];
	ssize_t got;

	while ((got = read(fd, part, sizeof(part))) > 0)
		buf_add(to, part, (size_t)got);
	close(fd);
}

/* Reads until it has said `text`. */
static void read_until(int fd, struct buf *to, const char *text)
{
	char part[4096];
	ssize_t got;

	while (!strstr(buf_text(to), text)) {
		got = read(fd, part, sizeof(part));
		if (got <= 0)
			fail_msg("no '%s' in: %s", text, buf_text(to));
		buf_add(to, part, (size_t)got);
	}
}

/* Waits for the end; the exit status, or 128 and the signal. */
static int finish(struct run *run)
{
	int status;

	read_all(run->out, &run->said);
	read_all(run->err, &run->complained);
	assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
	buf_text(&run->said);
	buf_text(&run->complained);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void drop(struct run *run)
{
	buf_free(&run->said);
	buf_free(&run->complained);
}

#define TOP(...)                                                                                   \
	(char *[])                                                                                 \
	{                                                                                          \
		"top", "--socket", socket_path, __VA_ARGS__, NULL                                  \
	}

static void assert_run(char **argv, int status, const char *said, const char *complained)
{
	struct run run;
	int got;

	start_top(&run, argv);
	got = finish(&run);
	if (got != status || !strstr(run.said.data, said) ||
	    !strstr(run.complained.data, complained))
		fail_msg("status %d:\n%s%s", got, run.said.data, run.complained.data);
	drop(&run);
}

static void assert_one_line(char **argv, int status, const char *complained)
{
	struct run run;

	start_top(&run, argv);
	assert_int_equal(finish(&run), status);
	assert_string_equal(run.said.data, "");
	if (!strstr(run.complained.data, complained))
		fail_msg("%s", run.complained.data);
	assert_ptr_equal(strchr(run.complained.data, '\n'),
			 run.complained.data + run.complained.len - 1);
	drop(&run);
}

static void test_usage(void **state)
{
	(void)state;
	assert_one_line(TOP("-n", "1"), 2, "the interactive screen is not there yet");
	assert_one_line(TOP("-b", "-n", "0"), 2, "bad number of tables '0'");
	assert_one_line(TOP("-b", "-n", "-1"), 2, "bad number of tables '-1'");
	assert_one_line(TOP("-b", "-n", "1x"), 2, "bad number of tables '1x'");
	assert_one_line(TOP("-b", "-d", "0"), 2, "bad interval '0'");
	assert_one_line(TOP("-b", "-d", "nan"), 2, "bad interval 'nan'");
	assert_one_line(TOP("-b", "-d", ""), 2, "bad interval ''");
	assert_one_line(TOP("-b", "-d", "1e9"), 2, "bad interval '1e9'");
	assert_one_line(TOP("-b", "-d"), 2, "option '-d' wants a value");
	assert_one_line(TOP("-b", "--socket"), 2, "option '--socket' wants a value");
	assert_one_line(TOP("-b", "--nonsense"), 2, "unknown option '--nonsense'");
	assert_one_line(TOP("-x", "-b"), 2, "unknown option '-x'");
	assert_one_line(TOP("-bx"), 2, "unknown option '-");
	assert_one_line(TOP("-b", "pods"), 2, "unexpected 'pods'");
	assert_run(TOP("-h"), 0, "usage: mlprof top -b", "");
}

static void test_no_agent(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_one_line(TOP("-b"), 1, "No such file or directory; is the agent running?");
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_one_line(TOP("-b"), 1, "Connection refused; is the agent running?");
	close(fd);
	unlink(socket_path);
}

/* What listens there is something else. */
static void test_no_snapshot(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.0 200 OK\r\n\r\n<html>",
		"HTTP/1.0 404 Not Found\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\n",
		"SSH-2.0-OpenSSH\r\n",
	};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 4), 0);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct run run;
		char part[1024];
		int peer;

		start_top(&run, TOP("-b"));
		peer = accept(fd, NULL, NULL);
		assert_true(read(peer, part, sizeof(part)) > 0);
		send(peer, answers[i], strlen(answers[i]), MSG_NOSIGNAL);
		close(peer);
		assert_int_equal(finish(&run), 1);
		assert_ptr_equal(strchr(run.complained.data, '\n'),
				 run.complained.data + run.complained.len - 1);
		assert_non_null(strstr(run.complained.data, socket_path));
		drop(&run);
	}
	close(fd);
	unlink(socket_path);
}

static void test_batch(void **state)
{
	struct agent agent;
	struct run run;

	(void)state;
	start_agent(&agent);
	start_top(&run, TOP("-b", "-n", "3", "-d", "0.1"));
	assert_int_equal(finish(&run), 0);
	assert_int_equal(count(run.said.data, "\nnode "), 3);
	assert_int_equal(count(run.said.data, " 2.000         -         -        -  100.0\n"), 6);
	assert_non_null(strstr(run.complained.data, "measuring; the first table comes in 0.1 s"));
	assert_plain(run.said.data);
	drop(&run);
	start_top(&run, TOP("--json", "-n", "2", "-d", "0.1"));
	assert_int_equal(finish(&run), 0);
	assert_int_equal(count(run.said.data, "{\"schema\":\"mlprof.top/1\""), 2);
	assert_int_equal(count(run.said.data, "\n"), 2);
	drop(&run);
	stop_agent(&agent);
}

/* The agent ends and another one starts, while top looks on. */
static void test_restart(void **state)
{
	struct agent agent;
	struct run run;

	(void)state;
	start_agent(&agent);
	start_top(&run, TOP("-b", "-n", "15", "-d", "0.1"));
	read_until(run.out, &run.said, "\nnode ");
	stop_agent(&agent);
	read_until(run.err, &run.complained, "; waiting for it\n");
	start_agent(&agent);
	atomic_store(&agent.life, 1);
	assert_int_equal(finish(&run), 0);
	assert_int_equal(count(run.said.data, "\nnode "), 15);
	assert_int_equal(count(run.complained.data, "; waiting for it\n"), 1);
	assert_non_null(strstr(run.complained.data, "the agent began anew"));
	drop(&run);
	stop_agent(&agent);
}

static void test_signals(void **state)
{
	static const int signals[] = {SIGINT, SIGTERM};
	struct agent agent;
	struct run run;

	(void)state;
	start_agent(&agent);
	for (size_t i = 0; i < 2; i++) {
		start_top(&run, TOP("-b", "-d", "60"));
		read_until(run.err, &run.complained, "measuring");
		kill(run.pid, signals[i]);
		assert_int_equal(finish(&run), 0);
		drop(&run);
	}
	stop_agent(&agent);
}

/* As with `| head`: no message, no signal, no end without end. */
static void test_reader_leaves(void **state)
{
	struct agent agent;
	struct run run;

	(void)state;
	start_agent(&agent);
	start_top(&run, TOP("-b", "-d", "0.05"));
	close(run.out);
	run.out = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(finish(&run), 0);
	if (count(run.complained.data, "\n") != 1)
		fail_msg("%s", run.complained.data);
	drop(&run);
	stop_agent(&agent);
}

static void test_full_disk(void **state)
{
	struct agent agent;
	int status;
	pid_t child;

	(void)state;
	start_agent(&agent);
	child = fork();
	if (!child) {
		dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		_exit(cmd_top(8, TOP("-b", "-d", "0.05", "-n", "1")));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 1);
	stop_agent(&agent);
}

static int make_dir(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	if (!mkdtemp(socket_dir))
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/agent.sock", socket_dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(socket_dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_fixture), cmocka_unit_test(test_json_large),
		cmocka_unit_test(test_json_bad),     cmocka_unit_test(test_rates),
		cmocka_unit_test(test_quantiles),    cmocka_unit_test(test_owners_come_and_go),
		cmocka_unit_test(test_renamed),	     cmocka_unit_test(test_agent_began_anew),
		cmocka_unit_test(test_time_base),    cmocka_unit_test(test_names),
		cmocka_unit_test(test_table),	     cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_foul_names),   cmocka_unit_test(test_losses),
		cmocka_unit_test(test_table_json),   cmocka_unit_test(test_usage),
		cmocka_unit_test(test_no_agent),     cmocka_unit_test(test_no_snapshot),
		cmocka_unit_test(test_batch),	     cmocka_unit_test(test_restart),
		cmocka_unit_test(test_signals),	     cmocka_unit_test(test_reader_leaves),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
