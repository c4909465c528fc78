// SPDX-License-Identifier: MIT
// A virtio console device with several ports (Virtio 1.2, 5.3), each over a character device. Thread: machine
// lock held.
#ifndef HW_VIRTIO_VIRTIO_CONSOLE_H
#define HW_VIRTIO_VIRTIO_CONSOLE_H

#include "hw/virtio/virtio.h"

struct chardev;
struct error;

enum { VIRTIO_CONSOLE_PORTS = 31, VIRTIO_CONSOLE_NAME_MAX = 63 };

struct virtio_console_config {
    const char *path;
    struct mem_space *mem;
    unsigned max_ports; // 1 to VIRTIO_CONSOLE_PORTS; with 1, the driver is offered no ports by name
};

struct virtio_port_config {
    int number; // -1: the first free one; port 0 is kept for a console
    const char
        *name; // what udev makes /dev/virtio-ports/NAME of; NULL or up to VIRTIO_CONSOLE_NAME_MAX characters
    bool console;            // a terminal (hvc) rather than a plain stream (vport)
    struct chardev *chardev; // borrowed, outlives the device; NULL: output is dropped
};

int virtio_console_create(const struct virtio_console_config *config, struct virtio_device **ret_vdev,
                          struct error *err);
// Before the machine starts. -EINVAL, -EBUSY or -ENOSPC with a sentence.
int virtio_console_add_port(struct virtio_device *vdev, const struct virtio_port_config *config,
                            struct error *err);

#endif
