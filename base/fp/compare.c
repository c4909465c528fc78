// SPDX-License-Identifier: MIT
// Sign operations, comparison, minimum and maximum.
// Manual: FPNeg, FPAbs, FPCompare, FPMax, FPMin, FPMaxNum, FPMinNum. Results are operands, so nothing rounds.
#include "base/fp/fp_internal.h"

uint64_t fp_neg(const struct fp_format *f, uint64_t a)
{
    return a ^ fp_sign_bit(f, true);
}

uint64_t fp_abs(const struct fp_format *f, uint64_t a)
{
    return a & (fp_sign_bit(f, true) - 1);
}

static enum fp_order order_of(struct fp_num a, struct fp_num b)
{
    if (a.cls == FP_ZERO && b.cls == FP_ZERO)
        return FP_EQUAL;
    bool a_neg = a.cls == FP_ZERO ? !b.sign : a.sign;
    bool b_neg = b.cls == FP_ZERO ? !a.sign : b.sign;
    if (a_neg != b_neg)
        return a_neg ? FP_LESS : FP_GREATER;
    enum fp_order smaller = a_neg ? FP_GREATER : FP_LESS, larger = a_neg ? FP_LESS : FP_GREATER;
    if (a.cls != b.cls)
        return a.cls < b.cls ? smaller : larger;
    if (a.cls == FP_INF)
        return FP_EQUAL;
    if (a.exp != b.exp)
        return a.exp < b.exp ? smaller : larger;
    return a.mant == b.mant ? FP_EQUAL : a.mant < b.mant ? smaller : larger;
}

enum fp_order fp_compare(const struct fp_format *f, uint64_t op1, uint64_t op2, bool signalling,
                         struct fp_env *env)
{
    struct fp_num a = fp_unpack(f, op1, env), b = fp_unpack(f, op2, env);
    if (!fp_is_nan(a) && !fp_is_nan(b)) {
        fp_note_denormal(a.denormal || b.denormal, env);
        return order_of(a, b);
    }
    if (signalling || a.cls == FP_SNAN || b.cls == FP_SNAN)
        env->flags |= FP_IOC;
    return FP_UNORDERED;
}

// wanted: FP_LESS for the minimum, FP_GREATER for the maximum.
static uint64_t select(const struct fp_format *f, uint64_t op1, uint64_t op2, enum fp_order wanted,
                       struct fp_env *env)
{
    struct fp_num a = fp_unpack(f, op1, env), b = fp_unpack(f, op2, env);
    bool first;
    if (fp_is_nan(a) || fp_is_nan(b)) {
        if (env->nan_rule == FP_NAN_ARM)
            return fp_process_nans(f, a, b, env);
        env->flags |= FP_IOC;
        first = false;
    } else if (a.cls == FP_ZERO && b.cls == FP_ZERO && env->nan_rule == FP_NAN_ARM) {
        return fp_zero(f, wanted == FP_LESS ? a.sign | b.sign : a.sign & b.sign);
    } else {
        fp_note_denormal(a.denormal || b.denormal, env);
        first = order_of(a, b) == wanted;
    }
    struct fp_num picked = first ? a : b;
    return picked.cls == FP_ZERO ? fp_zero(f, picked.sign) : first ? op1 : op2;
}

static uint64_t select_number(const struct fp_format *f, uint64_t op1, uint64_t op2, enum fp_order wanted,
                              struct fp_env *env)
{
    struct fp_num a = fp_unpack(f, op1, env), b = fp_unpack(f, op2, env);
    uint64_t loser = fp_inf(f, wanted == FP_GREATER);
    if (a.cls == FP_QNAN && b.cls != FP_QNAN)
        op1 = loser;
    else if (b.cls == FP_QNAN && a.cls != FP_QNAN)
        op2 = loser;
    return select(f, op1, op2, wanted, env);
}

uint64_t fp_min(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    return select(f, a, b, FP_LESS, env);
}

uint64_t fp_max(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    return select(f, a, b, FP_GREATER, env);
}

uint64_t fp_minnm(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    return select_number(f, a, b, FP_LESS, env);
}

uint64_t fp_maxnm(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    return select_number(f, a, b, FP_GREATER, env);
}
