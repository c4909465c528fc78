// SPDX-License-Identifier: MIT
// A qcow2 image (QEMU's docs/interop/qcow2.txt) in memory. Private to host/block.
//
// Threads: struct qcow2's lock is held around everything but transfers of guest data; the rule of
// host/image.h keeps two requests from one cluster, so a mapping found under the lock holds until its request
// ends.
//
// Order on disk. Tables change in memory and are written by qcow2_flush_tables in phases: reference counts
// that grew and the table of them; L2 tables; the L1 table. References that went away are counted down only
// after that, and no cluster is used again before. So at every moment what the file refers to is counted and
// holds its data; what a crash leaves behind is at worst counted too high (a leak). Where a host's crash must
// be survived too, and not just ours, each phase waits for the medium.
#ifndef HOST_BLOCK_QCOW2_INTERNAL_H
#define HOST_BLOCK_QCOW2_INTERNAL_H

#include "host/block/image_internal.h"

#include <pthread.h>

#define QCOW2_COPIED (1ull << 63)     // L1 and L2: the reference count is exactly 1
#define QCOW2_COMPRESSED (1ull << 62) // L2
#define QCOW2_ZERO 1ull               // L2, version 3
#define QCOW2_OFFSET 0x00fffffffffffe00ull
#define QCOW2_RESERVED_L1 0x7f000000000001ffull
#define QCOW2_RESERVED_L2 0x3f000000000001feull

#define QCOW2_INCOMPATIBLE_DIRTY 1ull
#define QCOW2_INCOMPATIBLE_CORRUPT 2ull
#define QCOW2_INCOMPATIBLE_DATA_FILE 4ull
#define QCOW2_INCOMPATIBLE_COMPRESSION 8ull
#define QCOW2_INCOMPATIBLE_EXTENDED_L2 16ull
#define QCOW2_COMPATIBLE_LAZY_REFCOUNTS 1ull
#define QCOW2_AUTOCLEAR_BITMAPS 1ull

#define QCOW2_EXTENSION_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXTENSION_FEATURES 0x6803f857u

// Offsets in the header; all fields are big-endian.
enum {
    QCOW2_H_MAGIC = 0,
    QCOW2_H_VERSION = 4,
    QCOW2_H_BACKING_OFFSET = 8,
    QCOW2_H_BACKING_SIZE = 16,
    QCOW2_H_CLUSTER_BITS = 20,
    QCOW2_H_SIZE = 24,
    QCOW2_H_CRYPT = 32,
    QCOW2_H_L1_SIZE = 36,
    QCOW2_H_L1_OFFSET = 40,
    QCOW2_H_REFTABLE_OFFSET = 48,
    QCOW2_H_REFTABLE_CLUSTERS = 56,
    QCOW2_H_SNAPSHOTS = 60,
    QCOW2_H_SNAPSHOTS_OFFSET = 64,
    QCOW2_H_V2_LENGTH = 72,
    QCOW2_H_INCOMPATIBLE = 72,
    QCOW2_H_COMPATIBLE = 80,
    QCOW2_H_AUTOCLEAR = 88,
    QCOW2_H_REFCOUNT_ORDER = 96,
    QCOW2_H_LENGTH = 100,
    QCOW2_H_COMPRESSION = 104,
    QCOW2_H_V3_LENGTH = 112,
};

// Limits that an image may not pass whatever its header says; they are QEMU's.
enum {
    QCOW2_MAX_L1 = 32 << 20, // bytes
    QCOW2_MAX_REFTABLE = 8 << 20,
    QCOW2_MAX_SNAPSHOTS = 65536,
    QCOW2_MAX_SNAPSHOT_TABLE = 64 << 20,
};

struct qcow2_table {
    uint64_t offset; // 0: unused
    uint8_t *data;   // as on disk
    bool dirty;
    uint64_t last_use;
};

struct qcow2_cache {
    struct qcow2_table *tables;
    unsigned count, max, last;
    uint64_t clock;
};

struct qcow2_dirty { // entries [low, high)
    uint64_t low, high;
};

struct qcow2_snapshot {
    struct image_snapshot public;
    uint64_t l1_offset;
    uint32_t l1_size;
    uint8_t *extra; // bytes behind the known extra data, kept as they are
    uint32_t extra_size, known_extra;
};

struct qcow2_set { // of cluster numbers
    uint64_t *slots;
    uint64_t room, count;
};

