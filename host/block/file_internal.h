// SPDX-License-Identifier: MIT
// A file or block device of the host below an image: whole transfers, holes, size, and the locks that keep
// writers apart. Private to host/block. Functions return 0 or a negative errno; any thread.
#ifndef HOST_BLOCK_FILE_INTERNAL_H
#define HOST_BLOCK_FILE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct error;

struct host_file {
    int fd, direct_fd; // direct_fd: -1 without O_DIRECT
    uint32_t align;    // what O_DIRECT wants
    bool readonly, unsafe, device;
    uint64_t dev, ino;
    const char *note; // see image_note
};

int host_file_open(const char *path, bool readonly, bool direct, struct host_file *ret_file,
                   struct error *err);
// A file without a name that goes when it is closed.
int host_file_temporary(struct host_file *ret_file, struct error *err);
// Readers share, a writer excludes everyone. -EBUSY.
int host_file_lock(const struct host_file *file, const char *path, struct error *err);
void host_file_close(struct host_file *file);

// Behind the end of the file zeros are read.
int host_file_readv(const struct host_file *file, uint64_t offset, const struct iovec *iov, int count);
int host_file_writev(const struct host_file *file, uint64_t offset, const struct iovec *iov, int count);
int host_file_read(const struct host_file *file, uint64_t offset, void *buf, size_t len);
int host_file_write(const struct host_file *file, uint64_t offset, const void *buf, size_t len);
int host_file_sync(const struct host_file *file);
int host_file_punch(const struct host_file *file, uint64_t offset, uint64_t len); // a hint
int host_file_zero(const struct host_file *file, uint64_t offset, uint64_t len, bool unmap);
int host_file_size(const struct host_file *file, uint64_t *ret_size);
int host_file_resize(const struct host_file *file, uint64_t size);

// Pieces of iov.
uint64_t iov_len(const struct iovec *iov, int count);
void iov_zero(const struct iovec *iov, int count);
// The pieces of [skip, skip + len), at most max of them; their number, and in *ret_len their bytes.
int iov_slice(const struct iovec *iov, int count, uint64_t skip, uint64_t len, struct iovec *out, int max,
              uint64_t *ret_len);

#endif
