// SPDX-License-Identifier: MIT
// Accesses, atomics and helper calls for random units. Addresses are masked into the toy's memory, but for rare ones
// that fault.
#include "tests/ir/random_maker.h"

#include "base/bits.h"

static uint32_t address(struct maker *m)
{
    uint64_t size = m->options.memory_size;
    unsigned at = m->base_count ? random_below(m->random, m->base_count) : 0;
    uint32_t base;
    if (m->base_count && maker_visible(m, m->base_homes[at]) && random_chance(m->random, 70)) {
        base = m->bases[at];
    } else {
        uint64_t mask = m->options.calm || !random_chance(m->random, 5) ? size / 2 - 8 : 2 * size - 1;
        uint32_t from = maker_value(m, IR_I64);
        base = ir_op2(m->unit, IR_OP_and, IR_I64, from, ir_const(m->unit, IR_I64, mask));
        if (m->base_count < ARRAY_SIZE(m->bases)) {
            m->bases[m->base_count] = base;
            m->base_homes[m->base_count++] = (uint8_t)m->block;
        }
    }
    if (random_chance(m->random, 30))
        return base;
    uint32_t offset =
        ir_const(m->unit, IR_I64, random_below(m->random, 12) * (random_chance(m->random, 85) ? 8 : 1));
    return ir_op2(m->unit, IR_OP_add, IR_I64, base, offset);
}

static uint32_t memory_attr(struct maker *m, enum ir_type type, bool exact)
{
    unsigned size = (unsigned)__builtin_ctz(ir_type_size(type));
    uint32_t attr = exact || !ir_type_is_int(type) ? size : random_below(m->random, size + 1);
    if (ir_type_is_int(type) && random_chance(m->random, 40) && ir_mem_bytes(attr) < ir_type_size(type))
        attr |= IR_MEM_SIGNED;
    if (m->options.big_endian && random_chance(m->random, 10))
        attr |= IR_MEM_BE;
    if (!m->options.calm && random_chance(m->random, 3))
        attr |= (attr & IR_MEM_SIZE) << IR_MEM_ALIGN_SHIFT;
    return attr;
}

static enum ir_type memory_type(struct maker *m, bool integer)
{
    uint32_t types = MAKER_INTS & ~(1u << IR_I1);
    if (!integer && m->options.classes & RANDOM_FP)
        types |= MAKER_FLOATS;
    if (!integer && m->options.classes & RANDOM_VEC)
        types |= 1u << IR_V128;
    return maker_type(m, types);
}

void maker_access(struct maker *m)
{
    enum ir_type type = memory_type(m, false);
    uint32_t attr = memory_attr(m, type, false), addr = address(m);
    if (m->options.classes & RANDOM_ATOMIC && random_chance(m->random, 10))
        attr |= IR_MEM_ATOMIC;
    if (random_chance(m->random, 60)) {
        maker_remember(m, ir_load(m->unit, type, attr | (attr & IR_MEM_ATOMIC ? IR_MEM_ACQUIRE : 0), addr));
    } else {
        attr &= ~(uint32_t)IR_MEM_SIGNED;
        ir_store(m->unit, attr | (attr & IR_MEM_ATOMIC ? IR_MEM_RELEASE : 0), addr, maker_value(m, type));
    }
}

void maker_atomic(struct maker *m)
{
    unsigned pick = random_below(m->random, 5);
    struct ir_insn insn = {.arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}};
    if (pick == 0) {
        insn.op = IR_OP_fence;
        insn.sub = (uint8_t)random_below(m->random, IR_FENCE_COUNT);
        ir_emit(m->unit, insn);
        return;
    }
    insn.type = (uint8_t)memory_type(m, true);
    insn.op = pick < 3 ? IR_OP_cas : IR_OP_rmw;
    if (insn.op == IR_OP_cas && m->options.classes & RANDOM_VEC && random_chance(m->random, 20))
        insn.type = IR_V128;
    insn.attr = memory_attr(m, insn.type, true) | IR_MEM_ATOMIC | IR_MEM_ACQUIRE | IR_MEM_RELEASE;
    insn.sub = insn.op == IR_OP_rmw ? (uint8_t)random_below(m->random, IR_RMW_COUNT) : 0;
    insn.arg[0] = address(m);
    insn.arg[1] = maker_value(m, insn.type);
    if (insn.op == IR_OP_cas)
        insn.arg[2] = maker_value(m, insn.type);
    if (!m->options.skip[insn.op])
        maker_remember(m, ir_emit(m->unit, insn));
}

void maker_call(struct maker *m)
{
    uint32_t helper = random_below(m->random, TOY_HELPER_COUNT), a = IR_NO_VALUE, b = IR_NO_VALUE;
    if (helper == TOY_HELPER_TRAP && (m->options.calm || m->put_done))
        return;
    if (toy_guest.helpers[helper].args[0] != IR_VOID)
        a = maker_value(m, IR_I64);
    if (toy_guest.helpers[helper].args[1] != IR_VOID)
        b = maker_value(m, IR_I64);
    if (helper == TOY_HELPER_TRAP && random_chance(m->random, 80))
        a = ir_op2(m->unit, IR_OP_and, IR_I64, a, ir_const(m->unit, IR_I64, ~1ull));
    maker_remember(m, ir_call(m->unit, helper, a, b, IR_NO_VALUE, IR_NO_VALUE));
}
