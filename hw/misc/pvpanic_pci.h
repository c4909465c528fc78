// SPDX-License-Identifier: MIT
// The paravirtual panic device on PCI (QEMU's docs/specs/pvpanic.rst): a guest's kernel says here that it has panicked.
// Thread: machine lock held.
#ifndef HW_MISC_PVPANIC_PCI_H
#define HW_MISC_PVPANIC_PCI_H

#include "hw/pci/pci.h"

struct pvpanic_pci_config {
    const char *path;
    bool multifunction;
    void (*panicked)(void *opaque); // any vCPU's thread
    void *opaque;
};

// A function yet to be attached. 0 or -ENOMEM.
int pvpanic_pci_create(const struct pvpanic_pci_config *config, struct pci_device **ret_pdev, struct error *err);

#endif
