// SPDX-License-Identifier: Apache-2.0
/* Lists of pods as Kubernetes writes them, and as nobody should. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "owner/podlist.h"
#include "owner/pods_build.h"
#include "owner/quantity.h"

#define HASH  "0123456789abcdef0123456789abcdef"
#define HASH2 "ffffffffffffffffffffffffffffffff"
#define UID1  "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

/* Values by Kubernetes' own quantity.MilliValue() and Value(). */
static const struct {
	const char *text;
	unsigned int places;
	int64_t value; /* -1: no quantity */
} quantities[] = {
	{"250m", 3, 250},
	{"1", 3, 1000},
	{"0.1", 3, 100},
	{"1.5", 3, 1500},
	{".5", 3, 500},
	{"5.", 3, 5000},
	{"+2", 3, 2000},
	{"100u", 3, 1},
	{"100n", 3, 1},
	{"1000001n", 3, 2},
	{"0", 3, 0},
	{"0.000", 3, 0},
	{"2e3", 0, 2000},
	{"2E3", 0, 2000},
	{"25e-1", 0, 3},
	{"1e+3", 0, 1000},
	{"1E", 0, 1000000000000000000},
	{"1Ei", 0, 1152921504606846976},
	{"7Ei", 0, 8070450532247928832},
	{"8Ei", 0, -1},
	{"1.5Gi", 0, 1610612736},
	{"0.1Gi", 0, 107374183},
	{"1.1Ki", 0, 1127},
	{"100M", 0, 100000000},
	{"129e6", 0, 129000000},
	{"129M", 0, 129000000},
	{"123Mi", 0, 128974848},
	{"128974848000m", 0, 128974848},
	{"1k", 0, 1000},
	{"1T", 0, 1000000000000},
	{"1Ti", 0, 1099511627776},
	{"1P", 0, 1000000000000000},
	{"1Pi", 0, 1125899906842624},
	{"9223372036854775807", 0, INT64_MAX},
	{"9223372036854775808", 0, -1},
	{"9223372036854775807", 3, -1},
	{"1.00000000000000000000Gi", 0, 1073741824},
	{"0e99999", 0, 0},
	{"1e99999", 0, -1},
	{"1e-99999", 0, 1},
	{"1e", 0, -1},
	{"1e+", 0, -1},
	{"1K", 0, -1},
	{"1ki", 0, -1},
	{"1ei", 0, -1},
	{"1mi", 0, -1},
	{"1Mib", 0, -1},
	{"1 Gi", 0, -1},
	{"-1", 0, -1},
	{"", 0, -1},
	{".", 0, -1},
	{"Gi", 0, -1},
	{"1.2.3", 0, -1},
	{"0x10", 0, -1},
	{"11111111111111111111111111111111111111111111111111111", 0, -1},
};

static void quantities_are_exact(void **state)
{
	int64_t value;

	(void)state;
	for (size_t i = 0; i < sizeof(quantities) / sizeof(quantities[0]); i++) {
		value = -1;
		if (quantity_read(quantities[i].text, quantities[i].places, &value) !=
			    (quantities[i].value >= 0) ||
		    value != quantities[i].value)
			fail_msg("%s with %u places gives %lld", quantities[i].text,
				 quantities[i].places, (long long)value);
	}
}

static const struct pods *read_with(const struct podlist_options *options, const char *text,
				    struct podlist_skipped *skipped)
{
	struct podlist *list = podlist_new(options);
	const struct pods *pods = NULL;

	assert_non_null(list);
	if (!podlist_read(list, text, strlen(text)))
		pods = podlist_done(list, skipped);
	podlist_free(list);
	return pods;
}

static const struct pods *read_kubelet(const char *text, struct podlist_skipped *skipped)
{
	struct podlist_options options = {.labels = "app,,team,missing,note", .from_kubelet = true};

	return read_with(&options, text, skipped);
}

