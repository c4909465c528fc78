// SPDX-License-Identifier: MIT
// Accesses in loops that stay on a page for long: their address is invariant in the innermost loop around them, or moves
// by a small constant, or strays little from that. Each such stream keeps the tag and the addend of the page it was on
// last, in allocas, so that the usual access compares with a register and neither reads the inline table nor waits for it.
//
// What a stream holds is a translation: it dies wherever span tokens do, at slow accesses and at helpers that do not
// keep spans. A poll that is not taken keeps it: whoever withdraws translations waits until the region was left.
#include "backends/llvm/llvm.h"

enum { MAX_STRIDE = 256, MAX_BOUND = 1024, DEPTH = 8, NO_LOOP = REGION_NO_LOOP };

static bool is_const(const struct region *r, uint32_t value, uint64_t *ret)
{
    const struct ir_insn *insn = &r->unit->insns[value];
    if (insn->op != IR_OP_const)
        return false;
    *ret = insn->imm;
    return true;
}

// value = get of `field` + *step, through narrowing and widening.
static bool steps_by(const struct region *r, uint32_t value, uint32_t field, int64_t *step)
{
    for (unsigned depth = 0; depth < DEPTH; depth++) {
        const struct ir_insn *insn = &r->unit->insns[value];
        uint64_t k;
        switch (insn->op) {
        case IR_OP_get: return insn->imm == field;
        case IR_OP_zext:
        case IR_OP_sext:
        case IR_OP_trunc: value = insn->arg[0]; break;
        case IR_OP_add:
            if (is_const(r, insn->arg[1], &k))
                value = insn->arg[0];
            else if (is_const(r, insn->arg[0], &k))
                value = insn->arg[1];
            else
                return false;
            *step += insn->type == IR_I32 ? (int32_t)k : (int64_t)k;
            break;
        case IR_OP_sub:
            if (!is_const(r, insn->arg[1], &k))
                return false;
            value = insn->arg[0];
            *step -= insn->type == IR_I32 ? (int32_t)k : (int64_t)k;
            break;
        default: return false;
        }
    }
    return false;
}

// How far a field moves in one turn of the loop, at most; UINT64_MAX: any distance.
static uint64_t field_step(const struct region *r, int loop, uint32_t field)
{
    const struct ir_unit *u = r->unit;
    uint64_t most = 0;
    for (uint32_t b = 0; b < u->block_count; b++) {
        if (!region_in_loop(r, loop, b))
            continue;
        for (uint32_t i = u->blocks[b].first; i < u->blocks[b].first + u->blocks[b].count; i++) {
            const struct ir_insn *insn = &u->insns[i];
            int64_t step = 0;
            if (insn->op == IR_OP_call && u->guest->helpers[insn->imm].flags & IR_HELPER_WRITES)
                return UINT64_MAX;
            if (insn->op != IR_OP_put || insn->imm != field)
                continue;
            if (!steps_by(r, insn->arg[0], field, &step))
                return UINT64_MAX;
            most += (uint64_t)(step < 0 ? -step : step);
        }
    }
    return most;
}

struct reach {
    uint64_t stride, bound; // bytes a turn, and beside that
};

static bool out_of(uint64_t *sum, uint64_t more, uint64_t limit)
{
    *sum = more > limit || *sum + more > limit ? limit + 1 : *sum + more;
    return *sum > limit;
}

