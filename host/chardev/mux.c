// SPDX-License-Identifier: MIT
// Owns the sharing of one back end by several front ends and the escape character's commands.
// Invariant: input reaches only the front in focus; what it cannot take yet waits in the mux, in order, so
// that the escape character still works while a guest does not read.
#include "base/error.h"
#include "host/chardev/backends.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mux_front {
    struct chardev chardev;
    struct chardev_mux *mux;
    bool used;
};

struct chardev_mux {
    struct chardev *below;
    struct mux_front fronts[CHARDEV_MUX_FRONTS];
    unsigned focus;
    uint8_t escape;
    bool escaped; // the last byte was the escape character
    uint8_t waiting[256];
    unsigned waiting_len;
    void (*quit)(void *opaque);
    void *quit_opaque;
};

static struct chardev *focused(struct chardev_mux *mux)
{
    return &mux->fronts[mux->focus].chardev;
}

static void flush_waiting(struct chardev_mux *mux)
{
    while (mux->waiting_len) {
        size_t room = chardev_can_deliver(focused(mux));
        if (!room)
            return;
        uint8_t part[sizeof mux->waiting];
        unsigned len = room < mux->waiting_len ? (unsigned)room : mux->waiting_len;
        memcpy(part, mux->waiting, len);
        mux->waiting_len -= len;
        memmove(mux->waiting, mux->waiting + len, mux->waiting_len);
        chardev_deliver(focused(mux), part, len);
    }
}

static void say(struct chardev_mux *mux, const char *text)
{
    chardev_write(mux->below, text, strlen(text));
}

static void help(struct chardev_mux *mux)
{
    char name[16], text[512];
    snprintf(name, sizeof name, "%s%c", mux->escape < 32 ? "C-" : "",
             mux->escape < 32 ? mux->escape + 'a' - 1 : mux->escape);
    snprintf(text, sizeof text,
             "\r\n%s h    print this help\r\n%s x    exit emulator\r\n%s b    send break\r\n"
             "%s c    switch between console and monitor\r\n%s %s  sends %s\r\n",
             name, name, name, name, name, name, name);
    say(mux, text);
}

static void next_front(struct chardev_mux *mux)
{
    chardev_notify(focused(mux), CHARDEV_CLOSED);
    do
        mux->focus = (mux->focus + 1) % CHARDEV_MUX_FRONTS;
    while (!mux->fronts[mux->focus].used);
    chardev_notify(focused(mux), CHARDEV_OPENED);
    flush_waiting(mux);
}

static void keep(struct chardev_mux *mux, uint8_t byte)
{
    if (mux->waiting_len < sizeof mux->waiting)
        mux->waiting[mux->waiting_len++] = byte;
    flush_waiting(mux);
}

static void command(struct chardev_mux *mux, uint8_t byte)
{
    if (byte == mux->escape) {
        keep(mux, byte);
        return;
    }
    switch (byte) {
    case 'h':
    case '?': help(mux); break;
    case 'x':
        say(mux, "\r\nisomer: terminated\r\n");
        mux->quit(mux->quit_opaque);
        break;
    case 'b': chardev_notify(focused(mux), CHARDEV_BREAK); break;
    case 'c': next_front(mux); break;
    default: break; // like QEMU: anything else after the escape is dropped
    }
}

static size_t below_can_receive(void *opaque)
{
    struct chardev_mux *mux = opaque;
    return sizeof mux->waiting - mux->waiting_len;
}

static void below_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct chardev_mux *mux = opaque;
    for (size_t i = 0; i < len; i++) {
        if (mux->escaped) {
            mux->escaped = false;
            command(mux, buf[i]);
        } else if (mux->escape && buf[i] == mux->escape) {
            mux->escaped = true;
        } else {
            keep(mux, buf[i]);
        }
    }
}

static void below_event(void *opaque, enum chardev_event event)
{
    struct chardev_mux *mux = opaque;
    for (unsigned i = 0; event == CHARDEV_DRAINED && i < CHARDEV_MUX_FRONTS; i++)
        chardev_notify(&mux->fronts[i].chardev, event);
    if (event == CHARDEV_DRAINED)
        return;
    chardev_notify(focused(mux), event);
}

static const struct chardev_sink below_sink = {below_can_receive, below_receive, below_event};

static int front_write(struct chardev *chardev, const void *buf, size_t len)
{
    return chardev_write(((struct mux_front *)chardev)->mux->below, buf, len);
}

static size_t front_room(struct chardev *chardev)
{
    return chardev_room(((struct mux_front *)chardev)->mux->below);
}

static void front_accept_input(struct chardev *chardev)
{
    struct chardev_mux *mux = ((struct mux_front *)chardev)->mux;
    if (focused(mux) == chardev)
        flush_waiting(mux);
    if (mux->waiting_len < sizeof mux->waiting)
        chardev_accept_input(mux->below);
}

static const struct chardev_ops front_ops = {.write = front_write, .room = front_room, .accept_input = front_accept_input};

int chardev_mux_create(struct chardev *below, uint8_t escape, void (*quit)(void *opaque), void *opaque,
                       struct chardev_mux **ret_mux, struct error *err)
{
    struct chardev_mux *mux = calloc(1, sizeof *mux);
    if (!mux) {
        chardev_destroy(below);
        return error_set(err, -ENOMEM, "out of memory");
    }
    *mux = (struct chardev_mux){.below = below, .escape = escape, .quit = quit, .quit_opaque = opaque};
    chardev_attach(below, &below_sink, mux);
    *ret_mux = mux;
    return 0;
}

void chardev_mux_destroy(struct chardev_mux *mux)
{
    if (!mux)
        return;
    chardev_attach(mux->below, NULL, NULL);
    chardev_destroy(mux->below);
    free(mux);
}

struct chardev *chardev_mux_front(struct chardev_mux *mux)
{
    for (unsigned i = 0; i < CHARDEV_MUX_FRONTS; i++) {
        struct mux_front *front = &mux->fronts[i];
        if (front->used)
            continue;
        *front = (struct mux_front){.chardev.ops = &front_ops, .mux = mux, .used = true};
        return &front->chardev;
    }
    return NULL;
}
