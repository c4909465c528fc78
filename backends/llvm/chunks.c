// SPDX-License-Identifier: MIT
// Innermost loops all of whose accesses move by small constants are lowered twice: as they are, and as a fast copy
// without checks, polls and slow paths. Behind each turn of the first, once it has polled, it is reckoned for how many
// turns every access stays on the page it is on; if these are some, and the inline table has all these pages, the copy
// runs so many and then comes back. What crosses a page, misses, faults, is watched, is a device or holds code is
// done by the first, so nothing of a turn need be undone and the copy has no way out but the loop's own.
//
// What the table says stays true as long as the copy runs: there is no safepoint in it. REGION_TURNS bounds its stay.
// Values of the loop that are used behind it come from either version, so they go through allocas (`region_escape`).
#include "backends/llvm/llvm.h"

#include <string.h>

enum { MIN_TURNS = 3, MAX_TURNS = 1024, MAX_INSNS = 400, MAX_SPAN = 2048 };

// ---- which loops, which streams --------------------------------------------------------------------------------------

static bool same_base(const struct region *r, int loop, uint32_t a, uint32_t b)
{
    const struct ir_insn *x = &r->unit->insns[a], *y = &r->unit->insns[b];
    struct region_limits none = { 0 };
    struct region_reach reach;
    if (a == b)
        return true;
    if (x->op != IR_OP_get || y->op != IR_OP_get || x->imm != y->imm)
        return false;
    return region_reach(r, loop, a, &none, &reach) && !reach.up && !reach.down; // nothing in the loop puts it
}

static uint32_t base_of(const struct region *r, uint32_t address, int64_t *ret_offset)
{
    uint64_t k;
    *ret_offset = 0;
    while (r->unit->insns[address].op == IR_OP_add && region_is_const(r, r->unit->insns[address].arg[1], &k) &&
           (int64_t)k > -MAX_SPAN && (int64_t)k < MAX_SPAN) {
        *ret_offset += (int64_t)k;
        address = r->unit->insns[address].arg[0];
    }
    return address;
}

static bool add_access(struct region *r, struct region_chunk *c, uint32_t pos)
{
    const struct ir_insn *insn = &r->unit->insns[pos];
    unsigned size = ir_mem_bytes(insn->attr), align = 1u << ((insn->attr & IR_MEM_ALIGN) >> IR_MEM_ALIGN_SHIFT), s;
    struct region_reach reach;
    int64_t offset;
    uint32_t base = base_of(r, insn->arg[0], &offset);
    if (((insn->attr & IR_MEM_BE) && size == 16) || !region_reach(r, c->loop, base, &c->limits, &reach) ||
        (reach.grain & (align - 1)))
        return false;
    for (s = 0; s < c->count; s++) {
        struct region_pages *p = &c->pages[s];
        int64_t lo = offset < p->lo ? offset : p->lo, hi = offset + size > p->hi ? offset + size : p->hi;
        if (p->mmu == ir_mem_mmu(insn->attr) && same_base(r, c->loop, p->base, base) && hi - lo <= MAX_SPAN) {
            p->lo = lo, p->hi = hi;
            break;
        }
    }
    if (s == REGION_PAGES)
        return false;
    struct region_pages *p = &c->pages[s];
    if (s == c->count) {
        *p = (struct region_pages){ .base = base, .mmu = ir_mem_mmu(insn->attr), .reach = reach, .lo = offset, .hi = offset + size };
        c->count++;
    }
    *(insn->op == IR_OP_st ? &p->writes : &p->reads) = true;
    if (align > 1 && p->align > 1 && ((uint64_t)(offset - p->align_at) & ((align < p->align ? align : p->align) - 1)))
        return false; // one of them faults
    if (align > p->align)
        p->align = align, p->align_at = offset;
    r->stream_of[pos] = (uint8_t)(s + 1);
    return true;
}

