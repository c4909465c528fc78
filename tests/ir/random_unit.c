// SPDX-License-Identifier: MIT
// The random unit generator. The control flow is decided first (edges forward, and back edges counted down in field
// w3); values are then drawn from the blocks that dominate. A guest instruction is some values and accesses, then
// its puts, as frontends do it; or a few of them make a shape (random_shapes.c).
#include "tests/ir/random_maker.h"

#include <criterion/criterion.h>
#include <stdlib.h>

// ---- values ----------------------------------------------------------------------------------------------

void maker_remember(struct maker *m, uint32_t id)
{
    if (m->value_count < MAKER_VALUES && ir_type_of(m->unit, id) != IR_VOID) {
        m->values[m->value_count] = id;
        m->homes[m->value_count++] = (uint8_t)m->block;
    }
}

bool maker_visible(const struct maker *m, unsigned home)
{
    return m->dominators[m->block] >> home & 1;
}

static uint32_t fresh(struct maker *m, enum ir_type type)
{
    uint32_t id;
    unsigned first = random_below(m->random, TOY_FIELD_COUNT);
    bool constant = type != IR_FLAGS && random_chance(m->random, 35);
    if (constant && type == IR_V128)
        id = ir_vconst(m->unit, random_edgy_vector(m->random));
    else if (constant)
        id = ir_const(m->unit, type, random_edgy(m->random, type));
    else {
        while (toy_guest.layout->fields[first].type != type)
            first = (first + 1) % TOY_FIELD_COUNT;
        id = ir_get(m->unit, first);
    }
    maker_remember(m, id);
    return id;
}

// A value of the type that is defined here: an old one, most of the time.
uint32_t maker_value(struct maker *m, enum ir_type type)
{
    for (unsigned tries = 0; m->value_count && tries < 12; tries++) {
        unsigned back = random_below(m->random, m->value_count < 24 ? m->value_count : 24);
        unsigned at =
            random_chance(m->random, 80) ? m->value_count - 1 - back : random_below(m->random, m->value_count);
        if (maker_visible(m, m->homes[at]) && ir_type_of(m->unit, m->values[at]) == type)
            return m->values[at];
    }
    return fresh(m, type);
}

enum ir_type maker_type(struct maker *m, uint32_t types)
{
    if (!(m->options.classes & RANDOM_FP16) && types & ~(1u << IR_F16))
        types &= ~(1u << IR_F16);
    if (types >> IR_I64 & 1 && random_chance(m->random, 40))
        return IR_I64;
    enum ir_type type;
    do
        type = random_below(m->random, IR_TYPE_COUNT);
    while (!(types >> type & 1));
    return type;
}

uint32_t maker_types(const struct maker *m, enum ir_kind kind)
{
    uint32_t any = MAKER_INTS;
    any |= m->options.classes & RANDOM_FP ? MAKER_FLOATS : 0;
    any |= m->options.classes & RANDOM_VEC ? 1 << IR_V128 : 0;
    any |= m->options.classes & RANDOM_FLAGS ? 1 << IR_FLAGS : 0;
    switch (kind) {
    case IR_K_T:
    case IR_K_ANY: return any;
    case IR_K_I: return MAKER_INTS;
    case IR_K_F: return MAKER_FLOATS | (m->options.classes & RANDOM_VEC ? 1 << IR_V128 : 0);
    case IR_K_VEC: return 1 << IR_V128;
    case IR_K_FL: return 1 << IR_FLAGS;
    case IR_K_B: return 1 << IR_I1;
    case IR_K_W: return 1 << IR_I32;
    case IR_K_D: return 1 << IR_I64;
    default: return 0;
    }
}

// ---- instructions and blocks -----------------------------------------------------------------------------

void maker_marker(struct maker *m)
{
    struct ir_insn insn = {.op = IR_OP_insn, .attr = 4, .imm = m->pc,
                           .arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}};
    m->restart = !m->options.calm && random_chance(m->random, 4);
    insn.sub = m->restart;
    ir_emit(m->unit, insn);
    m->pc += 4;
    m->put_done = false;
}

void maker_put(struct maker *m)
{
    uint32_t id;
    unsigned field = random_below(m->random, TOY_FIELD_COUNT);
    enum ir_type type = toy_guest.layout->fields[field].type;
    bool vector = type == IR_V128, flags = type == IR_FLAGS, real = ir_type_is_float(type);
    uint32_t classes = m->options.classes;
    if (field == MAKER_COUNTER || (vector && !(classes & RANDOM_VEC)) || (flags && !(classes & RANDOM_FLAGS)) ||
        (real && !(classes & RANDOM_FP)) || (type == IR_F16 && !(classes & RANDOM_FP16)))
        field = random_below(m->random, 8);
    id = maker_value(m, toy_guest.layout->fields[field].type);
    ir_put(m->unit, field, id);
    m->put_done = !m->restart;
}

