// SPDX-License-Identifier: MIT
// Translates Advanced SIMD integer instructions on three registers of the same type, vector, scalar and by
// element, and bitwise logic. Arm ARM (DDI 0487) C4.1.97, "Advanced SIMD three same", "scalar three same",
// "vector x indexed element"; C7.2. One function an operation; the rows say how its operands are read.
#include "frontends/a64/tr_simd.h"

typedef uint32_t operation(struct a64_tr *t, struct a64_lanes l, uint32_t n, uint32_t m);

static bool vector(struct a64_tr *t, const struct a64_insn *i, operation *fn)
{
    a64_set_vec(t, i->rd, fn(t, a64_vector(i->size, i->q), a64_vec(t, i->rn), a64_vec(t, i->rm)));
    return true;
}

static bool scalar(struct a64_tr *t, const struct a64_insn *i, operation *fn)
{
    struct a64_lanes l = a64_scalar(i->size);

    a64_set_vec(t, i->rd, fn(t, l, a64_operand(t, l, i->rn), a64_operand(t, l, i->rm)));
    return true;
}

static bool element(struct a64_tr *t, const struct a64_insn *i, operation *fn)
{
    uint32_t m = a64_element(t, i, i->size);

    a64_set_vec(t, i->rd, fn(t, a64_vector(i->size, i->q), a64_vec(t, i->rn), m));
    return true;
}

static bool scalar_element(struct a64_tr *t, const struct a64_insn *i, operation *fn)
{
    struct a64_lanes l = a64_scalar(i->size);
    uint32_t m = a64_vec(t, a64_element_reg(i, i->size));

    m = a64_vzext(t, a64_vlane(t, a64_int_of(i->size), i->size, a64_element_index(i, i->size), false, m));
    a64_set_vec(t, i->rd, fn(t, l, a64_operand(t, l, i->rn), m));
    return true;
}

#define OPERATION(name) static uint32_t name(struct a64_tr *t, struct a64_lanes l, uint32_t n, uint32_t m)
#define OP2(name, op, attr) OPERATION(name) { return a64_v2(t, l, IR_OP_##op, attr, n, m); }
#define CMP(name, cmp) OPERATION(name) { return a64_v2i(t, l, IR_OP_vcmp, 0, cmp, n, m); }

OP2(shadd, vhadd, IR_V_SIGNED)
OP2(uhadd, vhadd, 0)
OP2(srhadd, vrhadd, IR_V_SIGNED)
OP2(urhadd, vrhadd, 0)
OP2(shsub, vhsub, IR_V_SIGNED)
OP2(uhsub, vhsub, 0)
OP2(sshl, vshlv, IR_V_SIGNED)
OP2(ushl, vshlv, 0)
OP2(smax, vmax, IR_V_SIGNED)
OP2(umax, vmax, 0)
OP2(smin, vmin, IR_V_SIGNED)
OP2(umin, vmin, 0)
OP2(sabd, vabd, IR_V_SIGNED)
OP2(uabd, vabd, 0)
OP2(add, vadd, 0)
OP2(sub, vsub, 0)
OP2(mul, vmul, 0)
CMP(cmgt, IR_CSGT)
CMP(cmge, IR_CSGE)
CMP(cmhi, IR_CUGT)
CMP(cmhs, IR_CUGE)
CMP(cmeq, IR_CEQ)

OPERATION(cmtst)
{
    uint32_t both = a64_vbits(t, l, IR_OP_vand, n, m, IR_NO_VALUE);

    return a64_v2i(t, l, IR_OP_vcmp, 0, IR_CNE, both, a64_vsplat(t, 3, 0));
}

static uint32_t saturating(struct a64_tr *t, struct a64_lanes l, enum ir_op op, enum ir_op wrapping,
                           uint32_t attr, uint32_t n, uint32_t m)
{
    uint32_t r = a64_v2(t, l, op, attr, n, m);

    a64_saturated(t, r, a64_v2(t, l, wrapping, 0, n, m));
    return r;
}

OPERATION(sqadd) { return saturating(t, l, IR_OP_vqadd, IR_OP_vadd, IR_V_SIGNED, n, m); }
OPERATION(uqadd) { return saturating(t, l, IR_OP_vqadd, IR_OP_vadd, 0, n, m); }
OPERATION(sqsub) { return saturating(t, l, IR_OP_vqsub, IR_OP_vsub, IR_V_SIGNED, n, m); }
OPERATION(uqsub) { return saturating(t, l, IR_OP_vqsub, IR_OP_vsub, 0, n, m); }

