// SPDX-License-Identifier: Apache-2.0
/* Cgroup paths to owners: layouts of many machines, and what is no layout at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "owner/path.h"

#define UID  "20df4c7b-4d2a-4fe1-a997-385a170b66be"
#define UID_ "20df4c7b_4d2a_4fe1_a997_385a170b66be"
#define UID2 "9bb7ee74-cf30-4c29-a670-a1986d67f83b"
#define HASH "977420b36e1cda63c353db042c373d21"
#define ID   "c71fc11fa90fc85555d5ca80efe10b690ca916a307b193ffb2f99c445b82942b"
#define ID2  "19324e87b398eeed2b32b1a7dc8b6aa09d4d3fb73ffc10825601127ea4b9b752"

static const struct {
	const char *path, *pod, *container, *unit;
} paths[] = {
	{"/kubepods/burstable/pod" UID "/" ID, UID, ID, ""},
	{"/kubepods/pod" UID, UID, "", ""},
	{"/kubepods/besteffort/pod" UID "/" ID "/init", UID, ID, ""},
	{"/kubepods/burstable/pod" HASH "/" ID, HASH, ID, ""},
	{"/kubepods.slice/kubepods-pod" UID_ ".slice/cri-containerd-" ID ".scope", UID, ID, ""},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice/crio-" ID
	 ".scope/container",
	 UID, ID, ""},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
	 ".slice/crio-conmon-" ID ".scope",
	 UID, "", ""},
	{"/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" ID,
	 UID, ID, ""},
	{"/system.slice/docker-" ID2 ".scope/kubepods/besteffort/pod" UID "/" ID, UID, ID, ""},
	{"/kubepods/pod" UID "/short", UID, "", ""},
	{"/system.slice/ssh.service", "", "", "ssh.service"},
	{"/system.slice/docker-" ID ".scope", "", ID, "docker:c71fc11fa90f"},
	{"/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope", "", "",
	 "user-1000.slice"},
	{"/user.slice/user-1000.slice", "", "", "user-1000.slice"},
	{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope/container",
	 "", ID, "podman:c71fc11fa90f"},
	{"/system.slice/docker-" ID ".scope/init.scope", "", ID, "docker:c71fc11fa90f"},
	{"/system.slice/docker-" ID ".scope/system.slice/kubelet.service", "", ID,
	 "docker:c71fc11fa90f/kubelet.service"},
	{"/system.slice/slurmstepd.scope/job_211/step_0/user/task_0", "", "", "slurm:211"},
	{"/system.slice/n1_slurmstepd.scope/job_7", "", "", "slurm:7"},
	{"/slurm/uid_1000/job_12/step_0", "", "", "slurm:12"},
	{"/x/job_12", "", "", "x"},
	{"/nomad.slice/share.slice/807d30ae-c927-4394-aa16-66060198e45c.web.scope", "", "",
	 "nomad:807d30ae-c927-4394-aa16-66060198e45c"},
	{"/machine.slice/machine-qemu\\x2d3\\x2ddb\\x2d1.scope/libvirt/emulator", "", "",
	 "machine:db-1"},
	{"/machine.slice/machine-box.scope", "", "", "machine:box"},
	{"/machine.slice/libpod-conmon-" ID ".scope", "", "", "conmon"},
	{"/lxc.payload.first/system.slice/x.service", "", "", "lxc:first"},
	{"/kata_overhead/12345678", "", "", "kata:12345678"},
	{"/system.slice/run-containerd-io-" ID "-rootfs.mount", "", "",
	 "run-containerd-io-" ID "-rootfs.mount"},
	{"/init.scope", "", "", "init.scope"},
	{"/a/b/c", "", "", "a"},
	{"/", "", "", "/"},
	{"", "", "", "/"},
	{"///", "", "", "/"},
	{"/pod-x/podd/pod" UID "0", "", "", "pod-x"},
	{"/kubepods/pod" HASH "0/x", "", "", "kubepods"},
};

static void paths_tell_their_owner(void **state)
{
	struct path_owner owner;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		owner_of_path(paths[i].path, NULL, NULL, &owner);
		assert_string_equal(owner.pod_uid, paths[i].pod);
		assert_string_equal(owner.container, paths[i].container);
		assert_string_equal(owner.unit, paths[i].unit);
		assert_int_equal(owner.is_pod, paths[i].pod[0] != 0);
	}
}

static void a_segment_longer_than_a_name_is_cut(void **state)
{
	struct path_owner owner;
	char path[4096];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = 0;
	owner_of_path(path, NULL, NULL, &owner);
	assert_int_equal(strlen(owner.unit), OWNER_UNIT_MAX - 1);
}

/* The fixture's words for kinds. Of an "other" it does not say more, of a mount neither. */
static bool kind_is(const struct path_owner *owner, const char *kind)
{
	static const char *const words[PATH_KINDS] = {
		[PATH_POD] = "pod",
		[PATH_POD_CONTAINER] = "container",
		[PATH_POD_OVERHEAD] = "conmon",
		[PATH_CONTAINER] = "container",
		[PATH_SERVICE] = "service",
		[PATH_SLURM_JOB] = "slurm_job",
		[PATH_NOMAD_ALLOC] = "nomad_alloc",
		[PATH_MACHINE] = "machine",
		[PATH_LXC] = "lxc",
		[PATH_KATA_OVERHEAD] = "kata_overhead",
		[PATH_OTHER] = "other",
	};

	return !strcmp(words[owner->kind], kind);
}

