// SPDX-License-Identifier: MIT
// Owns the helpers of helpers_simd.def: lane by lane in integers, as the manual's pseudocode is (Arm ARM (DDI
// 0487) C7.2 SQSHL, SQRSHL, SUQADD; shared/functions SatQ). No state but env->fp_flags.
#include "frontends/a64/helpers.h"

#include "base/bits.h"
#include "base/fp/fp.h"
#include "frontends/a64/regs.h"
#include "frontends/a64/tr_simd.h"

static uint64_t lane(const union v128 *v, unsigned sub, unsigned n)
{
    switch (sub) {
    case 0: return v->b[n];
    case 1: return v->h[n];
    case 2: return v->s[n];
    default: return v->d[n];
    }
}

static void set_lane(union v128 *v, unsigned sub, unsigned n, uint64_t x)
{
    switch (sub) {
    case 0: v->b[n] = (uint8_t)x; break;
    case 1: v->h[n] = (uint16_t)x; break;
    case 2: v->s[n] = (uint32_t)x; break;
    default: v->d[n] = x; break;
    }
}

// SatQ: *saturated is set where x does not fit bits.
static uint64_t saturate(__int128 x, unsigned bits, bool is_unsigned, bool *saturated)
{
    __int128 one = 1, high = is_unsigned ? (one << bits) - 1 : (one << (bits - 1)) - 1;
    __int128 low = is_unsigned ? 0 : -(one << (bits - 1)), r = x < low ? low : x > high ? high : x;

    *saturated |= r != x;
    return (uint64_t)r;
}

static __int128 extended(uint64_t x, unsigned bits, bool is_unsigned)
{
    return is_unsigned ? (__int128)x : (__int128)bits_sext(x, bits);
}

typedef uint64_t lane_fn(uint64_t a, uint64_t b, unsigned bits, unsigned mode, bool *saturated);

static int apply(struct ir_env *env, const union ir_value *args, union ir_value *ret, lane_fn *fn)
{
    unsigned mode = (unsigned)args[2].i, sub = mode & A64_SIMD_SUB;
    bool saturated = false;
    union v128 r;

    for (unsigned n = 0; n < 16u >> sub; n++)
        set_lane(&r, sub, n,
                 fn(lane(&args[0].v, sub, n), lane(&args[1].v, sub, n), 8u << sub, mode, &saturated));
    env->fp_flags |= saturated ? FPSR_QC : 0;
    ret->v = r;
    return IR_EXIT_NONE;
}

// Left by the signed low byte of b. A left shift of 64 or more is as good as one of 64: what is not zero
// leaves the lane; a right shift past the lane leaves sign or rounding only.
static uint64_t shift_lane(uint64_t a, uint64_t b, unsigned bits, unsigned mode, bool *saturated)
{
    bool is_unsigned = mode & A64_SIMD_UNSIGNED;
    int by = (int8_t)b;
    __int128 x = extended(a, bits, is_unsigned);

    if (by < 0) {
        unsigned right = -by > 65 ? 65 : (unsigned)-by;
        x = ((mode & A64_SIMD_ROUND ? (__int128)1 << (right - 1) : 0) + x) >> right;
    } else if (by < 64 || x == 0) {
        x = (__int128)((unsigned __int128)x << (by < 64 ? by : 0));
    } else {
        x = x < 0 ? -((__int128)1 << 65) : (__int128)1 << 65;
    }
    if (!(mode & A64_SIMD_SATURATE))
        return by >= (int)bits ? 0 : (uint64_t)x;
    return saturate(x, bits, mode & (A64_SIMD_UNSIGNED | A64_SIMD_TO_UNSIGNED), saturated);
}

int a64_help_simd_shift(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    return apply(env, args, ret, shift_lane);
}

static uint64_t mixed_add_lane(uint64_t a, uint64_t b, unsigned bits, unsigned mode, bool *saturated)
{
    bool is_unsigned = mode & A64_SIMD_UNSIGNED;

    return saturate(extended(a, bits, is_unsigned) + extended(b, bits, !is_unsigned), bits, is_unsigned,
                    saturated);
}

int a64_help_simd_mixed_add(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    return apply(env, args, ret, mixed_add_lane);
}

int a64_help_simd_urecpe(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    for (unsigned n = 0; n < 4; n++)
        ret->v.s[n] = fp_urecpe(args[0].v.s[n]);
    return IR_EXIT_NONE;
}

int a64_help_simd_ursqrte(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    for (unsigned n = 0; n < 4; n++)
        ret->v.s[n] = fp_ursqrte(args[0].v.s[n]);
    return IR_EXIT_NONE;
}
