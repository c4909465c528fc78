// SPDX-License-Identifier: MIT
// The rules of the Arm manual that implementations get wrong, one case a row with the outcome worked out by
// hand from the pseudocode: what base/fp promises even where no oracle is at hand. Rows are read with "0" for
// unused operands.
#include <criterion/criterion.h>

#include "base/fp/fp.h"

enum { RN = 0, RP = 1 << 22, RM = 2 << 22, RZ = 3 << 22, FZ = 1 << 24, DN = 1 << 25, AHP = 1 << 26 };

typedef uint64_t binary(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env);
typedef uint64_t unary(const struct fp_format *f, uint64_t a, struct fp_env *env);
typedef uint64_t to_integer(const struct fp_format *f, uint64_t a, unsigned width, unsigned fbits,
                            enum fp_round round, struct fp_env *env);

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
    {"a signalling second operand beats a quiet first", fp_add, 0, 0x7fc00001, 0xff800002, 0xffc00002,
     FP_IOC},
    {"of two quiet NaNs the first", fp_add, 0, 0x7fc00001, 0xffc00002, 0x7fc00001, 0},
    {"DN replaces any NaN by the positive default", fp_add, DN, 0xffc00001, ONE, DEFAULT_NAN, 0},
    {"a generated NaN is positive", fp_sub, 0, INF, INF, DEFAULT_NAN, FP_IOC},
    {"a difference of equals is -0 only towards -inf", fp_sub, RM, ONE, ONE, MINUS_ZERO, 0},
    {"-0 + -0 keeps its sign", fp_add, 0, MINUS_ZERO, MINUS_ZERO, MINUS_ZERO, 0},
    {"FZ flushes an input, IDC", fp_add, FZ, LEAST, ONE, ONE, FP_IDC},
    {"FZ flushes a result, UFC without IXC", fp_mul, FZ, MIN_NORMAL, HALF, ZERO, FP_UFC},
    {"FZ flushes before rounding: this would round to normal", fp_mul, FZ, 0x3f7fffff, MIN_NORMAL, ZERO,
     FP_UFC},
    {"tiny before rounding is UFC though it rounds to normal", fp_mul, 0, 0x3f7fffff, MIN_NORMAL, MIN_NORMAL,
     FP_UFC | FP_IXC},
    {"an exact subnormal is no underflow", fp_mul, 0, MIN_NORMAL, HALF, 0x00400000, 0},
    {"overflow towards zero stays finite", fp_mul, RZ, MAX_NORMAL, TWO, MAX_NORMAL, FP_OFC | FP_IXC},
    {"division by zero", fp_div, 0, ONE, MINUS_ZERO, MINUS_INF, FP_DZC},
    {"inf / 0 raises nothing", fp_div, 0, INF, ZERO, INF, 0},
    {"a flushed divisor divides by zero", fp_div, FZ, ONE, LEAST, INF, FP_DZC | FP_IDC},
    {"FMULX 0 * inf is 2", fp_mulx, 0, MINUS_ZERO, INF, 0xc0000000, 0},
    {"FRECPS 0 * inf is 2", fp_recps, 0, ZERO, MINUS_INF, TWO, 0},
    {"FRSQRTS 0 * inf is 1.5", fp_rsqrts, 0, INF, ZERO, ONE_AND_HALF, 0},
    {"FRECPS negates before it looks for NaNs", fp_recps, 0, 0x7fc00001, ONE, 0xffc00001, 0},
    {"FMAX prefers +0", fp_max, 0, MINUS_ZERO, ZERO, ZERO, 0},
    {"FMIN prefers -0", fp_min, 0, ZERO, MINUS_ZERO, MINUS_ZERO, 0},
    {"FMINNM drops a quiet NaN", fp_minnm, 0, 0x7fc00001, INF, INF, 0},
    {"FMINNM keeps a signalling NaN", fp_minnm, 0, 0x7f800001, ONE, 0x7fc00001, FP_IOC},
    {"FMINNM, quiet against signalling: the latter", fp_minnm, 0, 0x7fc00001, 0x7f800002, 0x7fc00002, FP_IOC},
    {"FMAXNM of quiet NaNs: the first", fp_maxnm, 0, 0xffc00003, 0x7fc00001, 0xffc00003, 0},
};

