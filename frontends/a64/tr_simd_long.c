// SPDX-License-Identifier: MIT
// Translates Advanced SIMD integer instructions on three registers of different types, vector, scalar and by
// element: long, wide and high-narrow arithmetic. Arm ARM (DDI 0487) C4.1.97, "Advanced SIMD three
// different"; C7.2. l always describes the narrow lanes; a64_wide(l) the others.
#include "frontends/a64/tr_simd.h"

static struct a64_lanes narrow(const struct a64_insn *i)
{
    return a64_vector(i->size, true);
}

static uint32_t extend(struct a64_tr *t, const struct a64_insn *i, unsigned n, uint32_t sign)
{
    return a64_v1(t, narrow(i), IR_OP_vxtl, sign, a64_half(t, narrow(i), n, i->q));
}

// ---- add and subtract ---------------------------------------------------------------------------

static bool long_op(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, uint32_t sign)
{
    uint32_t n = extend(t, i, i->rn, sign), m = extend(t, i, i->rm, sign);

    a64_set_vec(t, i->rd, a64_v2(t, a64_wide(narrow(i)), op, 0, n, m));
    return true;
}

static bool wide_op(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, uint32_t sign)
{
    uint32_t m = extend(t, i, i->rm, sign);

    a64_set_vec(t, i->rd, a64_v2(t, a64_wide(narrow(i)), op, 0, a64_vec(t, i->rn), m));
    return true;
}

A64_TR(saddl_v) { return long_op(t, i, IR_OP_vadd, IR_V_SIGNED); }
A64_TR(uaddl_v) { return long_op(t, i, IR_OP_vadd, 0); }
A64_TR(ssubl_v) { return long_op(t, i, IR_OP_vsub, IR_V_SIGNED); }
A64_TR(usubl_v) { return long_op(t, i, IR_OP_vsub, 0); }
A64_TR(saddw_v) { return wide_op(t, i, IR_OP_vadd, IR_V_SIGNED); }
A64_TR(uaddw_v) { return wide_op(t, i, IR_OP_vadd, 0); }
A64_TR(ssubw_v) { return wide_op(t, i, IR_OP_vsub, IR_V_SIGNED); }
A64_TR(usubw_v) { return wide_op(t, i, IR_OP_vsub, 0); }

// The upper half of each lane of n op m, rounded or not.
static bool high_narrow(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, bool round)
{
    struct a64_lanes wide = a64_wide(narrow(i));
    unsigned half = a64_lane_bits(narrow(i));
    uint32_t r = a64_v2(t, wide, op, 0, a64_vec(t, i->rn), a64_vec(t, i->rm));

    if (round)
        r = a64_v2(t, wide, IR_OP_vadd, 0, r, a64_vsplat(t, wide.sub, 1ull << (half - 1)));
    r = a64_v1i(t, wide, IR_OP_vshr, 0, half, r);
    a64_set_half(t, i->rd, i->q, a64_v1(t, wide, IR_OP_vxtn, 0, r));
    return true;
}

A64_TR(addhn_v) { return high_narrow(t, i, IR_OP_vadd, false); }
A64_TR(subhn_v) { return high_narrow(t, i, IR_OP_vsub, false); }
A64_TR(raddhn_v) { return high_narrow(t, i, IR_OP_vadd, true); }
A64_TR(rsubhn_v) { return high_narrow(t, i, IR_OP_vsub, true); }

static uint32_t difference(struct a64_tr *t, const struct a64_insn *i, uint32_t sign)
{
    struct a64_lanes l = narrow(i);
    uint32_t r = a64_v2(t, l, IR_OP_vabd, sign, a64_half(t, l, i->rn, i->q), a64_half(t, l, i->rm, i->q));

    return a64_v1(t, l, IR_OP_vxtl, 0, r);
}

static bool difference_accumulate(struct a64_tr *t, const struct a64_insn *i, uint32_t sign)
{
    uint32_t r = difference(t, i, sign);

    a64_set_vec(t, i->rd, a64_v2(t, a64_wide(narrow(i)), IR_OP_vadd, 0, a64_vec(t, i->rd), r));
    return true;
}

static bool difference_long(struct a64_tr *t, const struct a64_insn *i, uint32_t sign)
{
    a64_set_vec(t, i->rd, difference(t, i, sign));
    return true;
}

A64_TR(sabal_v) { return difference_accumulate(t, i, IR_V_SIGNED); }
A64_TR(uabal_v) { return difference_accumulate(t, i, 0); }
A64_TR(sabdl_v) { return difference_long(t, i, IR_V_SIGNED); }
A64_TR(uabdl_v) { return difference_long(t, i, 0); }

// ---- multiply -----------------------------------------------------------------------------------

static uint32_t product(struct a64_tr *t, const struct a64_insn *i, uint32_t sign, bool element)
{
    struct a64_lanes l = narrow(i);
    uint32_t m = element ? a64_element(t, i, i->size) : a64_half(t, l, i->rm, i->q);

    return a64_v2(t, l, IR_OP_vmull, sign, a64_half(t, l, i->rn, i->q), m);
}

