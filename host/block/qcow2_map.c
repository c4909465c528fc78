// SPDX-License-Identifier: MIT
// Owns qcow2's way from guest offsets to places in the file: L1 and L2 tables, their reading, and their
// copies and growth before they change. Invariant: an entry is believed only after its reserved bits,
// alignment and place were checked; what is wrong makes the image corrupt, never a wild access.
#include "host/block/qcow2_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// *ret_table is NULL where there is no table.
static int l2_get(struct qcow2 *s, uint64_t index, struct qcow2_table **ret_table)
{
    *ret_table = NULL;
    if (index >= s->l1_size || !s->l1[index])
        return 0;
    uint64_t offset = s->l1[index] & QCOW2_OFFSET;
    if (s->l1[index] & QCOW2_RESERVED_L1 || !offset)
        return qcow2_corrupt(s);
    return qcow2_get(s, &s->l2, offset, ret_table);
}

int qcow2_classify(struct qcow2 *s, uint64_t entry, enum qcow2_kind *ret_kind)
{
    if (entry & QCOW2_COMPRESSED) {
        *ret_kind = QCOW2_PACKED;
        return entry & QCOW2_COPIED ? qcow2_corrupt(s) : 0;
    }
    uint64_t host = entry & QCOW2_OFFSET;
    bool zero = entry & QCOW2_ZERO;
    if (entry & QCOW2_RESERVED_L2 || (zero && s->version < 3) || host & (s->cluster_size - 1) ||
        host >= s->end)
        return qcow2_corrupt(s);
    *ret_kind = zero ? QCOW2_ZEROS : host ? QCOW2_DATA : QCOW2_UNALLOCATED;
    return 0;
}

int qcow2_map(struct qcow2 *s, uint64_t offset, uint64_t len, struct qcow2_mapping *ret_mapping)
{
    struct qcow2_table *table;
    uint64_t in_cluster = offset & (s->cluster_size - 1), span = qcow2_l2_span(s);
    uint64_t max = span - (offset & (span - 1)),
             index = offset >> s->cluster_bits & (span / s->cluster_size - 1);
    int r = l2_get(s, offset >> (s->cluster_bits + s->l2_bits), &table);
    if (r)
        return r;
    struct qcow2_mapping m = {.len = s->cluster_size - in_cluster};
    len = len < max ? len : max;
    if (!table) {
        *ret_mapping = (struct qcow2_mapping){.kind = QCOW2_UNALLOCATED, .len = len};
        return 0;
    }
    m.entry = qcow2_be64(table->data + 8 * index);
    r = qcow2_classify(s, m.entry, &m.kind);
    if (r)
        return r;
    m.host = m.kind == QCOW2_DATA ? (m.entry & QCOW2_OFFSET) + in_cluster : 0;
    while (m.kind != QCOW2_PACKED && m.len < len) {
        uint64_t entry = qcow2_be64(table->data + 8 * ++index);
        enum qcow2_kind kind;
        // What is wrong with a later entry is said when it is its turn.
        bool same_way = (entry & (QCOW2_COPIED | QCOW2_COMPRESSED | QCOW2_ZERO)) ==
                        (m.entry & (QCOW2_COPIED | QCOW2_COMPRESSED | QCOW2_ZERO));
        if (!same_way || (m.kind == QCOW2_DATA && (entry & QCOW2_OFFSET) != m.host + m.len) ||
            (m.kind == QCOW2_UNALLOCATED && entry))
            break;
        r = qcow2_classify(s, entry, &kind);
        if (r || kind != m.kind)
            break;
        m.len += s->cluster_size;
    }
    if (m.len > len)
        m.len = len;
    *ret_mapping = m;
    return 0;
}

int qcow2_grow_l1(struct qcow2 *s, uint32_t entries)
{
    if (entries <= s->l1_size)
        return 0;
    if (entries > QCOW2_MAX_L1 / 8)
        return -EFBIG;
    uint64_t offset, bytes = 8ull * entries, *table = calloc(entries, 8);
    if (!table)
        return -ENOMEM;
    memcpy(table, s->l1, 8ull * s->l1_size);
    int r = qcow2_alloc(s, qcow2_clusters(s, bytes), &offset, NULL);
    if (!r)
        r = qcow2_flush_tables(s); // what the new table leads to is in the file
    if (!r)
        r = qcow2_write_table64(s, offset, table, 0, entries);
    if (!r)
        r = host_file_sync(s->file);
    uint8_t field[12];
    qcow2_put32(field, entries);
    qcow2_put64(field + 4, offset);
    if (!r)
        r = host_file_write(s->file, QCOW2_H_L1_SIZE, field, sizeof field);
    if (!r)
        r = qcow2_set_add_range(s, offset, bytes);
    if (r) {
        free(table);
        return r;
    }
    qcow2_free(s, s->l1_offset, qcow2_clusters(s, 8ull * s->l1_size));
    free(s->l1);
    s->l1 = table;
    s->l1_size = entries;
    s->l1_offset = offset;
    return 0;
}

int qcow2_l2_writable(struct qcow2 *s, uint64_t offset, struct qcow2_table **ret_table)
{
    uint64_t index = offset >> (s->cluster_bits + s->l2_bits), place;
    struct qcow2_table *old, *table;
    if (s->broken)
        return -EIO;
    if (index >= s->l1_size)
        return -EINVAL;
    int r = l2_get(s, index, &old);
    if (r)
        return r;
    if (old && s->l1[index] & QCOW2_COPIED) {
        old->dirty = true;
        *ret_table = old;
        return 0;
    }
    uint8_t *copy = old ? malloc(s->cluster_size) : NULL;
    if (old && !copy)
        return -ENOMEM;
    if (old)
        memcpy(copy, old->data, s->cluster_size);
    r = qcow2_alloc(s, 1, &place, NULL);
    if (!r)
        r = qcow2_get_new(s, &s->l2, place, &table);
    if (!r) {
        if (copy) {
            memcpy(table->data, copy, s->cluster_size);
            qcow2_free(s, s->l1[index] & QCOW2_OFFSET, 1);
        }
        s->l1[index] = place | QCOW2_COPIED;
        qcow2_mark(&s->l1_dirty, index, index + 1);
        *ret_table = table;
    }
    free(copy);
    return r;
}

void qcow2_packed_place(const struct qcow2 *s, uint64_t entry, uint64_t *ret_offset, uint64_t *ret_len)
{
    unsigned x = 62 - (s->cluster_bits - 8);
    uint64_t offset = entry & ((1ull << x) - 1), sectors = (entry >> x & ((1ull << (62 - x)) - 1)) + 1;
    *ret_offset = offset;
    *ret_len = sectors * 512 - (offset & 511);
}

void qcow2_free_entry(struct qcow2 *s, uint64_t entry)
{
    uint64_t offset = entry & QCOW2_OFFSET, len = s->cluster_size;
    if (entry & QCOW2_COMPRESSED)
        qcow2_packed_place(s, entry, &offset, &len);
    if (!offset)
        return;
    uint64_t first = offset >> s->cluster_bits, last = (offset + len - 1) >> s->cluster_bits;
    qcow2_free(s, first << s->cluster_bits, last - first + 1);
}
