// SPDX-License-Identifier: MIT
// A virtio network card (Virtio 1.2, 5.1) with one pair of queues over a packet channel. Thread: machine lock
// held; sending happens on the event loop.
#ifndef HW_VIRTIO_VIRTIO_NET_H
#define HW_VIRTIO_VIRTIO_NET_H

#include "hw/virtio/virtio.h"

struct error;
struct loop;
struct net;

struct virtio_net_config {
    const char *path;
    struct mem_space *mem;
    struct loop *loop; // borrowed
    struct net *net;   // borrowed, outlives the device; NULL: no cable
    uint8_t mac[6];    // what reset restores
    uint16_t mtu;      // bytes; 0: not announced
};

// 0 or -ENOMEM. Destroyed through its struct device.
int virtio_net_create(const struct virtio_net_config *config, struct virtio_device **ret_vdev,
                      struct error *err);

#endif
