// SPDX-License-Identifier: Apache-2.0
/* The table of GPUs, read from trees of files like those of machines that have some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gpu/devices.h"
#include "gpu/nvidia_proc.h"
#include "gpu/pci.h"

#define TREES "tests/fixtures/gpu/"

static struct gpu_devices *read_tree(const char *root)
{
	struct gpu_devices *devices;

	assert_int_equal(gpu_devices_read(root, NULL, &devices), 0);
	return devices;
}

/* The file with a number is of the device with an id; "": of all of its kind. */
static void assert_node(const struct gpu_devices *devices, uint32_t major, uint32_t minor,
			enum gpu_file file, const char *id)
{
	const struct gpu_node *node = gpu_devices_node(devices, major, minor);

	assert_non_null(node);
	assert_int_equal(node->file, file);
	assert_string_equal(node->device ? node->device->id : "", id);
}

static void assert_major(const struct gpu_devices *devices, uint32_t major, bool expected)
{
	bool found = false;

	for (size_t i = 0; i < devices->nr_majors; i++)
		found |= devices->major[i].major == major;
	assert_int_equal(found, expected);
}

static void amdgpu(void **state)
{
	struct gpu_devices *devices = read_tree(TREES "amdgpu");
	const struct gpu_device *card = devices->device[0], *server = devices->device[1];
	const struct gpu_device *part = devices->device[2];

	(void)state;
	assert_int_equal(devices->nr, 3);
	assert_int_equal(devices->skipped, 0);
	assert_string_equal(card->id, "0000:03:00.0");
	assert_string_equal(card->pci, "0000:03:00.0");
	assert_string_equal(card->uuid, "");
	assert_int_equal(card->vendor, GPU_VENDOR_AMD);
	assert_int_equal(card->sharing, GPU_SHARING_EXCLUSIVE);
	assert_string_equal(card->driver, "amdgpu");
	assert_string_equal(card->driver_version, "6.8.5");
	assert_string_equal(card->model, "1002:744c");
	assert_true(card->computes && card->memory_known);
	assert_int_equal(card->memory_bytes, 25753026560);
	assert_string_equal(server->model, "AMD Instinct MI300X OAM");
	assert_int_equal(server->memory_bytes, 206141652992);
	assert_int_equal(server->index, 1);
	/* A partition has no address of its own. */
	assert_string_equal(part->id, "amdgpu_xcp_1");
	assert_int_equal(part->vendor, GPU_VENDOR_AMD);
	assert_ptr_equal(gpu_devices_find_kfd(devices, 9735), part);
	assert_ptr_equal(gpu_devices_find_kfd(devices, 15625), card);
	assert_ptr_equal(gpu_devices_find_kfd(devices, 51110), server);
	assert_null(gpu_devices_find_kfd(devices, 0));
	assert_node(devices, 226, 0, GPU_FILE_DRM, card->id);
	assert_node(devices, 226, 128, GPU_FILE_DRM, card->id);
	assert_node(devices, 226, 129, GPU_FILE_DRM, server->id);
	assert_node(devices, 236, 0, GPU_FILE_KFD, "");
	assert_node(devices, 226, 130, GPU_FILE_DRM, part->id);
	assert_null(gpu_devices_node(devices, 226, 131));
	assert_null(gpu_devices_node(devices, 1, 3));
	assert_major(devices, 226, true);
	assert_major(devices, 236, true);
	assert_major(devices, 195, false);
	assert_int_equal(devices->nr_majors, 2);
	gpu_devices_free(devices);
}

