// SPDX-License-Identifier: MIT
// A virtio disk (Virtio 1.2, 5.2) over a block back end. Thread: machine lock held.
#ifndef HW_VIRTIO_VIRTIO_BLK_H
#define HW_VIRTIO_VIRTIO_BLK_H

#include "hw/virtio/virtio.h"

struct block;
struct error;

enum { VIRTIO_BLK_MAX_QUEUES = 16 };

struct virtio_blk_config {
    const char *path;
    struct mem_space *mem;
    struct block *block; // borrowed; outlives the device
    const char *serial;  // up to 20 characters, or NULL
    unsigned queues;     // up to VIRTIO_BLK_MAX_QUEUES; 0: one
};

// 0 or -ENOMEM. Destroyed through its struct device, which waits for requests in flight.
int virtio_blk_create(const struct virtio_blk_config *config, struct virtio_device **ret_vdev,
                      struct error *err);

#endif
