// SPDX-License-Identifier: Apache-2.0
/* The table of owners: learning, naming, dying, forgetting, being full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/idmap.h"
#include "owner/owners.h"

#define UID  "20df4c7b-4d2a-4fe1-a997-385a170b66be"
#define UID_ "20df4c7b_4d2a_4fe1_a997_385a170b66be"
#define HASH "977420b36e1cda63c353db042c373d21"
#define ID   "c71fc11fa90fc85555d5ca80efe10b690ca916a307b193ffb2f99c445b82942b"
#define ID2  "19324e87b398eeed2b32b1a7dc8b6aa09d4d3fb73ffc10825601127ea4b9b752"

static const struct hierarchy nowhere = {.root = "/nowhere", .root_fd = -1};

static struct owners *new_owners(size_t max)
{
	struct owners_options options = {
		.hierarchy = &nowhere, .max_owners = max, .max_pods = max, .keep_ns = 100};
	struct owners *owners = owners_new(&options);

	assert_non_null(owners);
	return owners;
}

static void ignore_owner(void *context, uint32_t owner)
{
	(void)owner;
	++*(int *)context;
}

static void cgroups_of_one_container_share_an_owner(void **state)
{
	struct owners *owners = new_owners(10);
	uint32_t a, b;

	(void)state;
	owners_made(owners, 5, "/kubepods/pod" UID "/" ID);
	owners_made(owners, 6, "/kubepods/pod" UID "/" ID "/init");
	owners_made(owners, 7, "/kubepods/pod" UID "/" ID2);
	a = owners_find(owners, 5);
	b = owners_find(owners, 7);
	assert_int_equal(owners_find(owners, 6), a);
	assert_int_not_equal(a, b);
	assert_string_equal(owners_at(owners, a)->pod, UID);
	assert_string_equal(owners_at(owners, b)->container, ID2);
	assert_int_equal(owners_find(owners, 8), OWNER_NONE);
	assert_int_equal(owners_resolve(owners, 8), OWNER_NONE);
	owners_free(owners);
}

static void the_dead_are_kept_for_a_time(void **state)
{
	struct owners *owners = new_owners(10);
	int gone = 0;
	uint32_t a;

	(void)state;
	owners_made(owners, 5, "/a/x.service");
	owners_made(owners, 6, "/b/x.service");
	a = owners_find(owners, 5);
	owners_removed(owners, 5, 1000);
	owners_removed(owners, 5, 1050);
	owners_expire(owners, 1099, ignore_owner, &gone);
	assert_int_equal(owners_find(owners, 5), a);
	owners_expire(owners, 1100, ignore_owner, &gone);
	assert_int_equal(owners_find(owners, 5), OWNER_NONE);
	assert_int_equal(gone, 0);
	owners_removed(owners, 6, 2000);
	owners_expire(owners, 2100, ignore_owner, &gone);
	assert_int_equal(gone, 1);
	assert_null(owners_at(owners, a));
	owners_free(owners);
}

static void its_end_may_be_told_before_its_beginning(void **state)
{
	struct owners *owners = new_owners(10);
	int gone = 0;

	(void)state;
	owners_removed(owners, 5, 1000);
	owners_made(owners, 5, "/a/x.service");
	assert_int_not_equal(owners_find(owners, 5), OWNER_NONE);
	owners_expire(owners, 1100, ignore_owner, &gone);
	assert_int_equal(owners_find(owners, 5), OWNER_NONE);
	assert_int_equal(gone, 1);
	owners_removed(owners, 6, 2000);
	owners_expire(owners, 2100, ignore_owner, &gone);
	assert_int_equal(gone, 1);
	owners_free(owners);
}

static void what_does_not_fit_is_other(void **state)
{
	struct owners *owners = new_owners(2);
	char path[32];
	int gone = 0;

	(void)state;
	for (int i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "/%d.service", i);
		owners_made(owners, 10 + (uint64_t)i, path);
	}
	assert_int_equal(owners_dropped(owners), 3);
	assert_string_equal(owners_at(owners, owners_find(owners, 14))->unit, "other");
	owners_removed(owners, 14, 0);
	owners_removed(owners, 10, 0);
	owners_expire(owners, 1000, ignore_owner, &gone);
	assert_int_equal(gone, 1);
	owners_made(owners, 20, "/new.service");
	assert_string_equal(owners_at(owners, owners_find(owners, 20))->unit, "new.service");
	owners_free(owners);
}

static void many_come_and_go(void **state)
{
	struct owners *owners = new_owners(1000);
	char path[64];
	int gone = 0;

	(void)state;
	for (uint64_t i = 0; i < 20000; i++) {
		snprintf(path, sizeof(path), "/u%u.service", (unsigned int)(i % 700));
		owners_made(owners, i + 2, path);
		if (i >= 500)
			owners_removed(owners, i - 500 + 2, i);
		owners_expire(owners, i, ignore_owner, &gone);
		assert_int_not_equal(owners_find(owners, i + 2), OWNER_NONE);
	}
	assert_int_equal(owners_find(owners, 2), OWNER_NONE);
	assert_int_equal(owners_dropped(owners), 0);
	assert_true(gone > 15000);
	owners_free(owners);
}

static void idmap_agrees_with_an_array(void **state)
{
	static uint32_t truth[512];
	struct idmap map = {0};
	uint32_t value, random = 1;

	(void)state;
	memset(truth, 0xff, sizeof(truth));
	for (int i = 0; i < 200000; i++) {
		uint32_t key = (random = random * 1664525 + 1013904223) >> 23;

		if (random & 1 << 10) {
			assert_int_equal(idmap_remove(&map, key), truth[key] != UINT32_MAX);
			truth[key] = UINT32_MAX;
		} else {
			truth[key] = (uint32_t)i;
			assert_int_equal(idmap_put(&map, key, truth[key]), 0);
		}
		key = random >> 3 & 511;
		assert_int_equal(idmap_get(&map, key, &value), truth[key] != UINT32_MAX);
		if (truth[key] != UINT32_MAX)
			assert_int_equal(value, truth[key]);
	}
	idmap_free(&map);
}

/* A pod of two containers, as lists have it; `id` and `id2` as far as they are known. */
static const struct pods *one_pod(const char *id, const char *id2)
{
	static struct pod_container containers[2];
	static const struct pod pod = {
		.namespace_ = "team-a",
		.name = "train-0",
		.uid = UID,
		.cgroup_uid = UID,
		.owner_kind = "",
		.owner_name = "",
		.qos = "",
		.containers = containers,
		.nr_containers = 2,
	};
	static const struct pods pods = {.pod = &pod, .nr = 1};

	containers[0] = (struct pod_container){.name = "main", .id = id, .previous_id = ""};
	containers[1] = (struct pod_container){.name = "sidecar", .id = id2, .previous_id = ""};
	return &pods;
}

