// SPDX-License-Identifier: MIT
// Shapes that uniform choice hardly ever makes but that code generators treat specially: flags ops and arithmetic on the
// same operands in any order, with conditions, selects, branches, puts and accesses in between, while many values live.
#include "tests/ir/random_maker.h"

#include "base/bits.h"

enum { MAX_STEPS = 7, MAX_CROWD = 14 };

struct shape {
    enum ir_type type;
    uint32_t a, b, carry;
    uint32_t flags[MAX_STEPS], results[MAX_STEPS];
    unsigned flag_count, result_count;
};

static uint32_t keep(struct maker *m, uint32_t id)
{
    maker_remember(m, id);
    return id;
}

// As the arithmetic op of the shape's kind, or its flags; now and then of other operands.
static void arithmetic(struct maker *m, struct shape *s, unsigned kind, bool flags)
{
    static const uint16_t ops[2][4] = {
        {IR_OP_add, IR_OP_sub, IR_OP_adc, IR_OP_sbc},
        {IR_OP_flags_add, IR_OP_flags_sub, IR_OP_flags_adc, IR_OP_flags_sbc},
    };
    struct ir_insn insn = {.op = ops[flags][kind], .type = flags ? IR_FLAGS : s->type,
                           .arg = {s->a, s->b, kind >= 2 ? s->carry : IR_NO_VALUE, IR_NO_VALUE}};
    if (random_chance(m->random, 8))
        insn.arg[random_below(m->random, 2)] = maker_value(m, s->type);
    if (random_chance(m->random, 5) && s->result_count)
        insn.arg[0] = s->results[s->result_count - 1];
    const struct ir_insn *b = &m->unit->insns[s->b];
    if (insn.op == IR_OP_sub && b->op == IR_OP_const && random_chance(m->random, 50)) { // as passes leave it
        insn.op = IR_OP_add;
        insn.arg[1] = ir_const(m->unit, s->type, -b->imm);
    }
    uint32_t id = keep(m, ir_emit(m->unit, insn));
    if (flags)
        s->flags[s->flag_count++] = id;
    else
        s->results[s->result_count++] = id;
}

static void logic(struct maker *m, struct shape *s)
{
    static const uint16_t ops[] = {IR_OP_and, IR_OP_or, IR_OP_xor, IR_OP_andn};
    uint32_t id = keep(m, ir_op2(m->unit, ops[random_below(m->random, 4)], s->type, s->a, s->b));
    s->results[s->result_count++] = id;
    if (random_chance(m->random, 60) && s->flag_count < MAX_STEPS)
        s->flags[s->flag_count++] = keep(m, ir_op1(m->unit, IR_OP_flags_logic, IR_FLAGS, id));
}

static void between(struct maker *m, struct shape *s)
{
    switch (random_below(m->random, 6)) {
    case 0:
        if (m->options.classes & RANDOM_MEM && !m->put_done)
            maker_access(m);
        break;
    case 1: maker_value(m, s->type); break;
    case 2:
        if (s->type == IR_I64 && s->result_count)
            keep(m, ir_op1(m->unit, IR_OP_trunc, IR_I32, s->results[s->result_count - 1]));
        break;
    case 3: maker_compute(m); break;
    }
}

static void condition(struct maker *m, struct shape *s)
{
    if (!s->flag_count)
        return;
    uint32_t flags = s->flags[random_below(m->random, s->flag_count)];
    uint32_t test = keep(m, ir_cond(m->unit, random_below(m->random, IR_COND_COUNT), flags));
    m->test = test;
    if (random_chance(m->random, 50))
        return;
    uint32_t yes = random_chance(m->random, 50) ? s->a : maker_value(m, s->type);
    uint32_t no = s->result_count && random_chance(m->random, 60) ? s->results[s->result_count - 1]
                                                                  : maker_value(m, s->type);
    keep(m, ir_op3(m->unit, IR_OP_select, s->type, test, yes, no));
}

static void write_back(struct maker *m, const struct shape *s)
{
    if (s->flag_count && random_chance(m->random, 60)) {
        ir_put(m->unit, TOY_FIELD_FLAGS, s->flags[random_below(m->random, s->flag_count)]);
        m->put_done = !m->restart;
    }
    if (s->result_count && random_chance(m->random, 70)) {
        uint32_t id = s->results[random_below(m->random, s->result_count)];
        unsigned field = s->type == IR_I64 ? TOY_FIELD_X0 + random_below(m->random, TOY_X)
                                           : TOY_FIELD_W0 + random_below(m->random, 3);
        ir_put(m->unit, field, id);
        m->put_done = !m->restart;
    }
}

// A value that nothing outside the shape uses, so that it dies in it; or any.
static uint32_t operand(struct maker *m, enum ir_type type)
{
    if (random_chance(m->random, 25))
        return keep(m, ir_const(m->unit, type, random_below(m->random, 3)));
    if (random_chance(m->random, 40))
        return maker_value(m, type);
    if (random_chance(m->random, 50)) // dies while its field's register lives on
        return ir_get(m->unit, (type == IR_I64 ? TOY_FIELD_X0 : TOY_FIELD_W0) + random_below(m->random, 3));
    return ir_op2(m->unit, IR_OP_xor, type, maker_value(m, type), maker_value(m, type));
}

void maker_flag_shape(struct maker *m)
{
    struct shape s = {.type = random_chance(m->random, 60) ? IR_I64 : IR_I32};
    uint32_t crowd[MAX_CROWD];
    unsigned kind = random_below(m->random, 5), crowded = random_chance(m->random, 30) ? MAX_CROWD : 0;
    maker_marker(m);
    for (unsigned i = 0; i < crowded; i++)
        crowd[i] = ir_get(m->unit, TOY_FIELD_X0 + (i + (unsigned)m->pc) % TOY_X);
    s.a = operand(m, s.type);
    s.b = operand(m, s.type);
    s.carry = maker_value(m, IR_I1);
    for (unsigned n = 2 + (random_chance(m->random, 60) ? 0 : random_below(m->random, MAX_STEPS - 2)); n--;) {
        if (kind == 4)
            logic(m, &s);
        else
            arithmetic(m, &s, kind, random_chance(m->random, 50));
        if (random_chance(m->random, 30))
            between(m, &s);
        if (random_chance(m->random, 40))
            condition(m, &s);
        if (random_chance(m->random, 40)) {
            write_back(m, &s);
            maker_marker(m);
        }
    }
    condition(m, &s);
    const struct ir_insn first = m->unit->insns[s.a]; // a copy: emitting may move the list
    if (first.op == IR_OP_get && s.type == IR_I64 && random_chance(m->random, 50)) {
        maker_marker(m);
        ir_put(m->unit, TOY_FIELD_X0 + 4, ir_get(m->unit, (uint32_t)first.imm));
        maker_marker(m);
    }
    uint32_t all = s.a;
    for (unsigned i = 0; i < crowded; i++) {
        if (s.type == IR_I32 && i == 0)
            all = crowd[0];
        else
            all = ir_op2(m->unit, IR_OP_xor, IR_I64, all, crowd[i]);
    }
    if (crowded)
        ir_put(m->unit, TOY_FIELD_X0 + random_below(m->random, TOY_X), all);
    write_back(m, &s);
    if (!m->put_done && !m->restart)
        maker_put(m);
}
