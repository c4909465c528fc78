// SPDX-License-Identifier: MIT
// Guest-physical memory: RAM blocks and MMIO regions in one address space, seen through an immutable flat
// view.
//
// The flat view is a sorted array of disjoint ranges. It is replaced as a whole (mem_commit) and readers that
// hold a pointer into it drop it at their next safepoint; the accelerator arranges that wait. RAM never moves
// while the space lives. MMIO handlers run with the space's lock held unless their region says MEM_UNLOCKED;
// they never block.
//
// Per 4 KiB page of RAM there is a map of 64 code lines of 64 bytes: a set bit says that a translated unit
// was read from that line. Whoever writes RAM (mem_write, the soft MMU's slow path) reports writes to such
// lines to the watcher; the inline fast path never writes a page with a set bit because its write tag is
// withheld.
#ifndef MEM_MEM_H
#define MEM_MEM_H

#include "base/types.h"

#include <pthread.h>
#include <stdatomic.h>

struct error;

enum { MEM_PAGE_BITS = 12, MEM_PAGE_SIZE = 1 << MEM_PAGE_BITS, MEM_CODE_LINE_BITS = 6 };

// What an access to guest-physical memory came to. Guest-caused, hence a value.
enum mem_result {
    MEM_OK = 0,
    MEM_NOTHING_THERE, // no region at this address: decode error, the guest's external abort
    MEM_REFUSED,       // the device rejects this size or offset: slave error, likewise an external abort
};

struct mem_mmio_ops {
    // size is 1, 2, 4 or 8 bytes, offset is aligned to size; the value is zero-extended and little-endian.
    enum mem_result (*read)(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value);
    enum mem_result (*write)(void *opaque, uint64_t offset, unsigned size, uint64_t value);
    unsigned min_size, max_size; // accepted access sizes; a wider access is split, a narrower one is refused
};

enum mem_flags {
    MEM_READONLY = 1 << 0, // ROM: guest writes are dropped
    MEM_UNLOCKED = 1 << 1, // MMIO: the device has its own lock; handlers run without the space's
};

struct mem_ram {
    uint8_t *host;                // page-aligned, zero-filled anonymous memory
    uint64_t size;                // bytes, a multiple of 4096
    _Atomic uint64_t *code_lines; // one word a page, bit n = line n holds translated code
    _Atomic uint8_t *dirty;       // one byte a page: it may have changed since dirty.c last took the mark
    char name[32];
};

// A ROM device (flash): RAM that the guest reads and runs, the device's ops for its writes, and for its reads too while
// the device does not show the array. Only READS and TRAPS are the device's to choose between, machine lock held, at any
// time: then every read looks here first. While it is PLAIN nobody does, and translated code reads the RAM as any other;
// whoever lets a guest write first withdraws what translated code has cached, between LEAVING and READS. A reset, with
// every vCPU stopped, makes it PLAIN again. DMA and debuggers see the array in every state, as do the vCPUs' fetches.
enum mem_rom_state { MEM_ROM_PLAIN, MEM_ROM_LEAVING, MEM_ROM_READS, MEM_ROM_TRAPS };
struct mem_rom {
    _Atomic uint32_t state; // enum mem_rom_state
};

struct mem_range {
    uint64_t base, size;            // guest-physical, bytes
    struct mem_ram *ram;            // NULL for MMIO
    uint64_t ram_offset;            // of base in *ram
    const struct mem_mmio_ops *ops; // NULL for RAM
    void *opaque;
    struct mem_rom *rom; // NULL but for ROM devices, which have both ram and ops and are MEM_READONLY
    uint32_t flags; // enum mem_flags
    const char *name;
};

struct mem_view {
    size_t count;
    struct mem_range ranges[]; // sorted by base, disjoint
};

// Told after bytes of lines with translated code were written by anything but translated code's own slow
// path.
struct mem_watcher {
    void (*code_written)(void *opaque, struct mem_ram *ram, uint64_t offset, uint64_t len);
    void (*written)(void *opaque, struct mem_ram *ram, uint64_t offset, uint64_t len); // any RAM, or NULL
    void *opaque;
};

struct mem_space {
    _Atomic(const struct mem_view *) view;
    pthread_mutex_t *lock; // the machine lock, borrowed
    struct mem_watcher watcher;
    struct mem_build *build; // regions not yet committed, private to mem/
};

// lock is borrowed and outlives the space. 0 or -ENOMEM.
int mem_space_create(pthread_mutex_t *lock, struct mem_space **ret_space, struct error *err);
void mem_space_destroy(struct mem_space *space);