Test(fp_rules, pairs)
{
    for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct fp_env env = fp_env_arm(pairs[i].fpcr);
        uint64_t got = pairs[i].op(&fp_f32, pairs[i].a, pairs[i].b, &env);
        cr_expect(got == pairs[i].value && env.flags == pairs[i].flags, "%s: %08llx flags %x", pairs[i].rule,
                  (unsigned long long)got, env.flags);
    }
}

static const struct {
    const char *rule;
    unary *op;
    uint32_t fpcr, a, value, flags;
} singles[] = {
    {"FRECPE of 1 is just under 1", fp_recpe, 0, ONE, 0x3f7f8000, 0},
    {"FRECPE of 0", fp_recpe, 0, MINUS_ZERO, MINUS_INF, FP_DZC},
    {"FRECPE of a subnormal too small overflows", fp_recpe, 0, LEAST, INF, FP_OFC | FP_IXC},
    {"FRECPE overflow follows the rounding mode", fp_recpe, RM, LEAST, MAX_NORMAL, FP_OFC | FP_IXC},
    {"FRECPE of a flushed subnormal", fp_recpe, FZ, LEAST, INF, FP_DZC | FP_IDC},
    {"FRECPE of 2^126 is subnormal", fp_recpe, 0, 0x7e800000, 0x007fc000, 0},
    {"FRECPE of 2^126 under FZ", fp_recpe, FZ, 0x7e800000, ZERO, FP_UFC},
    {"FRSQRTE of 1 is just under 1", fp_rsqrte, 0, ONE, 0x3f7f8000, 0},
    {"FRSQRTE of a negative number", fp_rsqrte, 0, 0xbf800000, DEFAULT_NAN, FP_IOC},
    {"FRSQRTE of -0", fp_rsqrte, 0, MINUS_ZERO, MINUS_INF, FP_DZC},
    {"FRECPX of 0", fp_recpx, 0, ZERO, 0x7f000000, 0},
    {"FRECPX of infinity", fp_recpx, 0, MINUS_INF, MINUS_ZERO, 0},
    {"square root of -0", fp_sqrt, 0, MINUS_ZERO, MINUS_ZERO, 0},
};

Test(fp_rules, singles)
{
    for (unsigned i = 0; i < sizeof(singles) / sizeof(singles[0]); i++) {
        struct fp_env env = fp_env_arm(singles[i].fpcr);
        uint64_t got = singles[i].op(&fp_f32, singles[i].a, &env);
        cr_expect(got == singles[i].value && env.flags == singles[i].flags, "%s: %08llx flags %x",
                  singles[i].rule, (unsigned long long)got, env.flags);
    }
}

static const struct {
    const char *rule;
    uint32_t addend, a, b, value, flags;
} triples[] = {
    {"inf * 0 + quiet NaN is the default NaN", 0xffc00001, INF, ZERO, DEFAULT_NAN, FP_IOC},
    {"the signalling one of three", 0x7fc00001, 0x7fc00002, 0x7f800003, 0x7fc00003, FP_IOC},
    {"of three quiet NaNs the addend", 0x7fc00001, 0x7fc00002, 0x7fc00003, 0x7fc00001, 0},
};

Test(fp_rules, muladd)
{
    for (unsigned i = 0; i < sizeof(triples) / sizeof(triples[0]); i++) {
        struct fp_env env = fp_env_arm(0);
        uint64_t got = fp_muladd(&fp_f32, triples[i].addend, triples[i].a, triples[i].b, &env);
        cr_expect(got == triples[i].value && env.flags == triples[i].flags, "%s: %08llx flags %x",
                  triples[i].rule, (unsigned long long)got, env.flags);
    }
}

