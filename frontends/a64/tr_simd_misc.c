// SPDX-License-Identifier: MIT
// Translates Advanced SIMD integer instructions on one register: reversal, counting, comparison with zero,
// pairwise addition, narrowing, and reductions across lanes. Arm ARM (DDI 0487) C4.1.97, "Advanced SIMD
// two-register miscellaneous", "scalar two-register miscellaneous", "across lanes"; C7.2.
#include "frontends/a64/tr_simd.h"

typedef uint32_t operation(struct a64_tr *t, struct a64_lanes l, uint32_t n);

static bool vector(struct a64_tr *t, const struct a64_insn *i, operation *fn)
{
    a64_set_vec(t, i->rd, fn(t, a64_vector(i->size, i->q), a64_vec(t, i->rn)));
    return true;
}

static bool scalar(struct a64_tr *t, const struct a64_insn *i, operation *fn)
{
    struct a64_lanes l = a64_scalar(i->size);

    a64_set_vec(t, i->rd, fn(t, l, a64_operand(t, l, i->rn)));
    return true;
}

#define OPERATION(name) static uint32_t name(struct a64_tr *t, struct a64_lanes l, uint32_t n)
#define OP1(name, op) OPERATION(name) { return a64_v1(t, l, IR_OP_##op, 0, n); }
#define CMP0(name, cmp) OPERATION(name) { return a64_v2i(t, l, IR_OP_vcmp, 0, cmp, n, a64_vsplat(t, 3, 0)); }
#define V(name, row) A64_TR(row##_v) { return vector(t, i, name); }
#define S(name, row) A64_TR(row##_s) { return scalar(t, i, name); }

OP1(absolute, vabs)
OP1(neg, vneg)
OP1(clz, vclz)
OP1(cnt, vpopcnt)
CMP0(cmgt, IR_CSGT)
CMP0(cmge, IR_CSGE)
CMP0(cmeq, IR_CEQ)
CMP0(cmle, IR_CSLE)
CMP0(cmlt, IR_CSLT)

V(absolute, abs) V(neg, neg) V(clz, clz) V(cnt, cnt) S(absolute, abs) S(neg, neg)

#define V0(name) A64_TR(name##_v0) { return vector(t, i, name); }
#define S0(name) A64_TR(name##_s0) { return scalar(t, i, name); }
V0(cmgt) V0(cmge) V0(cmeq) V0(cmle) V0(cmlt) S0(cmgt) S0(cmge) S0(cmeq) S0(cmle) S0(cmlt)

// The sign bits below the sign: the zeros that lead x ^ (x >> all), less the first.
OPERATION(cls)
{
    uint32_t sign = a64_v1i(t, l, IR_OP_vshr, IR_V_SIGNED, a64_lane_bits(l) - 1, n);
    uint32_t zeros = a64_v1(t, l, IR_OP_vclz, 0, a64_vbits(t, l, IR_OP_vxor, n, sign, IR_NO_VALUE));

    return a64_v2(t, l, IR_OP_vsub, 0, zeros, a64_vsplat(t, l.sub, 1));
}
V(cls, cls)

// Only the smallest integer saturates: its absolute value is still negative, and one less is the largest.
OPERATION(sqabs)
{
    uint32_t r = a64_v1(t, l, IR_OP_vabs, 0, n);
    uint32_t smallest = a64_v2i(t, l, IR_OP_vcmp, 0, IR_CSLT, r, a64_vsplat(t, 3, 0));

    a64_or_qc(t, smallest);
    return a64_v2(t, l, IR_OP_vadd, 0, r, smallest);
}

OPERATION(sqneg)
{
    uint32_t r = a64_v2(t, l, IR_OP_vqsub, IR_V_SIGNED, a64_vsplat(t, 3, 0), n);

    a64_saturated(t, r, a64_v1(t, l, IR_OP_vneg, 0, n));
    return r;
}
V(sqabs, sqabs) V(sqneg, sqneg) S(sqabs, sqabs) S(sqneg, sqneg)

// suqadd, usqadd: the destination has the sign of the result, the source the other.
static bool mixed_add(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, unsigned mode)
{
    uint32_t d = a64_operand(t, l, i->rd), n = a64_operand(t, l, i->rn);

    a64_set_vec(t, i->rd, a64_simd_call(t, l, A64_HELPER_simd_mixed_add, mode, d, n));
    return true;
}

