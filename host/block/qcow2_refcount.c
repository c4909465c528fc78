// SPDX-License-Identifier: MIT
// Owns qcow2's reference counts: reading and changing one, finding free clusters, growing the table of
// refcount blocks. Invariant: a cluster that qcow2_alloc gives was counted zero and holds no table; one that
// qcow2_free takes is counted down only by qcow2_apply_frees, after the tables that dropped it are in the
// file.
#include "host/block/qcow2_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTED_BEHIND_END = 1 << 22 }; // clusters

uint64_t qcow2_refblock_get(const void *block, unsigned order, uint64_t index)
{
    const uint8_t *b = block;
    if (order < 3) {
        unsigned width = 1u << order, per = 8 / width;
        return b[index / per] >> (index % per * width) & ((1u << width) - 1);
    }
    switch (order) {
    case 3: return b[index];
    case 4: return qcow2_be16(b + 2 * index);
    case 5: return qcow2_be32(b + 4 * index);
    default: return qcow2_be64(b + 8 * index);
    }
}

void qcow2_refblock_put(void *block, unsigned order, uint64_t index, uint64_t count)
{
    uint8_t *b = block;
    if (order < 3) {
        unsigned width = 1u << order, per = 8 / width, shift = index % per * width;
        uint8_t *byte = &b[index / per];
        *byte = (uint8_t)((*byte & ~(((1u << width) - 1) << shift)) | count << shift);
        return;
    }
    switch (order) {
    case 3: b[index] = (uint8_t)count; break;
    case 4: qcow2_put16(b + 2 * index, (uint16_t)count); break;
    case 5: qcow2_put32(b + 4 * index, (uint32_t)count); break;
    default: qcow2_put64(b + 8 * index, count); break;
    }
}

// *ret_table is NULL where there is no block, which counts everything zero.
static int refblock(struct qcow2 *s, uint64_t cluster, struct qcow2_table **ret_table)
{
    uint64_t index = cluster >> s->refblock_bits;
    *ret_table = NULL;
    if (index >= s->reftable_size || !s->reftable[index])
        return 0;
    return qcow2_get(s, &s->refblocks, s->reftable[index], ret_table);
}

int qcow2_refcount(struct qcow2 *s, uint64_t cluster, uint64_t *ret_count)
{
    struct qcow2_table *table;
    int r = refblock(s, cluster, &table);
    if (!r)
        *ret_count = table ? qcow2_refblock_get(table->data, s->refcount_order,
                                                cluster & ((1ull << s->refblock_bits) - 1))
                           : 0;
    return r;
}

// The table in memory holds an entry for index; its place on disk follows with the next flush.
static int reftable_reach(struct qcow2 *s, uint64_t index)
{
    if (index < s->reftable_size)
        return 0;
    uint64_t size = index + 1 + index / 2, per = s->cluster_size / 8, max = QCOW2_MAX_REFTABLE / 8;
    size = (size + per - 1) / per * per;
    if (index >= max)
        return -EFBIG;
    if (size > max)
        size = max;
    uint64_t *table = realloc(s->reftable, size * 8);
    if (!table)
        return -ENOMEM;
    memset(table + s->reftable_size, 0, (size - s->reftable_size) * 8);
    s->reftable = table;
    s->reftable_size = size;
    s->reftable_moves = true;
    return 0;
}

static int refblock_make(struct qcow2 *s, uint64_t index, uint64_t offset)
{
    struct qcow2_table *table;
    int r = qcow2_get_new(s, &s->refblocks, offset, &table);
    if (!r) {
        s->reftable[index] = offset;
        qcow2_mark(&s->reftable_dirty, index, index + 1);
    }
    return r;
}

int qcow2_refblock_create(struct qcow2 *s, uint64_t index, uint64_t offset)
{
    int r = reftable_reach(s, index);
    return r ? r : refblock_make(s, index, offset);
}

int qcow2_refcount_set(struct qcow2 *s, uint64_t cluster, uint64_t count)
{
    struct qcow2_table *table;
    int r = refblock(s, cluster, &table);
    if (r)
        return r;
    if (!table)
        return count ? qcow2_corrupt(s) : 0;
    if (s->refcount_order < 6 && count >> (1u << s->refcount_order))
        return -ERANGE;
    qcow2_refblock_put(table->data, s->refcount_order, cluster & ((1ull << s->refblock_bits) - 1), count);
    table->dirty = true;
    if (!count && cluster < s->free_hint)
        s->free_hint = cluster;
    return 0;
}

int qcow2_refcount_add(struct qcow2 *s, uint64_t cluster, int delta)
{
    uint64_t count;
    int r = qcow2_refcount(s, cluster, &count);
    if (r)
        return r;
    if (!count) // a reference to what nobody counts
        return qcow2_corrupt(s);
    if (delta > 0 && count == UINT64_MAX)
        return -ERANGE;
    return qcow2_refcount_set(s, cluster, count + (uint64_t)(int64_t)delta);
}

// The first run of count free clusters from the hint on.
static int find_run(struct qcow2 *s, uint64_t count, uint64_t *ret_first)
{
    uint64_t limit = (uint64_t)(QCOW2_MAX_REFTABLE / 8) << s->refblock_bits, c = s->free_hint, run = 0;
    bool seen = false;
    if (limit > QCOW2_OFFSET >> s->cluster_bits)
        limit = QCOW2_OFFSET >> s->cluster_bits;
    for (; run < count; c++) {
        uint64_t refs;
        int r = qcow2_refcount(s, c, &refs);
        if (r)
            return r;
        if (c >= limit)
            return -EFBIG;
        // A crash may leave some counts for what was never written; a search among many could be endless.
        if (refs && c > (s->end >> s->cluster_bits) + COUNTED_BEHIND_END)
            return qcow2_corrupt(s);
        run = refs ? 0 : run + 1;
        if (!refs && !seen) {
            s->free_hint = c;
            seen = true;
        }
    }
    *ret_first = c - count;
    return 0;
}

