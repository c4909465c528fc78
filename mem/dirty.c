// SPDX-License-Identifier: MIT
// Owns the marks of pages that were written, and what treats blocks of RAM as wholes. Invariant: a mark that is cleared
// here has its bit set in the caller's bitmap.
#include "mem/build.h"

#include <string.h>
#include <sys/mman.h>

uint64_t mem_dirty_take(struct mem_ram *ram, uint64_t *bitmap)
{
    uint64_t pages = ram->size >> MEM_PAGE_BITS, count = 0;
    for (uint64_t page = 0; page < pages; page++) {
        if (!atomic_load_explicit(&ram->dirty[page], memory_order_relaxed) || !atomic_exchange(&ram->dirty[page], 0))
            continue;
        bitmap[page / 64] |= 1ull << (page % 64);
        count++;
    }
    return count;
}

uint64_t mem_dirty_count(const struct mem_ram *ram)
{
    uint64_t pages = ram->size >> MEM_PAGE_BITS, count = 0;
    for (uint64_t page = 0; page < pages; page++)
        count += atomic_load_explicit(&ram->dirty[page], memory_order_relaxed);
    return count;
}

void mem_ram_clear(struct mem_ram *ram)
{
    if (madvise(ram->host, ram->size, MADV_DONTNEED))
        memset(ram->host, 0, ram->size);
    for (uint64_t page = 0; page < ram->size >> MEM_PAGE_BITS; page++)
        atomic_store_explicit(&ram->dirty[page], 1, memory_order_relaxed);
}

struct mem_ram *mem_ram_nth(struct mem_space *space, size_t n)
{
    struct mem_block *block = space->build->blocks;
    while (block && n--)
        block = block->next;
    return block ? &block->ram : NULL;
}
