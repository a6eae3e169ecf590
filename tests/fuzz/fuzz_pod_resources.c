// SPDX-License-Identifier: Apache-2.0
/* Messages from the pod-resources socket: either of the two, the first byte says which. */
#include <stdlib.h>
#include <string.h>

#include "owner/pod_resources.h"
#include "owner/pods_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct pod_device *devices, size_t nr, bool has_pod)
{
	if (nr > POD_DEVICES_MAX)
		abort();
	for (size_t i = 0; i < nr; i++) {
		if (!*devices[i].resource || !*devices[i].id)
			abort();
		if (!*devices[i].pod != !has_pod || !*devices[i].container != !has_pod)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pod_resources_message none = {0}, list = none, all = none;
	const struct pods *pods;
	uint64_t skipped;

	if (!size)
		return 0;
	*(*data % 2 ? &list : &all) = (struct pod_resources_message){data + 1, size - 1};
	if (pod_resources_read(list, all, &pods, &skipped))
		return 0;
	check(pods->devices, pods->nr_devices, true);
	check(pods->allocatable, pods->nr_allocatable, false);
	pods_put(pods);
	return 0;
}
