// SPDX-License-Identifier: MIT
// Owns the virtio console device (Virtio 1.2, 5.3): bytes of each port both ways, the control messages of
// several ports. Invariant: no request is held between calls. What the host cannot take stays in the guest's
// queue, tx_done bytes of its first request being sent already; what the guest cannot take stays at the host,
// but for one piece in waiting.
#include "hw/virtio/virtio_console.h"
#include "base/error.h"
#include "host/chardev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUEUE_SIZE = 128,
    QUEUES = 2 * (VIRTIO_CONSOLE_PORTS + 1),
    CONTROL_RX = 2,
    CONTROL_TX = 3,
    PIECE = 1024,          // bytes of input kept for a port
    MAX_REQUEST = 1 << 20, // bytes of one request that are sent; the rest of a longer one is dropped
};

_Static_assert((int)QUEUES <= (int)VIRTIO_MAX_QUEUES, "every port has its queues");

#define VIRTIO_CONSOLE_F_MULTIPORT (1ull << 1)
#define VIRTIO_CONSOLE_F_EMERG_WRITE (1ull << 2)

// 5.3.6.2
enum control_event {
    VIRTIO_CONSOLE_DEVICE_READY = 0,
    VIRTIO_CONSOLE_DEVICE_ADD = 1,
    VIRTIO_CONSOLE_PORT_READY = 3,
    VIRTIO_CONSOLE_CONSOLE_PORT = 4,
    VIRTIO_CONSOLE_PORT_OPEN = 6,
    VIRTIO_CONSOLE_PORT_NAME = 7,
};

struct control {
    uint32_t id;
    uint16_t event, value;
};

// 5.3.4
struct console_device_config {
    uint16_t cols, rows;
    uint32_t max_nr_ports, emerg_wr;
};

struct virtio_console;

struct port {
    struct virtio_console *owner;
    bool exists, console;
    struct chardev *chardev;
    char name[VIRTIO_CONSOLE_NAME_MAX + 1];
    // State:
    bool guest_open; // the driver has it open
    bool told_open;  // the driver was told that the host has
    uint8_t to_send; // control events that wait for a buffer, as bits
    uint16_t waiting_len;
    uint32_t tx_done;
};

struct virtio_console {
    struct virtio_device vdev;
    struct console_device_config config;
    struct port ports[VIRTIO_CONSOLE_PORTS];
    uint8_t waiting[VIRTIO_CONSOLE_PORTS][PIECE]; // input that the guest has yet to take
    struct virtq_chain chain;                     // scratch
};

static const struct state_field fields[] = {
    VIRTIO_STATE(virtio_console, vdev),
    STATE_EACH(32, STATE_BOOL, virtio_console, ports, guest_open, VIRTIO_CONSOLE_PORTS),
    STATE_EACH(33, STATE_U8, virtio_console, ports, to_send, VIRTIO_CONSOLE_PORTS),
    STATE_EACH(34, STATE_U16, virtio_console, ports, waiting_len, VIRTIO_CONSOLE_PORTS),
    STATE_EACH(35, STATE_U32, virtio_console, ports, tx_done, VIRTIO_CONSOLE_PORTS),
    STATE_ARRAY(36, STATE_BYTES, virtio_console, waiting, VIRTIO_CONSOLE_PORTS *PIECE),
    STATE_EACH(37, STATE_BOOL, virtio_console, ports, told_open, VIRTIO_CONSOLE_PORTS),
};

static unsigned number_of(const struct port *port)
{
    return (unsigned)(port - port->owner->ports);
}

// 5.3.2: the queues of port 0 come before the control queues.
static unsigned rx_queue(const struct port *port)
{
    unsigned number = number_of(port);
    return number ? 2 * number + 2 : 0;
}

static struct port *port_of_queue(struct virtio_console *c, unsigned queue)
{
    return &c->ports[queue < 2 ? 0 : queue / 2 - 1];
}

static bool live(const struct virtio_console *c)
{
    return c->vdev.status & VIRTIO_DRIVER_OK && !(c->vdev.status & VIRTIO_NEEDS_RESET);
}

static bool multiport(const struct virtio_console *c)
{
    return virtio_accepted(&c->vdev, VIRTIO_CONSOLE_F_MULTIPORT);
}

