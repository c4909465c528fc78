// SPDX-License-Identifier: MIT
// Owns opening and closing of qcow2 images: the header, its extensions, which features we know, and the
// driver's table. Everything that the header says is checked before it is used or allocated for.
#include "base/error.h"
#include "host/block/qcow2_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_BYTES = 4 << 20, CACHE_MIN = 16, CACHE_MAX = 1024, HEAD_MAX = 4096, NAME_MAX_BYTES = 1023 };

static int bad(struct error *err, const struct image_options *o, const char *what)
{
    return error_set(err, -EINVAL, "'%s' is not a valid qcow2 image: %s", o->path, what);
}

static int check_features(struct qcow2 *s, const uint8_t *head, const struct image_options *o,
                          struct error *err)
{
    uint64_t known = QCOW2_INCOMPATIBLE_DIRTY | QCOW2_INCOMPATIBLE_CORRUPT | QCOW2_INCOMPATIBLE_COMPRESSION;
    if (s->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE)
        return error_set(err, -ENOTSUP, "'%s' keeps its data in another file, which is not supported",
                         o->path);
    if (s->incompatible & QCOW2_INCOMPATIBLE_EXTENDED_L2)
        return error_set(err, -ENOTSUP, "'%s' has extended L2 entries, which are not supported", o->path);
    if (s->incompatible & ~known)
        return error_set(err, -ENOTSUP, "'%s' has incompatible features that are not known (0x%llx)", o->path,
                         (unsigned long long)(s->incompatible & ~known));
    if (s->incompatible & QCOW2_INCOMPATIBLE_CORRUPT && !o->readonly && !o->as_is)
        return error_set(err, -EIO, "'%s' is marked as corrupt; 'img check -r all' may repair it", o->path);
    if (qcow2_be32(head + QCOW2_H_CRYPT))
        return error_set(err, -ENOTSUP, "'%s' is encrypted, which is not supported", o->path);
    unsigned type = s->header_length > QCOW2_H_COMPRESSION ? head[QCOW2_H_COMPRESSION] : 0;
    if (type > 1 || (s->incompatible & QCOW2_INCOMPATIBLE_COMPRESSION && !type))
        return error_set(err, -ENOTSUP, "'%s' has compression type %u, which is not known", o->path, type);
    s->zstd = s->incompatible & QCOW2_INCOMPATIBLE_COMPRESSION && type == 1;
    return 0;
}

static int parse_basics(struct qcow2 *s, const uint8_t *head, const struct image_options *o,
                        struct error *err)
{
    if (memcmp(head, "QFI\xfb", 4))
        return bad(err, o, "it does not begin like one");
    s->version = qcow2_be32(head + QCOW2_H_VERSION);
    if (s->version < 2 || s->version > 3)
        return error_set(err, -ENOTSUP, "'%s' is of qcow2's version %u; 2 and 3 are supported", o->path,
                         s->version);
    s->cluster_bits = qcow2_be32(head + QCOW2_H_CLUSTER_BITS);
    if (s->cluster_bits < 9 || s->cluster_bits > 21)
        return bad(err, o, "its cluster size is out of range");
    s->cluster_size = 1ull << s->cluster_bits;
    s->l2_bits = s->cluster_bits - 3;
    s->refcount_order = 4;
    s->header_length = QCOW2_H_V2_LENGTH;
    if (s->version == 3) {
        s->incompatible = qcow2_be64(head + QCOW2_H_INCOMPATIBLE);
        s->compatible = qcow2_be64(head + QCOW2_H_COMPATIBLE);
        s->autoclear = qcow2_be64(head + QCOW2_H_AUTOCLEAR);
        s->refcount_order = qcow2_be32(head + QCOW2_H_REFCOUNT_ORDER);
        s->header_length = qcow2_be32(head + QCOW2_H_LENGTH);
        if (s->header_length < QCOW2_H_COMPRESSION || s->header_length > s->cluster_size ||
            s->header_length > HEAD_MAX)
            return bad(err, o, "its header's length is out of range");
        if (s->refcount_order > 6)
            return bad(err, o, "its reference counts are too wide");
    }
    s->refblock_bits = s->cluster_bits + 3 - s->refcount_order;
    return check_features(s, head, o, err);
}

static bool table_fits(const struct qcow2 *s, uint64_t offset, uint64_t len)
{
    return !(offset & (s->cluster_size - 1)) && offset < s->end && len <= s->end - offset;
}

