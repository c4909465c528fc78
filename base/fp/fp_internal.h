// SPDX-License-Identifier: MIT
// Internal to base/fp: operands taken apart, NaN selection, and the one rounding routine.
//
// A finite non-zero number is mant * 2^(exp - 63) with bit 63 of mant set, subnormals too. A NaN keeps its
// fraction left-aligned below bit 63, so that the quiet bit is bit 62 in every format. Results reach
// fp_round_pack as 128 bits {hi, lo} with bit 63 of hi set: enough for a 64-bit significand (f80) as well.
#ifndef BASE_FP_FP_INTERNAL_H
#define BASE_FP_FP_INTERNAL_H

#include "base/fp/fp.h"

typedef unsigned __int128 u128;

enum fp_class { FP_ZERO, FP_FINITE, FP_INF, FP_QNAN, FP_SNAN };

struct fp_num {
    uint64_t mant;
    int32_t exp;
    uint8_t cls; // enum fp_class
    bool sign;
    bool denormal; // and not flushed
};

#define FP_QUIET_BIT (1ull << 62)

static inline uint64_t fp_sign_bit(const struct fp_format *f, bool sign)
{
    return (uint64_t)sign << (f->width - 1);
}
static inline uint64_t fp_zero(const struct fp_format *f, bool sign)
{
    return fp_sign_bit(f, sign);
}
static inline uint64_t fp_inf(const struct fp_format *f, bool sign)
{
    return fp_sign_bit(f, sign) | (uint64_t)f->exp_max << f->frac_bits;
}
static inline uint64_t fp_max_normal(const struct fp_format *f, bool sign)
{
    return fp_inf(f, sign) - 1;
}
static inline uint64_t fp_default_nan(const struct fp_format *f, const struct fp_env *env)
{
    return fp_inf(f, env->nan_rule == FP_NAN_X86) | 1ull << (f->frac_bits - 1);
}
static inline bool fp_is_nan(struct fp_num n)
{
    return n.cls >= FP_QNAN;
}
// Of f's results; f16 has a switch of its own.
static inline bool fp_flushes(const struct fp_format *f, const struct fp_env *env)
{
    return f->width == 16 ? env->ftz16 : env->ftz;
}
static inline uint64_t fp_invalid(const struct fp_format *f, struct fp_env *env)
{
    env->flags |= FP_IOC;
    return fp_default_nan(f, env);
}

// FPUnpackBase. flush16 and ahp are off or as env has them according to the caller.
struct fp_num fp_unpack_subnormal(const struct fp_format *f, struct fp_num n, bool flush16,
                                  struct fp_env *env);

static inline struct fp_num fp_unpack_base(const struct fp_format *f, uint64_t a, bool flush16, bool ahp,
                                           struct fp_env *env)
{
    unsigned biased = a >> f->frac_bits & f->exp_max;
    uint64_t frac = a << (63 - f->frac_bits) & ~(1ull << 63);
    struct fp_num n = {.sign = a >> (f->width - 1) & 1, .exp = (int)biased - f->bias, .mant = frac};
    if (biased == 0)
        return fp_unpack_subnormal(f, n, flush16, env);
    n.mant |= 1ull << 63;
    n.cls = FP_FINITE;
    if (biased == (unsigned)f->exp_max && !ahp)
        n.cls = frac == 0 ? FP_INF : frac & FP_QUIET_BIT ? FP_QNAN : FP_SNAN;
    return n;
}
static inline struct fp_num fp_unpack(const struct fp_format *f, uint64_t a, struct fp_env *env)
{
    return fp_unpack_base(f, a, env->ftz16, false, env);
}

// FPProcessNaN: quiets n, or substitutes the default NaN. The format of n's origin does not matter.
uint64_t fp_process_nan(const struct fp_format *f, struct fp_num n, struct fp_env *env);
// FPProcessNaNs / FPProcessNaNs3: at least one operand is a NaN.
uint64_t fp_process_nans(const struct fp_format *f, struct fp_num a, struct fp_num b, struct fp_env *env);
uint64_t fp_process_nans3(const struct fp_format *f, struct fp_num a, struct fp_num b, struct fp_num c,
                          struct fp_env *env);

// x86 reports a denormal operand once it is clear that no NaN operand, invalid operation or division by zero
// comes before (SDM volume 1, 4.9.2); ARM does not report it.
static inline void fp_note_denormal(bool denormal, struct fp_env *env)
{
    if (denormal && env->nan_rule == FP_NAN_X86)
        env->flags |= FP_IDC;
}

// Whether discarding err (64 bits, left-aligned, bit 0 sticky) from a magnitude increments it.
static inline bool fp_round_up(unsigned round, bool sign, bool odd, uint64_t err)
{
    const uint64_t half = 1ull << 63;
    switch (round) {
    case FP_RN: return err > half || (err == half && odd);
    case FP_RNA: return err >= half;
    case FP_RP: return err && !sign;
    case FP_RM: return err && sign;
    default: return false;
    }
}
static inline bool fp_overflows_to_inf(unsigned round, bool sign)
{
    switch (round) {
    case FP_RN:
    case FP_RNA: return true;
    case FP_RP: return !sign;
    case FP_RM: return sign;
    default: return false;
    }
}

// Shifts right; bits lost are or-ed into bit 0.
static inline u128 fp_shift_jam(u128 v, unsigned n)
{
    if (n == 0)
        return v;
    if (n > 127)
        return v != 0;
    return v >> n | ((v << (128 - n)) != 0);
}

// FPRoundBase of (hi + lo / 2^64) * 2^(exp - 63), bit 63 of hi set. flush and ahp as the caller decides.
uint64_t fp_round_base(const struct fp_format *f, bool sign, int exp, uint64_t hi, uint64_t lo,
                       unsigned round, bool flush, bool ahp, struct fp_env *env);

static inline uint64_t fp_round_pack(const struct fp_format *f, bool sign, int exp, uint64_t hi, uint64_t lo,
                                     unsigned round, struct fp_env *env)
{
    return fp_round_base(f, sign, exp, hi, lo, round, fp_flushes(f, env), false, env);
}

// |a| with the fraction left over after scaling by 2^fbits, left-aligned in *ret_err (bit 0 sticky).
// The caller has excluded values of 2^64 and more.
uint64_t fp_split_int(struct fp_num a, unsigned fbits, uint64_t *ret_err);

#endif