/* What a lone container, job or machine is called, as the fixture has it: all of its name. */
static bool id_is(const struct path_owner *owner, const char *id)
{
	const char *colon = strchr(owner->unit, ':');

	if (owner->is_pod || owner->kind == PATH_CONTAINER)
		return !strcmp(owner->container, id);
	return !id[0] || (colon && !strcmp(colon + 1, id));
}

/* "k8s-bare" is a container below a pod whose runtime the path does not tell. */
static bool runtime_is(const struct path_owner *owner, const char *runtime)
{
	if (owner->kind == PATH_POD_CONTAINER || owner->kind == PATH_CONTAINER)
		return !strcmp(owner->runtime, strcmp(runtime, "k8s-bare") ? runtime : "");
	return true;
}

static void layouts_of_the_world_are_read(void **state)
{
	FILE *file = fopen("tests/fixtures/cgroup_paths.tsv", "re");
	char line[8192], *field[6], *rest;
	struct path_owner owner;
	size_t nr = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (line[0] == '#')
			continue;
		rest = line;
		for (size_t i = 0; i < 6; i++)
			field[i] = strsep(&rest, "\t\n");
		assert_non_null(field[4]);
		owner_of_path(path_of_line(field[0]), NULL, NULL, &owner);
		if (!kind_is(&owner, field[1]) || strcmp(owner.pod_uid, field[2]) ||
		    !id_is(&owner, field[3]) || !runtime_is(&owner, field[4]))
			fail_msg("%s: %s, pod '%s', container '%s' of '%s', unit '%s'", field[0],
				 path_kind_names[owner.kind], owner.pod_uid, owner.container,
				 owner.runtime, owner.unit);
		nr++;
	}
	fclose(file);
	assert_true(nr >= 45);
}

static bool is_uid(void *context, const char *uid)
{
	return !strcmp(context, uid);
}

static void of_pods_in_pods_the_outermost_known_is_the_owner(void **state)
{
	static const char path[] = "/kubepods/pod" UID "/" ID "/kubepods/pod" UID2 "/" ID2;
	struct path_owner owner;

	(void)state;
	owner_of_path(path, NULL, NULL, &owner);
	assert_string_equal(owner.pod_uid, UID2);
	assert_string_equal(owner.container, ID2);
	owner_of_path(path, is_uid, UID, &owner);
	assert_string_equal(owner.pod_uid, UID);
	assert_string_equal(owner.container, ID);
}

static void what_proc_adds_to_a_path_is_taken_off(void **state)
{
	struct path_owner owner;

	(void)state;
	assert_string_equal(path_of_line("0::/a/b"), "/a/b");
	assert_string_equal(path_of_line("4:cpu,cpuacct:/a"), "/a");
	assert_string_equal(path_of_line("/sys/fs/cgroup/a"), "/a");
	assert_string_equal(path_of_line("/sys/fs/cgroup/memory/a"), "/a");
	assert_string_equal(path_of_line("/a:b/c"), "/a:b/c");
	owner_of_path("/../system.slice/ssh.service (deleted)\n", NULL, NULL, &owner);
	assert_string_equal(owner.unit, "ssh.service");
	assert_true(owner.relative);
	owner_of_path("/system.slice/containerd.service/kubepods-pod" UID_
		      ".slice:cri-containerd:" ID,
		      NULL, NULL, &owner);
	assert_true(owner.outside_kubepods);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_tell_their_owner),
		cmocka_unit_test(layouts_of_the_world_are_read),
		cmocka_unit_test(of_pods_in_pods_the_outermost_known_is_the_owner),
		cmocka_unit_test(what_proc_adds_to_a_path_is_taken_off),
		cmocka_unit_test(a_segment_longer_than_a_name_is_cut),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
