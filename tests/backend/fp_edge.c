// SPDX-License-Identifier: MIT
// See the header. A row is an operation in one form; where the operation names its own rounding, all of them are tried.
#include "tests/backend/fp_edge.h"
#include "tests/ir/random_unit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct op_row {
    uint16_t op;
    uint8_t args;
    uint8_t first, result; // enum ir_type of operands and result; IR_V128 with lanes of `lane`
    uint8_t lane;
    uint32_t attr;
    bool own_rounding; // attr's rounding varies apart from the unit's
    uint8_t imm;
};

struct run {
    const struct fp_edge_engine *engine;
    uint64_t seed;
    struct random_source source;
    unsigned operands;
};

static uint8_t memory[TOY_JIT_MEMORY];
static struct toy_state toy;

#define VECTORS(op, args, attr, own, imm)                                                                             \
    { op, args, IR_V128, IR_V128, 2, attr, own, imm }, { op, args, IR_V128, IR_V128, 3, attr, own, imm },              \
        { op, args, IR_V128, IR_V128, 2, (attr) | IR_V_LO64, own, imm },                                               \
        { op, args, IR_V128, IR_V128, 3, (attr) | IR_V_LO64, own, imm }
#define EVERY_LANE(op, args, attr, own, imm)                                                                          \
    { op, args, IR_F32, IR_F32, 2, attr, own, imm }, { op, args, IR_F64, IR_F64, 3, attr, own, imm },                  \
        VECTORS(op, args, attr, own, imm)
#define SCALED(bits) ((uint32_t)(bits) << IR_FP_FBITS_SHIFT)
#define TO_INT(attr)                                                                                                  \
    { IR_OP_f2i, 1, IR_F32, IR_I32, 0, attr, true, 0 }, { IR_OP_f2i, 1, IR_F32, IR_I64, 0, attr, true, 0 },            \
        { IR_OP_f2i, 1, IR_F64, IR_I32, 0, attr, true, 0 }, { IR_OP_f2i, 1, IR_F64, IR_I64, 0, attr, true, 0 },        \
        VECTORS(IR_OP_vf2i, 1, attr, true, 0)
#define FROM_INT(attr)                                                                                                \
    { IR_OP_i2f, 1, IR_I32, IR_F32, 0, attr, false, 0 }, { IR_OP_i2f, 1, IR_I64, IR_F32, 0, attr, false, 0 },          \
        { IR_OP_i2f, 1, IR_I32, IR_F64, 0, attr, false, 0 }, { IR_OP_i2f, 1, IR_I64, IR_F64, 0, attr, false, 0 },      \
        VECTORS(IR_OP_vi2f, 1, attr, false, 0)
