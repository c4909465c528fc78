// SPDX-License-Identifier: MIT
// Conversions between integers and floating point and between precisions. Float to int truncates on the host; what
// saturates or is NaN comes out as x86's integer indefinite and goes to software, which raises the same or more.
#include "backends/x64/compile.h"
#include "backends/x64/fp_shape.h"
#include "backends/x64/vec.h"

static const uint8_t round_modes[] = { [IR_RN] = 0, [IR_RP] = 2, [IR_RM] = 1, [IR_RZ] = 3, [IR_RNA] = 0 };
enum { QUIET_INEXACT = 8 };

static unsigned fbits(const struct ir_insn *insn)
{
    return insn->attr >> IR_FP_FBITS_SHIFT & 0x7f;
}

static void round_to(struct x64_compile *c, struct x64_shape s, unsigned dst, unsigned src, unsigned imm)
{
    uint32_t op = X64_0F3A | X64_66 | (s.vector ? 0x08 : 0x0a) | (s.wide ? 1u : 0);
    if (s.vector)
        x64_v2i(c->e, op, dst, src, imm);
    else
        x64_v3i(c->e, op, dst, src, src, imm);
}

// dst := x * 2^by. Clobbers rax, T2.
static void scale(struct x64_compile *c, struct x64_shape s, unsigned dst, unsigned x, int by)
{
    x64_mov_ri(c->e, X64_RAX, s.wide ? (uint64_t)(1023 + by) << 52 : (uint64_t)(127 + by) << 23);
    x64_v2(c->e, X64_MOVD_XR | X64_W, X64_XMM_T2, X64_RAX);
    x64_v3(c->e, x64_fp_op(s, 0x59), dst, x, X64_XMM_T2);
}

// T2 := x rounded to the nearest integral value, ties away: what is cut off, being exact, decides. Raises nothing unless
// x is infinite or a signalling NaN. Clobbers T1 (which is not x) and TMP.
void x64_fp_round_away(struct x64_compile *c, struct x64_shape s, unsigned x)
{
    unsigned part = X64_XMM_TMP;
    round_to(c, s, X64_XMM_T2, x, round_modes[IR_RZ] | QUIET_INEXACT);
    x64_v3(c->e, x64_fp_op(s, 0x5c), part, x, X64_XMM_T2);
    x64_v3m(c->e, X64_0F | 0x54, part, part, x64_constant(c, s.wide ? X64_C_ABS64 : X64_C_ABS32));
    x64_v3m(c->e, x64_fp_op(s, 0xc2) | X64_IMM1, part, part, x64_constant(c, s.wide ? X64_C_HALF64 : X64_C_HALF32));
    x64_u8(c->e, 5); // not less than
    x64_v3m(c->e, X64_0F | 0x54, part, part, x64_constant(c, s.wide ? X64_C_ONE64 : X64_C_ONE32));
    x64_v3m(c->e, X64_0F | 0x54, X64_XMM_T1, x, x64_constant(c, s.wide ? X64_C_SIGN64 : X64_C_SIGN32));
    x64_v3(c->e, X64_0F | 0x56, part, part, X64_XMM_T1); // with the sign, or zeros would lose theirs
    x64_v3(c->e, x64_fp_op(s, 0x58), X64_XMM_T2, X64_XMM_T2, part);
}

// T1 := f64 of x * 2^fbits, exactly; what is too large for an integer anyway leaves before it could overflow.
static unsigned scaled_up(struct x64_compile *c, const struct ir_insn *insn, struct x64_shape *s, unsigned x, uint32_t cold)
{
    if (s->wide) {
        x64_v2(c->e, X64_MOVD_RX | X64_W, x, X64_RAX);
        x64_alu_rr(c->e, X64_ADD, true, X64_RAX, X64_RAX);
        x64_mov_ri(c->e, X64_RCX, (1023ull + 63) << 53);
        x64_alu_rr(c->e, X64_CMP, true, X64_RAX, X64_RCX);
        x64_jcc(c->e, X64_AE, X64_REF_COLD, cold);
    } else {
        x64_v3(c->e, X64_0F | X64_F3 | 0x5a, X64_XMM_T1, x, x); // cvtss2sd
        x = X64_XMM_T1;
    }
    s->wide = true;
    scale(c, *s, X64_XMM_T1, x, (int)fbits(insn));
    return X64_XMM_T1;
}

