// SPDX-License-Identifier: MIT
// Translation contexts of a vCPU: the inline tables and pages of code that translated code reads, one set for each
// recently used {roots, ASID, VMID, control digest}, so that a context switch swaps pointers. Every entry caches what
// the tagged TLB or the unit table says; dropping one is always safe.
//
// Own thread only, except context_forget_writes, whose callers then wait for a safepoint.
#include "accel/jit/jit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static bool is_empty(const struct ir_tlb_entry *e)
{
    return e->read & e->write & e->exec & IR_TLB_INVALID;
}

static void clear_entry(struct ir_tlb_entry *e)
{
    atomic_store_explicit(&e->read, IR_TLB_INVALID, memory_order_relaxed);
    atomic_store_explicit(&e->write, IR_TLB_INVALID, memory_order_relaxed);
    atomic_store_explicit(&e->exec, IR_TLB_INVALID, memory_order_relaxed);
}

static void clear_table(struct inline_table *t)
{
    if (t->filled > INLINE_LIST)
        for (unsigned i = 0; i < t->size; i++)
            clear_entry(&t->entries[i]);
    else
        for (unsigned i = 0; i < t->filled; i++)
            clear_entry(&t->entries[t->list[i]]);
    t->filled = t->displaced = 0;
}

// To an empty table of size entries. Another vCPU that withdraws write tags may look at either size: tags of the old one
// are gone, and one of the new one is written after the size, and withdrawn by its writer if it finds code then.
static void resize(struct vcpu *vcpu, struct context *ctx, unsigned mmu, uint32_t size)
{
    struct inline_table *t = &ctx->tables[mmu];
    clear_table(t);
    for (uint32_t i = t->size; i < size; i++)
        clear_entry(&t->entries[i]);
    vcpu->inline_grown += size - t->size;
    atomic_store(&t->size, size);
    if (ctx == vcpu->context)
        vcpu->env->mmu[mmu].mask = (uint64_t)(size - 1) << 5;
}

// Entries beyond those of a new context are given back, and their memory too.
static void shrink(struct vcpu *vcpu, struct context *ctx)
{
    for (unsigned m = 0; m < IR_MMU_INDICES; m++) {
        struct inline_table *t = &ctx->tables[m];
        if (t->size <= INLINE_ENTRIES)
            continue;
        resize(vcpu, ctx, m, INLINE_ENTRIES);
        madvise(t->entries + INLINE_ENTRIES, (INLINE_MAX - INLINE_ENTRIES) * sizeof *t->entries, MADV_DONTNEED);
    }
}

struct ir_tlb_entry *context_entry(struct vcpu *vcpu, unsigned mmu, uint64_t va)
{
    struct inline_table *t = &vcpu->context->tables[mmu];
    struct ir_tlb_entry *e = inline_slot(t, va);
    const uint64_t page = va & ~(uint64_t)(IR_PAGE_SIZE - 1);
    if (!is_empty(e)) {
        if (e->read == page || e->write == page || e->exec == page || ++t->displaced <= t->size)
            return e;
        t->displaced = 0;
        if (t->size == INLINE_MAX || vcpu->inline_grown + t->size > INLINE_GROWN)
            return e;
        resize(vcpu, vcpu->context, mmu, t->size * 2);
        e = inline_slot(t, va);
    }
    if (t->filled < INLINE_LIST)
        t->list[t->filled] = (uint16_t)(e - t->entries);
    t->filled++;
    return e;
}

static void forget_exec(struct context *ctx)
{
    if (ctx->exec_filled > EXEC_LIST)
        memset(ctx->exec_pages, 0xff, IR_EXEC_PAGES * sizeof *ctx->exec_pages);
    else
        for (uint32_t i = 0; i < ctx->exec_filled; i++)
            memset(&ctx->exec_pages[ctx->exec_list[i]], 0xff, sizeof *ctx->exec_pages);
    ctx->exec_filled = 0;
}
_Static_assert(IR_NO_KEY == UINT32_MAX, "all ones are an empty entry");

void context_empty(struct vcpu *vcpu, struct context *ctx)
{
    for (unsigned m = 0; m < IR_MMU_INDICES; m++) {
        struct inline_table *t = &ctx->tables[m];
        bool too_large = t->size > INLINE_ENTRIES && t->filled < t->size / 4;
        clear_table(t);
        if (too_large)
            resize(vcpu, ctx, m, t->size / 2);
    }
    forget_exec(ctx);
    ctx->stale = false;
}

static bool same_context(const struct guest_context *a, const struct guest_context *b)
{
    return a->root[0] == b->root[0] && a->root[1] == b->root[1] && a->digest == b->digest && a->asid == b->asid &&
           a->vmid == b->vmid;
}

