// SPDX-License-Identifier: MIT
// base/fp against libunicorn executing single A64 FP instructions: a64_rows.def lists them, operands and FPCR
// are random, and value, FPSR and NZCV must agree. A guest loop runs one instruction over a batch of records.
//
// Unicorn 2.0.1 is QEMU 5.0. The one place where it departs from the Arm manual is in oracle_value().
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unicorn/unicorn.h>

#include "base/bits.h"
#include "base/fp/fp.h"
#include "base/types.h"
#include "tests/fp/operands.h"

// clang-format off
enum operation {
    ADD, SUB, MUL, NMUL, DIV, MIN, MAX, MINNM, MAXNM, MULX, RECPS, RSQRTS, ABD,
    MADD, MSUB, NMADD, NMSUB, SQRT, RECPE, RSQRTE, RECPX, RINT,
    CMP, CMPE, CMEQ, CMGE, CMGT, ACGE, ACGT, CVT, URECPE, URSQRTE,
    TOS32, TOS64, TOU32, TOU64, VTOS, VTOU,             // to W, X, or an integer of the source's width
    FROMS32, FROMS64, FROMU32, FROMU64, VFROMS, VFROMU, // likewise from
};
// clang-format on

struct row {
    const char *text;
    uint32_t code;
    enum operation op;
    const struct fp_format *src, *dst;
    int round; // enum fp_round, or FPCR
    unsigned arg;
};

#define FPCR (-1)
#define ROW(text, code, op, src, dst, round, arg) {text, code, op, &fp_##src, &fp_##dst, round, arg},
static const struct row rows[] = {
#include "tests/fp/a64_rows.def"
};
#undef ROW

struct record {
    uint64_t fpcr, x0;
    union v128 v[4];
    uint64_t fpsr, x3;
    uint64_t nzcv, pad;
};
_Static_assert(sizeof(struct record) == 112, "the loop's stride and offsets");

enum { CODE = 0x10000, DATA = 0x20000, BATCH = 64, OP_SLOT = 6 };

static const uint32_t loop[] = {
    0xa9400121, // ldp x1, x0, [x9]
    0x3dc00520, // ldr q0, [x9, #16]
    0x3dc00921, // ldr q1, [x9, #32]
    0x3dc00d22, // ldr q2, [x9, #48]
    0xd51b4401, // msr fpcr, x1
    0xd51b443f, // msr fpsr, xzr
    0xd503201f, // OP_SLOT
    0xd53b4422, // mrs x2, fpsr
    0xd53b4204, // mrs x4, nzcv
    0x3d801123, // str q3, [x9, #64]
    0xa9050d22, // stp x2, x3, [x9, #80]
    0xf9003124, // str x4, [x9, #96]
    0x9101c129, // add x9, x9, #112
    0xf100054a, // subs x10, x10, #1
    0x54fffe41, // b.ne loop
};

static void must(uc_err err)
{
    cr_assert(err == UC_ERR_OK, "unicorn: %s", uc_strerror(err));
}

static uc_engine *start_oracle(void)
{
    uc_engine *uc;
    must(uc_open(UC_ARCH_ARM64, UC_MODE_ARM, &uc));
    must(uc_ctl_set_cpu_model(uc, UC_CPU_ARM64_MAX));
    must(uc_mem_map(uc, CODE, 0x10000, UC_PROT_ALL));
    must(uc_mem_map(uc, DATA, 0x10000, UC_PROT_READ | UC_PROT_WRITE));
    return uc;
}

// Each row's loop has an address of its own: the oracle never sees code change.
static void run_oracle(uc_engine *uc, const struct row *row, struct record *records)
{
    uint64_t at = CODE + (uint64_t)(row - rows) * 128, data = DATA, count = BATCH;
    uint32_t code[ARRAY_SIZE(loop)];
    memcpy(code, loop, sizeof(code));
    code[OP_SLOT] = row->code;
    must(uc_mem_write(uc, at, code, sizeof(code)));
    must(uc_mem_write(uc, DATA, records, BATCH * sizeof(*records)));
    must(uc_reg_write(uc, UC_ARM64_REG_X9, &data));
    must(uc_reg_write(uc, UC_ARM64_REG_X10, &count));
    must(uc_emu_start(uc, at, at + sizeof(code), 0, 0));
    must(uc_mem_read(uc, DATA, records, BATCH * sizeof(*records)));
}