struct merges {
	size_t nr;
	uint32_t goes, stays;
};

static void note_merge(void *context, uint32_t goes, uint32_t stays)
{
	struct merges *merges = context;

	*merges = (struct merges){merges->nr + 1, goes, stays};
}

static const struct owner *owner_of(const struct owners *owners, uint64_t cgroup)
{
	return owners_at(owners, owners_find(owners, cgroup));
}

static void a_pod_gets_its_name_and_stays_who_it_is(void **state)
{
	struct owners *owners = new_owners(10);
	struct merges merges = {0};
	uint32_t before;

	(void)state;
	owners_made(owners, 5, "/kubepods/pod" UID "/" ID);
	before = owners_find(owners, 5);
	assert_true(owners_want_names(owners));
	assert_int_equal(owners_nameless(owners), 1);
	owners_learn(owners, one_pod(ID, ""), 0, note_merge, &merges);
	assert_int_equal(owners_find(owners, 5), before);
	assert_string_equal(owner_of(owners, 5)->namespace_, "team-a");
	assert_string_equal(owner_of(owners, 5)->pod, "train-0");
	assert_string_equal(owner_of(owners, 5)->container, "main");
	assert_int_equal(owners_nameless(owners), 0);
	assert_false(owners_want_names(owners));
	assert_int_equal(merges.nr, 0);
	/* What is known is known at once. */
	owners_made(owners, 6, "/kubepods/pod" UID "/" ID "/exec");
	assert_int_equal(owners_find(owners, 6), before);
	owners_free(owners);
}