static void read_fixture(struct buf *text)
{
	FILE *file = fopen("tests/fixtures/podlist.json", "re");
	size_t bytes;

	assert_non_null(file);
	while ((bytes = fread(buf_room(text, 4096), 1, 4096, file)) > 0)
		text->len += bytes;
	fclose(file);
}

static const struct pods *fixture_pods(struct podlist_skipped *skipped)
{
	struct buf text = {0};
	const struct pods *pods;

	read_fixture(&text);
	pods = read_kubelet(buf_text(&text), skipped);
	buf_free(&text);
	assert_non_null(pods);
	return pods;
}

static void check_container(const struct pod_container *c, enum pod_container_kind kind,
			    const char *name, char id, char previous)
{
	char digits[65] = {0};

	assert_int_equal(c->kind, kind);
	assert_string_equal(c->name, name);
	memset(digits, id, id ? 64 : 0);
	assert_string_equal(c->id, digits);
	memset(digits, previous, 64);
	assert_string_equal(c->previous_id, digits);
	assert_string_equal(c->runtime, id ? "containerd" : "");
}

static void check_amounts(const struct pod_amounts *amounts, int64_t cpu, int64_t memory,
			  int64_t gpus)
{
	assert_int_equal(amounts->cpu_milli, cpu);
	assert_int_equal(amounts->memory_bytes, memory);
	assert_int_equal(amounts->gpus, gpus);
}

static void a_pod_has_what_kubernetes_says(void **state)
{
	struct podlist_skipped skipped = {0};
	const struct pods *pods = fixture_pods(&skipped);
	const struct pod *pod = &pods->pod[1];

	(void)state;
	assert_int_equal(pods->nr, 2);
	assert_string_equal(pod->namespace_, "research");
	assert_string_equal(pod->name, "trainer-6d4b75cb6d-x7k2p");
	assert_string_equal(pod->uid, UID1);
	assert_string_equal(pod->cgroup_uid, UID1);
	assert_string_equal(pod->owner_kind, "Deployment");
	assert_string_equal(pod->owner_name, "trainer");
	assert_string_equal(pod->qos, "Burstable");
	assert_int_equal(pod->nr_labels, 2);
	assert_string_equal(pod->labels[1].name, "team");
	assert_string_equal(pod->labels[1].value, "vision");
	assert_int_equal(skipped.pods + skipped.duplicates + skipped.elsewhere, 0);
	assert_int_equal(skipped.fields, 1);
	pods_put(pods);
}

static void containers_of_all_kinds_are_there(void **state)
{
	const struct pods *pods = fixture_pods(NULL);
	const struct pod_container *c = pods->pod[1].containers;

	(void)state;
	assert_int_equal(pods->pod[1].nr_containers, 5);
	check_container(&c[0], CONTAINER_APP, "main", '5', '4');
	check_container(&c[1], CONTAINER_APP, "waiting", 0, 0);
	check_container(&c[2], CONTAINER_INIT, "fetch", '2', 0);
	check_container(&c[3], CONTAINER_SIDECAR, "mesh", '3', 0);
	check_container(&c[4], CONTAINER_EPHEMERAL, "debug", '6', 0);
	check_amounts(&c[0].request, 7500, 1500000000, 3);
	check_amounts(&c[0].limit, 8000, 1610612736, 3);
	check_amounts(&c[1].request, -1, -1, -1);
	check_amounts(&c[2].limit, 500, 1073741824, -1);
	check_amounts(&c[3].request, 100, 128974848, -1);
	check_amounts(&c[3].limit, -1, -1, -1);
	pods_put(pods);
}

static void a_static_pod_is_found_by_its_hash(void **state)
{
	const struct pods *pods = fixture_pods(NULL);
	const struct pod *pod = pods_find(pods, HASH);

	(void)state;
	assert_non_null(pod);
	assert_null(pods_find(pods, HASH2));
	assert_null(pods_find(NULL, HASH));
	assert_string_equal(pod->name, "kube-proxy-node-7");
	assert_string_equal(pod->cgroup_uid, HASH);
	assert_string_equal(pod->owner_kind, "Node");
	assert_string_equal(pod->owner_name, "node-7");
	assert_string_equal(pod->containers[0].runtime, "cri-o");
	pods_put(pods);
}