static bool fits(struct region *r, struct region_chunk *c)
{
    const struct ir_unit *u = r->unit;
    unsigned insns = 0;
    for (uint32_t b = 0; b < u->block_count; b++) {
        if (!region_in_loop(r, c->loop, b))
            continue;
        insns += u->blocks[b].count;
        for (uint32_t i = u->blocks[b].first; i < u->blocks[b].first + u->blocks[b].count; i++) {
            const struct ir_insn *insn = &u->insns[i];
            if (insn->op == IR_OP_ld || insn->op == IR_OP_st) {
                if (!add_access(r, c, i))
                    return false;
            } else if (insn->op == IR_OP_cas || insn->op == IR_OP_rmw || insn->op == IR_OP_fence ||
                       (insn->op == IR_OP_call && u->guest->helpers[insn->imm].flags & ~(uint32_t)IR_HELPER_FP_FLAGS)) {
                return false;
            }
        }
    }
    return insns <= MAX_INSNS && c->count;
}

static void find_escapes(struct region *r, const struct region_chunk *c)
{
    const struct ir_unit *u = r->unit;
    for (uint32_t i = 0; i < u->insn_count; i++) {
        const struct ir_insn *insn = &u->insns[i];
        bool inside = region_in_loop(r, c->loop, r->block_of[i]);
        for (unsigned k = 0; k < 4; k++) {
            uint32_t v = insn->arg[k];
            if (v == IR_NO_VALUE || !region_in_loop(r, c->loop, r->block_of[v]))
                continue;
            if (!inside || (insn->op == IR_OP_put && insn->type == IR_VOID && ir_type_of(u, v) == IR_FLAGS)) // get may name it
                r->escapes[v].loop = (uint8_t)(c->loop + 1);
        }
    }
}

void region_chunks_analyse(struct region *r)
{
    for (unsigned i = 0; i < r->loop_count; i++) {
        struct region_chunk *c = &r->chunks[r->chunk_count];
        *c = (struct region_chunk){ .loop = (int)i };
        if (!r->loops[i].innermost)
            continue;
        if (fits(r, c)) {
            r->loops[i].chunk = c;
            r->chunk_count++;
            find_escapes(r, c);
        } else {
            for (uint32_t k = 0; k < r->unit->insn_count; k++)
                if (region_in_loop(r, (int)i, r->block_of[k]))
                    r->stream_of[k] = 0;
        }
    }
}

// ---- values from either version --------------------------------------------------------------------------------------

static LLVMValueRef new_slot(struct region *r, LLVMTypeRef type)
{
    LLVMBasicBlockRef back = LLVMGetInsertBlock(r->builder);
    LLVMPositionBuilderBefore(r->builder, LLVMGetBasicBlockTerminator(LLVMGetEntryBasicBlock(r->function)));
    LLVMValueRef slot = LLVMBuildAlloca(r->builder, type, "escape");
    region_at(r, back);
    return slot;
}

static void keep(struct region *r, LLVMValueRef *slot, LLVMValueRef value)
{
    if (!value)
        return;
    if (!*slot)
        *slot = new_slot(r, LLVMTypeOf(value));
    region_tag(r, LLVMBuildStore(r->builder, value, *slot), r->tbaa_local);
}

static LLVMValueRef kept(struct region *r, LLVMValueRef slot)
{
    return slot ? region_tag(r, LLVMBuildLoad2(r->builder, LLVMGetAllocatedType(slot), slot, ""), r->tbaa_local) : NULL;
}

void region_escape(struct region *r)
{
    struct region_escape *e = &r->escapes[r->pos];
    e->value = r->values[r->pos];
    e->flags = r->flags[r->pos];
    if (r->unit->insns[r->pos].type != IR_FLAGS) {
        keep(r, &e->slot[0], r->values[r->pos]);
        return;
    }
    const struct region_flags *f = &r->flags[r->pos];
    keep(r, &e->slot[0], f->a);
    keep(r, &e->slot[1], f->b);
    keep(r, &e->slot[2], f->c);
    keep(r, &e->slot[3], f->d);
}

void region_recall(struct region *r, uint32_t value)
{
    const struct region_escape *e = &r->escapes[value];
    if (!e->loop)
        return;
    if (region_in_loop(r, e->loop - 1, r->block)) {
        r->values[value] = e->value;
        r->flags[value] = e->flags;
    } else if (r->unit->insns[value].type != IR_FLAGS) {
        r->values[value] = kept(r, e->slot[0]);
    } else {
        r->flags[value] = (struct region_flags){ e->flags.kind, kept(r, e->slot[0]), kept(r, e->slot[1]), kept(r, e->slot[2]),
                                                 kept(r, e->slot[3]) };
    }
}

