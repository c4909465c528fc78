// SPDX-License-Identifier: MIT
// Addition, multiplication, division, square root, the fused forms and the Newton steps.
// Manual: FPAdd, FPSub, FPMul, FPMulX, FPDiv, FPSqrt, FPMulAdd, FPRecipStepFused, FPRSqrtStepFused.
//
// A sum is made of two struct term: magnitudes with their leading bit at TERM_LEAD of 128 bits, so that a
// carry fits above and an alignment shift of one loses nothing below (f32, f64: a product has at most 106
// bits).
#include "base/fp/fp_internal.h"

#define TERM_LEAD 125

struct term {
    u128 mant; // 0 for a zero
    int exp;
    bool sign;
};

static struct term term_of(struct fp_num n)
{
    return (struct term){n.cls == FP_ZERO ? 0 : (u128)n.mant << (TERM_LEAD - 63), n.exp, n.sign};
}

static struct term term_product(struct fp_num a, struct fp_num b)
{
    struct term t = {.sign = a.sign ^ b.sign};
    if (a.cls == FP_ZERO || b.cls == FP_ZERO)
        return t;
    u128 product = (u128)a.mant * b.mant;
    bool carry = product >> 127;
    t.exp = a.exp + b.exp + carry;
    t.mant = product >> (126 + carry - TERM_LEAD);
    return t;
}

static uint64_t round_term(const struct fp_format *f, struct term t, struct fp_env *env)
{
    uint64_t top = t.mant >> 64;
    unsigned lead = top ? __builtin_clzll(top) : 64 + __builtin_clzll((uint64_t)t.mant);
    t.mant <<= lead;
    int exp = t.exp + 127 - TERM_LEAD - (int)lead;
    return fp_round_pack(f, t.sign, exp, t.mant >> 64, (uint64_t)t.mant, env->round, env);
}

// a + b, at least one not zero unless the zeros' signs differ. Scaled by 2^scale before rounding.
static uint64_t sum(const struct fp_format *f, struct term a, struct term b, int scale, struct fp_env *env)
{
    if (a.mant == 0 || (b.mant != 0 && a.exp < b.exp)) {
        struct term t = a;
        a = b;
        b = t;
    }
    if (b.mant != 0) {
        u128 small = fp_shift_jam(b.mant, a.exp - b.exp);
        if (a.sign == b.sign) {
            a.mant += small;
        } else if (a.mant >= small) {
            a.mant -= small;
        } else {
            a.mant = small - a.mant;
            a.sign = b.sign;
        }
    }
    if (a.mant == 0)
        return fp_zero(f, env->round == FP_RM);
    a.exp += scale;
    return round_term(f, a, env);
}

static uint64_t add(const struct fp_format *f, uint64_t op1, uint64_t op2, bool negate, struct fp_env *env)
{
    struct fp_num a = fp_unpack(f, op1, env), b = fp_unpack(f, op2, env);
    if (fp_is_nan(a) || fp_is_nan(b))
        return fp_process_nans(f, a, b, env);
    b.sign ^= negate;
    if (a.cls == FP_INF && b.cls == FP_INF && a.sign != b.sign)
        return fp_invalid(f, env);
    fp_note_denormal(a.denormal || b.denormal, env);
    if (a.cls == FP_INF)
        return fp_inf(f, a.sign);
    if (b.cls == FP_INF)
        return fp_inf(f, b.sign);
    if (a.cls == FP_ZERO && b.cls == FP_ZERO && a.sign == b.sign)
        return fp_zero(f, a.sign);
    return sum(f, term_of(a), term_of(b), 0, env);
}

uint64_t fp_add(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    return add(f, a, b, false, env);
}

uint64_t fp_sub(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    return add(f, a, b, true, env);
}

static bool is_inf_times_zero(struct fp_num a, struct fp_num b)
{
    return (a.cls == FP_INF && b.cls == FP_ZERO) || (a.cls == FP_ZERO && b.cls == FP_INF);
}

