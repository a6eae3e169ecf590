// SPDX-License-Identifier: Apache-2.0
/* The table of GPUs: put together from what each kind of driver shows, sorted, and looked up. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gpu/devices_build.h"
#include "gpu/dmem.h"
#include "gpu/pci.h"

const char *gpu_vendor_name(enum gpu_vendor vendor)
{
	static const char *const names[] = {
		[GPU_VENDOR_OTHER] = "other",
		[GPU_VENDOR_NVIDIA] = "nvidia",
		[GPU_VENDOR_AMD] = "amd",
		[GPU_VENDOR_INTEL] = "intel",
	};

	return names[vendor];
}

const char *gpu_sharing_name(enum gpu_sharing sharing)
{
	static const char *const names[] = {
		[GPU_SHARING_UNKNOWN] = "unknown",
		[GPU_SHARING_EXCLUSIVE] = "exclusive",
		[GPU_SHARING_MIG] = "mig",
		[GPU_SHARING_PASSTHROUGH] = "passthrough",
	};

	return names[sharing];
}

const char *devices_text(struct devices_build *build, const char *text)
{
	return *text ? arena_text(&build->table->arena, text, strlen(text)) : "";
}

bool devices_read(struct devices_build *build, int dir, const char *path, struct span *text)
{
	int err = tree_read(dir, path, TREE_FILE_BYTES, &build->text);

	build->table->skipped += err == -EFBIG;
	*text = (struct span){build->text.len ? build->text.data : "", build->text.len};
	return !err;
}

static int new_device(struct devices_build *build, const char *name, struct gpu_device **device)
{
	struct gpu_devices *table = build->table;
	struct gpu_device *made = arena_alloc(&table->arena, 1, sizeof(*made));
	char pci[PCI_ADDRESS_BYTES];

	if (!made)
		return -ENOMEM;
	pci_read((struct span){name, strlen(name)}, pci);
	made->sysfs_name = devices_text(build, name);
	made->pci = devices_text(build, pci);
	made->uuid = made->driver = made->driver_version = made->model = "";
	if (!made->sysfs_name || !made->pci)
		return -ENOMEM;
	table->device[table->nr++] = made;
	*device = made;
	return 0;
}

int devices_get(struct devices_build *build, const char *name, struct gpu_device **device)
{
	struct gpu_devices *table = build->table;

	*device = NULL;
	for (size_t i = 0; i < table->nr; i++)
		if (!strcmp(table->device[i]->sysfs_name, name)) {
			*device = table->device[i];
			return 0;
		}
	if (table->nr < GPU_DEVICES_MAX)
		return new_device(build, name, device);
	table->skipped++;
	return 0;
}

static void add_major(struct gpu_devices *table, const struct gpu_node *node)
{
	for (size_t i = 0; i < table->nr_majors; i++)
		if (table->major[i].major == node->major)
			return;
	if (table->nr_majors < GPU_MAJORS_MAX)
		table->major[table->nr_majors++] = (struct gpu_major){node->major, node->file};
	else
		table->skipped++;
}

int devices_add_node(struct devices_build *build, const struct gpu_node *node)
{
	struct gpu_devices *table = build->table;
	size_t capacity = build->nodes_capacity ? build->nodes_capacity * 2 : 32;
	struct gpu_node *more;

	if (table->nr_nodes == GPU_NODES_MAX) {
		table->skipped++;
		return 0;
	}
	if (table->nr_nodes == build->nodes_capacity) {
		more = reallocarray(table->nodes, capacity, sizeof(*more));
		if (!more)
			return -ENOMEM;
		table->nodes = more;
		build->nodes_capacity = capacity;
	}
	table->nodes[table->nr_nodes++] = *node;
	add_major(table, node);
	return 0;
}

/* Those without an address come last. */
static int compare_devices(const void *a, const void *b)
{
	const struct gpu_device *x = *(const struct gpu_device *const *)a;
	const struct gpu_device *y = *(const struct gpu_device *const *)b;
	size_t x_bytes = strlen(x->pci), y_bytes = strlen(y->pci);

	if (!x_bytes != !y_bytes)
		return x_bytes ? -1 : 1;
	/* A domain of more digits is a larger one. */
	if (x_bytes != y_bytes)
		return x_bytes < y_bytes ? -1 : 1;
	return strcmp(x->sysfs_name, y->sysfs_name);
}

static int compare_nodes(const void *a, const void *b)
{
	const struct gpu_node *x = a, *y = b;

	if (x->major != y->major)
		return x->major < y->major ? -1 : 1;
	return x->minor < y->minor ? -1 : x->minor > y->minor;
}

/* Two files of one number would be two answers to one question. */
static void drop_double_nodes(struct gpu_devices *table)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->nr_nodes; i++) {
		if (kept && !compare_nodes(&table->nodes[kept - 1], &table->nodes[i]))
			table->skipped++;
		else
			table->nodes[kept++] = table->nodes[i];
	}
	table->nr_nodes = kept;
}

/* Virtual functions may have been given to others, who do not show here. */
static void look_for_functions(struct devices_build *build, struct gpu_device *device)
{
	int pci = tree_open(build->root, "sys/bus/pci/devices");
	int dir = pci < 0 ? -1 : tree_open(pci, device->pci);
	uint64_t functions;

	if (dir >= 0 && device->sharing == GPU_SHARING_EXCLUSIVE &&
	    tree_number(dir, "sriov_numvfs", &functions) && functions)
		device->sharing = GPU_SHARING_UNKNOWN;
	if (dir >= 0)
		close(dir);
	if (pci >= 0)
		close(pci);
}

