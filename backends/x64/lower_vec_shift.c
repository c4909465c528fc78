// SPDX-License-Identifier: MIT
// Shifts of vector lanes, by a constant and by each lane's own count. AVX2 shifts 32- and 64-bit lanes by counts of any
// size, giving zeros past the lane's width.
#include "backends/x64/compile.h"
#include "backends/x64/vec.h"

enum { P = X64_0F | X64_66, P38 = X64_0F38 | X64_66, P3A = X64_0F3A | X64_66 };
enum { SLLV = P38 | 0x47, SRLV = P38 | 0x45, SRAV = P38 | 0x46, PSUBD = P | 0xfa, PSUBQ = P | 0xfb };

// ---- by a constant -----------------------------------------------------------------------------------------------

static void shift_bytes(struct x64_compile *c, unsigned dst, unsigned xa, unsigned imm, bool left, bool sign)
{
    if (sign) { // each byte as the high half of a word
        x64_v3(c->e, P | 0x60, X64_XMM_T1, xa, xa);
        x64_vshift_i(c->e, P | 0x71, 4, X64_XMM_T1, X64_XMM_T1, 8 + imm);
        x64_v3(c->e, P | 0x68, X64_XMM_T2, xa, xa);
        x64_vshift_i(c->e, P | 0x71, 4, X64_XMM_T2, X64_XMM_T2, 8 + imm);
        x64_v3(c->e, P | 0x63, dst, X64_XMM_T1, X64_XMM_T2); // packsswb
        return;
    }
    uint32_t byte = left ? 0xffu << imm & 0xff : 0xffu >> imm;
    x64_splat32(c, X64_XMM_T1, byte * 0x01010101u);
    x64_vshift_i(c->e, P | 0x71, left ? 6 : 2, dst, xa, imm);
    x64_v3(c->e, X64_PAND, dst, dst, X64_XMM_T1);
}

static void sar_64(struct x64_compile *c, unsigned dst, unsigned xa, unsigned imm)
{
    x64_v3(c->e, X64_PXOR, X64_XMM_T1, X64_XMM_T1, X64_XMM_T1);
    x64_v3(c->e, P38 | 0x37, X64_XMM_T1, X64_XMM_T1, xa); // pcmpgtq: the signs
    if (imm == 64) {
        x64_vmov(c->e, dst, X64_XMM_T1);
        return;
    }
    x64_vshift_i(c->e, P | 0x73, 2, dst, xa, imm);
    x64_vshift_i(c->e, P | 0x73, 6, X64_XMM_T1, X64_XMM_T1, 64 - imm);
    x64_v3(c->e, X64_POR, dst, dst, X64_XMM_T1);
}

bool x64_lower_vshift(struct x64_compile *c, const struct ir_insn *insn)
{
    bool left = insn->op == IR_OP_vshl, sign = !left && insn->attr & IR_V_SIGNED;
    unsigned imm = (unsigned)insn->imm, sub = insn->sub & 3;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_over_xmm(c, c->pos, insn->arg[0]);
    if (imm == 0)
        x64_vmov(c->e, dst, xa);
    else if (sub == 0)
        shift_bytes(c, dst, xa, imm, left, sign);
    else if (sub == 3 && sign)
        sar_64(c, dst, xa, imm);
    else
        x64_vshift_i(c->e, P | (0x70 + sub), left ? 6 : sign ? 4 : 2, dst, xa, imm);
    x64_vec_done(c, insn, dst);
    return true;
}

// ---- by each lane ------------------------------------------------------------------------------------------------

// The count is the signed low byte: as one without sign it shifts a lane of up to 64 bits to nothing where it is
// negative, and so does its negation where it is positive. Only sign-filled lanes need to be told apart.
static void by_lane(struct x64_compile *c, unsigned sub, bool sign, unsigned dst, unsigned xa, unsigned xb)
{
    uint32_t w = x64_w(sub == 3);
    enum x64_constant byte = sub == 3 ? X64_C_D00FF : X64_C_S00FF;
    x64_v3(c->e, X64_PXOR, X64_XMM_T1, X64_XMM_T1, X64_XMM_T1);
    if (sign && sub == 3)
        x64_v3(c->e, P38 | 0x37, X64_XMM_TMP, X64_XMM_T1, xa); // pcmpgtq
    x64_v3(c->e, sub == 3 ? PSUBQ : PSUBD, X64_XMM_T1, X64_XMM_T1, xb);
    x64_v3m(c->e, X64_PAND, X64_XMM_T1, X64_XMM_T1, x64_constant(c, byte)); // to the right
    x64_v3m(c->e, X64_PAND, X64_XMM_T2, xb, x64_constant(c, byte));         // to the left
    if (sign && sub == 3) {
        x64_v3(c->e, X64_PXOR, dst, xa, X64_XMM_TMP);
        x64_vex_rr(c->e, SRLV | w, dst, dst, X64_XMM_T1);
        x64_v3(c->e, X64_PXOR, dst, dst, X64_XMM_TMP);
    } else {
        x64_vex_rr(c->e, (sign ? SRAV : SRLV) | w, dst, xa, X64_XMM_T1);
    }
    x64_vex_rr(c->e, SLLV | w, X64_XMM_T1, xa, X64_XMM_T2);
    if (!sign) {
        x64_v3(c->e, X64_POR, dst, dst, X64_XMM_T1);
        return;
    }
    x64_vshift_i(c->e, P | (0x70 + sub), 6, X64_XMM_T2, xb, (8u << sub) - 8); // the count's sign to the top
    x64_vex_rr(c->e, P3A | (sub == 3 ? 0x4bu : 0x4au) | X64_IMM1, dst, X64_XMM_T1, dst); // blendvpd, blendvps
    x64_u8(c->e, X64_XMM_T2 << 4);
}

bool x64_lower_vshlv(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned sub = insn->sub & 3;
    if (sub < 2 || !x64_has(c, X64_HAS_AVX2))
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]), dst = x64_def_xmm(c, c->pos);
    by_lane(c, sub, insn->attr & IR_V_SIGNED, dst, xa, xb);
    x64_vec_done(c, insn, dst);
    return true;
}