static bool host_open(const struct port *port)
{
    return port->console || (port->chardev && !port->chardev->alone);
}

// --- control messages

static void send_control(struct virtio_console *c, struct port *port, enum control_event event)
{
    struct {
        struct control head;
        char name[VIRTIO_CONSOLE_NAME_MAX + 1];
    } message = {.head = {.id = number_of(port), .event = (uint16_t)event, .value = 1}};
    size_t len = sizeof message.head;
    if (event == VIRTIO_CONSOLE_PORT_OPEN)
        message.head.value = port->told_open = host_open(port);
    if (event == VIRTIO_CONSOLE_PORT_NAME) {
        strcpy(message.name, port->name);
        len += strlen(port->name) + 1;
    }
    len = virtq_write(&c->chain, c->vdev.mem, 0, &message, len);
    virtio_push(&c->vdev, CONTROL_RX, c->chain.head, (uint32_t)len);
}

// In the order of the events' numbers, which is the one that drivers expect.
static void flush_control(struct virtio_console *c)
{
    bool sent = false;
    for (unsigned i = 0; i < c->config.max_nr_ports; i++) {
        struct port *port = &c->ports[i];
        while (port->to_send) {
            if (!c->vdev.queues[CONTROL_RX].ready || !virtio_pop(&c->vdev, CONTROL_RX, &c->chain))
                goto out;
            unsigned event = (unsigned)__builtin_ctz(port->to_send);
            port->to_send &= (uint8_t) ~(1u << event);
            send_control(c, port, (enum control_event)event);
            sent = true;
        }
    }
out:
    if (sent)
        virtio_interrupt(&c->vdev, CONTROL_RX);
}

static void queue_control(struct port *port, enum control_event event)
{
    port->to_send |= (uint8_t)(1u << event);
}

static void take_control(struct virtio_console *c, const struct control *message)
{
    if (message->event == VIRTIO_CONSOLE_DEVICE_READY) {
        for (unsigned i = 0; message->value && i < c->config.max_nr_ports; i++)
            if (c->ports[i].exists)
                queue_control(&c->ports[i], VIRTIO_CONSOLE_DEVICE_ADD);
        return;
    }
    struct port *port = message->id < c->config.max_nr_ports ? &c->ports[message->id] : NULL;
    if (!port || !port->exists)
        return;
    if (message->event == VIRTIO_CONSOLE_PORT_READY && message->value) {
        if (port->console)
            queue_control(port, VIRTIO_CONSOLE_CONSOLE_PORT);
        if (*port->name)
            queue_control(port, VIRTIO_CONSOLE_PORT_NAME);
        if (host_open(port))
            queue_control(port, VIRTIO_CONSOLE_PORT_OPEN);
    } else if (message->event == VIRTIO_CONSOLE_PORT_OPEN) {
        port->guest_open = message->value;
        if (port->guest_open)
            chardev_accept_input(port->chardev);
    }
}

static void serve_control(struct virtio_console *c)
{
    bool answered = false;
    while (virtio_pop(&c->vdev, CONTROL_TX, &c->chain)) {
        struct control message;
        bool whole = virtq_read(&c->chain, 0, &message, sizeof message) == sizeof message;
        virtio_push(&c->vdev, CONTROL_TX, c->chain.head, 0);
        answered = true;
        if (whole)
            take_control(c, &message);
    }
    if (answered)
        virtio_interrupt(&c->vdev, CONTROL_TX);
    flush_control(c);
}

// --- bytes to the host

static size_t room_at_host(const struct port *port)
{
    return port->console ? SIZE_MAX : chardev_room(port->chardev);
}

// Sends of the request what there is room for; false where some is left.
static bool send_request(struct virtio_console *c, struct port *port)
{
    uint8_t buf[4096];
    size_t room;
    uint64_t len = c->chain.out_len < MAX_REQUEST ? c->chain.out_len : MAX_REQUEST;
    while (port->exists && port->tx_done < len && (room = room_at_host(port))) {
        size_t part = len - port->tx_done;
        part = part < room ? part : room;
        part = virtq_read(&c->chain, port->tx_done, buf, part < sizeof buf ? part : sizeof buf);
        chardev_write(port->chardev, buf, part);
        port->tx_done += (uint32_t)part;
    }
    return !port->exists || port->tx_done >= len;
}

