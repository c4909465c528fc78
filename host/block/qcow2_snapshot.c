// SPDX-License-Identifier: MIT
// Owns qcow2's internal snapshots: their table, and the reference counts of what several of them share. A
// snapshot is a copy of the L1 table; creating one counts everything below once more and takes the COPIED
// marks away, so that the next write goes elsewhere. The header changes hands last when a snapshot comes and
// first when it goes: what a crash leaves is leaks, or marks that cost a copy.
#include "base/error.h"
#include "host/block/qcow2_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRY_HEAD = 40, EXTRA_KNOWN = 24, EXTRA_MAX = 1024, FREES_MAX = 65536 };

void qcow2_free_snapshots(struct qcow2 *s)
{
    for (uint32_t i = 0; i < s->snapshot_count; i++)
        free(s->snapshots[i].extra);
    free(s->snapshots);
    s->snapshots = NULL;
    s->snapshot_count = 0;
}

static int parse_entry(struct qcow2 *s, const uint8_t *head, uint64_t *at, struct qcow2_snapshot *n)
{
    uint32_t extra = qcow2_be32(head + 36);
    unsigned id = qcow2_be16(head + 12), name = qcow2_be16(head + 14);
    if (extra > EXTRA_MAX || id >= sizeof n->public.id || name >= sizeof n->public.name)
        return -EINVAL;
    *n = (struct qcow2_snapshot){.l1_offset = qcow2_be64(head), .l1_size = qcow2_be32(head + 8)};
    n->public.date_s = qcow2_be32(head + 16);
    n->public.date_ns = qcow2_be32(head + 20);
    n->public.vm_clock_ns = qcow2_be64(head + 24);
    n->public.vm_state_size = qcow2_be32(head + 32);
    n->public.disk_size = s->image->size;
    uint8_t buf[EXTRA_MAX + sizeof n->public.id + sizeof n->public.name];
    int r = host_file_read(s->file, *at + ENTRY_HEAD, buf, extra + id + name);
    if (r)
        return r;
    if (extra >= 8)
        n->public.vm_state_size = qcow2_be64(buf);
    if (extra >= 16)
        n->public.disk_size = qcow2_be64(buf + 8);
    memcpy(n->public.id, buf + extra, id);
    memcpy(n->public.name, buf + extra + id, name);
    n->extra_size = extra;
    n->extra = malloc(extra ? extra : 1);
    if (!n->extra)
        return -ENOMEM;
    memcpy(n->extra, buf, extra);
    uint64_t bytes = 8ull * n->l1_size;
    if (n->l1_size > QCOW2_MAX_L1 / 8 || n->l1_offset & (s->cluster_size - 1) || n->l1_offset > s->end ||
        bytes > s->end - n->l1_offset) {
        free(n->extra);
        return -EINVAL;
    }
    *at += (ENTRY_HEAD + extra + id + name + 7ull) & ~7ull;
    return 0;
}

int qcow2_load_snapshots(struct qcow2 *s, uint32_t count, struct error *err)
{
    uint64_t at = s->snapshots_offset;
    uint8_t head[ENTRY_HEAD];
    int r = 0;
    if (!count)
        return 0;
    s->snapshots = calloc(count, sizeof *s->snapshots);
    if (!s->snapshots)
        r = -ENOMEM;
    for (uint32_t i = 0; i < count && !r; i++) {
        if (at - s->snapshots_offset > QCOW2_MAX_SNAPSHOT_TABLE || at + ENTRY_HEAD > s->end)
            r = -EINVAL;
        if (!r)
            r = host_file_read(s->file, at, head, sizeof head);
        if (!r)
            r = parse_entry(s, head, &at, &s->snapshots[i]);
        if (!r) {
            s->snapshot_count++;
            if (!s->image->readonly)
                r = qcow2_set_add_range(s, s->snapshots[i].l1_offset, 8ull * s->snapshots[i].l1_size);
        }
    }
    s->snapshots_size = at - s->snapshots_offset;
    if (!r && !s->image->readonly)
        r = qcow2_set_add_range(s, s->snapshots_offset, s->snapshots_size);
    return r ? error_set(err, r, "cannot read the snapshot table of '%s': %s", s->image->path, strerror(-r))
             : 0;
}