static void intel(void **state)
{
	struct gpu_devices *devices = read_tree(TREES "i915");

	(void)state;
	assert_int_equal(devices->nr, 1);
	assert_int_equal(devices->device[0]->vendor, GPU_VENDOR_INTEL);
	assert_string_equal(devices->device[0]->driver, "i915");
	assert_string_equal(devices->device[0]->driver_version, "");
	/* It has no memory of its own: not known is not 0. */
	assert_false(devices->device[0]->memory_known);
	gpu_devices_free(devices);
	devices = read_tree(TREES "xe");
	assert_int_equal(devices->nr, 1);
	assert_string_equal(devices->device[0]->driver, "xe");
	assert_true(devices->device[0]->memory_known);
	assert_int_equal(devices->device[0]->memory_bytes, 2 * 68719476736);
	assert_int_equal(devices->device[0]->sharing, GPU_SHARING_EXCLUSIVE);
	gpu_devices_free(devices);
}

#define A100 "GPU-5a4c1d2e-0b7a-4c3d-9e8f-1a2b3c4d5e6f"

static void nvidia(void **state)
{
	struct gpu_devices *devices = read_tree(TREES "nvidia-inventory");
	const struct gpu_device *used = devices->device[1], *unused = devices->device[2];

	(void)state;
	assert_int_equal(devices->nr, 3);
	assert_int_equal(devices->skipped, 0);
	/* The console of the server shows pictures. */
	assert_string_equal(devices->device[0]->driver, "ast");
	assert_false(devices->device[0]->computes);
	assert_int_equal(devices->device[0]->vendor, GPU_VENDOR_OTHER);
	assert_string_equal(used->id, A100);
	assert_string_equal(used->pci, "0000:17:00.0");
	assert_string_equal(used->model, "NVIDIA A100-SXM4-40GB");
	assert_string_equal(used->driver, "nvidia");
	assert_string_equal(used->driver_version, "570.86.15");
	assert_int_equal(used->vendor, GPU_VENDOR_NVIDIA);
	assert_int_equal(used->sharing, GPU_SHARING_EXCLUSIVE);
	assert_false(used->memory_known);
	/* Its UUID is not known before its first use. */
	assert_string_equal(unused->uuid, "");
	assert_string_equal(unused->id, "0000:65:00.0");
	/* Minors are in another order than addresses. */
	assert_node(devices, 195, 1, GPU_FILE_NVIDIA, A100);
	assert_node(devices, 195, 0, GPU_FILE_NVIDIA, "0000:65:00.0");
	assert_node(devices, 195, 255, GPU_FILE_NVIDIA_CONTROL, "");
	assert_node(devices, 508, 0, GPU_FILE_NVIDIA_UVM, "");
	assert_node(devices, 508, 1, GPU_FILE_NVIDIA_UVM, "");
	/* The same device by nvidia-drm. */
	assert_node(devices, 226, 129, GPU_FILE_DRM, A100);
	assert_null(gpu_devices_node(devices, 500, 0));
	assert_ptr_equal(gpu_devices_find(devices, A100), used);
	assert_ptr_equal(gpu_devices_find(devices, "0000:17:00.0"), used);
	assert_null(gpu_devices_find(devices, ""));
	gpu_devices_free(devices);
}

/* The command's "%s" is a directory of the test's own. */
static void run(const char *format, const char *root)
{
	char command[512];

	snprintf(command, sizeof(command), format, root);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a test's own directory */
}

static void assert_instance(const struct gpu_devices *devices, uint32_t minor, int gpu_instance,
			    int compute_instance)
{
	const struct gpu_node *node = gpu_devices_node(devices, 235, minor);

	assert_non_null(node);
	assert_int_equal(node->file, GPU_FILE_NVIDIA_MIG);
	assert_string_equal(node->device->pci, "0000:07:00.0");
	assert_int_equal(node->gpu_instance, gpu_instance);
	assert_int_equal(node->compute_instance, compute_instance);
}

