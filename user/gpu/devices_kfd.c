// SPDX-License-Identifier: Apache-2.0
/* What AMD's compute driver, kfd, calls each device: its topology, joined by PCI address. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gpu/devices_build.h"
#include "gpu/kfd.h"
#include "gpu/pci.h"

#define TOPOLOGY_NODES_MAX 1024

/* The partitions of a GPU that are no PCI devices of their own have a file of their own. */
static struct gpu_device *find_device(const struct devices_build *build,
				      const struct kfd_node *node)
{
	struct gpu_devices *table = build->table;
	char pci[PCI_ADDRESS_BYTES];

	for (size_t i = 0; i < table->nr_nodes && node->render_minor; i++)
		if (table->nodes[i].file == GPU_FILE_DRM &&
		    table->nodes[i].minor == node->render_minor)
			return (struct gpu_device *)table->nodes[i].device;
	pci_write(node->domain, node->location, pci);
	for (size_t i = 0; i < table->nr; i++)
		if (!strcmp(table->device[i]->pci, pci))
			return table->device[i];
	return NULL;
}

static int visit_node(void *context, int dir, const char *name)
{
	struct devices_build *build = context;
	char path[TREE_NAME_BYTES + 16];
	struct gpu_device *device;
	struct kfd_node node;
	struct span text;
	uint64_t id;

	snprintf(path, sizeof(path), "%s/gpu_id", name);
	/* What this process may not use has a number that it cannot read. */
	if (!tree_number(dir, path, &id) || id > UINT32_MAX) {
		build->table->skipped++;
		return 0;
	}
	/* A CPU. */
	if (!id)
		return 0;
	snprintf(path, sizeof(path), "%s/properties", name);
	if (!devices_read(build, dir, path, &text) || !kfd_read_node(text, &node)) {
		build->table->skipped++;
		return 0;
	}
	device = find_device(build, &node);
	if (device && device->nr_kfd_ids < GPU_KFD_IDS_MAX)
		device->kfd_ids[device->nr_kfd_ids++] = (uint32_t)id;
	else
		build->table->skipped++;
	return 0;
}

int devices_add_kfd(struct devices_build *build)
{
	struct gpu_node node = {.file = GPU_FILE_KFD, .gpu_instance = -1, .compute_instance = -1};
	int err = 0;

	if (tree_device_number(build->root, "sys/class/kfd/kfd/dev", &node.major, &node.minor))
		err = devices_add_node(build, &node);
	if (!err)
		err = tree_each(build->root, "sys/class/kfd/kfd/topology/nodes", TOPOLOGY_NODES_MAX,
				visit_node, build, &build->table->skipped);
	return err == -ENOMEM ? err : 0;
}
