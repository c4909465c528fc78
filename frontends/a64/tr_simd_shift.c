// SPDX-License-Identifier: MIT
// Translates Advanced SIMD shifts by immediate, vector and scalar. Arm ARM (DDI 0487) C4.1.97, "Advanced SIMD
// shift by immediate", "scalar shift by immediate"; C7.2. Conversions with fraction bits are in tr_simd_fp.c.
#include "frontends/a64/tr_simd.h"

static struct a64_lanes vector_lanes(const struct a64_insn *i)
{
    return a64_vector(a64_shift_sub(i), i->q);
}
static struct a64_lanes scalar_lanes(const struct a64_insn *i)
{
    return a64_scalar(a64_shift_sub(i));
}

// x >> by rounded to nearest, ties up: the last bit shifted out is added. 1 <= by <= lane.
static uint32_t rounded(struct a64_tr *t, struct a64_lanes l, uint32_t sign, unsigned by, uint32_t n)
{
    unsigned bits = a64_lane_bits(l);
    uint32_t last = a64_v1i(t, l, IR_OP_vshr, 0, bits - 1, a64_v1i(t, l, IR_OP_vshl, 0, bits - by, n));

    return a64_v2(t, l, IR_OP_vadd, 0, a64_v1i(t, l, IR_OP_vshr, sign, by, n), last);
}

static uint32_t shifted(struct a64_tr *t, struct a64_lanes l, uint32_t sign, bool round, unsigned by,
                        uint32_t n)
{
    return round ? rounded(t, l, sign, by, n) : a64_v1i(t, l, IR_OP_vshr, sign, by, n);
}

static bool right(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, uint32_t sign, bool round,
                  bool add)
{
    uint32_t r = shifted(t, l, sign, round, a64_shift_right(i), a64_vec(t, i->rn));

    if (add)
        r = a64_v2(t, l, IR_OP_vadd, 0, a64_vec(t, i->rd), r);
    a64_set_vec(t, i->rd, r);
    return true;
}

