// SPDX-License-Identifier: MIT
// Owns the opening of an image and its chain (formats, probing, loops), the checks that every access passes,
// and what is the same for each format. host/image.h says what is trusted.
#include "host/image.h"
#include "base/error.h"
#include "base/types.h"
#include "host/block/image_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CHAIN_MAX = 64 };

struct chain {
    unsigned depth;
    uint64_t files[CHAIN_MAX][2]; // dev, ino
    bool guessed;                 // the image above did not state the format
};

static const struct {
    const char *magic, *name;
} known_heads[] = {{"QFI\xfb", "qcow2"}, {"KDMV", "VMDK"},         {"# Disk D", "VMDK"},
                   {"conectix", "VHD"},  {"vhdxfile", "VHDX"},     {"QED", "QED"},
                   {"<<< ", "VDI"},      {"WithoutFreeSp", "HDD"}, {"LUKS\xba\xbe", "LUKS"}};

const char *image_known_head(const void *head)
{
    for (size_t i = 0; i < ARRAY_SIZE(known_heads); i++) {
        size_t len = strlen(known_heads[i].magic);
        if (!memcmp(head, known_heads[i].magic, len < IMAGE_HEAD ? len : IMAGE_HEAD))
            return known_heads[i].name;
    }
    return NULL;
}

static int find_driver(struct image *image, const char *format, const char *path, struct error *err)
{
    char head[IMAGE_HEAD];
    int r;
    const char *found = format;
    if (!format) {
        r = host_file_read(&image->file, 0, head, sizeof head);
        if (r)
            return error_set(err, r, "cannot read '%s': %s", path, strerror(-r));
        found = image_known_head(head);
        image->probed = true;
    }
    if (!found || !strcmp(found, "raw"))
        image->driver = &image_raw;
    else if (!strcmp(found, "qcow2"))
        image->driver = &image_qcow2;
    else if (format)
        return error_set(err, -ENOTSUP, "format=%s is not supported (only raw and qcow2)", format);
    else
        return error_set(err, -ENOTSUP, "'%s' is a %s image; only raw and qcow2 ones are supported", path,
                         found);
    return 0;
}

static void image_free(struct image *image)
{
    host_file_close(&image->file);
    free(image->path);
    free(image->backing_path);
    free(image->backing_format);
    free(image);
}

static int open_link(const struct image_options *options, struct chain *chain, struct image **ret_image,
                     struct error *err);

// A relative name is relative to the folder of the image that holds it.
static char *beside(const char *path, const char *name)
{
    if (!strncmp(name, "file:", 5))
        name += 5;
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (name[0] == '/' || !slash)
        return strdup(name);
    char *out;
    return asprintf(&out, "%.*s%s", (int)(slash + 1 - path), path, name) < 0 ? NULL : out;
}

static int open_backing(struct image *image, const struct image_options *options, struct chain *chain,
                        struct error *err)
{
    if (!image->backing_path || options->no_backing)
        return 0;
    if (chain->guessed)
        return error_set(
            err, -EPERM,
            "'%s' was taken for qcow2 by a guess and names a backing file; the image above it must "
            "state its format",
            image->path);
    if (!strncmp(image->backing_path, "json:", 5) || strstr(image->backing_path, "://"))
        return error_set(err, -ENOTSUP, "the backing file '%s' of '%s' is not a plain file",
                         image->backing_path, image->path);
    char *path = beside(image->path, image->backing_path);
    if (!path)
        return error_set(err, -ENOMEM, "out of memory");
    struct image_options below = {.path = path,
                                  .format = image->backing_format,
                                  .readonly = true,
                                  .unlocked = options->unlocked,
                                  .direct = options->direct};
    chain->guessed = !image->backing_format;
    int r = open_link(&below, chain, &image->backing, err);
    free(path);
    return r;
}