static bool multiply(struct a64_tr *t, const struct a64_insn *i, uint32_t sign, bool element)
{
    a64_set_vec(t, i->rd, product(t, i, sign, element));
    return true;
}

static bool multiply_accumulate(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, uint32_t sign,
                                bool element)
{
    uint32_t r = product(t, i, sign, element);

    a64_set_vec(t, i->rd, a64_v2(t, a64_wide(narrow(i)), op, 0, a64_vec(t, i->rd), r));
    return true;
}

A64_TR(smull_v) { return multiply(t, i, IR_V_SIGNED, false); }
A64_TR(umull_v) { return multiply(t, i, 0, false); }
A64_TR(smull_e) { return multiply(t, i, IR_V_SIGNED, true); }
A64_TR(umull_e) { return multiply(t, i, 0, true); }
A64_TR(smlal_v) { return multiply_accumulate(t, i, IR_OP_vadd, IR_V_SIGNED, false); }
A64_TR(umlal_v) { return multiply_accumulate(t, i, IR_OP_vadd, 0, false); }
A64_TR(smlsl_v) { return multiply_accumulate(t, i, IR_OP_vsub, IR_V_SIGNED, false); }
A64_TR(umlsl_v) { return multiply_accumulate(t, i, IR_OP_vsub, 0, false); }
A64_TR(smlal_e) { return multiply_accumulate(t, i, IR_OP_vadd, IR_V_SIGNED, true); }
A64_TR(umlal_e) { return multiply_accumulate(t, i, IR_OP_vadd, 0, true); }
A64_TR(smlsl_e) { return multiply_accumulate(t, i, IR_OP_vsub, IR_V_SIGNED, true); }
A64_TR(umlsl_e) { return multiply_accumulate(t, i, IR_OP_vsub, 0, true); }

A64_TR(pmull_v)
{
    struct a64_lanes l = a64_vector(0, true);

    a64_set_vec(t, i->rd,
                a64_v2(t, l, IR_OP_vpmull, 0, a64_half(t, l, i->rn, i->q), a64_half(t, l, i->rm, i->q)));
    return true;
}

// ---- saturating doubling multiply: the doubled product saturates, then the sum does -------------

enum accumulation { REPLACE, ADD, SUBTRACT };

static bool doubling(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, enum accumulation kind,
                     uint32_t m)
{
    struct a64_lanes wide = a64_wide(l);
    uint32_t p = a64_v2(t, l.scalar ? a64_vector(l.sub, true) : l, IR_OP_vmull, IR_V_SIGNED,
                        a64_half(t, l, i->rn, i->q), m);
    uint32_t r = a64_v2(t, wide, IR_OP_vqadd, IR_V_SIGNED, p, p);

    a64_saturated(t, r, a64_v2(t, wide, IR_OP_vadd, 0, p, p));
    if (kind != REPLACE) {
        uint32_t d = a64_operand(t, wide, i->rd), q = r;
        r = a64_v2(t, wide, kind == ADD ? IR_OP_vqadd : IR_OP_vqsub, IR_V_SIGNED, d, q);
        a64_saturated(t, r, a64_v2(t, wide, kind == ADD ? IR_OP_vadd : IR_OP_vsub, 0, d, q));
    }
    a64_set_vec(t, i->rd, r);
    return true;
}

static bool doubling_vector(struct a64_tr *t, const struct a64_insn *i, enum accumulation kind)
{
    return doubling(t, i, narrow(i), kind, a64_half(t, narrow(i), i->rm, i->q));
}

static bool doubling_element(struct a64_tr *t, const struct a64_insn *i, enum accumulation kind)
{
    return doubling(t, i, narrow(i), kind, a64_element(t, i, i->size));
}

static bool doubling_scalar(struct a64_tr *t, const struct a64_insn *i, enum accumulation kind)
{
    struct a64_lanes l = a64_scalar(i->size);

    return doubling(t, i, l, kind, a64_operand(t, l, i->rm));
}

static bool doubling_scalar_element(struct a64_tr *t, const struct a64_insn *i, enum accumulation kind)
{
    return doubling(t, i, a64_scalar(i->size), kind, a64_element(t, i, i->size));
}

A64_TR(sqdmull_v) { return doubling_vector(t, i, REPLACE); }
A64_TR(sqdmlal_v) { return doubling_vector(t, i, ADD); }
A64_TR(sqdmlsl_v) { return doubling_vector(t, i, SUBTRACT); }
A64_TR(sqdmull_e) { return doubling_element(t, i, REPLACE); }
A64_TR(sqdmlal_e) { return doubling_element(t, i, ADD); }
A64_TR(sqdmlsl_e) { return doubling_element(t, i, SUBTRACT); }
A64_TR(sqdmull_s) { return doubling_scalar(t, i, REPLACE); }
A64_TR(sqdmlal_s) { return doubling_scalar(t, i, ADD); }
A64_TR(sqdmlsl_s) { return doubling_scalar(t, i, SUBTRACT); }
A64_TR(sqdmull_se) { return doubling_scalar_element(t, i, REPLACE); }
A64_TR(sqdmlal_se) { return doubling_scalar_element(t, i, ADD); }
A64_TR(sqdmlsl_se) { return doubling_scalar_element(t, i, SUBTRACT); }