static int parse_places(struct qcow2 *s, const uint8_t *head, const struct image_options *o,
                        struct error *err)
{
    uint64_t size = s->image->size = qcow2_be64(head + QCOW2_H_SIZE), span = qcow2_l2_span(s);
    s->l1_size = qcow2_be32(head + QCOW2_H_L1_SIZE);
    s->l1_offset = qcow2_be64(head + QCOW2_H_L1_OFFSET);
    s->reftable_offset = qcow2_be64(head + QCOW2_H_REFTABLE_OFFSET);
    s->reftable_clusters = qcow2_be32(head + QCOW2_H_REFTABLE_CLUSTERS);
    if (size > INT64_MAX / 2 || size / span + 2 > QCOW2_MAX_L1 / 8)
        return bad(err, o, "its size is out of range");
    if (s->l1_size > QCOW2_MAX_L1 / 8 || s->l1_size < (size + span - 1) / span ||
        (s->l1_size && !table_fits(s, s->l1_offset, 8ull * s->l1_size)))
        return bad(err, o, "its L1 table is out of range");
    uint64_t bytes = (uint64_t)s->reftable_clusters << s->cluster_bits;
    if (!s->reftable_clusters || bytes > QCOW2_MAX_REFTABLE || !table_fits(s, s->reftable_offset, bytes) ||
        !s->reftable_offset)
        return bad(err, o, "its refcount table is out of range");
    s->snapshots_offset = qcow2_be64(head + QCOW2_H_SNAPSHOTS_OFFSET);
    uint32_t count = qcow2_be32(head + QCOW2_H_SNAPSHOTS);
    if (count > QCOW2_MAX_SNAPSHOTS ||
        (count && (!table_fits(s, s->snapshots_offset, 0) || !s->snapshots_offset)))
        return bad(err, o, "its snapshot table is out of range");
    return 0;
}

static int parse_names(struct qcow2 *s, const uint8_t *head, const struct image_options *o, struct error *err)
{
    uint64_t offset = qcow2_be64(head + QCOW2_H_BACKING_OFFSET);
    uint32_t size = qcow2_be32(head + QCOW2_H_BACKING_SIZE);
    uint64_t end = offset && size ? offset : HEAD_MAX < s->cluster_size ? HEAD_MAX : s->cluster_size;
    struct image *image = s->image;
    if (offset && size) {
        if (size > NAME_MAX_BYTES || offset > s->cluster_size || size > s->cluster_size - offset)
            return bad(err, o, "the name of its backing file is out of range");
        image->backing_path = calloc(1, size + 1);
        int r = image->backing_path ? host_file_read(s->file, offset, image->backing_path, size) : -ENOMEM;
        if (r)
            return error_set(err, r, "cannot read '%s': %s", o->path, strerror(-r));
        if (strlen(image->backing_path) != size)
            return bad(err, o, "the name of its backing file is no text");
    }
    end = end < HEAD_MAX ? end : HEAD_MAX;
    for (uint64_t at = s->header_length; at + 8 <= end;) {
        uint32_t type = qcow2_be32(head + at), len = qcow2_be32(head + at + 4);
        at += 8;
        if (type == 0)
            break;
        if (len > end - at)
            return s->version == 2 ? 0 : bad(err, o, "a header extension is too long");
        if (type == QCOW2_EXTENSION_BACKING_FORMAT && len < 16 && !image->backing_format) {
            image->backing_format = strndup((const char *)head + at, len);
            if (!image->backing_format)
                return error_set(err, -ENOMEM, "out of memory");
        }
        at += (len + 7ull) & ~7ull;
    }
    return 0;
}

// -EINVAL: the table is where it cannot be, or where another one is.
static int note_table(struct qcow2 *s, uint64_t offset, const struct image_options *o)
{
    if (!offset || o->as_is)
        return 0;
    if (offset & (s->cluster_size - 1) || offset >= s->end ||
        qcow2_set_has(&s->metadata, offset >> s->cluster_bits))
        return -EINVAL;
    return qcow2_set_add(&s->metadata, offset >> s->cluster_bits);
}

