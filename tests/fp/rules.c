// SPDX-License-Identifier: MIT
// The rules of the Arm manual that implementations get wrong, one case a row with the outcome worked out by
// hand from the pseudocode: what base/fp promises even where no oracle is at hand. Rows are read with "0" for
// unused operands.
#include <criterion/criterion.h>

#include "base/fp/fp_ops.h"

enum { RN = 0, RP = 1 << 22, RM = 2 << 22, RZ = 3 << 22, FZ = 1 << 24, DN = 1 << 25, AHP = 1 << 26 };

typedef uint32_t binary(uint32_t a, uint32_t b, struct fp_env *env);
typedef uint32_t unary(uint32_t a, struct fp_env *env);

// f32 encodings.
enum {
    ZERO = 0,
    MINUS_ZERO = (int)0x80000000,
    LEAST = 1,
    MIN_NORMAL = 0x00800000,
    HALF = 0x3f000000,
    ONE = 0x3f800000,
    ONE_AND_HALF = 0x3fc00000,
    TWO = 0x40000000,
    MAX_NORMAL = 0x7f7fffff,
    INF = 0x7f800000,
    MINUS_INF = (int)0xff800000,
    DEFAULT_NAN = 0x7fc00000,
};

static const struct {
    const char *rule;
    binary *op;
    uint32_t fpcr, a, b, value, flags;
} pairs[] = {
    {"a signalling second operand beats a quiet first", fp32_add, 0, 0x7fc00001, 0xff800002, 0xffc00002,
     FP_IOC},
    {"of two quiet NaNs the first", fp32_add, 0, 0x7fc00001, 0xffc00002, 0x7fc00001, 0},
    {"DN replaces any NaN by the positive default", fp32_add, DN, 0xffc00001, ONE, DEFAULT_NAN, 0},
    {"a generated NaN is positive", fp32_sub, 0, INF, INF, DEFAULT_NAN, FP_IOC},
    {"a difference of equals is -0 only towards -inf", fp32_sub, RM, ONE, ONE, MINUS_ZERO, 0},
    {"-0 + -0 keeps its sign", fp32_add, 0, MINUS_ZERO, MINUS_ZERO, MINUS_ZERO, 0},
    {"FZ flushes an input, IDC", fp32_add, FZ, LEAST, ONE, ONE, FP_IDC},
    {"FZ flushes a result, UFC without IXC", fp32_mul, FZ, MIN_NORMAL, HALF, ZERO, FP_UFC},
    {"FZ flushes before rounding: this would round to normal", fp32_mul, FZ, 0x3f7fffff, MIN_NORMAL, ZERO,
     FP_UFC},
    {"tiny before rounding is UFC though it rounds to normal", fp32_mul, 0, 0x3f7fffff, MIN_NORMAL,
     MIN_NORMAL, FP_UFC | FP_IXC},
    {"an exact subnormal is no underflow", fp32_mul, 0, MIN_NORMAL, HALF, 0x00400000, 0},
    {"overflow towards zero stays finite", fp32_mul, RZ, MAX_NORMAL, TWO, MAX_NORMAL, FP_OFC | FP_IXC},
    {"division by zero", fp32_div, 0, ONE, MINUS_ZERO, MINUS_INF, FP_DZC},
    {"inf / 0 raises nothing", fp32_div, 0, INF, ZERO, INF, 0},
    {"a flushed divisor divides by zero", fp32_div, FZ, ONE, LEAST, INF, FP_DZC | FP_IDC},
    {"FMULX 0 * inf is 2", fp32_mulx, 0, MINUS_ZERO, INF, 0xc0000000, 0},
    {"FRECPS 0 * inf is 2", fp32_recps, 0, ZERO, MINUS_INF, TWO, 0},
    {"FRSQRTS 0 * inf is 1.5", fp32_rsqrts, 0, INF, ZERO, ONE_AND_HALF, 0},
    {"FRECPS negates before it looks for NaNs", fp32_recps, 0, 0x7fc00001, ONE, 0xffc00001, 0},
    {"FMAX prefers +0", fp32_max, 0, MINUS_ZERO, ZERO, ZERO, 0},
    {"FMIN prefers -0", fp32_min, 0, ZERO, MINUS_ZERO, MINUS_ZERO, 0},
    {"FMINNM drops a quiet NaN", fp32_minnm, 0, 0x7fc00001, INF, INF, 0},
    {"FMINNM keeps a signalling NaN", fp32_minnm, 0, 0x7f800001, ONE, 0x7fc00001, FP_IOC},
    {"FMINNM, quiet against signalling: the latter", fp32_minnm, 0, 0x7fc00001, 0x7f800002, 0x7fc00002,
     FP_IOC},
    {"FMAXNM of quiet NaNs: the first", fp32_maxnm, 0, 0xffc00003, 0x7fc00001, 0xffc00003, 0},
};