static void mig(void **state)
{
	struct gpu_devices *devices = read_tree(TREES "mig");

	(void)state;
	assert_int_equal(devices->nr, 2);
	assert_int_equal(devices->skipped, 0);
	assert_string_equal(devices->device[0]->driver_version, "535.104.05");
	assert_int_equal(devices->device[0]->sharing, GPU_SHARING_MIG);
	assert_int_equal(devices->device[0]->nr_instances, 2);
	assert_int_equal(devices->device[1]->sharing, GPU_SHARING_EXCLUSIVE);
	assert_instance(devices, 12, 1, -1);
	assert_instance(devices, 13, 1, 0);
	assert_instance(devices, 14, 1, 1);
	/* Those whose own files say nothing are in the list of all: 3 + 5 * 9. */
	assert_instance(devices, 48, 5, -1);
	assert_instance(devices, 49, 5, 0);
	/* In that list too, but there is no such instance. */
	assert_null(gpu_devices_node(devices, 235, 3));
	assert_null(gpu_devices_node(devices, 235, 50));
	assert_major(devices, 235, true);
	gpu_devices_free(devices);
}

static void mig_without_the_list_of_all(void **state)
{
	char root[] = "/tmp/mlprof-test-XXXXXX";
	struct gpu_devices *devices;

	(void)state;
	assert_non_null(mkdtemp(root));
	run("cp -a " TREES "mig/. %s", root);
	run("rm -r %s/proc/driver/nvidia-caps", root);
	devices = read_tree(root);
	assert_instance(devices, 12, 1, -1);
	assert_instance(devices, 14, 1, 1);
	assert_int_equal(devices->device[0]->nr_instances, 2);
	assert_null(gpu_devices_node(devices, 235, 48));
	assert_int_equal(devices->skipped, 2);
	gpu_devices_free(devices);
	run("rm -r %s", root);
}

static void passthrough(void **state)
{
	struct gpu_devices *devices = read_tree(TREES "passthrough");
	const struct gpu_device *gpu = devices->device[0];

	(void)state;
	/* Not the network card, nor the GPU that no driver has. */
	assert_int_equal(devices->nr, 2);
	assert_string_equal(gpu->id, "0000:41:00.0");
	assert_int_equal(gpu->sharing, GPU_SHARING_PASSTHROUGH);
	assert_int_equal(gpu->vendor, GPU_VENDOR_NVIDIA);
	assert_string_equal(gpu->driver, "vfio-pci");
	assert_string_equal(gpu->model, "10de:2330");
	assert_node(devices, 246, 3, GPU_FILE_VFIO, gpu->id);
	assert_node(devices, 245, 0, GPU_FILE_VFIO, gpu->id);
	assert_null(gpu_devices_node(devices, 246, 4));
	/* Its virtual functions may be anyone's. */
	assert_string_equal(devices->device[1]->id, "0000:44:00.0");
	assert_int_equal(devices->device[1]->sharing, GPU_SHARING_UNKNOWN);
	gpu_devices_free(devices);
}

static void nothing(void **state)
{
	struct gpu_devices *devices = read_tree(TREES "nothing");

	(void)state;
	assert_int_equal(devices->nr + devices->nr_nodes + devices->nr_majors, 0);
	assert_null(gpu_devices_node(devices, 195, 0));
	assert_null(gpu_devices_find(devices, "0000:03:00.0"));
	gpu_devices_free(devices);
	assert_int_equal(gpu_devices_read(TREES "nowhere", NULL, &devices), -ENOENT);
	gpu_devices_free(NULL);
}

/* What cannot be understood is counted, and what can be is there. */
static void broken(void **state)
{
	struct gpu_devices *devices = read_tree(TREES "broken");
	const struct gpu_device *device;

	(void)state;
	device = gpu_devices_find(devices, "0000:03:00.0");
	assert_non_null(device);
	assert_string_equal(device->model, "");
	assert_string_equal(device->uuid, "");
	assert_string_equal(device->driver_version, "");
	assert_non_null(gpu_devices_find(devices, "0000:01:00.0"));
	assert_null(gpu_devices_find(devices, "0000:02:00.0"));
	assert_null(gpu_devices_find(devices, "not-an-address"));
	device = gpu_devices_find(devices, "0000:0a:00.0");
	assert_non_null(device);
	assert_string_equal(device->driver, "../../etc");
	assert_string_equal(device->driver_version, "");
	assert_int_equal(device->memory_bytes, UINT64_MAX);
	/* Two cards of one number: there is one file. */
	assert_non_null(gpu_devices_node(devices, 226, 3));
	assert_null(gpu_devices_node(devices, 226, 9));
	assert_null(gpu_devices_find_kfd(devices, 7));
	assert_null(gpu_devices_find_kfd(devices, 8));
	assert_null(gpu_devices_find_kfd(devices, 9));
	for (size_t i = 0; i < devices->nr; i++)
		assert_int_not_equal(devices->device[i]->sharing, GPU_SHARING_MIG);
	/* Two GPUs without a text, four cards without a number, one number of two cards, and all
	 * five nodes of kfd. */
	assert_int_equal(devices->skipped, 2 + 4 + 1 + 5);
	gpu_devices_free(devices);
}