static int load_tables(struct qcow2 *s, const struct image_options *o, struct error *err)
{
    s->reftable_size = ((uint64_t)s->reftable_clusters << s->cluster_bits) / 8;
    int r = qcow2_read_table64(s, s->l1_offset, s->l1_size, &s->l1);
    if (!r)
        r = qcow2_read_table64(s, s->reftable_offset, s->reftable_size, &s->reftable);
    if (!r && !o->readonly) {
        r = qcow2_set_add(&s->metadata, 0);
        if (!r)
            r = qcow2_set_add_range(s, s->l1_offset, 8ull * s->l1_size);
        if (!r)
            r = qcow2_set_add_range(s, s->reftable_offset, 8 * s->reftable_size);
        for (uint64_t i = 0; i < s->reftable_size && !r; i++)
            r = note_table(s, s->reftable[i], o);
        for (uint32_t i = 0; i < s->l1_size && !r; i++)
            r = note_table(s, s->l1[i] & ~QCOW2_COPIED, o);
    }
    if (r == -EINVAL)
        return bad(err, o, "its tables lie over each other or outside");
    return r ? error_set(err, r, "cannot read the tables of '%s': %s", o->path, strerror(-r)) : 0;
}

// What an unclean end left behind, and what software that does not know us must not rely on any more.
static int prepare_writing(struct qcow2 *s, const struct image_options *o, struct error *err)
{
    int r = 0;
    if (o->readonly || o->as_is)
        return 0;
    if (s->incompatible & QCOW2_INCOMPATIBLE_DIRTY) {
        struct image_check check;
        r = qcow2_check(s->image, IMAGE_REPAIR_ALL, NULL, NULL, &check, err);
        if (!r && check.errors)
            r = error_set(err, -EIO, "'%s' was not closed and cannot be repaired", o->path);
    }
    if (!r && s->version >= 3 && s->autoclear) {
        uint8_t field[8] = {0};
        r = host_file_write(s->file, QCOW2_H_AUTOCLEAR, field, sizeof field);
        s->autoclear = 0;
        if (r)
            error_set(err, r, "cannot write '%s': %s", o->path, strerror(-r));
    }
    return r;
}

static void destroy(struct qcow2 *s)
{
    qcow2_cache_free(&s->l2);
    qcow2_cache_free(&s->refblocks);
    qcow2_free_snapshots(s);
    pthread_mutex_destroy(&s->lock);
    free(s->metadata.slots);
    free(s->l1);
    free(s->reftable);
    free(s->frees);
    free(s->plain);
    free(s);
}

static int qcow2_open(struct image *image, const struct image_options *o, struct error *err)
{
    uint8_t head[HEAD_MAX] = {0};
    uint64_t size = 0;
    struct qcow2 *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, -ENOMEM, "out of memory");
    image->state = s;
    s->image = image;
    s->file = &image->file;
    pthread_mutex_init(&s->lock, NULL);
    int r = host_file_size(s->file, &size);
    if (!r)
        r = host_file_read(s->file, 0, head, sizeof head);
    if (r)
        error_set(err, r, "cannot read '%s': %s", o->path, strerror(-r));
    if (!r)
        r = parse_basics(s, head, o, err);
    if (!r) {
        uint64_t tables = CACHE_BYTES >> s->cluster_bits;
        s->l2.max = s->refblocks.max = (unsigned)(tables < CACHE_MIN   ? CACHE_MIN
                                                  : tables > CACHE_MAX ? CACHE_MAX
                                                                       : tables);
        s->end = qcow2_clusters(s, size) << s->cluster_bits;
        image->granule = s->cluster_size;
        r = parse_places(s, head, o, err);
    }
    if (!r)
        r = parse_names(s, head, o, err);
    if (!r)
        r = load_tables(s, o, err);
    if (!r)
        r = qcow2_load_snapshots(s, qcow2_be32(head + QCOW2_H_SNAPSHOTS), err);
    if (!r && o->snapshot)
        r = image->readonly ? qcow2_use_snapshot(s, o->snapshot, err)
                            : error_set(err, -EINVAL, "an internal snapshot can only be read");
    if (!r)
        r = prepare_writing(s, o, err);
    if (r) {
        destroy(s);
        image->state = NULL;
    }
    return r;
}

static int flush(struct image *image)
{
    struct qcow2 *s = image->state;
    pthread_mutex_lock(&s->lock);
    int r = qcow2_flush_tables(s);
    pthread_mutex_unlock(&s->lock);
    int sync = host_file_sync(s->file);
    return r ? r : sync;
}