static void guest_insn(struct maker *m)
{
    uint32_t classes = m->options.classes;
    maker_marker(m);
    for (unsigned n = 1 + random_below(m->random, 4); n--;) {
        unsigned pick = random_below(m->random, 100);
        if (m->restart && pick > 70)
            maker_put(m);
        if (pick < 25 && classes & RANDOM_MEM)
            maker_access(m);
        else if (pick < 30 && classes & RANDOM_ATOMIC)
            maker_atomic(m);
        else if (pick < 34 && classes & RANDOM_CALL)
            maker_call(m);
        else
            maker_compute(m);
    }
    for (unsigned n = 1 + random_below(m->random, 3); n--;)
        maker_put(m);
}

static void exit_unit(struct maker *m)
{
    struct ir_insn insn = {
        .op = IR_OP_exit_pc, .imm = m->pc, .arg = {IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}};
    unsigned pick = random_below(m->random, 4);
    if (pick < 2 && !m->options.calm) {
        insn.op = pick ? IR_OP_exit_ind : IR_OP_exit_stop;
        insn.arg[0] = maker_value(m, IR_I64);
        insn.sub = pick ? 0 : IR_EXIT_HALT;
        insn.imm = 0;
    }
    ir_emit(m->unit, insn);
}

static void end_block(struct maker *m)
{
    const uint32_t *next = m->next[m->block];
    if (next[0] == IR_NO_VALUE) {
        exit_unit(m);
    } else if (next[1] == IR_NO_VALUE) {
        ir_br(m->unit, next[0]);
    } else if (next[1] <= m->block) { // counted back edge; the counter bounds all loops together
        uint32_t left =
            ir_op2(m->unit, IR_OP_sub, IR_I32, ir_get(m->unit, MAKER_COUNTER), ir_const(m->unit, IR_I32, 1));
        ir_put(m->unit, MAKER_COUNTER, left);
        if (!m->options.calm)
            ir_emit(m->unit, (struct ir_insn){.op = IR_OP_poll, .imm = m->pc, .arg = {-1u, -1u, -1u, -1u}});
        ir_brif(m->unit, ir_icmp(m->unit, IR_CSGT, left, ir_const(m->unit, IR_I32, 0)), next[1], next[0]);
    } else {
        bool tested = m->test != IR_NO_VALUE && random_chance(m->random, 70);
        ir_brif(m->unit, tested ? m->test : maker_value(m, IR_I1), next[0], next[1]);
    }
}

// Edges: every block but the last reaches the next one; others go forward or, counted, back.
static void shape(struct maker *m)
{
    m->blocks = m->options.classes & RANDOM_BRANCH ? 1 + random_below(m->random, MAKER_BLOCKS) : 1;
    for (unsigned b = 0; b < m->blocks; b++) {
        uint32_t *next = m->next[b];
        next[0] = next[1] = IR_NO_VALUE;
        if (b == m->blocks - 1)
            continue;
        next[0] = b + 1;
        unsigned pick = random_below(m->random, 4);
        if (pick < 2)
            next[1] = b + 1 + random_below(m->random, m->blocks - b - 1);
        else if (pick == 2 && b)
            next[1] = 1 + random_below(m->random, b);
        m->dominators[b] = ~0u;
    }
    m->dominators[m->blocks - 1] = ~0u;
    m->dominators[0] = 1;
    for (bool changed = true; changed;) {
        changed = false;
        for (unsigned b = 0; b < m->blocks; b++) {
            for (unsigned i = 0; i < 2; i++) {
                uint32_t to = m->next[b][i];
                if (to == IR_NO_VALUE || to == 0)
                    continue;
                uint32_t now = m->dominators[to] & (m->dominators[b] | 1u << to);
                changed |= now != m->dominators[to];
                m->dominators[to] = now;
            }
        }
    }
}

void random_unit(struct random_source *random, const struct random_options *options, struct ir_unit *ret_unit)
{
    struct maker *m = calloc(1, sizeof *m);
    cr_assert(m);
    m->random = random;
    m->options = *options;
    m->unit = ret_unit;
    m->options.memory_size = options->memory_size ? options->memory_size : 4096;
    m->options.insns = options->insns ? options->insns : 12;
    ir_unit_reset(ret_unit, &toy_guest);
    ret_unit->fp_mode = options->fp_mode;
    const uint32_t needs = RANDOM_INT | RANDOM_FLAGS;
    bool shaped = (options->classes & needs) == needs;
    shape(m);
    for (unsigned b = 0; b < m->blocks; b++)
        ir_new_block(ret_unit);
    for (m->block = 0; m->block < m->blocks; m->block++) {
        ir_start_block(ret_unit, m->block);
        unsigned per_block = m->options.insns / m->blocks;
        m->test = IR_NO_VALUE;
        for (unsigned n = 1 + random_below(random, per_block ? 2 * per_block : 1); n--;) {
            if (shaped && random_chance(random, 15))
                maker_flag_shape(m);
            else
                guest_insn(m);
        }
        end_block(m);
    }
    ret_unit->guest_insns = (uint32_t)(m->pc / 4);
    ret_unit->guest_bytes = (uint32_t)m->pc;
    free(m);
}
