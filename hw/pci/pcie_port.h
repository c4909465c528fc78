// SPDX-License-Identifier: MIT
// A PCIe root port with a slot that devices are plugged into and out of while the guest runs (PCI Express
// Base 4.0, 6.7, 7.5.3): attention button, power controller and indicator, presence, link state. Thread:
// machine lock held.
#ifndef HW_PCI_PCIE_PORT_H
#define HW_PCI_PCIE_PORT_H

#include "hw/pci/pci.h"

enum { PCIE_PORT_MAX_SLOT = 0x1fff };

struct pcie_port_config {
    const char *path;
    uint8_t port;  // number of the link
    uint16_t slot; // number of the slot, up to PCIE_PORT_MAX_SLOT
    bool multifunction;
    // The guest has let the device go that it was asked for: the callee takes it off the bus, now or later.
    // NULL: it stays.
    void (*released)(void *opaque, struct pci_bus *bus);
    void *opaque;
};

// A function for the root bus, yet to be attached. Destroyed after what is plugged into it.
int pcie_port_create(const struct pcie_port_config *config, struct pci_device **ret_pdev, struct error *err);
// The bus behind a port; NULL for any other function.
struct pci_bus *pcie_port_bus(struct pci_device *pdev);
// After a device was attached to the bus or detached from it: what the slot shows, with the guest's
// interrupt. A reset shows it without.
void pcie_port_changed(struct pci_device *port);
// Presses the attention button: asks the guest to let the device go.
void pcie_port_request_release(struct pci_device *port);

#endif
