// SPDX-License-Identifier: MIT
// The architected reciprocal estimates: bit-exact results of 8 fraction bits, not approximations of our
// choosing. Manual: FPRecipEstimate, RecipEstimate, FPRSqrtEstimate, RecipSqrtEstimate, FPRecpX,
// UnsignedRecipEstimate, UnsignedRSqrtEstimate.
#include "base/fp/fp_internal.h"

// a is 0.5 <= x < 1.0 in units of 1/512; the result is 1/x, 1.0 <= r < 2.0, in units of 1/256.
static uint32_t recip_estimate(uint32_t a)
{
    return ((1u << 19) / (2 * a + 1) + 1) / 2;
}

// a is 0.25 <= x < 1.0 in units of 1/512; the result is 1/sqrt(x) in units of 1/256. b ends as the largest
// number of ten bits with a * b^2 < 2^28.
static uint32_t recip_sqrt_estimate(uint32_t a)
{
    uint64_t x = a < 256 ? 2 * a + 1 : 2 * ((a & ~1u) + 1);
    uint64_t b = 512;
    for (uint64_t bit = 256; bit; bit >>= 1)
        if (x * (b + bit) * (b + bit) < 1u << 28)
            b += bit;
    return (b + 1) / 2;
}

// The top count bits of n's significand.
static uint32_t top_bits(struct fp_num n, unsigned count)
{
    return n.mant >> (64 - count);
}

uint64_t fp_recpe(const struct fp_format *f, uint64_t op, struct fp_env *env)
{
    struct fp_num a = fp_unpack(f, op, env);
    if (fp_is_nan(a))
        return fp_process_nan(f, a, env);
    if (a.cls == FP_INF)
        return fp_zero(f, a.sign);
    if (a.cls == FP_ZERO) {
        env->flags |= FP_DZC;
        return fp_inf(f, a.sign);
    }
    if (a.exp < -f->bias - 1) {
        env->flags |= FP_OFC | FP_IXC;
        return fp_overflows_to_inf(env->round, a.sign) ? fp_inf(f, a.sign) : fp_max_normal(f, a.sign);
    }
    if (fp_flushes(f, env) && a.exp >= f->bias - 1) {
        env->flags |= FP_UFC;
        return fp_zero(f, a.sign);
    }
    // 1/x lies in (2^(-exp-1), 2^-exp]; a result exponent of 0 or -1 is a subnormal, its leading one
    // explicit.
    int biased = 2 * f->bias - 1 - (a.exp + f->bias);
    uint64_t mant = (uint64_t)recip_estimate(top_bits(a, 9)) << (f->frac_bits - 8);
    uint64_t hidden = 1ull << f->frac_bits;
    uint64_t packed =
        biased > 0 ? (uint64_t)biased << f->frac_bits | (mant & (hidden - 1)) : mant >> (1 - biased);
    return fp_sign_bit(f, a.sign) | packed;
}

uint64_t fp_rsqrte(const struct fp_format *f, uint64_t op, struct fp_env *env)
{
    struct fp_num a = fp_unpack(f, op, env);
    if (fp_is_nan(a))
        return fp_process_nan(f, a, env);
    if (a.cls == FP_ZERO) {
        env->flags |= FP_DZC;
        return fp_inf(f, a.sign);
    }
    if (a.sign)
        return fp_invalid(f, env);
    if (a.cls == FP_INF)
        return fp_zero(f, false);
    int field = a.exp + f->bias;
    uint32_t scaled = field & 1 ? top_bits(a, 8) : top_bits(a, 9);
    uint64_t biased = (3 * f->bias - 1 - field) / 2;
    uint64_t frac = recip_sqrt_estimate(scaled) & 0xff;
    return biased << f->frac_bits | frac << (f->frac_bits - 8);
}

uint64_t fp_recpx(const struct fp_format *f, uint64_t op, struct fp_env *env)
{
    struct fp_num a = fp_unpack(f, op, env);
    if (fp_is_nan(a))
        return fp_process_nan(f, a, env);
    uint64_t field = op >> f->frac_bits & f->exp_max;
    uint64_t flipped = field ? ~field & f->exp_max : (uint64_t)f->exp_max - 1;
    return fp_sign_bit(f, a.sign) | flipped << f->frac_bits;
}

uint32_t fp_urecpe(uint32_t a)
{
    return a >> 31 ? recip_estimate(a >> 23) << 23 : ~0u;
}

uint32_t fp_ursqrte(uint32_t a)
{
    return a >> 30 ? recip_sqrt_estimate(a >> 23) << 23 : ~0u;
}
