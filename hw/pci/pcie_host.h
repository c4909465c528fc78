// SPDX-License-Identifier: MIT
// A generic PCIe host bridge as pci-host-ecam-generic describes it: configuration space as memory (ECAM, PCI
// Express Base 4.0, 7.2.2), windows onto the buses' memory and I/O space, four interrupt lines. Its bus 0 has
// the bridge itself at 00.0; further buses are behind root ports.
//
// The board maps the device's registers (the ECAM, as much of it as it likes) and each window at places of
// its choice; windows stay where they are whatever the guest programs. Thread: machine lock held.
#ifndef HW_PCI_PCIE_HOST_H
#define HW_PCI_PCIE_HOST_H

#include "hw/pci/pci.h"

enum { PCIE_ECAM_BUS_SIZE = 1 << 20, PCIE_ECAM_MAX = 256 << 20 };

enum pcie_window { PCIE_WINDOW_IO, PCIE_WINDOW_MEMORY, PCIE_WINDOW_HIGH_MEMORY, PCIE_WINDOWS };

struct pcie_host_config {
    const char *path;
    struct irq intx[PCI_INTX_LINES]; // level
    struct msi_port msi;
    uint64_t window_base[PCIE_WINDOWS]; // bus address at the start of each window
};

struct pcie_host;

int pcie_host_create(const struct pcie_host_config *config, struct pcie_host **ret_host, struct error *err);
struct device *pcie_host_device(struct pcie_host *host);
struct pci_bus *pcie_host_bus(struct pcie_host *host);
// What to map for a window: opaque goes with pcie_window_ops.
void *pcie_host_window(struct pcie_host *host, enum pcie_window window);
extern const struct mem_mmio_ops pcie_window_ops;

#endif
