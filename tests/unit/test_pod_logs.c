// SPDX-License-Identifier: Apache-2.0
/* Names of pods from the names of their logs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "owner/pod_logs.h"

#define UID1 "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
#define UID2 "aaaaaaaa-bbbb-cccc-dddd-ffffffffffff"
#define HASH "0123456789abcdef0123456789abcdef"
#define ID1  "1111111111111111111111111111111111111111111111111111111111111111"
#define ID2  "2222222222222222222222222222222222222222222222222222222222222222"
#define ID3  "3333333333333333333333333333333333333333333333333333333333333333"

/* NULL namespace: no such name. */
static const struct {
	const char *name, *namespace_, *pod, *uid;
} dirs[] = {
	{"kube-system_kube-proxy-x2x_" UID1, "kube-system", "kube-proxy-x2x", UID1},
	{"default_a.b-c_" HASH, "default", "a.b-c", HASH},
	{"default_a_Own.UID-1", "default", "a", "Own.UID-1"},
	{"a_b_c_d", NULL, NULL, NULL},
	{"a_b", NULL, NULL, NULL},
	{"a__c", NULL, NULL, NULL},
	{"_b_c", NULL, NULL, NULL},
	{"a_b_", NULL, NULL, NULL},
	{"__", NULL, NULL, NULL},
	{"", NULL, NULL, NULL},
	{"A_b_c", NULL, NULL, NULL},
	{"a_b\n_c", NULL, NULL, NULL},
	{"a_\xc3\xa4_c", NULL, NULL, NULL},
	{"a_b_c/d", NULL, NULL, NULL},
};

static void directories_are_named_after_pods(void **state)
{
	struct pod_log_dir dir;

	(void)state;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		if (pod_log_dir_read(dirs[i].name, &dir) != !!dirs[i].namespace_)
			fail_msg("%s", dirs[i].name);
		if (!dirs[i].namespace_)
			continue;
		assert_string_equal(dir.namespace_, dirs[i].namespace_);
		assert_string_equal(dir.pod, dirs[i].pod);
		assert_string_equal(dir.uid, dirs[i].uid);
	}
}

static const struct {
	const char *name, *pod, *namespace_, *container;
} links[] = {
	{"web-1_default_main-" ID1 ".log", "web-1", "default", "main"},
	{"a.b_kube-system_side-car-" ID1 ".log", "a.b", "kube-system", "side-car"},
	{"a_b_c-" ID1, NULL, NULL, NULL},
	{"a_b_c" ID1 ".log", NULL, NULL, NULL},
	{"a_b_c-1" ID1 ".log", NULL, NULL, NULL},
	{"a_b_-" ID1 ".log", NULL, NULL, NULL},
	{"a_b-" ID1 ".log", NULL, NULL, NULL},
	{"x_a_b_c-" ID1 ".log", NULL, NULL, NULL},
	{"a_b_c-g111111111111111111111111111111111111111111111111111111111111111.log", NULL, NULL,
	 NULL},
	{".log", NULL, NULL, NULL},
	{"-.log", NULL, NULL, NULL},
	{"", NULL, NULL, NULL},
};

static void links_are_named_after_containers(void **state)
{
	struct pod_log_link link;

	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (pod_log_link_read(links[i].name, &link) != !!links[i].pod)
			fail_msg("%s", links[i].name);
		if (!links[i].pod)
			continue;
		assert_string_equal(link.pod, links[i].pod);
		assert_string_equal(link.namespace_, links[i].namespace_);
		assert_string_equal(link.container, links[i].container);
		assert_string_equal(link.id, ID1);
	}
}

static void a_target_tells_the_run(void **state)
{
	struct pod_log_dir dir;
	uint64_t run;

	(void)state;
	assert_true(pod_log_target_read("/var/log/pods/n_p_" UID1 "/c/12.log", &dir, &run));
	assert_string_equal(dir.uid, UID1);
	assert_int_equal(run, 12);
	assert_false(pod_log_target_read("/var/log/pods/n_p_" UID1 "/c/x.log", &dir, &run));
	assert_false(pod_log_target_read("/n_p_" UID1 "/c/1111111111111111111111.log", &dir, &run));
	assert_false(pod_log_target_read("n_p_" UID1 "/0.log", &dir, &run));
	assert_false(pod_log_target_read("/var/lib/docker/" ID1 "-json.log", &dir, &run));
	assert_false(pod_log_target_read("", &dir, &run));
}

