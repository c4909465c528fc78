// SPDX-License-Identifier: MIT
// Owns the build list of a memory space and the making of flat views from it. Invariant: a published view is
// never changed; regions of a view outlive it.
#include "base/error.h"
#include "mem/build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

// Zero-filled host memory, reserved but not backed until it is touched. NULL when the host refuses.
static void *host_alloc(uint64_t size)
{
    // Host huge pages need host addresses aligned to them: reserve more and give back the ends.
    uint64_t slack = size >= HUGE_PAGE ? HUGE_PAGE : 0;
    if (size + slack < size)
        return NULL;
    uint8_t *map =
        mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    if (!slack)
        return map;
    uint64_t before = -(uintptr_t)map & (HUGE_PAGE - 1);
    if (before)
        munmap(map, before);
    if (slack - before)
        munmap(map + before + size, slack - before);
    madvise(map + before, size, MADV_HUGEPAGE);
    return map + before;
}

static void host_free(void *host, uint64_t size)
{
    if (host)
        munmap(host, size);
}

int mem_space_create(pthread_mutex_t *lock, struct mem_space **ret_space, struct error *err)
{
    struct mem_space *space = calloc(1, sizeof *space);
    struct mem_build *build = calloc(1, sizeof *build);
    if (!space || !build) {
        free(space);
        free(build);
        return error_set(err, -ENOMEM, "no memory for an address space");
    }
    space->lock = lock;
    space->build = build;
    *ret_space = space;
    return 0;
}

static void block_free(struct mem_block *block)
{
    uint64_t pages = block->ram.size >> MEM_PAGE_BITS;
    host_free(block->ram.host, block->ram.size);
    host_free(block->ram.code_lines, pages * sizeof *block->ram.code_lines);
    host_free(block->ram.dirty, pages);
    free(block);
}

void mem_space_destroy(struct mem_space *space)
{
    if (!space)
        return;
    for (struct mem_region *region = space->build->regions, *next; region; region = next) {
        next = region->next;
        free(region);
    }
    for (struct mem_block *block = space->build->blocks, *next; block; block = next) {
        next = block->next;
        block_free(block);
    }
    free((void *)atomic_load(&space->view));
    free(space->build);
    free(space);
}

// A removed region of the same name, or a new one. A guest that moves a PCI BAR for ever thus takes no more
// memory; views point to the name only, which stays the same.
static struct mem_region *region_reuse(struct mem_build *build, const char *name)
{
    for (struct mem_region *region = build->regions; region; region = region->next)
        if (region->removed && !strncmp(region->name, name, sizeof region->name - 1))
            return region;
    struct mem_region *region = calloc(1, sizeof *region);
    if (region) {
        snprintf(region->name, sizeof region->name, "%s", name);
        region->next = build->regions;
        build->regions = region;
    }
    return region;
}

static int region_add(struct mem_space *space, const char *name, const struct mem_range *range,
                      struct error *err)
{
    uint64_t last = range->base + range->size - 1;
    if (!range->size || last < range->base)
        return error_set(err, -EINVAL,
                         "region %s at 0x%llx has size 0x%llx, which does not fit the address space", name,
                         (unsigned long long)range->base, (unsigned long long)range->size);
    for (const struct mem_region *other = space->build->regions; other; other = other->next) {
        const struct mem_range *o = &other->range;
        if (!other->removed && range->base <= o->base + o->size - 1 && o->base <= last)
            return error_set(err, -EEXIST, "region %s (0x%llx-0x%llx) overlaps %s (0x%llx-0x%llx)", name,
                             (unsigned long long)range->base, (unsigned long long)last, other->name,
                             (unsigned long long)o->base, (unsigned long long)(o->base + o->size - 1));
    }
    struct mem_region *region = region_reuse(space->build, name);
    if (!region)
        return error_set(err, -ENOMEM, "no memory for region %s", name);
    region->range = *range;
    region->range.name = region->name;
    region->removed = false;
    return 0;
}

static bool page_aligned(uint64_t v)
{
    return !(v & (MEM_PAGE_SIZE - 1));
}

