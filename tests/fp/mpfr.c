// SPDX-License-Identifier: MIT
// base/fp against MPFR: add, sub, mul, div, sqrt and muladd of f16, f32 and f64 in five rounding modes,
// values and the inexact, overflow and underflow flags. MPFR is made to round to the format: its precision,
// its exponent range, then mpfr_subnormalize. Round to odd is derived from truncation. NaN results only have
// to be NaNs here.
#include <criterion/criterion.h>
#include <mpfr.h>
#include <stdio.h>

#include "base/fp/fp.h"
#include "tests/fp/operands.h"

enum op { ADD, SUB, MUL, DIV, SQRT, MULADD, OP_COUNT };
static const char *const op_names[OP_COUNT] = {"add", "sub", "mul", "div", "sqrt", "muladd"};
static const enum fp_round modes[] = {FP_RN, FP_RP, FP_RM, FP_RZ, FP_RO};
static const mpfr_rnd_t mpfr_modes[] = {MPFR_RNDN, MPFR_RNDU, MPFR_RNDD, MPFR_RNDZ, MPFR_RNDZ};

#define WIDE_EXP 100000

static void range_wide(void)
{
    mpfr_set_emin(-WIDE_EXP);
    mpfr_set_emax(WIDE_EXP);
}

static void to_mpfr(mpfr_t r, const struct fp_format *f, uint64_t v)
{
    uint64_t frac = v & ((1ull << f->frac_bits) - 1);
    int exp = v >> f->frac_bits & f->exp_max;
    int sign = v >> (f->width - 1) & 1 ? -1 : 1;
    if (exp == f->exp_max && frac)
        mpfr_set_nan(r);
    else if (exp == f->exp_max)
        mpfr_set_inf(r, sign);
    else if (exp == 0 && frac == 0)
        mpfr_set_zero(r, sign);
    else
        mpfr_set_ui_2exp(r, exp ? frac | 1ull << f->frac_bits : frac,
                         (exp ? exp : 1) - f->bias - f->frac_bits, MPFR_RNDN);
    if (sign < 0 && mpfr_regular_p(r))
        mpfr_neg(r, r, MPFR_RNDN);
}

static uint64_t from_mpfr(const struct fp_format *f, const mpfr_t v)
{
    uint64_t sign = (uint64_t)(mpfr_signbit(v) != 0) << (f->width - 1);
    if (mpfr_inf_p(v))
        return sign | (uint64_t)f->exp_max << f->frac_bits;
    if (mpfr_zero_p(v))
        return sign;
    int biased = (int)mpfr_get_exp(v) - 1 + f->bias;
    int lsb = (biased > 0 ? biased : 1) - f->bias - f->frac_bits;
    mpfr_t scaled;
    mpfr_init2(scaled, 64);
    mpfr_abs(scaled, v, MPFR_RNDN);
    mpfr_mul_2si(scaled, scaled, -lsb, MPFR_RNDN);
    uint64_t mant = mpfr_get_ui(scaled, MPFR_RNDN);
    mpfr_clear(scaled);
    return sign | (((uint64_t)(biased > 0 ? biased - 1 : 0) << f->frac_bits) + mant);
}

static int compute(enum op op, mpfr_t r, const mpfr_t a, const mpfr_t b, const mpfr_t c, mpfr_rnd_t mode)
{
    switch (op) {
    case ADD: return mpfr_add(r, a, b, mode);
    case SUB: return mpfr_sub(r, a, b, mode);
    case MUL: return mpfr_mul(r, a, b, mode);
    case DIV: return mpfr_div(r, a, b, mode);
    case SQRT: return mpfr_sqrt(r, a, mode);
    default: return mpfr_fma(r, a, b, c, mode);
    }
}

struct expected {
    uint64_t value;
    uint8_t flags;
    bool is_nan;
};

