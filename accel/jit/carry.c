// SPDX-License-Identifier: MIT
// Carries jump-cache entries over a flush, or from an older context into one just made. A kernel runs in a new context for
// each process with the same tables for its own half, and every fork invalidates an ASID under which kernel code runs too:
// that code need not be looked up again one jump at a time.
//
// Why that is exact: nothing is taken on trust. Each page of code is looked up under the control registers of this moment,
// in the tagged TLB, from which the invalidation has gone already, or else in the guest's tables, as a processor may at
// any time; only a page that may be executed now and leads to the memory it led to before is kept, and with it those
// jumps that depend on nothing else than {page's memory, offset, key}, as units do. A page of which any of this is not so
// is met by its next jump as if it were new. Units die under jit.lock, which is held; jumps to the dead were removed when
// they died. Own thread, or while it is stopped.
#include "accel/jit/jit.h"

#include "base/bits.h"

#include <string.h>

enum { PAGES = 768 };

static const uint64_t page_mask = ~(uint64_t)(IR_PAGE_SIZE - 1);

struct page {
    uint64_t va, addend;
    unsigned mmu;
};

const struct context *context_donor(const struct vcpu *vcpu, const struct context *to)
{
    const struct context *best = NULL;
    for (unsigned i = 0; i < CONTEXTS; i++) {
        const struct context *c = &vcpu->contexts[i];
        if (c != to && c->live && c->id.digest == to->id.digest && c->id.vmid == to->id.vmid &&
            c->id.root[1] == to->id.root[1] && (!best || c->last_use > best->last_use))
            best = c;
    }
    return best;
}

static unsigned collect_from(const struct inline_table *t, unsigned mmu, struct page *ret_pages, unsigned room)
{
    unsigned n = 0, count = t->filled > INLINE_LIST ? t->size : t->filled;
    for (unsigned i = 0; t->entries && i < count && n < room; i++) {
        const struct ir_tlb_entry *e = &t->entries[t->filled > INLINE_LIST ? i : t->list[i]];
        uint64_t va = atomic_load_explicit(&e->exec, memory_order_relaxed);
        if (!(va & IR_TLB_INVALID))
            ret_pages[n++] = (struct page){va, e->addend, mmu};
    }
    return n;
}

// Whether the page leads to the memory it led to; if so the inline table of `to` learns it.
static void confirm(struct vcpu *vcpu, struct context *to, const struct page *page)
{
    const struct guest_mapping *map = access_mapping(vcpu, page->va, GUEST_EXEC, page->mmu);
    if (!map || !(map->prot >> (page->mmu * 4) & GUEST_X))
        return;
    uint64_t pa = map->pa.v + (page->va & bits_mask(map->page_bits));
    const struct mem_range *range = mem_find(vcpu->accel->mem, (struct gpa){pa});
    if (!range || !range->ram || pa - range->base + IR_PAGE_SIZE > range->size)
        return;
    uint64_t host = (uint64_t)(uintptr_t)range->ram->host + range->ram_offset + (pa - range->base);
    if (host != page->va + page->addend)
        return;
    struct ir_tlb_entry *e = context_entry(vcpu, page->mmu, page->va);
    __atomic_store_n(&e->addend, page->addend, __ATOMIC_RELAXED);
    e->exec = page->va;
    context_note_exec(to, page->va);
}

static void carry_jump(struct vcpu *vcpu, struct context *to, const struct ir_jump_entry *j, unsigned index)
{
    uint64_t page = j->va & page_mask;
    if (j->va == 1 || inline_slot(&to->tables[vcpu->accel->isa->fetch_mmu((uint32_t)j->key_gen)], page)->exec != page)
        return;
    context_note_jump(to, index);
    to->jumps[index] = *j;
    to->jumps[index].key_gen = (uint64_t)to->gen << 32 | (uint32_t)j->key_gen;
}

void context_carry(struct vcpu *vcpu, struct context *to, const struct context *from)
{
    struct page pages[PAGES];
    const struct guest_fault fault = vcpu->fault; // walks of this vCPU's own making leave no trace
    const uint32_t from_gen = from->gen;
    const unsigned jumps = from->jumps_filled > JUMP_LIST ? JUMP_ENTRIES : from->jumps_filled;
    uint16_t list[JUMP_LIST]; // `to` begins its own, and may be from
    unsigned count = 0;
    for (unsigned m = 0; m < vcpu->accel->isa->mmu_count; m++)
        count += collect_from(&from->tables[m], m, pages + count, PAGES - count);
    if (jumps <= JUMP_LIST)
        memcpy(list, from->jump_list, jumps * sizeof *list);
    context_empty(vcpu, to);
    if (!count)
        return;
    pthread_mutex_lock(&vcpu->accel->jit.lock);
    for (unsigned i = 0; i < count; i++)
        confirm(vcpu, to, &pages[i]);
    for (unsigned i = 0; i < jumps; i++) {
        unsigned index = jumps > JUMP_LIST ? i : list[i];
        if (from->jumps[index].key_gen >> 32 == from_gen)
            carry_jump(vcpu, to, &from->jumps[index], index);
    }
    pthread_mutex_unlock(&vcpu->accel->jit.lock);
    vcpu->fault = fault;
}
