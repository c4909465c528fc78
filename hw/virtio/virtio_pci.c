// SPDX-License-Identifier: MIT
// Owns the PCI face of a virtio device (Virtio 1.2, 4.1): identity, the five capabilities, and the register
// blocks in BAR 4 that they point to. MSI-X is in BAR 1. Fields have the specification's widths; an access
// that meets no field reads as zero and is dropped.
#include "hw/virtio/virtio_pci.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    VENDOR = 0x1af4,
    DEVICE_BASE = 0x1040, // + virtio device ID
    SUBSYSTEM = 0x1100,
    REVISION = 1,
    MSIX_BAR = 1,
    REGISTERS_BAR = 4,
    NO_VECTOR = 0xffff,
};

// Blocks of BAR 4.
enum {
    COMMON = 0x0000,
    COMMON_SIZE = 0x38,
    ISR = 0x1000,
    ISR_SIZE = 1,
    DEVICE = 0x2000,
    NOTIFY = 0x3000,
    NOTIFY_MULTIPLIER = 4,
    BLOCK_SIZE = 0x1000,
    REGISTERS_SIZE = 0x4000,
};

// struct virtio_pci_cap, 4.1.4
enum {
    VIRTIO_PCI_CAP_COMMON_CFG = 1,
    VIRTIO_PCI_CAP_NOTIFY_CFG = 2,
    VIRTIO_PCI_CAP_ISR_CFG = 3,
    VIRTIO_PCI_CAP_DEVICE_CFG = 4,
    VIRTIO_PCI_CAP_PCI_CFG = 5,
    cap_len = 2,
    cfg_type = 3,
    cap_bar = 4,
    cap_offset = 8,
    cap_length = 12,
    notify_off_multiplier = 16,
    pci_cfg_data = 16,
    CAP_SIZE = 16,
    CAP_MORE_SIZE = 20,
};

// struct virtio_pci_common_cfg, 4.1.4.3
enum {
    device_feature_select = 0x00,
    device_feature = 0x04,
    driver_feature_select = 0x08,
    driver_feature = 0x0c,
    config_msix_vector = 0x10,
    num_queues = 0x12,
    device_status = 0x14,
    config_generation = 0x15,
    queue_select = 0x16,
    queue_size = 0x18,
    queue_msix_vector = 0x1a,
    queue_enable = 0x1c,
    queue_notify_off = 0x1e,
    queue_desc = 0x20,
    queue_driver = 0x28,
    queue_device = 0x30,
};

struct virtio_pci {
    struct pci_device pci;
    struct virtio_device *vdev;
    unsigned config_cap; // offset of the PCI configuration access capability
    uint32_t device_features_sel, driver_features_sel;
    uint64_t driver_features; // as written, before FEATURES_OK
    uint16_t queue_sel, config_vector, queue_vector[VIRTIO_MAX_QUEUES];
};

static const struct state_field fields[] = {
    PCI_STATE(virtio_pci, pci),
    STATE_FIELD(16, STATE_U32, virtio_pci, device_features_sel),
    STATE_FIELD(17, STATE_U32, virtio_pci, driver_features_sel),
    STATE_FIELD(18, STATE_U64, virtio_pci, driver_features),
    STATE_FIELD(19, STATE_U16, virtio_pci, queue_sel),
    STATE_FIELD(20, STATE_U16, virtio_pci, config_vector),
    STATE_ARRAY(21, STATE_U16, virtio_pci, queue_vector, VIRTIO_MAX_QUEUES),
};

static bool queue_selected(const struct virtio_pci *t)
{
    return t->queue_sel < t->vdev->class->queue_count;
}

// --- common configuration ---

