// SPDX-License-Identifier: MIT
// Owns the virtio entropy device (Virtio 1.2, 5.4): fills each buffer with at most MAX_BYTES and returns it.
#include "hw/virtio/virtio_rng.h"
#include "base/entropy.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

enum {
    QUEUE_SIZE = 8,
    MAX_BYTES = 4096
}; // a bound on the work of one request; a short answer is allowed (5.4.6.1)

struct virtio_rng {
    struct virtio_device vdev;
    struct entropy *entropy;
    struct virtq_chain chain; // scratch
};

static const struct state_field fields[] = {VIRTIO_STATE(virtio_rng, vdev)};

static void queue_notify(struct virtio_device *vdev, unsigned queue)
{
    struct virtio_rng *rng = (struct virtio_rng *)vdev;
    uint8_t buf[MAX_BYTES];
    bool answered = false;
    while (virtio_pop(vdev, queue, &rng->chain)) {
        size_t len = rng->chain.in_len < sizeof buf ? (size_t)rng->chain.in_len : sizeof buf;
        if (entropy_fill(rng->entropy, buf, len))
            len = 0;
        virtq_write(&rng->chain, vdev->mem, 0, buf, len);
        virtio_push(vdev, queue, rng->chain.head, (uint32_t)len);
        answered = true;
    }
    if (answered)
        virtio_interrupt(vdev, queue);
}

static void reset(struct device *dev)
{
    virtio_reset((struct virtio_device *)dev);
}

static void post_load(struct device *dev)
{
    virtio_restored((struct virtio_device *)dev);
}

static void destroy(struct device *dev)
{
    free(dev);
}

static const uint16_t queue_sizes[] = {QUEUE_SIZE};
static const struct virtio_class virtio_class = {
    .id = 4, .queue_count = 1, .queue_sizes = queue_sizes, .queue_notify = queue_notify};
static const struct device_class class =
    DEVICE_CLASS("virtio-rng", 1, fields, reset, post_load, destroy, NULL, 0);

int virtio_rng_create(const struct virtio_rng_config *config, struct virtio_device **ret_vdev,
                      struct error *err)
{
    struct virtio_rng *rng = calloc(1, sizeof *rng);
    if (!rng)
        return error_set(err, -ENOMEM, "out of memory");
    virtio_init(&rng->vdev, &class, &virtio_class, config->path, config->mem, 0);
    rng->entropy = config->entropy;
    *ret_vdev = &rng->vdev;
    return 0;
}
