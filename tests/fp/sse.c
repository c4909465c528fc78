// SPDX-License-Identifier: MIT
// base/fp under the x86 rules against the host's SSE4.1, FMA3 and F16C: values, NaNs included, and the
// exception flags except MXCSR.DE, under random rounding, FTZ and DAZ. Passes without checking on a host that
// lacks them.
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/bits.h"
#include "base/fp/fp.h"
#include "tests/fp/operands.h"

#if defined(__x86_64__)

typedef long long vec __attribute__((vector_size(16)));

// What an instruction sees and leaves. integer also takes the flags of a comparison, as LAHF has them.
struct state {
    vec x, y, z;
    uint64_t integer;
    uint32_t mxcsr;
};

enum operation { ADD, SUB, MUL, DIV, SQRT, MIN, MAX, MULADD, UCOMI, COMI, ROUND, CVT, TOINT, FROMINT };

enum {
    MXCSR_FLAGS = 0x3f,
    MXCSR_DAZ = 1 << 6,
    MXCSR_MASKS = 0x3f << 7,
    MXCSR_RC_SHIFT = 13,
    MXCSR_FTZ = 1 << 15,
};
#define MODE (-1)

// INSN(name, text, operation, source, result, rounding or MODE, argument): the argument is the integer's
// width, or for ROUND whether it reports inexact.
#define INSNS                                                                                                \
    INSN(addss, "addss %[y], %[x]", ADD, f32, f32, MODE, 0)                                                  \
    INSN(addsd, "addsd %[y], %[x]", ADD, f64, f64, MODE, 0)                                                  \
    INSN(subss, "subss %[y], %[x]", SUB, f32, f32, MODE, 0)                                                  \
    INSN(subsd, "subsd %[y], %[x]", SUB, f64, f64, MODE, 0)                                                  \
    INSN(mulss, "mulss %[y], %[x]", MUL, f32, f32, MODE, 0)                                                  \
    INSN(mulsd, "mulsd %[y], %[x]", MUL, f64, f64, MODE, 0)                                                  \
    INSN(divss, "divss %[y], %[x]", DIV, f32, f32, MODE, 0)                                                  \
    INSN(divsd, "divsd %[y], %[x]", DIV, f64, f64, MODE, 0)                                                  \
    INSN(minss, "minss %[y], %[x]", MIN, f32, f32, MODE, 0)                                                  \
    INSN(minsd, "minsd %[y], %[x]", MIN, f64, f64, MODE, 0)                                                  \
    INSN(maxss, "maxss %[y], %[x]", MAX, f32, f32, MODE, 0)                                                  \
    INSN(maxsd, "maxsd %[y], %[x]", MAX, f64, f64, MODE, 0)                                                  \
    INSN(sqrtss, "sqrtss %[x], %[x]", SQRT, f32, f32, MODE, 0)                                               \
    INSN(sqrtsd, "sqrtsd %[x], %[x]", SQRT, f64, f64, MODE, 0)                                               \
    INSN(vfmadd132ss, "vfmadd132ss %[y], %[z], %[x]", MULADD, f32, f32, MODE, 0)                             \
    INSN(vfmadd132sd, "vfmadd132sd %[y], %[z], %[x]", MULADD, f64, f64, MODE, 0)                             \
    INSN(ucomiss, "ucomiss %[y], %[x]\n lahf\n movzbl %%ah, %%eax", UCOMI, f32, f32, MODE, 0)                \
    INSN(ucomisd, "ucomisd %[y], %[x]\n lahf\n movzbl %%ah, %%eax", UCOMI, f64, f64, MODE, 0)                \
    INSN(comiss, "comiss %[y], %[x]\n lahf\n movzbl %%ah, %%eax", COMI, f32, f32, MODE, 0)                   \
    INSN(comisd, "comisd %[y], %[x]\n lahf\n movzbl %%ah, %%eax", COMI, f64, f64, MODE, 0)                   \
    INSN(roundss, "roundss $4, %[x], %[x]", ROUND, f32, f32, MODE, 1)                                        \
    INSN(roundsd, "roundsd $4, %[x], %[x]", ROUND, f64, f64, MODE, 1)                                        \
    INSN(roundsd_up, "roundsd $10, %[x], %[x]", ROUND, f64, f64, FP_RP, 0)                                   \
    INSN(cvtss2sd, "cvtss2sd %[x], %[x]", CVT, f32, f64, MODE, 0)                                            \
    INSN(cvtsd2ss, "cvtsd2ss %[x], %[x]", CVT, f64, f32, MODE, 0)                                            \
    INSN(vcvtph2ps, "vcvtph2ps %[x], %[x]", CVT, f16, f32, MODE, 0)                                          \
    INSN(vcvtps2ph, "vcvtps2ph $4, %[x], %[x]", CVT, f32, f16, MODE, 0)                                      \
    INSN(cvtss2si, "cvtss2si %[x], %k[i]", TOINT, f32, f32, MODE, 32)                                        \
    INSN(cvtss2siq, "cvtss2si %[x], %q[i]", TOINT, f32, f32, MODE, 64)                                       \
    INSN(cvtsd2si, "cvtsd2si %[x], %k[i]", TOINT, f64, f64, MODE, 32)                                        \
    INSN(cvttsd2si, "cvttsd2si %[x], %k[i]", TOINT, f64, f64, FP_RZ, 32)                                     \
    INSN(cvttsd2siq, "cvttsd2si %[x], %q[i]", TOINT, f64, f64, FP_RZ, 64)                                    \
    INSN(cvtsi2ss, "cvtsi2ssl %k[i], %[x]", FROMINT, f32, f32, MODE, 32)                                     \
    INSN(cvtsi2ssq, "cvtsi2ssq %q[i], %[x]", FROMINT, f32, f32, MODE, 64)                                    \
    INSN(cvtsi2sdq, "cvtsi2sdq %q[i], %[x]", FROMINT, f64, f64, MODE, 64)

