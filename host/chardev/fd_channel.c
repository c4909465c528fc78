// SPDX-License-Identifier: MIT
// Owns reading and writing of character back ends over fds. Invariant: bytes leave in the order they were
// written; a write goes straight to the fd only while the queue is empty. Fds may be blocking ones (a shared
// terminal): each write is preceded by a poll and is at most PIPE_BUF bytes, which the kernel then takes
// without waiting.
#include "host/chardev/fd_channel.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fd_channel_init(struct fd_channel *channel, struct loop *loop, const struct chardev_ops *ops)
{
    *channel = (struct fd_channel){.chardev.ops = ops, .loop = loop, .in.fd = -1, .out.fd = -1};
}

static void hang_up(struct fd_channel *channel)
{
    if (channel->in_added)
        loop_fd_remove(channel->loop, &channel->in);
    channel->in_added = false;
    channel->at_end = true;
    if (channel->hangup)
        channel->hangup(channel);
}

// What the fd takes at once; 0 when it is full, negative errno when it is gone.
static ssize_t write_some(int fd, const uint8_t *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLOUT))
            return p.revents & (POLLERR | POLLNVAL) ? -EPIPE : (ssize_t)done;
        size_t part = len - done < PIPE_BUF ? len - done : PIPE_BUF;
        ssize_t n = write(fd, buf + done, part);
        if (n < 0 && errno != EINTR)
            return errno == EAGAIN ? (ssize_t)done : -errno;
        if (n > 0)
            done += (size_t)n;
    }
    return (ssize_t)done;
}

static void watch_output(struct fd_channel *channel, bool on)
{
    if (channel->shared_fd && channel->in_added) {
        unsigned other = channel->in.events & LOOP_IN;
        loop_fd_events(channel->loop, &channel->in, other | (on ? LOOP_OUT : 0));
    } else if (on && !channel->out_added && !channel->shared_fd) {
        channel->out_added = !loop_fd_add(channel->loop, &channel->out);
    } else if (!on && channel->out_added) {
        loop_fd_remove(channel->loop, &channel->out);
        channel->out_added = false;
    }
}

static void tell_drained(struct fd_channel *channel)
{
    if (channel->full) {
        channel->full = false;
        chardev_notify(&channel->chardev, CHARDEV_DRAINED);
    }
}

static void drain(struct fd_channel *channel)
{
    ssize_t n = write_some(channel->out.fd, channel->queue + channel->queue_start, channel->queue_len);
    if (n < 0) // nobody reads any more: drop it
        n = (ssize_t)channel->queue_len;
    channel->queue_start += (size_t)n;
    channel->queue_len -= (size_t)n;
    if (!channel->queue_len) {
        channel->queue_start = 0;
        watch_output(channel, false);
        tell_drained(channel);
    }
}

static void enqueue(struct fd_channel *channel, const uint8_t *buf, size_t len)
{
    if (len > FD_CHANNEL_QUEUE_MAX - channel->queue_len)
        len = FD_CHANNEL_QUEUE_MAX - channel->queue_len;
    if (channel->queue_start + channel->queue_len + len > channel->queue_size) {
        if (channel->queue_len)
            memmove(channel->queue, channel->queue + channel->queue_start, channel->queue_len);
        channel->queue_start = 0;
        if (channel->queue_len + len > channel->queue_size) {
            size_t size = (channel->queue_len + len) * 2;
            uint8_t *queue = realloc(channel->queue, size);
            if (!queue)
                return;
            channel->queue = queue;
            channel->queue_size = size;
        }
    }
    memcpy(channel->queue + channel->queue_start + channel->queue_len, buf, len);
    channel->queue_len += len;
}