// Whether the value stays within reach from turn to turn; adds to what it needs.
static bool stays(const struct region *r, int loop, uint32_t value, unsigned scale, unsigned depth, struct reach *reach)
{
    const struct ir_insn *insn = &r->unit->insns[value];
    uint64_t k;
    if (!region_in_loop(r, loop, r->block_of[value]))
        return true;
    if (depth == DEPTH || scale > 6)
        return false;
    switch (insn->op) {
    case IR_OP_const:
    case IR_OP_pc: return true;
    case IR_OP_get:
        k = field_step(r, loop, (uint32_t)insn->imm);
        return k <= MAX_STRIDE && !out_of(&reach->stride, k << scale, MAX_STRIDE);
    case IR_OP_add:
    case IR_OP_sub:
        return stays(r, loop, insn->arg[0], scale, depth + 1, reach) && stays(r, loop, insn->arg[1], scale, depth + 1, reach);
    case IR_OP_shl:
        return is_const(r, insn->arg[1], &k) && k <= 6 && stays(r, loop, insn->arg[0], scale + (unsigned)k, depth + 1, reach);
    case IR_OP_and:
        if (!is_const(r, insn->arg[1], &k))
            return false;
        if (k <= MAX_BOUND)
            return !out_of(&reach->bound, k << scale, MAX_BOUND);
        return k >= (uint64_t)-64 && stays(r, loop, insn->arg[0], scale, depth + 1, reach); // aligned down
    case IR_OP_ubfx: return insn->imm <= 10 && !out_of(&reach->bound, ((1ull << insn->imm) - 1) << scale, MAX_BOUND);
    case IR_OP_ld:
        return !(insn->attr & IR_MEM_SIGNED) && (insn->attr & IR_MEM_SIZE) == 0 &&
               !out_of(&reach->bound, 255u << scale, MAX_BOUND);
    case IR_OP_zext:
    case IR_OP_sext:
    case IR_OP_trunc: return stays(r, loop, insn->arg[0], scale, depth + 1, reach);
    default: return false;
    }
}

// What accesses that share a stream have in common: the address without constants, and by field if it is one.
static uint64_t key_of(const struct region *r, int loop, uint32_t address, uint32_t attr, bool write)
{
    const struct ir_unit *u = r->unit;
    uint64_t k;
    for (unsigned depth = 0; depth < DEPTH; depth++) {
        const struct ir_insn *insn = &u->insns[address];
        if ((insn->op == IR_OP_add || insn->op == IR_OP_sub) && is_const(r, insn->arg[1], &k) &&
            (int64_t)k > -IR_PAGE_SIZE && (int64_t)k < IR_PAGE_SIZE)
            address = insn->arg[0];
        else
            break;
    }
    uint64_t base = u->insns[address].op == IR_OP_get ? u->insns[address].imm : REGION_FIELDS + address;
    return base << 16 | (uint64_t)(unsigned)loop << 8 | ir_mem_mmu(attr) << 1 | write;
}

static void add_access(struct region *r, uint32_t pos)
{
    const struct ir_insn *insn = &r->unit->insns[pos];
    bool write = insn->op == IR_OP_st;
    int loop = r->blocks[r->block_of[pos]].loop;
    struct reach reach = { 0, 0 };
    if (loop == NO_LOOP || r->loops[loop].chunk || insn->arg[write ? 2 : 1] != IR_NO_VALUE)
        return;
    if (!stays(r, loop, insn->arg[0], 0, 0, &reach))
        return;
    uint64_t key = key_of(r, loop, insn->arg[0], insn->attr, write);
    unsigned s = 0;
    while (s < r->stream_count && r->streams[s].key != key)
        s++;
    if (s == REGION_STREAMS)
        return;
    if (s == r->stream_count)
        r->streams[r->stream_count++].key = key;
    r->stream_of[pos] = (uint8_t)(s + 1);
}

void region_streams_analyse(struct region *r)
{
    const struct ir_unit *u = r->unit;
    for (uint32_t k = 0; k < r->flow.count && r->loop_count; k++) {
        const struct ir_block *block = &u->blocks[r->flow.rpo[k]];
        for (uint32_t i = block->first; i < block->first + block->count; i++)
            if (u->insns[i].op == IR_OP_ld || u->insns[i].op == IR_OP_st)
                add_access(r, i);
    }
}

// ---- building ------------------------------------------------------------------------------------------------------

static LLVMValueRef no_tag(struct region *r)
{
    return LLVMConstAllOnes(r->i64); // what an address's page never is
}

void region_streams_enter(struct region *r)
{
    for (unsigned i = 0; i < r->stream_count; i++) {
        r->streams[i].tag = LLVMBuildAlloca(r->builder, r->i64, "tag");
        r->streams[i].addend = LLVMBuildAlloca(r->builder, r->i64, "addend");
        region_tag(r, LLVMBuildStore(r->builder, region_k(r, r->i64, 0), r->streams[i].addend), r->tbaa_local);
    }
    region_streams_forget(r);
}

void region_streams_forget(struct region *r)
{
    for (unsigned i = 0; i < r->stream_count; i++)
        region_tag(r, LLVMBuildStore(r->builder, no_tag(r), r->streams[i].tag), r->tbaa_local);
}