#define COMPARED(type, lane, attr) { IR_OP_fcmp, 2, type, IR_FLAGS, lane, attr, false, 0 }
static const struct op_row rows[] = {
    EVERY_LANE(IR_OP_fadd, 2, 0, false, 0),
    EVERY_LANE(IR_OP_fsub, 2, 0, false, 0),
    EVERY_LANE(IR_OP_fmul, 2, 0, false, 0),
    EVERY_LANE(IR_OP_fmulx, 2, 0, false, 0),
    EVERY_LANE(IR_OP_fdiv, 2, 0, false, 0),
    EVERY_LANE(IR_OP_fsqrt, 1, 0, false, 0),
    EVERY_LANE(IR_OP_fma, 3, 0, false, 0),
    EVERY_LANE(IR_OP_fma, 3, IR_FP_NEG_PRODUCT, false, 0),
    EVERY_LANE(IR_OP_fma, 3, IR_FP_NEG_ADDEND, false, 0),
    EVERY_LANE(IR_OP_fma, 3, IR_FP_NEG_ADDEND | IR_FP_NEG_PRODUCT, false, 0),
    EVERY_LANE(IR_OP_frecps, 2, 0, false, 0),
    EVERY_LANE(IR_OP_frsqrts, 2, 0, false, 0),
    EVERY_LANE(IR_OP_fmin, 2, 0, false, 0),
    EVERY_LANE(IR_OP_fmax, 2, 0, false, 0),
    EVERY_LANE(IR_OP_fminnm, 2, 0, false, 0),
    EVERY_LANE(IR_OP_fmaxnm, 2, 0, false, 0),
    EVERY_LANE(IR_OP_fcmpm, 2, 0, false, IR_FEQ),
    EVERY_LANE(IR_OP_fcmpm, 2, 0, false, IR_FGE),
    EVERY_LANE(IR_OP_fcmpm, 2, IR_FP_SIGNALLING, false, IR_FGT),
    COMPARED(IR_F32, 2, 0),
    COMPARED(IR_F64, 3, 0),
    COMPARED(IR_F32, 2, IR_FP_SIGNALLING),
    COMPARED(IR_F64, 3, IR_FP_SIGNALLING),
    EVERY_LANE(IR_OP_fneg, 1, 0, false, 0),
    EVERY_LANE(IR_OP_fabs, 1, 0, false, 0),
    EVERY_LANE(IR_OP_frint, 1, 0, true, 0),
    EVERY_LANE(IR_OP_frint, 1, IR_FP_EXACT, true, 0),
    { IR_OP_vfcvtl, 1, IR_V128, IR_V128, 1, 0, false, 0 },
    { IR_OP_vfcvtl, 1, IR_V128, IR_V128, 2, 0, false, 0 },
    { IR_OP_vfcvtn, 1, IR_V128, IR_V128, 2, 0, false, 0 },
    { IR_OP_vfcvtn, 1, IR_V128, IR_V128, 3, 0, false, 0 },
    { IR_OP_fcvt, 1, IR_F16, IR_F32, 1, 0, false, 0 },
    { IR_OP_fcvt, 1, IR_F16, IR_F64, 1, 0, false, 0 },
    { IR_OP_fcvt, 1, IR_F32, IR_F16, 2, 0, false, 0 },
    { IR_OP_fcvt, 1, IR_F32, IR_F64, 2, 0, false, 0 },
    { IR_OP_fcvt, 1, IR_F64, IR_F16, 3, 0, false, 0 },
    { IR_OP_fcvt, 1, IR_F64, IR_F32, 3, 0, false, 0 },
    { IR_OP_fcvt, 1, IR_F32, IR_F16, 2, IR_FP_AHP, false, 0 },
    { IR_OP_vfcvtl, 1, IR_V128, IR_V128, 1, IR_FP_AHP, false, 0 },
    TO_INT(0),
    TO_INT(IR_FP_SIGNED),
    TO_INT(SCALED(1)),
    TO_INT(SCALED(31) | IR_FP_SIGNED),
    FROM_INT(0),
    FROM_INT(IR_FP_SIGNED),
    FROM_INT(SCALED(17)),
    FROM_INT(SCALED(32) | IR_FP_SIGNED),
};

static unsigned width_of(const struct op_row *row)
{
    return row->first == IR_V128 ? 8u << row->lane : ir_type_size((enum ir_type)row->first) * 8;
}

// Exponents near where things happen, for products, quotients and integers.
static uint64_t operand(struct random_source *source, unsigned width)
{
    const unsigned frac = width == 16 ? 10 : width == 32 ? 23 : 52, bias = width == 16 ? 15 : width == 32 ? 127 : 1023;
    const unsigned top = 2 * bias + 1;
    static const int16_t offsets[] = { 0, 1, 31, 32, 63, 64, -1, -14, 15, 16, -127 }; // the last: f32's smallest normal
    uint64_t bits = random_bits(source), exp, mant = bits & ((1ull << frac) - 1), sign = bits >> 63;
    switch (random_below(source, 8)) {
    case 0: return random_edgy(source, width == 16 ? IR_F16 : width == 32 ? IR_F32 : IR_F64);
    case 1: exp = random_below(source, 3); break;
    case 2: exp = top - random_below(source, 3); break;
    case 3: exp = bias / 2 + random_below(source, 3); break; // squares near the smallest normal
    case 4: exp = bias + (unsigned)offsets[random_below(source, ARRAY_SIZE(offsets))] - random_below(source, 2); break;
    default: exp = bias + random_below(source, 5) - 2; break;
    }
    switch (random_below(source, 4)) {
    case 0: mant = 0; break;
    case 1: mant = (1ull << frac) - 1 - random_below(source, 3); break;
    case 2: mant &= ~0ull << (frac - 4); break;
    }
    return sign << (width - 1) | (exp & top) << frac | mant;
}