static void serve_tx(struct virtio_console *c, struct port *port)
{
    unsigned queue = rx_queue(port) + 1;
    bool answered = false;
    while (room_at_host(port)) { // otherwise CHARDEV_DRAINED brings us back
        struct virtq_mark mark = virtqueue_mark(&c->vdev.queues[queue]);
        if (!virtio_pop(&c->vdev, queue, &c->chain))
            break;
        if (!send_request(c, port)) {
            virtqueue_rewind(&c->vdev.queues[queue], mark);
            continue;
        }
        port->tx_done = 0;
        virtio_push(&c->vdev, queue, c->chain.head, 0);
        answered = true;
    }
    if (answered)
        virtio_interrupt(&c->vdev, queue);
}

// --- bytes to the guest

static void flush_input(struct virtio_console *c, struct port *port)
{
    uint8_t *waiting = c->waiting[number_of(port)];
    unsigned queue = rx_queue(port);
    bool sent = false;
    while (port->waiting_len && virtio_pop(&c->vdev, queue, &c->chain)) {
        size_t n = virtq_write(&c->chain, c->vdev.mem, 0, waiting, port->waiting_len);
        virtio_push(&c->vdev, queue, c->chain.head, (uint32_t)n);
        port->waiting_len = (uint16_t)(port->waiting_len - n);
        memmove(waiting, waiting + n, port->waiting_len);
        sent = true;
    }
    if (sent)
        virtio_interrupt(&c->vdev, queue);
}

// Nothing while the driver has given no buffer; looking for one asks it to say when it does.
static size_t can_receive(void *opaque)
{
    struct port *port = opaque;
    struct virtio_console *c = port->owner;
    struct virtqueue *vq = &c->vdev.queues[rx_queue(port)];
    if (!live(c) || !vq->ready || port->waiting_len || (multiport(c) && !port->guest_open))
        return 0;
    struct virtq_mark mark = virtqueue_mark(vq);
    if (!virtio_pop(&c->vdev, rx_queue(port), &c->chain))
        return 0;
    virtqueue_rewind(vq, mark);
    return PIECE;
}

static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct port *port = opaque;
    size_t n = len < PIECE - (size_t)port->waiting_len ? len : PIECE - (size_t)port->waiting_len;
    memcpy(port->owner->waiting[number_of(port)] + port->waiting_len, buf, n);
    port->waiting_len = (uint16_t)(port->waiting_len + n);
    flush_input(port->owner, port);
}

static void event(void *opaque, enum chardev_event what)
{
    struct port *port = opaque;
    struct virtio_console *c = port->owner;
    if (!live(c))
        return;
    if (what == CHARDEV_DRAINED && c->vdev.queues[rx_queue(port) + 1].ready)
        serve_tx(c, port);
    else if ((what == CHARDEV_OPENED || what == CHARDEV_CLOSED) && !port->console && multiport(c)) {
        queue_control(port, VIRTIO_CONSOLE_PORT_OPEN);
        flush_control(c);
    }
}

static const struct chardev_sink sink = {can_receive, receive, event};

static void queue_notify(struct virtio_device *vdev, unsigned queue)
{
    struct virtio_console *c = (struct virtio_console *)vdev;
    if (queue == CONTROL_RX) {
        flush_control(c);
    } else if (queue == CONTROL_TX) {
        serve_control(c);
    } else if (queue & 1) {
        serve_tx(c, port_of_queue(c, queue));
    } else {
        struct port *port = port_of_queue(c, queue);
        flush_input(c, port);
        chardev_accept_input(port->chardev);
    }
}

static uint32_t config_read(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    uint32_t value = 0;
    memcpy(&value, (const uint8_t *)&((struct virtio_console *)vdev)->config + offset, size);
    return value;
}

// A character for the console from a driver that has no queues yet (5.3.4).
static void config_write(struct virtio_device *vdev, unsigned offset, unsigned size, uint32_t value)
{
    struct virtio_console *c = (struct virtio_console *)vdev;
    uint8_t byte = (uint8_t)value;
    if (offset == offsetof(struct console_device_config, emerg_wr) && c->ports[0].console)
        chardev_write(c->ports[0].chardev, &byte, 1);
}

