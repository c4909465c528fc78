// SPDX-License-Identifier: MIT
// CRC-32 steps. Castagnoli's polynomial is an instruction; the other is a Barrett reduction by two carry-less products
// (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", with a 64-bit quotient), all
// bit-reflected: bit i of a 64-bit word is the coefficient of x^(63-i).
#include "backends/x64/compile.h"

static void castagnoli(struct x64_compile *c, const struct ir_insn *insn)
{
    static const uint32_t forms[4] = { 0xf0 | X64_B_RM, 0xf1 | X64_O16, 0xf1, 0xf1 | X64_W };
    unsigned ra = x64_use(c, insn->arg[0]), rb = x64_use(c, insn->arg[1]);
    unsigned dst = x64_def_over(c, c->pos, insn->arg[0]);
    if (dst != ra)
        x64_mov_rr(c->e, false, dst, ra);
    x64_rr(c->e, X64_0F38 | X64_F2 | forms[insn->sub & 3], dst, rb);
}

bool x64_lower_crc32(struct x64_compile *c, const struct ir_insn *insn)
{
    enum { PCLMULQDQ = X64_0F3A | X64_66 | 0x44, PEXTRD = X64_0F3A | X64_66 | 0x16 };
    unsigned bits = 8u << (insn->sub & 3);
    if (insn->attr & 1) {
        castagnoli(c, insn);
        return true;
    }
    if (!x64_has(c, X64_HAS_PCLMUL))
        return false;
    unsigned ra = x64_use(c, insn->arg[0]), rb = x64_use(c, insn->arg[1]), dst = x64_def(c, c->pos);
    x64_mov_rr(c->e, false, X64_RAX, ra);
    if (bits < 32) {
        x64_mov_rr(c->e, false, dst, ra); // what the data does not reach moves down
        x64_shift_ri(c->e, X64_SHR, false, dst, bits);
    }
    x64_alu_rr(c->e, X64_XOR, true, X64_RAX, rb);
    if (bits < 64)
        x64_shift_ri(c->e, X64_SHL, true, X64_RAX, 64 - bits);
    x64_v2(c->e, X64_MOVD_XR | X64_W, X64_XMM_T1, X64_RAX);
    x64_v3m(c->e, PCLMULQDQ | X64_IMM1, X64_XMM_T1, X64_XMM_T1, x64_constant(c, X64_C_CRC32));
    x64_u8(c->e, 0x00); // times the reciprocal: the quotient is the low half
    x64_v3m(c->e, PCLMULQDQ | X64_IMM1, X64_XMM_T1, X64_XMM_T1, x64_constant(c, X64_C_CRC32));
    x64_u8(c->e, 0x10); // times the polynomial: the remainder is above
    unsigned to = bits < 32 ? X64_RAX : dst;
    x64_v2i(c->e, PEXTRD, X64_XMM_T1, to, 2);
    if (bits < 32)
        x64_alu_rr(c->e, X64_XOR, false, dst, X64_RAX);
    return true;
}
