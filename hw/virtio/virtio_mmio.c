// SPDX-License-Identifier: MIT
// Owns the register file of virtio-mmio version 2 (Virtio 1.2, 4.2.2). Registers have 32 bits; the
// configuration space behind 0x100 takes 1, 2, 4 and 8 bytes. Selectors that point nowhere read as zero and
// drop writes.
#include "hw/virtio/virtio_mmio.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

enum {
    MagicValue = 0x000,
    Version = 0x004,
    DeviceID = 0x008,
    VendorID = 0x00c,
    DeviceFeatures = 0x010,
    DeviceFeaturesSel = 0x014,
    DriverFeatures = 0x020,
    DriverFeaturesSel = 0x024,
    QueueSel = 0x030,
    QueueNumMax = 0x034,
    QueueNum = 0x038,
    QueueReady = 0x044,
    QueueNotify = 0x050,
    InterruptStatus = 0x060,
    InterruptACK = 0x064,
    Status = 0x070,
    QueueDescLow = 0x080,
    QueueDescHigh = 0x084,
    QueueDriverLow = 0x090,
    QueueDriverHigh = 0x094,
    QueueDeviceLow = 0x0a0,
    QueueDeviceHigh = 0x0a4,
    SHMLenLow = 0x0b0,
    SHMBaseHigh = 0x0bc,
    ConfigGeneration = 0x0fc,
    Config = 0x100,
    MAGIC = 0x74726976,  // "virt"
    VENDOR = 0x554d4551, // "QEMU": drivers of boot firmware compare it
};

struct virtio_mmio {
    struct device dev;
    struct virtio_device *vdev; // NULL: an empty slot
    struct irq irq;
    uint32_t device_features_sel, driver_features_sel, queue_sel;
    uint64_t driver_features; // as written, before FEATURES_OK
};

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_U32, virtio_mmio, device_features_sel),
    STATE_FIELD(2, STATE_U32, virtio_mmio, driver_features_sel),
    STATE_FIELD(3, STATE_U32, virtio_mmio, queue_sel),
    STATE_FIELD(4, STATE_U64, virtio_mmio, driver_features),
};

static struct virtqueue *selected(struct virtio_mmio *t)
{
    return t->queue_sel < t->vdev->class->queue_count ? &t->vdev->queues[t->queue_sel] : NULL;
}

static uint32_t feature_word(uint64_t features, uint32_t sel)
{
    return sel < 2 ? (uint32_t)(features >> (32 * sel)) : 0;
}

static uint32_t read_register(struct virtio_mmio *t, uint64_t offset)
{
    struct virtio_device *v = t->vdev;
    switch (offset) {
    case MagicValue: return MAGIC;
    case Version: return 2;
    case VendorID: return VENDOR;
    case DeviceID: return v ? v->class->id : 0;
    default: break;
    }
    if (!v)
        return 0;
    const struct virtqueue *vq = selected(t);
    switch (offset) {
    case DeviceFeatures: return feature_word(v->features, t->device_features_sel);
    case QueueNumMax: return vq ? vq->max_size : 0;
    case QueueReady: return vq ? vq->ready : 0;
    case InterruptStatus: return v->isr;
    case Status: return v->status;
    case ConfigGeneration: return v->config_generation;
    default: return offset >= SHMLenLow && offset <= SHMBaseHigh ? ~0u : 0; // no shared memory regions
    }
}

static void set_half(uint64_t *whole, bool high, uint32_t value)
{
    *whole = high ? (*whole & 0xffffffffull) | (uint64_t)value << 32 : (*whole & ~0xffffffffull) | value;
}