static bool lower_f2i(struct x64_compile *c, const struct ir_insn *insn)
{
    struct x64_shape s;
    unsigned round = insn->attr & IR_FP_ROUND;
    bool sign = insn->attr & IR_FP_SIGNED, w = insn->type == IR_I64;
    if (!x64_fp_shape(insn, x64_type(c, insn->arg[0]), &s) || insn->attr & (IR_FP_FTZ | IR_FP_X86) || round > IR_RNA ||
        (fbits(insn) && round == IR_RNA) || (insn->type != IR_I32 && insn->type != IR_I64))
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def(c, c->pos), from = xa;
    uint32_t cold = x64_pos(&c->cold);
    if (fbits(insn))
        from = xa = scaled_up(c, insn, &s, xa, cold);
    if (round == IR_RNA)
        x64_fp_round_away(c, s, xa);
    else if (round != IR_RZ)
        round_to(c, s, X64_XMM_T2, xa, round_modes[round] | QUIET_INEXACT);
    if (round != IR_RZ)
        from = X64_XMM_T2;
    if (!sign) {
        // Only 0 .. limit - 1 inline: beyond, the host would raise inexact where ARM raises invalid alone.
        enum x64_constant limit = w ? (s.wide ? X64_C_2P63_64 : X64_C_2P63_32) : (s.wide ? X64_C_2P32_64 : X64_C_2P32_32);
        x64_v2m(c->e, X64_0F | 0x2e | (s.wide ? X64_66 : 0), from, x64_constant(c, limit));
        x64_jcc(c->e, X64_P, X64_REF_COLD, cold);
        x64_jcc(c->e, X64_AE, X64_REF_COLD, cold);
        x64_v2(c->e, X64_0F | 0x50 | (s.wide ? X64_66 : 0), X64_RAX, from); // movmsk
        x64_test_ri(c->e, X64_RAX, 1);
        x64_jcc(c->e, X64_NE, X64_REF_COLD, cold);
    }
    x64_v2(c->e, X64_0F | 0x2c | (s.wide ? X64_F2 : X64_F3) | x64_w(w || !sign), dst, from); // cvttss2si, cvttsd2si
    if (sign) {
        if (w) {
            x64_alu_rm(c->e, X64_CMP, true, dst, x64_constant(c, X64_C_SIGN64));
        } else {
            x64_rr(c->e, 0x81 | X64_IMM4, X64_CMP, dst);
            x64_u32(c->e, 0x80000000u);
        }
        x64_jcc(c->e, X64_E, X64_REF_COLD, cold);
    }
    if (round != IR_RZ)
        round_to(c, s, X64_XMM_T2, xa, round_modes[round]); // for inexact
    x64_fp_cold(c, insn);
    return true;
}

static bool lower_i2f(struct x64_compile *c, const struct ir_insn *insn)
{
    enum ir_type from = x64_type(c, insn->arg[0]);
    struct x64_shape s;
    bool sign = insn->attr & IR_FP_SIGNED;
    if (!x64_fp_shape(insn, insn->type, &s) || !x64_fp_host_mode(c, insn->attr) || from < IR_I32)
        return false;
    unsigned ra = x64_use(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos);
    uint32_t cold = x64_pos(&c->cold);
    bool w = from == IR_I64 || !sign;
    if (!sign && from == IR_I64) {
        x64_test_rr(c->e, true, ra, ra);
        x64_jcc(c->e, X64_S, X64_REF_COLD, cold);
    } else if (!sign && x64_junk(c, insn->arg[0])) {
        x64_mov_rr(c->e, false, X64_RAX, ra);
        ra = X64_RAX;
    }
    x64_v3(c->e, X64_PXOR, dst, dst, dst);
    x64_set_width(c, c->pos, s.wide ? 8 : 4);
    x64_v3(c->e, X64_0F | 0x2a | (s.wide ? X64_F2 : X64_F3) | x64_w(w), dst, dst, ra);
    if (fbits(insn)) // exact: no integer is so small that its quotient is subnormal
        scale(c, s, dst, dst, -(int)fbits(insn));
    if (!sign && from == IR_I64)
        x64_fp_cold(c, insn);
    return true;
}

static bool lower_fcvt(struct x64_compile *c, const struct ir_insn *insn)
{
    enum ir_type from = x64_type(c, insn->arg[0]);
    struct x64_shape s, source;
    if (!x64_fp_shape(insn, insn->type, &s) || !x64_fp_shape(insn, from, &source))
        return false;
    if (s.wide ? (insn->attr & (IR_FP_FTZ | IR_FP_X86)) != 0 : !x64_fp_host_mode(c, insn->attr))
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos);
    uint32_t cold = x64_pos(&c->cold);
    x64_v3(c->e, x64_fp_op(source, 0x5a), dst, xa, xa);
    x64_fp_check(c, s, dst, !s.wide, cold);
    x64_fp_cold(c, insn);
    return true;
}