static void drivers_come_and_go(void **state)
{
	struct gpu_devices *before, *unloaded, *after, *replaced;
	char root[] = "/tmp/mlprof-test-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(root));
	run("cp -a " TREES "nvidia-inventory/. %s", root);
	before = read_tree(root);
	run("cd %s && rm -r proc/driver sys/class/drm", root);
	assert_int_equal(gpu_devices_read(root, before, &unloaded), 0);
	assert_int_equal(unloaded->nr, 0);
	assert_null(gpu_devices_node(unloaded, 195, 1));
	run("cp -a " TREES "nvidia-inventory/. %s", root);
	run("sed -i '/UUID/s/[0-9a-f]/?/g' %s/proc/driver/nvidia/gpus/0000:17:00.0/information",
	    root);
	assert_int_equal(gpu_devices_read(root, unloaded, &after), 0);
	assert_string_equal(after->device[1]->id, A100);
	assert_true(gpu_device_same(after->device[1], before->device[1]));
	assert_false(gpu_device_same(after->device[1], before->device[2]));
	/* Another card in the same place is another GPU. */
	run("sed -i 's/A100/H100/' %s/proc/driver/nvidia/gpus/0000:17:00.0/information", root);
	assert_int_equal(gpu_devices_read(root, after, &replaced), 0);
	assert_string_equal(replaced->device[1]->id, "0000:17:00.0");
	gpu_devices_free(before);
	gpu_devices_free(unloaded);
	gpu_devices_free(after);
	gpu_devices_free(replaced);
	run("rm -r %s", root);
}

static void a_gpu_disappears(void **state)
{
	char root[] = "/tmp/mlprof-test-XXXXXX";
	struct gpu_devices *devices;

	(void)state;
	assert_non_null(mkdtemp(root));
	run("cp -a " TREES "amdgpu/. %s", root);
	/* kfd's node of it is left, of a device that is not. */
	run("cd %s/sys/class/drm && rm card0* renderD128", root);
	devices = read_tree(root);
	assert_int_equal(devices->nr, 2);
	assert_string_equal(devices->device[0]->id, "0000:c1:00.0");
	assert_int_equal(devices->device[0]->nr_kfd_ids, 1);
	assert_int_equal(devices->skipped, 1);
	gpu_devices_free(devices);
	run("rm -r %s", root);
}

/* A machine of more devices than fit, none of them on PCI. */
static void too_many(void **state)
{
	char root[] = "/tmp/mlprof-test-XXXXXX";
	struct gpu_devices *devices;

	(void)state;
	assert_non_null(mkdtemp(root));
	run("cd %s && mkdir -p sys/class/drm && cd sys/class/drm && for i in $(seq 0 299); do "
	    "mkdir card$i && echo 226:$i >card$i/dev || exit; done",
	    root);
	devices = read_tree(root);
	assert_int_equal(devices->nr, GPU_DEVICES_MAX);
	assert_int_equal(devices->skipped, 300 - GPU_DEVICES_MAX);
	assert_string_equal(devices->device[0]->id, "card0");
	assert_string_equal(devices->device[0]->pci, "");
	gpu_devices_free(devices);
	run("rm -r %s", root);
}