// ---- lowering ----------------------------------------------------------------------------------------------------------

static LLVMValueRef k64(struct region *r, int64_t value)
{
    return region_k(r, r->i64, (uint64_t)value);
}

static LLVMValueRef smaller(struct region *r, LLVMValueRef a, LLVMValueRef b)
{
    LLVMValueRef args[2] = { a, b };
    return region_intrinsic(r, "llvm.smin", r->i64, args, 2);
}

// The turns in which what is at `at` now and reaches to at + extent keeps to [0, window); 0 or less if it does not now.
static LLVMValueRef turns_within(struct region *r, LLVMValueRef turns, LLVMValueRef at, int64_t extent, int64_t window,
                                 const struct region_reach *reach)
{
    LLVMBuilderRef b = r->builder;
    LLVMValueRef room = LLVMBuildSub(b, k64(r, window - extent), at, ""), zero = k64(r, 0);
    if (reach->up || !reach->down) {
        int64_t step = reach->up ? reach->up : 1; // without a step: none or enough
        LLVMValueRef args[2] = { LLVMBuildAdd(b, room, k64(r, step), ""), zero };
        LLVMValueRef n = LLVMBuildUDiv(b, region_intrinsic(r, "llvm.smax", r->i64, args, 2), k64(r, step), "");
        if (!reach->up)
            n = LLVMBuildSelect(b, LLVMBuildICmp(b, LLVMIntEQ, n, zero, ""), zero, k64(r, MAX_TURNS), "");
        turns = smaller(r, turns, n);
    }
    if (reach->down) {
        LLVMValueRef n = LLVMBuildAdd(b, LLVMBuildUDiv(b, at, k64(r, -reach->down), ""), k64(r, 1), "");
        LLVMValueRef inside = LLVMBuildICmp(b, LLVMIntSGE, room, zero, "");
        turns = smaller(r, turns, LLVMBuildSelect(b, inside, n, zero, ""));
    }
    return turns;
}

static LLVMValueRef turns_of_limits(struct region *r, struct region_chunk *c, LLVMValueRef turns)
{
    for (unsigned i = 0; i < c->limits.count; i++) {
        const struct region_limit *l = &c->limits.list[i];
        LLVMValueRef at = region_reach_value(r, c->loop, l->value);
        int64_t half = l->is_signed ? INT64_C(1) << 31 : 0;
        if (LLVMTypeOf(at) == r->i32)
            at = l->is_signed ? LLVMBuildSExt(r->builder, at, r->i64, "") : LLVMBuildZExt(r->builder, at, r->i64, "");
        else // a field that is extended each turn: where it is not now, there are no turns
            at = LLVMBuildSelect(r->builder, LLVMBuildICmp(r->builder, LLVMIntULT, at, k64(r, INT64_C(1) << 32), ""), at,
                                 k64(r, INT64_C(1) << 33), "");
        at = LLVMBuildAdd(r->builder, at, k64(r, half + l->reach.lo), "");
        LLVMValueRef below = LLVMBuildICmp(r->builder, LLVMIntSLT, at, k64(r, 0), "");
        at = LLVMBuildSelect(r->builder, below, k64(r, INT64_C(1) << 33), at, "");
        turns = turns_within(r, turns, at, l->reach.hi - l->reach.lo + 1, INT64_C(1) << 32, &l->reach);
    }
    return turns;
}

// Where the lowest byte is that accesses of the turn may touch.
static LLVMValueRef turns_of_pages(struct region *r, struct region_chunk *c, LLVMValueRef turns)
{
    for (unsigned i = 0; i < c->count; i++) {
        struct region_pages *p = &c->pages[i];
        LLVMValueRef base = region_reach_value(r, c->loop, p->base);
        p->first = LLVMBuildAdd(r->builder, base, k64(r, p->lo + p->reach.lo), "");
        LLVMValueRef at = LLVMBuildAnd(r->builder, p->first, k64(r, IR_PAGE_SIZE - 1), "");
        turns = turns_within(r, turns, at, p->hi - p->lo + p->reach.hi - p->reach.lo, IR_PAGE_SIZE, &p->reach);
        if (p->align > 1)
            p->aligned = LLVMBuildAnd(r->builder, LLVMBuildAdd(r->builder, base, k64(r, p->align_at), ""),
                                      k64(r, (int64_t)p->align - 1), "");
    }
    return turns;
}

