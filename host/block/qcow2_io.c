// SPDX-License-Identifier: MIT
// Owns how guest data moves in a qcow2 image. Data goes to its cluster first, without the lock, and is linked
// afterwards; until then nothing in the file refers to the cluster. No data is ever written over a table.
#include "host/block/qcow2_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 128, RUN_MAX = 16 << 20, FREES_MAX = 65536 };

static int map_locked(struct qcow2 *s, uint64_t offset, uint64_t len, struct qcow2_mapping *ret_mapping)
{
    pthread_mutex_lock(&s->lock);
    int r = qcow2_map(s, offset, len, ret_mapping);
    pthread_mutex_unlock(&s->lock);
    return r;
}

int qcow2_read(struct image *image, uint64_t offset, const struct iovec *iov, int count, uint64_t len)
{
    struct qcow2 *s = image->state;
    struct iovec part[PIECES];
    for (uint64_t done = 0; done < len;) {
        struct qcow2_mapping m;
        int r = map_locked(s, offset + done, len - done, &m);
        if (r)
            return r;
        uint64_t bytes;
        int n = iov_slice(iov, count, done, m.len, part, PIECES, &bytes);
        switch (m.kind) {
        case QCOW2_DATA: r = host_file_readv(s->file, m.host, part, n); break;
        case QCOW2_ZEROS: iov_zero(part, n); break;
        case QCOW2_UNALLOCATED: r = image_read_below(image, offset + done, part, n, bytes); break;
        case QCOW2_PACKED:
            r = qcow2_read_packed(s, m.entry, (offset + done) & (s->cluster_size - 1), part, n);
            break;
        }
        if (r)
            return r;
        done += bytes;
    }
    return 0;
}

static int read_buffer(struct image *image, uint64_t offset, void *buf, uint64_t len)
{
    return len ? qcow2_read(image, offset, &(struct iovec){buf, len}, 1, len) : 0;
}

static bool below_is_zero(const struct image *image, uint64_t offset)
{
    return !image->backing || offset >= image->backing->size;
}

static bool mapping_is_zero(const struct image *image, enum qcow2_kind kind, uint64_t offset)
{
    return kind == QCOW2_ZEROS || (kind == QCOW2_UNALLOCATED && below_is_zero(image, offset));
}

// Fills a new cluster's bytes around the request from what was there. Fresh clusters read as zeros anyway.
static int fill_around(struct image *image, uint64_t host, bool fresh, uint64_t from, uint64_t len)
{
    struct qcow2 *s = image->state;
    struct qcow2_mapping m;
    if (!len)
        return 0;
    int r = map_locked(s, from, len, &m);
    if (r || (fresh && m.len == len && mapping_is_zero(image, m.kind, from & ~(s->cluster_size - 1))))
        return r;
    void *buf = malloc(len);
    if (!buf)
        return -ENOMEM;
    r = read_buffer(image, from, buf, len);
    if (!r)
        r = host_file_write(s->file, host, buf, len);
    free(buf);
    return r;
}

// Puts n new places into the L2 table of guest and gives back what was there before.
static int link_clusters(struct qcow2 *s, uint64_t guest, uint64_t host, uint64_t n)
{
    struct qcow2_table *table;
    pthread_mutex_lock(&s->lock);
    int r = qcow2_l2_writable(s, guest, &table);
    uint64_t index = guest >> s->cluster_bits & ((1ull << s->l2_bits) - 1);
    for (uint64_t i = 0; i < n && !r; i++) {
        uint8_t *slot = table->data + 8 * (index + i);
        uint64_t old = qcow2_be64(slot), place = host + (i << s->cluster_bits);
        qcow2_put64(slot, place | QCOW2_COPIED);
        if ((old & QCOW2_OFFSET) != place || old & QCOW2_COMPRESSED)
            qcow2_free_entry(s, old);
    }
    if (!r && s->free_count > FREES_MAX)
        r = qcow2_flush_tables(s);
    pthread_mutex_unlock(&s->lock);
    return r;
}

// Where the data of a run goes: its present place, or a new one.
struct place {
    uint64_t host;              // of the first cluster when not in place, of the first byte otherwise
    uint64_t len;               // bytes of the request that go there
    bool in_place, fresh, ours; // ours: allocated here
};