// An id comes before a name.
static struct qcow2_snapshot *find(struct qcow2 *s, const char *name)
{
    for (uint32_t i = 0; i < s->snapshot_count; i++)
        if (!strcmp(s->snapshots[i].public.id, name))
            return &s->snapshots[i];
    for (uint32_t i = 0; i < s->snapshot_count; i++)
        if (!strcmp(s->snapshots[i].public.name, name))
            return &s->snapshots[i];
    return NULL;
}

static int unknown(struct qcow2 *s, const char *name, struct error *err)
{
    return error_set(err, -ENOENT, "there is no snapshot '%s' in '%s'", name,
                     s->image->path ? s->image->path : "the overlay");
}

static int failed(int r, const char *what, const char *name, struct error *err)
{
    return r ? error_set(err, r, "cannot %s the snapshot '%s': %s", what, name,
                         r == -ERANGE ? "its reference counts are too narrow" : strerror(-r))
             : 0;
}

int qcow2_use_snapshot(struct qcow2 *s, const char *name, struct error *err)
{
    struct qcow2_snapshot *n = find(s, name);
    uint64_t *l1, span = qcow2_l2_span(s);
    if (!n)
        return unknown(s, name, err);
    if (n->public.disk_size > INT64_MAX / 2 || n->l1_size < (n->public.disk_size + span - 1) / span)
        return error_set(err, -EINVAL, "the snapshot '%s' has too small a table", name);
    int r = qcow2_read_table64(s, n->l1_offset, n->l1_size, &l1);
    if (r)
        return failed(r, "read", name, err);
    free(s->l1);
    s->l1 = l1;
    s->l1_size = n->l1_size;
    s->image->size = n->public.disk_size;
    return 0;
}

int qcow2_snapshot_list(struct image *image, struct image_snapshot **ret_list, size_t *ret_count,
                        struct error *err)
{
    struct qcow2 *s = image->state;
    struct image_snapshot *list = calloc(s->snapshot_count + 1ull, sizeof *list);
    if (!list)
        return error_set(err, -ENOMEM, "out of memory");
    for (uint32_t i = 0; i < s->snapshot_count; i++)
        list[i] = s->snapshots[i].public;
    *ret_list = list;
    *ret_count = s->snapshot_count;
    return 0;
}

static size_t put_entry(uint8_t *at, const struct qcow2_snapshot *n)
{
    const struct image_snapshot *p = &n->public;
    size_t id = strlen(p->id), name = strlen(p->name);
    uint32_t extra = n->extra_size > EXTRA_KNOWN ? n->extra_size : EXTRA_KNOWN;
    qcow2_put64(at, n->l1_offset);
    qcow2_put32(at + 8, n->l1_size);
    qcow2_put16(at + 12, (uint16_t)id);
    qcow2_put16(at + 14, (uint16_t)name);
    qcow2_put32(at + 16, p->date_s);
    qcow2_put32(at + 20, p->date_ns);
    qcow2_put64(at + 24, p->vm_clock_ns);
    qcow2_put32(at + 32, p->vm_state_size > UINT32_MAX ? 0 : (uint32_t)p->vm_state_size);
    qcow2_put32(at + 36, extra);
    memset(at + ENTRY_HEAD, 0xff, EXTRA_KNOWN); // no instruction count
    memcpy(at + ENTRY_HEAD, n->extra, n->extra_size);
    qcow2_put64(at + ENTRY_HEAD, p->vm_state_size);
    qcow2_put64(at + ENTRY_HEAD + 8, p->disk_size);
    memcpy(at + ENTRY_HEAD + extra, p->id, id);
    memcpy(at + ENTRY_HEAD + extra + id, p->name, name);
    return (ENTRY_HEAD + extra + id + name + 7) & ~7ull;
}