// The aligned word at offset, every field of it.
static uint32_t common_word(const struct virtio_pci *t, uint64_t offset)
{
    static const struct virtqueue none;
    const struct virtio_device *v = t->vdev;
    bool there = queue_selected(t);
    const struct virtqueue *vq = there ? &v->queues[t->queue_sel] : &none;
    unsigned vector = there ? t->queue_vector[t->queue_sel] : NO_VECTOR;
    switch (offset) {
    case device_feature_select: return t->device_features_sel;
    case device_feature:
        return t->device_features_sel < 2 ? (uint32_t)(v->features >> 32 * t->device_features_sel) : 0;
    case driver_feature_select: return t->driver_features_sel;
    case driver_feature:
        return t->driver_features_sel < 2 ? (uint32_t)(v->guest_features >> 32 * t->driver_features_sel) : 0;
    case config_msix_vector: return t->config_vector | v->class->queue_count << 16;
    case device_status: return v->status | (v->config_generation & 0xff) << 8 | (uint32_t)t->queue_sel << 16;
    case queue_size: return (there ? vq->size : 0u) | vector << 16;
    case queue_enable: return (vq->ready ? 1u : 0u) | (there ? (uint32_t)t->queue_sel << 16 : 0);
    case queue_desc: return (uint32_t)vq->desc;
    case queue_desc + 4: return (uint32_t)(vq->desc >> 32);
    case queue_driver: return (uint32_t)vq->avail;
    case queue_driver + 4: return (uint32_t)(vq->avail >> 32);
    case queue_device: return (uint32_t)vq->used;
    case queue_device + 4: return (uint32_t)(vq->used >> 32);
    default: return 0;
    }
}

static void set_half(uint64_t *whole, bool high, uint32_t value)
{
    *whole = high ? (*whole & 0xffffffffull) | (uint64_t)value << 32 : (*whole & ~0xffffffffull) | value;
}

// 4.1.5.1.2: a vector that does not exist reads back as NO_VECTOR.
static uint16_t some_vector(const struct virtio_pci *t, uint32_t value)
{
    return value < t->pci.msix.count ? (uint16_t)value : NO_VECTOR;
}

static void clear_driver_state(struct virtio_pci *t)
{
    t->device_features_sel = t->driver_features_sel = 0;
    t->driver_features = 0;
    t->queue_sel = 0;
    t->config_vector = NO_VECTOR;
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
        t->queue_vector[i] = NO_VECTOR;
}

// Addresses and size of a queue are fixed while it is enabled (4.1.4.3.2).
static void write_queue(struct virtio_pci *t, uint64_t offset, uint32_t value)
{
    if (!queue_selected(t))
        return;
    struct virtqueue *vq = &t->vdev->queues[t->queue_sel];
    if (offset == queue_msix_vector) {
        t->queue_vector[t->queue_sel] = some_vector(t, (uint16_t)value);
        return;
    }
    if (vq->ready)
        return;
    switch (offset) {
    case queue_size: vq->size = (uint16_t)value <= vq->max_size ? (uint16_t)value : 0; break;
    case queue_enable:
        if ((uint16_t)value == 1)
            virtio_queue_ready(t->vdev, t->queue_sel, true);
        break;
    case queue_desc:
    case queue_desc + 4: set_half(&vq->desc, offset != queue_desc, value); break;
    case queue_driver:
    case queue_driver + 4: set_half(&vq->avail, offset != queue_driver, value); break;
    case queue_device:
    case queue_device + 4: set_half(&vq->used, offset != queue_device, value); break;
    default: break;
    }
}

static void write_common(struct virtio_pci *t, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case device_feature_select: t->device_features_sel = value; break;
    case driver_feature_select: t->driver_features_sel = value; break;
    case driver_feature:
        if (t->driver_features_sel < 2)
            set_half(&t->driver_features, t->driver_features_sel, value);
        virtio_set_features(t->vdev, t->driver_features);
        break;
    case config_msix_vector: t->config_vector = some_vector(t, (uint16_t)value); break;
    case device_status:
        if (!(value & 0xff))
            clear_driver_state(t);
        virtio_set_status(t->vdev, (uint8_t)value);
        break;
    case queue_select: t->queue_sel = (uint16_t)value; break;
    default: write_queue(t, offset, value); break;
    }
}

// Bytes of the field that starts at offset; 0 where none does.
static unsigned field_size(uint64_t offset)
{
    if (offset < config_msix_vector || (offset >= queue_desc && offset < COMMON_SIZE))
        return offset % 4 ? 0 : 4;
    if (offset == device_status || offset == config_generation)
        return 1;
    return offset < queue_desc && offset % 2 == 0 ? 2 : 0;
}

// --- the blocks of BAR 4 ---

static enum mem_result read_registers(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    struct virtio_pci *t = opaque;
    *ret_value = 0;
    switch (offset & ~(BLOCK_SIZE - 1ull)) {
    case COMMON:
        *ret_value = common_word(t, offset & ~3ull) >> (offset & 3) * 8;
        if (size < 4)
            *ret_value &= (1u << size * 8) - 1;
        break;
    case ISR:
        if (offset == ISR) {
            *ret_value = t->vdev->isr;
            virtio_ack(t->vdev, t->vdev->isr);
        }
        break;
    case DEVICE: *ret_value = virtio_config_read(t->vdev, offset - DEVICE, size); break;
    default: break;
    }
    return MEM_OK;
}

