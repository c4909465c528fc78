// SPDX-License-Identifier: MIT
// The host's side of a shared folder: a server of 9P2000.L messages over one folder of the host, out of which
// no path, ".." or symbolic link leads.
//
// Messages are submitted and answered with the machine lock held; a worker thread does the file work and
// touches only the request's own buffers. A submitted request belongs to the server until its done callback
// ran, on the loop's thread. Requests are served one at a time and answered in the order of submission, so a
// flush is answered after what it flushes. What a message asks for is never an error of ours: it is answered
// with Rlerror.
#ifndef HOST_FS_H
#define HOST_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct fs;
struct loop;

// What owner, mode and kind of a guest's file are on the host.
enum fs_security {
    FS_NONE,        // the same; an owner that cannot be given is let be
    FS_PASSTHROUGH, // the same, and the owner must be given
    FS_MAPPED,      // extended attributes (user.virtfs.*) of plain files and folders that belong to us
};

enum fs_multidevs {
    FS_ONE_DEVICE_EXPECTED, // file systems mounted below the folder are shown; inode numbers may coincide
    FS_REMAP,               // inode numbers are told apart by device
    FS_FORBID,              // file systems mounted below the folder are not shown
};

enum { FS_MIN_MESSAGE = 4096, FS_MAX_MESSAGE = 512 << 10 }; // bytes

struct fs_config {
    const char *path;
    enum fs_security security;
    enum fs_multidevs multidevs;
    bool readonly;
    struct loop *loop;
};

struct fs_request {
    const uint8_t *message;
    uint32_t message_len; // bytes
    uint8_t *reply;
    uint32_t reply_size; // bytes of room
    uint32_t reply_len;  // 0: there is no room even for an error
    void (*done)(struct fs_request *request);
    void *opaque;
    struct fs_request *next; // private
};

// Opens the folder and starts the worker. -EINVAL, -ENOTDIR, -ENOTSUP and so on with a sentence.
int fs_open(const struct fs_config *config, struct fs **ret_fs, struct error *err);
void fs_close(struct fs *fs); // drains first
void fs_submit(struct fs *fs, struct fs_request *request);
// Waits until nothing is in flight and runs all completions.
void fs_drain(struct fs *fs);
// Drains and ends the guest's session: every fid is forgotten, every file closed.
void fs_reset(struct fs *fs);
// The session as bytes for a snapshot, nothing being in flight; the bytes used. What does not fit is left
// out.
size_t fs_save(struct fs *fs, uint8_t *buf, size_t size);
// Goes on with a session that was saved, in the folder as it is now. The bytes may be hostile.
void fs_restore(struct fs *fs, const uint8_t *buf, size_t size);

#endif