static void a_container_started_again_is_the_same(void **state)
{
	struct owners *owners = new_owners(10);
	struct merges merges = {0};
	uint32_t first, second;

	(void)state;
	owners_made(owners, 5, "/kubepods/pod" UID "/" ID);
	owners_learn(owners, one_pod(ID, ""), 0, note_merge, &merges);
	first = owners_find(owners, 5);
	owners_made(owners, 6, "/kubepods/pod" UID "/" ID2);
	second = owners_find(owners, 6);
	assert_int_not_equal(first, second);
	assert_string_equal(owner_of(owners, 6)->container, ID2);
	assert_false(owners_settling(owners, first));
	assert_true(owners_settling(owners, second));
	owners_learn(owners, one_pod(ID2, ""), 1, note_merge, &merges);
	assert_int_equal(merges.nr, 1);
	assert_int_equal(merges.goes, second);
	assert_int_equal(merges.stays, first);
	assert_int_equal(owners_find(owners, 6), first);
	assert_null(owners_at(owners, second));
	owners_free(owners);
}

static void what_no_list_has_is_the_sandbox(void **state)
{
	struct owners *owners = new_owners(10);
	struct merges merges = {0};

	(void)state;
	owners_made(owners, 4, "/kubepods/pod" UID);
	owners_made(owners, 5, "/kubepods/pod" UID "/" ID);
	/* As long as a container has no id yet, it may be this one. */
	for (int i = 0; i < 5; i++)
		owners_learn(owners, one_pod("", ""), 0, note_merge, &merges);
	assert_string_equal(owner_of(owners, 5)->container, ID);
	owners_learn(owners, one_pod("", ""), 40000000000, note_merge, &merges);
	assert_string_equal(owner_of(owners, 5)->container, ID);
	owners_learn(owners, one_pod(ID2, ID2), 41000000000, note_merge, &merges);
	assert_int_equal(merges.nr, 1);
	assert_string_equal(owner_of(owners, 5)->container, "");
	assert_int_equal(owners_find(owners, 4), owners_find(owners, 5));
	owners_free(owners);
}

static void who_never_gets_a_name_settles(void **state)
{
	struct owners *owners = new_owners(10);
	struct merges merges = {0};
	int gone = 0;

	(void)state;
	owners_made(owners, 5, "/kubepods/pod" UID "/" ID);
	/* The name of its pod is not known: it is nobody else as yet. */
	assert_false(owners_settling(owners, owners_find(owners, 5)));
	owners_learn(owners, one_pod("", ""), 1000000000, note_merge, &merges);
	assert_true(owners_settling(owners, owners_find(owners, 5)));
	owners_expire(owners, 0, ignore_owner, &gone);
	assert_true(owners_settling(owners, owners_find(owners, 5)));
	owners_expire(owners, 60000000000, ignore_owner, &gone);
	assert_true(owners_settling(owners, owners_find(owners, 5)));
	owners_expire(owners, 61000000000, ignore_owner, &gone);
	assert_false(owners_settling(owners, owners_find(owners, 5)));
	owners_free(owners);
}

static void more_pods_than_fit_share_other(void **state)
{
	struct owners_options options = {
		.hierarchy = &nowhere, .max_owners = 100, .max_pods = 2, .keep_ns = 10};
	struct owners *owners = owners_new(&options);
	char path[160];
	int gone = 0;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "/kubepods/pod%032x", i);
		owners_made(owners, 10 + i, path);
		owners_made(owners, 20 + i, strcat(path, "/" ID));
	}
	assert_string_equal(owner_of(owners, 11)->pod, "00000000000000000000000000000001");
	assert_string_equal(owner_of(owners, 21)->container, ID);
	assert_string_equal(owner_of(owners, 12)->pod, "other");
	assert_string_equal(owner_of(owners, 23)->pod, "other");
	assert_int_equal(owners_dropped(owners), 4);
	owners_removed(owners, 10, 0);
	owners_removed(owners, 20, 0);
	owners_expire(owners, 11, ignore_owner, &gone);
	assert_int_equal(gone, 2);
	owners_made(owners, 31, path);
	assert_string_not_equal(owner_of(owners, 31)->pod, "other");
	owners_free(owners);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_gets_its_name_and_stays_who_it_is),
		cmocka_unit_test(a_container_started_again_is_the_same),
		cmocka_unit_test(what_no_list_has_is_the_sandbox),
		cmocka_unit_test(who_never_gets_a_name_settles),
		cmocka_unit_test(more_pods_than_fit_share_other),
		cmocka_unit_test(cgroups_of_one_container_share_an_owner),
		cmocka_unit_test(the_dead_are_kept_for_a_time),
		cmocka_unit_test(its_end_may_be_told_before_its_beginning),
		cmocka_unit_test(what_does_not_fit_is_other),
		cmocka_unit_test(many_come_and_go),
		cmocka_unit_test(idmap_agrees_with_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
