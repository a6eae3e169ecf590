// SPDX-License-Identifier: Apache-2.0
/* Devices of the kernel's own GPU drivers: /sys/class/drm and /sys/class/accel. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gpu/devices_build.h"
#include "gpu/pci.h"

/* Connectors are in the same directory as cards: "card0-HDMI-A-1". */
#define CLASS_ENTRIES_MAX 4096
#define TILES_MAX	  8

/* One name of a class: "card0". */
struct entry {
	struct devices_build *build;
	enum gpu_file file;
	int dir;    /* of the class */
	int parent; /* the device's directory; -1: it has none */
	char name[TREE_NAME_BYTES];
	char device[TREE_NAME_BYTES];
};

/* The value of a key of the device's uevent file: "DRIVER=amdgpu". */
static bool read_uevent(const struct entry *entry, const char *name, char *to, size_t size)
{
	struct span text, key, value;

	*to = '\0';
	if (!devices_read(entry->build, entry->parent, "uevent", &text))
		return false;
	while (span_line(&text, '=', &key, &value))
		if (span_is(key, name))
			return span_copy(value, to, size);
	return false;
}

static enum gpu_vendor vendor_of(const struct entry *entry, const char *driver)
{
	uint64_t id = 0;

	(void)tree_number(entry->parent, "vendor", &id);
	switch (id) {
	case 0x10de:
		return GPU_VENDOR_NVIDIA;
	case 0x1002:
	case 0x1022:
		return GPU_VENDOR_AMD;
	case 0x8086:
		return GPU_VENDOR_INTEL;
	default:
		/* Partitions of AMD's are no PCI devices. */
		return strncmp(driver, "amdgpu", 6) ? GPU_VENDOR_OTHER : GPU_VENDOR_AMD;
	}
}

static void add_tile(const struct entry *entry, struct gpu_device *device, unsigned int tile)
{
	char path[64];
	uint64_t bytes;

	snprintf(path, sizeof(path), "tile%u/physical_vram_size_bytes", tile);
	if (!tree_number(entry->parent, path, &bytes) || bytes > UINT64_MAX - device->memory_bytes)
		return;
	device->memory_bytes += bytes;
	device->memory_known = true;
}

/* amdgpu has one number, xe one for each tile. */
static void read_memory(const struct entry *entry, struct gpu_device *device)
{
	if (tree_number(entry->parent, "mem_info_vram_total", &device->memory_bytes))
		device->memory_known = true;
	if (device->vendor != GPU_VENDOR_INTEL)
		return;
	for (unsigned int tile = 0; tile < TILES_MAX; tile++)
		add_tile(entry, device, tile);
}

/* Server cards of AMD have a name; what else there is is two numbers. */
static bool read_model(const struct entry *entry, char *model, size_t size)
{
	if (tree_text(entry->parent, "product_name", model, size) && *model)
		return true;
	if (!read_uevent(entry, "PCI_ID", model, size))
		return false;
	for (char *c = model; *c; c++)
		if (*c >= 'A' && *c <= 'F')
			*c = (char)(*c + 'a' - 'A');
	return true;
}

static bool read_version(const struct entry *entry, const char *driver, char *version, size_t size)
{
	char path[64];

	*version = '\0';
	if (!*driver || strchr(driver, '/') || !strcmp(driver, ".."))
		return false;
	snprintf(path, sizeof(path), "sys/module/%.32s/version", driver);
	return tree_text(entry->build->root, path, version, size);
}

/* What the driver says of a device. One that NVIDIA's own driver has is described already. */
static int describe(const struct entry *entry, struct gpu_device *device)
{
	char driver[64] = "", version[64] = "", model[96] = "";

	if (*device->driver)
		return 0;
	device->sharing = GPU_SHARING_EXCLUSIVE;
	if (entry->parent >= 0) {
		read_uevent(entry, "DRIVER", driver, sizeof(driver));
		read_version(entry, driver, version, sizeof(version));
		read_model(entry, model, sizeof(model));
		device->vendor = vendor_of(entry, driver);
		read_memory(entry, device);
	}
	device->driver = devices_text(entry->build, driver);
	device->driver_version = devices_text(entry->build, version);
	device->model = devices_text(entry->build, model);
	return device->driver && device->driver_version && device->model ? 0 : -ENOMEM;
}

static int add_entry(const struct entry *entry, bool computes)
{
	struct gpu_node node = {.file = entry->file, .gpu_instance = -1, .compute_instance = -1};
	struct gpu_device *device;
	char path[TREE_NAME_BYTES + 8];
	int err;

	snprintf(path, sizeof(path), "%s/dev", entry->name);
	if (!tree_device_number(entry->dir, path, &node.major, &node.minor)) {
		entry->build->table->skipped++;
		return 0;
	}
	err = devices_get(entry->build, entry->device, &device);
	if (!err && device)
		err = describe(entry, device);
	if (err || !device)
		return err;
	device->computes |= computes;
	node.device = device;
	return devices_add_node(entry->build, &node);
}

/* Files of one device have the same target behind `device`; one made of nothing stands for itself. */
static int visit_entry(struct devices_build *build, enum gpu_file file, int dir, const char *name,
		       bool computes)
{
	struct entry entry = {.build = build, .file = file, .dir = dir};
	char path[TREE_NAME_BYTES + 8];
	int err;

	snprintf(entry.name, sizeof(entry.name), "%s", name);
	snprintf(path, sizeof(path), "%s/device", name);
	if (!tree_link_name(dir, path, entry.device, sizeof(entry.device)))
		snprintf(entry.device, sizeof(entry.device), "%s", name);
	entry.parent = tree_open(dir, path);
	err = add_entry(&entry, computes);
	if (entry.parent >= 0)
		close(entry.parent);
	return err;
}

static int visit_drm(void *context, int dir, const char *name)
{
	uint32_t number;

	if (tree_name_number(name, "renderD", &number))
		return visit_entry(context, GPU_FILE_DRM, dir, name, true);
	if (tree_name_number(name, "card", &number))
		return visit_entry(context, GPU_FILE_DRM, dir, name, false);
	return 0;
}

static int visit_accel(void *context, int dir, const char *name)
{
	uint32_t number;

	if (!tree_name_number(name, "accel", &number))
		return 0;
	return visit_entry(context, GPU_FILE_ACCEL, dir, name, true);
}

int devices_add_drm(struct devices_build *build)
{
	int err = tree_each(build->root, "sys/class/drm", CLASS_ENTRIES_MAX, visit_drm, build,
			    &build->table->skipped);

	if (err != -ENOMEM)
		err = tree_each(build->root, "sys/class/accel", CLASS_ENTRIES_MAX, visit_accel,
				build, &build->table->skipped);
	return err == -ENOMEM ? err : 0;
}
