// SPDX-License-Identifier: MIT
// Carries jump-cache entries from an older context into one just made. A kernel runs in a new context for each process
// with the same tables for its own half: its code need not be looked up again one jump at a time.
//
// Nothing is taken on trust: each page of code is looked up afresh in the guest's tables, and only jumps to pages that
// lead to the same memory as before are kept. Own thread only.
#include "accel/jit/jit.h"

#include "base/bits.h"

enum { MEMO = 512 };

static const uint64_t page_mask = ~(uint64_t)(IR_PAGE_SIZE - 1);

// What became of a page.
struct memo {
    uint64_t page; // 0: empty
    unsigned mmu;
    bool same;
};

const struct context *context_donor(const struct vcpu *vcpu, const struct context *to)
{
    const struct context *best = NULL;
    for (unsigned i = 0; i < CONTEXTS; i++) {
        const struct context *c = &vcpu->contexts[i];
        if (c != to && c->live && !c->stale && c->id.digest == to->id.digest && c->id.vmid == to->id.vmid &&
            c->id.root[1] == to->id.root[1] && (!best || c->last_use > best->last_use))
            best = c;
    }
    return best;
}

static struct ir_tlb_entry *entry_of(const struct context *ctx, unsigned mmu, uint64_t page)
{
    return &ctx->tables[mmu][(page >> IR_PAGE_BITS) & (INLINE_ENTRIES - 1)];
}

// Whether page still leads to the memory that `from` has for it; if so the inline table of `to` learns it.
static bool same_page(struct vcpu *vcpu, struct context *to, const struct context *from, uint64_t page, unsigned mmu)
{
    const struct ir_tlb_entry *old = entry_of(from, mmu, page);
    if (old->exec != page)
        return false;
    const struct guest_mapping *map = access_mapping(vcpu, page, GUEST_EXEC, mmu);
    if (!map || !(map->prot >> (mmu * 4) & GUEST_X))
        return false;
    uint64_t pa = map->pa.v + (page & bits_mask(map->page_bits));
    const struct mem_range *range = mem_find(vcpu->accel->mem, (struct gpa){pa});
    if (!range || !range->ram || pa - range->base + IR_PAGE_SIZE > range->size)
        return false;
    uint64_t host = (uint64_t)(uintptr_t)range->ram->host + range->ram_offset + (pa - range->base);
    if (host != page + old->addend)
        return false;
    struct ir_tlb_entry *e = entry_of(to, mmu, page);
    e->addend = old->addend;
    e->exec = page;
    to->exec_pages[(page >> IR_PAGE_BITS) % EXEC_PAGES] = 1;
    return true;
}

static void carry_jumps(struct vcpu *vcpu, struct context *to, const struct context *from)
{
    struct memo memo[MEMO] = {0};
    for (unsigned i = 0; i < JUMP_ENTRIES; i++) {
        const struct ir_jump_entry *j = &from->jumps[i];
        if (j->va == 1 || j->key_gen >> 32 != from->gen)
            continue;
        uint64_t page = j->va & page_mask;
        unsigned mmu = vcpu->accel->isa->fetch_mmu((uint32_t)j->key_gen);
        struct memo *m = &memo[(page >> IR_PAGE_BITS) % MEMO];
        if (m->page != page || m->mmu != mmu) {
            bool again = entry_of(to, mmu, page)->exec == page; // the memo forgot it
            *m = (struct memo){page, mmu, again || same_page(vcpu, to, from, page, mmu)};
        }
        if (!m->same)
            continue;
        to->jumps[i] = *j;
        to->jumps[i].key_gen = (uint64_t)to->gen << 32 | (uint32_t)j->key_gen;
    }
}

void context_carry(struct vcpu *vcpu, struct context *to, const struct context *from)
{
    const struct guest_fault fault = vcpu->fault; // walks of this vCPU's own making leave no trace
    pthread_mutex_lock(&vcpu->accel->jit.lock);   // no unit dies meanwhile
    carry_jumps(vcpu, to, from);
    pthread_mutex_unlock(&vcpu->accel->jit.lock);
    vcpu->fault = fault;
}