static uint64_t random_integer(struct rng *rng)
{
    uint64_t v = rng_next(rng);
    switch (rng_below(rng, 4)) {
    case 0: return v >> rng_below(rng, 64);
    case 1: return ~(v >> rng_below(rng, 64));
    case 2: return (1ull << rng_below(rng, 64)) + (v & 0xff) - 0x80;
    default: return v & ~0ull << rng_below(rng, 64);
    }
}

static void randomise(struct rng *rng, const struct row *row, struct record *r)
{
    memset(r, 0, sizeof(*r));
    // Few mode bits at a time: the plain mode comes often.
    uint64_t modes = rng_next(rng) & rng_next(rng) & (1u << 26 | 1u << 25 | 1u << 24 | 1u << 19);
    r->fpcr = modes | (uint64_t)rng_below(rng, 4) << 22;
    r->x0 = random_integer(rng);
    if (row->op == VFROMS || row->op == VFROMU || row->op == URECPE || row->op == URSQRTE) {
        r->v[0].d[0] = random_integer(rng) & bits_mask(row->src->width);
        return;
    }
    if (rng_below(rng, 8) == 0) {
        for (unsigned i = 0; i < 3; i++)
            r->v[i].d[0] = operand_special(rng, row->src);
        return;
    }
    r->v[0].d[0] = operand_random(rng, row->src);
    r->v[1].d[0] = operand_near(rng, row->src, r->v[0].d[0]);
    r->v[2].d[0] = operand_random(rng, row->src);
    if (rng_below(rng, 2)) {
        struct fp_env nearest = {0};
        uint64_t product = fp_mul(row->src, r->v[0].d[0], r->v[1].d[0], &nearest);
        r->v[2].d[0] = operand_near(rng, row->src, product);
    }
}

static uint64_t nzcv_of(enum fp_order order)
{
    switch (order) {
    case FP_LESS: return 0x80000000;
    case FP_EQUAL: return 0x60000000;
    case FP_GREATER: return 0x20000000;
    default: return 0x30000000;
    }
}

static bool holds(const struct row *row, uint64_t a, uint64_t b, struct fp_env *env)
{
    if (row->op == ACGE || row->op == ACGT) {
        a = fp_abs(row->src, a);
        b = fp_abs(row->src, b);
    }
    enum fp_order order = fp_compare(row->src, a, b, row->op != CMEQ, env);
    if (row->op == CMEQ)
        return order == FP_EQUAL;
    return order == FP_GREATER || (order == FP_EQUAL && (row->op == CMGE || row->op == ACGE));
}

