// SPDX-License-Identifier: Apache-2.0
/* Small files of GPUs, dmem's and kfd's, and the walk that finds who has a GPU's file open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gpu/clients.h"
#include "gpu/dmem.h"
#include "gpu/holders.h"
#include "gpu/kfd.h"
#include "gpu/tree.h"

#define TREES "tests/fixtures/gpu/"

static int open_tree(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void dmem_of_a_machine(void **state)
{
	int root = open_tree(TREES "amdgpu");
	int group = open_tree(TREES "amdgpu/sys/fs/cgroup/kubepods.slice");
	uint64_t bytes = 7;
	struct dmem dmem;

	(void)state;
	assert_int_equal(dmem_read_capacity(root, &dmem), 0);
	assert_int_equal(dmem.nr, 2);
	assert_string_equal(dmem.region[1].device, "0000:c1:00.0");
	assert_string_equal(dmem.region[1].name, "vram0");
	assert_int_equal(dmem.region[1].bytes, 206141652992);
	assert_int_equal(dmem_read_current(group, &dmem), 0);
	assert_true(dmem_device_bytes(&dmem, "0000:03:00.0", &bytes));
	assert_int_equal(bytes, 2147483648);
	assert_true(dmem_device_bytes(&dmem, "0000:c1:00.0", &bytes));
	assert_int_equal(bytes, 0);
	assert_false(dmem_device_bytes(&dmem, "0000:c1:00.1", &bytes));
	/* The controller is not on there. */
	assert_int_equal(dmem_read_current(root, &dmem), -ENOENT);
	assert_int_equal(dmem.nr, 0);
	close(group);
	close(root);
}

static void parse_dmem(const char *text, struct dmem *dmem)
{
	dmem_parse((struct span){text, strlen(text)}, dmem);
}

static void dmem_lines(void **state)
{
	int root = open_tree(TREES "broken");
	uint64_t bytes;
	struct dmem dmem;

	(void)state;
	assert_int_equal(dmem_read_capacity(root, &dmem), 0);
	close(root);
	assert_int_equal(dmem.nr, 1);
	assert_int_equal(dmem.region[0].bytes, 1);
	assert_int_equal(dmem.skipped, 6);
	parse_dmem("", &dmem);
	assert_int_equal(dmem.nr + dmem.skipped, 0);
	/* Tiles of a device are added up, if they can be. */
	parse_dmem("drm/a/vram0 3\ndrm/b/vram0 9\ndrm/a/vram1 4", &dmem);
	assert_true(dmem_device_bytes(&dmem, "a", &bytes));
	assert_int_equal(bytes, 7);
	parse_dmem("drm/a/vram0 18446744073709551615\ndrm/a/vram1 1\n", &dmem);
	assert_int_equal(dmem.nr, 2);
	assert_false(dmem_device_bytes(&dmem, "a", &bytes));
	parse_dmem("drm/platform/gpu@0/vram0 5\n", &dmem);
	assert_string_equal(dmem.region[0].device, "platform/gpu@0");
}

static void dmem_bounded(void **state)
{
	char *text = malloc(65536);
	struct dmem dmem;
	int bytes = 0;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 300; i++)
		bytes += sprintf(text + bytes, "drm/0000:03:00.0/vram%d 1\n", i);
	parse_dmem(text, &dmem);
	assert_int_equal(dmem.nr, DMEM_REGIONS_MAX);
	assert_int_equal(dmem.skipped, 300 - DMEM_REGIONS_MAX);
	memset(text, 'x', 65535);
	text[65535] = '\0';
	parse_dmem(text, &dmem);
	assert_int_equal(dmem.nr, 0);
	assert_int_equal(dmem.skipped, 1);
	free(text);
}

struct processes {
	size_t nr;
	struct kfd_process last;
};

static void see_process(void *context, const struct kfd_process *process)
{
	struct processes *seen = context;

	seen->nr++;
	seen->last = *process;
}

