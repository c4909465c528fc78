// SPDX-License-Identifier: MIT
// Floating-point arithmetic and comparisons, scalar and lanewise (design: "ARM64 FP on SSE/AVX").
//
// The host computes with exceptions accumulating in MXCSR; a NaN result, and where ARM and x86 disagree on tininess a
// result of the smallest normal magnitude, goes to cold code that computes again in software: it can only add flags.
// Lanes that take no part (IR_V_LO64) are made harmless operands. Flushing to zero, rounding other than the unit's
// and f16 are software from the start.
#include "backends/x64/compile.h"
#include "backends/x64/fp_shape.h"

bool x64_fp_host_mode(const struct x64_compile *c, uint32_t attr)
{
    unsigned round = attr & IR_FP_ROUND;
    return !(attr & (IR_FP_FTZ | IR_FP_X86)) && round <= IR_RZ && round == (c->unit->fp_mode & IR_FP_ROUND);
}

bool x64_fp_shape(const struct ir_insn *insn, enum ir_type type, struct x64_shape *ret)
{
    *ret = (struct x64_shape){ .vector = type == IR_V128 };
    if (ret->vector) {
        ret->wide = insn->sub == 3;
        ret->low = (insn->attr & IR_V_LO64) != 0;
        return insn->sub >= 2;
    }
    ret->wide = type == IR_F64;
    return type == IR_F32 || type == IR_F64;
}

uint32_t x64_fp_op(struct x64_shape s, uint32_t opcode)
{
    return X64_0F | opcode | (s.vector ? (s.wide ? X64_66 : 0u) : (s.wide ? X64_F2 : X64_F3));
}

unsigned x64_fp_operand(struct x64_compile *c, struct x64_shape s, unsigned x, unsigned temp)
{
    if (!s.low)
        return x;
    x64_v2(c->e, X64_MOVQ_XX, temp, x);
    return temp;
}

static void any_lane(struct x64_compile *c, struct x64_shape s, unsigned mask, uint32_t cold)
{
    x64_v2(c->e, X64_0F | 0x50 | (s.wide ? X64_66 : 0), X64_RAX, mask); // movmskps, movmskpd
    x64_test_rr(c->e, false, X64_RAX, X64_RAX);
    x64_jcc(c->e, X64_NE, X64_REF_COLD, cold);
}

void x64_fp_check(struct x64_compile *c, struct x64_shape s, unsigned x, bool tiny, uint32_t cold)
{
    if (s.vector) {
        x64_v3i(c->e, x64_fp_op(s, 0xc2), X64_XMM_T1, x, x, 3); // unordered
        if (tiny) {
            x64_v3m(c->e, x64_fp_op(s, 0x54), X64_XMM_T2, x, x64_constant(c, s.wide ? X64_C_ABS64 : X64_C_ABS32));
            uint32_t equal = s.wide ? X64_0F38 | X64_66 | 0x29 : X64_0F | X64_66 | 0x76; // pcmpeqq, pcmpeqd
            x64_v3m(c->e, equal, X64_XMM_T2, X64_XMM_T2, x64_constant(c, s.wide ? X64_C_MIN64 : X64_C_MIN32));
            x64_v3(c->e, X64_POR, X64_XMM_T1, X64_XMM_T1, X64_XMM_T2);
        }
        any_lane(c, s, X64_XMM_T1, cold);
        return;
    }
    uint32_t compare = X64_0F | 0x2e | (s.wide ? X64_66 : 0); // ucomiss, ucomisd
    if (!tiny) {
        x64_v2(c->e, compare, x, x);
        x64_jcc(c->e, X64_P, X64_REF_COLD, cold);
        return;
    }
    // Both at once by the exponent; the cold code looks closer.
    uint32_t add = X64_0F | X64_66 | (s.wide ? 0xd4 : 0xfe), test = X64_0F38 | X64_66 | 0x17; // paddq, paddd, ptest
    x64_v3m(c->e, add, X64_XMM_T1, x, x64_constant(c, s.wide ? X64_C_MIN64 : X64_C_MIN32));
    x64_v2m(c->e, test, X64_XMM_T1, x64_constant(c, s.wide ? X64_C_EXP_64 : X64_C_EXP_32));
    x64_jcc(c->e, X64_E, X64_REF_COLD, cold);
    uint32_t back = x64_pos(&c->hot);
    x64_cold_begin(c);
    assert(x64_pos(c->e) == cold);
    x64_v2(c->e, compare, x, x);
    uint32_t nan = x64_jcc_short(c->e, X64_P);
    x64_v2(c->e, X64_MOVD_RX | x64_w(s.wide), x, X64_RAX);
    x64_alu_rr(c->e, X64_ADD, s.wide, X64_RAX, X64_RAX); // without the sign
    if (s.wide)
        x64_alu_rm(c->e, X64_CMP, true, X64_RAX, x64_constant(c, X64_C_TWICE_MIN64));
    else
        x64_alu_ri(c->e, X64_CMP, false, X64_RAX, 0x01000000);
    x64_jcc(c->e, X64_NE, X64_REF_HOT, back);
    x64_land(c->e, nan);
    c->e = &c->hot;
}

