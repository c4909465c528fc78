// SPDX-License-Identifier: MIT
// Exact IEEE 754 arithmetic on raw bits, in integers only: the reference for the IR's FP ops and the code
// behind the translators' cold paths. Implements the shared pseudocode of the Arm manual (DDI 0487,
// "shared/functions/ float") and, by struct fp_env, the x86 variations.
//
// Invariants: no host FP instruction (the caller may run with the guest's MXCSR), no state but *env. A value
// is its encoding in the low bits of the argument, the higher bits zero. Flags only accumulate. Any encoding
// of an operand is legal; nothing here asserts on guest data. Thread: any.
#ifndef BASE_FP_FP_H
#define BASE_FP_FP_H

#include <stdbool.h>
#include <stdint.h>

// FPCR.RMode's encoding for the first four.
enum fp_round {
    FP_RN,  // to nearest, ties to even
    FP_RP,  // towards +infinity
    FP_RM,  // towards -infinity
    FP_RZ,  // towards zero
    FP_RNA, // to nearest, ties away from zero
    FP_RO,  // to odd (FCVTXN)
};

// Bits of fp_env.flags: FPSR's cumulative bits.
enum fp_flag {
    FP_IOC = 1,   // invalid operation
    FP_DZC = 2,   // division by zero
    FP_OFC = 4,   // overflow
    FP_UFC = 8,   // underflow
    FP_IXC = 16,  // inexact
    FP_IDC = 128, // ARM: input denormal flushed; x86: input denormal used (MXCSR.DE)
};

enum fp_nan_rule {
    FP_NAN_ARM, // signalling before quiet, then in operand order; default NaN positive
    FP_NAN_X86, // operand order (first wins); default NaN negative; MIN/MAX and float to int as SSE has them
};

struct fp_env {
    uint8_t round;    // enum fp_round
    uint8_t nan_rule; // enum fp_nan_rule
    uint8_t flags;    // enum fp_flag, accumulated
    bool ftz;         // f32, f64: FPCR.FZ (in- and outputs); with tiny_after MXCSR.FTZ (outputs only)
    bool ftz16;       // f16: FPCR.FZ16
    bool daz;         // f32, f64: MXCSR.DAZ, inputs flushed without a flag
    bool default_nan; // FPCR.DN
    bool ahp;         // FPCR.AHP: f16 in conversions has neither infinity nor NaN
    bool tiny_after;  // tininess judged after rounding (x86); before otherwise (ARM)
};

// The environment that FPCR asks for, no flag raised yet; fp_env.flags has the bits of FPSR.
static inline struct fp_env fp_env_arm(uint32_t fpcr)
{
    return (struct fp_env){.round = fpcr >> 22 & 3,
                           .nan_rule = FP_NAN_ARM,
                           .ftz = fpcr >> 24 & 1,
                           .ftz16 = fpcr >> 19 & 1,
                           .default_nan = fpcr >> 25 & 1,
                           .ahp = fpcr >> 26 & 1};
}

// The environment that MXCSR asks for, all exceptions masked; fp_mxcsr_flags turns flags into MXCSR's.
static inline struct fp_env fp_env_x86(uint32_t mxcsr)
{
    static const uint8_t rounds[4] = {FP_RN, FP_RM, FP_RP, FP_RZ};
    return (struct fp_env){.round = rounds[mxcsr >> 13 & 3],
                           .nan_rule = FP_NAN_X86,
                           .ftz = mxcsr >> 15 & 1,
                           .daz = mxcsr >> 6 & 1,
                           .tiny_after = true};
}
static inline uint32_t fp_mxcsr_flags(uint8_t flags)
{
    return (flags & FP_IOC) | (flags & (FP_DZC | FP_OFC | FP_UFC | FP_IXC)) << 1 | (flags & FP_IDC) >> 6;
}

