// SPDX-License-Identifier: MIT
// Owns the check of a qcow2 image: counts every reference anew, compares with what the file says, and repairs
// counts and COPIED marks. Repair never touches what guest data is where. A count that is too high is a leak,
// everything else an error. Work and memory are bounded by the file's length, not by what it claims.
#include "base/error.h"
#include "host/block/qcow2_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLUSTERS_MAX (1ull << 28)
enum { SAY_MAX = 50 };

struct check {
    struct qcow2 *s;
    enum image_repair repair;
    void (*say)(void *opaque, const char *text);
    void *opaque;
    unsigned said;
    struct image_check *result;
    uint32_t *counts;
    uint64_t clusters, room;
    uint8_t *l2;
};

static void __attribute__((format(printf, 2, 3))) say(struct check *c, const char *format, ...)
{
    char text[256];
    va_list args;
    if (!c->say || c->said++ >= SAY_MAX)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->say(c->opaque, text);
}

static void refer(struct check *c, uint64_t offset, uint64_t len, const char *what)
{
    struct qcow2 *s = c->s;
    if (!len)
        return;
    uint64_t first = offset >> s->cluster_bits, last = (offset + len - 1) >> s->cluster_bits;
    if (offset + len < offset || last >= c->clusters) {
        c->result->errors++;
        say(c, "%s at 0x%" PRIx64 " lies behind the end of the file", what, offset);
        return;
    }
    for (uint64_t n = first; n <= last; n++)
        if (c->counts[n] < UINT32_MAX)
            c->counts[n]++;
    if ((last + 1) << s->cluster_bits > c->result->end)
        c->result->end = (last + 1) << s->cluster_bits;
}

static void count_entry(struct check *c, uint64_t entry, uint64_t l2, bool active)
{
    struct qcow2 *s = c->s;
    uint64_t offset = entry & QCOW2_OFFSET, len = s->cluster_size;
    if (!entry)
        return;
    if (entry & QCOW2_COMPRESSED) {
        qcow2_packed_place(s, entry, &offset, &len);
        if (entry & QCOW2_COPIED) {
            c->result->errors++;
            say(c, "a compressed cluster of the L2 table at 0x%" PRIx64 " is marked COPIED", l2);
        }
    } else if (entry & QCOW2_RESERVED_L2 || offset & (s->cluster_size - 1) ||
               (s->version < 3 && entry & QCOW2_ZERO)) {
        c->result->errors++;
        say(c, "an entry of the L2 table at 0x%" PRIx64 " is not valid: 0x%" PRIx64, l2, entry);
        return;
    }
    if (active && (offset || entry & QCOW2_COMPRESSED))
        c->result->allocated++;
    if (active && entry & QCOW2_COMPRESSED)
        c->result->compressed++;
    if (offset)
        refer(c, offset, len, "a data cluster");
}

static int count_l1(struct check *c, const uint64_t *l1, uint32_t size, bool active)
{
    struct qcow2 *s = c->s;
    for (uint32_t i = 0; i < size; i++) {
        uint64_t offset = l1[i] & QCOW2_OFFSET;
        if (!l1[i])
            continue;
        if (l1[i] & QCOW2_RESERVED_L1 || offset & (s->cluster_size - 1) || !offset) {
            c->result->errors++;
            say(c, "entry %u of an L1 table is not valid: 0x%" PRIx64, i, l1[i]);
            continue;
        }
        refer(c, offset, s->cluster_size, "an L2 table");
        uint64_t cluster = offset >> s->cluster_bits;
        if (cluster >= c->clusters)
            continue;
        if (c->counts[cluster] > s->snapshot_count + 1u) {
            c->result->errors++;
            say(c, "the L2 table at 0x%" PRIx64 " is referred to too often", offset);
            continue;
        }
        int r = host_file_read(s->file, offset, c->l2, s->cluster_size);
        if (r)
            return r;
        for (uint64_t j = 0; j < s->cluster_size; j += 8)
            count_entry(c, qcow2_be64(c->l2 + j), offset, active);
    }
    return 0;
}