#define SHIFT(name, mode) OPERATION(name) { return a64_simd_call(t, l, A64_HELPER_simd_shift, mode, n, m); }
SHIFT(srshl, A64_SIMD_ROUND)
SHIFT(urshl, A64_SIMD_ROUND | A64_SIMD_UNSIGNED)
SHIFT(sqshl, A64_SIMD_SATURATE)
SHIFT(uqshl, A64_SIMD_SATURATE | A64_SIMD_UNSIGNED)
SHIFT(sqrshl, A64_SIMD_SATURATE | A64_SIMD_ROUND)
SHIFT(uqrshl, A64_SIMD_SATURATE | A64_SIMD_ROUND | A64_SIMD_UNSIGNED)

// Doubled products of the low half's lanes, rounded at the narrow lane's width.
static uint32_t doubled(struct a64_tr *t, struct a64_lanes l, bool round, uint32_t n, uint32_t m)
{
    struct a64_lanes wide = a64_vector(l.sub + 1u, true);
    uint32_t p = a64_v2(t, a64_vector(l.sub, true), IR_OP_vmull, IR_V_SIGNED, n, m);

    p = a64_v2(t, wide, IR_OP_vadd, 0, p, p);
    if (round)
        p = a64_v2(t, wide, IR_OP_vadd, 0, p, a64_vsplat(t, wide.sub, 1ull << (a64_lane_bits(l) - 1)));
    return p;
}

// The products' upper halves. Only the square of the smallest integer overflows; it leaves the smallest
// integer, which nothing else gives, and one less is the largest.
static uint32_t doubling_high(struct a64_tr *t, struct a64_lanes l, bool round, uint32_t n, uint32_t m)
{
    struct a64_lanes all = a64_vector(l.sub, true);
    uint32_t low = doubled(t, l, round, n, m), high = low;

    if (!l.lo)
        high = doubled(t, l, round, a64_upper_half(t, n), a64_upper_half(t, m));
    uint32_t r = a64_v2i(t, all, IR_OP_vuzp, 0, 1, low, high);
    r = l.lo ? ir_op1(t->u, IR_OP_vlow, IR_V128, r) : r;
    uint32_t smallest = a64_vsplat(t, l.sub, 1ull << (a64_lane_bits(l) - 1));
    uint32_t saturated = a64_v2i(t, all, IR_OP_vcmp, 0, IR_CEQ, r, smallest);
    a64_or_qc(t, saturated);
    return a64_v2(t, all, IR_OP_vadd, 0, r, saturated);
}

OPERATION(sqdmulh) { return doubling_high(t, l, false, n, m); }
OPERATION(sqrdmulh) { return doubling_high(t, l, true, n, m); }

#define V(name) A64_TR(name##_v) { return vector(t, i, name); }
#define S(name) A64_TR(name##_s) { return scalar(t, i, name); }
#define E(name) A64_TR(name##_e) { return element(t, i, name); }
#define SE(name) A64_TR(name##_se) { return scalar_element(t, i, name); }

V(shadd) V(uhadd) V(srhadd) V(urhadd) V(shsub) V(uhsub)
V(sqadd) V(uqadd) V(sqsub) V(uqsub)
S(sqadd) S(uqadd) S(sqsub) S(uqsub)
V(cmgt) V(cmge) V(cmhi) V(cmhs) V(cmeq) V(cmtst)
S(cmgt) S(cmge) S(cmhi) S(cmhs) S(cmeq) S(cmtst)
V(sshl) V(ushl) V(srshl) V(urshl) V(sqshl) V(uqshl) V(sqrshl) V(uqrshl)
S(sshl) S(ushl) S(srshl) S(urshl) S(sqshl) S(uqshl) S(sqrshl) S(uqrshl)
V(smax) V(umax) V(smin) V(umin) V(sabd) V(uabd) V(add) V(sub) V(mul)
S(add) S(sub) E(mul)
V(sqdmulh) V(sqrdmulh) S(sqdmulh) S(sqrdmulh) E(sqdmulh) E(sqrdmulh) SE(sqdmulh) SE(sqrdmulh)

A64_TR(pmul_v)
{
    a64_set_vec(t, i->rd, a64_vbits(t, a64_vector(0, i->q), IR_OP_vpmul, a64_vec(t, i->rn), a64_vec(t, i->rm),
                                    IR_NO_VALUE));
    return true;
}