static const struct kfd_gpu *gpu_of(const struct processes *seen, uint32_t gpu_id)
{
	for (uint32_t i = 0; i < seen->last.nr; i++)
		if (seen->last.gpu[i].gpu_id == gpu_id)
			return &seen->last.gpu[i];
	return NULL;
}

static void kfd_of_a_machine(void **state)
{
	int root = open_tree(TREES "amdgpu");
	struct processes seen = {0};
	const struct kfd_gpu *gpu;
	uint64_t skipped = 0;

	(void)state;
	assert_int_equal(kfd_read_processes(root, true, see_process, &seen, &skipped), 0);
	assert_int_equal(seen.nr, 1);
	assert_int_equal(seen.last.tgid, 4300);
	assert_int_equal(seen.last.nr, 2);
	gpu = gpu_of(&seen, 51110);
	assert_int_equal(gpu->known, KFD_VRAM | KFD_SDMA | KFD_EVICTED | KFD_OCCUPANCY);
	assert_int_equal(gpu->vram_bytes, 68719476736);
	assert_int_equal(gpu->sdma_ns, 1250000000);
	assert_int_equal(gpu->evicted_ns, 12000000);
	assert_int_equal(gpu->compute_units, 240);
	assert_int_equal(gpu->compute_queues, 2);
	assert_int_equal(gpu->copy_queues, 1);
	assert_int_equal(gpu->other_queues, 0);
	assert_int_equal(gpu->queue_bytes, 2 * 1048576 + 524288);
	/* There it has nothing, which is not the same as not to be known. */
	gpu = gpu_of(&seen, 15625);
	assert_int_equal(gpu->known, KFD_VRAM | KFD_SDMA);
	assert_int_equal(gpu->compute_queues, 0);
	assert_int_equal(seen.last.skipped + skipped, 0);
	assert_int_equal(kfd_read_processes(root, false, see_process, &seen, &skipped), 0);
	assert_int_equal(gpu_of(&seen, 51110)->known, KFD_VRAM | KFD_SDMA | KFD_EVICTED);
	close(root);
}

static void kfd_broken_and_absent(void **state)
{
	int root = open_tree(TREES "broken"), none = open_tree(TREES "nothing");
	struct processes seen = {0};
	uint64_t skipped = 0;

	(void)state;
	assert_int_equal(kfd_read_processes(root, true, see_process, &seen, &skipped), 0);
	assert_int_equal(seen.nr, 1);
	assert_int_equal(seen.last.tgid, 77);
	/* A number that does not fit, one that does not in nanoseconds, and a queue of no GPU. */
	assert_int_equal(seen.last.skipped, 3);
	assert_int_equal(seen.last.nr, 1);
	assert_int_equal(gpu_of(&seen, 5)->known, 0);
	assert_int_equal(kfd_read_processes(none, true, see_process, &seen, &skipped), -ENOENT);
	close(none);
	close(root);
}

static bool read_node(const char *text, struct kfd_node *node)
{
	return kfd_read_node((struct span){text, strlen(text)}, node);
}

static void kfd_nodes(void **state)
{
	struct kfd_node node;

	(void)state;
	assert_true(read_node("domain 1\nlocation_id 768\ndrm_render_minor 128\n", &node));
	assert_int_equal(node.domain, 1);
	assert_int_equal(node.location, 768);
	assert_int_equal(node.render_minor, 128);
	assert_true(read_node("location_id 768\nnew Thing\n", &node));
	assert_false(read_node("domain 1\n", &node));
	assert_false(read_node("location_id 768\ndomain -1\n", &node));
	assert_false(read_node("", &node));
}

/* The command's "%s" is a directory of the test's own. */
static void run(const char *format, const char *root)
{
	char command[1024];

	snprintf(command, sizeof(command), format, root);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a test's own directory */
}

