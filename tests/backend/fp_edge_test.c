// SPDX-License-Identifier: MIT
// Floating point at its edges: compiled operations against ir_eval on operands chosen so that results fall near
// overflow, the smallest normal number, zero, ties and the limits of integers; values and exception flags compared,
// in every rounding mode, scalar and lanewise, with host features masked.
#include "backends/x64/features.h"
#include "tests/backend/toy_jit.h"
#include "tests/ir/random_unit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint8_t memory[TOY_JIT_MEMORY];
static struct toy_state toy;
static struct toy_jit jit;
static struct random_source source;
static uint64_t run_seed;

struct op_row {
    uint16_t op;
    uint8_t args;
    uint8_t first, result; // enum ir_type of operands and result; IR_V128 with lanes of `lane`
    uint8_t lane;
    uint32_t attr;
    bool own_rounding; // attr's rounding varies apart from the unit's
};

#define EVERY_LANE(op, args, attr, own)                                                                               \
    { op, args, IR_F32, IR_F32, 2, attr, own }, { op, args, IR_F64, IR_F64, 3, attr, own },                            \
        { op, args, IR_V128, IR_V128, 2, attr, own }, { op, args, IR_V128, IR_V128, 3, attr, own },                    \
        { op, args, IR_V128, IR_V128, 2, (attr) | IR_V_LO64, own }, { op, args, IR_V128, IR_V128, 3, (attr) | IR_V_LO64, own }
static const struct op_row rows[] = {
    EVERY_LANE(IR_OP_fadd, 2, 0, false),
    EVERY_LANE(IR_OP_fsub, 2, 0, false),
    EVERY_LANE(IR_OP_fmul, 2, 0, false),
    EVERY_LANE(IR_OP_fmulx, 2, 0, false),
    EVERY_LANE(IR_OP_fdiv, 2, 0, false),
    EVERY_LANE(IR_OP_fsqrt, 1, 0, false),
    EVERY_LANE(IR_OP_fma, 3, 0, false),
    EVERY_LANE(IR_OP_fma, 3, IR_FP_NEG_PRODUCT, false),
    EVERY_LANE(IR_OP_fma, 3, IR_FP_NEG_ADDEND, false),
    EVERY_LANE(IR_OP_fma, 3, IR_FP_NEG_ADDEND | IR_FP_NEG_PRODUCT, false),
    EVERY_LANE(IR_OP_fmin, 2, 0, false),
    EVERY_LANE(IR_OP_fmax, 2, 0, false),
    EVERY_LANE(IR_OP_fminnm, 2, 0, false),
    EVERY_LANE(IR_OP_fmaxnm, 2, 0, false),
    EVERY_LANE(IR_OP_frint, 1, 0, true),
    EVERY_LANE(IR_OP_frint, 1, IR_FP_EXACT, true),
    { IR_OP_vf2i, 1, IR_V128, IR_V128, 2, IR_FP_SIGNED, true },
    { IR_OP_vf2i, 1, IR_V128, IR_V128, 3, IR_FP_SIGNED, true },
    { IR_OP_vf2i, 1, IR_V128, IR_V128, 2, 0, true },
    { IR_OP_vf2i, 1, IR_V128, IR_V128, 2, IR_FP_SIGNED | IR_V_LO64, true },
    { IR_OP_vfcvtl, 1, IR_V128, IR_V128, 2, 0, false },
    { IR_OP_vfcvtn, 1, IR_V128, IR_V128, 3, 0, false },
    { IR_OP_fcvt, 1, IR_F32, IR_F64, 0, 0, false },
    { IR_OP_fcvt, 1, IR_F64, IR_F32, 0, 0, false },
    { IR_OP_f2i, 1, IR_F32, IR_I32, 0, 0, true },
    { IR_OP_f2i, 1, IR_F32, IR_I64, 0, 0, true },
    { IR_OP_f2i, 1, IR_F64, IR_I32, 0, 0, true },
    { IR_OP_f2i, 1, IR_F64, IR_I64, 0, 0, true },
    { IR_OP_f2i, 1, IR_F32, IR_I32, 0, IR_FP_SIGNED, true },
    { IR_OP_f2i, 1, IR_F32, IR_I64, 0, IR_FP_SIGNED, true },
    { IR_OP_f2i, 1, IR_F64, IR_I32, 0, IR_FP_SIGNED, true },
    { IR_OP_f2i, 1, IR_F64, IR_I64, 0, IR_FP_SIGNED, true },
};

