// SPDX-License-Identifier: MIT
// How far values move from turn to turn of an innermost loop. A value whose parts are invariants and fields that only
// small constants are added to lies, k turns after one in which it was v, in [v + k * down + lo, v + k * up + hi].
// Each put of such a field happens at most once a turn, so the sums over them bound its way, whatever path is taken.
//
// 32-bit arithmetic is followed modulo 2^32; where it is widened, the turns are limited to those that do not wrap
// (region_limit), which whoever uses the reach has to see to.
#include "backends/llvm/llvm.h"

enum { DEPTH = 10, MAX_BOUND = 1024, MAX_MOVE = 2048, MAX_SCALE = 6 };

bool region_is_const(const struct region *r, uint32_t value, uint64_t *ret)
{
    const struct ir_insn *insn = &r->unit->insns[value];
    if (insn->op != IR_OP_const)
        return false;
    *ret = insn->type == IR_I32 ? (uint64_t)(int64_t)(int32_t)insn->imm : insn->imm;
    return true;
}

// Whether the get reads what the field was at the beginning of the turn.
static bool reads_at_head(const struct region *r, int loop, uint32_t pos)
{
    const struct ir_insn *get = &r->unit->insns[pos];
    uint32_t head = r->loops[loop].head;
    if (r->block_of[pos] != head)
        return false;
    for (uint32_t i = r->unit->blocks[head].first; i < pos; i++)
        if (r->unit->insns[i].op == IR_OP_put && r->unit->insns[i].imm == get->imm)
            return false;
    return true;
}

// What all puts of a field in the loop add to it.
struct field_moves {
    struct region_reach reach; // of one turn
    bool narrow;               // some add modulo 2^32
};

// value = get of `field` + *ret_step, both of this turn.
static bool steps_by(const struct region *r, int loop, uint32_t value, uint32_t field, int64_t *ret_step, bool *narrow,
                     bool *from_head)
{
    bool widened = false;
    *ret_step = 0;
    for (unsigned depth = 0; depth < DEPTH; depth++) {
        const struct ir_insn *insn = &r->unit->insns[value];
        uint64_t k;
        switch (insn->op) {
        case IR_OP_get:
            *narrow |= widened;
            *from_head &= reads_at_head(r, loop, value);
            return insn->imm == field && insn->type == IR_I64 && region_in_loop(r, loop, r->block_of[value]);
        case IR_OP_zext:
            if (ir_type_of(r->unit, insn->arg[0]) != IR_I32)
                return false;
            widened = true;
            value = insn->arg[0];
            break;
        case IR_OP_trunc:
            if (insn->type != IR_I32)
                return false;
            value = insn->arg[0];
            break;
        case IR_OP_add:
        case IR_OP_sub:
            if (region_is_const(r, insn->arg[1], &k))
                value = insn->arg[0];
            else if (insn->op == IR_OP_add && region_is_const(r, insn->arg[0], &k))
                value = insn->arg[1];
            else
                return false;
            if ((int64_t)k > MAX_MOVE || (int64_t)k < -MAX_MOVE)
                return false;
            *ret_step += insn->op == IR_OP_add ? (int64_t)k : -(int64_t)k;
            break;
        default: return false;
        }
    }
    return false;
}

static bool field_moves(const struct region *r, int loop, uint32_t field, struct field_moves *ret)
{
    const struct ir_unit *u = r->unit;
    struct region_reach sum = { 0, 0, 0, 0, 0 }, farthest = sum;
    bool from_head = true;
    ret->narrow = false;
    for (uint32_t b = 0; b < u->block_count; b++) {
        for (uint32_t i = u->blocks[b].first; region_in_loop(r, loop, b) && i < u->blocks[b].first + u->blocks[b].count; i++) {
            const struct ir_insn *insn = &u->insns[i];
            int64_t step;
            if (insn->op == IR_OP_call && u->guest->helpers[insn->imm].flags & IR_HELPER_WRITES)
                return false;
            if (insn->op != IR_OP_put || insn->imm != field)
                continue;
            if (!steps_by(r, loop, insn->arg[0], field, &step, &ret->narrow, &from_head))
                return false;
            *(step < 0 ? &sum.down : &sum.up) += step;
            farthest.up = step > farthest.up ? step : farthest.up;
            farthest.down = step < farthest.down ? step : farthest.down;
            sum.grain |= (uint64_t)(step < 0 ? -step : step);
        }
    }
    farthest.grain = sum.grain;
    ret->reach = from_head ? farthest : sum; // each put starts from the head's value, or from that of the put before
    return ret->reach.up <= MAX_MOVE && ret->reach.down >= -MAX_MOVE;
}

static void add_reach(struct region_reach *to, const struct region_reach *more, bool minus)
{
    to->up += minus ? -more->down : more->up;
    to->down += minus ? -more->up : more->down;
    to->lo += minus ? -more->hi : more->lo;
    to->hi += minus ? -more->lo : more->hi;
    to->grain |= more->grain;
}

static bool bounded(struct region_reach *ret, uint64_t most)
{
    *ret = (struct region_reach){ .hi = (int64_t)most, .grain = 1 };
    return most <= MAX_BOUND;
}