#define META(name, uid, more)                                                                      \
	"{\"metadata\":{\"namespace\":\"n\",\"name\":\"" name "\",\"uid\":\"" uid "\"" more "}}"
#define NOTES(more)		",\"annotations\":{" more "}"
#define NOTE(key, value)	"\"kubernetes.io/config." key "\":\"" value "\""
#define MIRROR(name, uid, hash) META(name, uid, NOTES(NOTE("hash", hash) "," NOTE("mirror", hash)))

static void check_cgroup(bool kubelet, const char *pod, const char *expected)
{
	struct podlist_options options = {.from_kubelet = kubelet};
	char text[1024];
	const struct pods *pods;

	snprintf(text, sizeof(text), "{\"items\":[%s]}", pod);
	pods = read_with(&options, text, NULL);
	assert_non_null(pods);
	assert_int_equal(pods->nr, 1);
	assert_string_equal(pods->pod[0].cgroup_uid, expected);
	pods_put(pods);
}

/* Annotations are free text to whoever makes a pod. */
static void nobody_takes_the_cgroup_of_another(void **state)
{
	(void)state;
	check_cgroup(false, META("a", UID1, NOTES(NOTE("hash", HASH) "," NOTE("mirror", HASH))),
		     HASH);
	check_cgroup(false, META("a", UID1, NOTES(NOTE("hash", HASH))), UID1);
	check_cgroup(false, META("a", UID1, NOTES(NOTE("hash", HASH) "," NOTE("source", "file"))),
		     UID1);
	check_cgroup(false, META("a", UID1, NOTES(NOTE("hash", HASH) "," NOTE("mirror", HASH2))),
		     UID1);
	check_cgroup(true, META("a", UID1, NOTES(NOTE("hash", HASH) "," NOTE("source", "http"))),
		     HASH);
	check_cgroup(
		true,
		META("a", UID1,
		     NOTES(NOTE("hash", HASH) "," NOTE("mirror", HASH) "," NOTE("source", "api"))),
		UID1);
	check_cgroup(true, META("a", UID1, NOTES(NOTE("hash", "x") "," NOTE("source", "file"))),
		     UID1);
}

static void duplicates_are_dropped(void **state)
{
	static const char text[] =
		"{\"items\":[" META("b", "2", "") "," META("a", "1", "") "," META(
			"c", "2", "") "," MIRROR("m", "3", HASH) "," META("s", HASH, "") "]}";
	struct podlist_skipped skipped = {0};
	const struct pods *pods = read_kubelet(text, &skipped);

	(void)state;
	assert_non_null(pods);
	assert_int_equal(skipped.duplicates, 2);
	assert_int_equal(pods->nr, 3);
	assert_string_equal(pods->pod[0].name, "s");
	assert_string_equal(pods->pod[1].name, "a");
	assert_string_equal(pods->pod[2].name, "b");
	pods_put(pods);
}

static void check_owner(const char *owner, const char *labels, const char *kind, const char *name)
{
	struct podlist_options options = {0};
	const struct pods *pods;
	char text[1024];

	snprintf(text, sizeof(text),
		 "{\"items\":[{\"metadata\":{\"namespace\":\"n\",\"name\":\"p\",\"uid\":\"u\","
		 "\"ownerReferences\":[{\"controller\":true,%s}],\"labels\":{%s}}}]}",
		 owner, labels);
	pods = read_with(&options, text, NULL);
	assert_non_null(pods);
	assert_string_equal(pods->pod[0].owner_kind, kind);
	assert_string_equal(pods->pod[0].owner_name, name);
	pods_put(pods);
}

#define OWNER(kind, name)  "\"kind\":\"" kind "\",\"name\":\"" name "\""
#define LABEL(name, value) "\"" name "\":\"" value "\""