/* The controller of device memory knows the size even where the driver has no file for it. */
static void take_capacity(struct devices_build *build)
{
	struct dmem dmem;

	if (dmem_read_capacity(build->root, &dmem))
		return;
	for (size_t i = 0; i < build->table->nr; i++) {
		struct gpu_device *device = build->table->device[i];

		if (!device->memory_known)
			device->memory_known =
				dmem_device_bytes(&dmem, device->sysfs_name, &device->memory_bytes);
	}
}

/* Nothing else may be remembered of a place that this table has a GPU in, with its UUID. */
static int add_known(struct devices_build *build, const struct gpu_known *known)
{
	struct gpu_devices *table = build->table;
	struct gpu_known *copy;

	for (size_t i = 0; i < table->nr_known; i++)
		if (!strcmp(table->known[i].pci, known->pci))
			return 0;
	if (table->nr_known == GPU_DEVICES_MAX)
		return 0;
	copy = &table->known[table->nr_known];
	copy->pci = devices_text(build, known->pci);
	copy->model = devices_text(build, known->model);
	copy->uuid = devices_text(build, known->uuid);
	if (!copy->pci || !copy->model || !copy->uuid)
		return -ENOMEM;
	table->nr_known++;
	return 0;
}

/* What this table knows, and what tables before knew of places that it knows nothing of. */
static int remember(struct devices_build *build)
{
	const struct gpu_devices *previous = build->previous;
	struct gpu_devices *table = build->table;
	int err = 0;

	table->known = arena_alloc(&table->arena, GPU_DEVICES_MAX, sizeof(*table->known));
	if (!table->known)
		return -ENOMEM;
	for (size_t i = 0; !err && i < table->nr; i++) {
		const struct gpu_device *device = table->device[i];
		const struct gpu_known known = {device->pci, device->model, device->uuid};

		if (*device->uuid)
			err = add_known(build, &known);
	}
	for (size_t i = 0; !err && previous && i < previous->nr_known; i++)
		err = add_known(build, &previous->known[i]);
	return err;
}

static int finish(struct devices_build *build)
{
	struct gpu_devices *table = build->table;

	take_capacity(build);
	qsort(table->device, table->nr, sizeof(table->device[0]), compare_devices);
	for (size_t i = 0; i < table->nr; i++) {
		struct gpu_device *device = table->device[i];

		device->index = (unsigned int)i;
		device->id = *device->uuid  ? device->uuid
			     : *device->pci ? device->pci
					    : device->sysfs_name;
		if (*device->pci)
			look_for_functions(build, device);
	}
	if (table->nr_nodes)
		qsort(table->nodes, table->nr_nodes, sizeof(table->nodes[0]), compare_nodes);
	drop_double_nodes(table);
	return remember(build);
}

int gpu_devices_read(const char *root, const struct gpu_devices *previous,
		     struct gpu_devices **devices)
{
	struct devices_build build = {.previous = previous};
	int err;

	build.root = tree_open(AT_FDCWD, root);
	if (build.root < 0)
		return build.root;
	build.table = calloc(1, sizeof(*build.table));
	err = build.table ? devices_add_nvidia(&build) : -ENOMEM;
	if (!err)
		err = devices_add_drm(&build);
	if (!err)
		err = devices_add_kfd(&build);
	if (!err)
		err = devices_add_passthrough(&build);
	if (!err)
		err = finish(&build);
	close(build.root);
	buf_free(&build.text);
	buf_free(&build.minors);
	if (err)
		gpu_devices_free(build.table);
	else
		*devices = build.table;
	return err;
}

void gpu_devices_free(struct gpu_devices *devices)
{
	if (!devices)
		return;
	arena_free(&devices->arena);
	free(devices->nodes);
	free(devices);
}

const struct gpu_node *gpu_devices_node(const struct gpu_devices *devices, uint32_t major,
					uint32_t minor)
{
	struct gpu_node key = {.major = major, .minor = minor};

	if (!devices->nr_nodes)
		return NULL;
	return bsearch(&key, devices->nodes, devices->nr_nodes, sizeof(key), compare_nodes);
}

const struct gpu_device *gpu_devices_find(const struct gpu_devices *devices, const char *id)
{
	for (size_t i = 0; *id && i < devices->nr; i++) {
		const struct gpu_device *device = devices->device[i];

		if (!strcmp(device->uuid, id) || !strcmp(device->sysfs_name, id))
			return device;
	}
	return NULL;
}

const struct gpu_device *gpu_devices_find_kfd(const struct gpu_devices *devices, uint32_t kfd_id)
{
	for (size_t i = 0; i < devices->nr; i++)
		for (size_t j = 0; j < devices->device[i]->nr_kfd_ids; j++)
			if (devices->device[i]->kfd_ids[j] == kfd_id)
				return devices->device[i];
	return NULL;
}

bool gpu_device_same(const struct gpu_device *a, const struct gpu_device *b)
{
	if (*a->uuid && *b->uuid)
		return !strcmp(a->uuid, b->uuid);
	return !strcmp(a->sysfs_name, b->sysfs_name);
}
