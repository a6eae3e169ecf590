// SPDX-License-Identifier: Apache-2.0
/* The small files of GPU drivers: NVIDIA's texts, /proc/devices, dmem, kfd's nodes, addresses. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/dmem.h"
#include "gpu/kfd.h"
#include "gpu/nvidia_proc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_printable(const char *text, size_t size)
{
	if (!memchr(text, '\0', size))
		abort();
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			abort();
}

static void check_address(struct span text)
{
	char address[PCI_ADDRESS_BYTES], again[PCI_ADDRESS_BYTES];

	if (!pci_read(text, address)) {
		if (*address)
			abort();
		return;
	}
	/* What was written is read as the same. */
	if (!pci_read((struct span){address, strlen(address)}, again) ||
	    strcmp(address, again) != 0)
		abort();
}

static void check_nvidia(struct span text)
{
	struct nvidia_information information;
	char version[32];
	uint32_t number = 7;

	nvidia_read_information(text, &information);
	check_printable(information.model, sizeof(information.model));
	check_printable(information.uuid, sizeof(information.uuid));
	if (*information.uuid && strlen(information.uuid) != NVIDIA_UUID_BYTES - 1)
		abort();
	if (information.has_minor && information.minor > 247)
		abort();
	if (nvidia_read_version(text, version, sizeof(version)) != !!*version)
		abort();
	if (!nvidia_read_capability(text, &number) && number != 7)
		abort();
	number = 7;
	if (!nvidia_find_minor(text, "gpu0/gi1/access", &number) && number != 7)
		abort();
	number = 7;
	if (!devices_find_major(text, "nvidia-uvm", &number) ? number != 7 : number > 4095)
		abort();
}

static void check_dmem(struct span text)
{
	struct dmem *dmem = malloc(sizeof(*dmem));
	uint64_t bytes;

	if (!dmem)
		return;
	dmem_parse(text, dmem);
	if (dmem->nr > DMEM_REGIONS_MAX)
		abort();
	for (size_t i = 0; i < dmem->nr; i++) {
		check_printable(dmem->region[i].device, sizeof(dmem->region[i].device));
		check_printable(dmem->region[i].name, sizeof(dmem->region[i].name));
		if (dmem_device_bytes(dmem, dmem->region[i].device, &bytes) &&
		    bytes < dmem->region[i].bytes)
			abort();
	}
	free(dmem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its own size, so that a read behind the end is noticed. */
	char *copy = malloc(size ? size : 1);
	struct span text = {copy, size};
	struct kfd_node node;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	check_address(text);
	check_nvidia(text);
	check_dmem(text);
	(void)kfd_read_node(text, &node);
	free(copy);
	return 0;
}
