// SPDX-License-Identifier: MIT
// The virtio entropy device (Virtio 1.2, 5.4), from the machine's entropy. Thread: machine lock held.
#ifndef HW_VIRTIO_VIRTIO_RNG_H
#define HW_VIRTIO_VIRTIO_RNG_H

#include "hw/virtio/virtio.h"

struct entropy;
struct error;

struct virtio_rng_config {
    const char *path;
    struct mem_space *mem;
    struct entropy *entropy; // borrowed
};

int virtio_rng_create(const struct virtio_rng_config *config, struct virtio_device **ret_vdev,
                      struct error *err);

#endif