// Exponents near where things happen, for products, quotients and integers.
static uint64_t operand(unsigned width)
{
    const unsigned frac = width == 32 ? 23 : 52, bias = width == 32 ? 127 : 1023, top = 2 * bias + 1;
    static const int16_t offsets[] = { 0, 1, 31, 32, 63, 64, -1, -127 }; // the last: f32's smallest normal, from f64
    uint64_t bits = random_bits(&source), exp, mant = bits & ((1ull << frac) - 1), sign = bits >> 63;
    switch (random_below(&source, 8)) {
    case 0: return random_edgy(&source, width == 32 ? IR_F32 : IR_F64);
    case 1: exp = random_below(&source, 3); break;
    case 2: exp = top - random_below(&source, 3); break;
    case 3: exp = bias / 2 + random_below(&source, 3); break; // squares near the smallest normal
    case 4: exp = bias + (unsigned)offsets[random_below(&source, ARRAY_SIZE(offsets))] - random_below(&source, 2); break;
    default: exp = bias + random_below(&source, 5) - 2; break;
    }
    switch (random_below(&source, 4)) {
    case 0: mant = 0; break;
    case 1: mant = (1ull << frac) - 1 - random_below(&source, 3); break;
    case 2: mant &= ~0ull << (frac - 4); break;
    }
    return sign << (width - 1) | exp << frac | mant;
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
static void tiny_pair(unsigned width, bool divide, uint64_t *ret_a, uint64_t *ret_b)
{
    long double tiny = width == 32 ? 0x1p-126L : 0x1p-1022L;
    long double x = 1 + (long double)(random_bits(&source) >> 11) * 0x1p-53L;
    long double scale = divide ? 0x1p20L : width == 32 ? 0x1p-63L : 0x1p-500L;
    float f = (float)(x * scale);
    long double b = width == 32 ? (long double)f : (long double)(double)(x * scale);
    *ret_b = bits_of(b, width);
    *ret_a = bits_of(divide ? tiny * b : tiny / b, width) - random_below(&source, 2);
    *ret_a |= (random_bits(&source) & 1) << (width - 1);
}

static uint32_t field_of(enum ir_type type, unsigned i)
{
    return (type == IR_F32 ? TOY_FIELD_S0 : type == IR_F64 ? TOY_FIELD_D0 : type == IR_V128 ? TOY_FIELD_V0 :
            type == IR_I32 ? TOY_FIELD_W0 : TOY_FIELD_X0) + i;
}

static void make(const struct op_row *row, uint32_t attr, unsigned unit_round, struct ir_unit *unit, struct ir_insn *ret)
{
    struct ir_insn insn = { .op = row->op, .type = row->result, .sub = row->lane, .attr = attr };
    const struct ir_insn none = { .arg = { IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE } };
    ir_unit_reset(unit, &toy_guest);
    ir_start_block(unit, ir_new_block(unit));
    unit->fp_mode = unit_round;
    struct ir_insn marker = none, exit = none;
    marker.op = IR_OP_insn, marker.attr = 4;
    exit.op = IR_OP_exit_pc, exit.imm = 4;
    ir_emit(unit, marker);
    for (unsigned k = 0; k < 4; k++)
        insn.arg[k] = k < row->args ? ir_get(unit, field_of(row->first, k)) : IR_NO_VALUE;
    ir_put(unit, field_of(row->result, 3), ir_emit(unit, insn));
    ir_emit(unit, exit);
    *ret = insn;
}

static void try_row(const struct op_row *row, unsigned unit_round, unsigned round, unsigned operands)
{
    static struct ir_unit unit;
    struct ir_insn insn;
    struct backend_unit compiled;
    make(row, row->attr | round, unit_round, &unit, &insn);
    toy_jit_compile(&jit, &unit, &compiled);
    unsigned width = row->first == IR_F32 || (row->first == IR_V128 && row->lane == 2) ? 32 : 64;
    for (unsigned n = 0; n < operands; n++) {
        union ir_value args[4] = { { 0 } }, want = { .v = { .d = { 0, 0 } } };
        enum ir_type types[4] = { row->first, row->first, row->first, row->first };
        uint32_t flags = 0;
        uint64_t pair = row->args > 1 && n % 4 == 0 ? random_bits(&source) : 0;
        for (unsigned k = 0; k < row->args; k++) {
            for (unsigned i = 0; i < 128 / width; i++) {
                uint64_t value = operand(width), other;
                if (pair && k < 2) {
                    random_start(&source, pair + i); // the same pair for either operand
                    tiny_pair(width, row->op == IR_OP_fdiv, &value, &other);
                    value = k ? other : value;
                } else if (pair) {
                    value = 0;
                }
                memcpy((char *)&args[k] + i * width / 8, &value, width / 8);
            }
            if (row->first != IR_V128)
                args[k].v.d[1] = 0, args[k].i &= width == 32 ? UINT32_MAX : UINT64_MAX;
            memcpy((char *)&toy + toy_guest.layout->fields[field_of(row->first, k)].offset, &args[k], ir_type_size(row->first));
        }
        toy.env.fp_mode = unit_round;
        toy.env.fp_flags = 0;
        ir_eval(&insn, types, args, &want, &flags);
        x64_backend.enter(jit.backend, &toy.env, compiled.entry);
        union ir_value got = { .v = { .d = { 0, 0 } } };
        memcpy(&got, (char *)&toy + toy_guest.layout->fields[field_of(row->result, 3)].offset, ir_type_size(row->result));
        bool same = memcmp(&got, &want, ir_type_size(row->result)) == 0;
        cr_assert(same && toy.env.fp_flags == flags,
                  "ISOMER_SEED=%llx %s type %u lane %u attr %x round %u: %016llx%016llx %016llx%016llx %016llx: "
                  "got %016llx%016llx flags %x, wanted %016llx%016llx flags %x",
                  (unsigned long long)run_seed, ir_ops[row->op].name, row->first, row->lane, insn.attr, unit_round,
                  (unsigned long long)args[0].v.d[1], (unsigned long long)args[0].v.d[0],
                  (unsigned long long)args[1].v.d[1], (unsigned long long)args[1].v.d[0],
                  (unsigned long long)args[2].v.d[0], (unsigned long long)got.v.d[1], (unsigned long long)got.v.d[0],
                  toy.env.fp_flags, (unsigned long long)want.v.d[1], (unsigned long long)want.v.d[0], flags);
    }
}

static void run(uint64_t features)
{
    const char *text = getenv("ISOMER_OPERANDS");
    unsigned operands = text ? (unsigned)strtoul(text, NULL, 0) : 150;
    run_seed = random_run_seed();
    random_start(&source, run_seed);
    toy_jit_create(&jit, features);
    toy_reset(&toy, memory, sizeof memory);
    toy_jit_tables(&jit, &toy, 0, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        for (unsigned round = IR_RN; round <= IR_RZ; round++)
            try_row(&rows[i], rows[i].own_rounding ? IR_RN : round, round, operands);
    toy_jit_destroy(&jit);
}

Test(backend_fp_edge, avx_and_fma) { run(UINT64_MAX); }
Test(backend_fp_edge, sse) { run(X64_HAS_SSE42); }
