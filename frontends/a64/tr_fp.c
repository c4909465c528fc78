// SPDX-License-Identifier: MIT
// Translates scalar floating-point instructions: arithmetic, rounding, moves, comparison, selection and
// conversion. Arm ARM (DDI 0487) C4.1.97, "Floating-point ..." and "Conversion between floating-point and
// ..."; C7.2. Results are written as whole vector registers, zeros above. The FP mode is the key's; access
// traps are translate.c's.
#include "frontends/a64/tr_simd.h"

#include "frontends/a64/imm.h"

// ---- arithmetic ---------------------------------------------------------------------------------

static uint32_t op1(struct a64_tr *t, const struct a64_insn *i, enum ir_op op)
{
    struct a64_lanes l = a64_fp_scalar(i);

    return a64_fp_op(t, l, op, 0, 0, a64_fp_operand(t, l, i->rn), IR_NO_VALUE, IR_NO_VALUE);
}

static uint32_t op2(struct a64_tr *t, const struct a64_insn *i, enum ir_op op)
{
    struct a64_lanes l = a64_fp_scalar(i);
    uint32_t n = a64_fp_operand(t, l, i->rn), m = a64_fp_operand(t, l, i->rm);

    return a64_fp_op(t, l, op, 0, 0, n, m, IR_NO_VALUE);
}

static bool write(struct a64_tr *t, const struct a64_insn *i, uint32_t value)
{
    a64_set_fp(t, i->rd, value);
    return true;
}

A64_TR(fadd) { return write(t, i, op2(t, i, IR_OP_fadd)); }
A64_TR(fsub) { return write(t, i, op2(t, i, IR_OP_fsub)); }
A64_TR(fmul) { return write(t, i, op2(t, i, IR_OP_fmul)); }
A64_TR(fdiv) { return write(t, i, op2(t, i, IR_OP_fdiv)); }
A64_TR(fmax) { return write(t, i, op2(t, i, IR_OP_fmax)); }
A64_TR(fmin) { return write(t, i, op2(t, i, IR_OP_fmin)); }
A64_TR(fmaxnm) { return write(t, i, op2(t, i, IR_OP_fmaxnm)); }
A64_TR(fminnm) { return write(t, i, op2(t, i, IR_OP_fminnm)); }
A64_TR(fabs) { return write(t, i, op1(t, i, IR_OP_fabs)); }
A64_TR(fneg) { return write(t, i, op1(t, i, IR_OP_fneg)); }
A64_TR(fsqrt) { return write(t, i, op1(t, i, IR_OP_fsqrt)); }

A64_TR(fnmul)
{
    uint32_t product = op2(t, i, IR_OP_fmul);

    return write(t, i, a64_fp_op(t, a64_fp_scalar(i), IR_OP_fneg, 0, 0, product, IR_NO_VALUE, IR_NO_VALUE));
}

// Operands are negated before NaNs are chosen, so that a NaN comes out with its sign changed.
static bool fused(struct a64_tr *t, const struct a64_insn *i, uint32_t signs)
{
    struct a64_lanes l = a64_fp_scalar(i);
    uint32_t n = a64_fp_operand(t, l, i->rn), m = a64_fp_operand(t, l, i->rm);
    uint32_t a = a64_fp_operand(t, l, i->ra);

    return write(t, i, a64_fp_op(t, l, IR_OP_fma, signs, 0, n, m, a));
}

A64_TR(fmadd) { return fused(t, i, 0); }
A64_TR(fmsub) { return fused(t, i, IR_FP_NEG_PRODUCT); }
A64_TR(fnmadd) { return fused(t, i, IR_FP_NEG_PRODUCT | IR_FP_NEG_ADDEND); }
A64_TR(fnmsub) { return fused(t, i, IR_FP_NEG_ADDEND); }

// ---- rounding to an integral value --------------------------------------------------------------

static bool round_by(struct a64_tr *t, const struct a64_insn *i, uint32_t attr)
{
    struct a64_lanes l = a64_fp_scalar(i);
    uint32_t n = a64_fp_operand(t, l, i->rn);

    return write(t, i, ir_emit(t->u, (struct ir_insn){.op = IR_OP_frint, .type = a64_fp_type(l), .attr = attr,
                                                      .arg = {n, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}}));
}

