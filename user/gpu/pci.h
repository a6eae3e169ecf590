/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of PCI devices, in the one form that sysfs has: "0000:03:00.0", small letters. */
#ifndef MLPROF_GPU_PCI_H
#define MLPROF_GPU_PCI_H

#include "gpu/span.h"

/* With the NUL, and domains of up to 8 digits. */
#define PCI_ADDRESS_BYTES 20

/* Reads what drivers and tools write: any case, a domain of 1 to 8 digits. False, and "", if not. */
bool pci_read(struct span text, char address[PCI_ADDRESS_BYTES]);

/* From its parts: `bus_devfn` has the bus in bits 8 to 15 and device and function below. */
void pci_write(uint32_t domain, uint32_t bus_devfn, char address[PCI_ADDRESS_BYTES]);

#endif
