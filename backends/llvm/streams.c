// SPDX-License-Identifier: MIT
// Accesses in loops that stay on a page for long: their address is invariant in the innermost loop around them, or moves
// by a small constant, or strays little from that. Each such stream keeps the tag and the addend of the page it was on
// last, in allocas, so that the usual access compares with a register and neither reads the inline table nor waits for it.
//
// What a stream holds is a translation: it dies wherever span tokens do, at slow accesses and at helpers that do not
// keep spans. A poll that is not taken keeps it: whoever withdraws translations waits until the region was left.
#include "backends/llvm/llvm.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LOOPS = 32, MAX_STRIDE = 256, MAX_BOUND = 1024, DEPTH = 8, NO_LOOP = -1 };

struct loops {
    const struct region *r;
    unsigned count;
    uint32_t head[MAX_LOOPS], size[MAX_LOOPS];
    uint8_t *body[MAX_LOOPS];  // by block
    uint16_t *block_of;        // by instruction
    uint32_t *stack;
};

static void add_body(struct loops *l, unsigned loop, uint32_t from)
{
    const struct ir_flow *flow = &l->r->flow;
    uint8_t *body = l->body[loop];
    uint32_t depth = 0;
    if (!body[from])
        body[from] = 1, l->size[loop]++, l->stack[depth++] = from;
    while (depth) {
        uint32_t b = l->stack[--depth];
        for (uint32_t p = flow->pred_first[b]; p < flow->pred_first[b + 1]; p++) {
            if (!body[flow->pred[p]])
                body[flow->pred[p]] = 1, l->size[loop]++, l->stack[depth++] = flow->pred[p];
        }
    }
}

static void find_loops(struct loops *l)
{
    const struct ir_unit *u = l->r->unit;
    const struct ir_flow *flow = &l->r->flow;
    for (uint32_t k = 0; k < flow->count; k++) {
        uint32_t b = flow->rpo[k], next[2];
        for (unsigned n = ir_successors(u, b, next); n--;) {
            if (!ir_flow_dominates(flow, next[n], b))
                continue;
            unsigned loop = 0;
            while (loop < l->count && l->head[loop] != next[n])
                loop++;
            if (loop == MAX_LOOPS)
                return;
            if (loop == l->count) {
                l->body[loop] = (uint8_t *)calloc(u->block_count, 1);
                if (!l->body[loop])
                    return;
                l->count++;
                l->head[loop] = next[n];
                l->size[loop] = 1;
                l->body[loop][next[n]] = 1;
            }
            add_body(l, loop, b);
        }
    }
}