void x64_fp_cold(struct x64_compile *c, const struct ir_insn *insn)
{
    uint32_t back = x64_pos(&c->hot);
    x64_cold_begin(c);
    x64_call_eval(c, insn);
    x64_load_value(c, c->pos, x64_frame_at(X64_FRAME_RET));
    x64_cold_back(c, back);
}

// ---- arithmetic --------------------------------------------------------------------------------------------------

struct arith_row {
    uint8_t opcode;
    bool commutes; // up to the NaN chosen, which cold code does
    bool tiny; // the result can be inexact and of the smallest normal magnitude
};

static bool lower_arith(struct x64_compile *c, const struct ir_insn *insn, struct arith_row row)
{
    struct x64_shape s;
    if (!x64_fp_shape(insn, insn->type, &s) || !x64_fp_host_mode(c, insn->attr))
        return false;
    uint32_t a = insn->arg[0], b = insn->arg[1];
    if (row.commutes && x64_zero_above(c, b) && !x64_zero_above(c, a)) // the result takes what is above from a
        a = insn->arg[1], b = insn->arg[0];
    unsigned xa = x64_use_xmm(c, a), xb = b == IR_NO_VALUE ? xa : x64_use_xmm(c, b);
    unsigned dst = x64_def_xmm(c, c->pos);
    uint32_t cold = x64_pos(&c->cold);
    if (!s.vector && x64_zero_above(c, a))
        x64_set_width(c, c->pos, s.wide ? 8 : 4);
    xa = x64_fp_operand(c, s, xa, X64_XMM_T1);
    if (b == IR_NO_VALUE) {
        if (s.vector)
            x64_v2(c->e, x64_fp_op(s, row.opcode), dst, xa);
        else
            x64_v3(c->e, x64_fp_op(s, row.opcode), dst, xa, xa);
    } else {
        xb = x64_fp_operand(c, s, xb, X64_XMM_T2);
        if (s.low && insn->op == IR_OP_fdiv) // 0 / 1 above
            x64_v3m(c->e, X64_0F | X64_66 | 0x6c, xb, xb, x64_constant(c, s.wide ? X64_C_ONE64 : X64_C_ONE32));
        x64_v3(c->e, x64_fp_op(s, row.opcode), dst, xa, xb);
    }
    if (s.low)
        x64_v2(c->e, X64_MOVQ_XX, dst, dst);
    x64_fp_check(c, s, dst, row.tiny, cold);
    x64_fp_cold(c, insn);
    return true;
}