// One per format. Derived values are stored so that the generic code only shifts.
struct fp_format {
    uint8_t width;     // bits
    uint8_t exp_bits;  // of the exponent field
    uint8_t frac_bits; // of the stored fraction
    int16_t bias;
    int16_t exp_max; // the exponent field of infinities and NaNs
};

extern const struct fp_format fp_f16, fp_f32, fp_f64;

enum fp_order { FP_LESS = -1, FP_EQUAL = 0, FP_GREATER = 1, FP_UNORDERED = 2 };

// Arithmetic. muladd is addend + a * b rounded once; FMSUB and its kin flip signs first (fp_neg), as the
// manual does, so that NaN operands come out flipped too. mulx: 0 * inf is +-2 (FMULX).
uint64_t fp_add(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env);
uint64_t fp_sub(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env);
uint64_t fp_mul(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env);
uint64_t fp_mulx(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env);
uint64_t fp_div(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env);
uint64_t fp_sqrt(const struct fp_format *f, uint64_t a, struct fp_env *env);
uint64_t fp_muladd(const struct fp_format *f, uint64_t addend, uint64_t a, uint64_t b, struct fp_env *env);
// Newton steps rounded once: recps is 2 - a * b (FRECPS), rsqrts is (3 - a * b) / 2 (FRSQRTS).
uint64_t fp_recps(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env);
uint64_t fp_rsqrts(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env);

// Sign bit operations: never a flag, NaNs included.
uint64_t fp_neg(const struct fp_format *f, uint64_t a);
uint64_t fp_abs(const struct fp_format *f, uint64_t a);

// FMIN/FMAX (-0 < +0, NaNs propagate); under FP_NAN_X86 MINSS/MAXSS (second operand on NaN or two zeros).
uint64_t fp_min(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env);
uint64_t fp_max(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env);
// FMINNM/FMAXNM: a quiet NaN loses against a number.
uint64_t fp_minnm(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env);
uint64_t fp_maxnm(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env);
// signalling: a quiet NaN sets IOC too (FCMPE, FCMGE, COMISS).
enum fp_order fp_compare(const struct fp_format *f, uint64_t a, uint64_t b, bool signalling,
                         struct fp_env *env);

// Conversions round by their argument, not by env->round; pass that for the forms that use FPCR's mode.
uint64_t fp_convert(const struct fp_format *from, const struct fp_format *to, uint64_t a, enum fp_round round,
                    struct fp_env *env);
// To an integral value of the same format (FRINT*); IXC only if exact (FRINTX).
uint64_t fp_round_to_int(const struct fp_format *f, uint64_t a, enum fp_round round, bool exact,
                         struct fp_env *env);
// To a width-bit integer (8..64) with fbits fraction bits (0..64). Out of range saturates and NaN gives 0,
// both with IOC; under FP_NAN_X86 both give the integer indefinite. The result is zero-extended to 64 bits.
uint64_t fp_to_sint(const struct fp_format *f, uint64_t a, unsigned width, unsigned fbits,
                    enum fp_round round, struct fp_env *env);
uint64_t fp_to_uint(const struct fp_format *f, uint64_t a, unsigned width, unsigned fbits,
                    enum fp_round round, struct fp_env *env);
// From an integer that the caller has extended to 64 bits.
uint64_t fp_from_sint(const struct fp_format *f, int64_t a, unsigned fbits, enum fp_round round,
                      struct fp_env *env);
uint64_t fp_from_uint(const struct fp_format *f, uint64_t a, unsigned fbits, enum fp_round round,
                      struct fp_env *env);

// The architected 8-bit estimates (FRECPE, FRSQRTE, FRECPX, URECPE, URSQRTE).
uint64_t fp_recpe(const struct fp_format *f, uint64_t a, struct fp_env *env);
uint64_t fp_rsqrte(const struct fp_format *f, uint64_t a, struct fp_env *env);
uint64_t fp_recpx(const struct fp_format *f, uint64_t a, struct fp_env *env);
uint32_t fp_urecpe(uint32_t a);
uint32_t fp_ursqrte(uint32_t a);

#endif
