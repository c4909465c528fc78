// SPDX-License-Identifier: MIT
// Carries pages of code over a flush, or from an older context into one just made. A kernel runs in a new context for
// each process with the same tables for its own half, and every fork invalidates an ASID under which kernel code runs too:
// that code need not be looked up again one page at a time.
//
// Why that is exact: nothing is taken on trust. Each page of code is looked up under the control registers of this moment,
// in the tagged TLB, from which the invalidation has gone already, or else in the guest's tables, as a processor may at
// any time; only a page that may be executed now and leads to the memory it led to before is kept. What else its units
// depend on, that memory and the key, is what their table stands for. Own thread, or while it is stopped.
//
// Nobody notes which pages are still in use. So each carry leaves behind one in TURNS, by turns: a page in use comes
// back by the dispatcher, and one that is not has soon been looked up for the last time.
#include "accel/jit/jit.h"

#include "base/bits.h"

#include <string.h>

enum { PAGES = 2048, TURNS = 4 };

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

// Whether the page leads to the memory it led to; if so `to` learns it.
static void confirm(struct vcpu *vcpu, struct context *to, uint64_t va, const struct code_table *table)
{
    const unsigned mmu = vcpu->accel->isa->fetch_mmu(table->key);
    const struct guest_mapping *map = access_mapping(vcpu, va, GUEST_EXEC, mmu);
    if (!map || !(map->prot >> (mmu * 4) & GUEST_X))
        return;
    uint64_t pa = map->pa.v + (va & bits_mask(map->page_bits));
    const struct mem_range *range = mem_find(vcpu->accel->mem, (struct gpa){pa});
    if (!range || !range->ram || pa - range->base + IR_PAGE_SIZE > range->size ||
        range->ram->host + range->ram_offset + (pa - range->base) != table->page->host)
        return;
    struct ir_tlb_entry *e = context_entry(vcpu, mmu, va);
    __atomic_store_n(&e->addend, (uint64_t)(uintptr_t)table->page->host - va, __ATOMIC_RELAXED);
    e->exec = va;
    context_note_exec(to, va, table);
}

void context_carry(struct vcpu *vcpu, struct context *to, const struct context *from)
{
    struct { uint64_t va; const struct code_table *table; } pages[PAGES];
    const struct guest_fault fault = vcpu->fault; // walks of this vCPU's own making leave no trace
    unsigned count = 0;
    const unsigned turn = vcpu->carries++ % TURNS;
    const bool all = from->exec_filled > EXEC_LIST;
    for (unsigned n = 0; n < (all ? IR_EXEC_PAGES : from->exec_filled) && count < PAGES; n++) {
        const unsigned i = all ? n : from->exec_list[n];
        const struct ir_exec_page *e = &from->exec_pages[i];
        if (e->key != IR_NO_KEY && i % TURNS != turn) {
            pages[count].va = e->va;
            pages[count++].table = e->page;
        }
    }
    context_empty(vcpu, to); // which may be from
    for (unsigned i = 0; i < count; i++)
        confirm(vcpu, to, pages[i].va, pages[i].table);
    vcpu->fault = fault;
}
