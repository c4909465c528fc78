// SPDX-License-Identifier: MIT
// The host's side of a disk: an image (host/image.h), read and written by worker threads.
//
// Requests are submitted and completed with the machine lock held; a worker touches only the image and the
// request's buffers. A submitted request belongs to the backend until its done callback ran, on the loop's
// thread. Requests may complete in any order, but two that touch the same bytes, one of them writing, are
// carried out in the order of their submission. A flush covers the writes that had completed when it was
// submitted.
#ifndef HOST_BLOCK_H
#define HOST_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct block;
struct error;
struct image_snapshot;
struct loop;

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_ZERO };

struct block_request {
    enum block_op op;
    bool unmap;              // ZERO only: the host may take the space back
    uint64_t offset, len;    // bytes; len for DISCARD and ZERO only
    const struct iovec *iov; // READ and WRITE
    int iov_count;
    int result; // 0 or a negative errno
    void (*done)(struct block_request *request);
    void *opaque;
    struct block_request *next; // private
    uint64_t first, last;       // private
};

enum block_detect { BLOCK_DETECT_OFF, BLOCK_DETECT_ON, BLOCK_DETECT_UNMAP };

struct block_config {
    const char *path;
    const char *format; // "raw", "qcow2", or NULL: probed, see host/image.h
    bool readonly;
    bool unlocked; // no lock against a second writer
    bool sync;     // every write is on the medium when it completes (cache=writethrough, directsync)
    bool direct;   // around the host's page cache (cache=none, directsync)
    bool unsafe;   // a flush does not wait for the medium (cache=unsafe)
    bool snapshot; // writes go to a temporary file that nobody sees again
    bool discard;  // discard=unmap
    enum block_detect detect_zeroes;
    struct loop *loop;
};

// Opens and locks the image and its backing files: a writer excludes everyone, readers exclude writers. The
// size is fixed at opening.
int block_open(const struct block_config *config, struct block **ret_block, struct error *err);
static inline int block_open_raw(const struct block_config *config, struct block **ret_block,
                                 struct error *err)
{
    struct block_config raw = *config;
    raw.format = "raw";
    return block_open(&raw, ret_block, err);
}
void block_close(struct block *block);             // drains first
uint64_t block_size(const struct block *block);    // bytes
uint64_t block_granule(const struct block *block); // image_granule
bool block_readonly(const struct block *block);
bool block_discards(const struct block *block); // a discard has an effect
const char *block_format(const struct block *block);
const char *block_note(const struct block *block); // image_note
void block_submit(struct block *block, struct block_request *request);
// Waits until nothing is in flight and runs all completions, until those have submitted nothing more.
void block_drain(struct block *block);

// For who stops the machine anyway: each drains, then works in the calling thread with the machine lock held.
// 0 or a negative errno, with a sentence where there is a struct error. A raw image has none of this
// (-ENOTSUP). Everything submitted before a snapshot is in it. See host/image.h for the fields and the area
// of the state.
int block_flush(struct block *block);
int block_snapshot_list(struct block *block, struct image_snapshot **ret_list, size_t *ret_count,
                        struct error *err); // the list is the caller's to free
int block_snapshot_create(struct block *block, struct image_snapshot *snapshot, struct error *err);
int block_snapshot_apply(struct block *block, const char *id_or_name, struct error *err);
int block_snapshot_delete(struct block *block, const char *id_or_name, struct error *err);
int block_vmstate_write(struct block *block, uint64_t offset, const void *buf, size_t len);
int block_vmstate_read(struct block *block, uint64_t offset, void *buf, size_t len);
int block_snapshot_read_vmstate(struct block *block, const char *id_or_name, uint64_t offset, void *buf, size_t len);

#endif