// A new table in a new place, then the header, then the old one goes.
static int write_snapshots(struct qcow2 *s, const struct qcow2_snapshot *list, uint32_t count)
{
    size_t size = 0, max = ENTRY_HEAD + EXTRA_MAX + sizeof list->public.id + sizeof list->public.name + 8;
    uint8_t *buf = calloc(count ? count : 1, max), field[12];
    uint64_t offset = 0;
    if (!buf)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        size += put_entry(buf + size, &list[i]);
    int r = size > QCOW2_MAX_SNAPSHOT_TABLE ? -EFBIG : 0;
    if (!r && size)
        r = qcow2_alloc(s, qcow2_clusters(s, size), &offset, NULL);
    if (!r && size)
        r = host_file_write(s->file, offset, buf, size);
    if (!r)
        r = qcow2_flush_tables(s);
    if (!r)
        r = host_file_sync(s->file);
    qcow2_put32(field, count);
    qcow2_put64(field + 4, offset);
    if (!r)
        r = host_file_write(s->file, QCOW2_H_SNAPSHOTS, field, sizeof field);
    if (!r && size)
        r = qcow2_set_add_range(s, offset, size);
    if (!r) {
        if (s->snapshots_offset && s->snapshots_size)
            qcow2_free(s, s->snapshots_offset, qcow2_clusters(s, s->snapshots_size));
        s->snapshots_offset = offset;
        s->snapshots_size = size;
    }
    free(buf);
    return r;
}

static int get_l2(struct qcow2 *s, uint64_t l1_entry, struct qcow2_table **ret_table)
{
    if (l1_entry & QCOW2_RESERVED_L1)
        return qcow2_corrupt(s);
    return qcow2_get(s, &s->l2, l1_entry & QCOW2_OFFSET, ret_table);
}

static int may_count(struct qcow2 *s, uint64_t cluster)
{
    uint64_t count, max = s->refcount_order == 6 ? UINT64_MAX : (1ull << (1u << s->refcount_order)) - 1;
    int r = qcow2_refcount(s, cluster, &count);
    return r ? r : count >= max ? -ERANGE : 0;
}

static void entry_range(const struct qcow2 *s, uint64_t entry, uint64_t *ret_first, uint64_t *ret_count)
{
    uint64_t offset = entry & QCOW2_OFFSET, len = s->cluster_size;
    if (entry & QCOW2_COMPRESSED)
        qcow2_packed_place(s, entry, &offset, &len);
    *ret_first = offset >> s->cluster_bits;
    *ret_count = offset ? ((offset + len - 1) >> s->cluster_bits) - *ret_first + 1 : 0;
}

// Takes the COPIED marks from everything in use and makes sure that all can be counted once more.
static int unmark(struct qcow2 *s)
{
    uint64_t entries = 1ull << s->l2_bits, first, count;
    int r = 0;
    for (uint32_t i = 0; i < s->l1_size && !r; i++) {
        struct qcow2_table *table;
        if (!s->l1[i])
            continue;
        r = may_count(s, (s->l1[i] & QCOW2_OFFSET) >> s->cluster_bits);
        if (!r)
            r = get_l2(s, s->l1[i], &table);
        for (uint64_t j = 0; j < entries && !r; j++) {
            uint64_t entry = qcow2_be64(table->data + 8 * j);
            enum qcow2_kind kind;
            r = qcow2_classify(s, entry, &kind);
            entry_range(s, entry, &first, &count);
            for (uint64_t c = 0; c < count && !r; c++)
                r = may_count(s, first + c);
            if (!r && entry & QCOW2_COPIED) {
                qcow2_put64(table->data + 8 * j, entry & ~QCOW2_COPIED);
                table->dirty = true;
            }
        }
        if (!r && s->l1[i] & QCOW2_COPIED) {
            s->l1[i] &= ~QCOW2_COPIED;
            qcow2_mark(&s->l1_dirty, i, i + 1);
        }
    }
    return r;
}