A64_TR(suqadd_v) { return mixed_add(t, i, a64_vector(i->size, i->q), 0); }
A64_TR(usqadd_v) { return mixed_add(t, i, a64_vector(i->size, i->q), A64_SIMD_UNSIGNED); }
A64_TR(suqadd_s) { return mixed_add(t, i, a64_scalar(i->size), 0); }
A64_TR(usqadd_s) { return mixed_add(t, i, a64_scalar(i->size), A64_SIMD_UNSIGNED); }

// ---- bits and lanes within a container ----------------------------------------------------------

static bool reverse(struct a64_tr *t, const struct a64_insn *i, unsigned container)
{
    a64_set_vec(t, i->rd, a64_v1i(t, a64_vector(i->size, i->q), IR_OP_vrev, 0, container, a64_vec(t, i->rn)));
    return true;
}

A64_TR(rev16_v) { return reverse(t, i, 1); }
A64_TR(rev32_v) { return reverse(t, i, 2); }
A64_TR(rev64_v) { return reverse(t, i, 3); }

static bool bitwise(struct a64_tr *t, const struct a64_insn *i, enum ir_op op)
{
    a64_set_vec(t, i->rd, a64_vbits(t, a64_vector(0, i->q), op, a64_vec(t, i->rn), IR_NO_VALUE, IR_NO_VALUE));
    return true;
}

A64_TR(not_v) { return bitwise(t, i, IR_OP_vnot); }
A64_TR(rbit_v) { return bitwise(t, i, IR_OP_vbitrev); }

// ---- pairwise long ------------------------------------------------------------------------------

// Sums of neighbours in lanes twice as wide.
static uint32_t pair_sums(struct a64_tr *t, struct a64_lanes l, uint32_t sign, uint32_t n)
{
    struct a64_lanes wide = a64_resized(l, l.sub + 1u);
    unsigned bits = a64_lane_bits(l);
    uint32_t even = a64_v1i(t, wide, IR_OP_vshr, sign, bits, a64_v1i(t, wide, IR_OP_vshl, 0, bits, n));

    return a64_v2(t, wide, IR_OP_vadd, 0, even, a64_v1i(t, wide, IR_OP_vshr, sign, bits, n));
}

static bool add_pairs(struct a64_tr *t, const struct a64_insn *i, uint32_t sign, bool accumulate)
{
    struct a64_lanes l = a64_vector(i->size, i->q);
    uint32_t r = pair_sums(t, l, sign, a64_vec(t, i->rn));

    if (accumulate)
        r = a64_v2(t, a64_resized(l, l.sub + 1u), IR_OP_vadd, 0, a64_vec(t, i->rd), r);
    a64_set_vec(t, i->rd, r);
    return true;
}

A64_TR(saddlp_v) { return add_pairs(t, i, IR_V_SIGNED, false); }
A64_TR(uaddlp_v) { return add_pairs(t, i, 0, false); }
A64_TR(sadalp_v) { return add_pairs(t, i, IR_V_SIGNED, true); }
A64_TR(uadalp_v) { return add_pairs(t, i, 0, true); }

// ---- narrowing and widening ---------------------------------------------------------------------

A64_TR(xtn_v)
{
    a64_set_half(t, i->rd, i->q, a64_v1(t, a64_vector(i->size + 1u, true), IR_OP_vxtn, 0, a64_vec(t, i->rn)));
    return true;
}

// Saturated lanes are those that do not extend back to what they came from.
static uint32_t narrowed(struct a64_tr *t, struct a64_lanes from, enum ir_op op, uint32_t sign, uint32_t n)
{
    uint32_t r = a64_v1(t, from, op, sign, n);
    uint32_t back = a64_v1(t, a64_vector(from.sub - 1u, true), IR_OP_vxtl, op == IR_OP_vqxtun ? 0 : sign, r);

    a64_saturated(t, back, n);
    return r;
}

static bool narrow_vector(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, uint32_t sign)
{
    a64_set_half(t, i->rd, i->q, narrowed(t, a64_vector(i->size + 1u, true), op, sign, a64_vec(t, i->rn)));
    return true;
}