static void kfd_bounded(void **state)
{
	char root[] = "/tmp/mlprof-test-XXXXXX";
	struct processes seen = {0};
	uint64_t skipped = 0;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(root));
	run("cd %s && mkdir -p sys/class/kfd/kfd/proc/9/queues/7 && cd sys/class/kfd/kfd/proc/9 && "
	    "for i in $(seq 100); do echo 1 >vram_$i; done && cd queues && "
	    "echo 1 >7/gpuid && echo 9 >7/type && echo 18446744073709551615 >7/size && "
	    "cp -r 7 8 && mkdir 9 && echo 101 >9/gpuid && echo 0 >9/type && echo 1 >9/size",
	    root);
	fd = open_tree(root);
	assert_int_equal(kfd_read_processes(fd, true, see_process, &seen, &skipped), 0);
	assert_int_equal(seen.last.nr, KFD_GPUS_MAX);
	assert_true(seen.last.skipped >= 100 - KFD_GPUS_MAX);
	close(fd);
	run("rm -r %s", root);
}

/*
 * A machine whose GPU has the numbers of /dev/zero and /dev/full, so that open files of it are
 * links to those. Process 100 has files 3 and 5 of it, and others; 200 has one.
 */
static void make_machine(char *root, const char *more)
{
	strcpy(root, "/tmp/mlprof-test-XXXXXX");
	assert_non_null(mkdtemp(root));
	run("cd %s && mkdir -p proc/100/fd proc/200/fd proc/300/fd proc/self proc/sys && cd proc && "
	    "ln -s /dev/zero 100/fd/3 && ln -s /dev/full 100/fd/5 && ln -s /dev/null 100/fd/0 && "
	    "ln -s /dev 100/fd/1 && ln -s socket:[1] 100/fd/2 && ln -s /dev/zero 100/fd/x && "
	    "ln -s /dev/zero 200/fd/4 && "
	    "cd .. && mkdir -p sys/class/drm/card0 sys/class/drm/renderD128/ && "
	    "echo 1:5 >sys/class/drm/card0/dev && echo 1:7 >sys/class/drm/renderD128/dev && "
	    "mkdir sys/gpu && ln -s ../../../gpu sys/class/drm/card0/device && "
	    "ln -s ../../../gpu sys/class/drm/renderD128/device",
	    root);
	run(more, root);
}

struct walking {
	int root;
	char path[32];
	struct gpu_devices *devices;
	struct gpu_walk *walk;
	struct gpu_walk_counts counts;
	struct gpu_clients *clients;
	size_t nr;
	struct gpu_holder seen[4];
	size_t mine; /* of this process */
	int my_fd;
};

static void start(struct walking *walking, const char *more)
{
	memset(walking, 0, sizeof(*walking));
	make_machine(walking->path, more);
	walking->root = open_tree(walking->path);
	assert_int_equal(gpu_devices_read(walking->path, NULL, &walking->devices), 0);
	assert_int_equal(walking->devices->nr, 1);
	assert_int_equal(gpu_walk_new(walking->root, &walking->walk), 0);
	assert_int_equal(gpu_clients_new(0, &walking->clients), 0);
}

static void stop(struct walking *walking)
{
	gpu_walk_free(walking->walk);
	gpu_clients_free(walking->clients);
	gpu_devices_free(walking->devices);
	close(walking->root);
	run("rm -r %s", walking->path);
}

static void see_holder(void *context, const struct gpu_holder *holder)
{
	struct walking *walking = context;

	if (walking->nr < 4)
		walking->seen[walking->nr] = *holder;
	walking->nr++;
	if (holder->tgid == getpid()) {
		walking->mine++;
		walking->my_fd = (int)holder->fd;
	}
	gpu_clients_read(walking->clients, walking->root, holder->node->device, holder->tgid,
			 holder->fd, 1);
}

static int step(struct walking *walking, uint64_t most_files, uint64_t most_ns)
{
	const struct gpu_walk_bounds bounds = {most_files, most_ns};

	return gpu_walk_step(walking->walk, walking->devices, &bounds, see_holder, walking,
			     &walking->counts);
}

static bool was_seen(const struct walking *walking, pid_t tgid, uint32_t fd, uint32_t minor)
{
	for (size_t i = 0; i < walking->nr && i < 4; i++)
		if (walking->seen[i].tgid == tgid && walking->seen[i].fd == fd)
			return walking->seen[i].node->minor == minor;
	return false;
}