// ---- accumulating -------------------------------------------------------------------------------

static bool accumulate(struct a64_tr *t, const struct a64_insn *i, operation *fn, enum ir_op op, uint32_t m)
{
    struct a64_lanes l = a64_vector(i->size, i->q);
    uint32_t r = fn(t, l, a64_vec(t, i->rn), m);

    a64_set_vec(t, i->rd, a64_v2(t, l, op, 0, a64_vec(t, i->rd), r));
    return true;
}

A64_TR(saba_v) { return accumulate(t, i, sabd, IR_OP_vadd, a64_vec(t, i->rm)); }
A64_TR(uaba_v) { return accumulate(t, i, uabd, IR_OP_vadd, a64_vec(t, i->rm)); }
A64_TR(mla_v) { return accumulate(t, i, mul, IR_OP_vadd, a64_vec(t, i->rm)); }
A64_TR(mls_v) { return accumulate(t, i, mul, IR_OP_vsub, a64_vec(t, i->rm)); }
A64_TR(mla_e) { return accumulate(t, i, mul, IR_OP_vadd, a64_element(t, i, i->size)); }
A64_TR(mls_e) { return accumulate(t, i, mul, IR_OP_vsub, a64_element(t, i, i->size)); }

// ---- pairwise: neighbours of n, then of m -------------------------------------------------------

static bool pairwise(struct a64_tr *t, const struct a64_insn *i, operation *fn)
{
    struct a64_lanes l = a64_vector(i->size, i->q);
    uint32_t n = a64_vec(t, i->rn), m = a64_vec(t, i->rm);
    uint32_t even = a64_v2i(t, l, IR_OP_vuzp, 0, 0, n, m), odd = a64_v2i(t, l, IR_OP_vuzp, 0, 1, n, m);

    a64_set_vec(t, i->rd, fn(t, l, even, odd));
    return true;
}

#define P(name) A64_TR(name##p_v) { return pairwise(t, i, name); }
P(add) P(smax) P(umax) P(smin) P(umin)

A64_TR(addp_s)
{
    uint32_t n = a64_vec(t, i->rn);

    a64_set_vec(t, i->rd, a64_v1(t, a64_vector(3, true), IR_OP_vaddv, 0, n));
    return true;
}

// ---- bitwise ------------------------------------------------------------------------------------

static bool logic(struct a64_tr *t, const struct a64_insn *i, enum ir_op op)
{
    struct a64_lanes l = a64_vector(0, i->q);

    a64_set_vec(t, i->rd, a64_vbits(t, l, op, a64_vec(t, i->rn), a64_vec(t, i->rm), IR_NO_VALUE));
    return true;
}

A64_TR(and_v) { return logic(t, i, IR_OP_vand); }
A64_TR(bic_v) { return logic(t, i, IR_OP_vandn); }
A64_TR(eor_v) { return logic(t, i, IR_OP_vxor); }

A64_TR(orr_v)
{
    if (i->rn != i->rm)
        return logic(t, i, IR_OP_vor);
    uint32_t n = a64_vec(t, i->rn);
    a64_set_vec(t, i->rd, i->q ? n : ir_op1(t->u, IR_OP_vlow, IR_V128, n));
    return true;
}

A64_TR(orn_v)
{
    struct a64_lanes l = a64_vector(0, i->q);
    uint32_t inverted = a64_vbits(t, l, IR_OP_vnot, a64_vec(t, i->rm), IR_NO_VALUE, IR_NO_VALUE);

    a64_set_vec(t, i->rd, a64_vbits(t, l, IR_OP_vor, a64_vec(t, i->rn), inverted, IR_NO_VALUE));
    return true;
}

static bool choose(struct a64_tr *t, const struct a64_insn *i, unsigned mask, unsigned set, unsigned clear)
{
    uint32_t m = a64_vec(t, mask), a = a64_vec(t, set), b = a64_vec(t, clear);

    a64_set_vec(t, i->rd, a64_vbits(t, a64_vector(0, i->q), IR_OP_vbsl, m, a, b));
    return true;
}

A64_TR(bsl_v) { return choose(t, i, i->rd, i->rn, i->rm); }
A64_TR(bit_v) { return choose(t, i, i->rm, i->rn, i->rd); }
A64_TR(bif_v) { return choose(t, i, i->rm, i->rd, i->rn); }
