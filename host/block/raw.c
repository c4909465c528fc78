// SPDX-License-Identifier: MIT
// Owns raw images: the disk's bytes are the file's. A last partial sector reads as filled up with zeros and
// is not part of the disk.
#include "base/error.h"
#include "host/block/image_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int raw_open(struct image *image, const struct image_options *options, struct error *err)
{
    if (options->snapshot)
        return error_set(err, -ENOTSUP, "'%s' is raw and has no snapshots", options->path);
    image->granule = 1;
    int r = host_file_size(&image->file, &image->size);
    return r ? error_set(err, r, "cannot find the size of '%s': %s", options->path, strerror(-r)) : 0;
}

static int raw_close(struct image *image)
{
    return 0;
}

static int raw_read(struct image *image, uint64_t offset, const struct iovec *iov, int count, uint64_t len)
{
    return host_file_readv(&image->file, offset, iov, count);
}

static int raw_write(struct image *image, uint64_t offset, const struct iovec *iov, int count, uint64_t len)
{
    if (image->probed && offset < IMAGE_HEAD) { // see host/image.h
        uint8_t head[IMAGE_HEAD] = {0};
        int r = offset || len < IMAGE_HEAD ? host_file_read(&image->file, 0, head, sizeof head) : 0;
        if (r)
            return r;
        size_t at = offset;
        for (int i = 0; i < count && at < sizeof head; i++)
            for (size_t n = 0; n < iov[i].iov_len && at < sizeof head; n++)
                head[at++] = ((const uint8_t *)iov[i].iov_base)[n];
        if (image_known_head(head))
            return -EPERM;
    }
    return host_file_writev(&image->file, offset, iov, count);
}

static int raw_flush(struct image *image)
{
    return host_file_sync(&image->file);
}

static int raw_discard(struct image *image, uint64_t offset, uint64_t len)
{
    return image->unmap ? host_file_punch(&image->file, offset, len) : 0;
}

static int raw_zero(struct image *image, uint64_t offset, uint64_t len, bool unmap)
{
    return host_file_zero(&image->file, offset, len, unmap && image->unmap);
}

static int raw_status(struct image *image, uint64_t offset, uint64_t len, int *ret_kind, uint64_t *ret_len)
{
    off_t data = lseek(image->file.fd, (off_t)offset, SEEK_DATA);
    bool none = data < 0 && errno == ENXIO;
    off_t end = data < 0 ? (off_t)(offset + len) : data;
    bool hole = none || data > (off_t)offset;
    if (!hole && data >= 0)
        end = lseek(image->file.fd, (off_t)offset, SEEK_HOLE);
    uint64_t run = end > (off_t)offset ? (uint64_t)end - offset : len;
    *ret_kind = hole ? IMAGE_ZERO : IMAGE_DATA;
    *ret_len = run < len ? run : len;
    return 0;
}

static int raw_resize(struct image *image, uint64_t size, struct error *err)
{
    int r = host_file_resize(&image->file, size);
    if (r)
        return error_set(err, r, "cannot resize '%s': %s", image->path ? image->path : "the image",
                         strerror(-r));
    image->size = size;
    return 0;
}

const struct image_driver image_raw = {
    .name = "raw",
    .open = raw_open,
    .close = raw_close,
    .read = raw_read,
    .write = raw_write,
    .flush = raw_flush,
    .discard = raw_discard,
    .zero = raw_zero,
    .status = raw_status,
    .resize = raw_resize,
};