static enum mem_result write_registers(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio_pci *t = opaque;
    switch (offset & ~(BLOCK_SIZE - 1ull)) {
    case COMMON:
        if (size == field_size(offset))
            write_common(t, offset, (uint32_t)value);
        break;
    case DEVICE: virtio_config_write(t->vdev, offset - DEVICE, size, (uint32_t)value); break;
    case NOTIFY:
        if (offset % NOTIFY_MULTIPLIER == 0)
            virtio_queue_notify(t->vdev, (unsigned)(offset - NOTIFY) / NOTIFY_MULTIPLIER);
        break;
    default: break;
    }
    return MEM_OK;
}

static const struct mem_mmio_ops register_ops = {read_registers, write_registers, 1, 4};

// --- configuration space ---

// 4.1.4.9: the window that the capability's bar, offset and length describe, if they describe one.
static bool config_window(const struct virtio_pci *t, unsigned *ret_bar, uint32_t *ret_offset,
                          unsigned *ret_size)
{
    const uint8_t *cap = t->pci.config + t->config_cap;
    uint32_t length = pci_get32(cap, cap_length);
    *ret_bar = cap[cap_bar];
    *ret_offset = pci_get32(cap, cap_offset);
    *ret_size = length;
    return *ret_bar < PCI_BARS && t->pci.bars[*ret_bar].size && (length == 1 || length == 2 || length == 4) &&
           *ret_offset % length == 0;
}

static bool meets_data(const struct virtio_pci *t, unsigned offset, unsigned size)
{
    unsigned data = t->config_cap + pci_cfg_data;
    return offset < data + 4 && data < offset + size;
}

static void config_read(struct pci_device *pdev, unsigned offset, unsigned size)
{
    struct virtio_pci *t = (struct virtio_pci *)pdev;
    unsigned bar, length;
    uint32_t at;
    if (meets_data(t, offset, size) && config_window(t, &bar, &at, &length))
        pci_put32(pdev->config, t->config_cap + pci_cfg_data, (uint32_t)pci_bar_read(pdev, bar, at, length));
}

// A function that may not be a bus master any more stops, as a driver that goes away expects.
static void check_master(struct virtio_pci *t)
{
    uint8_t status = t->vdev->status & (uint8_t)~VIRTIO_DRIVER_OK;
    if (!(pci_get16(t->pci.config, PCI_COMMAND) & PCI_COMMAND_MASTER) && status && status != t->vdev->status)
        virtio_set_status(t->vdev, status);
}

static void config_written(struct pci_device *pdev, unsigned offset, unsigned size)
{
    struct virtio_pci *t = (struct virtio_pci *)pdev;
    unsigned bar, length;
    uint32_t at;
    if (meets_data(t, offset, size) && config_window(t, &bar, &at, &length)) {
        uint32_t value = pci_get32(pdev->config, t->config_cap + pci_cfg_data);
        pci_bar_write(pdev, bar, at, length, length < 4 ? value & ((1u << length * 8) - 1) : value);
    }
    if (offset <= PCI_COMMAND + 1 && offset + size > PCI_COMMAND)
        check_master(t);
}

static const struct pci_ops pci_ops = {config_read, config_written};

static void add_capability(struct virtio_pci *t, uint8_t type, uint32_t offset, uint32_t length,
                           uint32_t more)
{
    bool longer = type == VIRTIO_PCI_CAP_NOTIFY_CFG || type == VIRTIO_PCI_CAP_PCI_CFG;
    unsigned size = longer ? CAP_MORE_SIZE : CAP_SIZE;
    unsigned at = pci_add_capability(&t->pci, PCI_CAP_VENDOR, size);
    uint8_t *cap = t->pci.initial + at;
    cap[cap_len] = (uint8_t)size;
    cap[cfg_type] = type;
    if (type == VIRTIO_PCI_CAP_PCI_CFG) {
        t->config_cap = at;
        memset(t->pci.writable + at + cap_bar, 0xff, 1);
        memset(t->pci.writable + at + cap_offset, 0xff, CAP_MORE_SIZE - cap_offset);
        return;
    }
    cap[cap_bar] = REGISTERS_BAR;
    pci_put32(cap, cap_offset, offset);
    pci_put32(cap, cap_length, length);
    if (longer)
        pci_put32(cap, notify_off_multiplier, more);
}