static uint64_t mul(const struct fp_format *f, uint64_t op1, uint64_t op2, bool extended, struct fp_env *env)
{
    struct fp_num a = fp_unpack(f, op1, env), b = fp_unpack(f, op2, env);
    if (fp_is_nan(a) || fp_is_nan(b))
        return fp_process_nans(f, a, b, env);
    bool sign = a.sign ^ b.sign;
    if (is_inf_times_zero(a, b)) {
        uint64_t two = (uint64_t)(f->bias + 1) << f->frac_bits;
        return extended ? fp_sign_bit(f, sign) | two : fp_invalid(f, env);
    }
    fp_note_denormal(a.denormal || b.denormal, env);
    if (a.cls == FP_INF || b.cls == FP_INF)
        return fp_inf(f, sign);
    if (a.cls == FP_ZERO || b.cls == FP_ZERO)
        return fp_zero(f, sign);
    u128 product = (u128)a.mant * b.mant;
    int exp = a.exp + b.exp + 1;
    if (!(product >> 127)) {
        product <<= 1;
        exp--;
    }
    return fp_round_pack(f, sign, exp, product >> 64, (uint64_t)product, env->round, env);
}

uint64_t fp_mul(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    return mul(f, a, b, false, env);
}

uint64_t fp_mulx(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    return mul(f, a, b, true, env);
}

uint64_t fp_div(const struct fp_format *f, uint64_t op1, uint64_t op2, struct fp_env *env)
{
    struct fp_num a = fp_unpack(f, op1, env), b = fp_unpack(f, op2, env);
    if (fp_is_nan(a) || fp_is_nan(b))
        return fp_process_nans(f, a, b, env);
    bool sign = a.sign ^ b.sign;
    if (a.cls == b.cls && a.cls != FP_FINITE)
        return fp_invalid(f, env);
    if (b.cls == FP_ZERO && a.cls != FP_INF) {
        env->flags |= FP_DZC;
        return fp_inf(f, sign);
    }
    fp_note_denormal(a.denormal || b.denormal, env);
    if (a.cls == FP_INF)
        return fp_inf(f, sign);
    if (a.cls == FP_ZERO || b.cls == FP_INF)
        return fp_zero(f, sign);
    bool below = a.mant < b.mant;
    u128 numerator = (u128)a.mant << (63 + below);
    uint64_t quotient = numerator / b.mant;
    u128 twice_rest = (numerator - (u128)quotient * b.mant) << 1;
    uint64_t lo = twice_rest >= b.mant ? 1ull << 63 | (twice_rest != b.mant) : twice_rest != 0;
    return fp_round_pack(f, sign, a.exp - b.exp - below, quotient, lo, env->round, env);
}

// Floor of the square root, n >= 2^30, bit by bit.
static uint32_t sqrt32(uint32_t n)
{
    uint32_t root = 0;
    for (uint32_t bit = 1u << 15; bit; bit >>= 1)
        if ((root | bit) * (root | bit) <= n)
            root |= bit;
    return root;
}

// Floor of the square root of a number with one of its top two bits set, and the remainder. Each level
// divides what the upper half left over by twice its root (P. Zimmermann, "Karatsuba Square Root", 1999).
static uint64_t sqrt64(uint64_t n, uint64_t *ret_rest)
{
    uint64_t upper = sqrt32(n >> 32);
    uint64_t rest = (n >> 32) - upper * upper;
    uint64_t numerator = rest << 16 | (n >> 16 & 0xffff);
    uint64_t low = numerator / (2 * upper);
    int64_t left = (int64_t)((numerator % (2 * upper)) << 16 | (n & 0xffff)) - (int64_t)(low * low);
    uint64_t root = (upper << 16) + low;
    if (left < 0) {
        left += 2 * (int64_t)root - 1;
        root--;
    }
    *ret_rest = (uint64_t)left;
    return root;
}

