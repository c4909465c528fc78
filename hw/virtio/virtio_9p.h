// SPDX-License-Identifier: MIT
// A virtio 9P transport (Virtio 1.2, 5 reserves device 9; Linux's include/uapi/linux/virtio_9p.h has the
// layout): a host folder for the guest to mount. Thread: machine lock held.
#ifndef HW_VIRTIO_VIRTIO_9P_H
#define HW_VIRTIO_VIRTIO_9P_H

#include "hw/virtio/virtio.h"

struct error;
struct fs;

enum { VIRTIO_9P_TAG_MAX = 31 }; // characters

struct virtio_9p_config {
    const char *path;
    struct mem_space *mem;
    struct fs *fs;         // borrowed; outlives the device, which is its only user
    const char *mount_tag; // 1 to VIRTIO_9P_TAG_MAX characters
};

// 0, -EINVAL or -ENOMEM. Destroyed through its struct device, which waits for requests in flight.
int virtio_9p_create(const struct virtio_9p_config *config, struct virtio_device **ret_vdev,
                     struct error *err);

#endif