// PCI class codes as drivers and firmware know them from other implementations of these devices.
static uint32_t class_code(uint16_t virtio_id)
{
    static const struct {
        uint16_t id;
        uint32_t code;
    } codes[] = {
        {1, 0x020000},  // network: Ethernet
        {2, 0x010000},  // block: SCSI controller
        {3, 0x078000},  // console: communication, other
        {8, 0x010000},  // SCSI host
        {9, 0x000200},  // 9P: none of the classes
        {16, 0x038000}, // GPU: display, other
        {18, 0x098000}, // input, other
        {19, 0x078000}, // socket
        {26, 0x018000}, // file system: storage, other
    };
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (codes[i].id == virtio_id)
            return codes[i].code;
    return 0x00ff00;
}

// --- the transport ---

static void queue_used(struct device *dev, unsigned queue)
{
    struct virtio_pci *t = (struct virtio_pci *)dev;
    pci_set_intx(&t->pci, t->vdev->isr);
    msix_notify(&t->pci, t->queue_vector[queue]);
}

static void config_changed(struct device *dev)
{
    struct virtio_pci *t = (struct virtio_pci *)dev;
    pci_set_intx(&t->pci, t->vdev->isr);
    msix_notify(&t->pci, t->config_vector);
}

static void isr_changed(struct device *dev)
{
    struct virtio_pci *t = (struct virtio_pci *)dev;
    pci_set_intx(&t->pci, t->vdev->isr);
}

static const struct virtio_transport_ops transport_ops = {queue_used, config_changed, isr_changed};

static void reset(struct device *dev)
{
    struct virtio_pci *t = (struct virtio_pci *)dev;
    pci_reset(&t->pci);
    clear_driver_state(t);
}

static void post_load(struct device *dev)
{
    struct virtio_pci *t = (struct virtio_pci *)dev;
    t->config_vector = some_vector(t, t->config_vector);
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
        t->queue_vector[i] = some_vector(t, t->queue_vector[i]);
    pci_restored(&t->pci);
}

static void destroy(struct device *dev)
{
    struct virtio_pci *t = (struct virtio_pci *)dev;
    pci_detach(&t->pci);
    virtio_plug(t->vdev, NULL, NULL);
    free(t);
}

static const struct device_class class =
    DEVICE_CLASS("virtio-pci", 1, fields, reset, post_load, destroy, NULL, 0);

int virtio_pci_create(const struct virtio_pci_config *config, struct pci_device **ret_pdev, struct error *err)
{
    const struct virtio_class *vc = config->vdev->class;
    unsigned vectors = config->vectors == VIRTIO_PCI_VECTORS_AUTO ? vc->queue_count + 1 : config->vectors;
    if (vectors > MSIX_MAX)
        return error_set(err, -EINVAL, "a PCI function has at most %d MSI-X vectors, not %u", MSIX_MAX,
                         vectors);
    struct virtio_pci *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, -ENOMEM, "out of memory");
    const struct pci_identity identity = {.vendor = VENDOR,
                                          .device = (uint16_t)(DEVICE_BASE + vc->id),
                                          .subsystem_vendor = VENDOR,
                                          .subsystem = SUBSYSTEM,
                                          .class_code = class_code(vc->id),
                                          .revision = REVISION,
                                          .intx = true,
                                          .multifunction = config->multifunction};
    const struct pci_bar registers = {
        .size = REGISTERS_SIZE, .wide = true, .prefetchable = true, .ops = &register_ops, .opaque = t};
    pci_init(&t->pci, &class, config->path, &identity, &pci_ops);
    pci_add_bar(&t->pci, REGISTERS_BAR, &registers);
    if (vectors)
        msix_init(&t->pci, MSIX_BAR, vectors);
    add_capability(t, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0);
    add_capability(t, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY, vc->queue_count * NOTIFY_MULTIPLIER,
                   NOTIFY_MULTIPLIER);
    if (vc->config_size)
        add_capability(t, VIRTIO_PCI_CAP_DEVICE_CFG, DEVICE, vc->config_size, 0);
    add_capability(t, VIRTIO_PCI_CAP_ISR_CFG, ISR, ISR_SIZE, 0);
    add_capability(t, VIRTIO_PCI_CAP_COMMON_CFG, COMMON, COMMON_SIZE, 0);
    t->vdev = config->vdev;
    virtio_plug(config->vdev, &transport_ops, &t->pci.dev);
    reset(&t->pci.dev);
    *ret_pdev = &t->pci;
    return 0;
}
