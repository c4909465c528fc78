// SPDX-License-Identifier: MIT
// Owns qcow2's tables in memory: the caches of L2 tables and refcount blocks, the set of clusters that hold
// metadata, and the phases in which changes reach the file (see qcow2_internal.h). Invariant: a cached table
// is found at one offset only, and a dirty L2 table never reaches the file outside qcow2_flush_tables.
#include "host/block/qcow2_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void qcow2_mark(struct qcow2_dirty *dirty, uint64_t low, uint64_t high)
{
    if (dirty->low == dirty->high) {
        *dirty = (struct qcow2_dirty){low, high};
        return;
    }
    dirty->low = low < dirty->low ? low : dirty->low;
    dirty->high = high > dirty->high ? high : dirty->high;
}

int qcow2_read_table64(struct qcow2 *s, uint64_t offset, uint64_t entries, uint64_t **ret_table)
{
    uint64_t *table = calloc(entries ? entries : 1, 8);
    int r = table ? host_file_read(s->file, offset, table, entries * 8) : -ENOMEM;
    if (r) {
        free(table);
        return r;
    }
    for (uint64_t i = 0; i < entries; i++)
        table[i] = __builtin_bswap64(table[i]);
    *ret_table = table;
    return 0;
}

int qcow2_write_table64(struct qcow2 *s, uint64_t offset, const uint64_t *table, uint64_t low, uint64_t high)
{
    uint8_t buf[4096];
    int r = 0;
    while (low < high && !r) {
        uint64_t n = high - low < sizeof buf / 8 ? high - low : sizeof buf / 8;
        for (uint64_t i = 0; i < n; i++)
            qcow2_put64(buf + 8 * i, table[low + i]);
        r = host_file_write(s->file, offset + 8 * low, buf, 8 * n);
        low += n;
    }
    return r;
}

int qcow2_set_incompatible(struct qcow2 *s, uint64_t bits)
{
    uint8_t field[8];
    if (s->version < 3)
        return 0;
    qcow2_put64(field, bits);
    int r = host_file_write(s->file, QCOW2_H_INCOMPATIBLE, field, 8);
    if (!r)
        r = host_file_sync(s->file);
    if (!r)
        s->incompatible = bits;
    return r;
}

int qcow2_corrupt(struct qcow2 *s)
{
    if (!s->broken && !s->image->readonly)
        qcow2_set_incompatible(s, s->incompatible | QCOW2_INCOMPATIBLE_CORRUPT);
    s->broken = true;
    return -EIO;
}

// The set: open addressing, room a power of two. Slots hold cluster + 2; 0 is empty and 1 removed.
static uint64_t set_home(const struct qcow2_set *set, uint64_t cluster)
{
    return (cluster * 0x9e3779b97f4a7c15ull >> 20) & (set->room - 1);
}

bool qcow2_set_has(const struct qcow2_set *set, uint64_t cluster)
{
    if (!set->room)
        return false;
    for (uint64_t i = set_home(set, cluster);; i = (i + 1) & (set->room - 1)) {
        if (set->slots[i] == cluster + 2)
            return true;
        if (!set->slots[i])
            return false;
    }
}

static void set_put(struct qcow2_set *set, uint64_t cluster)
{
    uint64_t i = set_home(set, cluster);
    while (set->slots[i])
        i = (i + 1) & (set->room - 1);
    set->slots[i] = cluster + 2;
    set->count++;
}

int qcow2_set_add(struct qcow2_set *set, uint64_t cluster)
{
    if (qcow2_set_has(set, cluster))
        return 0;
    if (2 * (set->count + 1) > set->room) { // count includes removed slots; copying leaves them behind
        struct qcow2_set bigger = {.room = set->room ? 2 * set->room : 64};
        bigger.slots = calloc(bigger.room, sizeof *bigger.slots);
        if (!bigger.slots)
            return -ENOMEM;
        for (uint64_t i = 0; i < set->room; i++)
            if (set->slots[i] > 1)
                set_put(&bigger, set->slots[i] - 2);
        free(set->slots);
        *set = bigger;
    }
    set_put(set, cluster);
    return 0;
}

void qcow2_set_remove(struct qcow2_set *set, uint64_t cluster)
{
    for (uint64_t i = set->room ? set_home(set, cluster) : 0; set->room && set->slots[i];
         i = (i + 1) & (set->room - 1))
        if (set->slots[i] == cluster + 2)
            set->slots[i] = 1;
}

int qcow2_set_add_range(struct qcow2 *s, uint64_t offset, uint64_t len)
{
    int r = 0;
    for (uint64_t c = offset >> s->cluster_bits, end = qcow2_clusters(s, offset + len); c < end && !r; c++)
        r = qcow2_set_add(&s->metadata, c);
    return r;
}

void qcow2_set_remove_range(struct qcow2 *s, uint64_t offset, uint64_t len)
{
    for (uint64_t c = offset >> s->cluster_bits, end = qcow2_clusters(s, offset + len); c < end; c++)
        qcow2_set_remove(&s->metadata, c);
}

static int write_back(struct qcow2 *s, struct qcow2_table *table)
{
    int r = host_file_write(s->file, table->offset, table->data, s->cluster_size);
    if (!r)
        table->dirty = false;
    return r;
}

static struct qcow2_table *lookup(struct qcow2_cache *cache, uint64_t offset)
{
    if (cache->last < cache->count && cache->tables[cache->last].offset == offset)
        return &cache->tables[cache->last];
    for (unsigned i = 0; i < cache->count; i++)
        if (cache->tables[i].offset == offset) {
            cache->last = i;
            return &cache->tables[i];
        }
    return NULL;
}