// Whether what contexts know of code may be looked at: not while the vCPU has yet to be told that tables of units went,
// which may be freed by now (a debugger flushes while it is parked).
static bool may_carry(const struct vcpu *vcpu)
{
    return !vcpu->lockstep && !(atomic_load(&vcpu->requests) & REQ_CODE);
}

// Empties a context that goes on. Its code is kept as far as it can be looked up now, which needs the control registers to
// be ctx's: they are not while a switch is pending, or when the vCPU was reset under it.
static void flush(struct vcpu *vcpu, struct context *ctx)
{
    struct guest_context now = {0};
    vcpu->stats.flushes++;
    vcpu->accel->isa->context(vcpu->env, &now);
    if (ctx != vcpu->context || vcpu->context_pending || !may_carry(vcpu) || !same_context(&now, &ctx->id))
        context_empty(vcpu, ctx);
    else
        context_carry(vcpu, ctx, ctx);
}

// Allocates what ctx lacks. Out of memory ends the process's usefulness: the caller reports it.
static bool prepare(struct vcpu *vcpu, struct context *ctx)
{
    for (unsigned m = 0; m < vcpu->accel->isa->mmu_count; m++)
        if (!ctx->tables[m].entries) {
            struct inline_table *t = &ctx->tables[m];
            struct ir_tlb_entry *entries = mmap(NULL, INLINE_MAX * sizeof *entries, PROT_READ | PROT_WRITE,
                                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (entries == MAP_FAILED)
                return false;
            atomic_store(&t->size, INLINE_ENTRIES);
            for (unsigned i = 0; i < INLINE_ENTRIES; i++)
                clear_entry(&entries[i]);
            __atomic_store_n(&t->entries, entries, __ATOMIC_RELEASE);
        }
    if (!ctx->exec_pages) {
        ctx->exec_pages = aligned_alloc(64, IR_EXEC_PAGES * sizeof *ctx->exec_pages);
        if (!ctx->exec_pages)
            return false;
        ctx->exec_filled = EXEC_LIST + 1;
        forget_exec(ctx);
    }
    return true;
}

static struct context *find_or_replace(struct vcpu *vcpu, const struct guest_context *id, bool *ret_new)
{
    struct context *oldest = &vcpu->contexts[0];
    for (unsigned i = 0; i < CONTEXTS; i++) {
        struct context *ctx = &vcpu->contexts[i];
        if (ctx->live && same_context(&ctx->id, id))
            return ctx;
        if (!ctx->live)
            ctx->last_use = 0;
        if (ctx->last_use < oldest->last_use)
            oldest = ctx;
    }
    vcpu->stats.context_misses++;
    *ret_new = true;
    oldest->id = *id;
    oldest->live = true;
    return oldest;
}

void context_switch(struct vcpu *vcpu)
{
    struct guest_context id = {0};
    vcpu->accel->isa->context(vcpu->env, &id);
    vcpu->context_pending = false;
    struct context *ctx = vcpu->context;
    const struct context *before = ctx;
    bool is_new = false;
    if (!ctx || !ctx->live || !same_context(&ctx->id, &id)) {
        vcpu->stats.context_switches++;
        ctx = find_or_replace(vcpu, &id, &is_new);
        if (!prepare(vcpu, ctx))
            abort(); // host out of memory for 0.5 MiB: nothing sensible is left to do
        vcpu->context = ctx;
        struct ir_env *env = vcpu->env;
        for (unsigned m = 0; m < vcpu->accel->isa->mmu_count; m++)
            env->mmu[m] = (struct ir_tlb_table){ctx->tables[m].entries, (uint64_t)(ctx->tables[m].size - 1) << 5};
        env->exec_pages = ctx->exec_pages;
        env->code_base = vcpu->accel->jit.code.rx;
    }
    if (is_new)
        shrink(vcpu, ctx);
    bool carries = is_new && may_carry(vcpu) && !accel_without(vcpu->accel, ACCEL_CARRY);
    const struct context *donor = carries ? context_donor(vcpu, ctx) : NULL;
    if (donor)
        context_carry(vcpu, ctx, donor);
    else if (is_new)
        context_empty(vcpu, ctx);
    else if (ctx->stale || (ctx != before && accel_without(vcpu->accel, ACCEL_CONTEXTS)))
        flush(vcpu, ctx);
    ctx->last_use = ++vcpu->use_clock;
}

static void drop_entry(struct vcpu *vcpu, struct ir_tlb_entry *e, uint64_t page)
{
    const struct guest_isa *isa = vcpu->accel->isa;
    uint64_t tags[3] = {e->read, e->write, e->exec};
    for (unsigned i = 0; i < 3; i++)
        if (isa->canonical(vcpu->env, tags[i] & ~(uint64_t)(IR_PAGE_SIZE - 1)) == page) {
            e->read = e->write = e->exec = IR_TLB_INVALID;
            return;
        }
}

static struct ir_exec_page *exec_slot(const struct context *ctx, uint64_t page)
{
    return &ctx->exec_pages[(page >> IR_PAGE_BITS) % IR_EXEC_PAGES];
}

static void drop_page(struct vcpu *vcpu, struct context *ctx, uint64_t page)
{
    for (unsigned m = 0; m < IR_MMU_INDICES; m++)
        if (ctx->tables[m].entries)
            drop_entry(vcpu, inline_slot(&ctx->tables[m], page), page);
    struct ir_exec_page *e = exec_slot(ctx, page);
    if (e->va == page)
        e->key = IR_NO_KEY, e->va = ~0ull;
}

static void mark_stale(struct vcpu *vcpu, struct context *ctx)
{
    if (ctx == vcpu->context)
        flush(vcpu, ctx);
    else
        ctx->stale = true;
}

void context_invalidate(struct vcpu *vcpu, const struct guest_tlbi *tlbi)
{
    bool by_page = tlbi->kind == GUEST_TLBI_VA || tlbi->kind == GUEST_TLBI_VA_ALL_ASID;
    bool large = by_page && tlb_maybe_large(vcpu->tlb, tlbi->va);
    bool one_asid = tlbi->kind == GUEST_TLBI_ASID ||
                    (tlbi->kind == GUEST_TLBI_VA && !tlb_maybe_global(vcpu->tlb, tlbi->va));
    for (unsigned i = 0; i < CONTEXTS; i++) {
        struct context *ctx = &vcpu->contexts[i];
        if (!ctx->live || (ctx->stale && ctx != vcpu->context) || (one_asid && ctx->id.asid != tlbi->asid))
            continue;
        if (by_page && !large)
            drop_page(vcpu, ctx, tlbi->va & ~(uint64_t)(IR_PAGE_SIZE - 1));
        else
            mark_stale(vcpu, ctx);
    }
}

void context_forget_code(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < CONTEXTS; i++)
        if (vcpu->contexts[i].live)
            forget_exec(&vcpu->contexts[i]);
}