A64_TR(frintn) { return round_by(t, i, a64_fp_rounding(t, IR_RN)); }
A64_TR(frintp) { return round_by(t, i, a64_fp_rounding(t, IR_RP)); }
A64_TR(frintm) { return round_by(t, i, a64_fp_rounding(t, IR_RM)); }
A64_TR(frintz) { return round_by(t, i, a64_fp_rounding(t, IR_RZ)); }
A64_TR(frinta) { return round_by(t, i, a64_fp_rounding(t, IR_RNA)); }
A64_TR(frintx) { return round_by(t, i, a64_fp_attr(t) | IR_FP_EXACT); }
A64_TR(frinti) { return round_by(t, i, a64_fp_attr(t)); }

// ---- comparison and selection -------------------------------------------------------------------

static uint32_t compare(struct a64_tr *t, uint32_t n, uint32_t m, bool signalling)
{
    uint32_t attr = a64_fp_attr(t) | (signalling ? IR_FP_SIGNALLING : 0);

    return ir_emit(t->u, (struct ir_insn){.op = IR_OP_fcmp, .type = IR_FLAGS, .attr = attr,
                                          .arg = {n, m, IR_NO_VALUE, IR_NO_VALUE}});
}

static bool compare_with(struct a64_tr *t, const struct a64_insn *i, bool zero, bool signalling)
{
    struct a64_lanes l = a64_fp_scalar(i);
    uint32_t n = a64_fp_operand(t, l, i->rn), m = zero ? a64_fp_zero(t, l) : a64_fp_operand(t, l, i->rm);

    ir_put(t->u, A64_F_NZCV, compare(t, n, m, signalling));
    return true;
}

A64_TR(fcmp) { return compare_with(t, i, false, false); }
A64_TR(fcmp_zero) { return compare_with(t, i, true, false); }
A64_TR(fcmpe) { return compare_with(t, i, false, true); }
A64_TR(fcmpe_zero) { return compare_with(t, i, true, true); }

// Where the condition fails nothing is compared and no exception raised: the comparison gets zeros.
static bool compare_if(struct a64_tr *t, const struct a64_insn *i, bool signalling)
{
    struct a64_lanes l = a64_fp_scalar(i);
    uint32_t n = a64_fp_operand(t, l, i->rn), m = a64_fp_operand(t, l, i->rm);

    if (i->cond < 14) {
        uint32_t cond = a64_condition(t, i->cond), zero = a64_fp_zero(t, l);
        uint32_t other = ir_op1(t->u, IR_OP_flags_pack, IR_FLAGS, a64_imm(t, false, (uint32_t)i->nzcv << 28));
        n = ir_op3(t->u, IR_OP_select, a64_fp_type(l), cond, n, zero);
        m = ir_op3(t->u, IR_OP_select, a64_fp_type(l), cond, m, zero);
        ir_put(t->u, A64_F_NZCV,
               ir_op3(t->u, IR_OP_select, IR_FLAGS, cond, compare(t, n, m, signalling), other));
    } else {
        ir_put(t->u, A64_F_NZCV, compare(t, n, m, signalling));
    }
    return true;
}

A64_TR(fccmp) { return compare_if(t, i, false); }
A64_TR(fccmpe) { return compare_if(t, i, true); }

A64_TR(fcsel)
{
    struct a64_lanes l = a64_fp_scalar(i);
    uint32_t n = a64_fp_operand(t, l, i->rn);

    if (i->cond >= 14)
        return write(t, i, n);
    uint32_t m = a64_fp_operand(t, l, i->rm);
    return write(t, i, ir_op3(t->u, IR_OP_select, a64_fp_type(l), a64_condition(t, i->cond), n, m));
}

// ---- moves --------------------------------------------------------------------------------------

A64_TR(fmov_reg) { return write(t, i, a64_fp_operand(t, a64_fp_scalar(i), i->rn)); }

A64_TR(fmov_imm)
{
    uint64_t value = a64_vfp_expand_imm(i->imm8, a64_lane_bits(a64_fp_scalar(i)));

    a64_set_vec(t, i->rd, ir_vconst(t->u, (union v128){.d = {value, 0}}));
    return true;
}

static bool move_to_general(struct a64_tr *t, const struct a64_insn *i, bool sf, unsigned lane)
{
    a64_set_reg(t, i->rd, sf, a64_vlane(t, a64_type(sf), sf ? 3 : 2, lane, false, a64_vec(t, i->rn)));
    return true;
}

