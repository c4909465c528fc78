// SPDX-License-Identifier: MIT
// Translates Advanced SIMD floating-point conversions: to and from integers and fixed point, between formats,
// and rounding to integral values. Arm ARM (DDI 0487) C4.1.97, "Advanced SIMD two-register miscellaneous",
// "shift by immediate" and their scalar forms; C7.2. A scalar is a value of an FP type, as in tr_simd_fp.c.
#include "frontends/a64/tr_simd.h"

static struct a64_lanes vector_lanes(const struct a64_insn *i)
{
    return a64_vector(2u + i->sz, i->q);
}
static struct a64_lanes scalar_lanes(const struct a64_insn *i)
{
    return a64_scalar(2u + i->sz);
}

static uint32_t emit(struct a64_tr *t, struct a64_lanes l, enum ir_op op, enum ir_type type, uint32_t attr,
                     uint32_t a)
{
    bool lanes = type == IR_V128;

    return ir_emit(t->u, (struct ir_insn){.op = op, .type = type, .sub = lanes ? l.sub : 0,
                                          .attr = attr | (lanes ? l.lo : 0),
                                          .arg = {a, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}});
}

// ---- integers -----------------------------------------------------------------------------------

static bool to_integer(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, enum ir_round round,
                       uint32_t sign, unsigned fbits)
{
    uint32_t attr = a64_fp_rounding(t, round) | sign | fbits << IR_FP_FBITS_SHIFT;
    uint32_t n = a64_fp_operand(t, l, i->rn);

    a64_set_fp(t, i->rd, l.scalar ? emit(t, l, IR_OP_f2i, a64_int_of(l.sub), attr, n)
                                  : emit(t, l, IR_OP_vf2i, IR_V128, attr, n));
    return true;
}

#define TO_INTEGER(name, round) \
    A64_TR(name##s_v) { return to_integer(t, i, vector_lanes(i), round, IR_FP_SIGNED, 0); } \
    A64_TR(name##u_v) { return to_integer(t, i, vector_lanes(i), round, 0, 0); } \
    A64_TR(name##s_s) { return to_integer(t, i, scalar_lanes(i), round, IR_FP_SIGNED, 0); } \
    A64_TR(name##u_s) { return to_integer(t, i, scalar_lanes(i), round, 0, 0); }
TO_INTEGER(fcvtn, IR_RN)
TO_INTEGER(fcvtp, IR_RP)
TO_INTEGER(fcvtm, IR_RM)
TO_INTEGER(fcvtz, IR_RZ)
TO_INTEGER(fcvta, IR_RNA)

static bool from_integer(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, uint32_t sign,
                         unsigned fbits)
{
    uint32_t attr = a64_fp_attr(t) | sign | fbits << IR_FP_FBITS_SHIFT, n = a64_vec(t, i->rn);

    if (l.scalar)
        n = a64_vlane(t, a64_int_of(l.sub), l.sub, 0, false, n);
    a64_set_fp(t, i->rd, emit(t, l, l.scalar ? IR_OP_i2f : IR_OP_vi2f, a64_fp_type(l), attr, n));
    return true;
}

A64_TR(scvtf_v) { return from_integer(t, i, vector_lanes(i), IR_FP_SIGNED, 0); }
A64_TR(ucvtf_v) { return from_integer(t, i, vector_lanes(i), 0, 0); }
A64_TR(scvtf_s) { return from_integer(t, i, scalar_lanes(i), IR_FP_SIGNED, 0); }
A64_TR(ucvtf_s) { return from_integer(t, i, scalar_lanes(i), 0, 0); }

// Fixed point: the shift amount is the number of fraction bits.
#define FIXED_V a64_vector(a64_shift_sub(i), i->q)
#define FIXED_S a64_scalar(a64_shift_sub(i))
A64_TR(scvtf_vi) { return from_integer(t, i, FIXED_V, IR_FP_SIGNED, a64_shift_right(i)); }
A64_TR(ucvtf_vi) { return from_integer(t, i, FIXED_V, 0, a64_shift_right(i)); }
A64_TR(scvtf_si) { return from_integer(t, i, FIXED_S, IR_FP_SIGNED, a64_shift_right(i)); }
A64_TR(ucvtf_si) { return from_integer(t, i, FIXED_S, 0, a64_shift_right(i)); }
A64_TR(fcvtzs_vi) { return to_integer(t, i, FIXED_V, IR_RZ, IR_FP_SIGNED, a64_shift_right(i)); }
A64_TR(fcvtzu_vi) { return to_integer(t, i, FIXED_V, IR_RZ, 0, a64_shift_right(i)); }
A64_TR(fcvtzs_si) { return to_integer(t, i, FIXED_S, IR_RZ, IR_FP_SIGNED, a64_shift_right(i)); }
A64_TR(fcvtzu_si) { return to_integer(t, i, FIXED_S, IR_RZ, 0, a64_shift_right(i)); }

// ---- integral values ----------------------------------------------------------------------------

static bool round_by(struct a64_tr *t, const struct a64_insn *i, uint32_t attr)
{
    a64_set_vec(t, i->rd, emit(t, vector_lanes(i), IR_OP_frint, IR_V128, attr, a64_vec(t, i->rn)));
    return true;
}

A64_TR(frintn_v) { return round_by(t, i, a64_fp_rounding(t, IR_RN)); }
A64_TR(frintp_v) { return round_by(t, i, a64_fp_rounding(t, IR_RP)); }
A64_TR(frintm_v) { return round_by(t, i, a64_fp_rounding(t, IR_RM)); }
A64_TR(frintz_v) { return round_by(t, i, a64_fp_rounding(t, IR_RZ)); }
A64_TR(frinta_v) { return round_by(t, i, a64_fp_rounding(t, IR_RNA)); }
A64_TR(frintx_v) { return round_by(t, i, a64_fp_attr(t) | IR_FP_EXACT); }
A64_TR(frinti_v) { return round_by(t, i, a64_fp_attr(t)); }

// ---- formats: sz chooses half to single or single to double -------------------------------------

A64_TR(fcvtl_v)
{
    struct a64_lanes l = a64_vector(1u + i->sz, true);

    a64_set_vec(t, i->rd, emit(t, l, IR_OP_vfcvtl, IR_V128, a64_fp_attr(t), a64_half(t, l, i->rn, i->q)));
    return true;
}

A64_TR(fcvtn_v)
{
    struct a64_lanes l = a64_vector(2u + i->sz, true);

    a64_set_half(t, i->rd, i->q, emit(t, l, IR_OP_vfcvtn, IR_V128, a64_fp_attr(t), a64_vec(t, i->rn)));
    return true;
}

A64_TR(fcvtxn_v)
{
    struct a64_lanes l = a64_vector(3, true);
    uint32_t attr = a64_fp_rounding(t, IR_RO);

    a64_set_half(t, i->rd, i->q, emit(t, l, IR_OP_vfcvtn, IR_V128, attr, a64_vec(t, i->rn)));
    return true;
}

A64_TR(fcvtxn_s)
{
    struct a64_lanes l = a64_scalar(3);
    uint32_t n = a64_fp_operand(t, l, i->rn);

    a64_set_fp(t, i->rd, emit(t, l, IR_OP_fcvt, IR_F32, a64_fp_rounding(t, IR_RO), n));
    return true;
}