static uint64_t blocks_missing(const struct qcow2 *s, uint64_t first, uint64_t count)
{
    uint64_t missing = 0;
    for (uint64_t i = first >> s->refblock_bits; i <= (first + count - 1) >> s->refblock_bits; i++)
        missing += i >= s->reftable_size || !s->reftable[i];
    return missing;
}

int qcow2_alloc(struct qcow2 *s, uint64_t count, uint64_t *ret_offset, bool *ret_fresh)
{
    uint64_t first, extra = 0, need;
    int r;
    assert(count);
    if (s->broken)
        return -EIO;
    for (;; extra = need) { // blocks that the run itself needs come right behind it
        r = find_run(s, count + extra, &first);
        if (r)
            return r;
        need = blocks_missing(s, first, count + extra);
        if (need <= extra)
            break;
    }
    for (uint64_t c = first; c < first + count + need; c++)
        if (qcow2_set_has(&s->metadata, c)) // a table where the counts see nothing
            return qcow2_corrupt(s);
    r = reftable_reach(s, (first + count + extra - 1) >> s->refblock_bits);
    uint64_t next = first + count, last = (first + count + extra - 1) >> s->refblock_bits;
    for (uint64_t i = first >> s->refblock_bits; i <= last && !r; i++)
        if (!s->reftable[i])
            r = refblock_make(s, i, next++ << s->cluster_bits);
    uint64_t old_end = s->end;
    if (next << s->cluster_bits > s->end)
        s->end = next << s->cluster_bits;
    for (uint64_t c = first; c < next && !r; c++)
        r = qcow2_refcount_set(s, c, 1);
    if (r)
        return r;
    if (s->free_hint == first)
        s->free_hint = next;
    *ret_offset = first << s->cluster_bits;
    if (ret_fresh)
        *ret_fresh = *ret_offset >= old_end;
    return 0;
}

int qcow2_alloc_some(struct qcow2 *s, uint64_t max, uint64_t *ret_offset, uint64_t *ret_count,
                     bool *ret_fresh)
{
    uint64_t first, count = 1, refs = 0;
    int r = find_run(s, 1, &first);
    while (!r && count < max && !(r = qcow2_refcount(s, first + count, &refs)) && !refs)
        count++;
    if (!r)
        r = qcow2_alloc(s, count, ret_offset, ret_fresh);
    if (!r)
        *ret_count = count;
    return r;
}

void qcow2_free(struct qcow2 *s, uint64_t offset, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (s->free_count == s->free_room) {
            size_t room = s->free_room ? 2 * s->free_room : 256;
            uint64_t *frees = realloc(s->frees, room * sizeof *frees);
            if (!frees)
                return; // a leak
            s->frees = frees;
            s->free_room = room;
        }
        s->frees[s->free_count++] = (offset >> s->cluster_bits) + i;
    }
}

int qcow2_apply_frees(struct qcow2 *s)
{
    int r = 0;
    size_t done = 0;
    for (; done < s->free_count && !r; done++) {
        uint64_t cluster = s->frees[done], count;
        r = qcow2_refcount(s, cluster, &count);
        if (r)
            break;
        r = count ? qcow2_refcount_set(s, cluster, count - 1) : qcow2_corrupt(s);
        if (!r && count == 1) {
            qcow2_forget(s, cluster << s->cluster_bits);
            if (s->pack_offset >> s->cluster_bits == cluster)
                s->pack_offset = 0;
            if (s->image->unmap)
                host_file_punch(s->file, cluster << s->cluster_bits, s->cluster_size);
        }
    }
    memmove(s->frees, s->frees + done, (s->free_count - done) * sizeof *s->frees);
    s->free_count -= done;
    return r;
}

// The table goes where it has room; the header follows once everything it leads to is in the file.
int qcow2_move_reftable(struct qcow2 *s)
{
    uint64_t offset, clusters, entries;
    do { // making room may itself make the table longer
        entries = s->reftable_size;
        clusters = qcow2_clusters(s, entries * 8);
        int r = qcow2_alloc(s, clusters, &offset, NULL);
        if (r)
            return r;
        if (entries != s->reftable_size)
            qcow2_free(s, offset, clusters);
    } while (entries != s->reftable_size);
    int r = qcow2_set_add_range(s, offset, clusters << s->cluster_bits);
    for (unsigned i = 0; i < s->refblocks.count && !r; i++) {
        struct qcow2_table *table = &s->refblocks.tables[i];
        if (table->dirty && !(r = host_file_write(s->file, table->offset, table->data, s->cluster_size)))
            table->dirty = false;
    }
    if (!r)
        r = qcow2_write_table64(s, offset, s->reftable, 0, entries);
    uint64_t padding = (clusters << s->cluster_bits) - entries * 8;
    if (!r && padding)
        r = host_file_zero(s->file, offset + entries * 8, padding, false);
    if (!r)
        r = host_file_sync(s->file);
    uint8_t field[12];
    qcow2_put64(field, offset);
    qcow2_put32(field + 8, (uint32_t)clusters);
    if (!r)
        r = host_file_write(s->file, QCOW2_H_REFTABLE_OFFSET, field, sizeof field);
    if (r)
        return r;
    uint64_t old = s->reftable_offset, old_clusters = s->reftable_clusters;
    s->reftable_offset = offset;
    s->reftable_clusters = (uint32_t)clusters;
    s->reftable_moves = false;
    s->reftable_dirty = (struct qcow2_dirty){0};
    qcow2_free(s, old, old_clusters);
    return 0;
}
