// SPDX-License-Identifier: MIT
// Owns the making of an empty qcow2 image: header, refcount table, refcount blocks, L1 table, in this order
// and one behind the other.
#include "base/error.h"
#include "host/block/qcow2_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct layout {
    unsigned cluster_bits, refcount_order, version;
    uint64_t cluster, l1_entries, l1, reftable, blocks, total; // clusters, but l1_entries
};

static int log2_of(uint64_t value)
{
    return value && !(value & (value - 1)) ? __builtin_ctzll(value) : -1;
}

static int plan(const struct image_create *c, struct layout *ret, struct error *err)
{
    int bits = log2_of(c->cluster_size ? c->cluster_size : 65536);
    int order = log2_of(c->refcount_bits ? c->refcount_bits : 16);
    struct layout p = {.version = c->version ? c->version : 3};
    if (bits < 9 || bits > 21)
        return error_set(err, -EINVAL, "cluster_size must be a power of two from 512 to 2M");
    if (order < 0 || order > 6)
        return error_set(err, -EINVAL, "refcount_bits must be a power of two up to 64");
    if (p.version < 2 || p.version > 3)
        return error_set(err, -EINVAL, "qcow2 has the versions 2 (compat=0.10) and 3 (compat=1.1)");
    if (p.version == 2 && (order != 4 || c->lazy_refcounts || c->zstd))
        return error_set(err, -EINVAL,
                         "compat=0.10 has neither lazy_refcounts, nor zstd, nor other refcount_bits than 16");
    p.cluster_bits = (unsigned)bits;
    p.refcount_order = (unsigned)order;
    p.cluster = 1ull << bits;
    uint64_t span = p.cluster * (p.cluster / 8), mask = p.cluster - 1;
    if (c->size > INT64_MAX / 2 || c->size / span + 2 > QCOW2_MAX_L1 / 8)
        return error_set(err, -EFBIG, "the size is too large for clusters of %llu bytes",
                         (unsigned long long)p.cluster);
    p.l1_entries = c->size ? (c->size + span - 1) / span : 1;
    p.l1 = (p.l1_entries * 8 + mask) >> bits;
    uint64_t per_block = p.cluster * 8 >> order;
    do { // the blocks count themselves
        p.total = 1 + p.reftable + p.blocks + p.l1;
        p.blocks = (p.total + per_block - 1) / per_block;
        p.reftable = (p.blocks * 8 + mask) >> bits;
    } while (p.total != 1 + p.reftable + p.blocks + p.l1);
    *ret = p;
    return 0;
}

static size_t put_extension(uint8_t *at, uint32_t type, const void *data, uint32_t len)
{
    qcow2_put32(at, type);
    qcow2_put32(at + 4, len);
    memcpy(at + 8, data, len);
    return 8 + ((len + 7) & ~7u);
}

// Tells older software which feature it lacks.
static size_t put_features(uint8_t *at)
{
    static const struct {
        uint8_t kind, bit;
        char name[46];
    } names[] = {
        {0, 0, "dirty bit"}, {0, 1, "corrupt bit"}, {0, 3, "compression type"}, {1, 0, "lazy refcounts"}};
    return put_extension(at, QCOW2_EXTENSION_FEATURES, names, sizeof names);
}

static int fill_header(const struct image_create *c, const struct layout *p, uint8_t *head, struct error *err)
{
    uint64_t cluster = p->cluster, at = QCOW2_H_V2_LENGTH;
    memcpy(head, "QFI\xfb", 4);
    qcow2_put32(head + QCOW2_H_VERSION, p->version);
    qcow2_put32(head + QCOW2_H_CLUSTER_BITS, p->cluster_bits);
    qcow2_put64(head + QCOW2_H_SIZE, c->size);
    qcow2_put64(head + QCOW2_H_REFTABLE_OFFSET, cluster);
    qcow2_put32(head + QCOW2_H_REFTABLE_CLUSTERS, (uint32_t)p->reftable);
    qcow2_put32(head + QCOW2_H_L1_SIZE, (uint32_t)p->l1_entries);
    qcow2_put64(head + QCOW2_H_L1_OFFSET, (1 + p->reftable + p->blocks) * cluster);
    if (p->version == 3) {
        qcow2_put64(head + QCOW2_H_INCOMPATIBLE, c->zstd ? QCOW2_INCOMPATIBLE_COMPRESSION : 0);
        qcow2_put64(head + QCOW2_H_COMPATIBLE, c->lazy_refcounts ? QCOW2_COMPATIBLE_LAZY_REFCOUNTS : 0);
        qcow2_put32(head + QCOW2_H_REFCOUNT_ORDER, p->refcount_order);
        qcow2_put32(head + QCOW2_H_LENGTH, QCOW2_H_V3_LENGTH);
        head[QCOW2_H_COMPRESSION] = c->zstd;
        at = QCOW2_H_V3_LENGTH;
    }
    size_t format = c->backing && c->backing_format ? strlen(c->backing_format) : 0;
    size_t name = c->backing ? strlen(c->backing) : 0;
    if (name > 1023 || at + 8 + format + 8 + 16 + name > cluster)
        return error_set(err, -EINVAL, "the name of the backing file is too long");
    if (format)
        at += put_extension(head + at, QCOW2_EXTENSION_BACKING_FORMAT, c->backing_format, (uint32_t)format);
    if (p->version == 3 && at + 8 + 4 * 48 + 8 + name <= cluster)
        at += put_features(head + at);
    at += 8; // the end
    if (name) {
        qcow2_put64(head + QCOW2_H_BACKING_OFFSET, at);
        qcow2_put32(head + QCOW2_H_BACKING_SIZE, (uint32_t)name);
        memcpy(head + at, c->backing, name);
    }
    return 0;
}

int qcow2_format(const struct host_file *file, const struct image_create *create, struct error *err)
{
    struct layout p = {0};
    int r = plan(create, &p, err);
    uint64_t bytes = r ? 0 : (1 + p.reftable + p.blocks) * p.cluster;
    uint8_t *head = r ? NULL : calloc(1, bytes);
    if (!r && !head)
        return error_set(err, -ENOMEM, "out of memory");
    if (r || (r = fill_header(create, &p, head, err))) {
        free(head);
        return r;
    }
    uint8_t *blocks = head + (1 + p.reftable) * p.cluster;
    for (uint64_t i = 0; i < p.blocks; i++)
        qcow2_put64(head + p.cluster + 8 * i, (1 + p.reftable + i) * p.cluster);
    uint64_t per_block = p.cluster * 8 >> p.refcount_order;
    for (uint64_t i = 0; i < p.total; i++)
        qcow2_refblock_put(blocks + i / per_block * p.cluster, p.refcount_order, i % per_block, 1);
    // The header comes last: until then this is no image at all.
    r = host_file_zero(file, bytes, (p.total << p.cluster_bits) - bytes, false);
    if (!r)
        r = host_file_write(file, p.cluster, head + p.cluster, bytes - p.cluster);
    uint64_t size = 0;
    if (!r)
        r = host_file_size(file, &size);
    if (!r && size < p.total << p.cluster_bits)
        r = host_file_resize(file, p.total << p.cluster_bits);
    if (!r)
        r = host_file_write(file, 0, head, p.cluster);
    free(head);
    return r ? error_set(err, r, "cannot write the image: %s", strerror(-r)) : 0;
}
