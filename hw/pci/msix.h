// SPDX-License-Identifier: MIT
// MSI-X of a PCI function (PCI Local Bus 3.0, 6.8.2): capability, vector table and pending bits, in one BAR
// of a page. Thread: machine lock held.
#ifndef HW_PCI_MSIX_H
#define HW_PCI_MSIX_H

#include "base/types.h"

struct pci_device;

enum {
    MSIX_MAX = 128, // vectors
    MSIX_ENTRY_SIZE = 16,
    MSIX_TABLE_SIZE = MSIX_MAX * MSIX_ENTRY_SIZE,
    MSIX_PBA = 0x800, // offsets in the BAR; the table is at 0
    MSIX_BAR_SIZE = 0x1000,
};
_Static_assert((int)MSIX_TABLE_SIZE <= (int)MSIX_PBA, "the table ends before the pending bits");

struct msix {
    unsigned count; // vectors; 0: no MSI-X
    unsigned cap;   // offset of the capability
    uint8_t table[MSIX_TABLE_SIZE];
    uint64_t pending[MSIX_MAX / 64];
};

// Gives the function count vectors (1 to MSIX_MAX) in a BAR of its own.
void msix_init(struct pci_device *pdev, unsigned bar, unsigned count);
bool msix_enabled(const struct pci_device *pdev);
// Sends the vector's message, or leaves it pending while it is masked. A vector that does not exist is
// ignored.
void msix_notify(struct pci_device *pdev, unsigned vector);

// For pci.c.
void msix_reset(struct pci_device *pdev);
void msix_restored(struct pci_device *pdev);
void msix_send_pending(struct pci_device *pdev); // masks may have changed

#endif