static struct qcow2_table *oldest(struct qcow2_cache *cache)
{
    struct qcow2_table *found = &cache->tables[0];
    for (unsigned i = 1; i < cache->count; i++)
        if (cache->tables[i].last_use < found->last_use)
            found = &cache->tables[i];
    return found;
}

// A slot without contents. Room may come from writing changes, in their order.
static int slot(struct qcow2 *s, struct qcow2_cache *cache, struct qcow2_table **ret_table)
{
    if (!cache->tables && !(cache->tables = calloc(cache->max, sizeof *cache->tables)))
        return -ENOMEM;
    struct qcow2_table *table = cache->count < cache->max ? &cache->tables[cache->count] : oldest(cache);
    if (cache->count < cache->max) {
        table->data = malloc(s->cluster_size);
        if (!table->data)
            return -ENOMEM;
        cache->count++;
    } else if (table->dirty) {
        int r = cache == &s->l2 ? qcow2_flush_tables(s) : write_back(s, table);
        if (r)
            return r;
    }
    table->offset = 0;
    table->dirty = false;
    *ret_table = table;
    return 0;
}

static void use(struct qcow2_cache *cache, struct qcow2_table *table)
{
    table->last_use = ++cache->clock;
    cache->last = (unsigned)(table - cache->tables);
}

int qcow2_get(struct qcow2 *s, struct qcow2_cache *cache, uint64_t offset, struct qcow2_table **ret_table)
{
    struct qcow2_table *table = lookup(cache, offset);
    if (!table) {
        if (!offset || offset & (s->cluster_size - 1) || offset >= s->end)
            return qcow2_corrupt(s);
        int r = slot(s, cache, &table);
        if (!r)
            r = host_file_read(s->file, offset, table->data, s->cluster_size);
        if (r)
            return r;
        table->offset = offset;
    }
    use(cache, table);
    *ret_table = table;
    return 0;
}

int qcow2_get_new(struct qcow2 *s, struct qcow2_cache *cache, uint64_t offset, struct qcow2_table **ret_table)
{
    struct qcow2_table *table = lookup(cache, offset);
    int r = table ? 0 : slot(s, cache, &table);
    if (!r)
        r = qcow2_set_add(&s->metadata, offset >> s->cluster_bits);
    if (r)
        return r;
    memset(table->data, 0, s->cluster_size);
    table->offset = offset;
    table->dirty = true;
    use(cache, table);
    *ret_table = table;
    return 0;
}

void qcow2_forget(struct qcow2 *s, uint64_t offset)
{
    struct qcow2_cache *caches[] = {&s->l2, &s->refblocks};
    for (unsigned i = 0; i < 2; i++) {
        struct qcow2_table *table = lookup(caches[i], offset);
        if (table) {
            table->offset = 0;
            table->dirty = false;
            table->last_use = 0;
        }
    }
    qcow2_set_remove(&s->metadata, offset >> s->cluster_bits);
}

void qcow2_cache_free(struct qcow2_cache *cache)
{
    for (unsigned i = 0; i < cache->count; i++)
        free(cache->tables[i].data);
    free(cache->tables);
    cache->tables = NULL;
    cache->count = 0;
}

static bool any_dirty(const struct qcow2_cache *cache)
{
    for (unsigned i = 0; i < cache->count; i++)
        if (cache->tables[i].dirty)
            return true;
    return false;
}

static int write_all(struct qcow2 *s, struct qcow2_cache *cache)
{
    int r = 0;
    for (unsigned i = 0; i < cache->count && !r; i++)
        if (cache->tables[i].dirty)
            r = write_back(s, &cache->tables[i]);
    return r;
}

static int flush_refcounts(struct qcow2 *s)
{
    int r = s->reftable_moves ? qcow2_move_reftable(s) : 0;
    if (!r)
        r = write_all(s, &s->refblocks);
    if (!r && s->reftable_dirty.low < s->reftable_dirty.high) {
        r = host_file_sync(s->file);
        if (!r)
            r = qcow2_write_table64(s, s->reftable_offset, s->reftable, s->reftable_dirty.low,
                                    s->reftable_dirty.high);
        if (!r)
            s->reftable_dirty = (struct qcow2_dirty){0};
    }
    return r;
}

// With lazy refcounts an image is marked dirty once, and its counts may then be late until it is closed.
static int grow_counts(struct qcow2 *s)
{
    bool lazy = s->compatible & QCOW2_COMPATIBLE_LAZY_REFCOUNTS && !s->reftable_moves;
    if (!lazy)
        return flush_refcounts(s);
    return s->incompatible & QCOW2_INCOMPATIBLE_DIRTY
               ? 0
               : qcow2_set_incompatible(s, s->incompatible | QCOW2_INCOMPATIBLE_DIRTY);
}

int qcow2_flush_tables(struct qcow2 *s)
{
    if (s->broken)
        return -EIO;
    bool l1 = s->l1_dirty.low < s->l1_dirty.high, links = l1 || any_dirty(&s->l2);
    int r = 0;
    if (links || any_dirty(&s->refblocks)) {
        r = grow_counts(s);
        if (!r && links)
            r = host_file_sync(s->file);
    }
    if (!r)
        r = write_all(s, &s->l2);
    if (!r && l1) {
        r = host_file_sync(s->file);
        if (!r)
            r = qcow2_write_table64(s, s->l1_offset, s->l1, s->l1_dirty.low, s->l1_dirty.high);
        if (!r)
            s->l1_dirty = (struct qcow2_dirty){0};
    }
    if (!r && s->free_count) {
        r = host_file_sync(s->file);
        if (!r)
            r = qcow2_apply_frees(s);
    }
    return r;
}