static void the_owner_is_who_was_deployed(void **state)
{
	(void)state;
	check_owner(OWNER("ReplicaSet", "web-1-abc"), LABEL("pod-template-hash", "abc"),
		    "Deployment", "web-1");
	check_owner(OWNER("ReplicaSet", "web-abc"), "", "ReplicaSet", "web-abc");
	check_owner(OWNER("ReplicaSet", "web-abc"), LABEL("pod-template-hash", "def"), "ReplicaSet",
		    "web-abc");
	check_owner(OWNER("ReplicaSet", "webabc"), LABEL("pod-template-hash", "abc"), "ReplicaSet",
		    "webabc");
	check_owner(OWNER("ReplicaSet", "-abc"), LABEL("pod-template-hash", "abc"), "ReplicaSet",
		    "-abc");
	check_owner(OWNER("ReplicaSet", "r-9"), LABEL("rollouts-pod-template-hash", "9"), "Rollout",
		    "r");
	check_owner(OWNER("Job", "night-28437"), LABEL("pod-template-hash", "28437"), "Job",
		    "night-28437");
}

static void check_qos(const char *containers, const char *init, const char *qos)
{
	struct podlist_options options = {0};
	const struct pods *pods;
	char text[1024];

	snprintf(text, sizeof(text),
		 "{\"items\":[{\"metadata\":{\"namespace\":\"n\",\"name\":\"p\",\"uid\":\"u\"},"
		 "\"spec\":{\"containers\":[%s],\"initContainers\":[%s],"
		 "\"ephemeralContainers\":[{\"name\":\"e\"}]}}]}",
		 containers, init);
	pods = read_with(&options, text, NULL);
	assert_non_null(pods);
	assert_string_equal(pods->pod[0].qos, qos);
	pods_put(pods);
}

#define C(name, requests, limits)                                                                  \
	"{\"name\":\"" name "\",\"resources\":{\"requests\":{" requests "},\"limits\":{" limits    \
	"}}}"
#define CPU    "\"cpu\":\"1\""
#define MEMORY "\"memory\":\"1Gi\""

static void the_class_follows_from_the_containers(void **state)
{
	(void)state;
	check_qos(C("a", "", ""), "", "BestEffort");
	check_qos(C("a", "", "\"nvidia.com/gpu\":\"1\""), "", "BestEffort");
	check_qos(C("a", CPU, ""), "", "Burstable");
	check_qos(C("a", CPU "," MEMORY, CPU "," MEMORY), "", "Guaranteed");
	check_qos(C("a", "\"cpu\":\"1000m\"," MEMORY, CPU "," MEMORY), "", "Guaranteed");
	check_qos(C("a", "", CPU "," MEMORY), "", "Guaranteed");
	check_qos(C("a", "", CPU), "", "Burstable");
	check_qos(C("a", "\"cpu\":\"900m\"", CPU "," MEMORY), "", "Burstable");
	check_qos(C("a", "", CPU "," MEMORY) "," C("b", "", ""), "", "Burstable");
	check_qos(C("a", "", CPU "," MEMORY), C("i", "", ""), "Burstable");
}