// ---- vectors -----------------------------------------------------------------------------------------------------

// Lanes of 64 bits, each through a general register. Float to int: the integer indefinite, which is what saturates or is
// NaN, is the one number from which 1 cannot be subtracted.
static bool lower_vf2i_wide(struct x64_compile *c, const struct ir_insn *insn, struct x64_shape s)
{
    unsigned round = insn->attr & IR_FP_ROUND;
    if (insn->attr & (IR_FP_FTZ | IR_FP_X86) || round > IR_RZ || fbits(insn) || !(insn->attr & IR_FP_SIGNED))
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos), from = xa;
    uint32_t cold = x64_pos(&c->cold);
    xa = x64_fp_operand(c, s, xa, X64_XMM_T1);
    from = xa;
    if (round != IR_RZ) {
        round_to(c, s, X64_XMM_T2, xa, round_modes[round] | QUIET_INEXACT);
        from = X64_XMM_T2;
    }
    for (unsigned lane = 0; lane < (s.low ? 1 : 2); lane++) {
        unsigned to = lane ? X64_RCX : X64_RAX;
        if (lane)
            x64_v2i(c->e, X64_0F | X64_66 | 0x70, dst, from, 0xee); // pshufd: the high lane
        x64_v2(c->e, X64_0F | X64_F2 | X64_W | 0x2c, to, lane ? dst : from); // cvttsd2si
        x64_alu_ri(c->e, X64_CMP, true, to, 1);
        x64_jcc(c->e, X64_O, X64_REF_COLD, cold);
    }
    x64_v2(c->e, X64_MOVD_XR | X64_W, dst, X64_RAX);
    if (!s.low) {
        x64_v2(c->e, X64_MOVD_XR | X64_W, X64_XMM_T2, X64_RCX);
        x64_v3(c->e, X64_0F | X64_66 | 0x6c, dst, dst, X64_XMM_T2); // punpcklqdq
    }
    if (round != IR_RZ)
        round_to(c, s, X64_XMM_T2, xa, round_modes[round]); // for inexact
    x64_fp_cold(c, insn);
    return true;
}

static bool lower_vi2f_wide(struct x64_compile *c, const struct ir_insn *insn, struct x64_shape s)
{
    enum { CVTSI2SD = X64_0F | X64_F2 | X64_W | 0x2a };
    unsigned lanes = s.low ? 1 : 2;
    if (!x64_fp_host_mode(c, insn->attr) || fbits(insn))
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos);
    uint32_t cold = x64_pos(&c->cold);
    x64_v2(c->e, X64_MOVD_RX | X64_W, xa, X64_RAX);
    if (lanes == 2)
        x64_v2i(c->e, X64_0F3A | X64_66 | X64_W | 0x16, xa, X64_RCX, 1); // pextrq
    bool checked = !(insn->attr & IR_FP_SIGNED);
    for (unsigned lane = 0; checked && lane < lanes; lane++) {
        x64_test_rr(c->e, true, lane ? X64_RCX : X64_RAX, lane ? X64_RCX : X64_RAX);
        x64_jcc(c->e, X64_S, X64_REF_COLD, cold);
    }
    x64_v3(c->e, X64_PXOR, dst, dst, dst);
    if (lanes == 2) {
        x64_v3(c->e, CVTSI2SD, X64_XMM_T1, dst, X64_RCX);
        x64_v3(c->e, CVTSI2SD, dst, dst, X64_RAX);
        x64_v3(c->e, X64_0F | X64_66 | 0x6c, dst, dst, X64_XMM_T1);
    } else {
        x64_v3(c->e, CVTSI2SD, dst, dst, X64_RAX);
    }
    if (checked)
        x64_fp_cold(c, insn);
    return true;
}