Test(fp_rules, pairs)
{
    for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct fp_env env = fp_env_arm(pairs[i].fpcr);
        uint32_t got = pairs[i].op(pairs[i].a, pairs[i].b, &env);
        cr_expect(got == pairs[i].value && env.flags == pairs[i].flags, "%s: %08x flags %x", pairs[i].rule,
                  got, env.flags);
    }
}

static const struct {
    const char *rule;
    unary *op;
    uint32_t fpcr, a, value, flags;
} singles[] = {
    {"FRECPE of 1 is just under 1", fp32_recpe, 0, ONE, 0x3f7f8000, 0},
    {"FRECPE of 0", fp32_recpe, 0, MINUS_ZERO, MINUS_INF, FP_DZC},
    {"FRECPE of a subnormal too small overflows", fp32_recpe, 0, LEAST, INF, FP_OFC | FP_IXC},
    {"FRECPE overflow follows the rounding mode", fp32_recpe, RM, LEAST, MAX_NORMAL, FP_OFC | FP_IXC},
    {"FRECPE of a flushed subnormal", fp32_recpe, FZ, LEAST, INF, FP_DZC | FP_IDC},
    {"FRECPE of 2^126 is subnormal", fp32_recpe, 0, 0x7e800000, 0x007fc000, 0},
    {"FRECPE of 2^126 under FZ", fp32_recpe, FZ, 0x7e800000, ZERO, FP_UFC},
    {"FRSQRTE of 1 is just under 1", fp32_rsqrte, 0, ONE, 0x3f7f8000, 0},
    {"FRSQRTE of a negative number", fp32_rsqrte, 0, 0xbf800000, DEFAULT_NAN, FP_IOC},
    {"FRSQRTE of -0", fp32_rsqrte, 0, MINUS_ZERO, MINUS_INF, FP_DZC},
    {"FRECPX of 0", fp32_recpx, 0, ZERO, 0x7f000000, 0},
    {"FRECPX of infinity", fp32_recpx, 0, MINUS_INF, MINUS_ZERO, 0},
    {"square root of -0", fp32_sqrt, 0, MINUS_ZERO, MINUS_ZERO, 0},
};

Test(fp_rules, singles)
{
    for (unsigned i = 0; i < sizeof(singles) / sizeof(singles[0]); i++) {
        struct fp_env env = fp_env_arm(singles[i].fpcr);
        uint32_t got = singles[i].op(singles[i].a, &env);
        cr_expect(got == singles[i].value && env.flags == singles[i].flags, "%s: %08x flags %x",
                  singles[i].rule, got, env.flags);
    }
}

