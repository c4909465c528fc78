// SPDX-License-Identifier: MIT
// Private to snapshot/: where the bytes of a migration go or come from, by QEMU's addresses.
//
//   file:PATH    exec:COMMAND (its standard input or output, run by /bin/sh)    unix:PATH    tcp:HOST:PORT
//
// Who sends connects, who receives listens and takes the first peer. Thread: one at a time, but for cancel (any).
#ifndef CONTROL_SNAPSHOT_CHANNEL_H
#define CONTROL_SNAPSHOT_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;

struct channel {
    int fd, listener, cancel_fd; // -1: none
    pid_t child;                 // of exec:, or 0
    int child_fd;                // a pidfd of it, or -1
    bool file;
    const char *path;            // of a socket that we made, or NULL
};

// All return 0 or a negative errno and a sentence. finish and destroy are due after create, whatever happened; cancel may
// come until destroy.
int channel_create(struct channel *channel, struct error *err);
// Whether it is of a kind that can be opened: 0 or -EINVAL.
int channel_check(const char *uri, struct error *err);
int channel_connect(struct channel *channel, const char *uri, struct error *err);
int channel_listen(struct channel *channel, const char *uri, struct error *err); // uri lives until finish
int channel_accept(struct channel *channel, struct error *err);                  // waits for the peer
// As state_writer.write and state_reader.read; opaque is the channel. -ECANCELED after a cancel.
int channel_write(void *opaque, const void *data, size_t size, struct error *err);
int channel_read(void *opaque, void *data, size_t size, struct error *err);
// Lets ms milliseconds pass: -ECANCELED when cancelled meanwhile.
int channel_pause(const struct channel *channel, int ms, struct error *err);
void channel_cancel(struct channel *channel);
// Closes. With complete set, what was written is on the medium and the command has succeeded, or it fails; a cancel ends the
// wait for that. Without, the command is made to end, which takes half a second at most.
int channel_finish(struct channel *channel, bool complete, struct error *err);
void channel_destroy(struct channel *channel);

#endif