static bool limit_turns(struct region_limits *limits, uint32_t value, bool is_signed, const struct region_reach *reach)
{
    for (unsigned i = 0; i < limits->count; i++)
        if (limits->list[i].value == value && limits->list[i].is_signed == is_signed)
            return true;
    if (limits->count == REGION_LIMITS)
        return false;
    limits->list[limits->count++] = (struct region_limit){ value, is_signed, *reach };
    return true;
}

static bool reach_of_get(const struct region *r, int loop, uint32_t value, unsigned bits, struct region_limits *limits,
                         struct region_reach *ret)
{
    const struct ir_insn *insn = &r->unit->insns[value];
    struct field_moves moves;
    if (insn->type != IR_I64 || !field_moves(r, loop, (uint32_t)insn->imm, &moves))
        return false;
    *ret = moves.reach;
    if (!reads_at_head(r, loop, value))
        ret->lo = ret->down, ret->hi = ret->up;
    return !moves.narrow || bits == 32 || limit_turns(limits, value, false, ret);
}

static bool reach_of(const struct region *r, int loop, uint32_t value, unsigned bits, unsigned depth,
                     struct region_limits *limits, struct region_reach *ret)
{
    const struct ir_insn *insn = &r->unit->insns[value];
    struct region_reach second;
    uint64_t k;
    *ret = (struct region_reach){ 0, 0, 0, 0, 0 };
    if (!region_in_loop(r, loop, r->block_of[value]))
        return true;
    if (depth == DEPTH)
        return false;
    switch (insn->op) {
    case IR_OP_const:
    case IR_OP_pc: return true;
    case IR_OP_get: return reach_of_get(r, loop, value, bits, limits, ret);
    case IR_OP_add:
    case IR_OP_sub:
        if (!reach_of(r, loop, insn->arg[0], bits, depth + 1, limits, ret) ||
            !reach_of(r, loop, insn->arg[1], bits, depth + 1, limits, &second))
            return false;
        add_reach(ret, &second, insn->op == IR_OP_sub);
        return true;
    case IR_OP_shl:
        if (!region_is_const(r, insn->arg[1], &k) || k > MAX_SCALE ||
            !reach_of(r, loop, insn->arg[0], bits, depth + 1, limits, ret))
            return false;
        ret->up *= 1 << k, ret->down *= 1 << k, ret->lo *= 1 << k, ret->hi *= 1 << k, ret->grain <<= k;
        return true;
    case IR_OP_and: return region_is_const(r, insn->arg[1], &k) && bounded(ret, k);
    case IR_OP_ubfx: return insn->imm <= 10 && bounded(ret, (1ull << insn->imm) - 1);
    case IR_OP_ld: return !(insn->attr & IR_MEM_SIGNED) && (insn->attr & IR_MEM_SIZE) == 0 && bounded(ret, 255);
    case IR_OP_trunc: return insn->type == IR_I32 && reach_of(r, loop, insn->arg[0], 32, depth + 1, limits, ret);
    case IR_OP_zext:
    case IR_OP_sext:
        if (ir_type_of(r->unit, insn->arg[0]) != IR_I32 || !reach_of(r, loop, insn->arg[0], 32, depth + 1, limits, ret))
            return false;
        return bits == 32 || limit_turns(limits, insn->arg[0], insn->op == IR_OP_sext, ret);
    default: return false;
    }
}

bool region_reach(const struct region *r, int loop, uint32_t value, struct region_limits *limits, struct region_reach *ret)
{
    if (!reach_of(r, loop, value, 64, 0, limits, ret))
        return false;
    return ret->up <= MAX_MOVE && ret->down >= -MAX_MOVE && ret->hi - ret->lo <= 2 * MAX_MOVE;
}

// Mirrors reach_of; what is bounded there is 0 here.
LLVMValueRef region_reach_value(struct region *r, int loop, uint32_t value)
{
    const struct ir_insn *insn = &r->unit->insns[value];
    LLVMTypeRef type = region_type(r, (enum ir_type)insn->type);
    if (!region_in_loop(r, loop, r->block_of[value])) {
        region_recall(r, value);
        return r->values[value];
    }
    switch (insn->op) {
    case IR_OP_const: return region_k(r, type, insn->imm);
    case IR_OP_pc: return region_pc(r, (int64_t)insn->imm);
    case IR_OP_get: return region_field_now(r, (uint32_t)insn->imm);
    case IR_OP_add:
        return LLVMBuildAdd(r->builder, region_reach_value(r, loop, insn->arg[0]),
                            region_reach_value(r, loop, insn->arg[1]), "");
    case IR_OP_sub:
        return LLVMBuildSub(r->builder, region_reach_value(r, loop, insn->arg[0]),
                            region_reach_value(r, loop, insn->arg[1]), "");
    case IR_OP_shl:
        return LLVMBuildShl(r->builder, region_reach_value(r, loop, insn->arg[0]),
                            region_reach_value(r, loop, insn->arg[1]), "");
    case IR_OP_trunc: return LLVMBuildTrunc(r->builder, region_reach_value(r, loop, insn->arg[0]), type, "");
    case IR_OP_zext: return LLVMBuildZExt(r->builder, region_reach_value(r, loop, insn->arg[0]), type, "");
    case IR_OP_sext: return LLVMBuildSExt(r->builder, region_reach_value(r, loop, insn->arg[0]), type, "");
    default: return region_k(r, type, 0);
    }
}
