// SPDX-License-Identifier: MIT
// Owns the transport-independent life of a virtio device (Virtio 1.2, 2.1 to 2.5, 3.1): status and feature
// rules, queue life, interrupt cause bits. Invariant: a queue is served only under DRIVER_OK and never after
// NEEDS_RESET.
#include "hw/virtio/virtio.h"

#include <string.h>

static void isr_changed(struct virtio_device *vdev)
{
    if (vdev->transport)
        vdev->transport->isr_changed(vdev->carrier);
}

void virtio_plug(struct virtio_device *vdev, const struct virtio_transport_ops *ops, struct device *carrier)
{
    vdev->transport = ops;
    vdev->carrier = carrier;
}

void virtio_init(struct virtio_device *vdev, const struct device_class *device_class,
                 const struct virtio_class *class, const char *path, struct mem_space *mem, uint64_t features)
{
    device_init(&vdev->dev, device_class, path);
    vdev->class = class;
    vdev->mem = mem;
    vdev->features = features | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_PACKED;
    for (unsigned i = 0; i < class->queue_count; i++) {
        vdev->queues[i].max_size = class->queue_sizes[i];
        virtqueue_reset(&vdev->queues[i]);
    }
}

void virtio_reset(struct virtio_device *vdev)
{
    if (vdev->class->stop)
        vdev->class->stop(vdev);
    vdev->guest_features = 0;
    vdev->status = 0;
    vdev->isr = 0;
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
        virtqueue_reset(&vdev->queues[i]);
    isr_changed(vdev);
}

static bool enable(struct virtio_device *vdev, struct virtqueue *vq)
{
    vq->event_idx = virtio_accepted(vdev, VIRTIO_F_EVENT_IDX);
    vq->packed = virtio_accepted(vdev, VIRTIO_F_RING_PACKED);
    return virtqueue_enable(vq, vdev->mem);
}

void virtio_restored(struct virtio_device *vdev)
{
    for (unsigned i = 0; i < vdev->class->queue_count; i++) {
        struct virtqueue *vq = &vdev->queues[i];
        bool was_broken = vq->broken;
        if (vq->ready)
            enable(vdev, vq);
        vq->broken |= was_broken;
    }
    isr_changed(vdev);
}

void virtio_set_features(struct virtio_device *vdev, uint64_t features)
{
    if (!(vdev->status & VIRTIO_FEATURES_OK))
        vdev->guest_features = features;
}

void virtio_set_status(struct virtio_device *vdev, uint8_t status)
{
    if (!status) {
        virtio_reset(vdev);
        return;
    }
    // 2.2.2: a feature not offered, or a legacy driver, does not get FEATURES_OK.
    if (status & VIRTIO_FEATURES_OK && !(vdev->status & VIRTIO_FEATURES_OK) &&
        (vdev->guest_features & ~vdev->features || !(vdev->guest_features & VIRTIO_F_VERSION_1)))
        status &= (uint8_t)~VIRTIO_FEATURES_OK;
    bool starts = status & VIRTIO_DRIVER_OK && !(vdev->status & VIRTIO_DRIVER_OK);
    vdev->status = status | (vdev->status & VIRTIO_NEEDS_RESET);
    if (starts)
        for (unsigned i = 0; i < vdev->class->queue_count; i++)
            virtio_queue_notify(vdev, i); // what was queued before DRIVER_OK
}

void virtio_queue_ready(struct virtio_device *vdev, unsigned queue, bool ready)
{
    struct virtqueue *vq = &vdev->queues[queue];
    if (ready == vq->ready)
        return;
    if (!ready) {
        vq->ready = false;
        return;
    }
    if (!enable(vdev, vq))
        virtio_broken(vdev);
}

void virtio_queue_notify(struct virtio_device *vdev, unsigned queue)
{
    bool live = vdev->status & VIRTIO_DRIVER_OK && !(vdev->status & VIRTIO_NEEDS_RESET);
    if (live && queue < vdev->class->queue_count && vdev->queues[queue].ready)
        vdev->class->queue_notify(vdev, queue);
}

uint32_t virtio_config_read(struct virtio_device *vdev, uint64_t offset, unsigned size)
{
    if (offset >= vdev->class->config_size || size > vdev->class->config_size - offset)
        return 0;
    return vdev->class->config_read(vdev, (unsigned)offset, size);
}

void virtio_config_write(struct virtio_device *vdev, uint64_t offset, unsigned size, uint32_t value)
{
    if (vdev->class->config_write && offset < vdev->class->config_size &&
        size <= vdev->class->config_size - offset)
        vdev->class->config_write(vdev, (unsigned)offset, size, value);
}

void virtio_ack(struct virtio_device *vdev, uint8_t isr)
{
    vdev->isr &= (uint8_t)~isr;
    isr_changed(vdev);
}

bool virtio_pop(struct virtio_device *vdev, unsigned queue, struct virtq_chain *ret_chain)
{
    enum virtq_result r = virtqueue_pop(&vdev->queues[queue], vdev->mem, ret_chain);
    if (r == VIRTQ_BROKEN)
        virtio_broken(vdev);
    return r == VIRTQ_GOT;
}

void virtio_push(struct virtio_device *vdev, unsigned queue, uint16_t head, uint32_t written)
{
    virtqueue_push(&vdev->queues[queue], vdev->mem, head, written);
}

void virtio_interrupt(struct virtio_device *vdev, unsigned queue)
{
    if (!virtqueue_wants_interrupt(&vdev->queues[queue]))
        return;
    vdev->isr |= VIRTIO_ISR_QUEUE;
    if (vdev->transport)
        vdev->transport->queue_used(vdev->carrier, queue);
}

void virtio_config_changed(struct virtio_device *vdev)
{
    vdev->config_generation++;
    if (vdev->status & VIRTIO_DRIVER_OK) {
        vdev->isr |= VIRTIO_ISR_CONFIG;
        if (vdev->transport)
            vdev->transport->config_changed(vdev->carrier);
    }
}

void virtio_broken(struct virtio_device *vdev)
{
    if (vdev->status & VIRTIO_NEEDS_RESET)
        return;
    vdev->status |= VIRTIO_NEEDS_RESET;
    virtio_config_changed(vdev);
}