static uint64_t compute(const struct row *row, const struct record *r, struct fp_env *env)
{
    const struct fp_format *f = row->src;
    const uint64_t a = r->v[0].d[0], b = r->v[1].d[0], c = r->v[2].d[0];
    const enum fp_round round = row->round == FPCR ? env->round : (enum fp_round)row->round;
    const uint64_t all = bits_mask(f->width);
    switch (row->op) {
    case ADD: return fp_add(f, a, b, env);
    case SUB: return fp_sub(f, a, b, env);
    case MUL: return fp_mul(f, a, b, env);
    case NMUL: return fp_neg(f, fp_mul(f, a, b, env));
    case DIV: return fp_div(f, a, b, env);
    case MIN: return fp_min(f, a, b, env);
    case MAX: return fp_max(f, a, b, env);
    case MINNM: return fp_minnm(f, a, b, env);
    case MAXNM: return fp_maxnm(f, a, b, env);
    case MULX: return fp_mulx(f, a, b, env);
    case RECPS: return fp_recps(f, a, b, env);
    case RSQRTS: return fp_rsqrts(f, a, b, env);
    case ABD: return fp_abs(f, fp_sub(f, a, b, env));
    case MADD: return fp_muladd(f, c, a, b, env);
    case MSUB: return fp_muladd(f, c, fp_neg(f, a), b, env);
    case NMADD: return fp_muladd(f, fp_neg(f, c), fp_neg(f, a), b, env);
    case NMSUB: return fp_muladd(f, fp_neg(f, c), a, b, env);
    case SQRT: return fp_sqrt(f, a, env);
    case RECPE: return fp_recpe(f, a, env);
    case RSQRTE: return fp_rsqrte(f, a, env);
    case RECPX: return fp_recpx(f, a, env);
    case RINT: return fp_round_to_int(f, a, round, row->arg, env);
    case CMP: return nzcv_of(fp_compare(f, a, b, false, env));
    case CMPE: return nzcv_of(fp_compare(f, a, b, true, env));
    case CMEQ:
    case CMGE:
    case CMGT:
    case ACGE:
    case ACGT: return holds(row, a, b, env) ? all : 0;
    case CVT: return fp_convert(f, row->dst, a, round, env);
    case URECPE: return fp_urecpe((uint32_t)a) | (uint64_t)fp_urecpe(0) << 32;
    case URSQRTE: return fp_ursqrte((uint32_t)a) | (uint64_t)fp_ursqrte(0) << 32;
    case TOS32: return fp_to_sint(f, a, 32, row->arg, round, env);
    case TOS64: return fp_to_sint(f, a, 64, row->arg, round, env);
    case TOU32: return fp_to_uint(f, a, 32, row->arg, round, env);
    case TOU64: return fp_to_uint(f, a, 64, row->arg, round, env);
    case VTOS: return fp_to_sint(f, a, f->width, row->arg, round, env);
    case VTOU: return fp_to_uint(f, a, f->width, row->arg, round, env);
    case FROMS32: return fp_from_sint(f, (int32_t)r->x0, row->arg, round, env);
    case FROMS64: return fp_from_sint(f, (int64_t)r->x0, row->arg, round, env);
    case FROMU32: return fp_from_uint(f, (uint32_t)r->x0, row->arg, round, env);
    case FROMU64: return fp_from_uint(f, r->x0, row->arg, round, env);
    case VFROMS: return fp_from_sint(f, bits_sext(a, f->width), row->arg, round, env);
    case VFROMU: return fp_from_uint(f, a, row->arg, round, env);
    }
    return 0;
}

static uint64_t oracle_value(const struct row *row, const struct record *r)
{
    if (row->op == CMP || row->op == CMPE)
        return r->nzcv;
    if (row->op >= TOS32 && row->op <= TOU64)
        return r->x3;
    // FCVTZS Hd, Hn, #fbits: QEMU 5.0 leaves the sign in bits 31:16 of the register. A write of a scalar
    // clears all of them (Arm ARM, "V[] - assignment form"); it does for the unsigned form.
    if (row->op == VTOS && row->src == &fp_f16 && row->arg)
        return r->v[3].h[0] | (r->v[3].d[0] & ~0xffffffffull);
    return r->v[3].d[0];
}

static bool agrees(const struct row *row, const struct record *r)
{
    struct fp_env env = fp_env_arm((uint32_t)r->fpcr);
    uint64_t ours = compute(row, r, &env);
    uint64_t value = oracle_value(row, r);
    if (ours == value && env.flags == r->fpsr)
        return true;
    fprintf(stderr,
            "%s fpcr %08llx: %016llx %016llx %016llx x0 %016llx: gives %llx fpsr %x, oracle %llx fpsr %llx\n",
            row->text, (unsigned long long)r->fpcr, (unsigned long long)r->v[0].d[0],
            (unsigned long long)r->v[1].d[0], (unsigned long long)r->v[2].d[0], (unsigned long long)r->x0,
            (unsigned long long)ours, env.flags, (unsigned long long)value, (unsigned long long)r->fpsr);
    return false;
}

Test(fp_a64, single_instructions)
{
    struct rng rng = rng_start("fp a64", 11);
    struct record records[BATCH];
    uc_engine *uc = start_oracle();
    unsigned failures = 0;
    for (unsigned round = 0, end = rng_rounds(40); round < end; round++) {
        for (const struct row *row = rows; row < rows + ARRAY_SIZE(rows); row++) {
            unsigned of_row = 0;
            for (unsigned i = 0; i < BATCH; i++)
                randomise(&rng, row, &records[i]);
            run_oracle(uc, row, records);
            for (unsigned i = 0; i < BATCH && of_row < 2; i++)
                of_row += !agrees(row, &records[i]);
            failures += of_row;
        }
    }
    cr_assert(failures == 0, "%u disagreements", failures);
    uc_close(uc);
}