static int open_link(const struct image_options *options, struct chain *chain, struct image **ret_image,
                     struct error *err)
{
    struct image *image = calloc(1, sizeof *image);
    if (!image)
        return error_set(err, -ENOMEM, "out of memory");
    image->file.fd = image->file.direct_fd = -1;
    image->path = strdup(options->path);
    image->readonly = options->readonly;
    image->unmap = options->unmap;
    int r = image->path ? host_file_open(options->path, options->readonly, options->direct, &image->file, err)
                        : error_set(err, -ENOMEM, "out of memory");
    image->file.unsafe = options->unsafe;
    for (unsigned i = 0; !r && i < chain->depth; i++)
        if (chain->files[i][0] == image->file.dev && chain->files[i][1] == image->file.ino)
            r = error_set(err, -ELOOP, "the backing files of '%s' form a loop", options->path);
    if (!r && chain->depth == CHAIN_MAX)
        r = error_set(err, -ELOOP, "there are more than %d backing files below each other", CHAIN_MAX);
    if (!r) {
        chain->files[chain->depth][0] = image->file.dev;
        chain->files[chain->depth++][1] = image->file.ino;
        r = options->unlocked ? 0 : host_file_lock(&image->file, options->path, err);
    }
    if (!r)
        r = find_driver(image, options->format, options->path, err);
    if (r) {
        image_free(image);
        return r;
    }
    r = image->driver->open(image, options, err);
    if (r) {
        image_free(image);
        return r;
    }
    r = open_backing(image, options, chain, err);
    if (r) {
        image_close(image);
        return r;
    }
    *ret_image = image;
    return 0;
}

int image_open(const struct image_options *options, struct image **ret_image, struct error *err)
{
    struct chain chain = {0};
    return open_link(options, &chain, ret_image, err);
}

int image_open_overlay(struct image *base, struct image **ret_image, struct error *err)
{
    struct image *image = calloc(1, sizeof *image);
    if (!image)
        return error_set(err, -ENOMEM, "out of memory");
    image->driver = &image_qcow2;
    image->file.fd = image->file.direct_fd = -1;
    struct image_create create = {.size = base->size};
    struct image_options options = {.path = "the temporary overlay", .no_backing = true};
    int r = host_file_temporary(&image->file, err);
    if (!r)
        r = qcow2_format(&image->file, &create, err);
    image->backing = base; // the driver looks at whether there is one
    if (!r)
        r = image->driver->open(image, &options, err);
    if (r) {
        image_free(image);
        return r;
    }
    image->unmap = true;
    *ret_image = image;
    return 0;
}

int image_close(struct image *image)
{
    int result = 0;
    while (image) {
        struct image *below = image->backing;
        int r = image->driver->close(image);
        if (!result)
            result = r;
        image_free(image);
        image = below;
    }
    return result;
}

uint64_t image_size(const struct image *image)
{
    return image->size;
}

uint64_t image_granule(const struct image *image)
{
    return image->granule;
}

bool image_readonly(const struct image *image)
{
    return image->readonly;
}

const char *image_format(const struct image *image)
{
    return image->driver->name;
}

const char *image_note(const struct image *image)
{
    return image->file.note;
}

static int inside(const struct image *image, uint64_t offset, uint64_t len, bool write)
{
    if (write && image->readonly)
        return -EPERM;
    return offset > image->size || len > image->size - offset ? -EINVAL : 0;
}

int image_read(struct image *image, uint64_t offset, const struct iovec *iov, int count)
{
    uint64_t len = iov_len(iov, count);
    int r = inside(image, offset, len, false);
    return r || !len ? r : image->driver->read(image, offset, iov, count, len);
}

int image_write(struct image *image, uint64_t offset, const struct iovec *iov, int count)
{
    uint64_t len = iov_len(iov, count);
    int r = inside(image, offset, len, true);
    return r || !len ? r : image->driver->write(image, offset, iov, count, len);
}

int image_flush(struct image *image)
{
    return image->readonly ? 0 : image->driver->flush(image);
}

int image_discard(struct image *image, uint64_t offset, uint64_t len)
{
    int r = inside(image, offset, len, true);
    return r || !len ? r : image->driver->discard(image, offset, len);
}

int image_zero(struct image *image, uint64_t offset, uint64_t len, bool unmap)
{
    int r = inside(image, offset, len, true);
    return r || !len ? r : image->driver->zero(image, offset, len, unmap);
}

int image_pread(struct image *image, uint64_t offset, void *buf, size_t len)
{
    return image_read(image, offset, &(struct iovec){buf, len}, 1);
}