A64_TR(fmov_w_s) { return move_to_general(t, i, false, 0); }
A64_TR(fmov_x_d) { return move_to_general(t, i, true, 0); }
A64_TR(fmov_x_top) { return move_to_general(t, i, true, 1); }
A64_TR(fmov_s_w) { return write(t, i, a64_vzext(t, a64_reg(t, i->rn, false))); }
A64_TR(fmov_d_x) { return write(t, i, a64_vzext(t, a64_reg(t, i->rn, true))); }

A64_TR(fmov_top_x)
{
    uint32_t x = a64_reg(t, i->rn, true);

    a64_set_vec(t, i->rd, ir_vop(t->u, IR_OP_vset, 3, 0, 1, a64_vec(t, i->rd), x, IR_NO_VALUE));
    return true;
}

// ---- conversion ---------------------------------------------------------------------------------

A64_TR(fcvt)
{
    struct a64_lanes l = a64_fp_scalar(i);
    enum ir_type to = i->opc == 0 ? IR_F32 : i->opc == 1 ? IR_F64 : IR_F16;
    uint32_t n = a64_fp_operand(t, l, i->rn);

    return write(t, i, ir_emit(t->u, (struct ir_insn){.op = IR_OP_fcvt, .type = to, .attr = a64_fp_attr(t),
                                                      .arg = {n, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}}));
}

static bool to_integer(struct a64_tr *t, const struct a64_insn *i, enum ir_round round, uint32_t sign,
                       unsigned fbits)
{
    uint32_t attr = a64_fp_rounding(t, round) | sign | fbits << IR_FP_FBITS_SHIFT;
    uint32_t n = a64_fp_operand(t, a64_fp_scalar(i), i->rn);

    a64_set_reg(t, i->rd, i->sf,
                ir_emit(t->u, (struct ir_insn){.op = IR_OP_f2i,
                                               .type = a64_type(i->sf),
                                               .attr = attr,
                                               .arg = {n, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}}));
    return true;
}

A64_TR(fcvtns_r) { return to_integer(t, i, IR_RN, IR_FP_SIGNED, 0); }
A64_TR(fcvtnu_r) { return to_integer(t, i, IR_RN, 0, 0); }
A64_TR(fcvtps_r) { return to_integer(t, i, IR_RP, IR_FP_SIGNED, 0); }
A64_TR(fcvtpu_r) { return to_integer(t, i, IR_RP, 0, 0); }
A64_TR(fcvtms_r) { return to_integer(t, i, IR_RM, IR_FP_SIGNED, 0); }
A64_TR(fcvtmu_r) { return to_integer(t, i, IR_RM, 0, 0); }
A64_TR(fcvtzs_r) { return to_integer(t, i, IR_RZ, IR_FP_SIGNED, 0); }
A64_TR(fcvtzu_r) { return to_integer(t, i, IR_RZ, 0, 0); }
A64_TR(fcvtas_r) { return to_integer(t, i, IR_RNA, IR_FP_SIGNED, 0); }
A64_TR(fcvtau_r) { return to_integer(t, i, IR_RNA, 0, 0); }
A64_TR(fcvtzs_fix) { return to_integer(t, i, IR_RZ, IR_FP_SIGNED, 64u - i->scale); }
A64_TR(fcvtzu_fix) { return to_integer(t, i, IR_RZ, 0, 64u - i->scale); }

static bool from_integer(struct a64_tr *t, const struct a64_insn *i, uint32_t sign, unsigned fbits)
{
    uint32_t attr = a64_fp_attr(t) | sign | fbits << IR_FP_FBITS_SHIFT, n = a64_reg(t, i->rn, i->sf);

    return write(t, i, ir_emit(t->u, (struct ir_insn){.op = IR_OP_i2f, .type = a64_fp_type(a64_fp_scalar(i)),
                                                      .attr = attr,
                                                      .arg = {n, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}}));
}

A64_TR(scvtf_r) { return from_integer(t, i, IR_FP_SIGNED, 0); }
A64_TR(ucvtf_r) { return from_integer(t, i, 0, 0); }
A64_TR(scvtf_fix) { return from_integer(t, i, IR_FP_SIGNED, 64u - i->scale); }
A64_TR(ucvtf_fix) { return from_integer(t, i, 0, 64u - i->scale); }