static bool lower_fma(struct x64_compile *c, const struct ir_insn *insn)
{
    // vfmadd231, vfnmadd231, vfmsub231, vfnmsub231 by (negated product, negated addend)
    static const uint8_t opcodes[4] = { 0xb8, 0xbc, 0xba, 0xbe };
    struct x64_shape s;
    if (!x64_fp_shape(insn, insn->type, &s) || !x64_fp_host_mode(c, insn->attr) || !x64_has(c, X64_HAS_FMA))
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]), xc = x64_use_xmm(c, insn->arg[2]);
    unsigned dst = x64_def_xmm(c, c->pos);
    uint32_t cold = x64_pos(&c->cold);
    xa = x64_fp_operand(c, s, xa, X64_XMM_T1);
    xb = x64_fp_operand(c, s, xb, X64_XMM_T2);
    if (s.low)
        x64_v2(c->e, X64_MOVQ_XX, dst, xc);
    else
        x64_vmov(c->e, dst, xc);
    if (!s.vector && x64_zero_above(c, insn->arg[2]))
        x64_set_width(c, c->pos, s.wide ? 8 : 4);
    unsigned signs = (insn->attr & IR_FP_NEG_PRODUCT ? 1u : 0) | (insn->attr & IR_FP_NEG_ADDEND ? 2u : 0);
    uint32_t op = X64_0F38 | X64_66 | (opcodes[signs] + (s.vector ? 0u : 1u)) | x64_w(s.wide);
    x64_vex_rr(c->e, op, dst, xa, xb);
    if (s.low)
        x64_v2(c->e, X64_MOVQ_XX, dst, dst);
    x64_fp_check(c, s, dst, true, cold);
    x64_fp_cold(c, insn);
    return true;
}

// min(a, b) with -0 below +0: MINPS in both orders, or-ed (for max and-ed). NaNs leave first, as MINPS would signal.
static bool lower_minmax(struct x64_compile *c, const struct ir_insn *insn, bool max)
{
    struct x64_shape s;
    if (!x64_fp_shape(insn, insn->type, &s) || insn->attr & (IR_FP_FTZ | IR_FP_X86))
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]), dst = x64_def_xmm(c, c->pos);
    uint32_t cold = x64_pos(&c->cold);
    if (s.low) {
        x64_v2(c->e, X64_MOVQ_XX, X64_XMM_T2, xb);
        x64_v2(c->e, X64_MOVQ_XX, dst, xa);
    } else {
        x64_vmov(c->e, X64_XMM_T2, xb);
        x64_vmov(c->e, dst, xa);
    }
    if (s.vector) {
        x64_v3i(c->e, x64_fp_op(s, 0xc2), X64_XMM_T1, dst, X64_XMM_T2, 3);
        any_lane(c, s, X64_XMM_T1, cold);
    } else {
        x64_v2(c->e, X64_0F | 0x2e | (s.wide ? X64_66 : 0), xa, xb);
        x64_jcc(c->e, X64_P, X64_REF_COLD, cold);
    }
    uint32_t op = x64_fp_op(s, max ? 0x5f : 0x5d);
    x64_v3(c->e, op, X64_XMM_T1, X64_XMM_T2, dst);
    x64_v3(c->e, op, dst, dst, X64_XMM_T2);
    x64_v3(c->e, max ? X64_0F | 0x54 : X64_0F | 0x56, dst, dst, X64_XMM_T1);
    x64_fp_cold(c, insn);
    return true;
}

static bool lower_sign(struct x64_compile *c, const struct ir_insn *insn)
{
    struct x64_shape s;
    if (!x64_fp_shape(insn, insn->type, &s))
        return false;
    bool neg = insn->op == IR_OP_fneg;
    enum x64_constant k = neg ? (s.wide ? X64_C_SIGN64 : X64_C_SIGN32) : (s.wide ? X64_C_ABS64 : X64_C_ABS32);
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_over_xmm(c, c->pos, insn->arg[0]);
    x64_v3m(c->e, X64_0F | (neg ? 0x57 : 0x54), dst, xa, x64_constant(c, k)); // xorps, andps
    if (s.low)
        x64_v2(c->e, X64_MOVQ_XX, dst, dst);
    return true;
}

