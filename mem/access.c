// SPDX-License-Identifier: MIT
// Owns access to guest-physical memory outside translated code: finding the range, splitting what crosses
// ranges or is wider than a device takes, locking around device handlers, and telling the watcher of writes
// to lines with translated code. Invariant: aligned accesses of 1 to 8 bytes to RAM are single host accesses.
#include "mem/mem.h"

#include <string.h>

const struct mem_range *mem_find(const struct mem_space *space, struct gpa addr)
{
    const struct mem_view *view = atomic_load_explicit(&space->view, memory_order_acquire);
    if (!view)
        return NULL;
    size_t low = 0, high = view->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct mem_range *range = &view->ranges[middle];
        if (addr.v < range->base)
            high = middle;
        else if (addr.v - range->base < range->size)
            return range;
        else
            low = middle + 1;
    }
    return NULL;
}

// --- MMIO ---

static bool lock_needed(const struct mem_range *range, bool locked)
{
    return !locked && !(range->flags & MEM_UNLOCKED);
}

// The widest access the device takes at offset within an access of size bytes, or 0 if it takes none.
static unsigned piece_size(const struct mem_range *range, uint64_t offset, unsigned size)
{
    unsigned piece = 8;
    while (piece > size || piece > range->ops->max_size || (offset & (piece - 1)))
        piece >>= 1;
    return piece >= range->ops->min_size ? piece : 0;
}

static bool fits(const struct mem_range *range, uint64_t offset, unsigned size)
{
    return size >= 1 && size <= 8 && offset < range->size && size <= range->size - offset;
}

enum mem_result mem_mmio_read(struct mem_space *space, const struct mem_range *range, uint64_t offset,
                              unsigned size, uint64_t *ret_value, bool locked)
{
    if (!fits(range, offset, size))
        return MEM_REFUSED;
    bool lock = lock_needed(range, locked);
    if (lock)
        pthread_mutex_lock(space->lock);
    enum mem_result result = MEM_OK;
    uint64_t value = 0;
    for (unsigned done = 0; done < size && result == MEM_OK;) {
        unsigned piece = piece_size(range, offset + done, size - done);
        uint64_t part = 0;
        result = piece ? range->ops->read(range->opaque, offset + done, piece, &part) : MEM_REFUSED;
        if (piece < 8)
            part &= (1ull << (piece * 8)) - 1;
        value |= part << (done * 8);
        done += piece;
    }
    if (lock)
        pthread_mutex_unlock(space->lock);
    if (result == MEM_OK)
        *ret_value = value;
    return result;
}

enum mem_result mem_mmio_write(struct mem_space *space, const struct mem_range *range, uint64_t offset,
                               unsigned size, uint64_t value, bool locked)
{
    if (!fits(range, offset, size))
        return MEM_REFUSED;
    bool lock = lock_needed(range, locked);
    if (lock)
        pthread_mutex_lock(space->lock);
    enum mem_result result = MEM_OK;
    for (unsigned done = 0; done < size && result == MEM_OK;) {
        unsigned piece = piece_size(range, offset + done, size - done);
        uint64_t part = value >> (done * 8);
        if (piece < 8)
            part &= (1ull << (piece * 8)) - 1;
        result = piece ? range->ops->write(range->opaque, offset + done, piece, part) : MEM_REFUSED;
        done += piece;
    }
    if (lock)
        pthread_mutex_unlock(space->lock);
    return result;
}

// --- RAM ---

static void ram_load(void *buf, const uint8_t *host, uint64_t len)
{
    bool aligned = !((uintptr_t)host & (len - 1));
    if (len == 8 && aligned)
        memcpy(buf, &(uint64_t){__atomic_load_n((const uint64_t *)host, __ATOMIC_RELAXED)}, 8);
    else if (len == 4 && aligned)
        memcpy(buf, &(uint32_t){__atomic_load_n((const uint32_t *)host, __ATOMIC_RELAXED)}, 4);
    else if (len == 2 && aligned)
        memcpy(buf, &(uint16_t){__atomic_load_n((const uint16_t *)host, __ATOMIC_RELAXED)}, 2);
    else
        memcpy(buf, host, len);
}