/* Each is left out or left empty, and nothing else is lost. */
static void what_is_wrong_is_left_out(void **state)
{
	struct podlist_skipped skipped = {0};
	const struct pods *pods = read_kubelet(
		"{\"items\":[null,7,\"x\",[],{},{\"metadata\":null},{\"metadata\":[]},"
		"{\"metadata\":{\"name\":\"p\",\"uid\":\"u\"}},"
		"{\"metadata\":{\"namespace\":\"\",\"name\":\"p\",\"uid\":\"u\"}},"
		"{\"metadata\":{\"namespace\":\"n\",\"name\":7,\"uid\":\"u\"}},"
		"{\"metadata\":{\"namespace\":\"n\",\"name\":\"a\\u0000b\",\"uid\":\"u\"}},"
		"{\"metadata\":{\"namespace\":\"n\",\"name\":\"p\",\"uid\":\"u\",\"labels\":[],"
		"\"annotations\":7,\"ownerReferences\":{}},\"status\":[],"
		"\"spec\":{\"containers\":[{},null,{\"name\":\"c\",\"resources\":{\"requests\":"
		"{\"cpu\":\"lots\",\"memory\":1048576,\"amd.com/gpu\":[]},\"limits\":3}},"
		"{\"name\":[]}],\"initContainers\":\"none\"}}"
		"]}",
		&skipped);
	const struct pod *pod;

	(void)state;
	assert_non_null(pods);
	assert_int_equal(pods->nr, 1);
	pod = &pods->pod[0];
	assert_int_equal(skipped.pods, 11);
	assert_int_equal(pod->nr_containers, 1);
	check_amounts(&pod->containers[0].request, -1, 1048576, -1);
	assert_string_equal(pod->containers[0].id, "");
	assert_string_equal(pod->qos, "Burstable");
	assert_true(skipped.fields >= 8);
	pods_put(pods);
}

static void odd_ids_are_not_taken(void **state)
{
	struct podlist_skipped skipped = {0};
	const struct pods *pods = read_kubelet(
		"{\"items\":[{\"metadata\":{\"namespace\":\"n\",\"name\":\"p\",\"uid\":\"u\"},"
		"\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"},"
		"{\"name\":\"d\"}]},\"status\":{\"containerStatuses\":["
		"{\"name\":\"a\",\"containerID\":\"abc\"},{\"name\":\"b\",\"containerID\":\"://x\"},"
		"{\"name\":\"c\",\"containerID\":\"docker://\"},{\"name\":\"d\",\"containerID\":7},"
		"{\"name\":\"zzz\",\"containerID\":\"docker://1\"}]}}]}",
		&skipped);

	(void)state;
	assert_non_null(pods);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(pods->pod[0].containers[i].id, "");
	assert_int_equal(skipped.fields, 4);
	pods_put(pods);
}

static void no_list_is_no_answer(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"{",
		"{}",
		"[]",
		"null",
		"<html>",
		"{\"items\"}",
		"{\"items\":}",
		"{\"items\":7}",
		"{\"items\":{}}",
		"{\"items\":[}",
		"{\"items\":[{]}",
		"{\"items\":[{}",
		"{\"items\":[{}]",
		"{\"items\":[{},]}",
		"{\"items\":[]} x",
		"{\"items\":[],}",
		"{\"items\":[]}{\"items\":[]}",
		"{\"kind\":\"Status\",\"code\":403}",
		"{7:[]}",
		"\xff\xfe{\"items\":[]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (read_kubelet(texts[i], NULL))
			fail_msg("taken for a list: %s", texts[i]);
}

/* Wherever the connection broke. */
static void half_a_document_is_no_list(void **state)
{
	struct buf text = {0};
	size_t end;

	(void)state;
	read_fixture(&text);
	for (end = text.len; text.data[end - 1] != '}';)
		end--;
	for (size_t bytes = 1; bytes < end; bytes += 1 + bytes % 7) {
		struct podlist_options options = {.from_kubelet = true};
		struct podlist *list = podlist_new(&options);
		/* Of its own size, so that reading behind it is seen. */
		char *exact = malloc(bytes);

		memcpy(exact, text.data, bytes);
		assert_int_equal(podlist_read(list, exact, bytes), -EBADMSG);
		podlist_free(list);
		free(exact);
	}
	buf_free(&text);
}

static void an_empty_node_is_a_good_answer(void **state)
{
	static const char *const texts[] = {
		"{\"items\":null}",
		"{\"items\":[]}",
		" \n{ \"items\" : [ ] , \"kind\" : \"PodList\" } \n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const struct pods *pods = read_kubelet(texts[i], NULL);

		assert_non_null(pods);
		assert_int_equal(pods->nr, 0);
		pods_put(pods);
	}
}