static bool lower_frint(struct x64_compile *c, const struct ir_insn *insn)
{
    static const uint8_t modes[] = { [IR_RN] = 0, [IR_RP] = 2, [IR_RM] = 1, [IR_RZ] = 3 };
    struct x64_shape s;
    unsigned round = insn->attr & IR_FP_ROUND;
    if (!x64_fp_shape(insn, insn->type, &s) || insn->attr & (IR_FP_FTZ | IR_FP_X86) || round > IR_RNA ||
        (round == IR_RNA && (s.vector || insn->attr & IR_FP_EXACT)))
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos);
    uint32_t cold = x64_pos(&c->cold);
    if (round == IR_RNA) {
        x64_v2(c->e, X64_MOVD_RX | x64_w(s.wide), xa, X64_RAX);
        x64_alu_rr(c->e, X64_ADD, s.wide, X64_RAX, X64_RAX);
        x64_mov_ri(c->e, X64_RCX, s.wide ? 0x7ffull << 53 : 0xffull << 24);
        x64_alu_rr(c->e, X64_CMP, s.wide, X64_RAX, X64_RCX);
        x64_jcc(c->e, X64_AE, X64_REF_COLD, cold); // infinities and NaNs
        x64_fp_round_away(c, s, xa);
        x64_vmov(c->e, dst, X64_XMM_T2);
        x64_fp_cold(c, insn);
        return true;
    }
    unsigned imm = modes[round] | (insn->attr & IR_FP_EXACT ? 0u : 8u);
    uint32_t op = X64_0F3A | X64_66 | (s.vector ? 0x08 : 0x0a) | (s.wide ? 1u : 0);
    xa = x64_fp_operand(c, s, xa, X64_XMM_T1);
    if (s.vector)
        x64_v2i(c->e, op, dst, xa, imm);
    else
        x64_v3i(c->e, op, dst, xa, xa, imm);
    x64_fp_check(c, s, dst, false, cold);
    x64_fp_cold(c, insn);
    return true;
}

// ---- comparisons -------------------------------------------------------------------------------------------------

static bool lower_fcmpm(struct x64_compile *c, const struct ir_insn *insn)
{
    // SSE compares for order signal on quiet NaNs, for equality do not; AVX has the other two of each.
    static const uint8_t predicates[2][IR_FCMP_COUNT] = {
        { [IR_FEQ] = 0x00, [IR_FGE] = 0x12, [IR_FGT] = 0x11 },
        { [IR_FEQ] = 0x10, [IR_FGE] = 0x02, [IR_FGT] = 0x01 },
    };
    struct x64_shape s;
    unsigned predicate = predicates[insn->attr & IR_FP_SIGNALLING ? 1 : 0][insn->imm];
    if (!x64_fp_shape(insn, insn->type, &s) || insn->attr & (IR_FP_FTZ | IR_FP_X86) || (predicate & 0x10 && !c->e->avx))
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]), dst = x64_def_xmm(c, c->pos);
    xa = x64_fp_operand(c, s, xa, X64_XMM_T1);
    xb = x64_fp_operand(c, s, xb, X64_XMM_T2);
    bool swap = insn->imm != IR_FEQ; // a >= b as b <= a
    x64_v3i(c->e, x64_fp_op(s, 0xc2), dst, swap ? xb : xa, swap ? xa : xb, predicate);
    if (s.low)
        x64_v2(c->e, X64_MOVQ_XX, dst, dst);
    return true;
}

bool x64_lower_fp(struct x64_compile *c, const struct ir_insn *insn)
{
    if (insn->op < IR_OP_fadd || insn->op > IR_OP_vfcvtn)
        return false;
    x64_clobber_flags(c);
    switch (insn->op) {
    case IR_OP_fadd: return lower_arith(c, insn, (struct arith_row){ 0x58, true, false });
    case IR_OP_fsub: return lower_arith(c, insn, (struct arith_row){ 0x5c, false, false });
    case IR_OP_fmul: return lower_arith(c, insn, (struct arith_row){ 0x59, true, true });
    case IR_OP_fdiv: return lower_arith(c, insn, (struct arith_row){ 0x5e, false, true });
    case IR_OP_fsqrt: return lower_arith(c, insn, (struct arith_row){ 0x51, false, false });
    case IR_OP_fma: return lower_fma(c, insn);
    case IR_OP_fmin:
    case IR_OP_fminnm: return lower_minmax(c, insn, false);
    case IR_OP_fmax:
    case IR_OP_fmaxnm: return lower_minmax(c, insn, true);
    case IR_OP_fneg:
    case IR_OP_fabs: return lower_sign(c, insn);
    case IR_OP_frint: return lower_frint(c, insn);
    case IR_OP_fcmp: return x64_lower_fcmp(c, insn);
    case IR_OP_fcmpm: return lower_fcmpm(c, insn);
    default: return x64_lower_fp_convert(c, insn);
    }
}