static int count_all(struct check *c)
{
    struct qcow2 *s = c->s;
    refer(c, 0, s->cluster_size, "the header");
    refer(c, s->reftable_offset, (uint64_t)s->reftable_clusters << s->cluster_bits, "the refcount table");
    for (uint64_t i = 0; i < s->reftable_size; i++) {
        uint64_t offset = s->reftable[i];
        if (offset & (s->cluster_size - 1) || offset >= s->end) {
            c->result->errors++;
            say(c, "refcount block %" PRIu64 " is not in the file: 0x%" PRIx64, i, offset);
            s->reftable[i] = 0;
            qcow2_mark(&s->reftable_dirty, i, i + 1);
        } else if (offset) {
            refer(c, offset, s->cluster_size, "a refcount block");
        }
    }
    refer(c, s->l1_offset, 8ull * s->l1_size, "the L1 table");
    int r = count_l1(c, s->l1, s->l1_size, true);
    refer(c, s->snapshots_offset, s->snapshots_size, "the snapshot table");
    for (uint32_t i = 0; i < s->snapshot_count && !r; i++) {
        uint64_t *l1;
        refer(c, s->snapshots[i].l1_offset, 8ull * s->snapshots[i].l1_size, "a snapshot's L1 table");
        r = qcow2_read_table64(s, s->snapshots[i].l1_offset, s->snapshots[i].l1_size, &l1);
        if (!r) {
            r = count_l1(c, l1, s->snapshots[i].l1_size, false);
            free(l1);
        }
    }
    return r;
}

// Blocks for counts that have none, behind the end of the file; they may need a block themselves.
static int make_blocks(struct check *c)
{
    struct qcow2 *s = c->s;
    for (uint64_t n = 0; n < c->clusters; n++) {
        uint64_t index = n >> s->refblock_bits;
        if (!c->counts[n] || (index < s->reftable_size && s->reftable[index]))
            continue;
        if (c->clusters == c->room)
            return -EFBIG;
        int r = qcow2_refblock_create(s, index, c->clusters << s->cluster_bits);
        if (r)
            return r;
        c->counts[c->clusters++] = 1;
        s->end = c->clusters << s->cluster_bits;
    }
    return 0;
}

static int compare_counts(struct check *c)
{
    struct qcow2 *s = c->s;
    for (uint64_t n = 0; n < c->clusters; n++) {
        uint64_t there, wanted = c->counts[n];
        int r = qcow2_refcount(s, n, &there);
        if (r)
            return r;
        if (there == wanted)
            continue;
        bool leak = there > wanted,
             fix = leak ? c->repair != IMAGE_REPAIR_NOTHING : c->repair == IMAGE_REPAIR_ALL;
        say(c, "cluster %" PRIu64 " is counted %" PRIu64 " times, but referred to %" PRIu64 " times%s", n,
            there, wanted, leak ? " (a leak)" : "");
        if (fix && !(r = qcow2_refcount_set(s, n, wanted)))
            *(leak ? &c->result->leaks_fixed : &c->result->errors_fixed) += 1;
        else
            *(leak ? &c->result->leaks : &c->result->errors) += 1;
        if (r && r != -ERANGE)
            return r;
    }
    return 0;
}

static bool marked_right(struct check *c, uint64_t entry, bool *ret_right)
{
    uint64_t cluster = (entry & QCOW2_OFFSET) >> c->s->cluster_bits;
    if (cluster >= c->clusters)
        return false;
    *ret_right = (c->counts[cluster] == 1) == !!(entry & QCOW2_COPIED);
    return true;
}

static void wrong_mark(struct check *c, uint64_t entry, const char *what)
{
    *(c->repair == IMAGE_REPAIR_ALL ? &c->result->errors_fixed : &c->result->errors) += 1;
    say(c, "the COPIED mark of %s at 0x%" PRIx64 " is wrong", what, (uint64_t)(entry & QCOW2_OFFSET));
}

