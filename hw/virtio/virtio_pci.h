// SPDX-License-Identifier: MIT
// The PCI transport of a virtio device (Virtio 1.2, 4.1), modern interface only. Thread: machine lock held.
#ifndef HW_VIRTIO_VIRTIO_PCI_H
#define HW_VIRTIO_VIRTIO_PCI_H

#include "hw/pci/pci.h"
#include "hw/virtio/virtio.h"

enum { VIRTIO_PCI_VECTORS_AUTO = ~0u };

struct virtio_pci_config {
    const char *path;
    struct virtio_device *vdev; // borrowed
    unsigned vectors;           // of MSI-X, up to MSIX_MAX; 0: INTx only; AUTO: one a queue and one more
    bool multifunction;
};

// A function for a virtio device, yet to be attached to a bus. Destroyed before the virtio device, which it
// leaves alone.
int virtio_pci_create(const struct virtio_pci_config *config, struct pci_device **ret_pdev,
                      struct error *err);

#endif
