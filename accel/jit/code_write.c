// SPDX-License-Identifier: MIT
// Guest code that changes. A page whose bytes were translated is protected: its inline write tags are withdrawn before
// the bytes are read, and stores to it come here, where they are compared before anything is invalidated. Code lines
// are 64 bytes; a unit dies when a line it was read from changes.
#include "accel/jit/jit.h"

#include <string.h>

_Atomic uint64_t *code_write_slot(struct accel *accel, const struct mem_ram *ram, uint64_t page)
{
    for (unsigned i = 0; i < accel->write_map_count; i++)
        if (accel->write_maps[i].ram == ram)
            return &accel->write_maps[i].va[page];
    return NULL; // accel_create made one for each RAM block there is
}

void code_protect_page(struct accel *accel, struct vcpu *self, struct code_page *page, uint64_t lines)
{
    uint64_t old = atomic_fetch_or(&page->ram->code_lines[page->ram_page], lines);
    if (old)
        return;
    _Atomic uint64_t *slot = code_write_slot(accel, page->ram, page->ram_page);
    uint64_t seen = atomic_exchange(slot, 0);
    if (!seen)
        return;
    for (unsigned i = 0; i < accel->cpu_count; i++)
        context_forget_writes(&accel->cpus[i], page->ram, page->ram_page, seen == 1 ? 0 : seen & ~3ull);
    if (accel->cpu_count > 1)
        safepoint_wait(accel, self);
}

// A vCPU gives itself a tag and then marks the page. Whoever took the marks before this call finds either the tag here,
// or the mark the next time; and who holds a tag that was checked has left it at its next safepoint.
void accel_withdraw_writes(struct accel *accel)
{
    for (unsigned i = 0; i < accel->cpu_count; i++)
        context_forget_all_writes(&accel->cpus[i]);
    safepoint_wait(accel, NULL);
}

static uint64_t line_mask(uint32_t offset, uint32_t bytes)
{
    unsigned first = offset >> MEM_CODE_LINE_BITS;
    unsigned last = (offset + bytes - 1) >> MEM_CODE_LINE_BITS;
    last = last > 63 ? 63 : last;
    return (~0ull << first) & (~0ull >> (63 - last));
}

uint64_t code_unit_lines(const struct unit *unit)
{
    const struct unit_region *region = unit->region;
    uint64_t lines = region ? 0 : line_mask(unit->offset, unit->bytes);
    for (unsigned i = 0; region && i < region->part_count; i++)
        lines |= line_mask(region->parts[i].offset, region->parts[i].bytes);
    return lines;
}

static bool touches(const struct unit *unit, uint64_t from, uint64_t to)
{
    const struct unit_region *region = unit->region;
    if (!region)
        return unit->offset < to && from < unit->offset + unit->bytes;
    for (unsigned i = 0; i < region->part_count; i++)
        if (region->parts[i].offset < to && from < region->parts[i].offset + region->parts[i].bytes)
            return true;
    return false;
}

struct code_page *code_find_page(struct jit *jit, uint8_t *host)
{
    struct code_page *p = jit->pages[((uintptr_t)host >> MEM_PAGE_BITS) % PAGE_HASH];
    while (p && p->host != host)
        p = p->next;
    return p;
}

static void invalidate_page(struct accel *accel, struct mem_ram *ram, uint64_t page, uint64_t from, uint64_t to)
{
    struct code_page *p = code_find_page(&accel->jit, ram->host + (page << MEM_PAGE_BITS));
    if (!p)
        return;
    __atomic_fetch_add(&p->changes, 1, __ATOMIC_SEQ_CST);
    uint64_t left = 0;
    for (struct unit *u = p->units, *next; u; u = next) {
        next = u->next_in_page;
        if (u->dead) // a region that died with the unit it stood for
            continue;
        if (touches(u, from, to)) {
            p->region_deaths += u->region != NULL;
            unit_kill(accel, u);
        } else {
            left |= code_unit_lines(u);
        }
    }
    atomic_store(&ram->code_lines[page], left);
}

void code_invalidate(struct accel *accel, struct vcpu *self, struct mem_ram *ram, uint64_t offset, uint64_t len)
{
    if (!len || !mem_has_code(ram, offset, len))
        return;
    pthread_mutex_lock(&accel->jit.lock);
    uint64_t killed = accel->jit.units_killed;
    for (uint64_t page = offset >> MEM_PAGE_BITS; page <= (offset + len - 1) >> MEM_PAGE_BITS; page++) {
        uint64_t start = page << MEM_PAGE_BITS;
        uint64_t from = offset > start ? offset - start : 0;
        uint64_t to = offset + len - start < MEM_PAGE_SIZE ? offset + len - start : MEM_PAGE_SIZE;
        invalidate_page(accel, ram, page, from, to);
    }
    killed = accel->jit.units_killed - killed;
    pthread_mutex_unlock(&accel->jit.lock);
    for (unsigned i = 0; killed && i < accel->cpu_count; i++)
        if (&accel->cpus[i] != self)
            vcpu_request(&accel->cpus[i], REQ_SAFE); // it may be looping in one of the dead units
}

void code_store(struct accel *accel, struct vcpu *self, struct mem_ram *ram, uint64_t offset, const void *bytes,
                uint64_t len)
{
    uint8_t *host = ram->host + offset;
    uint8_t old[16];
    access_load_host(old, host, (unsigned)len);
    if (!memcmp(old, bytes, len))
        return;
    access_store_host(host, bytes, (unsigned)len);
    access_mark_dirty(ram, offset >> MEM_PAGE_BITS);
    code_invalidate(accel, self, ram, offset, len);
}
