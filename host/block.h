// SPDX-License-Identifier: MIT
// The host's side of a disk: a raw file or block device, read and written by a worker thread.
//
// Requests are submitted and completed with the machine lock held; the worker touches only the request's
// buffers. A submitted request belongs to the backend until its done callback ran, on the loop's thread.
// Requests may complete in any order; a flush covers the writes that had completed when it was submitted.
#ifndef HOST_BLOCK_H
#define HOST_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct block;
struct error;
struct loop;

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_ZERO };

struct block_request {
    enum block_op op;
    uint64_t offset, len;    // bytes; len for DISCARD and ZERO only
    const struct iovec *iov; // READ and WRITE
    int iov_count;
    int result; // 0 or a negative errno
    void (*done)(struct block_request *request);
    void *opaque;
    struct block_request *next; // private
};

struct block_config {
    const char *path;
    bool readonly;
    bool unlocked; // no lock against a second writer
    bool sync;     // every write is on the medium when it completes (cache=writethrough)
    struct loop *loop;
};

// Opens and locks: a writer excludes everyone, readers exclude writers. The size is fixed at opening.
int block_open_raw(const struct block_config *config, struct block **ret_block, struct error *err);
void block_close(struct block *block);          // drains first
uint64_t block_size(const struct block *block); // bytes
bool block_readonly(const struct block *block);
void block_submit(struct block *block, struct block_request *request);
// Waits until nothing is in flight and runs all completions.
void block_drain(struct block *block);

#endif