#define RIGHT(name, sign, round, add) \
    A64_TR(name##_vi) { return right(t, i, vector_lanes(i), sign, round, add); } \
    A64_TR(name##_si) { return right(t, i, scalar_lanes(i), sign, round, add); }
RIGHT(sshr, IR_V_SIGNED, false, false)
RIGHT(ushr, 0, false, false)
RIGHT(ssra, IR_V_SIGNED, false, true)
RIGHT(usra, 0, false, true)
RIGHT(srshr, IR_V_SIGNED, true, false)
RIGHT(urshr, 0, true, false)
RIGHT(srsra, IR_V_SIGNED, true, true)
RIGHT(ursra, 0, true, true)

static bool left(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l)
{
    a64_set_vec(t, i->rd, a64_v1i(t, l, IR_OP_vshl, 0, a64_shift_left(i), a64_vec(t, i->rn)));
    return true;
}

A64_TR(shl_vi) { return left(t, i, vector_lanes(i)); }
A64_TR(shl_si) { return left(t, i, scalar_lanes(i)); }

// Inserts: bits of rd that nothing was shifted into stay.
static bool insert(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, bool to_left)
{
    unsigned bits = a64_lane_bits(l), by = to_left ? a64_shift_left(i) : a64_shift_right(i);
    uint64_t ones = bits_mask(bits), mask = to_left ? ones << by : by == bits ? 0 : ones >> by;
    uint32_t r = a64_v1i(t, l, to_left ? IR_OP_vshl : IR_OP_vshr, 0, by, a64_vec(t, i->rn));

    a64_set_vec(t, i->rd, a64_vbits(t, l, IR_OP_vbsl, a64_vsplat(t, l.sub, mask), r, a64_vec(t, i->rd)));
    return true;
}

A64_TR(sli_vi) { return insert(t, i, vector_lanes(i), true); }
A64_TR(sli_si) { return insert(t, i, scalar_lanes(i), true); }
A64_TR(sri_vi) { return insert(t, i, vector_lanes(i), false); }
A64_TR(sri_si) { return insert(t, i, scalar_lanes(i), false); }

static bool saturating_left(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, unsigned mode)
{
    uint32_t by = a64_vsplat(t, l.sub, a64_shift_left(i)), n = a64_operand(t, l, i->rn);

    a64_set_vec(t, i->rd, a64_simd_call(t, l, A64_HELPER_simd_shift, mode | A64_SIMD_SATURATE, n, by));
    return true;
}

#define SATURATING_LEFT(name, mode) \
    A64_TR(name##_vi) { return saturating_left(t, i, vector_lanes(i), mode); } \
    A64_TR(name##_si) { return saturating_left(t, i, scalar_lanes(i), mode); }
SATURATING_LEFT(sqshl, 0)
SATURATING_LEFT(uqshl, A64_SIMD_UNSIGNED)
SATURATING_LEFT(sqshlu, A64_SIMD_TO_UNSIGNED)

// ---- to and from lanes twice as wide ------------------------------------------------------------

static bool lengthen(struct a64_tr *t, const struct a64_insn *i, uint32_t sign)
{
    struct a64_lanes l = a64_vector(a64_shift_sub(i), true);
    uint32_t r = a64_v1(t, l, IR_OP_vxtl, sign, a64_half(t, l, i->rn, i->q));
    unsigned by = a64_shift_left(i);

    a64_set_vec(t, i->rd, by ? a64_v1i(t, a64_wide(l), IR_OP_vshl, 0, by, r) : r);
    return true;
}

A64_TR(sshll_vi) { return lengthen(t, i, IR_V_SIGNED); }
A64_TR(ushll_vi) { return lengthen(t, i, 0); }

// The wide lanes that a narrowing shift reads.
static struct a64_lanes source(const struct a64_insn *i)
{
    return a64_vector(a64_shift_sub(i) + 1u, true);
}

static bool narrow(struct a64_tr *t, const struct a64_insn *i, bool round)
{
    uint32_t r = shifted(t, source(i), 0, round, a64_shift_right(i), a64_vec(t, i->rn));

    a64_set_half(t, i->rd, i->q, a64_v1(t, source(i), IR_OP_vxtn, 0, r));
    return true;
}

A64_TR(shrn_vi) { return narrow(t, i, false); }
A64_TR(rshrn_vi) { return narrow(t, i, true); }

static uint32_t saturating_narrow(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, uint32_t sign,
                                  bool round, uint32_t n)
{
    uint32_t from_sign = op == IR_OP_vqxtun ? IR_V_SIGNED : sign;
    uint32_t x = shifted(t, source(i), from_sign, round, a64_shift_right(i), n);
    uint32_t r = a64_v1(t, source(i), op, sign, x);

    a64_saturated(t, a64_v1(t, a64_vector(a64_shift_sub(i), true), IR_OP_vxtl, sign, r), x);
    return r;
}

static bool narrow_vector(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, uint32_t sign,
                          bool round)
{
    a64_set_half(t, i->rd, i->q, saturating_narrow(t, i, op, sign, round, a64_vec(t, i->rn)));
    return true;
}

static bool narrow_scalar(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, uint32_t sign,
                          bool round)
{
    uint32_t n = a64_operand(t, a64_scalar(source(i).sub), i->rn);

    // A 64-bit operand comes whole; its upper lane must not saturate.
    n = source(i).sub == 3 ? ir_op1(t->u, IR_OP_vlow, IR_V128, n) : n;
    a64_set_vec(t, i->rd, saturating_narrow(t, i, op, sign, round, n));
    return true;
}

#define NARROW(name, op, sign, round) \
    A64_TR(name##_vi) { return narrow_vector(t, i, IR_OP_##op, sign, round); } \
    A64_TR(name##_si) { return narrow_scalar(t, i, IR_OP_##op, sign, round); }
NARROW(sqshrn, vqxtn, IR_V_SIGNED, false)
NARROW(uqshrn, vqxtn, 0, false)
NARROW(sqshrun, vqxtun, 0, false)
NARROW(sqrshrn, vqxtn, IR_V_SIGNED, true)
NARROW(uqrshrn, vqxtn, 0, true)
NARROW(sqrshrun, vqxtun, 0, true)
