// SPDX-License-Identifier: MIT
// Owns the virtio input devices (Virtio 1.2, 5.8): what each kind says it has, and the events on their way to
// the guest. Invariant: events reach the guest in order and in whole groups; at most PENDING wait for its
// buffers.
#include "hw/virtio/virtio_input.h"
#include "base/error.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS, STATUS, QUEUES, QUEUE_SIZE = 64, PENDING = 256, BITMAP = 96, BUS_VIRTUAL_ID = 6 };

_Static_assert(sizeof(struct input_event) == 8, "layout of 5.8.6.2");
_Static_assert(BITMAP <= 128 && 8 * BITMAP >= KEY_CNT, "a bitmap has room for every key");

// 5.8.2
enum config_select {
    VIRTIO_INPUT_CFG_ID_NAME = 0x01,
    VIRTIO_INPUT_CFG_ID_SERIAL = 0x02,
    VIRTIO_INPUT_CFG_ID_DEVIDS = 0x03,
    VIRTIO_INPUT_CFG_PROP_BITS = 0x10,
    VIRTIO_INPUT_CFG_EV_BITS = 0x11,
    VIRTIO_INPUT_CFG_ABS_INFO = 0x12,
};

struct input_config {
    uint8_t select, subsel, size, reserved[5];
    uint8_t u[128];
};

// First and last code of a type.
struct range {
    uint16_t type, first, last;
};

static const struct kind {
    const char *name;
    uint16_t product;
    struct range ranges[4]; // ends with type 0
} kinds[] = {
    [VIRTIO_INPUT_KEYBOARD] = {"Virtio Keyboard",
                               1,
                               {{EV_KEY, KEY_ESC, KEY_MICMUTE}, {EV_LED, LED_NUML, LED_SCROLLL}}},
    [VIRTIO_INPUT_MOUSE] = {"Virtio Mouse",
                            2,
                            {{EV_KEY, BTN_LEFT, BTN_EXTRA},
                             {EV_REL, REL_X, REL_Y},
                             {EV_REL, REL_WHEEL, REL_WHEEL}}},
    [VIRTIO_INPUT_TABLET] = {"Virtio Tablet",
                             3,
                             {{EV_KEY, BTN_LEFT, BTN_EXTRA},
                              {EV_ABS, ABS_X, ABS_Y},
                              {EV_REL, REL_WHEEL, REL_WHEEL}}},
};

struct virtio_input {
    struct virtio_device vdev;
    const struct kind *kind;
    struct input_config config;                 // select and subsel are the driver's, the rest follows
    struct input_event pending[PENDING]; // first to come first
    uint16_t pending_count;
    struct virtq_chain chain; // scratch
};

static const struct state_field fields[] = {
    VIRTIO_STATE(virtio_input, vdev),
    STATE_FIELD(32, STATE_U8, virtio_input, config.select),
    STATE_FIELD(33, STATE_U8, virtio_input, config.subsel),
    STATE_FIELD(34, STATE_U16, virtio_input, pending_count),
    STATE_EACH(35, STATE_U16, virtio_input, pending, type, PENDING),
    STATE_EACH(36, STATE_U16, virtio_input, pending, code, PENDING),
    STATE_EACH(37, STATE_U32, virtio_input, pending, value, PENDING),
};

bool virtio_input_has(const struct virtio_device *vdev, uint16_t type, uint16_t code)
{
    const struct virtio_input *input = (const struct virtio_input *)vdev;
    for (const struct range *r = input->kind->ranges; r < input->kind->ranges + 4 && r->type; r++)
        if (r->type == type && code >= r->first && code <= r->last)
            return true;
    return false;
}

static void flush_events(struct virtio_input *input)
{
    unsigned sent = 0;
    while (sent < input->pending_count && virtio_pop(&input->vdev, EVENTS, &input->chain)) {
        const struct input_event *e = &input->pending[sent++];
        size_t n = virtq_write(&input->chain, input->vdev.mem, 0, e, sizeof *e);
        virtio_push(&input->vdev, EVENTS, input->chain.head, (uint32_t)n);
    }
    if (!sent)
        return;
    input->pending_count = (uint16_t)(input->pending_count - sent);
    memmove(input->pending, input->pending + sent, input->pending_count * sizeof *input->pending);
    virtio_interrupt(&input->vdev, EVENTS);
}

bool virtio_input_send(struct virtio_device *vdev, const struct input_event *events, unsigned count)
{
    struct virtio_input *input = (struct virtio_input *)vdev;
    if (!(vdev->status & VIRTIO_DRIVER_OK) || vdev->status & VIRTIO_NEEDS_RESET)
        return false;
    if (count >= PENDING || input->pending_count + count + 1 > PENDING)
        return false;
    memcpy(input->pending + input->pending_count, events, count * sizeof *events);
    input->pending_count = (uint16_t)(input->pending_count + count);
    input->pending[input->pending_count++] = (struct input_event){EV_SYN, SYN_REPORT, 0};
    if (vdev->queues[EVENTS].ready)
        flush_events(input);
    return true;
}

