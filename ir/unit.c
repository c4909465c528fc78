// SPDX-License-Identifier: MIT
// Units and their builders. The emit path runs once for each IR instruction of cold code, so it is an append
// and nothing more: no folding, no checks (ir_verify has them), no search. Buffers are kept from unit to
// unit.
//
// Invariant: unit->current is the block being filled and its instructions are the last ones of unit->insns.
#include "ir/ir.h"

#include <stdlib.h>
#include <string.h>

void ir_unit_reset(struct ir_unit *unit, const struct ir_guest *guest)
{
    unit->guest = guest;
    unit->insn_count = 0;
    unit->block_count = 0;
    unit->vpool_count = 0;
    unit->fp_mode = 0;
    unit->guest_insns = 0;
    unit->guest_bytes = 0;
    unit->current = 0;
    unit->heat = NULL;
    unit->failed = false;
}

void ir_unit_free(struct ir_unit *unit)
{
    free(unit->insns);
    free(unit->blocks);
    free(unit->vpool);
    memset(unit, 0, sizeof *unit);
}

// Makes room for one more element. A failure marks the unit.
static bool grow(struct ir_unit *unit, void **buffer, uint32_t *capacity, size_t element, uint32_t initial,
                 uint32_t limit)
{
    uint32_t wanted = *capacity ? *capacity * 2 : initial;
    void *bigger = *capacity < limit ? realloc(*buffer, (size_t)wanted * element) : NULL;
    if (!bigger) {
        unit->failed = true;
        return false;
    }
    *buffer = bigger;
    *capacity = wanted;
    return true;
}

uint32_t ir_new_block(struct ir_unit *unit)
{
    void *buffer = unit->blocks;
    if (unit->block_count == unit->block_capacity) {
        bool ok = grow(unit, &buffer, &unit->block_capacity, sizeof *unit->blocks, 16, IR_MAX_BLOCKS);
        unit->blocks = buffer;
        if (!ok)
            return 0;
    }
    unit->blocks[unit->block_count] = (struct ir_block){0, 0};
    return unit->block_count++;
}

void ir_start_block(struct ir_unit *unit, uint32_t block)
{
    unit->current = block;
    if (block < unit->block_count)
        unit->blocks[block] = (struct ir_block){unit->insn_count, 0};
    else
        unit->failed = true;
}

static bool grow_insns(struct ir_unit *unit)
{
    void *buffer = unit->insns;
    bool ok = grow(unit, &buffer, &unit->insn_capacity, sizeof *unit->insns, 256, IR_MAX_INSNS);
    unit->insns = buffer;
    return ok;
}

// Appends an empty instruction of op and type to the current block and returns it, or NULL past a limit.
static inline struct ir_insn *append(struct ir_unit *unit, enum ir_op op, enum ir_type type, uint32_t *ret_id)
{
    uint32_t id = unit->insn_count;
    *ret_id = 0;
    if (__builtin_expect(id == unit->insn_capacity, 0) && !grow_insns(unit))
        return NULL;
    if (__builtin_expect(unit->current >= unit->block_count, 0)) {
        unit->failed = true;
        return NULL;
    }
    struct ir_insn *insn = &unit->insns[id];
    insn->op = (uint16_t)op;
    insn->type = (uint8_t)type;
    insn->sub = 0;
    insn->attr = 0;
    insn->arg[0] = insn->arg[1] = insn->arg[2] = insn->arg[3] = IR_NO_VALUE;
    insn->imm = 0;
    unit->insn_count = id + 1;
    unit->blocks[unit->current].count++;
    *ret_id = id;
    return insn;
}

uint32_t ir_emit(struct ir_unit *unit, struct ir_insn insn)
{
    uint32_t id;
    struct ir_insn *slot = append(unit, insn.op, insn.type, &id);
    if (slot)
        *slot = insn;
    return id;
}

uint32_t ir_const(struct ir_unit *unit, enum ir_type type, uint64_t value)
{
    uint32_t id;
    unsigned bits = type == IR_I1 ? 1 : ir_type_size(type) * 8;
    struct ir_insn *insn = append(unit, IR_OP_const, type, &id);
    if (insn)
        insn->imm = bits >= 64 ? value : value & ((1ull << bits) - 1);
    return id;
}

uint32_t ir_pool_add(struct ir_unit *unit, const union v128 *value)
{
    uint32_t first = unit->vpool_count > 8 ? unit->vpool_count - 8 : 0;
    for (uint32_t i = first; i < unit->vpool_count; i++)
        if (memcmp(&unit->vpool[i], value, sizeof *value) == 0)
            return i;
    void *buffer = unit->vpool;
    if (unit->vpool_count == unit->vpool_capacity) {
        bool ok = grow(unit, &buffer, &unit->vpool_capacity, sizeof *unit->vpool, 8, IR_MAX_INSNS);
        unit->vpool = buffer;
        if (!ok)
            return 0;
    }
    unit->vpool[unit->vpool_count] = *value;
    return unit->vpool_count++;
}

