// SPDX-License-Identifier: MIT
// Owns what an image asks of the host's files. With O_DIRECT there are two descriptors: transfers that are
// aligned as it wants go around the page cache, the few others (tables, odd buffers) through it; Linux keeps
// the two coherent. Locks are those of QEMU, so that its tools and we see each other: byte 100 + n is locked
// by who uses permission n of the file, 200 + n by who does not grant it to others.
#include "base/error.h"
#include "host/block/file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HOST_PIECES = 1024 }; // IOV_MAX

uint64_t iov_len(const struct iovec *iov, int count)
{
    uint64_t len = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    return len;
}

void iov_zero(const struct iovec *iov, int count)
{
    for (int i = 0; i < count; i++)
        memset(iov[i].iov_base, 0, iov[i].iov_len);
}

int iov_slice(const struct iovec *iov, int count, uint64_t skip, uint64_t len, struct iovec *out, int max,
              uint64_t *ret_len)
{
    int n = 0;
    *ret_len = 0;
    for (int i = 0; i < count && n < max && len; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        uint64_t part = iov[i].iov_len - skip < len ? iov[i].iov_len - skip : len;
        out[n++] = (struct iovec){(uint8_t *)iov[i].iov_base + skip, part};
        *ret_len += part;
        len -= part;
        skip = 0;
    }
    return n;
}

// 512 where the host takes it, else 4096; 0: O_DIRECT does not work at all.
static uint32_t find_alignment(int fd)
{
    void *buf;
    if (posix_memalign(&buf, 4096, 8192))
        return 0;
    uint32_t align = pread(fd, (char *)buf + 512, 512, 512) >= 0 ? 512
                     : pread(fd, buf, 4096, 0) >= 0              ? 4096
                                                                 : 0;
    free(buf);
    return align;
}