// Addresses and size of a queue are fixed while it is ready (4.2.2.2).
static void write_queue(struct virtio_mmio *t, uint64_t offset, uint32_t value)
{
    struct virtqueue *vq = selected(t);
    if (!vq)
        return;
    if (offset == QueueReady) {
        virtio_queue_ready(t->vdev, t->queue_sel, value & 1);
        return;
    }
    if (vq->ready)
        return;
    switch (offset) {
    case QueueNum: vq->size = value <= vq->max_size ? (uint16_t)value : 0; break;
    case QueueDescLow:
    case QueueDescHigh: set_half(&vq->desc, offset == QueueDescHigh, value); break;
    case QueueDriverLow:
    case QueueDriverHigh: set_half(&vq->avail, offset == QueueDriverHigh, value); break;
    case QueueDeviceLow:
    case QueueDeviceHigh: set_half(&vq->used, offset == QueueDeviceHigh, value); break;
    default: break;
    }
}

static void write_register(struct virtio_mmio *t, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case DeviceFeaturesSel: t->device_features_sel = value; break;
    case DriverFeaturesSel: t->driver_features_sel = value; break;
    case DriverFeatures:
        if (t->driver_features_sel < 2)
            set_half(&t->driver_features, t->driver_features_sel, value);
        virtio_set_features(t->vdev, t->driver_features);
        break;
    case QueueSel: t->queue_sel = value; break;
    case QueueNotify: virtio_queue_notify(t->vdev, value); break;
    case InterruptACK: virtio_ack(t->vdev, (uint8_t)value); break;
    case Status:
        if (!(value & 0xff))
            t->driver_features = 0;
        virtio_set_status(t->vdev, (uint8_t)value);
        break;
    default: write_queue(t, offset, value); break;
    }
}

static enum mem_result mmio_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    struct virtio_mmio *t = opaque;
    *ret_value = 0;
    if (offset >= Config) {
        for (unsigned i = 0; t->vdev && i < size; i += 4)
            *ret_value |= (uint64_t)virtio_config_read(t->vdev, offset - Config + i, size < 4 ? size : 4)
                          << (8 * i);
    } else if (size == 4) {
        *ret_value = read_register(t, offset);
    }
    return MEM_OK;
}

static enum mem_result mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio_mmio *t = opaque;
    if (!t->vdev)
        return MEM_OK;
    if (offset >= Config) {
        for (unsigned i = 0; i < size; i += 4)
            virtio_config_write(t->vdev, offset - Config + i, size < 4 ? size : 4,
                                (uint32_t)(value >> (8 * i)));
    } else if (size == 4) {
        write_register(t, offset, (uint32_t)value);
    }
    return MEM_OK;
}

// One level wire for both causes (4.2.3.2).
static void drive_irq(struct device *dev)
{
    struct virtio_mmio *t = (struct virtio_mmio *)dev;
    irq_set(&t->irq, t->vdev->isr != 0);
}

static void queue_used(struct device *dev, unsigned queue)
{
    drive_irq(dev);
}

static const struct virtio_transport_ops transport_ops = {queue_used, drive_irq, drive_irq};

static void reset(struct device *dev)
{
    struct virtio_mmio *t = (struct virtio_mmio *)dev;
    t->device_features_sel = t->driver_features_sel = t->queue_sel = 0;
    t->driver_features = 0;
    irq_set(&t->irq, false);
}

static void destroy(struct device *dev)
{
    free(dev);
}

static const struct mem_mmio_ops ops = {.read = mmio_read, .write = mmio_write, .min_size = 1, .max_size = 8};
static const struct device_class class =
    DEVICE_CLASS("virtio-mmio", 1, fields, reset, NULL, destroy, &ops, VIRTIO_MMIO_SIZE);

int virtio_mmio_create(const struct virtio_mmio_config *config, struct device **ret_dev, struct error *err)
{
    struct virtio_mmio *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, -ENOMEM, "out of memory");
    device_init(&t->dev, &class, config->path);
    t->irq = config->irq;
    *ret_dev = &t->dev;
    return 0;
}

void virtio_mmio_plug(struct device *dev, struct virtio_device *vdev)
{
    struct virtio_mmio *t = (struct virtio_mmio *)dev;
    t->vdev = vdev;
    virtio_plug(vdev, &transport_ops, dev);
}