static void stop(struct virtio_device *vdev)
{
    struct virtio_console *c = (struct virtio_console *)vdev;
    for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++) {
        struct port *port = &c->ports[i];
        port->guest_open = port->told_open = false;
        port->to_send = 0;
        port->waiting_len = 0;
        port->tx_done = 0;
    }
}

static void reset(struct device *dev)
{
    virtio_reset((struct virtio_device *)dev);
}

static void post_load(struct device *dev)
{
    struct virtio_console *c = (struct virtio_console *)dev;
    for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++)
        if (c->ports[i].waiting_len > PIECE)
            c->ports[i].waiting_len = 0;
    virtio_restored(&c->vdev);
    for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++) {
        struct port *port = &c->ports[i];
        if (live(c) && multiport(c) && port->exists && host_open(port) != port->told_open) {
            queue_control(port, VIRTIO_CONSOLE_PORT_OPEN); // another host, another end
            flush_control(c);
        }
        // What waited for room there may find some here, where nobody will say that there is room again.
        if (live(c) && c->vdev.queues[rx_queue(port) + 1].ready)
            serve_tx(c, port);
        chardev_accept_input(port->chardev);
    }
}

static void destroy(struct device *dev)
{
    struct virtio_console *c = (struct virtio_console *)dev;
    for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++)
        chardev_attach(c->ports[i].chardev, NULL, NULL);
    free(c);
}

static const uint16_t queue_sizes[QUEUES] = {[0 ... QUEUES - 1] = QUEUE_SIZE};
static const struct virtio_class virtio_class = {
    .id = 3,
    .queue_count = QUEUES,
    .queue_sizes = queue_sizes,
    .config_size = sizeof(struct console_device_config),
    .config_read = config_read,
    .config_write = config_write,
    .queue_notify = queue_notify,
    .stop = stop,
};
static const struct device_class class =
    DEVICE_CLASS("virtio-console", 1, fields, reset, post_load, destroy, NULL, 0);

int virtio_console_create(const struct virtio_console_config *config, struct virtio_device **ret_vdev,
                          struct error *err)
{
    if (!config->max_ports || config->max_ports > VIRTIO_CONSOLE_PORTS)
        return error_set(err, -EINVAL, "a virtio console has 1 to %d ports", VIRTIO_CONSOLE_PORTS);
    struct virtio_console *c = calloc(1, sizeof *c);
    if (!c)
        return error_set(err, -ENOMEM, "out of memory");
    virtio_init(&c->vdev, &class, &virtio_class, config->path, config->mem,
                VIRTIO_CONSOLE_F_EMERG_WRITE | (config->max_ports > 1 ? VIRTIO_CONSOLE_F_MULTIPORT : 0));
    c->config.max_nr_ports = config->max_ports;
    for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++)
        c->ports[i].owner = c;
    *ret_vdev = &c->vdev;
    return 0;
}

int virtio_console_add_port(struct virtio_device *vdev, const struct virtio_port_config *config,
                            struct error *err)
{
    struct virtio_console *c = (struct virtio_console *)vdev;
    unsigned max = c->config.max_nr_ports, number = config->console ? 0 : 1;
    if (config->number >= 0)
        number = (unsigned)config->number;
    else
        while (number < max && c->ports[number].exists)
            number++;
    if (number >= max)
        return config->number < 0
                   ? error_set(err, -ENOSPC, "all %u ports of the virtio console are taken", max)
                   : error_set(err, -EINVAL, "nr=%u: the virtio console has ports 0 to %u", number, max - 1);
    struct port *port = &c->ports[number];
    if (port->exists)
        return error_set(err, -EBUSY, "nr=%u: the virtio console has such a port already", number);
    if (!number && !config->console)
        return error_set(err, -EINVAL, "nr=0: port 0 of a virtio console is kept for a virtconsole");
    if (config->name && strlen(config->name) > VIRTIO_CONSOLE_NAME_MAX)
        return error_set(err, -EINVAL, "name=%s has more than %d characters", config->name,
                         VIRTIO_CONSOLE_NAME_MAX);
    port->exists = true;
    port->console = config->console;
    port->chardev = config->chardev;
    if (config->name)
        strcpy(port->name, config->name);
    chardev_attach(port->chardev, &sink, port);
    return 0;
}
