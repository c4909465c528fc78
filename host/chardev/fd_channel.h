// SPDX-License-Identifier: MIT
// A chardev over file descriptors: reading as the sink has room, writing without blocking into a bounded
// queue. Embedded by back ends that have fds (terminal, file, pty, socket). Thread: machine lock held.
#ifndef HOST_CHARDEV_FD_CHANNEL_H
#define HOST_CHARDEV_FD_CHANNEL_H

#include "base/loop.h"
#include "host/chardev.h"

enum {
    FD_CHANNEL_QUEUE_MAX = 4 << 20
}; // bytes of output kept for a slow reader; what comes beyond is dropped
enum { FD_CHANNEL_ROOM = 64 << 10 }; // bytes of it that fd_channel_room offers

struct fd_channel {
    struct chardev chardev;
    struct loop *loop;
    struct loop_fd in, out; // fd -1: no such direction
    bool in_added, out_added, shared_fd;
    bool at_end; // input has ended
    bool full;   // chardev_room said so
    uint8_t *queue;
    size_t queue_start, queue_len, queue_size;
    void (*hangup)(struct fd_channel *channel); // end of input or an error; may be NULL
};

// Sets up the channel without fds. The chardev's ops are the channel's own unless the back end replaces them.
void fd_channel_init(struct fd_channel *channel, struct loop *loop, const struct chardev_ops *ops);
// Connects; either fd may be -1. The fds stay the back end's. in and out may be the same one.
int fd_channel_connect(struct fd_channel *channel, int in, int out);
// Forgets the fds and the queue.
void fd_channel_disconnect(struct fd_channel *channel);
// Waits up to timeout_ms for the queue to empty; for the end of a run.
void fd_channel_flush(struct fd_channel *channel, int timeout_ms);

int fd_channel_write(struct chardev *chardev, const void *buf, size_t len);
size_t fd_channel_room(struct chardev *chardev);
void fd_channel_accept_input(struct chardev *chardev);

#endif