static uint64_t bits_of(long double v, unsigned width)
{
    float f = (float)v;
    double d = (double)v;
    uint64_t r = 0;
    memcpy(&r, width == 32 ? (void *)&f : (void *)&d, width / 8);
    return r;
}

// a * b, or a / b, just beside the smallest normal number: where ARM and x86 differ about tininess.
static void tiny_pair(struct random_source *source, unsigned width, bool divide, uint64_t *ret_a, uint64_t *ret_b)
{
    long double tiny = width == 32 ? 0x1p-126L : 0x1p-1022L;
    long double x = 1 + (long double)(random_bits(source) >> 11) * 0x1p-53L;
    long double scale = divide ? 0x1p20L : width == 32 ? 0x1p-63L : 0x1p-500L;
    float f = (float)(x * scale);
    long double b = width == 32 ? (long double)f : (long double)(double)(x * scale);
    *ret_b = bits_of(b, width);
    *ret_a = bits_of(divide ? tiny * b : tiny / b, width) - random_below(source, 2);
    *ret_a |= (random_bits(source) & 1) << (width - 1);
}

static uint32_t field_of(enum ir_type type, unsigned i)
{
    static const uint8_t fields[IR_TYPE_COUNT] = {
        [IR_F16] = TOY_FIELD_H0, [IR_F32] = TOY_FIELD_S0, [IR_F64] = TOY_FIELD_D0, [IR_V128] = TOY_FIELD_V0,
        [IR_I32] = TOY_FIELD_W0, [IR_I64] = TOY_FIELD_X0,
    };
    return type == IR_FLAGS ? TOY_FIELD_FLAGS : fields[type] + i;
}

static void *field_at(enum ir_type type, unsigned i)
{
    return (char *)&toy + toy_guest.layout->fields[field_of(type, i)].offset;
}

static void make(const struct op_row *row, uint32_t attr, unsigned unit_round, struct ir_unit *unit, struct ir_insn *ret)
{
    const struct ir_insn none = { .arg = { IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE } };
    struct ir_insn insn = none, marker = none, exit = none;
    insn.op = row->op, insn.type = row->result, insn.attr = attr, insn.imm = row->imm;
    insn.sub = row->result == IR_V128 ? row->lane : 0;
    ir_unit_reset(unit, &toy_guest);
    ir_start_block(unit, ir_new_block(unit));
    unit->fp_mode = unit_round;
    marker.op = IR_OP_insn, marker.attr = 4;
    exit.op = IR_OP_exit_pc, exit.imm = 4;
    ir_emit(unit, marker);
    for (unsigned k = 0; k < row->args; k++)
        insn.arg[k] = ir_get(unit, field_of(row->first, k));
    ir_put(unit, field_of(row->result, 3), ir_emit(unit, insn));
    ir_emit(unit, exit);
    *ret = insn;
}