int image_pwrite(struct image *image, uint64_t offset, const void *buf, size_t len)
{
    return image_write(image, offset, &(struct iovec){(void *)(uintptr_t)buf, len}, 1);
}

int image_write_compressed(struct image *image, uint64_t offset, const void *buf, size_t len)
{
    int r = inside(image, offset, len, true);
    if (r || !image->driver->write_compressed)
        return r ? r : -ENOTSUP;
    bool whole = offset % image->granule == 0 && (len == image->granule || offset + len == image->size);
    return whole && len <= image->granule ? image->driver->write_compressed(image, offset, buf, len)
                                          : -EINVAL;
}

int image_read_below(struct image *image, uint64_t offset, const struct iovec *iov, int count, uint64_t len)
{
    struct image *below = image->backing;
    uint64_t part = !below || offset >= below->size ? 0
                    : len < below->size - offset    ? len
                                                    : below->size - offset;
    if (part == len)
        return below->driver->read(below, offset, iov, count, len);
    for (int i = 0; i < count; i++) {
        uint64_t here = iov[i].iov_len < part ? iov[i].iov_len : part;
        int r =
            here ? below->driver->read(below, offset, &(struct iovec){iov[i].iov_base, here}, 1, here) : 0;
        if (r)
            return r;
        memset((uint8_t *)iov[i].iov_base + here, 0, iov[i].iov_len - here);
        offset += here;
        part -= here;
    }
    return 0;
}

int image_status(struct image *image, uint64_t offset, uint64_t len, bool *ret_zero, uint64_t *ret_len)
{
    int r = inside(image, offset, len, false);
    for (; !r && len; image = image->backing) {
        int kind;
        uint64_t run;
        r = image->driver->status(image, offset, len, &kind, &run);
        if (r)
            break;
        len = run;
        *ret_zero = kind == IMAGE_ZERO || (kind == IMAGE_BACKING && !image->backing);
        if (kind != IMAGE_BACKING || !image->backing)
            break;
        uint64_t below = image->backing->size;
        *ret_zero = offset >= below;
        if (*ret_zero)
            break;
        len = len < below - offset ? len : below - offset;
    }
    *ret_len = len;
    return r;
}

int image_resize(struct image *image, uint64_t size, bool shrink, struct error *err)
{
    const char *path = image->path ? image->path : "the image";
    if (image->readonly)
        return error_set(err, -EPERM, "'%s' is read-only", path);
    if (size < image->size && !shrink)
        return error_set(err, -EINVAL, "'%s' would shrink and lose data; that needs --shrink", path);
    uint64_t before = image->size;
    int r = image->driver->resize(image, size, err);
    uint64_t below = image->backing ? image->backing->size : 0;
    if (!r && size > before && below > before) { // a longer backing file must not show
        r = image_zero(image, before, (size < below ? size : below) - before, true);
        if (r)
            error_set(err, r, "cannot clear the new end of '%s': %s", path, strerror(-r));
    }
    return r;
}

void image_get_info(const struct image *image, struct image_info *ret_info)
{
    struct stat st;
    *ret_info = (struct image_info){.format = image->driver->name,
                                    .size = image->size,
                                    .backing = image->backing_path,
                                    .backing_format = image->backing_format};
    if (!fstat(image->file.fd, &st))
        ret_info->allocated = (uint64_t)st.st_blocks * 512;
    if (image->driver->info)
        image->driver->info(image, ret_info);
}

int image_check(struct image *image, enum image_repair repair, void (*say)(void *opaque, const char *text),
                void *opaque, struct image_check *ret_check, struct error *err)
{
    if (!image->driver->check)
        return error_set(err, -ENOTSUP, "a %s image has nothing to check", image->driver->name);
    if (repair && image->readonly)
        return error_set(err, -EPERM, "'%s' is read-only", image->path);
    return image->driver->check(image, repair, say, opaque, ret_check, err);
}

static int no_snapshots(const struct image *image, struct error *err)
{
    return error_set(err, -ENOTSUP, "a %s image cannot hold snapshots", image->driver->name);
}

static int needs_writing(const struct image *image, struct error *err)
{
    return image->readonly ? error_set(err, -EPERM, "'%s' is read-only", image->path) : 0;
}