// Adds a region to the build list; an overlap with an existing one is -EEXIST with a sentence naming both.
int mem_add_ram(struct mem_space *space, const char *name, struct gpa base, uint64_t size, uint32_t flags,
                struct mem_ram **ret_ram, struct error *err);
int mem_add_mmio(struct mem_space *space, const char *name, struct gpa base, uint64_t size,
                 const struct mem_mmio_ops *ops, void *opaque, uint32_t flags, struct error *err);
// A ROM device; rom is the device's and outlives the space. base and size are multiples of 4096.
int mem_add_rom_device(struct mem_space *space, const char *name, struct gpa base, uint64_t size,
                       const struct mem_mmio_ops *ops, void *opaque, struct mem_rom *rom,
                       struct mem_ram **ret_ram, struct error *err);
// Maps an already added RAM block again (aliases); base and size are multiples of 4096.
int mem_add_alias(struct mem_space *space, const char *name, struct gpa base, struct mem_ram *ram,
                  uint64_t offset, uint64_t size, uint32_t flags, struct error *err);
void mem_remove(struct mem_space *space, struct gpa base);
// Publishes the build list as a new view and returns the old one (NULL at first); the caller frees the old
// view with free() once every reader has passed a safepoint. Without host memory the old view stays and NULL
// is returned.
const struct mem_view *mem_commit(struct mem_space *space);

// The range that holds addr, or NULL. Valid until the reader's next safepoint.
const struct mem_range *mem_find(const struct mem_space *space, struct gpa addr);

// Any thread. Take the machine lock for locked MMIO unless the caller says it holds it (locked = true).
enum mem_result mem_read(struct mem_space *space, struct gpa addr, void *buf, uint64_t len, bool locked);
enum mem_result mem_write(struct mem_space *space, struct gpa addr, const void *buf, uint64_t len,
                          bool locked);
enum mem_result mem_mmio_read(struct mem_space *space, const struct mem_range *range, uint64_t offset,
                              unsigned size, uint64_t *ret_value, bool locked);
enum mem_result mem_mmio_write(struct mem_space *space, const struct mem_range *range, uint64_t offset,
                               unsigned size, uint64_t value, bool locked);
// Host pointer to len contiguous bytes of RAM at addr, or NULL where they are not all in one writable RAM
// range. For DMA: the caller reports writes with mem_wrote.
void *mem_host(struct mem_space *space, struct gpa addr, uint64_t len);
void mem_wrote(struct mem_space *space, struct gpa addr, uint64_t len);
// Writes a block wherever it is mapped, read-only or not: for the device whose memory it is.
void mem_ram_write(struct mem_space *space, struct mem_ram *ram, uint64_t offset, const void *buf, uint64_t len);

// Dirty pages (dirty.c). Whoever writes RAM marks its pages after the write; translated code writes pages unseen for as
// long as accel_withdraw_writes is not called, so who wants all of them takes the marks first and calls that afterwards.
// Any thread; one taker. take clears the marks and sets the bits of the pages in bitmap (mem_bitmap_words of them),
// leaving other bits; it returns how many pages were marked.
static inline size_t mem_bitmap_words(const struct mem_ram *ram)
{
    return ((ram->size >> MEM_PAGE_BITS) + 63) / 64;
}
uint64_t mem_dirty_take(struct mem_ram *ram, uint64_t *bitmap);
uint64_t mem_dirty_count(const struct mem_ram *ram);
// Makes a block all zeros and gives its memory back to the host. The caller sees to what was cached of it.
void mem_ram_clear(struct mem_ram *ram);
// The nth block of RAM of a space, mapped or not, in an order that does not change; NULL: no more.
struct mem_ram *mem_ram_nth(struct mem_space *space, size_t n);

// True when any of the len bytes at offset lies in a line with translated code.
static inline bool mem_has_code(const struct mem_ram *ram, uint64_t offset, uint64_t len)
{
    for (uint64_t page = offset >> MEM_PAGE_BITS; page <= (offset + len - 1) >> MEM_PAGE_BITS; page++) {
        uint64_t lines = atomic_load_explicit(&ram->code_lines[page], memory_order_relaxed);
        if (!lines)
            continue;
        uint64_t start = page << MEM_PAGE_BITS;
        uint64_t from = offset > start ? offset - start : 0;
        uint64_t to = offset + len - start > MEM_PAGE_SIZE ? MEM_PAGE_SIZE - 1 : offset + len - start - 1;
        unsigned first = from >> MEM_CODE_LINE_BITS, last = to >> MEM_CODE_LINE_BITS;
        uint64_t mask = (last == 63 ? ~0ull : (1ull << (last + 1)) - 1) & ~((1ull << first) - 1);
        if (lines & mask)
            return true;
    }
    return false;
}

#endif