static const struct {
    const char *rule;
    const struct fp_format *from, *to;
    uint32_t fpcr;
    enum fp_round round;
    uint64_t a, value;
    uint32_t flags;
} conversions[] = {
    {"AHP has no infinity", &fp_f32, &fp_f16, AHP, FP_RN, INF, 0x7fff, FP_IOC},
    {"AHP has no NaN", &fp_f32, &fp_f16, AHP, FP_RN, 0xffc00000, 0x8000, FP_IOC},
    {"AHP overflow, no IXC", &fp_f32, &fp_f16, AHP, FP_RN, 0x48000000, 0x7fff, FP_IOC},
    {"AHP 0x7c00 is 65536", &fp_f16, &fp_f32, AHP, FP_RN, 0x7c00, 0x47800000, 0},
    {"FZ leaves halves alone", &fp_f16, &fp_f32, FZ, FP_RN, 1, 0x33800000, 0},
    {"FZ leaves half results alone", &fp_f32, &fp_f16, FZ, FP_RN, 0x33800000, 1, 0},
    {"a NaN keeps the top of its payload", &fp_f64, &fp_f32, 0, FP_RN, 0x7ff0000020000000, 0x7fc00001,
     FP_IOC},
    {"FCVTXN overflows to the largest number", &fp_f64, &fp_f32, 0, FP_RO, 0x7fefffffffffffff, MAX_NORMAL,
     FP_OFC | FP_IXC},
    {"FCVTXN to odd", &fp_f64, &fp_f32, 0, FP_RO, 0x3ff0000000000001, ONE + 1, FP_IXC},
};

Test(fp_rules, conversions)
{
    for (unsigned i = 0; i < sizeof(conversions) / sizeof(conversions[0]); i++) {
        struct fp_env env = fp_env_arm(conversions[i].fpcr);
        uint64_t got =
            fp_convert(conversions[i].from, conversions[i].to, conversions[i].a, conversions[i].round, &env);
        cr_expect(got == conversions[i].value && env.flags == conversions[i].flags, "%s: %08llx flags %x",
                  conversions[i].rule, (unsigned long long)got, env.flags);
    }
}

static const struct {
    const char *rule;
    to_integer *op;
    unsigned width;
    enum fp_round round;
    uint32_t a, value, flags;
} integers[] = {
    {"2^31 saturates", fp_to_sint, 32, FP_RZ, 0x4f000000, 0x7fffffff, FP_IOC},
    {"-2^31 fits", fp_to_sint, 32, FP_RZ, 0xcf000000, 0x80000000, 0},
    {"-0.5 to unsigned", fp_to_uint, 64, FP_RN, 0xbf000000, 0, FP_IXC},
    {"-0.75 to unsigned", fp_to_uint, 64, FP_RN, 0xbf400000, 0, FP_IOC},
    {"a NaN is 0", fp_to_sint, 64, FP_RZ, DEFAULT_NAN, 0, FP_IOC},
};

Test(fp_rules, integers)
{
    for (unsigned i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
        struct fp_env env = fp_env_arm(0);
        uint64_t got = integers[i].op(&fp_f32, integers[i].a, integers[i].width, 0, integers[i].round, &env);
        cr_expect(got == integers[i].value && env.flags == integers[i].flags, "%s: %llx flags %x",
                  integers[i].rule, (unsigned long long)got, env.flags);
    }
}

Test(fp_rules, integral_values)
{
    struct fp_env env = fp_env_arm(0);
    cr_expect(fp_round_to_int(&fp_f32, 0xbf000000, FP_RNA, false, &env) == 0xbf800000 && !env.flags,
              "FRINTA");
    env = fp_env_arm(0);
    cr_expect(fp_round_to_int(&fp_f32, 0xbe800000, FP_RN, true, &env) == 0x80000000 && env.flags == FP_IXC,
              "FRINTX");
}
