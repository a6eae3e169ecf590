// SPDX-License-Identifier: Apache-2.0
/* Files of the dmem controller: a region and a number on each line. */
#include <errno.h>
#include <string.h>

#include "gpu/dmem.h"
#include "gpu/tree.h"

/* Room for more lines than regions fit. */
#define DMEM_BYTES_MAX 65536

/* The name between the last two slashes is the device, behind the last the region. */
static bool read_name(struct span key, struct dmem_region *region)
{
	const char *slash;
	struct span device;

	if (!span_after(&key, "drm/"))
		return false;
	slash = memrchr(key.at, '/', key.bytes);
	if (!slash)
		return false;
	device = (struct span){key.at, (size_t)(slash - key.at)};
	key = (struct span){slash + 1, key.bytes - device.bytes - 1};
	return device.bytes && key.bytes &&
	       span_copy(device, region->device, sizeof(region->device)) &&
	       span_copy(key, region->name, sizeof(region->name));
}

static bool is_there(const struct dmem *dmem, const struct dmem_region *region)
{
	for (size_t i = 0; i < dmem->nr; i++)
		if (!strcmp(dmem->region[i].device, region->device) &&
		    !strcmp(dmem->region[i].name, region->name))
			return true;
	return false;
}

void dmem_parse(struct span text, struct dmem *dmem)
{
	struct span key, value;

	dmem->nr = 0;
	dmem->skipped = 0;
	while (span_line(&text, ' ', &key, &value)) {
		struct dmem_region region;

		if (span_is(value, "max"))
			continue;
		if (dmem->nr < DMEM_REGIONS_MAX && read_name(key, &region) &&
		    span_number(value, &region.bytes) && !is_there(dmem, &region))
			dmem->region[dmem->nr++] = region;
		else
			dmem->skipped++;
	}
}

static int read_file(int dir, const char *path, struct dmem *dmem)
{
	struct buf text = {0};
	int err = tree_read(dir, path, DMEM_BYTES_MAX, &text);

	dmem->nr = 0;
	dmem->skipped = 0;
	if (!err)
		dmem_parse((struct span){text.len ? text.data : "", text.len}, dmem);
	buf_free(&text);
	return err;
}

int dmem_read_current(int cgroup, struct dmem *dmem)
{
	return read_file(cgroup, "dmem.current", dmem);
}

int dmem_read_capacity(int root, struct dmem *dmem)
{
	return read_file(root, "sys/fs/cgroup/dmem.capacity", dmem);
}

bool dmem_device_bytes(const struct dmem *dmem, const char *device, uint64_t *bytes)
{
	uint64_t sum = 0;
	bool found = false;

	for (size_t i = 0; i < dmem->nr; i++) {
		if (strcmp(dmem->region[i].device, device) != 0)
			continue;
		if (dmem->region[i].bytes > UINT64_MAX - sum)
			return false;
		sum += dmem->region[i].bytes;
		found = true;
	}
	if (found)
		*bytes = sum;
	return found;
}