// A new block of RAM and its region, which range describes but for the block.
static int block_add(struct mem_space *space, const char *name, struct mem_range range, struct mem_ram **ret_ram,
                     struct error *err)
{
    uint64_t base = range.base, size = range.size;
    if (!page_aligned(base) || !page_aligned(size))
        return error_set(err, -EINVAL, "RAM %s (0x%llx bytes at 0x%llx) is not made of whole 4 KiB pages",
                         name, (unsigned long long)size, (unsigned long long)base);
    struct mem_block *block = calloc(1, sizeof *block);
    if (!block)
        return error_set(err, -ENOMEM, "no memory for RAM %s", name);
    uint64_t pages = size >> MEM_PAGE_BITS;
    block->ram.size = size;
    block->ram.host = host_alloc(size);
    block->ram.code_lines = host_alloc(pages * sizeof *block->ram.code_lines);
    block->ram.dirty = host_alloc(pages);
    snprintf(block->ram.name, sizeof block->ram.name, "%s", name);
    if (!block->ram.host || !block->ram.code_lines || !block->ram.dirty) {
        block_free(block);
        return error_set(err, -ENOMEM, "the host cannot reserve %llu MiB for RAM %s",
                         (unsigned long long)(size >> 20), name);
    }
    range.ram = &block->ram;
    int code = region_add(space, name, &range, err);
    if (code) {
        block_free(block);
        return code;
    }
    block->next = space->build->blocks;
    space->build->blocks = block;
    if (ret_ram)
        *ret_ram = &block->ram;
    return 0;
}

int mem_add_ram(struct mem_space *space, const char *name, struct gpa base, uint64_t size, uint32_t flags,
                struct mem_ram **ret_ram, struct error *err)
{
    struct mem_range range = {.base = base.v, .size = size, .flags = flags};
    return block_add(space, name, range, ret_ram, err);
}

int mem_add_rom_device(struct mem_space *space, const char *name, struct gpa base, uint64_t size,
                       const struct mem_mmio_ops *ops, void *opaque, struct mem_rom *rom,
                       struct mem_ram **ret_ram, struct error *err)
{
    struct mem_range range = {
        .base = base.v, .size = size, .ops = ops, .opaque = opaque, .rom = rom, .flags = MEM_READONLY};
    return block_add(space, name, range, ret_ram, err);
}

int mem_add_mmio(struct mem_space *space, const char *name, struct gpa base, uint64_t size,
                 const struct mem_mmio_ops *ops, void *opaque, uint32_t flags, struct error *err)
{
    struct mem_range range = {.base = base.v, .size = size, .ops = ops, .opaque = opaque, .flags = flags};
    return region_add(space, name, &range, err);
}

int mem_add_alias(struct mem_space *space, const char *name, struct gpa base, struct mem_ram *ram,
                  uint64_t offset, uint64_t size, uint32_t flags, struct error *err)
{
    if (!page_aligned(base.v) || !page_aligned(offset) || !page_aligned(size) || offset > ram->size ||
        size > ram->size - offset)
        return error_set(err, -EINVAL, "alias %s does not lie on whole pages inside RAM %s", name, ram->name);
    struct mem_range range = {.base = base.v, .size = size, .ram = ram, .ram_offset = offset, .flags = flags};
    return region_add(space, name, &range, err);
}

void mem_remove(struct mem_space *space, struct gpa base)
{
    for (struct mem_region *region = space->build->regions; region; region = region->next)
        if (region->range.base == base.v)
            region->removed = true;
}

static int by_base(const void *a, const void *b)
{
    const struct mem_range *x = a, *y = b;
    return x->base < y->base ? -1 : x->base > y->base;
}

const struct mem_view *mem_commit(struct mem_space *space)
{
    size_t count = 0;
    for (struct mem_region *region = space->build->regions; region; region = region->next)
        count += !region->removed;
    struct mem_view *view = malloc(sizeof *view + count * sizeof view->ranges[0]);
    if (!view)
        return NULL; // the old view stays in force: a guest that moves a BAR must not end the machine
    view->count = 0;
    for (struct mem_region *region = space->build->regions; region; region = region->next)
        if (!region->removed)
            view->ranges[view->count++] = region->range;
    qsort(view->ranges, count, sizeof view->ranges[0], by_base);
    return atomic_exchange_explicit(&space->view, view, memory_order_acq_rel);
}
