// SPDX-License-Identifier: MIT
// A driver of a virtio device for unit tests: split rings in a RAM of its own, without a transport. Every
// queue q has its rings and buffers at QUEUE_PLACE(q); a buffer is used once. Machine lock held from setup to
// teardown.
#ifndef TESTS_VIRTIO_DRIVER_H
#define TESTS_VIRTIO_DRIVER_H

#include "hw/virtio/virtio.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DRIVER_RAM = 0x40000000,
    DRIVER_QUEUES = 8,
    DRIVER_ENTRIES = 64, // of a queue at most
    DRIVER_PLACE = 0x50000, // bytes of a queue: rings, then buffers
    DRIVER_BUFFERS = 0x4000,
    DRIVER_BUFFER = 0x1000, // bytes of each
};

struct driver {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct virtio_device *vdev;
    unsigned next[DRIVER_QUEUES], seen[DRIVER_QUEUES], entries[DRIVER_QUEUES];
};

static inline uint8_t *driver_at(struct driver *d, unsigned queue, uint64_t offset)
{
    return mem_host(d->mem, (struct gpa){DRIVER_RAM + (uint64_t)queue * DRIVER_PLACE + offset}, 1);
}

static inline void driver_setup(struct driver *d)
{
    pthread_mutex_init(&d->lock, NULL);
    pthread_mutex_lock(&d->lock);
    cr_assert_eq(mem_space_create(&d->lock, &d->mem, NULL), 0);
    cr_assert_eq(
        mem_add_ram(d->mem, "ram", (struct gpa){DRIVER_RAM}, DRIVER_QUEUES * DRIVER_PLACE, 0, NULL, NULL), 0);
    free((void *)mem_commit(d->mem));
}

static inline void driver_teardown(struct driver *d)
{
    mem_space_destroy(d->mem);
    pthread_mutex_unlock(&d->lock);
    pthread_mutex_destroy(&d->lock);
}

static inline void driver_start(struct driver *d, uint64_t features, unsigned queues)
{
    virtio_set_status(d->vdev, 3);
    virtio_set_features(d->vdev, features | VIRTIO_F_VERSION_1);
    virtio_set_status(d->vdev, 11);
    cr_assert_eq(d->vdev->status, 11);
    for (unsigned q = 0; q < queues; q++) {
        struct virtqueue *vq = &d->vdev->queues[q];
        uint64_t place = DRIVER_RAM + (uint64_t)q * DRIVER_PLACE;
        vq->size = vq->max_size < DRIVER_ENTRIES ? vq->max_size : DRIVER_ENTRIES;
        d->entries[q] = vq->size;
        vq->desc = place;
        vq->avail = place + 0x1000;
        vq->used = place + 0x2000;
        virtio_queue_ready(d->vdev, q, true);
        cr_assert(vq->ready);
    }
    virtio_set_status(d->vdev, 15);
}

// Offers a buffer of len bytes in entry i and notifies; WRITE where the device is to fill it.
static inline void driver_offer(struct driver *d, unsigned queue, const void *data, uint32_t len)
{
    unsigned i = d->next[queue]++ % d->entries[queue];
    uint64_t offset = DRIVER_BUFFERS + (uint64_t)i * DRIVER_BUFFER;
    uint64_t addr = DRIVER_RAM + (uint64_t)queue * DRIVER_PLACE + offset;
    uint16_t flags = data ? 0 : 2;
    uint8_t *desc = driver_at(d, queue, 16 * i);
    uint16_t *avail = (uint16_t *)driver_at(d, queue, 0x1000);
    cr_assert(len <= DRIVER_BUFFER);
    if (data)
        memcpy(driver_at(d, queue, offset), data, len);
    memcpy(desc, &addr, 8);
    memcpy(desc + 8, &len, 4);
    memcpy(desc + 12, &flags, 2);
    avail[2 + i] = (uint16_t)i;
    avail[1]++;
    virtio_queue_notify(d->vdev, queue);
}

static inline void driver_out(struct driver *d, unsigned queue, const void *data, uint32_t len)
{
    driver_offer(d, queue, data, len);
}

static inline void driver_in(struct driver *d, unsigned queue, uint32_t len)
{
    driver_offer(d, queue, NULL, len);
}

// The next buffer that the device has used: its content, and 1 for an empty one, else the bytes written; 0:
// none.
static inline uint32_t driver_used(struct driver *d, unsigned queue, void *buf, size_t size)
{
    const uint16_t *used = (const uint16_t *)driver_at(d, queue, 0x2000);
    if ((uint16_t)d->seen[queue] == used[1])
        return 0;
    uint32_t element[2];
    memcpy(element, driver_at(d, queue, 0x2004 + 8 * (d->seen[queue]++ % d->entries[queue])), 8);
    if (buf)
        memcpy(buf, driver_at(d, queue, DRIVER_BUFFERS + (uint64_t)element[0] * DRIVER_BUFFER),
               element[1] < size ? element[1] : size);
    return element[1] ? element[1] : 1;
}

#endif
