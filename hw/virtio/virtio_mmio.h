// SPDX-License-Identifier: MIT
// The memory-mapped transport of a virtio device (Virtio 1.2, 4.2), version 2. Thread: machine lock held.
#ifndef HW_VIRTIO_VIRTIO_MMIO_H
#define HW_VIRTIO_VIRTIO_MMIO_H

#include "hw/virtio/virtio.h"

struct error;

enum { VIRTIO_MMIO_SIZE = 0x200 };

struct virtio_mmio_config {
    const char *path;
    struct irq irq;
};

// A transport without a device answers DeviceID 0. Destroyed through its device, which leaves the virtio
// device alone.
int virtio_mmio_create(const struct virtio_mmio_config *config, struct device **ret_dev, struct error *err);
// Plugs a device in; before the machine starts. vdev is borrowed.
void virtio_mmio_plug(struct device *dev, struct virtio_device *vdev);

#endif