void context_forget_all(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < CONTEXTS; i++)
        if (vcpu->contexts[i].live)
            mark_stale(vcpu, &vcpu->contexts[i]);
}

static void withdraw_write(struct ir_tlb_entry *e, uint64_t host_page)
{
    uint64_t tag = atomic_load(&e->write);
    if (!(tag & IR_TLB_INVALID) && tag + __atomic_load_n(&e->addend, __ATOMIC_RELAXED) == host_page)
        atomic_store(&e->write, IR_TLB_INVALID);
}

void context_forget_writes(struct vcpu *vcpu, const struct mem_ram *ram, uint64_t page, uint64_t va_hint)
{
    uint64_t host_page = (uint64_t)(uintptr_t)(ram->host + (page << MEM_PAGE_BITS));
    for (unsigned i = 0; i < CONTEXTS; i++)
        for (unsigned m = 0; m < IR_MMU_INDICES; m++) {
            const struct inline_table *t = &vcpu->contexts[i].tables[m];
            struct ir_tlb_entry *entries = __atomic_load_n(&t->entries, __ATOMIC_ACQUIRE);
            if (!entries)
                continue;
            if (va_hint) {
                withdraw_write(inline_slot(t, va_hint), host_page);
                continue;
            }
            for (unsigned e = 0, size = atomic_load(&t->size); e < size; e++)
                withdraw_write(&entries[e], host_page);
        }
}

void context_forget_all_writes(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < CONTEXTS; i++)
        for (unsigned m = 0; m < IR_MMU_INDICES; m++) {
            const struct inline_table *t = &vcpu->contexts[i].tables[m];
            struct ir_tlb_entry *entries = __atomic_load_n(&t->entries, __ATOMIC_ACQUIRE);
            for (unsigned e = 0, size = entries ? atomic_load(&t->size) : 0; e < size; e++)
                if (!(atomic_load(&entries[e].write) & IR_TLB_INVALID))
                    atomic_store(&entries[e].write, IR_TLB_INVALID);
        }
}

void context_free(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        for (unsigned m = 0; m < IR_MMU_INDICES; m++)
            if (vcpu->contexts[i].tables[m].entries)
                munmap(vcpu->contexts[i].tables[m].entries, INLINE_MAX * sizeof(struct ir_tlb_entry));
        free(vcpu->contexts[i].exec_pages);
    }
}

void context_note_exec(struct context *ctx, uint64_t page, const struct code_table *table)
{
    struct ir_exec_page *e = exec_slot(ctx, page);
    if (e->key == IR_NO_KEY) {
        if (ctx->exec_filled < EXEC_LIST)
            ctx->exec_list[ctx->exec_filled] = (uint16_t)(e - ctx->exec_pages);
        ctx->exec_filled += ctx->exec_filled <= EXEC_LIST;
    }
    *e = (struct ir_exec_page){page, table->entries, table->key, table};
}