int fd_channel_write(struct chardev *chardev, const void *buf, size_t len)
{
    struct fd_channel *channel = (struct fd_channel *)chardev;
    if (channel->out.fd < 0)
        return (int)len;
    ssize_t n = channel->queue_len ? 0 : write_some(channel->out.fd, buf, len);
    if (n >= 0 && (size_t)n < len) {
        enqueue(channel, (const uint8_t *)buf + n, len - (size_t)n);
        if (channel->queue_len)
            watch_output(channel, true);
    }
    return (int)len;
}

size_t fd_channel_room(struct chardev *chardev)
{
    struct fd_channel *channel = (struct fd_channel *)chardev;
    if (channel->out.fd < 0)
        return SIZE_MAX;
    channel->full = channel->queue_len >= FD_CHANNEL_ROOM;
    return channel->full ? 0 : FD_CHANNEL_ROOM - channel->queue_len;
}

static void readable(struct fd_channel *channel)
{
    uint8_t buf[1024];
    size_t room = chardev_can_deliver(&channel->chardev);
    if (!room) { // accept_input turns it on again
        loop_fd_events(channel->loop, &channel->in, channel->in.events & LOOP_OUT);
        return;
    }
    ssize_t n = read(channel->in.fd, buf, room < sizeof buf ? room : sizeof buf);
    if (n > 0)
        chardev_deliver(&channel->chardev, buf, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        hang_up(channel);
}

static void on_event(void *opaque, int fd, unsigned events)
{
    struct fd_channel *channel = opaque;
    if (events & LOOP_OUT)
        drain(channel);
    if (fd == channel->in.fd && channel->in_added && events & (LOOP_IN | LOOP_HUP)) {
        if (channel->in.events & LOOP_IN) {
            readable(channel);
        } else { // the other end is gone but bytes may wait: read on when the sink has room
            loop_fd_remove(channel->loop, &channel->in);
            channel->in_added = false;
        }
    } else if (fd == channel->out.fd && events & LOOP_HUP && channel->out_added) {
        channel->queue_len = channel->queue_start = 0;
        watch_output(channel, false);
        tell_drained(channel);
    }
}

void fd_channel_accept_input(struct chardev *chardev)
{
    struct fd_channel *channel = (struct fd_channel *)chardev;
    if (channel->in.fd < 0 || channel->at_end)
        return;
    if (!channel->in_added) {
        channel->in.events |= LOOP_IN;
        channel->in_added = !loop_fd_add(channel->loop, &channel->in);
    } else if (!(channel->in.events & LOOP_IN))
        loop_fd_events(channel->loop, &channel->in, channel->in.events | LOOP_IN);
}

int fd_channel_connect(struct fd_channel *channel, int in, int out)
{
    channel->in = (struct loop_fd){.callback = on_event, .opaque = channel, .fd = in, .events = LOOP_IN};
    channel->out = (struct loop_fd){.callback = on_event, .opaque = channel, .fd = out, .events = LOOP_OUT};
    channel->at_end = false;
    channel->shared_fd = in >= 0 && in == out;
    if (in < 0)
        return 0;
    int r = loop_fd_add(channel->loop, &channel->in);
    channel->in_added = !r;
    return r;
}

void fd_channel_disconnect(struct fd_channel *channel)
{
    if (channel->in_added)
        loop_fd_remove(channel->loop, &channel->in);
    if (channel->out_added)
        loop_fd_remove(channel->loop, &channel->out);
    channel->in_added = channel->out_added = false;
    channel->in.fd = channel->out.fd = -1;
    free(channel->queue);
    channel->queue = NULL;
    channel->queue_start = channel->queue_len = channel->queue_size = 0;
    tell_drained(channel); // what comes now is dropped
}

void fd_channel_flush(struct fd_channel *channel, int timeout_ms)
{
    while (channel->queue_len && channel->out.fd >= 0) {
        struct pollfd p = {.fd = channel->out.fd, .events = POLLOUT};
        if (poll(&p, 1, timeout_ms) <= 0)
            return;
        size_t before = channel->queue_len;
        drain(channel);
        if (channel->queue_len == before)
            return;
    }
}