Test(fp_rules, muladd)
{
    struct fp_env env = fp_env_arm(0);
    cr_expect(fp32_muladd(0xffc00001, INF, ZERO, &env) == DEFAULT_NAN && env.flags == FP_IOC,
              "inf * 0 + quiet NaN is the default NaN");
    env = fp_env_arm(0);
    cr_expect(fp32_muladd(0x7fc00001, 0x7fc00002, 0x7f800003, &env) == 0x7fc00003 && env.flags == FP_IOC,
              "the signalling one of three");
    env = fp_env_arm(0);
    cr_expect(fp32_muladd(0x7fc00001, 0x7fc00002, 0x7fc00003, &env) == 0x7fc00001 && env.flags == 0,
              "of three quiet NaNs the addend");
}

Test(fp_rules, conversions)
{
    struct fp_env env = fp_env_arm(AHP);
    cr_expect(fp32_to_f16(INF, FP_RN, &env) == 0x7fff && env.flags == FP_IOC, "AHP has no infinity");
    env = fp_env_arm(AHP);
    cr_expect(fp32_to_f16(0xffc00000, FP_RN, &env) == 0x8000 && env.flags == FP_IOC, "AHP has no NaN");
    env = fp_env_arm(AHP);
    cr_expect(fp32_to_f16(0x48000000, FP_RN, &env) == 0x7fff && env.flags == FP_IOC, "AHP overflow, no IXC");
    env = fp_env_arm(AHP);
    cr_expect(fp16_to_f32(0x7c00, FP_RN, &env) == 0x47800000 && env.flags == 0, "AHP 0x7c00 is 65536");
    env = fp_env_arm(FZ);
    cr_expect(fp16_to_f32(1, FP_RN, &env) == 0x33800000 && env.flags == 0, "FZ leaves halves alone");
    env = fp_env_arm(FZ);
    cr_expect(fp32_to_f16(0x33800000, FP_RN, &env) == 1 && env.flags == 0, "FZ leaves half results alone");
    env = fp_env_arm(0);
    cr_expect(fp64_to_f32(0x7ff0000020000000, FP_RN, &env) == 0x7fc00001 && env.flags == FP_IOC,
              "a NaN keeps the top of its payload");
    env = fp_env_arm(0);
    cr_expect(fp64_to_f32(0x7fefffffffffffff, FP_RO, &env) == MAX_NORMAL && env.flags == (FP_OFC | FP_IXC),
              "FCVTXN overflows to the largest number");
    env = fp_env_arm(0);
    cr_expect(fp64_to_f32(0x3ff0000000000001, FP_RO, &env) == ONE + 1 && env.flags == FP_IXC,
              "FCVTXN to odd");
}

Test(fp_rules, integers)
{
    struct fp_env env = fp_env_arm(0);
    cr_expect(fp32_to_sint(0x4f000000, 32, 0, FP_RZ, &env) == 0x7fffffff && env.flags == FP_IOC,
              "2^31 saturates");
    env = fp_env_arm(0);
    cr_expect(fp32_to_sint(0xcf000000, 32, 0, FP_RZ, &env) == 0x80000000 && env.flags == 0, "-2^31 fits");
    env = fp_env_arm(0);
    cr_expect(fp32_to_uint(0xbf000000, 64, 0, FP_RN, &env) == 0 && env.flags == FP_IXC, "-0.5 to unsigned");
    env = fp_env_arm(0);
    cr_expect(fp32_to_uint(0xbf400000, 64, 0, FP_RN, &env) == 0 && env.flags == FP_IOC, "-0.75 to unsigned");
    env = fp_env_arm(0);
    cr_expect(fp32_to_sint(DEFAULT_NAN, 64, 0, FP_RZ, &env) == 0 && env.flags == FP_IOC, "a NaN is 0");
    env = fp_env_arm(0);
    cr_expect(fp32_round_to_int(0xbf000000, FP_RNA, false, &env) == 0xbf800000 && env.flags == 0, "FRINTA");
    env = fp_env_arm(0);
    cr_expect(fp32_round_to_int(0xbe800000, FP_RN, true, &env) == 0x80000000 && env.flags == FP_IXC,
              "FRINTX");
}