static void ram_store(uint8_t *host, const void *buf, uint64_t len)
{
    bool aligned = len <= 8 && !((uintptr_t)host & (len - 1));
    uint64_t value = 0;
    if (aligned)
        memcpy(&value, buf, len);
    if (len == 8 && aligned)
        __atomic_store_n((uint64_t *)host, value, __ATOMIC_RELAXED);
    else if (len == 4 && aligned)
        __atomic_store_n((uint32_t *)host, (uint32_t)value, __ATOMIC_RELAXED);
    else if (len == 2 && aligned)
        __atomic_store_n((uint16_t *)host, (uint16_t)value, __ATOMIC_RELAXED);
    else
        memcpy(host, buf, len);
}

static void ram_written(struct mem_space *space, struct mem_ram *ram, uint64_t offset, uint64_t len)
{
    for (uint64_t page = offset >> MEM_PAGE_BITS; page <= (offset + len - 1) >> MEM_PAGE_BITS; page++)
        atomic_store_explicit(&ram->dirty[page], 1, memory_order_relaxed);
    if (space->watcher.written)
        space->watcher.written(space->watcher.opaque, ram, offset, len);
    if (space->watcher.code_written && mem_has_code(ram, offset, len))
        space->watcher.code_written(space->watcher.opaque, ram, offset, len);
}

void mem_ram_write(struct mem_space *space, struct mem_ram *ram, uint64_t offset, const void *buf, uint64_t len)
{
    if (!len)
        return;
    uint8_t *host = ram->host + offset;
    // Compared first: stores that change nothing leave translations of the line alone.
    if (mem_has_code(ram, offset, len) && !memcmp(host, buf, len))
        return;
    ram_store(host, buf, len);
    ram_written(space, ram, offset, len);
}

// --- any address ---

static uint64_t within(const struct mem_range *range, uint64_t offset, uint64_t len)
{
    return len <= range->size - offset ? len : range->size - offset;
}

// Bytes of the next device access in a longer transfer: naturally aligned, never past the end of the buffer.
static unsigned device_piece(uint64_t offset, uint64_t len)
{
    unsigned piece = 8;
    while (piece > len || (offset & (piece - 1)))
        piece >>= 1;
    return piece;
}

enum mem_result mem_read(struct mem_space *space, struct gpa addr, void *buf, uint64_t len, bool locked)
{
    for (uint8_t *to = buf; len;) {
        const struct mem_range *range = mem_find(space, addr);
        if (!range)
            return MEM_NOTHING_THERE;
        uint64_t offset = addr.v - range->base, part = within(range, offset, len);
        if (range->ram) {
            ram_load(to, range->ram->host + range->ram_offset + offset, part);
        } else {
            part = device_piece(offset, part);
            uint64_t value = 0;
            enum mem_result result = mem_mmio_read(space, range, offset, (unsigned)part, &value, locked);
            if (result != MEM_OK)
                return result;
            memcpy(to, &value, part);
        }
        to += part;
        addr.v += part;
        len -= part;
    }
    return MEM_OK;
}

enum mem_result mem_write(struct mem_space *space, struct gpa addr, const void *buf, uint64_t len,
                          bool locked)
{
    for (const uint8_t *from = buf; len;) {
        const struct mem_range *range = mem_find(space, addr);
        if (!range)
            return MEM_NOTHING_THERE;
        uint64_t offset = addr.v - range->base, part = within(range, offset, len);
        if (range->ram) {
            if (!(range->flags & MEM_READONLY))
                mem_ram_write(space, range->ram, range->ram_offset + offset, from, part);
        } else {
            part = device_piece(offset, part);
            uint64_t value = 0;
            memcpy(&value, from, part);
            enum mem_result result = mem_mmio_write(space, range, offset, (unsigned)part, value, locked);
            if (result != MEM_OK)
                return result;
        }
        from += part;
        addr.v += part;
        len -= part;
    }
    return MEM_OK;
}

void *mem_host(struct mem_space *space, struct gpa addr, uint64_t len)
{
    const struct mem_range *range = mem_find(space, addr);
    if (!range || !range->ram || (range->flags & MEM_READONLY))
        return NULL;
    uint64_t offset = addr.v - range->base;
    return len <= range->size - offset ? range->ram->host + range->ram_offset + offset : NULL;
}

void mem_wrote(struct mem_space *space, struct gpa addr, uint64_t len)
{
    while (len) {
        const struct mem_range *range = mem_find(space, addr);
        if (!range)
            return;
        uint64_t offset = addr.v - range->base, part = within(range, offset, len);
        if (range->ram)
            ram_written(space, range->ram, range->ram_offset + offset, part);
        addr.v += part;
        len -= part;
    }
}