// Counts everything below an L1 table once more, or gives it back.
static int count_tree(struct qcow2 *s, const uint64_t *l1, uint32_t size, bool up)
{
    uint64_t entries = 1ull << s->l2_bits, first, count;
    int r = 0;
    for (uint32_t i = 0; i < size && !r; i++) {
        struct qcow2_table *table;
        if (!l1[i])
            continue;
        r = get_l2(s, l1[i], &table);
        for (uint64_t j = 0; j < entries && !r; j++) {
            uint64_t entry = qcow2_be64(table->data + 8 * j);
            enum qcow2_kind kind;
            r = qcow2_classify(s, entry, &kind);
            if (!up && !r)
                qcow2_free_entry(s, entry);
            entry_range(s, entry, &first, &count);
            for (uint64_t c = 0; up && c < count && !r; c++)
                r = qcow2_refcount_add(s, first + c, 1);
        }
        if (up && !r)
            r = qcow2_refcount_add(s, (l1[i] & QCOW2_OFFSET) >> s->cluster_bits, 1);
        if (!up && !r)
            qcow2_free(s, l1[i] & QCOW2_OFFSET, 1);
        if (!up && !r && s->free_count > FREES_MAX)
            r = qcow2_flush_tables(s);
    }
    return r;
}

// COPIED where the count is one again.
static int mark(struct qcow2 *s)
{
    uint64_t entries = 1ull << s->l2_bits, count;
    int r = 0;
    for (uint32_t i = 0; i < s->l1_size && !r; i++) {
        struct qcow2_table *table;
        if (!s->l1[i])
            continue;
        r = qcow2_refcount(s, (s->l1[i] & QCOW2_OFFSET) >> s->cluster_bits, &count);
        if (r || count != 1) // what a shared table leads to is shared
            continue;
        if (!(s->l1[i] & QCOW2_COPIED)) {
            s->l1[i] |= QCOW2_COPIED;
            qcow2_mark(&s->l1_dirty, i, i + 1);
        }
        r = get_l2(s, s->l1[i], &table);
        for (uint64_t j = 0; j < entries && !r; j++) {
            uint64_t entry = qcow2_be64(table->data + 8 * j);
            if (entry & (QCOW2_COMPRESSED | QCOW2_COPIED) || !(entry & QCOW2_OFFSET))
                continue;
            r = qcow2_refcount(s, (entry & QCOW2_OFFSET) >> s->cluster_bits, &count);
            if (!r && count == 1) {
                qcow2_put64(table->data + 8 * j, entry | QCOW2_COPIED);
                table->dirty = true;
            }
        }
    }
    return r ? r : qcow2_flush_tables(s);
}

int qcow2_drop_vmstate(struct qcow2 *s)
{
    uint64_t span = qcow2_l2_span(s), first = (s->image->size + span - 1) / span;
    if (first >= s->l1_size)
        return 0;
    uint32_t n = s->l1_size - (uint32_t)first;
    uint64_t *gone = malloc(8ull * n);
    if (!gone)
        return -ENOMEM;
    memcpy(gone, s->l1 + first, 8ull * n);
    memset(s->l1 + first, 0, 8ull * n);
    qcow2_mark(&s->l1_dirty, first, s->l1_size);
    int r = qcow2_flush_tables(s);
    if (!r)
        r = count_tree(s, gone, n, false);
    free(gone);
    return r ? r : qcow2_flush_tables(s);
}

static void new_id(struct qcow2 *s, char *id, size_t size)
{
    unsigned long highest = 0;
    for (uint32_t i = 0; i < s->snapshot_count; i++) {
        unsigned long n = strtoul(s->snapshots[i].public.id, NULL, 10);
        highest = n > highest ? n : highest;
    }
    snprintf(id, size, "%lu", highest + 1);
}