static bool has(const struct device *dev, uint16_t type, uint16_t code)
{
    return virtio_input_has((const struct virtio_device *)dev, type, code);
}

static bool send(struct device *dev, const struct input_event *events, unsigned count)
{
    return virtio_input_send((struct virtio_device *)dev, events, count);
}

const struct input_ops virtio_input_ops = {has, send};

static void set_bits(struct input_config *c, const struct kind *kind, uint16_t type)
{
    for (const struct range *r = kind->ranges; r < kind->ranges + 4 && r->type; r++)
        for (unsigned code = r->first; r->type == type && code <= r->last; code++) {
            c->u[code / 8] |= (uint8_t)(1 << code % 8);
            if (c->size < code / 8 + 1)
                c->size = (uint8_t)(code / 8 + 1);
        }
}

// What the driver selected; size 0 says that there is no such thing.
static void select_config(struct virtio_input *input)
{
    struct input_config *c = &input->config;
    memset(c->u, 0, sizeof c->u);
    c->size = 0;
    switch (c->select) {
    case VIRTIO_INPUT_CFG_ID_NAME:
        c->size = (uint8_t)strlen(input->kind->name);
        memcpy(c->u, input->kind->name, c->size);
        break;
    case VIRTIO_INPUT_CFG_ID_DEVIDS: {
        const uint16_t ids[4] = {BUS_VIRTUAL_ID, 0x0627, input->kind->product, 1};
        c->size = sizeof ids;
        memcpy(c->u, ids, sizeof ids);
        break;
    }
    case VIRTIO_INPUT_CFG_EV_BITS: set_bits(c, input->kind, c->subsel); break;
    case VIRTIO_INPUT_CFG_ABS_INFO:
        if (virtio_input_has(&input->vdev, EV_ABS, c->subsel)) {
            const uint32_t info[5] = {0, INPUT_ABS_MAX}; // min, max, fuzz, flat, res
            c->size = sizeof info;
            memcpy(c->u, info, sizeof info);
        }
        break;
    default: break;
    }
}

static uint32_t config_read(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    uint32_t value = 0;
    memcpy(&value, (const uint8_t *)&((struct virtio_input *)vdev)->config + offset, size);
    return value;
}

static void config_write(struct virtio_device *vdev, unsigned offset, unsigned size, uint32_t value)
{
    struct virtio_input *input = (struct virtio_input *)vdev;
    for (unsigned i = 0; i < size && offset + i < 2; i++)
        *(offset + i ? &input->config.subsel : &input->config.select) = (uint8_t)(value >> (8 * i));
    select_config(input);
}

// LEDs are the driver's to set and nobody's to see.
static void queue_notify(struct virtio_device *vdev, unsigned queue)
{
    struct virtio_input *input = (struct virtio_input *)vdev;
    bool answered = false;
    if (queue == EVENTS) {
        flush_events(input);
        return;
    }
    while (virtio_pop(vdev, STATUS, &input->chain)) {
        virtio_push(vdev, STATUS, input->chain.head, 0);
        answered = true;
    }
    if (answered)
        virtio_interrupt(vdev, STATUS);
}

static void stop(struct virtio_device *vdev)
{
    struct virtio_input *input = (struct virtio_input *)vdev;
    input->pending_count = 0;
    input->config.select = input->config.subsel = 0;
    select_config(input);
}

static void reset(struct device *dev)
{
    virtio_reset((struct virtio_device *)dev);
}

static void post_load(struct device *dev)
{
    struct virtio_input *input = (struct virtio_input *)dev;
    if (input->pending_count > PENDING)
        input->pending_count = 0;
    select_config(input);
    virtio_restored(&input->vdev);
}

static void destroy(struct device *dev)
{
    free(dev);
}

static const uint16_t queue_sizes[QUEUES] = {QUEUE_SIZE, QUEUE_SIZE};
static const struct virtio_class virtio_class = {
    .id = 18,
    .queue_count = QUEUES,
    .queue_sizes = queue_sizes,
    .config_size = sizeof(struct input_config),
    .config_read = config_read,
    .config_write = config_write,
    .queue_notify = queue_notify,
    .stop = stop,
};
static const struct device_class class =
    DEVICE_CLASS("virtio-input", 1, fields, reset, post_load, destroy, NULL, 0);

int virtio_input_create(const struct virtio_input_config *config, struct virtio_device **ret_vdev,
                        struct error *err)
{
    struct virtio_input *input = calloc(1, sizeof *input);
    if (!input)
        return error_set(err, -ENOMEM, "out of memory");
    virtio_init(&input->vdev, &class, &virtio_class, config->path, config->mem, 0);
    input->kind = &kinds[config->kind];
    *ret_vdev = &input->vdev;
    return 0;
}