static struct expected reference(const struct fp_format *f, enum op op, uint64_t a, uint64_t b, uint64_t c,
                                 unsigned mode)
{
    mpfr_t ma, mb, mc, r, unbounded;
    mpfr_inits2(f->frac_bits + 1, ma, mb, mc, r, unbounded, (mpfr_ptr)0);
    to_mpfr(ma, f, a);
    to_mpfr(mb, f, b);
    to_mpfr(mc, f, c);
    compute(op, unbounded, ma, mb, mc, MPFR_RNDZ);
    bool tiny = mpfr_regular_p(unbounded) && mpfr_get_exp(unbounded) - 1 < 1 - f->bias;

    mpfr_set_emin(2 - f->bias - f->frac_bits);
    mpfr_set_emax(f->bias + 1);
    mpfr_clear_flags();
    int ternary = compute(op, r, ma, mb, mc, mpfr_modes[mode]);
    ternary = mpfr_subnormalize(r, ternary, mpfr_modes[mode]);
    bool overflow = mpfr_overflow_p(), divzero = mpfr_divby0_p();
    range_wide();

    struct expected e = {.is_nan = mpfr_nan_p(r)};
    if (!e.is_nan)
        e.value = from_mpfr(f, r);
    if (ternary) {
        e.flags = FP_IXC | (overflow ? FP_OFC : 0) | (tiny ? FP_UFC : 0);
        if (modes[mode] == FP_RO)
            e.value |= 1;
    }
    if (divzero)
        e.flags |= FP_DZC;
    mpfr_clears(ma, mb, mc, r, unbounded, (mpfr_ptr)0);
    return e;
}

static uint64_t ours(const struct fp_format *f, enum op op, uint64_t a, uint64_t b, uint64_t c,
                     struct fp_env *env)
{
    switch (op) {
    case ADD: return fp_add(f, a, b, env);
    case SUB: return fp_sub(f, a, b, env);
    case MUL: return fp_mul(f, a, b, env);
    case DIV: return fp_div(f, a, b, env);
    case SQRT: return fp_sqrt(f, a, env);
    default: return fp_muladd(f, c, a, b, env);
    }
}

static bool is_nan(const struct fp_format *f, uint64_t v)
{
    return (v & ((1ull << (f->width - 1)) - 1)) > (uint64_t)f->exp_max << f->frac_bits;
}

static void check(const struct fp_format *f, uint64_t stream, unsigned rounds)
{
    struct rng rng = rng_start("fp mpfr", stream);
    range_wide();
    for (unsigned i = 0, end = rng_rounds(rounds); i < end; i++) {
        uint64_t a = operand_random(&rng, f), b = operand_near(&rng, f, a), c = operand_random(&rng, f);
        enum op op = i % OP_COUNT;
        unsigned mode = rng_below(&rng, 5);
        struct fp_env env = {.round = modes[mode]};
        // A quarter of the sums cancel against a product of their own.
        if (op == MULADD && rng_below(&rng, 2)) {
            struct fp_env nearest = {0};
            c = operand_near(&rng, f, fp_neg(f, fp_mul(f, a, b, &nearest)));
        }
        uint64_t got = ours(f, op, a, b, c, &env);
        struct expected want = reference(f, op, a, b, c, mode);
        bool equal = want.is_nan ? is_nan(f, got) : got == want.value && env.flags == want.flags;
        cr_assert(equal, "f%u %s round %u: %llx %llx %llx gives %llx flags %x, MPFR %llx flags %x", f->width,
                  op_names[op], modes[mode], (unsigned long long)a, (unsigned long long)b,
                  (unsigned long long)c, (unsigned long long)got, env.flags, (unsigned long long)want.value,
                  want.flags);
    }
}

Test(fp_mpfr, f16)
{
    check(&fp_f16, 1, 60000);
}
Test(fp_mpfr, f32)
{
    check(&fp_f32, 2, 120000);
}
Test(fp_mpfr, f64)
{
    check(&fp_f64, 3, 120000);
}
