// SPDX-License-Identifier: Apache-2.0
/* GPUs that this kernel only hands on to virtual machines: what they do there nobody sees here. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gpu/devices_build.h"

#define PCI_DEVICES_MAX 65536

/* PCI classes, without the two lower bytes. AMD's Instinct is an accelerator, not a display. */
#define CLASS_DISPLAY	  0x03
#define CLASS_ACCELERATOR 0x12

static enum gpu_vendor vendor_of(uint64_t id)
{
	return id == 0x10de   ? GPU_VENDOR_NVIDIA
	       : id == 0x1002 ? GPU_VENDOR_AMD
	       : id == 0x8086 ? GPU_VENDOR_INTEL
			      : GPU_VENDOR_OTHER;
}

static bool is_gpu(int dir)
{
	uint64_t class_;

	return tree_number(dir, "class", &class_) &&
	       (class_ >> 16 == CLASS_DISPLAY || class_ >> 16 == CLASS_ACCELERATOR);
}

static int add_file(struct devices_build *build, const struct gpu_device *device, int dir,
		    const char *path)
{
	struct gpu_node node = {0, 0, GPU_FILE_VFIO, device, -1, -1};

	if (!tree_device_number(dir, path, &node.major, &node.minor))
		return 0;
	return devices_add_node(build, &node);
}

/* What is left to find in a directory of files: the device's own, besides that of its group. */
struct own_file {
	struct devices_build *build;
	const struct gpu_device *device;
};

static int visit_own_file(void *context, int dir, const char *name)
{
	const struct own_file *own = context;
	char path[TREE_NAME_BYTES + 8];

	snprintf(path, sizeof(path), "%s/dev", name);
	return add_file(own->build, own->device, dir, path);
}

static int add_files(struct devices_build *build, const struct gpu_device *device, int dir)
{
	struct own_file own = {build, device};
	char group[16], path[64];
	int err = 0;

	if (tree_link_name(dir, "iommu_group", group, sizeof(group))) {
		snprintf(path, sizeof(path), "sys/class/vfio/%s/dev", group);
		err = add_file(build, device, build->root, path);
	}
	if (!err)
		err = tree_each(dir, "vfio-dev", 8, visit_own_file, &own, &build->table->skipped);
	return err == -ENOMEM ? err : 0;
}

static int add_device(struct devices_build *build, int dir, const char *name, const char *driver)
{
	struct gpu_device *device;
	uint64_t vendor = 0, model = 0;
	char numbers[16] = "";
	int err = devices_get(build, name, &device);

	if (err || !device)
		return err;
	if (tree_number(dir, "vendor", &vendor) && tree_number(dir, "device", &model) &&
	    vendor <= UINT16_MAX && model <= UINT16_MAX)
		snprintf(numbers, sizeof(numbers), "%04x:%04x", (unsigned int)vendor,
			 (unsigned int)model);
	device->vendor = vendor_of(vendor);
	device->sharing = GPU_SHARING_PASSTHROUGH;
	device->computes = true;
	device->driver = devices_text(build, driver);
	device->model = devices_text(build, numbers);
	return device->driver && device->model ? add_files(build, device, dir) : -ENOMEM;
}

static int visit_device(void *context, int parent, const char *name)
{
	int dir = tree_open(parent, name), err = 0;
	char driver[64];

	if (dir < 0)
		return 0;
	/* "vfio-pci", and those that vendors made of it: "nvgrace_gpu_vfio_pci", "xe-vfio-pci". */
	if (tree_link_name(dir, "driver", driver, sizeof(driver)) && strstr(driver, "vfio") &&
	    is_gpu(dir))
		err = add_device(context, dir, name, driver);
	close(dir);
	return err;
}

int devices_add_passthrough(struct devices_build *build)
{
	int err = tree_each(build->root, "sys/bus/pci/devices", PCI_DEVICES_MAX, visit_device,
			    build, &build->table->skipped);

	return err == -ENOMEM ? err : 0;
}