uint32_t ir_vconst(struct ir_unit *unit, union v128 value)
{
    uint32_t id, index = ir_pool_add(unit, &value);
    struct ir_insn *insn = append(unit, IR_OP_vconst, IR_V128, &id);
    if (insn)
        insn->imm = index;
    return id;
}

uint32_t ir_get(struct ir_unit *unit, uint32_t field)
{
    uint32_t id;
    struct ir_insn *insn = append(unit, IR_OP_get, unit->guest->layout->fields[field].type, &id);
    if (insn)
        insn->imm = field;
    return id;
}

void ir_put(struct ir_unit *unit, uint32_t field, uint32_t value)
{
    uint32_t id;
    struct ir_insn *insn = append(unit, IR_OP_put, IR_VOID, &id);
    if (insn) {
        insn->arg[0] = value;
        insn->imm = field;
    }
}

uint32_t ir_op1(struct ir_unit *unit, enum ir_op op, enum ir_type type, uint32_t a)
{
    uint32_t id;
    struct ir_insn *insn = append(unit, op, type, &id);
    if (insn)
        insn->arg[0] = a;
    return id;
}

uint32_t ir_op2(struct ir_unit *unit, enum ir_op op, enum ir_type type, uint32_t a, uint32_t b)
{
    uint32_t id;
    struct ir_insn *insn = append(unit, op, type, &id);
    if (insn) {
        insn->arg[0] = a;
        insn->arg[1] = b;
    }
    return id;
}

uint32_t ir_op3(struct ir_unit *unit, enum ir_op op, enum ir_type type, uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t id;
    struct ir_insn *insn = append(unit, op, type, &id);
    if (insn) {
        insn->arg[0] = a;
        insn->arg[1] = b;
        insn->arg[2] = c;
    }
    return id;
}

uint32_t ir_vop(struct ir_unit *unit, enum ir_op op, unsigned sub, uint32_t attr, uint64_t imm, uint32_t a,
                uint32_t b, uint32_t c)
{
    uint32_t id;
    struct ir_insn *insn = append(unit, op, IR_V128, &id);
    if (insn) {
        insn->sub = (uint8_t)sub;
        insn->attr = attr;
        insn->imm = imm;
        insn->arg[0] = a;
        insn->arg[1] = b;
        insn->arg[2] = c;
    }
    return id;
}

uint32_t ir_icmp(struct ir_unit *unit, enum ir_cmp cmp, uint32_t a, uint32_t b)
{
    uint32_t id = ir_op2(unit, IR_OP_icmp, IR_I1, a, b);
    if (!unit->failed)
        unit->insns[id].sub = (uint8_t)cmp;
    return id;
}

uint32_t ir_cond(struct ir_unit *unit, enum ir_cond cond, uint32_t flags)
{
    uint32_t id = ir_op1(unit, IR_OP_cond, IR_I1, flags);
    if (!unit->failed)
        unit->insns[id].sub = (uint8_t)cond;
    return id;
}

uint32_t ir_load(struct ir_unit *unit, enum ir_type type, uint32_t attr, uint32_t addr)
{
    uint32_t id = ir_op1(unit, IR_OP_ld, type, addr);
    if (!unit->failed)
        unit->insns[id].attr = attr;
    return id;
}

void ir_store(struct ir_unit *unit, uint32_t attr, uint32_t addr, uint32_t value)
{
    uint32_t id = ir_op2(unit, IR_OP_st, IR_VOID, addr, value);
    if (!unit->failed)
        unit->insns[id].attr = attr;
}

uint32_t ir_call(struct ir_unit *unit, uint32_t helper, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    uint32_t id;
    struct ir_insn *insn = append(unit, IR_OP_call, unit->guest->helpers[helper].result, &id);
    if (insn) {
        insn->arg[0] = a;
        insn->arg[1] = b;
        insn->arg[2] = c;
        insn->arg[3] = d;
        insn->imm = helper;
    }
    return id;
}

void ir_br(struct ir_unit *unit, uint32_t block)
{
    uint32_t id;
    struct ir_insn *insn = append(unit, IR_OP_br, IR_VOID, &id);
    if (insn)
        insn->imm = block;
}

void ir_brif(struct ir_unit *unit, uint32_t cond, uint32_t then_block, uint32_t else_block)
{
    uint32_t id;
    struct ir_insn *insn = append(unit, IR_OP_brif, IR_VOID, &id);
    if (insn) {
        insn->arg[0] = cond;
        insn->imm = then_block | (uint64_t)else_block << 32;
    }
}

unsigned ir_successors(const struct ir_unit *unit, uint32_t block, uint32_t ret_blocks[2])
{
    const struct ir_block *b = &unit->blocks[block];
    const struct ir_insn *last = &unit->insns[b->first + b->count - 1];
    if (last->op == IR_OP_br) {
        ret_blocks[0] = (uint32_t)last->imm;
        return 1;
    }
    if (last->op == IR_OP_brif) {
        ret_blocks[0] = (uint32_t)last->imm;
        ret_blocks[1] = (uint32_t)(last->imm >> 32);
        return 2;
    }
    return 0;
}