// Counts that went down after the last flush, and with lazy refcounts all of them.
static int qcow2_close(struct image *image)
{
    struct qcow2 *s = image->state;
    int r = 0;
    if (!image->readonly && !s->broken) {
        pthread_mutex_lock(&s->lock);
        r = qcow2_flush_tables(s);
        bool dirty =
            s->incompatible & QCOW2_INCOMPATIBLE_DIRTY && s->compatible & QCOW2_COMPATIBLE_LAZY_REFCOUNTS;
        s->compatible &= ~QCOW2_COMPATIBLE_LAZY_REFCOUNTS;
        if (!r)
            r = qcow2_flush_tables(s);
        if (!r && dirty && !(r = host_file_sync(s->file)))
            r = qcow2_set_incompatible(s, s->incompatible & ~QCOW2_INCOMPATIBLE_DIRTY);
        pthread_mutex_unlock(&s->lock);
        int sync = host_file_sync(s->file);
        r = r ? r : sync;
    }
    destroy(s);
    return r;
}

static int resize_tables(struct qcow2 *s, uint64_t size)
{
    uint64_t span = qcow2_l2_span(s), entries = (size + span - 1) / span;
    if (size > INT64_MAX / 2 || entries > QCOW2_MAX_L1 / 8)
        return -EFBIG;
    pthread_mutex_lock(&s->lock);
    int r = size > s->image->size ? qcow2_drop_vmstate(s) : 0; // it would become the disk's new end
    if (!r)
        r = qcow2_grow_l1(s, (uint32_t)entries);
    if (!r)
        r = qcow2_flush_tables(s);
    uint8_t field[8];
    qcow2_put64(field, size);
    if (!r)
        r = host_file_write(s->file, QCOW2_H_SIZE, field, sizeof field);
    if (!r)
        r = host_file_sync(s->file);
    if (!r)
        s->image->size = size;
    pthread_mutex_unlock(&s->lock);
    return r;
}

static int resize(struct image *image, uint64_t size, struct error *err)
{
    struct qcow2 *s = image->state;
    uint64_t old = image->size, rounded = (size + s->cluster_size - 1) & ~(s->cluster_size - 1);
    if (size & 511)
        return error_set(err, -EINVAL, "a disk's size is a multiple of 512 bytes");
    if (s->snapshot_count && (size < old || s->version < 3))
        return error_set(err, -ENOTSUP, "an image with snapshots cannot be resized like that");
    int r = 0;
    if (size < old) {
        bool unmap = image->unmap;
        image->unmap = true; // what is cut off must not come back when it grows again
        r = size < rounded && rounded <= old ? qcow2_zero(image, size, rounded - size, true) : 0;
        if (!r && rounded < old)
            r = qcow2_discard(image, rounded, old - rounded);
        image->unmap = unmap;
    }
    if (!r)
        r = resize_tables(s, size);
    return r ? error_set(err, r, "cannot resize '%s': %s", image->path, strerror(-r)) : 0;
}

static void info(const struct image *image, struct image_info *info)
{
    const struct qcow2 *s = image->state;
    info->cluster_size = s->cluster_size;
    info->version = s->version;
    info->refcount_bits = 1u << s->refcount_order;
    info->lazy_refcounts = s->compatible & QCOW2_COMPATIBLE_LAZY_REFCOUNTS;
    info->dirty = s->incompatible & QCOW2_INCOMPATIBLE_DIRTY;
    info->corrupt = s->incompatible & QCOW2_INCOMPATIBLE_CORRUPT;
    info->zstd = s->zstd;
}

const struct image_driver image_qcow2 = {
    .name = "qcow2",
    .open = qcow2_open,
    .close = qcow2_close,
    .read = qcow2_read,
    .write = qcow2_write,
    .flush = flush,
    .discard = qcow2_discard,
    .zero = qcow2_zero,
    .status = qcow2_status,
    .resize = resize,
    .write_compressed = qcow2_write_packed,
    .info = info,
    .check = qcow2_check,
    .snapshot_list = qcow2_snapshot_list,
    .snapshot_create = qcow2_snapshot_create,
    .snapshot_apply = qcow2_snapshot_apply,
    .snapshot_delete = qcow2_snapshot_delete,
    .vmstate = qcow2_vmstate,
    .snapshot_vmstate = qcow2_snapshot_vmstate,
};