static int innermost(const struct loops *l, uint32_t block)
{
    int best = NO_LOOP;
    for (unsigned i = 0; i < l->count; i++)
        if (l->body[i][block] && (best == NO_LOOP || l->size[i] < l->size[best]))
            best = (int)i;
    return best;
}

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
static uint64_t field_step(const struct loops *l, int loop, uint32_t field)
{
    const struct ir_unit *u = l->r->unit;
    uint64_t most = 0;
    for (uint32_t b = 0; b < u->block_count; b++) {
        if (!l->body[loop][b])
            continue;
        for (uint32_t i = u->blocks[b].first; i < u->blocks[b].first + u->blocks[b].count; i++) {
            const struct ir_insn *insn = &u->insns[i];
            int64_t step = 0;
            if (insn->op == IR_OP_call && u->guest->helpers[insn->imm].flags & IR_HELPER_WRITES)
                return UINT64_MAX;
            if (insn->op != IR_OP_put || insn->imm != field)
                continue;
            if (!steps_by(l->r, insn->arg[0], field, &step))
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
static bool stays(const struct loops *l, int loop, uint32_t value, unsigned scale, unsigned depth, struct reach *reach)
{
    const struct ir_insn *insn = &l->r->unit->insns[value];
    uint64_t k;
    if (!l->body[loop][l->block_of[value]])
        return true;
    if (depth == DEPTH || scale > 6)
        return false;
    switch (insn->op) {
    case IR_OP_const:
    case IR_OP_pc: return true;
    case IR_OP_get:
        k = field_step(l, loop, (uint32_t)insn->imm);
        return k <= MAX_STRIDE && !out_of(&reach->stride, k << scale, MAX_STRIDE);
    case IR_OP_add:
    case IR_OP_sub:
        return stays(l, loop, insn->arg[0], scale, depth + 1, reach) && stays(l, loop, insn->arg[1], scale, depth + 1, reach);
    case IR_OP_shl:
        return is_const(l->r, insn->arg[1], &k) && k <= 6 && stays(l, loop, insn->arg[0], scale + (unsigned)k, depth + 1, reach);
    case IR_OP_and:
        if (!is_const(l->r, insn->arg[1], &k))
            return false;
        if (k <= MAX_BOUND)
            return !out_of(&reach->bound, k << scale, MAX_BOUND);
        return k >= (uint64_t)-64 && stays(l, loop, insn->arg[0], scale, depth + 1, reach); // aligned down
    case IR_OP_ubfx: return insn->imm <= 10 && !out_of(&reach->bound, ((1ull << insn->imm) - 1) << scale, MAX_BOUND);
    case IR_OP_ld:
        return !(insn->attr & IR_MEM_SIGNED) && (insn->attr & IR_MEM_SIZE) == 0 &&
               !out_of(&reach->bound, 255u << scale, MAX_BOUND);
    case IR_OP_zext:
    case IR_OP_sext:
    case IR_OP_trunc: return stays(l, loop, insn->arg[0], scale, depth + 1, reach);
    default: return false;
    }
}

// What accesses that share a stream have in common: the address without constants, and by field if it is one.
static uint64_t key_of(const struct loops *l, int loop, uint32_t address, uint32_t attr, bool write)
{
    const struct ir_unit *u = l->r->unit;
    uint64_t k;
    for (unsigned depth = 0; depth < DEPTH; depth++) {
        const struct ir_insn *insn = &u->insns[address];
        if ((insn->op == IR_OP_add || insn->op == IR_OP_sub) && is_const(l->r, insn->arg[1], &k) &&
            (int64_t)k > -IR_PAGE_SIZE && (int64_t)k < IR_PAGE_SIZE)
            address = insn->arg[0];
        else
            break;
    }
    uint64_t base = u->insns[address].op == IR_OP_get ? u->insns[address].imm : REGION_FIELDS + address;
    return base << 16 | (uint64_t)(unsigned)loop << 8 | ir_mem_mmu(attr) << 1 | write;
}

static void add_access(struct region *r, const struct loops *l, uint32_t pos)
{
    const struct ir_insn *insn = &r->unit->insns[pos];
    bool write = insn->op == IR_OP_st;
    int loop = innermost(l, l->block_of[pos]);
    struct reach reach = { 0, 0 };
    if (loop == NO_LOOP || insn->arg[write ? 2 : 1] != IR_NO_VALUE)
        return;
    if (!stays(l, loop, insn->arg[0], 0, 0, &reach))
        return;
    uint64_t key = key_of(l, loop, insn->arg[0], insn->attr, write);
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
    struct loops l = { .r = r };
    l.block_of = calloc(u->insn_count, sizeof *l.block_of);
    l.stack = calloc(u->block_count, sizeof *l.stack);
    if (l.block_of && l.stack) {
        for (uint32_t b = 0; b < u->block_count; b++)
            for (uint32_t i = 0; i < u->blocks[b].count; i++)
                l.block_of[u->blocks[b].first + i] = (uint16_t)b;
        find_loops(&l);
        for (uint32_t k = 0; k < r->flow.count && l.count; k++) {
            const struct ir_block *block = &u->blocks[r->flow.rpo[k]];
            for (uint32_t i = block->first; i < block->first + block->count; i++)
                if (u->insns[i].op == IR_OP_ld || u->insns[i].op == IR_OP_st)
                    add_access(r, &l, i);
        }
    }
    for (unsigned i = 0; i < l.count; i++)
        free(l.body[i]);
    free(l.block_of);
    free(l.stack);
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
