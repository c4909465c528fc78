// SPDX-License-Identifier: MIT
// Unpacking of subnormals, NaN selection, rounding and packing: what every operation shares.
// Manual: FPUnpackBase, FPProcessNaN(s)(3), FPRoundBase. ARM flushes a result before rounding it and reports
// UFC alone; x86 judges after rounding and reports UE with PE.
#include "base/fp/fp_internal.h"

const struct fp_format fp_f16 = {.width = 16, .exp_bits = 5, .frac_bits = 10, .bias = 15, .exp_max = 31};
const struct fp_format fp_f32 = {.width = 32, .exp_bits = 8, .frac_bits = 23, .bias = 127, .exp_max = 255};
const struct fp_format fp_f64 = {.width = 64, .exp_bits = 11, .frac_bits = 52, .bias = 1023, .exp_max = 2047};

struct fp_num fp_unpack_subnormal(const struct fp_format *f, struct fp_num n, bool flush16,
                                  struct fp_env *env)
{
    n.cls = FP_ZERO;
    if (n.mant == 0)
        return n;
    bool flush = f->width == 16 ? flush16 : env->daz || (env->ftz && !env->tiny_after);
    if (flush) {
        n.mant = 0;
        if (f->width != 16 && !env->daz)
            env->flags |= FP_IDC;
        return n;
    }
    unsigned lead = __builtin_clzll(n.mant);
    n.mant <<= lead;
    n.exp += 1 - (int)lead;
    n.cls = FP_FINITE;
    n.denormal = true;
    return n;
}

static uint64_t pack_nan(const struct fp_format *f, struct fp_num n)
{
    uint64_t frac = (n.mant & ~(1ull << 63)) >> (63 - f->frac_bits);
    return fp_inf(f, n.sign) | frac | 1ull << (f->frac_bits - 1);
}

uint64_t fp_process_nan(const struct fp_format *f, struct fp_num n, struct fp_env *env)
{
    if (n.cls == FP_SNAN)
        env->flags |= FP_IOC;
    return env->default_nan ? fp_default_nan(f, env) : pack_nan(f, n);
}

uint64_t fp_process_nans(const struct fp_format *f, struct fp_num a, struct fp_num b, struct fp_env *env)
{
    if (a.cls == FP_SNAN || b.cls == FP_SNAN)
        env->flags |= FP_IOC;
    if (env->nan_rule == FP_NAN_X86)
        return fp_process_nan(f, fp_is_nan(a) ? a : b, env);
    if (a.cls == FP_SNAN)
        return fp_process_nan(f, a, env);
    return fp_process_nan(f, b.cls == FP_SNAN || !fp_is_nan(a) ? b : a, env);
}

uint64_t fp_process_nans3(const struct fp_format *f, struct fp_num a, struct fp_num b, struct fp_num c,
                          struct fp_env *env)
{
    const struct fp_num *order[3] = {&a, &b, &c};
    const struct fp_num *pick = 0;
    for (int i = 2; i >= 0; i--) {
        if (order[i]->cls == FP_SNAN)
            env->flags |= FP_IOC;
        if (!fp_is_nan(*order[i]))
            continue;
        bool yields = env->nan_rule == FP_NAN_ARM && pick && pick->cls == FP_SNAN;
        if (!yields || order[i]->cls == FP_SNAN)
            pick = order[i];
    }
    return fp_process_nan(f, *pick, env);
}

static uint64_t overflow(const struct fp_format *f, bool sign, unsigned round, bool ahp, struct fp_env *env)
{
    if (ahp) {
        env->flags |= FP_IOC;
        return fp_sign_bit(f, sign) | ((1ull << (f->width - 1)) - 1);
    }
    env->flags |= FP_OFC | FP_IXC;
    return fp_overflows_to_inf(round, sign) ? fp_inf(f, sign) : fp_max_normal(f, sign);
}

// Whether a value just below the least normal becomes normal when rounded with an unbounded exponent range.
static bool rounds_to_normal(const struct fp_format *f, bool sign, uint64_t hi, uint64_t lo, unsigned round)
{
    unsigned drop = 63 - f->frac_bits;
    uint64_t err = hi << (64 - drop) | (lo != 0);
    uint64_t kept = hi >> drop;
    return (kept + fp_round_up(round, sign, kept & 1, err)) >> (f->frac_bits + 1);
}

uint64_t fp_round_base(const struct fp_format *f, bool sign, int exp, uint64_t hi, uint64_t lo,
                       unsigned round, bool flush, bool ahp, struct fp_env *env)
{
    const int limit = ahp ? f->exp_max + 1 : f->exp_max;
    const unsigned drop = 63 - f->frac_bits;
    int biased = exp + f->bias;
    bool tiny = false;

    if (__builtin_expect(biased <= 0, 0)) {
        tiny = !env->tiny_after || biased < 0 || !rounds_to_normal(f, sign, hi, lo, round);
        if (flush && tiny) {
            env->flags |= env->tiny_after ? FP_UFC | FP_IXC : FP_UFC;
            return fp_zero(f, sign);
        }
        u128 v = fp_shift_jam((u128)hi << 64 | lo, 1 - biased);
        hi = v >> 64;
        lo = (uint64_t)v;
        biased = 1;
    } else if (__builtin_expect(biased >= limit, 0)) {
        return overflow(f, sign, round, ahp, env);
    }

    uint64_t err = drop ? hi << (64 - drop) | (lo != 0) : lo;
    uint64_t kept = hi >> drop;
    if (err) {
        kept += fp_round_up(round, sign, kept & 1, err);
        if (round == FP_RO)
            kept |= 1;
    }
    // The integer bit of kept, and a carry out of it, add themselves to the exponent field.
    uint64_t packed = ((uint64_t)(biased - 1) << f->frac_bits) + kept;
    if (__builtin_expect((int)(packed >> f->frac_bits) >= limit, 0))
        return overflow(f, sign, round, ahp, env);
    if (err)
        env->flags |= tiny ? FP_UFC | FP_IXC : FP_IXC;
    return fp_sign_bit(f, sign) | packed;
}

uint64_t fp_split_int(struct fp_num a, unsigned fbits, uint64_t *ret_err)
{
    int exp = a.exp + (int)fbits;
    *ret_err = 0;
    if (a.cls == FP_ZERO)
        return 0;
    if (exp < 0) {
        *ret_err = exp == -1 ? a.mant : 1;
        return 0;
    }
    unsigned drop = 63 - exp;
    if (drop)
        *ret_err = a.mant << (64 - drop);
    return a.mant >> drop;
}