// One function an instruction: it runs under s->mxcsr, and the compiler's own MXCSR is back afterwards.
#define INSN(name, text, op, src, dst, round, arg)                                                           \
    static void host_##name(struct state *s)                                                                 \
    {                                                                                                        \
        uint32_t saved;                                                                                      \
        asm volatile("stmxcsr %[saved]\n ldmxcsr %[csr]\n " text "\n stmxcsr %[csr]\n ldmxcsr %[saved]"      \
                     : [x] "+x"(s->x), [i] "+a"(s->integer), [csr] "+m"(s->mxcsr), [saved] "=m"(saved)       \
                     : [y] "x"(s->y), [z] "x"(s->z)                                                          \
                     : "cc");                                                                                \
    }
INSNS
#undef INSN

static const struct row {
    const char *name;
    void (*host)(struct state *s);
    enum operation op;
    const struct fp_format *src, *dst;
    int round;
    unsigned arg;
} rows[] = {
#define INSN(name, text, op, src, dst, round, arg) {#name, host_##name, op, &fp_##src, &fp_##dst, round, arg},
    INSNS
#undef INSN
};

static uint64_t lahf_of(enum fp_order order)
{
    const uint64_t zf = 0x40, pf = 0x04, cf = 0x01, fixed = 0x02;
    return fixed | (order == FP_UNORDERED ? zf | pf | cf
                    : order == FP_EQUAL   ? zf
                    : order == FP_LESS    ? cf
                                          : 0);
}

static uint64_t ours(const struct row *row, const struct state *s, struct fp_env *env)
{
    const struct fp_format *f = row->src;
    const uint64_t a = (uint64_t)s->x[0], b = (uint64_t)s->y[0], c = (uint64_t)s->z[0];
    const enum fp_round round = row->round == MODE ? env->round : (enum fp_round)row->round;
    switch (row->op) {
    case ADD: return fp_add(f, a, b, env);
    case SUB: return fp_sub(f, a, b, env);
    case MUL: return fp_mul(f, a, b, env);
    case DIV: return fp_div(f, a, b, env);
    case SQRT: return fp_sqrt(f, a, env);
    case MIN: return fp_min(f, a, b, env);
    case MAX: return fp_max(f, a, b, env);
    case MULADD: return fp_muladd(f, c, a, b, env);
    case UCOMI: return lahf_of(fp_compare(f, a, b, false, env));
    case COMI: return lahf_of(fp_compare(f, a, b, true, env));
    case ROUND: return fp_round_to_int(f, a, round, row->arg, env);
    case CVT: return fp_convert(f, row->dst, a, round, env);
    case TOINT: return fp_to_sint(f, a, row->arg, 0, round, env);
    case FROMINT: return fp_from_sint(f, bits_sext(s->integer, row->arg), 0, round, env);
    }
    return 0;
}

static bool agrees(const struct row *row, const struct state *before)
{
    struct fp_env env = fp_env_x86(before->mxcsr);
    struct state after = *before;
    row->host(&after);
    uint64_t got = ours(row, before, &env);
    bool integer = row->op == UCOMI || row->op == COMI || row->op == TOINT;
    uint64_t want = integer ? after.integer : (uint64_t)after.x[0] & bits_mask(row->dst->width);
    unsigned flags = after.mxcsr & MXCSR_FLAGS;
    if (got == want && fp_mxcsr_flags(env.flags) == flags)
        return true;
    fprintf(stderr, "%s mxcsr %x: %llx %llx %llx integer %llx: gives %llx flags %x, host %llx flags %x\n",
            row->name, before->mxcsr, before->x[0], before->y[0], before->z[0],
            (unsigned long long)before->integer, (unsigned long long)got, fp_mxcsr_flags(env.flags),
            (unsigned long long)want, flags);
    return false;
}

static void randomise(struct rng *rng, const struct row *row, struct state *s)
{
    uint64_t v[3];
    bool special = rng_below(rng, 8) == 0;
    v[0] = special ? operand_special(rng, row->src) : operand_random(rng, row->src);
    v[1] = special ? operand_special(rng, row->src) : operand_near(rng, row->src, v[0]);
    struct fp_env nearest = {0};
    uint64_t product = fp_mul(row->src, v[0], v[1], &nearest);
    v[2] = special ? operand_special(rng, row->src) : operand_near(rng, row->src, product);
    unsigned flush = rng_below(rng, 4) ? 0 : (rng_next(rng) & (MXCSR_DAZ | MXCSR_FTZ));
    *s = (struct state){{(long long)v[0]},
                        {(long long)v[1]},
                        {(long long)v[2]},
                        rng_next(rng) >> rng_below(rng, 64),
                        MXCSR_MASKS | rng_below(rng, 4) << MXCSR_RC_SHIFT | flush};
}

Test(fp_sse, host_instructions)
{
    struct rng rng = rng_start("fp sse", 21);
    unsigned failures = 0;
    if (!__builtin_cpu_supports("sse4.1") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("f16c"))
        return;
    for (const struct row *row = rows; row < rows + sizeof(rows) / sizeof(rows[0]); row++) {
        unsigned of_row = 0;
        for (unsigned i = 0, end = rng_rounds(20000); i < end && of_row < 3; i++) {
            struct state s;
            randomise(&rng, row, &s);
            of_row += !agrees(row, &s);
        }
        failures += of_row;
    }
    cr_assert(failures == 0, "%u disagreements", failures);
}

#endif
