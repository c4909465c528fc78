// SPDX-License-Identifier: MIT
// The virtio socket device (Virtio 1.2, 5.10) between the guest and host/vsock.h: streams, no other kind. Thread: machine
// lock held; work is done on the event loop.
#ifndef HW_VIRTIO_VIRTIO_VSOCK_H
#define HW_VIRTIO_VIRTIO_VSOCK_H

#include "hw/virtio/virtio.h"

struct loop;
struct vsock;

struct virtio_vsock_config {
    const char *path;
    struct mem_space *mem;
    struct loop *loop;
    struct vsock *vsock; // the device's from now on, also when it cannot be made
    uint32_t guest_cid;  // 3 and up
};

int virtio_vsock_create(const struct virtio_vsock_config *config, struct virtio_device **ret_vdev, struct error *err);

#endif