int image_snapshot_list(struct image *image, struct image_snapshot **ret_list, size_t *ret_count,
                        struct error *err)
{
    return image->driver->snapshot_list ? image->driver->snapshot_list(image, ret_list, ret_count, err)
                                        : no_snapshots(image, err);
}

int image_snapshot_create(struct image *image, struct image_snapshot *snapshot, struct error *err)
{
    int r = needs_writing(image, err);
    if (r)
        return r;
    return image->driver->snapshot_create ? image->driver->snapshot_create(image, snapshot, err)
                                          : no_snapshots(image, err);
}

int image_snapshot_apply(struct image *image, const char *name, struct error *err)
{
    int r = needs_writing(image, err);
    if (r)
        return r;
    return image->driver->snapshot_apply ? image->driver->snapshot_apply(image, name, err)
                                         : no_snapshots(image, err);
}

int image_snapshot_delete(struct image *image, const char *name, struct error *err)
{
    int r = needs_writing(image, err);
    if (r)
        return r;
    return image->driver->snapshot_delete ? image->driver->snapshot_delete(image, name, err)
                                          : no_snapshots(image, err);
}

int image_vmstate_write(struct image *image, uint64_t offset, const void *buf, size_t len)
{
    if (image->readonly || !image->driver->vmstate)
        return image->readonly ? -EPERM : -ENOTSUP;
    return image->driver->vmstate(image, true, offset, (void *)(uintptr_t)buf, len);
}

int image_vmstate_read(struct image *image, uint64_t offset, void *buf, size_t len)
{
    return image->driver->vmstate ? image->driver->vmstate(image, false, offset, buf, len) : -ENOTSUP;
}

int image_snapshot_read_vmstate(struct image *image, const char *name, uint64_t offset, void *buf, size_t len)
{
    return image->driver->snapshot_vmstate ? image->driver->snapshot_vmstate(image, name, offset, buf, len) : -ENOTSUP;
}

static int create_file(const struct image_create *create, struct image_create *wanted, struct error *err)
{
    struct host_file file;
    FILE *made = fopen(create->path, "a"); // keeps the permissions of a file that is there
    if (!made)
        return error_set(err, -errno, "cannot create '%s': %s", create->path, strerror(errno));
    fclose(made);
    int r = host_file_open(create->path, false, false, &file, err);
    if (r)
        return r;
    r = host_file_lock(&file, create->path, err);
    if (!r && !file.device && (r = host_file_resize(&file, 0)))
        error_set(err, r, "cannot empty '%s': %s", create->path, strerror(-r));
    if (!r && !strcmp(create->format, "qcow2")) {
        r = qcow2_format(&file, wanted, err);
    } else if (!r && !file.device && (r = host_file_resize(&file, wanted->size))) {
        error_set(err, r, "cannot make '%s' that large: %s", create->path, strerror(-r));
    }
    host_file_close(&file);
    return r;
}

int image_create(const struct image_create *create, struct error *err)
{
    struct image_create wanted = *create;
    bool qcow2 = !strcmp(create->format, "qcow2");
    if (!qcow2 && strcmp(create->format, "raw"))
        return error_set(err, -ENOTSUP, "format '%s' is not supported (only raw and qcow2)", create->format);
    if (!qcow2 && (create->backing || create->cluster_size || create->version || create->refcount_bits ||
                   create->lazy_refcounts || create->zstd))
        return error_set(err, -EINVAL, "a raw image has no backing file and no options");
    if (create->backing) {
        if (!create->backing_format)
            return error_set(err, -EINVAL, "a backing file needs its format stated (-F)");
        char *path = beside(create->path, create->backing);
        if (!path)
            return error_set(err, -ENOMEM, "out of memory");
        struct image *backing;
        struct image_options options = {.path = path, .format = create->backing_format, .readonly = true};
        int r = image_open(&options, &backing, err);
        free(path);
        if (r)
            return r;
        if (wanted.size == UINT64_MAX)
            wanted.size = backing->size;
        image_close(backing);
    }
    if (wanted.size == UINT64_MAX)
        return error_set(err, -EINVAL, "an image without a backing file needs a size");
    return create_file(create, &wanted, err);
}