static void huge_files(void **state)
{
	char root[] = "/tmp/mlprof-test-XXXXXX";
	struct gpu_devices *devices;

	(void)state;
	assert_non_null(mkdtemp(root));
	run("cp -a " TREES "amdgpu/. %s", root);
	run("cd %s/sys/devices/pci0000:00/*/0000:03:00.0 && head -c 1000000 /dev/zero | "
	    "tr '\\0' x | tee uevent mem_info_vram_total vendor >product_name",
	    root);
	/* The controller of device memory has the size too. */
	devices = read_tree(root);
	assert_true(devices->device[0]->memory_known);
	assert_int_equal(devices->device[0]->memory_bytes, 25753026560);
	gpu_devices_free(devices);
	run("rm %s/sys/fs/cgroup/dmem.capacity", root);
	devices = read_tree(root);
	assert_int_equal(devices->nr, 3);
	assert_false(devices->device[0]->memory_known);
	assert_string_equal(devices->device[0]->driver, "");
	assert_int_equal(devices->device[0]->vendor, GPU_VENDOR_OTHER);
	assert_true(devices->skipped > 0);
	gpu_devices_free(devices);
	run("rm -r %s", root);
}

static struct span text(const char *of)
{
	return (struct span){of, strlen(of)};
}

static void addresses(void **state)
{
	static const struct {
		const char *text, *address;
	} cases[] = {
		{"0000:03:00.0", "0000:03:00.0"},
		{"00000000:C1:1F.7", "0000:c1:1f.7"},
		{"10000:e1:00.0", "10000:e1:00.0"},
		{"ffffffff:ff:1f.7", "ffffffff:ff:1f.7"},
		{"03:00.0", ""},
		{"0000:03:00", ""},
		{"0000:03:20.0", ""},
		{"0000:03:00.8", ""},
		{"0000:100:00.0", ""},
		{"100000000:03:00.0", ""},
		{"0x00:03:00.0", ""},
		{"0000:03:00.0 ", ""},
		{"", ""},
		{":::.", ""},
	};
	char address[PCI_ADDRESS_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(pci_read(text(cases[i].text), address), !!*cases[i].address);
		assert_string_equal(address, cases[i].address);
	}
}

static void versions(void **state)
{
	char version[12];

	(void)state;
	assert_true(nvidia_read_version(
		text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19\n"),
		version, sizeof(version)));
	assert_string_equal(version, "535.104.05");
	assert_false(nvidia_read_version(text("NVRM version: 5351234567.1045678\n"), version,
					 sizeof(version)));
	assert_string_equal(version, "");
	assert_false(nvidia_read_version(text("GCC version: 12.2.0\n"), version, sizeof(version)));
}

static void majors(void **state)
{
	static const char list[] = "Character devices:\n195 nvidia\n508 nvidia-uvm\n9999 far\n\n"
				   "Block devices:\n  8 sd\n509 nvidia-caps\n";
	uint32_t major = 7;

	(void)state;
	assert_true(devices_find_major(text(list), "nvidia-uvm", &major));
	assert_int_equal(major, 508);
	assert_true(devices_find_major(text(list), "nvidia", &major));
	assert_int_equal(major, 195);
	assert_false(devices_find_major(text(list), "nvidia-caps", &major));
	assert_false(devices_find_major(text(list), "far", &major));
	assert_false(devices_find_major(text(list), "nv", &major));
	assert_int_equal(major, 195);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(amdgpu),
		cmocka_unit_test(intel),
		cmocka_unit_test(nvidia),
		cmocka_unit_test(mig),
		cmocka_unit_test(mig_without_the_list_of_all),
		cmocka_unit_test(passthrough),
		cmocka_unit_test(nothing),
		cmocka_unit_test(broken),
		cmocka_unit_test(drivers_come_and_go),
		cmocka_unit_test(a_gpu_disappears),
		cmocka_unit_test(too_many),
		cmocka_unit_test(huge_files),
		cmocka_unit_test(addresses),
		cmocka_unit_test(versions),
		cmocka_unit_test(majors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
