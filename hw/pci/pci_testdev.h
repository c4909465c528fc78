// SPDX-License-Identifier: MIT
// The PCI test device of QEMU's docs/specs/pci-testdev.rst, which kvm-unit-tests looks for: counts the writes
// that it asks the guest for, through memory (BAR 0) and through I/O (BAR 1). Thread: machine lock held.
#ifndef HW_PCI_PCI_TESTDEV_H
#define HW_PCI_PCI_TESTDEV_H

#include "hw/pci/pci.h"

// A function yet to be attached. 0 or -ENOMEM.
int pci_testdev_create(const char *path, bool multifunction, struct pci_device **ret_pdev, struct error *err);

#endif
