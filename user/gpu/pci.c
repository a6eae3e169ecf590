// SPDX-License-Identifier: Apache-2.0
/* Addresses of PCI devices. */
#include <stdio.h>
#include <string.h>

#include "gpu/pci.h"

/* The hexadecimal number before `separator`, which is taken too; NUL: the rest. */
static bool take_part(struct span *text, char separator, uint64_t most, uint64_t *value)
{
	const char *end =
		separator ? memchr(text->at, separator, text->bytes) : text->at + text->bytes;
	size_t bytes = end ? (size_t)(end - text->at) : 0;

	if (!bytes || bytes > 8 || text->at[bytes > 1] == 'x' ||
	    !span_hex((struct span){text->at, bytes}, value) || *value > most)
		return false;
	text->at += bytes + !!separator;
	text->bytes -= bytes + !!separator;
	return true;
}

bool pci_read(struct span text, char address[PCI_ADDRESS_BYTES])
{
	uint64_t domain, bus, device, function;

	*address = '\0';
	if (!take_part(&text, ':', UINT32_MAX, &domain) || !take_part(&text, ':', 0xff, &bus) ||
	    !take_part(&text, '.', 0x1f, &device) || !take_part(&text, '\0', 7, &function))
		return false;
	pci_write((uint32_t)domain, (uint32_t)(bus << 8 | device << 3 | function), address);
	return true;
}

void pci_write(uint32_t domain, uint32_t bus_devfn, char address[PCI_ADDRESS_BYTES])
{
	snprintf(address, PCI_ADDRESS_BYTES, "%04x:%02x:%02x.%x", domain, bus_devfn >> 8 & 0xff,
		 bus_devfn >> 3 & 0x1f, bus_devfn & 7);
}