struct qcow2 {
    struct image *image;
    const struct host_file *file;
    pthread_mutex_t lock;
    unsigned version, cluster_bits, l2_bits, refcount_order, refblock_bits;
    uint64_t cluster_size;
    uint64_t incompatible, compatible, autoclear;
    uint32_t header_length;
    bool zstd, broken; // broken: corruption was found, nothing is written any more

    uint64_t *l1; // host order
    uint32_t l1_size;
    uint64_t l1_offset;
    struct qcow2_dirty l1_dirty;

    uint64_t *reftable; // host order
    uint64_t reftable_size, reftable_offset;
    uint32_t reftable_clusters; // on disk
    bool reftable_moves;        // it grew: its place on disk is too small
    struct qcow2_dirty reftable_dirty;

    struct qcow2_cache l2, refblocks;
    uint64_t free_hint; // cluster number: no free one below
    uint64_t end;       // bytes: nothing was ever behind
    uint64_t *frees;    // clusters to count down once the tables are on disk
    size_t free_count, free_room;
    struct qcow2_set metadata; // clusters that guest data must never reach

    struct qcow2_snapshot *snapshots;
    uint32_t snapshot_count;
    uint64_t snapshots_offset, snapshots_size;

    uint64_t pack_offset; // where the next compressed cluster goes; 0: a new host cluster
    uint8_t *plain;       // the last compressed cluster, unpacked
    uint64_t plain_entry; // its L2 entry; 0: none
};

static inline uint64_t qcow2_be64(const void *p)
{
    uint64_t v;
    __builtin_memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}
static inline uint32_t qcow2_be32(const void *p)
{
    uint32_t v;
    __builtin_memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}
static inline uint16_t qcow2_be16(const void *p)
{
    uint16_t v;
    __builtin_memcpy(&v, p, 2);
    return __builtin_bswap16(v);
}
static inline void qcow2_put64(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    __builtin_memcpy(p, &v, 8);
}
static inline void qcow2_put32(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    __builtin_memcpy(p, &v, 4);
}
static inline void qcow2_put16(void *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    __builtin_memcpy(p, &v, 2);
}

static inline uint64_t qcow2_clusters(const struct qcow2 *s, uint64_t bytes)
{
    return (bytes >> s->cluster_bits) + !!(bytes & (s->cluster_size - 1));
}
static inline uint64_t qcow2_l2_span(const struct qcow2 *s) // guest bytes of one L2 table
{
    return 1ull << (s->cluster_bits + s->l2_bits);
}

// qcow2_tables.c. All with the lock held.
int qcow2_get(struct qcow2 *s, struct qcow2_cache *cache, uint64_t offset, struct qcow2_table **ret_table);
int qcow2_get_new(struct qcow2 *s, struct qcow2_cache *cache, uint64_t offset,
                  struct qcow2_table **ret_table);
void qcow2_forget(struct qcow2 *s, uint64_t offset); // the cluster holds no table any more
void qcow2_cache_free(struct qcow2_cache *cache);
int qcow2_flush_tables(struct qcow2 *s);
// -EIO: the image is inconsistent; it is marked so, and nothing is written to it any more.
int qcow2_corrupt(struct qcow2 *s);
int qcow2_set_incompatible(struct qcow2 *s, uint64_t bits);
bool qcow2_set_has(const struct qcow2_set *set, uint64_t cluster);
int qcow2_set_add(struct qcow2_set *set, uint64_t cluster);
void qcow2_set_remove(struct qcow2_set *set, uint64_t cluster);
int qcow2_set_add_range(struct qcow2 *s, uint64_t offset, uint64_t len);
void qcow2_set_remove_range(struct qcow2 *s, uint64_t offset, uint64_t len);
void qcow2_mark(struct qcow2_dirty *dirty, uint64_t low, uint64_t high);
int qcow2_read_table64(struct qcow2 *s, uint64_t offset, uint64_t entries, uint64_t **ret_table);
int qcow2_write_table64(struct qcow2 *s, uint64_t offset, const uint64_t *table, uint64_t low, uint64_t high);

