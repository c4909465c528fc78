// SPDX-License-Identifier: MIT
// What every virtio device shares, whatever carries it: status, features, queues, configuration space
// (Virtio 1.2, 2 and 3). A model embeds struct virtio_device and fills struct virtio_class; a transport
// (virtio-mmio, PCI) drives it through the calls below and carries its interrupts to the driver. A model
// never looks at its transport.
//
// Only the modern interface exists: VIRTIO_F_VERSION_1 must be accepted. Thread: machine lock held.
#ifndef HW_VIRTIO_VIRTIO_H
#define HW_VIRTIO_VIRTIO_H

#include "hw/core/device.h"
#include "hw/virtio/virtqueue.h"

enum { VIRTIO_MAX_QUEUES = 64 };

enum virtio_status {
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64,
    VIRTIO_FAILED = 128,
};

enum { VIRTIO_ISR_QUEUE = 1, VIRTIO_ISR_CONFIG = 2 };

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)
#define VIRTIO_F_RING_PACKED (1ull << 34)

struct virtio_device;

struct virtio_class {
    uint16_t id; // Virtio 1.2, 5
    unsigned queue_count;
    const uint16_t *queue_sizes;
    unsigned config_size; // bytes
    // size is 1, 2 or 4, offset + size <= config_size
    uint32_t (*config_read)(struct virtio_device *vdev, unsigned offset, unsigned size);
    // May be NULL.
    void (*config_write)(struct virtio_device *vdev, unsigned offset, unsigned size, uint32_t value);
    void (*queue_notify)(struct virtio_device *vdev, unsigned queue); // the driver is live (DRIVER_OK)
    // The device is being reset: nothing may touch guest memory afterwards. May be NULL.
    void (*stop)(struct virtio_device *vdev);
};

// How a transport tells the driver; carrier is the transport's device. The bit in isr is set before the call.
struct virtio_transport_ops {
    void (*queue_used)(struct device *carrier, unsigned queue); // buffers were used: VIRTIO_ISR_QUEUE
    void (*config_changed)(struct device *carrier);             // VIRTIO_ISR_CONFIG
    void (*isr_changed)(struct device *carrier); // in any other way: acknowledged, reset, restored
};

// First member of every virtio device model; its struct device carries the model's class and state table.
struct virtio_device {
    struct device dev;
    const struct virtio_class *class;
    struct mem_space *mem; // where queues and buffers live, borrowed
    uint64_t features;     // offered
    uint64_t guest_features;
    uint8_t status;
    uint8_t isr;
    uint32_t config_generation;
    struct virtqueue queues[VIRTIO_MAX_QUEUES];
    const struct virtio_transport_ops *transport; // NULL: not plugged in
    struct device *carrier;
};

// State of the shared part, for a model's field table (ids 1 to 31 are taken by it).
#define VIRTIO_STATE(type_, member_)                                                                         \
    STATE_FIELD(1, STATE_U64, type_, member_.guest_features),                                                \
        STATE_FIELD(2, STATE_U8, type_, member_.status), STATE_FIELD(3, STATE_U8, type_, member_.isr),       \
        STATE_FIELD(4, STATE_U32, type_, member_.config_generation),                                         \
        STATE_EACH(5, STATE_U16, type_, member_.queues, size, VIRTIO_MAX_QUEUES),                            \
        STATE_EACH(6, STATE_U64, type_, member_.queues, desc, VIRTIO_MAX_QUEUES),                            \
        STATE_EACH(7, STATE_U64, type_, member_.queues, avail, VIRTIO_MAX_QUEUES),                           \
        STATE_EACH(8, STATE_U64, type_, member_.queues, used, VIRTIO_MAX_QUEUES),                            \
        STATE_EACH(9, STATE_BOOL, type_, member_.queues, ready, VIRTIO_MAX_QUEUES),                          \
        STATE_EACH(10, STATE_BOOL, type_, member_.queues, broken, VIRTIO_MAX_QUEUES),                        \
        STATE_EACH(11, STATE_U16, type_, member_.queues, last_avail, VIRTIO_MAX_QUEUES),                     \
        STATE_EACH(12, STATE_U16, type_, member_.queues, used_idx, VIRTIO_MAX_QUEUES),                       \
        STATE_EACH(13, STATE_U16, type_, member_.queues, signalled_used, VIRTIO_MAX_QUEUES),                 \
        STATE_EACH(14, STATE_BOOL, type_, member_.queues, signalled_valid, VIRTIO_MAX_QUEUES),               \
        STATE_EACH(15, STATE_BOOL, type_, member_.queues, avail_wrap, VIRTIO_MAX_QUEUES),                    \
        STATE_EACH(16, STATE_BOOL, type_, member_.queues, used_wrap, VIRTIO_MAX_QUEUES)

void virtio_init(struct virtio_device *vdev, const struct device_class *device_class,
                 const struct virtio_class *class, const char *path, struct mem_space *mem,
                 uint64_t features);
// For a model's post_load: queue addresses again, interrupt level.
void virtio_restored(struct virtio_device *vdev);

// From transports.
// Plugs a device into its transport, before the machine starts. Both are borrowed; ops NULL unplugs.
void virtio_plug(struct virtio_device *vdev, const struct virtio_transport_ops *ops, struct device *carrier);
void virtio_reset(struct virtio_device *vdev);
void virtio_set_status(struct virtio_device *vdev, uint8_t status);
void virtio_set_features(struct virtio_device *vdev, uint64_t features); // ignored after FEATURES_OK
void virtio_queue_ready(struct virtio_device *vdev, unsigned queue, bool ready);
void virtio_queue_notify(struct virtio_device *vdev, unsigned queue);
uint32_t virtio_config_read(struct virtio_device *vdev, uint64_t offset, unsigned size);
void virtio_config_write(struct virtio_device *vdev, uint64_t offset, unsigned size, uint32_t value);
void virtio_ack(struct virtio_device *vdev, uint8_t isr);

// From models.
// The next request of a queue; false when there is none. A broken queue sets DEVICE_NEEDS_RESET.
bool virtio_pop(struct virtio_device *vdev, unsigned queue, struct virtq_chain *ret_chain);
void virtio_push(struct virtio_device *vdev, unsigned queue, uint16_t head, uint32_t written);
void virtio_interrupt(struct virtio_device *vdev, unsigned queue); // after one or more pushes
void virtio_config_changed(struct virtio_device *vdev); // config space differs: tells a live driver
void virtio_broken(struct virtio_device *vdev);         // the driver broke the rules: DEVICE_NEEDS_RESET
static inline bool virtio_accepted(const struct virtio_device *vdev, uint64_t feature)
{
    return vdev->guest_features & feature;
}

#endif
