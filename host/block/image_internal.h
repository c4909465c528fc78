// SPDX-License-Identifier: MIT
// What an image format fills in. Private to host/block. Offsets and lengths were checked against the image by
// image.c; the file is open and locked. Errors and threads as in host/image.h.
#ifndef HOST_BLOCK_IMAGE_INTERNAL_H
#define HOST_BLOCK_IMAGE_INTERNAL_H

#include "host/block/file_internal.h"
#include "host/image.h"

struct image;

struct image_driver {
    const char *name;
    // Fills size, granule, state, backing_path and backing_format.
    int (*open)(struct image *image, const struct image_options *options, struct error *err);
    int (*close)(struct image *image);
    int (*read)(struct image *image, uint64_t offset, const struct iovec *iov, int count, uint64_t len);
    int (*write)(struct image *image, uint64_t offset, const struct iovec *iov, int count, uint64_t len);
    int (*flush)(struct image *image);
    int (*discard)(struct image *image, uint64_t offset, uint64_t len);
    int (*zero)(struct image *image, uint64_t offset, uint64_t len, bool unmap);
    // *ret_kind: of the first bytes, whose number is *ret_len.
    int (*status)(struct image *image, uint64_t offset, uint64_t len, int *ret_kind, uint64_t *ret_len);
    int (*resize)(struct image *image, uint64_t size, struct error *err);
    // The rest may be NULL.
    int (*write_compressed)(struct image *image, uint64_t offset, const void *buf, size_t len);
    void (*info)(const struct image *image, struct image_info *info);
    int (*check)(struct image *image, enum image_repair repair, void (*say)(void *, const char *),
                 void *opaque, struct image_check *ret_check, struct error *err);
    int (*snapshot_list)(struct image *, struct image_snapshot **, size_t *, struct error *);
    int (*snapshot_create)(struct image *, struct image_snapshot *, struct error *);
    int (*snapshot_apply)(struct image *, const char *, struct error *);
    int (*snapshot_delete)(struct image *, const char *, struct error *);
    int (*vmstate)(struct image *image, bool write, uint64_t offset, void *buf, size_t len);
    int (*snapshot_vmstate)(struct image *image, const char *name, uint64_t offset, void *buf, size_t len);
};

enum image_kind { IMAGE_DATA, IMAGE_ZERO, IMAGE_BACKING };

struct image {
    const struct image_driver *driver;
    struct host_file file;
    struct image *backing; // owned
    uint64_t size, granule;
    bool readonly, unmap;
    bool probed;                         // the format is a guess
    char *path;                          // NULL: a file without a name
    char *backing_path, *backing_format; // as written in the image, or NULL
    void *state;                         // the driver's
};

extern const struct image_driver image_raw, image_qcow2;

// What lies below, zeros behind its end.
int image_read_below(struct image *image, uint64_t offset, const struct iovec *iov, int count, uint64_t len);
// Whether the file has the head of a format we know; its name, or NULL. head has IMAGE_HEAD bytes.
enum { IMAGE_HEAD = 8 };
const char *image_known_head(const void *head);

// Writes an empty image; backing size and names were settled.
int qcow2_format(const struct host_file *file, const struct image_create *create, struct error *err);

#endif
