// SPDX-License-Identifier: MIT
// Virtio input devices (Virtio 1.2, 5.8): keyboard, mouse and tablet, moved by whoever controls the machine.
// Event types, codes and values are those of Linux's input subsystem, as the specification says. Thread:
// machine lock held.
#ifndef HW_VIRTIO_VIRTIO_INPUT_H
#define HW_VIRTIO_VIRTIO_INPUT_H

#include "hw/core/input.h"
#include "hw/virtio/virtio.h"

struct error;

enum virtio_input_kind { VIRTIO_INPUT_KEYBOARD, VIRTIO_INPUT_MOUSE, VIRTIO_INPUT_TABLET };

struct virtio_input_config {
    const char *path;
    struct mem_space *mem;
    enum virtio_input_kind kind;
};

int virtio_input_create(const struct virtio_input_config *config, struct virtio_device **ret_vdev,
                        struct error *err);
// Whether the device has such events (EV_KEY, EV_REL, EV_ABS), so that whoever sends one finds where to.
bool virtio_input_has(const struct virtio_device *vdev, uint16_t type, uint16_t code);
// Hands the guest events that belong together, and the EV_SYN that says so. All of them or, where the guest
// has not taken enough of the earlier ones, none: false.
bool virtio_input_send(struct virtio_device *vdev, const struct input_event *events, unsigned count);
extern const struct input_ops virtio_input_ops; // the same two

#endif