// qcow2_refcount.c. All with the lock held.
int qcow2_refcount(struct qcow2 *s, uint64_t cluster, uint64_t *ret_count);
// To zero: the cluster is free at once. -ERANGE: the count is too narrow.
int qcow2_refcount_set(struct qcow2 *s, uint64_t cluster, uint64_t count);
int qcow2_refcount_add(struct qcow2 *s, uint64_t cluster, int delta);
// count clusters one behind the other, counted once. *ret_fresh: the file never reached them, they read as
// zeros.
int qcow2_alloc(struct qcow2 *s, uint64_t count, uint64_t *ret_offset, bool *ret_fresh);
// As many as are free in a row at the first free place, at most max.
int qcow2_alloc_some(struct qcow2 *s, uint64_t max, uint64_t *ret_offset, uint64_t *ret_count,
                     bool *ret_fresh);
void qcow2_free(struct qcow2 *s, uint64_t offset, uint64_t count); // later, see above
int qcow2_apply_frees(struct qcow2 *s);
int qcow2_move_reftable(struct qcow2 *s);
// For repairs: an empty block with that index in the table.
int qcow2_refblock_create(struct qcow2 *s, uint64_t index, uint64_t offset);
uint64_t qcow2_refblock_get(const void *block, unsigned order, uint64_t index);
void qcow2_refblock_put(void *block, unsigned order, uint64_t index, uint64_t count);

// qcow2_map.c. All with the lock held.
enum qcow2_kind { QCOW2_UNALLOCATED, QCOW2_ZEROS, QCOW2_DATA, QCOW2_PACKED };
struct qcow2_mapping {
    enum qcow2_kind kind;
    uint64_t entry, host; // host: of the first byte, for DATA
    uint64_t len;         // bytes of that kind, one behind the other in the file
};
int qcow2_classify(struct qcow2 *s, uint64_t entry, enum qcow2_kind *ret_kind);
int qcow2_map(struct qcow2 *s, uint64_t offset, uint64_t len, struct qcow2_mapping *ret_mapping);
// The L2 table of an offset, made or copied so that it may change. The pointer is good until the next call.
int qcow2_l2_writable(struct qcow2 *s, uint64_t offset, struct qcow2_table **ret_table);
int qcow2_grow_l1(struct qcow2 *s, uint32_t entries);
// Gives the references of an entry back.
void qcow2_free_entry(struct qcow2 *s, uint64_t entry);
// Host bytes of a compressed cluster.
void qcow2_packed_place(const struct qcow2 *s, uint64_t entry, uint64_t *ret_offset, uint64_t *ret_len);

// qcow2_io.c, without the lock.
int qcow2_read(struct image *image, uint64_t offset, const struct iovec *iov, int count, uint64_t len);
int qcow2_write(struct image *image, uint64_t offset, const struct iovec *iov, int count, uint64_t len);
int qcow2_discard(struct image *image, uint64_t offset, uint64_t len);
int qcow2_zero(struct image *image, uint64_t offset, uint64_t len, bool unmap);
int qcow2_status(struct image *image, uint64_t offset, uint64_t len, int *ret_kind, uint64_t *ret_len);
int qcow2_vmstate(struct image *image, bool write, uint64_t offset, void *buf, size_t len);

// qcow2_pack.c, without the lock.
int qcow2_read_packed(struct qcow2 *s, uint64_t entry, uint64_t skip, const struct iovec *iov, int count);
int qcow2_write_packed(struct image *image, uint64_t offset, const void *buf, size_t len);

// qcow2_snapshot.c, qcow2_check.c
int qcow2_load_snapshots(struct qcow2 *s, uint32_t count, struct error *err);
void qcow2_free_snapshots(struct qcow2 *s);
int qcow2_drop_vmstate(struct qcow2 *s); // what was saved behind the disk, with the lock held
int qcow2_use_snapshot(struct qcow2 *s, const char *name, struct error *err);
int qcow2_snapshot_list(struct image *image, struct image_snapshot **ret_list, size_t *ret_count,
                        struct error *err);
int qcow2_snapshot_create(struct image *image, struct image_snapshot *snapshot, struct error *err);
int qcow2_snapshot_apply(struct image *image, const char *name, struct error *err);
int qcow2_snapshot_delete(struct image *image, const char *name, struct error *err);
int qcow2_snapshot_vmstate(struct image *image, const char *name, uint64_t offset, void *buf, size_t len);
int qcow2_check(struct image *image, enum image_repair repair, void (*say)(void *, const char *),
                void *opaque, struct image_check *ret_check, struct error *err);

#endif