static void who_has_it_open(void **state)
{
	struct gpu_clients_counts counts;
	struct walking walking;

	(void)state;
	start(&walking, "cd %s/proc && for i in 100:3 100:5 200:4; do mkdir -p ${i%%:*}/fdinfo; "
			"printf 'drm-driver: x\\ndrm-client-id: 9\\n' >${i%%:*}/fdinfo/${i#*:}; "
			"done");
	assert_int_equal(step(&walking, 0, 0), 1);
	assert_int_equal(walking.nr, 3);
	assert_true(was_seen(&walking, 100, 3, 5));
	assert_true(was_seen(&walking, 100, 5, 7));
	assert_true(was_seen(&walking, 200, 4, 5));
	assert_int_equal(walking.counts.files, 6);
	assert_int_equal(walking.counts.found, 3);
	assert_int_equal(walking.counts.unreadable, 0);
	/* Three files, two processes, one client. */
	assert_int_equal(gpu_clients_nr(walking.clients), 1);
	assert_int_equal(gpu_clients_get(walking.clients, 0)->tgid, 100);
	assert_int_equal(gpu_clients_get(walking.clients, 0)->holders, 2);
	assert_string_equal(gpu_clients_get(walking.clients, 0)->device, "gpu");
	gpu_clients_count(walking.clients, &counts);
	assert_int_equal(counts.files, 3);
	stop(&walking);
}

/* This machine's own /proc, and this process, which has one more file of the GPU than before. */
static void who_has_it_open_here(void **state)
{
	struct gpu_clients_counts counts;
	struct walking walking;
	size_t before;
	int fd;

	(void)state;
	start(&walking, "true %s");
	gpu_walk_free(walking.walk);
	close(walking.root);
	walking.root = open_tree("/");
	assert_int_equal(gpu_walk_new(walking.root, &walking.walk), 0);
	while (step(&walking, 100, 0) == 0)
		;
	before = walking.mine;
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	while (step(&walking, 0, 0) == 0)
		;
	assert_int_equal(walking.mine, before * 2 + 1);
	assert_int_equal(walking.my_fd, fd);
	/* The driver of /dev/zero tells nothing. */
	gpu_clients_count(walking.clients, &counts);
	assert_true(counts.silent >= 1);
	assert_int_equal(gpu_clients_nr(walking.clients), 0);
	close(fd);
	stop(&walking);
}

/* Each step does a little, and all of them together see each file once. */
static void in_small_steps(void **state)
{
	struct walking walking;
	int steps = 1;

	(void)state;
	start(&walking, "true %s");
	while (step(&walking, 1, 0) == 0)
		steps++;
	/* Six files, three processes, and then the end. */
	assert_int_equal(steps, 6 + 3 + 1);
	assert_int_equal(walking.nr, 3);
	/* And from the beginning. */
	while (step(&walking, 2, 0) == 0)
		;
	assert_int_equal(walking.nr, 6);
	stop(&walking);
}

static void ten_thousand_files(void **state)
{
	struct walking walking;
	char name[32];
	int steps = 1;

	(void)state;
	start(&walking, "true %s");
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "proc/300/fd/%d", i);
		assert_int_equal(symlinkat("/dev/zero", walking.root, name), 0);
	}
	assert_int_equal(step(&walking, 4000, 0), 0);
	assert_true(walking.counts.files <= 4000);
	while (step(&walking, 4000, 0) == 0)
		steps++;
	assert_int_equal(steps, 2);
	assert_int_equal(walking.nr, 10003);
	/* No time at all is enough for some. */
	walking.nr = 0;
	for (steps = 1; step(&walking, 0, 1) == 0;)
		steps++;
	assert_int_equal(walking.nr, 10003);
	assert_true(steps > 100);
	stop(&walking);
}

