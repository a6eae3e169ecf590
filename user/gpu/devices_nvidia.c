// SPDX-License-Identifier: Apache-2.0
/* NVIDIA's GPUs and their MIG instances, from /proc/driver. Memory sizes only NVML knows. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gpu/devices_build.h"
#include "gpu/nvidia_proc.h"

/* nvidia-caps/mig-minors names all there could be: 32 GPUs of 15 instances of 8. */
#define MINORS_BYTES_MAX (256 << 10)

/* NVIDIA's own number, the same everywhere. */
#define NVIDIA_MAJOR	     195
#define NVIDIA_MODESET_MINOR 254
#define NVIDIA_CONTROL_MINOR 255

/* A GPU that MIG instances are looked for of. */
struct mig {
	struct devices_build *build;
	struct gpu_device *device;
	uint32_t gpu;
	int gpu_instance;
};

static int add_file(struct devices_build *build, enum gpu_file file, uint32_t major, uint32_t minor)
{
	const struct gpu_node node = {major, minor, file, NULL, -1, -1};

	return devices_add_node(build, &node);
}

/* What its driver forgot with being unloaded and will know again. */
static const char *known_uuid(const struct devices_build *build, const char *pci, const char *model)
{
	const struct gpu_devices *previous = build->previous;

	for (size_t i = 0; previous && i < previous->nr_known; i++)
		if (!strcmp(previous->known[i].pci, pci) &&
		    !strcmp(previous->known[i].model, model))
			return previous->known[i].uuid;
	return "";
}

/* The file that opens an instance: its own text has the number, the list of all has it too. */
static bool find_minor(const struct mig *mig, int dir, const char *name, int compute_instance,
		       uint32_t *minor)
{
	struct span text;
	char path[TREE_NAME_BYTES + 16];

	snprintf(path, sizeof(path), "%s/access", name);
	if (devices_read(mig->build, dir, path, &text) && nvidia_read_capability(text, minor))
		return true;
	text = (struct span){mig->build->minors.len ? mig->build->minors.data : "",
			     mig->build->minors.len};
	if (compute_instance < 0)
		snprintf(path, sizeof(path), "gpu%u/gi%d/access", mig->gpu, mig->gpu_instance);
	else
		snprintf(path, sizeof(path), "gpu%u/gi%d/ci%d/access", mig->gpu, mig->gpu_instance,
			 compute_instance);
	return nvidia_find_minor(text, path, minor);
}

static int add_instance(const struct mig *mig, int dir, const char *name, int compute_instance)
{
	struct gpu_node node = {
		.major = mig->build->caps_major,
		.file = GPU_FILE_NVIDIA_MIG,
		.device = mig->device,
		.gpu_instance = mig->gpu_instance,
		.compute_instance = compute_instance,
	};

	if (!mig->build->has_caps_major ||
	    !find_minor(mig, dir, name, compute_instance, &node.minor)) {
		mig->build->table->skipped++;
		return 0;
	}
	return devices_add_node(mig->build, &node);
}

static int visit_compute_instance(void *context, int dir, const char *name)
{
	uint32_t number;

	if (!tree_name_number(name, "ci", &number) || number > INT16_MAX)
		return 0;
	return add_instance(context, dir, name, (int)number);
}

static int visit_gpu_instance(void *context, int dir, const char *name)
{
	struct mig *mig = context;
	uint32_t number;
	int err;

	if (!tree_name_number(name, "gi", &number) || number > INT16_MAX)
		return 0;
	mig->gpu_instance = (int)number;
	mig->device->sharing = GPU_SHARING_MIG;
	mig->device->nr_instances++;
	err = add_instance(mig, dir, name, -1);
	if (!err)
		err = tree_each(dir, name, 64, visit_compute_instance, mig,
				&mig->build->table->skipped);
	return err == -ENOMEM ? err : 0;
}

static int add_instances(struct devices_build *build, struct gpu_device *device, uint32_t gpu)
{
	struct mig mig = {build, device, gpu, -1};
	char path[64];
	int err;

	snprintf(path, sizeof(path), "proc/driver/nvidia/capabilities/gpu%u/mig", gpu);
	err = tree_each(build->root, path, 256, visit_gpu_instance, &mig, &build->table->skipped);
	return err == -ENOMEM ? err : 0;
}