static bool narrow_scalar(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, uint32_t sign)
{
    uint32_t n = a64_vlane(t, a64_int_of(i->size + 1u), i->size + 1u, 0, false, a64_vec(t, i->rn));

    a64_set_vec(t, i->rd, narrowed(t, a64_vector(i->size + 1u, true), op, sign, a64_vzext(t, n)));
    return true;
}

A64_TR(sqxtn_v) { return narrow_vector(t, i, IR_OP_vqxtn, IR_V_SIGNED); }
A64_TR(uqxtn_v) { return narrow_vector(t, i, IR_OP_vqxtn, 0); }
A64_TR(sqxtun_v) { return narrow_vector(t, i, IR_OP_vqxtun, 0); }
A64_TR(sqxtn_s) { return narrow_scalar(t, i, IR_OP_vqxtn, IR_V_SIGNED); }
A64_TR(uqxtn_s) { return narrow_scalar(t, i, IR_OP_vqxtn, 0); }
A64_TR(sqxtun_s) { return narrow_scalar(t, i, IR_OP_vqxtun, 0); }

A64_TR(shll_v)
{
    struct a64_lanes l = a64_vector(i->size, true);
    uint32_t r = a64_v1(t, l, IR_OP_vxtl, 0, a64_half(t, l, i->rn, i->q));

    a64_set_vec(t, i->rd, a64_v1i(t, a64_wide(l), IR_OP_vshl, 0, a64_lane_bits(l), r));
    return true;
}

// ---- across lanes -------------------------------------------------------------------------------

A64_TR(addv)
{
    a64_set_vec(t, i->rd, a64_v1(t, a64_vector(i->size, i->q), IR_OP_vaddv, 0, a64_vec(t, i->rn)));
    return true;
}

static bool sum_long(struct a64_tr *t, const struct a64_insn *i, uint32_t sign)
{
    struct a64_lanes l = a64_vector(i->size, i->q);
    uint32_t sums = pair_sums(t, l, sign, a64_vec(t, i->rn));

    a64_set_vec(t, i->rd, a64_v1(t, a64_resized(l, l.sub + 1u), IR_OP_vaddv, 0, sums));
    return true;
}

A64_TR(saddlv) { return sum_long(t, i, IR_V_SIGNED); }
A64_TR(uaddlv) { return sum_long(t, i, 0); }

// Folds the register onto itself until lane 0 holds the result.
static bool extreme(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, uint32_t sign)
{
    struct a64_lanes l = a64_vector(i->size, i->q);
    uint32_t r = a64_vec(t, i->rn);

    for (unsigned bytes = i->q ? 8 : 4; bytes >= 1u << i->size; bytes /= 2)
        r = a64_v2(t, l, op, sign, r, a64_v2i(t, a64_resized(l, 0), IR_OP_vext, 0, bytes, r, r));
    a64_set_vec(t, i->rd, a64_vzext(t, a64_vlane(t, a64_int_of(i->size), i->size, 0, false, r)));
    return true;
}

A64_TR(smaxv) { return extreme(t, i, IR_OP_vmax, IR_V_SIGNED); }
A64_TR(umaxv) { return extreme(t, i, IR_OP_vmax, 0); }
A64_TR(sminv) { return extreme(t, i, IR_OP_vmin, IR_V_SIGNED); }
A64_TR(uminv) { return extreme(t, i, IR_OP_vmin, 0); }

// ---- estimates ----------------------------------------------------------------------------------

static bool estimate(struct a64_tr *t, const struct a64_insn *i, enum a64_helper helper)
{
    uint32_t n = a64_vec(t, i->rn);

    n = i->q ? n : ir_op1(t->u, IR_OP_vlow, IR_V128, n);
    uint32_t r = ir_call(t->u, helper, n, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE);
    a64_set_vec(t, i->rd, i->q ? r : ir_op1(t->u, IR_OP_vlow, IR_V128, r));
    return true;
}

A64_TR(urecpe_v) { return estimate(t, i, A64_HELPER_simd_urecpe); }
A64_TR(ursqrte_v) { return estimate(t, i, A64_HELPER_simd_ursqrte); }
