// SPDX-License-Identifier: MIT
// The character channel between a device model (UART, virtio console, monitor) and the host's side of it
// (terminal, socket, pipe, file). The back end embeds struct chardev and fills ops; the front end attaches a
// sink.
//
// Ownership: whoever created the chardev destroys it, after the front end detached (sink NULL).
// Thread: every call and every sink callback holds the machine lock; nothing here blocks.
#ifndef HOST_CHARDEV_H
#define HOST_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chardev;

enum chardev_event {
    CHARDEV_OPENED, // somebody is at the other end now
    CHARDEV_CLOSED, // the other end hung up; output is dropped until it is opened again
    CHARDEV_BREAK,  // the line was held low: a serial break
    CHARDEV_DRAINED, // there is room for output again after chardev_room said 0
};

struct chardev_ops {
    // Sends len bytes. Never blocks: what the host cannot take now is buffered, up to the back end's bound,
    // beyond which it is dropped. Returns the number of bytes taken or a negative errno.
    int (*write)(struct chardev *chardev, const void *buf, size_t len);
    // Bytes that the next write should not exceed, 0 while the host is slow; CHARDEV_DRAINED follows. NULL: any number.
    // A front end that cannot wait writes all the same, up to the bound of write.
    size_t (*room)(struct chardev *chardev);
    // The sink has room again after can_receive said 0: poll the host's input again. May be NULL.
    void (*accept_input)(struct chardev *chardev);
    // Frees the back end. May be NULL.
    void (*destroy)(struct chardev *chardev);
};

// What a front end gives. A back end asks can_receive and then passes at most that many bytes to receive.
struct chardev_sink {
    size_t (*can_receive)(void *opaque);
    void (*receive)(void *opaque, const uint8_t *buf, size_t len);
    void (*event)(void *opaque, enum chardev_event event); // may be NULL
};

struct chardev {
    const struct chardev_ops *ops;
    const struct chardev_sink *sink; // NULL: nobody listens, input waits or is dropped
    void *sink_opaque;
    bool alone; // nobody is at the other end, so output is dropped; back ends that have one end open never say so
};

// chardev may be NULL in all of the below: a device without a back end discards its output.
static inline int chardev_write(struct chardev *chardev, const void *buf, size_t len)
{
    return chardev ? chardev->ops->write(chardev, buf, len) : (int)len;
}

static inline size_t chardev_room(struct chardev *chardev)
{
    return chardev && chardev->ops->room ? chardev->ops->room(chardev) : SIZE_MAX;
}

static inline void chardev_accept_input(struct chardev *chardev)
{
    if (chardev && chardev->ops->accept_input)
        chardev->ops->accept_input(chardev);
}

// One sink at a time; sink NULL detaches.
static inline void chardev_attach(struct chardev *chardev, const struct chardev_sink *sink, void *opaque)
{
    if (!chardev)
        return;
    chardev->sink = sink;
    chardev->sink_opaque = opaque;
    if (sink)
        chardev_accept_input(chardev);
}

static inline void chardev_destroy(struct chardev *chardev)
{
    if (chardev && chardev->ops->destroy)
        chardev->ops->destroy(chardev);
}

// For back ends: the bytes the sink can take now, the delivery, and events.
static inline size_t chardev_can_deliver(const struct chardev *chardev)
{
    return chardev->sink ? chardev->sink->can_receive(chardev->sink_opaque) : 0;
}

static inline void chardev_deliver(struct chardev *chardev, const uint8_t *buf, size_t len)
{
    if (chardev->sink && len)
        chardev->sink->receive(chardev->sink_opaque, buf, len);
}

static inline void chardev_notify(struct chardev *chardev, enum chardev_event event)
{
    if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED)
        chardev->alone = event == CHARDEV_CLOSED;
    if (chardev->sink && chardev->sink->event)
        chardev->sink->event(chardev->sink_opaque, event);
}

#endif