static bool lower_vf2i(struct x64_compile *c, const struct ir_insn *insn)
{
    struct x64_shape s;
    unsigned round = insn->attr & IR_FP_ROUND;
    if (!x64_fp_shape(insn, IR_V128, &s))
        return false;
    if (s.wide)
        return lower_vf2i_wide(c, insn, s);
    if (insn->attr & (IR_FP_FTZ | IR_FP_X86) || round > IR_RZ || fbits(insn))
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos);
    uint32_t cold = x64_pos(&c->cold);
    xa = x64_fp_operand(c, s, xa, X64_XMM_T1);
    unsigned from = xa;
    if (round != IR_RZ) {
        round_to(c, s, X64_XMM_T2, xa, round_modes[round] | QUIET_INEXACT);
        from = X64_XMM_T2;
    }
    if (!(insn->attr & IR_FP_SIGNED)) { // only 0 up to 2^31: host and ARM differ beyond about what is invalid
        x64_v3m(c->e, X64_0F38 | X64_66 | 0x3b, dst, from, x64_constant(c, X64_C_BELOW_2P31)); // pminud
        x64_v3(c->e, X64_0F | X64_66 | 0x76, dst, dst, from);
        x64_v2(c->e, X64_0F | 0x50, X64_RAX, dst);
        x64_alu_ri(c->e, X64_CMP, false, X64_RAX, 15);
        x64_jcc(c->e, X64_NE, X64_REF_COLD, cold);
    }
    x64_v2(c->e, X64_0F | X64_F3 | 0x5b, dst, from); // cvttps2dq
    x64_v3m(c->e, X64_0F | X64_66 | 0x76, X64_XMM_T2, dst, x64_constant(c, X64_C_SIGN32));
    x64_v2(c->e, X64_0F | 0x50, X64_RAX, X64_XMM_T2);
    x64_test_rr(c->e, false, X64_RAX, X64_RAX);
    x64_jcc(c->e, X64_NE, X64_REF_COLD, cold);
    if (round != IR_RZ)
        round_to(c, s, X64_XMM_T2, xa, round_modes[round]);
    x64_fp_cold(c, insn);
    return true;
}

static bool lower_vi2f(struct x64_compile *c, const struct ir_insn *insn)
{
    struct x64_shape s;
    if (!x64_fp_shape(insn, IR_V128, &s))
        return false;
    if (s.wide)
        return lower_vi2f_wide(c, insn, s);
    if (!x64_fp_host_mode(c, insn->attr))
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos);
    uint32_t cold = x64_pos(&c->cold);
    xa = x64_fp_operand(c, s, xa, X64_XMM_T1);
    if (!(insn->attr & IR_FP_SIGNED)) {
        x64_v2(c->e, X64_0F | 0x50, X64_RAX, xa); // movmskps
        x64_test_rr(c->e, false, X64_RAX, X64_RAX);
        x64_jcc(c->e, X64_NE, X64_REF_COLD, cold);
    }
    x64_v2(c->e, X64_0F | 0x5b, dst, xa); // cvtdq2ps
    if (fbits(insn)) {
        x64_splat32(c, X64_XMM_T2, (127 - fbits(insn)) << 23);
        x64_v3(c->e, X64_0F | 0x59, dst, dst, X64_XMM_T2); // exact
    }
    if (!(insn->attr & IR_FP_SIGNED))
        x64_fp_cold(c, insn);
    return true;
}

static bool lower_vfcvt(struct x64_compile *c, const struct ir_insn *insn, bool widen)
{
    if (insn->attr & IR_V_LO64 || insn->sub != (widen ? 2 : 3))
        return false;
    if (widen ? (insn->attr & (IR_FP_FTZ | IR_FP_X86)) != 0 : !x64_fp_host_mode(c, insn->attr))
        return false;
    struct x64_shape result = { .vector = true, .wide = widen };
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos);
    uint32_t cold = x64_pos(&c->cold);
    x64_v2(c->e, X64_0F | 0x5a | (widen ? 0 : X64_66), dst, xa); // cvtps2pd, cvtpd2ps
    x64_fp_check(c, result, dst, !widen, cold);
    x64_fp_cold(c, insn);
    return true;
}

bool x64_lower_fp_convert(struct x64_compile *c, const struct ir_insn *insn)
{
    switch (insn->op) {
    case IR_OP_f2i: return lower_f2i(c, insn);
    case IR_OP_i2f: return lower_i2f(c, insn);
    case IR_OP_fcvt: return lower_fcvt(c, insn);
    case IR_OP_vf2i: return lower_vf2i(c, insn);
    case IR_OP_vi2f: return lower_vi2f(c, insn);
    case IR_OP_vfcvtl:
    case IR_OP_vfcvtn: return lower_vfcvt(c, insn, insn->op == IR_OP_vfcvtl);
    default: return false;
    }
}