static int copy_l1(struct qcow2 *s, struct qcow2_snapshot *n)
{
    n->l1_size = s->l1_size;
    int r = qcow2_alloc(s, qcow2_clusters(s, 8ull * s->l1_size), &n->l1_offset, NULL);
    if (!r)
        r = qcow2_write_table64(s, n->l1_offset, s->l1, 0, s->l1_size);
    return r ? r : qcow2_set_add_range(s, n->l1_offset, 8ull * s->l1_size);
}

int qcow2_snapshot_create(struct image *image, struct image_snapshot *snapshot, struct error *err)
{
    struct qcow2 *s = image->state;
    struct qcow2_snapshot new = {.public = *snapshot};
    if (!snapshot->name[0] || !memchr(snapshot->name, 0, sizeof snapshot->name))
        return error_set(err, -EINVAL, "a snapshot needs a name of up to 255 characters");
    if (s->snapshot_count == QCOW2_MAX_SNAPSHOTS)
        return error_set(err, -EFBIG, "there are too many snapshots");
    pthread_mutex_lock(&s->lock);
    new.public.disk_size = image->size;
    new_id(s, new.public.id, sizeof new.public.id);
    struct qcow2_snapshot *list = realloc(s->snapshots, (s->snapshot_count + 1ull) * sizeof *list);
    new.extra = calloc(1, 1);
    int r = list && new.extra ? qcow2_flush_tables(s) : -ENOMEM;
    if (list)
        s->snapshots = list;
    if (!r)
        r = unmark(s);
    if (!r)
        r = qcow2_flush_tables(s);
    if (!r)
        r = count_tree(s, s->l1, s->l1_size, true);
    if (!r)
        r = copy_l1(s, &new);
    if (!r) {
        list[s->snapshot_count] = new;
        r = write_snapshots(s, list, s->snapshot_count + 1);
    }
    if (!r) {
        s->snapshot_count++;
        *snapshot = new.public;
        r = qcow2_drop_vmstate(s); // it belongs to the snapshot now
    } else {
        free(new.extra);
    }
    if (!r)
        r = host_file_sync(s->file);
    pthread_mutex_unlock(&s->lock);
    return failed(r, "create", snapshot->name, err);
}

// The active table becomes one that leads where l1 leads.
static int switch_l1(struct qcow2 *s, uint64_t *l1, uint32_t size)
{
    uint64_t offset;
    uint8_t field[12];
    int r = qcow2_alloc(s, qcow2_clusters(s, 8ull * size), &offset, NULL);
    if (!r)
        r = qcow2_write_table64(s, offset, l1, 0, size);
    if (!r)
        r = qcow2_flush_tables(s);
    if (!r)
        r = host_file_sync(s->file);
    if (!r)
        r = qcow2_set_add_range(s, offset, 8ull * size);
    qcow2_put32(field, size);
    qcow2_put64(field + 4, offset);
    if (!r)
        r = host_file_write(s->file, QCOW2_H_L1_SIZE, field, sizeof field);
    if (r)
        return r;
    uint64_t *old = s->l1, old_offset = s->l1_offset;
    uint32_t old_size = s->l1_size;
    s->l1 = l1;
    s->l1_size = size;
    s->l1_offset = offset;
    r = count_tree(s, old, old_size, false);
    qcow2_free(s, old_offset, qcow2_clusters(s, 8ull * old_size));
    free(old);
    for (uint32_t i = 0; i < size && !r; i++)
        if (l1[i])
            r = qcow2_set_add(&s->metadata, (l1[i] & QCOW2_OFFSET) >> s->cluster_bits);
    return r ? r : qcow2_flush_tables(s);
}