static uint64_t sqrt128(u128 n, u128 *ret_rest)
{
    uint64_t rest;
    uint64_t upper = sqrt64(n >> 64, &rest);
    u128 numerator = (u128)rest << 32 | (uint64_t)n >> 32;
    u128 low = numerator / (2 * upper);
    __int128 left = (__int128)((numerator % (2 * upper)) << 32 | (uint32_t)n) - (__int128)(low * low);
    u128 root = ((u128)upper << 32) + low;
    if (left < 0) {
        left += 2 * (__int128)root - 1;
        root--;
    }
    *ret_rest = (u128)left;
    return (uint64_t)root;
}

uint64_t fp_sqrt(const struct fp_format *f, uint64_t op, struct fp_env *env)
{
    struct fp_num a = fp_unpack(f, op, env);
    if (fp_is_nan(a))
        return fp_process_nan(f, a, env);
    if (a.cls == FP_ZERO)
        return fp_zero(f, a.sign);
    if (a.sign)
        return fp_invalid(f, env);
    if (a.cls == FP_INF)
        return fp_inf(f, false);
    fp_note_denormal(a.denormal, env);
    u128 rest;
    uint64_t root = sqrt128((u128)a.mant << (63 + (a.exp & 1)), &rest);
    // (root + 1/2)^2 leaves root + 1/4: never met exactly.
    uint64_t lo = rest > root ? 1ull << 63 | 1 : rest != 0;
    return fp_round_pack(f, false, a.exp >> 1, root, lo, env->round, env);
}

uint64_t fp_muladd(const struct fp_format *f, uint64_t addend, uint64_t op1, uint64_t op2, struct fp_env *env)
{
    struct fp_num c = fp_unpack(f, addend, env), a = fp_unpack(f, op1, env), b = fp_unpack(f, op2, env);
    bool x86 = env->nan_rule == FP_NAN_X86;
    bool invalid_product = is_inf_times_zero(a, b);
    if (fp_is_nan(a) || fp_is_nan(b) || fp_is_nan(c)) {
        uint64_t nan = x86 ? fp_process_nans3(f, a, b, c, env) : fp_process_nans3(f, c, a, b, env);
        return invalid_product && c.cls == FP_QNAN && !x86 ? fp_invalid(f, env) : nan;
    }
    bool sign = a.sign ^ b.sign;
    bool inf_product = a.cls == FP_INF || b.cls == FP_INF;
    if (invalid_product || (inf_product && c.cls == FP_INF && c.sign != sign))
        return fp_invalid(f, env);
    fp_note_denormal(a.denormal || b.denormal || c.denormal, env);
    if (inf_product || c.cls == FP_INF)
        return fp_inf(f, inf_product ? sign : c.sign);
    struct term product = term_product(a, b);
    if (c.cls == FP_ZERO && product.mant == 0 && c.sign == sign)
        return fp_zero(f, sign);
    return sum(f, term_of(c), product, 0, env);
}

// (whole - a * b) * 2^scale, where whole is 2 or 3 as a term and at_inf the result for inf * 0.
static uint64_t newton_step(const struct fp_format *f, uint64_t op1, uint64_t op2, struct term whole,
                            int scale, uint64_t at_inf, struct fp_env *env)
{
    struct fp_num a = fp_unpack(f, fp_neg(f, op1), env), b = fp_unpack(f, op2, env);
    if (fp_is_nan(a) || fp_is_nan(b))
        return fp_process_nans(f, a, b, env);
    if (is_inf_times_zero(a, b))
        return at_inf;
    if (a.cls == FP_INF || b.cls == FP_INF)
        return fp_inf(f, a.sign ^ b.sign);
    return sum(f, whole, term_product(a, b), scale, env);
}

uint64_t fp_recps(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    struct term two = {.mant = (u128)1 << TERM_LEAD, .exp = 1};
    return newton_step(f, a, b, two, 0, (uint64_t)(f->bias + 1) << f->frac_bits, env);
}

uint64_t fp_rsqrts(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    struct term three = {.mant = (u128)3 << (TERM_LEAD - 1), .exp = 1};
    uint64_t one_and_half = (uint64_t)f->bias << f->frac_bits | 1ull << (f->frac_bits - 1);
    return newton_step(f, a, b, three, -1, one_and_half, env);
}