// Fills the operands, in args and in the state. n chooses the kind: every fourth is a pair with a tiny result, every
// seventh of three is a product and what cancels it.
static void choose(struct run *run, const struct op_row *row, unsigned n, union ir_value args[4])
{
    unsigned width = width_of(row);
    uint64_t pair = row->args > 1 && n % 4 == 0 ? random_bits(&run->source) : 0;
    for (unsigned k = 0; k < row->args; k++) {
        for (unsigned i = 0; i < 128 / width; i++) {
            uint64_t value = operand(&run->source, width), other;
            if (pair && k < 2) {
                random_start(&run->source, pair + i); // the same pair for either operand
                tiny_pair(&run->source, width, row->op == IR_OP_fdiv, &value, &other);
                value = k ? other : value;
            } else if (pair) {
                value = 0;
            } else if (row->args == 3 && n % 7 == 0) { // a * 1 - a
                memcpy(&value, (char *)&args[0] + i * width / 8, k == 2 ? width / 8 : 0);
                value = k == 2 ? value ^ 1ull << (width - 1) : k == 1 ? bits_of(1, width) : value;
            }
            memcpy((char *)&args[k] + i * width / 8, &value, width / 8);
        }
        if (row->first != IR_V128)
            args[k].v.d[1] = 0, args[k].i &= ~0ull >> (64 - width);
        memcpy(field_at((enum ir_type)row->first, k), &args[k], ir_type_size((enum ir_type)row->first));
    }
}

static void try_row(struct run *run, const struct op_row *row, unsigned unit_round, unsigned round)
{
    static struct ir_unit unit;
    struct ir_insn insn;
    enum ir_type first = (enum ir_type)row->first, result = (enum ir_type)row->result;
    make(row, row->attr | round, unit_round, &unit, &insn);
    const void *code = run->engine->compile(run->engine->opaque, &unit);
    for (unsigned n = 0; n < run->operands; n++) {
        union ir_value args[4] = { { 0 } }, want = { .v = { .d = { 0, 0 } } }, got = want;
        enum ir_type types[4] = { first, first, first, first };
        uint32_t flags = run->engine->fp_flags;
        choose(run, row, n, args);
        toy.env.fp_mode = unit_round;
        toy.env.fp_flags = flags;
        ir_eval(&insn, types, args, &want, &flags);
        x64_backend.enter(run->engine->jit->backend, &toy.env, code);
        memcpy(&got, field_at(result, 3), ir_type_size(result));
        if (result == IR_FLAGS)
            got.i &= IR_FLAG_NZCV;
        bool same = memcmp(&got, &want, ir_type_size(result)) == 0;
        cr_assert(same && toy.env.fp_flags == flags,
                  "ISOMER_SEED=%llx %s type %u lane %u attr %x round %u: %016llx%016llx %016llx%016llx %016llx: "
                  "got %016llx%016llx flags %x, wanted %016llx%016llx flags %x",
                  (unsigned long long)run->seed, ir_ops[row->op].name, row->first, row->lane, insn.attr, unit_round,
                  (unsigned long long)args[0].v.d[1], (unsigned long long)args[0].v.d[0],
                  (unsigned long long)args[1].v.d[1], (unsigned long long)args[1].v.d[0],
                  (unsigned long long)args[2].v.d[0], (unsigned long long)got.v.d[1], (unsigned long long)got.v.d[0],
                  toy.env.fp_flags, (unsigned long long)want.v.d[1], (unsigned long long)want.v.d[0], flags);
    }
}

void fp_edge_run(const struct fp_edge_engine *engine)
{
    const char *text = getenv("ISOMER_OPERANDS");
    struct run run = { .engine = engine, .seed = random_run_seed(), .operands = text ? (unsigned)strtoul(text, NULL, 0) : 150 };
    random_start(&run.source, run.seed);
    toy_reset(&toy, memory, sizeof memory);
    toy_jit_tables(engine->jit, &toy, 0, 0);
    unsigned stride = engine->stride ? engine->stride : 1;
    for (unsigned i = (unsigned)(run.seed % stride); i < ARRAY_SIZE(rows); i += stride) {
        unsigned last = rows[i].own_rounding ? IR_RNA : engine->unit_rounds - 1;
        for (unsigned round = IR_RN; round <= last; round++)
            try_row(&run, &rows[i], rows[i].own_rounding ? IR_RN : round, round);
    }
}