static void too_long_is_no_name(void **state)
{
	struct pod_log_link link;
	struct pod_log_dir dir;
	char name[1024];

	(void)state;
	for (int bytes = 250; bytes < 260; bytes++) {
		snprintf(name, sizeof(name), "n_%0*d_u", bytes, 1);
		assert_int_equal(pod_log_dir_read(name, &dir), bytes <= POD_NAME_MAX);
		snprintf(name, sizeof(name), "%0*d_n_c-" ID1 ".log", bytes, 1);
		assert_int_equal(pod_log_link_read(name, &link), bytes <= POD_NAME_MAX);
	}
}

/* A node's /var/log. */
struct tree {
	char root[64], pods[80];
};

static void make(const char *command, const struct tree *tree, const char *name, const char *target)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", tree->root, name);
	if (*command == 'd')
		assert_int_equal(mkdir(path, 0755), 0);
	else
		assert_int_equal(symlink(target, path), 0);
}

static void open_tree(struct tree *tree)
{
	strcpy(tree->root, "/tmp/mlprof-test-XXXXXX");
	assert_non_null(mkdtemp(tree->root));
	snprintf(tree->pods, sizeof(tree->pods), "%s/pods", tree->root);
	make("d", tree, "pods", NULL);
}

static void close_tree(const struct tree *tree)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", tree->root);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a test's own directory */
}

static void logs_give_pods_and_containers(void **state)
{
	const struct pods *pods;
	uint64_t skipped;
	struct tree tree;

	(void)state;
	open_tree(&tree);
	make("d", &tree, "pods/n_set-0_" UID1, NULL);
	make("d", &tree, "pods/n_set-0_" UID2, NULL);
	make("d", &tree, "pods/n_other_" HASH, NULL);
	make("d", &tree, "pods/lost+found", NULL);
	make("d", &tree, "containers", NULL);
	make("l", &tree, "containers/set-0_n_c-" ID1 ".log",
	     "/var/log/pods/n_set-0_" UID2 "/c/1.log");
	make("l", &tree, "containers/set-0_n_c-" ID2 ".log",
	     "/var/log/pods/n_set-0_" UID2 "/c/10.log");
	make("l", &tree, "containers/other_n_b-" ID3 ".log", "elsewhere");
	make("l", &tree, "containers/set-0_n_x-" ID3 ".log", "elsewhere");
	make("l", &tree, "containers/what", "ever");
	assert_int_equal(pod_logs_read(tree.pods, &pods, &skipped), 0);
	assert_int_equal(skipped, 2);
	assert_int_equal(pods->nr, 3);
	assert_string_equal(pods->pod[0].cgroup_uid, HASH);
	assert_string_equal(pods->pod[0].containers[0].id, ID3);
	assert_int_equal(pods->pod[1].nr_containers, 0);
	assert_string_equal(pods->pod[2].name, "set-0");
	assert_int_equal(pods->pod[2].nr_containers, 1);
	assert_string_equal(pods->pod[2].containers[0].name, "c");
	assert_string_equal(pods->pod[2].containers[0].id, ID2);
	assert_string_equal(pods->pod[2].containers[0].previous_id, ID1);
	assert_int_equal(pods->pod[2].containers[0].request.cpu_milli, -1);
	pods_put(pods);
	close_tree(&tree);
}

static void links_are_not_needed(void **state)
{
	const struct pods *pods;
	uint64_t skipped;
	struct tree tree;

	(void)state;
	open_tree(&tree);
	make("d", &tree, "pods/n_p_" UID1, NULL);
	assert_int_equal(pod_logs_read(tree.pods, &pods, &skipped), 0);
	assert_int_equal(pods->nr, 1);
	assert_int_equal(pods->pod[0].nr_containers, 0);
	assert_string_equal(pods->pod[0].qos, "");
	pods_put(pods);
	close_tree(&tree);
	assert_int_equal(pod_logs_read(tree.pods, &pods, &skipped), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directories_are_named_after_pods),
		cmocka_unit_test(links_are_named_after_containers),
		cmocka_unit_test(a_target_tells_the_run),
		cmocka_unit_test(too_long_is_no_name),
		cmocka_unit_test(logs_give_pods_and_containers),
		cmocka_unit_test(links_are_not_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