int qcow2_snapshot_apply(struct image *image, const char *name, struct error *err)
{
    struct qcow2 *s = image->state;
    struct qcow2_snapshot *n = find(s, name);
    uint64_t *l1 = NULL;
    if (!n)
        return unknown(s, name, err);
    if (n->public.disk_size != image->size)
        return error_set(err, -EINVAL, "the snapshot '%s' is of a disk of another size", name);
    pthread_mutex_lock(&s->lock);
    uint32_t size = n->l1_size > s->l1_size ? n->l1_size : s->l1_size;
    int r = qcow2_flush_tables(s);
    if (!r)
        r = qcow2_read_table64(s, n->l1_offset, n->l1_size, &l1);
    uint64_t *grown = r ? NULL : realloc(l1, 8ull * size);
    if (!r && !grown)
        r = -ENOMEM;
    if (!r) {
        l1 = grown;
        memset(l1 + n->l1_size, 0, 8ull * (size - n->l1_size));
        for (uint32_t i = 0; i < size; i++)
            l1[i] &= ~QCOW2_COPIED;
        r = count_tree(s, l1, n->l1_size, true);
    }
    s->plain_entry = 0;
    if (!r)
        r = switch_l1(s, l1, size);
    if (s->l1 != l1)
        free(l1);
    if (!r)
        r = mark(s);
    if (!r)
        r = host_file_sync(s->file);
    pthread_mutex_unlock(&s->lock);
    return failed(r, "apply", name, err);
}

// Reads by the snapshot's L1 table in the place of the active one. Nothing is dirty meanwhile, so nothing is written by it.
int qcow2_snapshot_vmstate(struct image *image, const char *name, uint64_t offset, void *buf, size_t len)
{
    struct qcow2 *s = image->state;
    const struct qcow2_snapshot *n = find(s, name);
    uint64_t *l1 = NULL, *active = s->l1;
    uint32_t active_size = s->l1_size;
    if (!n)
        return -ENOENT;
    if (n->public.disk_size != image->size) // the state's place depends on it
        return -EINVAL;
    pthread_mutex_lock(&s->lock);
    int r = image->readonly ? 0 : qcow2_flush_tables(s);
    if (!r)
        r = qcow2_read_table64(s, n->l1_offset, n->l1_size, &l1);
    if (!r) {
        s->l1 = l1;
        s->l1_size = n->l1_size;
    }
    pthread_mutex_unlock(&s->lock);
    if (r)
        return r;
    r = qcow2_vmstate(image, false, offset, buf, len);
    pthread_mutex_lock(&s->lock);
    s->l1 = active;
    s->l1_size = active_size;
    pthread_mutex_unlock(&s->lock);
    free(l1);
    return r;
}

int qcow2_snapshot_delete(struct image *image, const char *name, struct error *err)
{
    struct qcow2 *s = image->state;
    struct qcow2_snapshot *n = find(s, name), gone;
    uint64_t *l1 = NULL;
    if (!n)
        return unknown(s, name, err);
    pthread_mutex_lock(&s->lock);
    gone = *n;
    size_t index = (size_t)(n - s->snapshots), behind = s->snapshot_count - index - 1;
    int r = qcow2_flush_tables(s);
    if (!r)
        r = qcow2_read_table64(s, gone.l1_offset, gone.l1_size, &l1);
    if (!r) {
        memmove(n, n + 1, behind * sizeof *n);
        r = write_snapshots(s, s->snapshots, s->snapshot_count - 1);
        if (r) {
            memmove(n + 1, n, behind * sizeof *n);
            *n = gone;
        }
    }
    if (!r) {
        s->snapshot_count--;
        r = count_tree(s, l1, gone.l1_size, false);
        qcow2_free(s, gone.l1_offset, qcow2_clusters(s, 8ull * gone.l1_size));
        free(gone.extra);
    }
    if (!r)
        r = qcow2_flush_tables(s);
    if (!r)
        r = mark(s);
    if (!r)
        r = host_file_sync(s->file);
    pthread_mutex_unlock(&s->lock);
    free(l1);
    return failed(r, "delete", name, err);
}