static int check_marks(struct check *c)
{
    struct qcow2 *s = c->s;
    bool right, fix = c->repair == IMAGE_REPAIR_ALL;
    for (uint32_t i = 0; i < s->l1_size; i++) {
        uint64_t offset = s->l1[i] & QCOW2_OFFSET;
        if (!offset || offset & (s->cluster_size - 1) || !marked_right(c, s->l1[i], &right) ||
            c->counts[offset >> s->cluster_bits] > s->snapshot_count + 1u)
            continue;
        if (!right) {
            wrong_mark(c, s->l1[i], "an L2 table");
            s->l1[i] ^= fix ? QCOW2_COPIED : 0;
            qcow2_mark(&s->l1_dirty, i, i + 1);
        }
        int r = host_file_read(s->file, offset, c->l2, s->cluster_size);
        bool changed = false;
        for (uint64_t j = 0; j < s->cluster_size && !r; j += 8) {
            uint64_t entry = qcow2_be64(c->l2 + j);
            if (entry & QCOW2_COMPRESSED || !(entry & QCOW2_OFFSET) || !marked_right(c, entry, &right) ||
                right)
                continue;
            wrong_mark(c, entry, "a data cluster");
            qcow2_put64(c->l2 + j, entry ^ QCOW2_COPIED);
            changed = true;
        }
        if (!r && changed && fix)
            r = host_file_write(s->file, offset, c->l2, s->cluster_size);
        if (r)
            return r;
    }
    return 0;
}

static int finish_repair(struct check *c)
{
    struct qcow2 *s = c->s;
    uint64_t lazy = s->compatible & QCOW2_COMPATIBLE_LAZY_REFCOUNTS;
    s->compatible &= ~lazy;
    s->free_hint = 0;
    qcow2_cache_free(&s->l2); // changed behind its back
    s->broken = false;
    int r = qcow2_flush_tables(s);
    if (!r)
        r = host_file_sync(s->file);
    uint64_t bits = QCOW2_INCOMPATIBLE_DIRTY | QCOW2_INCOMPATIBLE_CORRUPT;
    if (!r && c->repair == IMAGE_REPAIR_ALL && !c->result->errors && s->incompatible & bits)
        r = qcow2_set_incompatible(s, s->incompatible & ~bits);
    s->compatible |= lazy;
    return r;
}

int qcow2_check(struct image *image, enum image_repair repair, void (*say_)(void *, const char *),
                void *opaque, struct image_check *ret_check, struct error *err)
{
    struct qcow2 *s = image->state;
    *ret_check = (struct image_check){.clusters = qcow2_clusters(s, image->size)};
    if (s->autoclear & QCOW2_AUTOCLEAR_BITMAPS)
        return error_set(err, -ENOTSUP, "'%s' has bitmaps, which this check does not know", image->path);
    struct check c = {.s = s, .repair = repair, .say = say_, .opaque = opaque, .result = ret_check};
    pthread_mutex_lock(&s->lock);
    int r = image->readonly || s->broken ? 0 : qcow2_flush_tables(s);
    c.clusters = s->end >> s->cluster_bits;
    c.room = c.clusters + (c.clusters >> (s->refblock_bits > 4 ? s->refblock_bits - 1 : 3)) + 64;
    c.counts = c.clusters > CLUSTERS_MAX ? NULL : calloc(c.room, sizeof *c.counts);
    c.l2 = malloc(s->cluster_size);
    if (c.clusters > CLUSTERS_MAX)
        r = -EFBIG;
    else if (!c.counts || !c.l2)
        r = -ENOMEM;
    if (!r)
        r = count_all(&c);
    if (!r && repair == IMAGE_REPAIR_ALL)
        r = make_blocks(&c);
    if (!r)
        r = compare_counts(&c);
    if (!r)
        r = check_marks(&c);
    if (!r && repair)
        r = finish_repair(&c);
    pthread_mutex_unlock(&s->lock);
    free(c.counts);
    free(c.l2);
    return r ? error_set(err, r, "cannot check '%s': %s", image->path, strerror(-r)) : 0;
}
