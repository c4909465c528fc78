// SPDX-License-Identifier: MIT
// A virtio memory balloon (Virtio 1.2, 5.5): pages that the guest does without are given back to the host.
// Thread: machine lock held.
#ifndef HW_VIRTIO_VIRTIO_BALLOON_H
#define HW_VIRTIO_VIRTIO_BALLOON_H

#include "hw/virtio/virtio.h"

struct error;

struct virtio_balloon_config {
    const char *path;
    struct mem_space *mem;
    bool deflate_on_oom; // the guest may take pages back before it kills a program
};

// What the guest last told of its memory, by tag (5.5.6.3); ~0 where it has not told.
enum { VIRTIO_BALLOON_STATS = 10 };

int virtio_balloon_create(const struct virtio_balloon_config *config, struct virtio_device **ret_vdev,
                          struct error *err);
// How much the guest should do without, and how much it says it does: pages of 4 KiB.
void virtio_balloon_set_target(struct virtio_device *vdev, uint32_t pages);
uint32_t virtio_balloon_actual(const struct virtio_device *vdev);
// Asks for new statistics, which arrive when the guest likes. ret_stats may be what came last.
void virtio_balloon_stats(struct virtio_device *vdev, uint64_t ret_stats[VIRTIO_BALLOON_STATS]);

#endif
