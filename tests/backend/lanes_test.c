// SPDX-License-Identifier: MIT
// Lanes shifted by counts about their width, leading zeros of lanes with few bits, saturation, and CRC steps:
// compiled operations against ir_eval, on operands that uniform choice would hardly try.
#include "backends/x64/features.h"
#include "tests/backend/toy_jit.h"
#include "tests/ir/random_unit.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t memory[TOY_JIT_MEMORY];

struct lane_row {
    uint16_t op;
    uint8_t type; // enum ir_type of the result
    uint32_t attr;
};
static const struct lane_row rows[] = {
    { IR_OP_vshlv, IR_V128, 0 }, { IR_OP_vshlv, IR_V128, IR_V_SIGNED }, { IR_OP_vshlv, IR_V128, IR_V_LO64 },
    { IR_OP_vshlv, IR_V128, IR_V_SIGNED | IR_V_LO64 }, { IR_OP_vclz, IR_V128, 0 }, { IR_OP_vclz, IR_V128, IR_V_LO64 },
    { IR_OP_vqadd, IR_V128, 0 }, { IR_OP_vqadd, IR_V128, IR_V_SIGNED }, { IR_OP_vqsub, IR_V128, 0 },
    { IR_OP_vqsub, IR_V128, IR_V_SIGNED }, { IR_OP_vqsub, IR_V128, IR_V_SIGNED | IR_V_LO64 },
    { IR_OP_crc32, IR_I32, 0 }, { IR_OP_crc32, IR_I32, 1 },
};

// Bits thinned out from the top; with `counts` every lane's low byte is from -72 to 72.
static union v128 operand(struct random_source *random, unsigned sub, bool counts)
{
    union v128 v = { .d = { 0, 0 } };
    for (unsigned i = 0; i < 16u >> sub; i++) {
        uint64_t lane = random_bits(random) >> random_below(random, 64);
        if (random_below(random, 4))
            lane >>= 64 - (8u << sub);
        if (counts)
            lane = (lane & ~0xffull) | (uint8_t)((int)random_below(random, 145) - 72);
        memcpy(v.b + (i << sub), &lane, 1u << sub);
    }
    return v;
}

static void try_row(struct toy_jit *jit, struct random_source *random, const struct lane_row *row, unsigned sub)
{
    static struct ir_unit unit;
    static struct toy_state toy;
    const bool crc = row->op == IR_OP_crc32;
    const struct ir_insn none = { .arg = { IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE } };
    struct ir_insn insn = none, marker = none, exit = none;
    struct backend_unit compiled;
    ir_unit_reset(&unit, &toy_guest);
    ir_start_block(&unit, ir_new_block(&unit));
    marker.op = IR_OP_insn, marker.attr = 4, exit.op = IR_OP_exit_pc, exit.imm = 4;
    insn.op = row->op, insn.type = row->type, insn.sub = (uint8_t)sub, insn.attr = row->attr;
    ir_emit(&unit, marker);
    insn.arg[0] = ir_get(&unit, crc ? TOY_FIELD_W0 : TOY_FIELD_V0);
    if (row->op != IR_OP_vclz)
        insn.arg[1] = ir_get(&unit, crc ? TOY_FIELD_X0 : TOY_FIELD_V0 + 1);
    ir_put(&unit, crc ? TOY_FIELD_W0 + 1 : TOY_FIELD_V0 + 2, ir_emit(&unit, insn));
    ir_emit(&unit, exit);
    toy_reset(&toy, memory, sizeof memory);
    toy_jit_compile(jit, &unit, &compiled);
    toy_jit_tables(jit, &toy, 0, 0);
    for (unsigned n = 0; n < 100; n++) {
        union ir_value args[4] = { { .v = operand(random, sub, false) }, { .v = operand(random, sub, row->op == IR_OP_vshlv) } };
        enum ir_type types[4] = { crc ? IR_I32 : IR_V128, crc ? IR_I64 : IR_V128 };
        union ir_value want = { .v = { .d = { 0, 0 } } };
        uint32_t flags = 0;
        if (crc)
            args[0].i = (uint32_t)random_bits(random), args[1].i = random_bits(random);
        toy.w[0] = (uint32_t)args[0].i, toy.x[0] = args[1].i;
        toy.v[0] = args[0].v, toy.v[1] = args[1].v;
        cr_assert(ir_eval(&insn, types, args, &want, &flags));
        x64_backend.enter(jit->backend, &toy.env, compiled.entry);
        bool same = crc ? toy.w[1] == (uint32_t)want.i : memcmp(&toy.v[2], &want.v, 16) == 0;
        cr_assert(same, "ISOMER_SEED=%llx %s lane %u attr %x: %016llx%016llx %016llx%016llx gives %016llx%016llx",
                  (unsigned long long)random->seed, ir_ops[row->op].name, sub, row->attr,
                  (unsigned long long)args[0].v.d[1], (unsigned long long)args[0].v.d[0],
                  (unsigned long long)args[1].v.d[1], (unsigned long long)args[1].v.d[0],
                  (unsigned long long)toy.v[2].d[1], (unsigned long long)toy.v[2].d[0]);
    }
}

static void run(uint64_t features)
{
    struct toy_jit jit = { 0 };
    struct random_source random;
    random_start(&random, random_run_seed());
    toy_jit_create(&jit, features);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        for (unsigned sub = 0; sub < (rows[i].op == IR_OP_vclz ? 3 : 4); sub++)
            try_row(&jit, &random, &rows[i], sub);
    toy_jit_destroy(&jit);
}

Test(backend_lanes, all_features) { run(UINT64_MAX); }
Test(backend_lanes, sse) { run(X64_HAS_SSE42); }
Test(backend_lanes, carry_less_products_without_avx) { run(X64_HAS_SSE42 | X64_HAS_PCLMUL); }
