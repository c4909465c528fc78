// SPDX-License-Identifier: MIT
// Conversions between formats, to and from integers and fixed point, and rounding to integral values.
// Manual: FPConvert, FPToFixed, FixedToFP, FPRoundInt. Conversions honour AHP and ignore FZ16; all else the
// reverse.
#include "base/fp/fp_internal.h"

uint64_t fp_convert(const struct fp_format *from, const struct fp_format *to, uint64_t op,
                    enum fp_round round, struct fp_env *env)
{
    bool from_ahp = env->ahp && from->width == 16, to_ahp = env->ahp && to->width == 16;
    struct fp_num a = fp_unpack_base(from, op, false, from_ahp, env);
    if (fp_is_nan(a)) {
        uint64_t nan = fp_process_nan(to, a, env);
        if (!to_ahp)
            return nan;
        env->flags |= FP_IOC;
        return fp_zero(to, a.sign);
    }
    if (a.cls == FP_INF) {
        if (!to_ahp)
            return fp_inf(to, a.sign);
        env->flags |= FP_IOC;
        return fp_sign_bit(to, a.sign) | (fp_sign_bit(to, true) - 1);
    }
    if (a.cls == FP_ZERO)
        return fp_zero(to, a.sign);
    fp_note_denormal(a.denormal && from->width != 16, env);
    bool flush = env->ftz && to->width != 16;
    return fp_round_base(to, a.sign, a.exp, a.mant, 0, round, flush, to_ahp, env);
}

// A non-zero magnitude with fbits fraction bits.
static uint64_t from_magnitude(const struct fp_format *f, bool sign, uint64_t mag, unsigned fbits,
                               enum fp_round round, struct fp_env *env)
{
    unsigned lead = __builtin_clzll(mag);
    return fp_round_pack(f, sign, 63 - (int)lead - (int)fbits, mag << lead, 0, round, env);
}

uint64_t fp_from_uint(const struct fp_format *f, uint64_t a, unsigned fbits, enum fp_round round,
                      struct fp_env *env)
{
    return a ? from_magnitude(f, false, a, fbits, round, env) : 0;
}

uint64_t fp_from_sint(const struct fp_format *f, int64_t a, unsigned fbits, enum fp_round round,
                      struct fp_env *env)
{
    bool sign = a < 0;
    return a ? from_magnitude(f, sign, sign ? -(uint64_t)a : (uint64_t)a, fbits, round, env) : 0;
}

uint64_t fp_round_to_int(const struct fp_format *f, uint64_t op, enum fp_round round, bool exact,
                         struct fp_env *env)
{
    struct fp_num a = fp_unpack(f, op, env);
    if (fp_is_nan(a))
        return fp_process_nan(f, a, env);
    if (a.cls == FP_ZERO)
        return fp_zero(f, a.sign);
    if (a.cls == FP_INF || a.exp >= 63)
        return op;
    uint64_t err;
    uint64_t mag = fp_split_int(a, 0, &err);
    if (err && exact)
        env->flags |= FP_IXC;
    mag += fp_round_up(round, a.sign, mag & 1, err);
    return mag ? from_magnitude(f, a.sign, mag, 0, FP_RZ, env) : fp_zero(f, a.sign);
}

// The nearest of the two bounds that a lies beyond; NaN gives zero.
static uint64_t saturate(struct fp_num a, uint64_t most_negative, uint64_t most_positive, uint64_t indefinite,
                         struct fp_env *env)
{
    env->flags |= FP_IOC;
    if (env->nan_rule == FP_NAN_X86)
        return indefinite;
    return fp_is_nan(a) ? 0 : a.sign ? most_negative : most_positive;
}

// max_mag[sign]: the largest representable magnitude of that sign.
static uint64_t to_fixed(const struct fp_format *f, uint64_t op, unsigned width, unsigned fbits,
                         const uint64_t max_mag[2], uint64_t indefinite, enum fp_round round,
                         struct fp_env *env)
{
    const uint64_t mask = width == 64 ? ~0ull : (1ull << width) - 1;
    struct fp_num a = fp_unpack(f, op, env);
    uint64_t most_negative = -max_mag[1] & mask;
    if (a.cls >= FP_INF || (a.cls == FP_FINITE && a.exp + (int)fbits >= 64))
        return saturate(a, most_negative, max_mag[0], indefinite, env);
    uint64_t err;
    uint64_t mag = fp_split_int(a, fbits, &err);
    mag += fp_round_up(round, a.sign, mag & 1, err);
    if (mag > max_mag[a.sign])
        return saturate(a, most_negative, max_mag[0], indefinite, env);
    if (err)
        env->flags |= FP_IXC;
    return (a.sign ? -mag : mag) & mask;
}

uint64_t fp_to_sint(const struct fp_format *f, uint64_t a, unsigned width, unsigned fbits,
                    enum fp_round round, struct fp_env *env)
{
    const uint64_t top = 1ull << (width - 1);
    const uint64_t max_mag[2] = {top - 1, top};
    return to_fixed(f, a, width, fbits, max_mag, top, round, env);
}

uint64_t fp_to_uint(const struct fp_format *f, uint64_t a, unsigned width, unsigned fbits,
                    enum fp_round round, struct fp_env *env)
{
    const uint64_t top = 1ull << (width - 1);
    const uint64_t max_mag[2] = {top - 1 + top, 0};
    return to_fixed(f, a, width, fbits, max_mag, max_mag[0], round, env);
}