static int add_gpu(struct devices_build *build, const struct nvidia_information *information)
{
	struct gpu_device *device;
	struct gpu_node node = {NVIDIA_MAJOR, information->minor, GPU_FILE_NVIDIA, NULL, -1, -1};
	const char *uuid = information->uuid;
	int err = devices_get(build, information->pci, &device);

	if (err || !device)
		return err;
	if (!*uuid)
		uuid = known_uuid(build, information->pci, information->model);
	device->vendor = GPU_VENDOR_NVIDIA;
	device->sharing = GPU_SHARING_EXCLUSIVE;
	device->computes = true;
	device->driver = "nvidia";
	device->uuid = devices_text(build, uuid);
	device->model = devices_text(build, information->model);
	if (!device->uuid || !device->model)
		return -ENOMEM;
	if (!information->has_minor)
		return 0;
	node.device = device;
	err = devices_add_node(build, &node);
	return err ? err : add_instances(build, device, information->minor);
}

static int visit_gpu(void *context, int dir, const char *name)
{
	struct devices_build *build = context;
	struct nvidia_information information;
	char path[TREE_NAME_BYTES + 16], address[PCI_ADDRESS_BYTES];
	struct span text;

	snprintf(path, sizeof(path), "%s/information", name);
	if (!pci_read((struct span){name, strlen(name)}, address) ||
	    !devices_read(build, dir, path, &text)) {
		build->table->skipped++;
		return 0;
	}
	nvidia_read_information(text, &information);
	/* The directory is made by the kernel's own name of the device. */
	memcpy(information.pci, address, sizeof(address));
	return add_gpu(build, &information);
}

static int set_version(struct devices_build *build)
{
	const char *copy;
	struct span text;
	char version[32];

	if (!devices_read(build, build->root, "proc/driver/nvidia/version", &text) ||
	    !nvidia_read_version(text, version, sizeof(version)))
		tree_text(build->root, "sys/module/nvidia/version", version, sizeof(version));
	copy = devices_text(build, version);
	for (size_t i = 0; copy && i < build->table->nr; i++)
		build->table->device[i]->driver_version = copy;
	return copy ? 0 : -ENOMEM;
}

/* The files that are no GPU's own. Their majors are given out when the modules load. */
static int add_common_files(struct devices_build *build)
{
	struct span text;
	uint32_t major;
	int err = 0;

	if (!devices_read(build, build->root, "proc/devices", &text))
		text = (struct span){"", 0};
	build->has_caps_major = devices_find_major(text, "nvidia-caps", &build->caps_major);
	if (devices_find_major(text, "nvidia-uvm", &major)) {
		err = add_file(build, GPU_FILE_NVIDIA_UVM, major, 0);
		if (!err)
			err = add_file(build, GPU_FILE_NVIDIA_UVM, major, 1);
	}
	if (!err)
		err = add_file(build, GPU_FILE_NVIDIA_CONTROL, NVIDIA_MAJOR, NVIDIA_CONTROL_MINOR);
	if (!err)
		err = add_file(build, GPU_FILE_NVIDIA_CONTROL, NVIDIA_MAJOR, NVIDIA_MODESET_MINOR);
	return err;
}

int devices_add_nvidia(struct devices_build *build)
{
	static const char gpus[] = "proc/driver/nvidia/gpus";
	int dir = tree_open(build->root, gpus), err;

	/* Its driver is not loaded. */
	if (dir < 0)
		return 0;
	close(dir);
	err = add_common_files(build);
	if (err)
		return err;
	if (tree_read(build->root, "proc/driver/nvidia-caps/mig-minors", MINORS_BYTES_MAX,
		      &build->minors) == -EFBIG)
		build->table->skipped++;
	err = tree_each(build->root, gpus, GPU_DEVICES_MAX, visit_gpu, build,
			&build->table->skipped);
	return err == -ENOMEM ? err : set_version(build);
}