static void pages_make_one_list(void **state)
{
	static const char first[] =
		"{\"metadata\":{\"continue\":\"a/=&+\"},\"items\":[" META("b", "2", "") "]}";
	static const char second[] =
		"{\"items\":[" META("a", "1", "") "," META("x", "2",
							   "") "],"
							       "\"metadata\":{\"continue\":\"\"}}";
	struct podlist_options options = {0};
	struct podlist *list = podlist_new(&options);
	struct podlist_skipped skipped = {0};
	const struct pods *pods;

	(void)state;
	assert_int_equal(podlist_read(list, first, strlen(first)), 0);
	assert_string_equal(podlist_continue(list), "a/=&+");
	assert_int_equal(podlist_read(list, second, strlen(second)), 0);
	assert_string_equal(podlist_continue(list), "");
	pods = podlist_done(list, &skipped);
	podlist_free(list);
	assert_int_equal(pods->nr, 2);
	assert_string_equal(pods->pod[1].name, "b");
	assert_int_equal(skipped.duplicates, 1);
	pods_put(pods);
}

static void pods_of_other_nodes_are_not_ours(void **state)
{
	struct podlist_options options = {.node = "here"};
	struct podlist_skipped skipped = {0};
	const struct pods *pods = read_with(
		&options,
		"{\"items\":[{\"metadata\":{\"namespace\":\"n\",\"name\":\"p\",\"uid\":\"u\"},"
		"\"spec\":{\"nodeName\":\"there\"}},"
		"{\"metadata\":{\"namespace\":\"n\",\"name\":\"q\",\"uid\":\"v\"},"
		"\"spec\":{\"nodeName\":\"here\"}}]}",
		&skipped);

	(void)state;
	assert_non_null(pods);
	assert_int_equal(pods->nr, 1);
	assert_string_equal(pods->pod[0].name, "q");
	assert_int_equal(skipped.elsewhere, 1);
	pods_put(pods);
}

static void put_pod(struct buf *text, size_t number)
{
	buf_printf(text, "%s{\"metadata\":{\"namespace\":\"n\",\"name\":\"p%zu\",\"uid\":\"%zu\"}}",
		   number ? "," : "", number, number);
}

static void there_is_an_end_to_pods(void **state)
{
	struct podlist_skipped skipped = {0};
	struct buf text = {0};
	const struct pods *pods;

	(void)state;
	buf_puts(&text, "{\"items\":[");
	for (size_t i = 0; i < PODS_MAX + 10; i++)
		put_pod(&text, i);
	buf_puts(&text, "]}");
	pods = read_kubelet(buf_text(&text), &skipped);
	buf_free(&text);
	assert_non_null(pods);
	assert_int_equal(pods->nr, PODS_MAX);
	assert_int_equal(skipped.pods, 10);
	pods_put(pods);
}

static void repeat(struct buf *text, const char *what, size_t times)
{
	for (size_t i = 0; i < times; i++)
		buf_puts(text, what);
}

static void there_is_an_end_to_nesting_and_size(void **state)
{
	struct buf text = {0};

	(void)state;
	buf_puts(&text, "{\"items\":[");
	repeat(&text, "[", 1000000);
	assert_null(read_kubelet(buf_text(&text), NULL));
	text.len = 0;
	buf_puts(&text, "{\"items\":[{\"metadata\":\"");
	repeat(&text, "0123456789abcdef", 200000);
	buf_puts(&text, "\"}]}");
	assert_null(read_kubelet(buf_text(&text), NULL));
	buf_free(&text);
}