static void what_cannot_be_read(void **state)
{
	struct walking walking;

	(void)state;
	/* A process that ends meanwhile, and one that must not be looked into. */
	start(&walking, "cd %s/proc && rmdir 300/fd && mkdir 400 && ln -s fd 400/fd");
	assert_int_equal(step(&walking, 0, 0), 1);
	assert_int_equal(walking.counts.unreadable, 1);
	assert_int_equal(walking.nr, 3);
	run("rm -r %s/proc", walking.path);
	assert_int_equal(step(&walking, 0, 0), -ENOENT);
	stop(&walking);
}

static void put(const char *root, const char *text, size_t bytes)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/file", root);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, bytes, file), bytes);
	fclose(file);
}

static void numbers(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t value;
	} cases[] = {
		{"12\n", true, 12},
		{"12", true, 12},
		{"0x1f\n", true, 31},
		{"18446744073709551615\n", true, UINT64_MAX},
		{"18446744073709551616\n", false, 0},
		{"0x10000000000000000\n", false, 0},
		{"", false, 0},
		{"\n", false, 0},
		{"-1\n", false, 0},
		{"12 \n", true, 12},
		{"12 13\n", false, 0},
		{"12\n13\n", false, 0},
		{"1f\n", false, 0},
		{"0x\n", false, 0},
		{"000000000000000000000000000000000000000000000000000000000000000001", false, 0},
	};
	char root[] = "/tmp/mlprof-test-XXXXXX";
	int dir;

	(void)state;
	assert_non_null(mkdtemp(root));
	dir = open_tree(root);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 0;

		put(root, cases[i].text, strlen(cases[i].text));
		if (tree_number(dir, "file", &value) != cases[i].good || value != cases[i].value)
			fail_msg("\"%s\" gave %llu", cases[i].text, (unsigned long long)value);
	}
	close(dir);
	run("rm -r %s", root);
}

/* Nothing waits for a pipe, or reads more than it was told to. */
static void odd_files(void **state)
{
	char root[] = "/tmp/mlprof-test-XXXXXX", text[8];
	uint32_t major = 1, minor = 2;
	struct buf buf = {0};
	uint64_t value;
	int dir;

	(void)state;
	assert_non_null(mkdtemp(root));
	dir = open_tree(root);
	run("mkfifo %s/pipe", root);
	assert_false(tree_number(dir, "pipe", &value));
	assert_int_equal(tree_read(dir, "pipe", 100, &buf), 0);
	assert_int_equal(buf.len, 0);
	assert_int_equal(tree_read(dir, ".", 100, &buf), -EISDIR);
	assert_int_equal(tree_read(dir, "none", 100, &buf), -ENOENT);
	put(root, "12345678901", 11);
	assert_int_equal(tree_read(dir, "file", 10, &buf), -EFBIG);
	assert_int_equal(buf.len, 0);
	assert_int_equal(tree_read(dir, "file", 11, &buf), 0);
	assert_int_equal(buf.len, 11);
	assert_false(tree_text(dir, "file", text, sizeof(text)));
	assert_string_equal(text, "");
	put(root, "ab\0cd", 5);
	assert_false(tree_text(dir, "file", text, sizeof(text)));
	assert_false(tree_device_number(dir, "file", &major, &minor));
	put(root, "4095:1048575\n", 13);
	assert_true(tree_device_number(dir, "file", &major, &minor));
	put(root, "4096:0\n", 7);
	assert_false(tree_device_number(dir, "file", &major, &minor));
	assert_int_equal(major, 4095);
	assert_int_equal(minor, 1048575);
	buf_free(&buf);
	close(dir);
	run("rm -r %s", root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dmem_of_a_machine),
		cmocka_unit_test(dmem_lines),
		cmocka_unit_test(dmem_bounded),
		cmocka_unit_test(kfd_of_a_machine),
		cmocka_unit_test(kfd_broken_and_absent),
		cmocka_unit_test(kfd_nodes),
		cmocka_unit_test(kfd_bounded),
		cmocka_unit_test(who_has_it_open),
		cmocka_unit_test(who_has_it_open_here),
		cmocka_unit_test(in_small_steps),
		cmocka_unit_test(ten_thousand_files),
		cmocka_unit_test(what_cannot_be_read),
		cmocka_unit_test(numbers),
		cmocka_unit_test(odd_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