static int find_place(struct qcow2 *s, uint64_t offset, uint64_t len, struct place *ret_place)
{
    struct qcow2_mapping m;
    uint64_t skip = offset & (s->cluster_size - 1);
    int r = qcow2_map(s, offset, len, &m);
    if (r || s->broken)
        return r ? r : -EIO;
    bool ours = m.entry & QCOW2_COPIED && m.entry & QCOW2_OFFSET;
    if (m.kind == QCOW2_DATA && ours) {
        for (uint64_t c = m.host >> s->cluster_bits; c <= (m.host + m.len - 1) >> s->cluster_bits; c++)
            if (qcow2_set_has(&s->metadata, c))
                return qcow2_corrupt(s);
        *ret_place = (struct place){.host = m.host, .len = m.len, .in_place = true};
        return 0;
    }
    if (m.kind == QCOW2_ZEROS && ours) { // a zero cluster that kept its place
        if (qcow2_set_has(&s->metadata, (m.entry & QCOW2_OFFSET) >> s->cluster_bits))
            return qcow2_corrupt(s);
        uint64_t one = s->cluster_size - skip;
        *ret_place = (struct place){.host = m.entry & QCOW2_OFFSET, .len = m.len < one ? m.len : one};
        return 0;
    }
    uint64_t most = m.len < RUN_MAX ? m.len : RUN_MAX, n, host;
    bool fresh;
    r = qcow2_alloc_some(s, qcow2_clusters(s, skip + most), &host, &n, &fresh);
    if (r)
        return r;
    uint64_t room = (n << s->cluster_bits) - skip;
    *ret_place =
        (struct place){.host = host, .len = m.len < room ? m.len : room, .fresh = fresh, .ours = true};
    return 0;
}

static int write_run(struct image *image, uint64_t offset, const struct iovec *iov, int count, uint64_t done,
                     const struct place *p)
{
    struct qcow2 *s = image->state;
    struct iovec part[PIECES];
    uint64_t skip = p->in_place ? 0 : offset & (s->cluster_size - 1);
    for (uint64_t at = 0; at < p->len;) {
        uint64_t bytes;
        int n = iov_slice(iov, count, done + at, p->len - at, part, PIECES, &bytes);
        int r = host_file_writev(s->file, p->host + skip + at, part, n);
        if (r)
            return r;
        at += bytes;
    }
    if (p->in_place)
        return 0;
    uint64_t end = offset + p->len;
    int r = fill_around(image, p->host, p->fresh, offset - skip, skip);
    return r ? r : fill_around(image, p->host + skip + p->len, p->fresh, end, -end & (s->cluster_size - 1));
}

int qcow2_write(struct image *image, uint64_t offset, const struct iovec *iov, int count, uint64_t len)
{
    struct qcow2 *s = image->state;
    for (uint64_t done = 0; done < len;) {
        struct place p = {0};
        pthread_mutex_lock(&s->lock);
        int r = find_place(s, offset + done, len - done, &p);
        pthread_mutex_unlock(&s->lock);
        if (r)
            return r;
        r = write_run(image, offset + done, iov, count, done, &p);
        uint64_t skip = (offset + done) & (s->cluster_size - 1), n = qcow2_clusters(s, skip + p.len);
        if (r && p.ours) {
            pthread_mutex_lock(&s->lock);
            qcow2_free(s, p.host, n);
            pthread_mutex_unlock(&s->lock);
        }
        if (!r && !p.in_place)
            r = link_clusters(s, offset + done - skip, p.host, n);
        if (r)
            return r;
        done += p.len;
    }
    return 0;
}

static int write_zeros(struct image *image, uint64_t offset, uint64_t len)
{
    struct qcow2 *s = image->state;
    bool zero = true;
    for (uint64_t at = 0; at < len && zero;) {
        struct qcow2_mapping m;
        int r = map_locked(s, offset + at, len - at, &m);
        if (r)
            return r;
        zero = m.kind == QCOW2_ZEROS ||
               (m.kind == QCOW2_UNALLOCATED && below_is_zero(image, (offset + at) & ~(s->cluster_size - 1)));
        at += m.len;
    }
    if (zero || !len)
        return 0;
    void *zeros = calloc(1, len);
    if (!zeros)
        return -ENOMEM;
    int r = qcow2_write(image, offset, &(struct iovec){zeros, len}, 1, len);
    free(zeros);
    return r;
}

// What an entry becomes when its cluster is to read as zeros; the entry itself: nothing has to be done.
static uint64_t zero_entry(const struct qcow2 *s, uint64_t old, bool keep, bool below)
{
    if (keep && old & QCOW2_COPIED && old & QCOW2_OFFSET && !(old & QCOW2_COMPRESSED) && s->version >= 3)
        return old | QCOW2_ZERO;
    return below ? QCOW2_ZERO : 0;
}