static void there_is_an_end_to_names_and_containers(void **state)
{
	struct podlist_skipped skipped = {0};
	struct buf text = {0};
	const struct pods *pods;

	(void)state;
	buf_puts(&text, "{\"items\":[{\"metadata\":{\"namespace\":\"n\",\"uid\":\"u\",\"name\":\"");
	repeat(&text, "x", POD_NAME_MAX + 1);
	buf_puts(&text, "\"}},"
			"{\"metadata\":{\"namespace\":\"n\",\"uid\":\"u\",\"name\":\"p\"},"
			"\"spec\":{\"containers\":[{\"name\":\"c\"},{\"name\":\"c\"}");
	for (int i = 0; i < POD_CONTAINERS_MAX + 3; i++)
		buf_printf(&text, ",{\"name\":\"%d\"}", i);
	buf_puts(&text, "]}}]}");
	pods = read_kubelet(buf_text(&text), &skipped);
	buf_free(&text);
	assert_non_null(pods);
	assert_int_equal(skipped.pods, 1);
	assert_int_equal(pods->nr, 1);
	assert_int_equal(pods->pod[0].nr_containers, POD_CONTAINERS_MAX);
	assert_int_equal(skipped.fields, 5);
	pods_put(pods);
}

static void lists_that_say_the_same_are_the_same(void **state)
{
	const struct pods *a = fixture_pods(NULL), *b = fixture_pods(NULL);
	const struct pods *less = read_kubelet("{\"items\":[]}", NULL);
	const struct pods *joined = pods_join(a, NULL);

	(void)state;
	assert_true(pods_same(a, b));
	assert_true(pods_same(a, joined));
	assert_true(pods_same(NULL, NULL));
	assert_false(pods_same(a, NULL));
	assert_false(pods_same(a, less));
	pods_put(a);
	pods_put(b);
	pods_put(less);
	assert_string_equal(joined->pod[1].namespace_, "research");
	pods_put(joined);
}

#define RUN(pod, uid, c, id)                                                                       \
	"{\"metadata\":{\"namespace\":\"n\",\"name\":\"" pod "\",\"uid\":\"" uid "\"},"            \
	"\"spec\":{\"containers\":[{\"name\":\"" c "\"}]},\"status\":{\"containerStatuses\":["     \
	"{\"name\":\"" c "\",\"containerID\":\"r://" id "\"}]}}"

static void what_is_newer_is_added(void **state)
{
	const struct pods *old = read_kubelet("{\"items\":[" RUN("a", "1", "c", "x") "]}", NULL);
	const struct pods *new = read_kubelet(
		"{\"items\":[" RUN("a", "1", "c", "y") "," RUN("b", "0", "c", "z") "]}", NULL);
	const struct pods *both = pods_merge(old, new), *again = pods_merge(both, old);

	(void)state;
	pods_put(old);
	pods_put(new);
	assert_int_equal(both->nr, 2);
	assert_string_equal(both->pod[0].name, "b");
	assert_string_equal(both->pod[1].containers[0].id, "y");
	assert_string_equal(both->pod[1].containers[0].previous_id, "x");
	assert_true(pods_same(both, again));
	pods_put(both);
	pods_put(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantities_are_exact),
		cmocka_unit_test(a_pod_has_what_kubernetes_says),
		cmocka_unit_test(containers_of_all_kinds_are_there),
		cmocka_unit_test(a_static_pod_is_found_by_its_hash),
		cmocka_unit_test(nobody_takes_the_cgroup_of_another),
		cmocka_unit_test(duplicates_are_dropped),
		cmocka_unit_test(the_owner_is_who_was_deployed),
		cmocka_unit_test(the_class_follows_from_the_containers),
		cmocka_unit_test(what_is_wrong_is_left_out),
		cmocka_unit_test(odd_ids_are_not_taken),
		cmocka_unit_test(no_list_is_no_answer),
		cmocka_unit_test(half_a_document_is_no_list),
		cmocka_unit_test(an_empty_node_is_a_good_answer),
		cmocka_unit_test(pages_make_one_list),
		cmocka_unit_test(pods_of_other_nodes_are_not_ours),
		cmocka_unit_test(there_is_an_end_to_pods),
		cmocka_unit_test(there_is_an_end_to_nesting_and_size),
		cmocka_unit_test(there_is_an_end_to_names_and_containers),
		cmocka_unit_test(lists_that_say_the_same_are_the_same),
		cmocka_unit_test(what_is_newer_is_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