// 0 where the table has all pages for what is done there.
static LLVMValueRef look_pages_up(struct region *r, struct region_chunk *c)
{
    LLVMBuilderRef b = r->builder;
    LLVMValueRef off = k64(r, 0);
    for (unsigned i = 0; i < c->count; i++) {
        struct region_pages *p = &c->pages[i];
        LLVMValueRef page = LLVMBuildAnd(b, p->first, k64(r, -(int64_t)IR_PAGE_SIZE), "");
        struct region_entry e = region_tlb_entry(r, p->first, p->mmu);
        if (p->reads)
            off = LLVMBuildOr(b, off, LLVMBuildXor(b, page, region_tlb_tag(r, &e, false), ""), "");
        if (p->writes)
            off = LLVMBuildOr(b, off, LLVMBuildXor(b, page, region_tlb_tag(r, &e, true), ""), "");
        if (p->align > 1)
            off = LLVMBuildOr(b, off, p->aligned, "");
        p->addend = LLVMBuildIntToPtr(b, region_tlb_addend(r, &e), r->ptr, "");
    }
    return off;
}

static void decide(struct region *r, struct region_chunk *c, LLVMBasicBlockRef slow, LLVMBasicBlockRef fast, LLVMValueRef *ret_turns)
{
    LLVMBasicBlockRef pages = region_new_block(r, "pages"), enough = region_new_block(r, "chunk");
    region_at(r, c->decide);
    LLVMValueRef turns = turns_of_limits(r, c, turns_of_pages(r, c, k64(r, MAX_TURNS)));
    region_branch(r, LLVMBuildICmp(r->builder, LLVMIntSGE, turns, k64(r, MIN_TURNS), ""), pages, slow, r->likely);
    region_at(r, pages);
    LLVMValueRef off = look_pages_up(r, c);
    region_branch(r, LLVMBuildICmp(r->builder, LLVMIntEQ, off, k64(r, 0), ""), enough, slow, r->likely);
    region_at(r, enough);
    LLVMBuildBr(r->builder, fast);
    *ret_turns = turns;
}

void region_chunk_lower(struct region *r, struct region_chunk *c)
{
    uint32_t head = r->loops[c->loop].head, block = r->block;
    LLVMBasicBlockRef slow = r->blocks[head].entry, fast = region_new_block(r, "fast"), next = region_new_block(r, "next");
    LLVMValueRef turns;
    c->decide = region_new_block(r, "decide");
    decide(r, c, slow, fast, &turns);
    LLVMBasicBlockRef from[2] = { LLVMGetInsertBlock(r->builder), next };
    region_at(r, fast);
    LLVMValueRef left = LLVMBuildPhi(r->builder, r->i64, "left");
    region_at(r, next);
    LLVMValueRef less = LLVMBuildSub(r->builder, left, k64(r, 1), ""), values[2] = { turns, less };
    LLVMAddIncoming(left, values, from, 2);
    region_branch(r, LLVMBuildICmp(r->builder, LLVMIntNE, less, k64(r, 0), ""), fast, slow, r->likely);

    r->fast = c;
    for (uint32_t k = 0; k < r->flow.count; k++) { // edges to them lead to the copies now
        uint32_t b = r->flow.rpo[k];
        if (!region_in_loop(r, c->loop, b))
            continue;
        r->blocks[b].slow_entry = r->blocks[b].entry;
        r->blocks[b].entry = b == head ? next : region_new_block(r, "copy");
    }
    for (uint32_t k = 0; k < r->flow.count; k++) {
        r->block = r->flow.rpo[k];
        if (region_in_loop(r, c->loop, r->block))
            region_lower_block(r, r->block == head ? fast : r->blocks[r->block].entry);
    }
    for (uint32_t k = 0; k < r->flow.count; k++)
        if (region_in_loop(r, c->loop, r->flow.rpo[k]))
            r->blocks[r->flow.rpo[k]].entry = r->blocks[r->flow.rpo[k]].slow_entry;
    r->fast = NULL;
    r->block = block;
}

LLVMValueRef region_chunk_host(struct region *r, LLVMValueRef va)
{
    return LLVMBuildGEP2(r->builder, r->i8, r->fast->pages[r->stream_of[r->pos] - 1].addend, &va, 1, "");
}