// Whole clusters of one L2 table.
static int zero_entries(struct image *image, uint64_t offset, uint64_t n, bool keep)
{
    struct qcow2 *s = image->state;
    struct qcow2_table *table;
    uint64_t index = offset >> s->cluster_bits & ((1ull << s->l2_bits) - 1);
    bool below = !below_is_zero(image, offset);
    pthread_mutex_lock(&s->lock);
    struct qcow2_mapping m;
    int r = qcow2_map(s, offset, n << s->cluster_bits, &m);
    // Nothing to do where the whole range reads as zeros without a cluster.
    bool idle = !r && m.len == n << s->cluster_bits && !(m.entry & QCOW2_OFFSET) &&
                !(m.entry & QCOW2_COMPRESSED) &&
                (m.kind == QCOW2_ZEROS || (m.kind == QCOW2_UNALLOCATED && !below));
    if (!r && !idle)
        r = qcow2_l2_writable(s, offset, &table);
    for (uint64_t i = 0; i < n && !r && !idle; i++) {
        uint8_t *slot = table->data + 8 * (index + i);
        uint64_t old = qcow2_be64(slot), new = zero_entry(s, old, keep, below);
        enum qcow2_kind kind;
        r = qcow2_classify(s, old, &kind);
        if (r || old == new)
            continue;
        qcow2_put64(slot, new);
        if (!(new &QCOW2_OFFSET))
            qcow2_free_entry(s, old);
    }
    if (!r && s->free_count > FREES_MAX)
        r = qcow2_flush_tables(s);
    pthread_mutex_unlock(&s->lock);
    return r;
}

static int zero_range(struct image *image, uint64_t offset, uint64_t len, bool keep, bool discard)
{
    struct qcow2 *s = image->state;
    uint64_t mask = s->cluster_size - 1, end = offset + len, span = qcow2_l2_span(s);
    // The disk's end need not be a cluster's.
    uint64_t last = end == image->size ? (end + mask) & ~mask : end & ~mask, first = (offset + mask) & ~mask;
    if (first >= last)
        return discard ? 0 : write_zeros(image, offset, len);
    int r = discard ? 0 : write_zeros(image, offset, first - offset);
    if (!r && !discard && end > last)
        r = write_zeros(image, last, end - last);
    while (first < last && !r) {
        uint64_t part = span - (first & (span - 1));
        part = part < last - first ? part : last - first;
        // Version 2 cannot say "zeros" above a backing file.
        if (s->version < 3 && !below_is_zero(image, first)) {
            part = part < s->cluster_size ? part : s->cluster_size;
            uint64_t bytes = part < end - first ? part : end - first;
            r = discard ? 0 : write_zeros(image, first, bytes);
        } else {
            r = zero_entries(image, first, part >> s->cluster_bits, keep);
        }
        first += part;
    }
    return r;
}

int qcow2_discard(struct image *image, uint64_t offset, uint64_t len)
{
    return image->unmap ? zero_range(image, offset, len, false, true) : 0;
}

int qcow2_zero(struct image *image, uint64_t offset, uint64_t len, bool unmap)
{
    return zero_range(image, offset, len, !(unmap && image->unmap), false);
}

int qcow2_status(struct image *image, uint64_t offset, uint64_t len, int *ret_kind, uint64_t *ret_len)
{
    struct qcow2_mapping m;
    int r = map_locked(image->state, offset, len, &m);
    if (r)
        return r;
    *ret_kind = m.kind == QCOW2_ZEROS ? IMAGE_ZERO : m.kind == QCOW2_UNALLOCATED ? IMAGE_BACKING : IMAGE_DATA;
    *ret_len = m.len;
    return 0;
}

// A machine's state lies behind the disk, from the first L2 table that the disk does not need.
int qcow2_vmstate(struct image *image, bool write, uint64_t offset, void *buf, size_t len)
{
    struct qcow2 *s = image->state;
    uint64_t span = qcow2_l2_span(s), base = (image->size + span - 1) / span * span;
    if (offset > INT64_MAX - base || len > INT64_MAX - base - offset)
        return -EFBIG;
    int r = 0;
    if (!write)
        return read_buffer(image, base + offset, buf, len);
    uint64_t entries = (base + offset + len + span - 1) / span;
    pthread_mutex_lock(&s->lock);
    if (entries > s->l1_size)
        r = entries > QCOW2_MAX_L1 / 8 ? -EFBIG : qcow2_grow_l1(s, (uint32_t)entries);
    pthread_mutex_unlock(&s->lock);
    return r || !len ? r : qcow2_write(image, base + offset, &(struct iovec){buf, len}, 1, len);
}