static int measure(int fd, bool device, uint64_t *ret_size)
{
    struct stat st;
    if (device)
        return ioctl(fd, BLKGETSIZE64, ret_size) ? -errno : 0;
    if (fstat(fd, &st))
        return -errno;
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

int host_file_open(const char *path, bool readonly, bool direct, struct host_file *ret_file,
                   struct error *err)
{
    int flags = (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC;
    // O_NONBLOCK: a FIFO of that name must not make us wait for its other end.
    struct host_file file = {.fd = open(path, flags | O_NONBLOCK), .direct_fd = -1, .readonly = readonly};
    if (file.fd < 0)
        return error_set(err, -errno, "cannot open '%s': %s", path, strerror(errno));
    struct stat st;
    if (fstat(file.fd, &st) || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
        close(file.fd);
        return error_set(err, -EINVAL, "'%s' is neither a file nor a block device", path);
    }
    file.device = S_ISBLK(st.st_mode);
    file.dev = (uint64_t)st.st_dev;
    file.ino = (uint64_t)st.st_ino;
    if (direct) {
        file.direct_fd = open(path, flags | O_DIRECT);
        file.align = file.direct_fd < 0 ? 0 : find_alignment(file.direct_fd);
        if (file.direct_fd >= 0 && !file.align) {
            close(file.direct_fd);
            file.direct_fd = -1;
        }
        if (file.direct_fd < 0)
            file.note = "its file system cannot go around the page cache, which is used after all";
    }
    *ret_file = file;
    return 0;
}

int host_file_temporary(struct host_file *ret_file, struct error *err)
{
    const char *folder = getenv("TMPDIR");
    if (!folder || !*folder)
        folder = "/var/tmp";
    struct host_file file = {.direct_fd = -1, .unsafe = true};
    file.fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file.fd < 0) { // a file system without O_TMPFILE
        char path[4096];
        if ((size_t)snprintf(path, sizeof path, "%s/isomer.XXXXXX", folder) < sizeof path) {
            file.fd = mkostemp(path, O_CLOEXEC);
            if (file.fd >= 0)
                unlink(path);
        }
    }
    struct stat st;
    if (file.fd < 0 || fstat(file.fd, &st))
        return error_set(err, -errno, "cannot make a temporary file in '%s': %s", folder, strerror(errno));
    file.dev = (uint64_t)st.st_dev;
    file.ino = (uint64_t)st.st_ino;
    *ret_file = file;
    return 0;
}

enum { USE_READ = 0, USE_WRITE = 1, USE_RESIZE = 3, BYTE_USED = 100, BYTE_UNSHARED = 200 };

static int take(int fd, int byte)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

static bool taken(int fd, int byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

int host_file_lock(const struct host_file *file, const char *path, struct error *err)
{
    static const int permissions[] = {USE_READ, USE_WRITE, USE_RESIZE};
    bool busy = false;
    for (unsigned i = 0; i < 3 && !busy; i++) {
        bool use = !file->readonly || permissions[i] == USE_READ, share = permissions[i] == USE_READ;
        int r = use ? take(file->fd, BYTE_USED + permissions[i]) : 0;
        if (!r && !share)
            r = take(file->fd, BYTE_UNSHARED + permissions[i]);
        if (r && r != -EAGAIN && r != -EACCES)
            return 0; // a file system without locks
        busy = r;
    }
    for (unsigned i = 0; i < 3 && !busy; i++) {
        bool use = !file->readonly || permissions[i] == USE_READ, share = permissions[i] == USE_READ;
        busy = (use && taken(file->fd, BYTE_UNSHARED + permissions[i])) ||
               (!share && taken(file->fd, BYTE_USED + permissions[i]));
    }
    return busy ? error_set(err, -EBUSY, "'%s' is in use by another process%s", path,
                            file->readonly ? " that writes it" : "")
                : 0;
}

void host_file_close(struct host_file *file)
{
    if (file->direct_fd >= 0)
        close(file->direct_fd);
    if (file->fd >= 0)
        close(file->fd);
    file->fd = file->direct_fd = -1;
}

static int choose(const struct host_file *file, uint64_t offset, const struct iovec *iov, int count)
{
    if (file->direct_fd < 0)
        return file->fd;
    uint64_t bits = offset;
    for (int i = 0; i < count; i++)
        bits |= (uint64_t)(uintptr_t)iov[i].iov_base | iov[i].iov_len;
    return bits & (file->align - 1) ? file->fd : file->direct_fd;
}

// Everything or an error. A transfer that stops early (a signal, the end of the file) goes on where it was.
static int transfer(const struct host_file *file, bool write, uint64_t offset, const struct iovec *iov,
                    int count)
{
    if (offset > INT64_MAX)
        return -EINVAL;
    uint64_t done = 0, len = iov_len(iov, count);
    struct iovec part[64];
    int fd = choose(file, offset, iov, count);
    while (done < len) {
        const struct iovec *pieces = iov;
        uint64_t bytes = len;
        int n = count;
        if (done || count > HOST_PIECES) {
            n = iov_slice(iov, count, done, len - done, part, 64, &bytes);
            pieces = part;
        }
        off_t at = (off_t)(offset + done);
        ssize_t moved = write ? pwritev(fd, pieces, n, at) : preadv(fd, pieces, n, at);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved < 0 && errno == EINVAL && fd != file->fd) { // the rest is not aligned any more
            fd = file->fd;
            continue;
        }
        if (moved < 0)
            return -errno;
        if (!moved && write)
            return -EIO;
        if (!moved) {
            iov_zero(pieces, n);
            moved = (ssize_t)bytes;
        }
        done += (uint64_t)moved;
        if (done < len && fd != file->fd)
            fd = file->fd;
    }
    return 0;
}

int host_file_readv(const struct host_file *file, uint64_t offset, const struct iovec *iov, int count)
{
    return transfer(file, false, offset, iov, count);
}

int host_file_writev(const struct host_file *file, uint64_t offset, const struct iovec *iov, int count)
{
    return transfer(file, true, offset, iov, count);
}

int host_file_read(const struct host_file *file, uint64_t offset, void *buf, size_t len)
{
    return transfer(file, false, offset, &(struct iovec){buf, len}, 1);
}

int host_file_write(const struct host_file *file, uint64_t offset, const void *buf, size_t len)
{
    return transfer(file, true, offset, &(struct iovec){(void *)(uintptr_t)buf, len}, 1);
}

int host_file_sync(const struct host_file *file)
{
    return file->unsafe || !fdatasync(file->fd) ? 0 : -errno;
}

static int punch(const struct host_file *file, int mode, uint64_t offset, uint64_t len)
{
    if (!len)
        return 0;
    int r;
    do
        r = fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len) ? -errno : 0;
    while (r == -EINTR);
    return r == -ENODEV || r == -ENOSYS ? -EOPNOTSUPP : r;
}

int host_file_punch(const struct host_file *file, uint64_t offset, uint64_t len)
{
    int r = punch(file, FALLOC_FL_PUNCH_HOLE, offset, len);
    return r == -EOPNOTSUPP || r == -EINVAL ? 0 : r;
}

int host_file_zero(const struct host_file *file, uint64_t offset, uint64_t len, bool unmap)
{
    static const uint8_t zeros[65536];
    int r = punch(file, unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, offset, len);
    if (r != -EOPNOTSUPP && r != -EINVAL)
        return r;
    for (r = 0; len && !r;) {
        uint64_t part = len < sizeof zeros ? len : sizeof zeros;
        r = host_file_write(file, offset, zeros, part);
        offset += part;
        len -= part;
    }
    return r;
}

int host_file_size(const struct host_file *file, uint64_t *ret_size)
{
    return measure(file->fd, file->device, ret_size);
}

int host_file_resize(const struct host_file *file, uint64_t size)
{
    if (file->device || size > INT64_MAX)
        return -EINVAL;
    return ftruncate(file->fd, (off_t)size) ? -errno : 0;
}
