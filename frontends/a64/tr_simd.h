// SPDX-License-Identifier: MIT
// Vocabulary of the FP, Advanced SIMD and cryptographic translators: the lanes an instruction works on, ops
// over them, and operands as its scalar and vector forms read them. Private to frontends/a64.
//
// Invariant: a value that is written to a register has zeros above the lanes in use: IR_V_LO64 and vzext see
// to that.
#ifndef A64_TR_SIMD_H
#define A64_TR_SIMD_H

#include "frontends/a64/tr.h"

// Lanes of 8 << sub bits. lo is IR_V_LO64 where only 64 bits take part; a scalar is lane 0 of such a
// register.
struct a64_lanes {
    uint8_t sub;
    bool scalar;
    uint32_t lo;
};

static inline struct a64_lanes a64_vector(unsigned sub, bool q)
{
    return (struct a64_lanes){(uint8_t)sub, false, q ? 0 : IR_V_LO64};
}
static inline struct a64_lanes a64_scalar(unsigned sub)
{
    return (struct a64_lanes){(uint8_t)sub, true, IR_V_LO64};
}
// The same register with lanes of another size.
static inline struct a64_lanes a64_resized(struct a64_lanes l, unsigned sub)
{
    l.sub = (uint8_t)sub;
    return l;
}
// All 128 bits with lanes twice as wide: the wide side of widening and narrowing instructions.
static inline struct a64_lanes a64_wide(struct a64_lanes l)
{
    return (struct a64_lanes){(uint8_t)(l.sub + 1), l.scalar, l.scalar ? l.lo : 0};
}
static inline unsigned a64_lane_bits(struct a64_lanes l)
{
    return 8u << l.sub;
}
static inline enum ir_type a64_int_of(unsigned sub)
{
    return (enum ir_type)(IR_I8 + sub);
}
static inline enum ir_type a64_float_of(unsigned sub)
{
    return (enum ir_type)(IR_F16 + sub - 1);
}
_Static_assert(IR_I64 == IR_I8 + 3 && IR_F64 == IR_F16 + 2, "types in order of size");

// ---- integer lanes ------------------------------------------------------------------------------
uint32_t a64_v1(struct a64_tr *t, struct a64_lanes l, enum ir_op op, uint32_t attr, uint32_t a);
uint32_t a64_v2(struct a64_tr *t, struct a64_lanes l, enum ir_op op, uint32_t attr, uint32_t a, uint32_t b);
// With an immediate: a shift, a lane, a comparison, a half.
uint32_t a64_v1i(struct a64_tr *t, struct a64_lanes l, enum ir_op op, uint32_t attr, uint64_t imm,
                 uint32_t a);
uint32_t a64_v2i(struct a64_tr *t, struct a64_lanes l, enum ir_op op, uint32_t attr, uint64_t imm, uint32_t a,
                 uint32_t b);
// Bitwise ops, which know no lanes.
uint32_t a64_vbits(struct a64_tr *t, struct a64_lanes l, enum ir_op op, uint32_t a, uint32_t b, uint32_t c);
// Every lane of 128 bits the same.
uint32_t a64_vsplat(struct a64_tr *t, unsigned sub, uint64_t lane);
uint32_t a64_vlane(struct a64_tr *t, enum ir_type type, unsigned sub, unsigned lane, bool is_signed,
                   uint32_t a);
uint32_t a64_vzext(struct a64_tr *t, uint32_t scalar);

// Register n as the lanes read it: a scalar narrower than 64 bits comes with zeros above, so that lanes not
// in use cannot saturate.
uint32_t a64_operand(struct a64_tr *t, struct a64_lanes l, unsigned n);
// The upper 64 bits, in both halves.
uint32_t a64_upper_half(struct a64_tr *t, uint32_t v);
// The half that a widening instruction reads, moved to the low half: the upper one where q is set.
uint32_t a64_half(struct a64_tr *t, struct a64_lanes l, unsigned n, bool q);
// Writes what a narrowing instruction left in the low half: above it zeros, or to the upper half of rd where
// q is set.
void a64_set_half(struct a64_tr *t, unsigned rd, bool q, uint32_t value);

// FPSR.QC is set where result and wrapped differ. Both with zeros above the lanes in use.
void a64_saturated(struct a64_tr *t, uint32_t result, uint32_t wrapped);
void a64_or_qc(struct a64_tr *t, uint32_t mask);

// Register and index of the element operand; sub is its lane size, 1..3.
unsigned a64_element_reg(const struct a64_insn *i, unsigned sub);
unsigned a64_element_index(const struct a64_insn *i, unsigned sub);
// The element operand in every lane.
uint32_t a64_element(struct a64_tr *t, const struct a64_insn *i, unsigned sub);

// ---- immediate shifts: immh has the element size as its highest bit -----------------------------
unsigned a64_shift_sub(const struct a64_insn *i);
unsigned a64_shift_left(const struct a64_insn *i);
unsigned a64_shift_right(const struct a64_insn *i);

// ---- floating point: scalars and vectors alike. Scalars are values of an FP type ----------------
static inline enum ir_type a64_fp_type(struct a64_lanes l)
{
    return l.scalar ? a64_float_of(l.sub) : IR_V128;
}
uint32_t a64_fp_operand(struct a64_tr *t, struct a64_lanes l, unsigned n);
void a64_set_fp(struct a64_tr *t, unsigned rd, uint32_t value);
uint32_t a64_fp_zero(struct a64_tr *t, struct a64_lanes l);
// Op with FPCR's mode and extra attributes. Operands not needed are IR_NO_VALUE.
uint32_t a64_fp_op(struct a64_tr *t, struct a64_lanes l, enum ir_op op, uint32_t extra, uint64_t imm,
                   uint32_t a, uint32_t b, uint32_t c);
// FPCR's mode with another rounding.
uint32_t a64_fp_rounding(const struct a64_tr *t, enum ir_round round);

static inline struct a64_lanes a64_fp_scalar(const struct a64_insn *i) // ftype
{
    return a64_scalar(i->ftype == 0 ? 2 : i->ftype == 1 ? 3 : 1);
}

// ---- helpers ------------------------------------------------------------------------------------
// Mode word of the SIMD helpers.
enum a64_simd_mode {
    A64_SIMD_SUB = 3,        // lane size
    A64_SIMD_UNSIGNED = 4,   // operand and result
    A64_SIMD_ROUND = 8,
    A64_SIMD_SATURATE = 16,
    A64_SIMD_TO_UNSIGNED = 32, // signed operand, unsigned result
};
// The helper's result, shortened to the lanes in use.
uint32_t a64_simd_call(struct a64_tr *t, struct a64_lanes l, enum a64_helper helper, unsigned mode,
                       uint32_t a, uint32_t b);

#endif
