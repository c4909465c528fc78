// SPDX-License-Identifier: MIT
// Integer vector arithmetic. Ops that one host instruction does are rows of a table; the others follow. What is left
// (64-bit lanes of a few, odd saturations) is ir_eval's. IR_V_LO64 clears the high half at the end.
#include "backends/x64/compile.h"
#include "backends/x64/vec.h"

enum { P = X64_0F | X64_66, P38 = X64_0F38 | X64_66 };

// By lane size; 0: no such instruction.
struct vec_row {
    uint16_t op;
    uint16_t sign; // attr bits that must be as in `attr`
    uint16_t attr;
    uint32_t host[4];
};

static const struct vec_row rows[] = {
    { IR_OP_vadd, 0, 0, { P | 0xfc, P | 0xfd, P | 0xfe, P | 0xd4 } },
    { IR_OP_vsub, 0, 0, { P | 0xf8, P | 0xf9, P | 0xfa, P | 0xfb } },
    { IR_OP_vmul, 0, 0, { 0, P | 0xd5, P38 | 0x40, 0 } },
    { IR_OP_vand, 0, 0, { P | 0xdb, P | 0xdb, P | 0xdb, P | 0xdb } },
    { IR_OP_vor, 0, 0, { P | 0xeb, P | 0xeb, P | 0xeb, P | 0xeb } },
    { IR_OP_vxor, 0, 0, { P | 0xef, P | 0xef, P | 0xef, P | 0xef } },
    { IR_OP_vmin, IR_V_SIGNED, IR_V_SIGNED, { P38 | 0x38, P | 0xea, P38 | 0x39, 0 } },
    { IR_OP_vmin, IR_V_SIGNED, 0, { P | 0xda, P38 | 0x3a, P38 | 0x3b, 0 } },
    { IR_OP_vmax, IR_V_SIGNED, IR_V_SIGNED, { P38 | 0x3c, P | 0xee, P38 | 0x3d, 0 } },
    { IR_OP_vmax, IR_V_SIGNED, 0, { P | 0xde, P38 | 0x3e, P38 | 0x3f, 0 } },
    { IR_OP_vqadd, IR_V_SIGNED, IR_V_SIGNED, { P | 0xec, P | 0xed, 0, 0 } },
    { IR_OP_vqadd, IR_V_SIGNED, 0, { P | 0xdc, P | 0xdd, 0, 0 } },
    { IR_OP_vqsub, IR_V_SIGNED, IR_V_SIGNED, { P | 0xe8, P | 0xe9, 0, 0 } },
    { IR_OP_vqsub, IR_V_SIGNED, 0, { P | 0xd8, P | 0xd9, 0, 0 } },
    { IR_OP_vrhadd, IR_V_SIGNED, 0, { P | 0xe0, P | 0xe3, 0, 0 } },
};

uint32_t x64_vec_op(uint16_t op, unsigned sub, uint32_t attr)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].op == op && (attr & rows[i].sign) == rows[i].attr)
            return rows[i].host[sub];
    return 0;
}

void x64_vec_done(struct x64_compile *c, const struct ir_insn *insn, unsigned dst)
{
    if (insn->attr & IR_V_LO64)
        x64_v2(c->e, X64_MOVQ_XX, dst, dst);
}

void x64_splat32(struct x64_compile *c, unsigned x, uint32_t word)
{
    x64_mov_ri(c->e, X64_RAX, word);
    x64_v2(c->e, X64_MOVD_XR, x, X64_RAX);
    x64_v2i(c->e, P | 0x70, x, x, 0);
}

static bool lower_row(struct x64_compile *c, const struct ir_insn *insn)
{
    uint32_t op = x64_vec_op(insn->op, insn->sub & 3, insn->attr);
    if (!op)
        return false;
    uint32_t a = insn->arg[0], b = insn->arg[1];
    if (ir_ops[insn->op].flags & IR_COMM && x64_dies(c, b) && !x64_dies(c, a))
        a = insn->arg[1], b = insn->arg[0];
    unsigned xa = x64_use_xmm(c, a), xb = x64_use_xmm(c, b), dst = x64_def_over_xmm(c, c->pos, a);
    x64_v3(c->e, op, dst, xa, xb);
    x64_vec_done(c, insn, dst);
    return true;
}

// ---- comparisons -------------------------------------------------------------------------------------------------

static const uint32_t equal_ops[4] = { P | 0x74, P | 0x75, P | 0x76, P38 | 0x29 };
static const uint32_t greater_ops[4] = { P | 0x64, P | 0x65, P | 0x66, P38 | 0x37 };

// dst := a > b, unsigned.
static void unsigned_greater(struct x64_compile *c, unsigned sub, unsigned dst, unsigned xa, unsigned xb, bool *invert)
{
    if (sub == 3) {
        x64_v3m(c->e, X64_PXOR, X64_XMM_T1, xa, x64_constant(c, X64_C_SIGN64));
        x64_v3m(c->e, X64_PXOR, X64_XMM_T2, xb, x64_constant(c, X64_C_SIGN64));
        x64_v3(c->e, greater_ops[3], dst, X64_XMM_T1, X64_XMM_T2);
        return;
    }
    // a <= b is min(a, b) == a
    x64_v3(c->e, x64_vec_op(IR_OP_vmin, sub, 0), X64_XMM_T1, xa, xb);
    x64_v3(c->e, equal_ops[sub], dst, X64_XMM_T1, xa);
    *invert = !*invert;
}

static bool lower_vcmp(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned sub = insn->sub & 3;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]), dst = x64_def_xmm(c, c->pos);
    bool invert = false;
    switch (insn->imm) {
    case IR_CNE: invert = true; // fall through
    case IR_CEQ: x64_v3(c->e, equal_ops[sub], dst, xa, xb); break;
    case IR_CSLE: invert = true; // fall through
    case IR_CSGT: x64_v3(c->e, greater_ops[sub], dst, xa, xb); break;
    case IR_CSGE: invert = true; // fall through
    case IR_CSLT: x64_v3(c->e, greater_ops[sub], dst, xb, xa); break;
    case IR_CULE: invert = true; // fall through
    case IR_CUGT: unsigned_greater(c, sub, dst, xa, xb, &invert); break;
    case IR_CUGE: invert = true; // fall through
    default: unsigned_greater(c, sub, dst, xb, xa, &invert); break;
    }
    if (invert)
        x64_v3m(c->e, X64_PXOR, dst, dst, x64_constant(c, X64_C_ONES));
    x64_vec_done(c, insn, dst);
    return true;
}

// ---- the rest ----------------------------------------------------------------------------------------------------

static bool lower_unary(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned sub = insn->sub & 3;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos);
    switch (insn->op) {
    case IR_OP_vneg:
        x64_v3(c->e, X64_PXOR, dst, dst, dst);
        x64_v3(c->e, x64_vec_op(IR_OP_vsub, sub, 0), dst, dst, xa);
        break;
    case IR_OP_vabs:
        if (sub < 3) {
            x64_v2(c->e, P38 | (0x1c + sub), dst, xa);
        } else {
            x64_v3(c->e, X64_PXOR, X64_XMM_T1, X64_XMM_T1, X64_XMM_T1);
            x64_v3(c->e, greater_ops[3], X64_XMM_T1, X64_XMM_T1, xa);
            x64_v3(c->e, X64_PXOR, dst, xa, X64_XMM_T1);
            x64_v3(c->e, P | 0xfb, dst, dst, X64_XMM_T1);
        }
        break;
    case IR_OP_vnot:
        x64_v3m(c->e, X64_PXOR, dst, xa, x64_constant(c, X64_C_ONES));
        break;
    default: { // by nibbles through PSHUFB
        bool count = insn->op == IR_OP_vpopcnt;
        x64_v3m(c->e, X64_PAND, X64_XMM_T1, xa, x64_constant(c, X64_C_B0F));
        x64_vshift_i(c->e, P | 0x71, 2, X64_XMM_T2, xa, 4);
        x64_v3m(c->e, X64_PAND, X64_XMM_T2, X64_XMM_T2, x64_constant(c, X64_C_B0F));
        x64_v2m(c->e, X64_MOVUPS_LD, dst, x64_constant(c, count ? X64_C_POP4 : X64_C_BREV_LO));
        x64_v3(c->e, P38 | 0x00, dst, dst, X64_XMM_T1);
        x64_v2m(c->e, X64_MOVUPS_LD, X64_XMM_T1, x64_constant(c, count ? X64_C_POP4 : X64_C_BREV_HI));
        x64_v3(c->e, P38 | 0x00, X64_XMM_T1, X64_XMM_T1, X64_XMM_T2);
        x64_v3(c->e, count ? P | 0xfcu : (uint32_t)X64_POR, dst, dst, X64_XMM_T1);
    }
    }
    x64_vec_done(c, insn, dst);
    return true;
}

// By nibbles through PSHUFB, then by halves: the low half counts where the high one is zero.
static bool lower_vclz(struct x64_compile *c, const struct ir_insn *insn)
{
    enum { PSHUFB = P38 | 0x00, PADDB = P | 0xfc, PADDW = P | 0xfd, PADDD = P | 0xfe };
    unsigned sub = insn->sub & 3, zero = X64_XMM_TMP;
    if (sub == 3)
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos);
    x64_v3m(c->e, X64_PAND, X64_XMM_T2, xa, x64_constant(c, X64_C_B0F));
    x64_vshift_i(c->e, P | 0x71, 2, X64_XMM_T1, xa, 4);
    x64_v3m(c->e, X64_PAND, X64_XMM_T1, X64_XMM_T1, x64_constant(c, X64_C_B0F));
    x64_v2m(c->e, X64_MOVUPS_LD, dst, x64_constant(c, X64_C_CLZ4));
    x64_v3(c->e, PSHUFB, dst, dst, X64_XMM_T2);
    x64_v3(c->e, X64_PXOR, zero, zero, zero);
    x64_v3(c->e, equal_ops[0], zero, zero, X64_XMM_T1);
    x64_v3(c->e, X64_PAND, dst, dst, zero);
    x64_v2m(c->e, X64_MOVUPS_LD, X64_XMM_T2, x64_constant(c, X64_C_CLZ4));
    x64_v3(c->e, PSHUFB, X64_XMM_T2, X64_XMM_T2, X64_XMM_T1);
    x64_v3(c->e, PADDB, dst, dst, X64_XMM_T2);
    for (unsigned to = 1; to <= sub; to++) {
        uint32_t shift = P | (0x70 + to);
        x64_vshift_i(c->e, shift, 2, X64_XMM_T2, xa, 4u << to);
        x64_v3(c->e, X64_PXOR, zero, zero, zero);
        x64_v3(c->e, equal_ops[to], X64_XMM_T2, X64_XMM_T2, zero);
        x64_v3m(c->e, X64_PAND, X64_XMM_T2, X64_XMM_T2, x64_constant(c, to == 1 ? X64_C_H00FF : X64_C_SFFFF));
        x64_vshift_i(c->e, shift, 2, X64_XMM_T1, dst, 4u << to);
        x64_v3(c->e, X64_PAND, dst, dst, X64_XMM_T2);
        x64_v3(c->e, to == 1 ? PADDW : PADDD, dst, dst, X64_XMM_T1);
    }
    x64_vec_done(c, insn, dst);
    return true;
}

static bool lower_bitwise(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]);
    if (insn->op == IR_OP_vandn) {
        unsigned dst = x64_def_xmm(c, c->pos);
        x64_v3(c->e, X64_PANDN, dst, xb, xa);
        x64_vec_done(c, insn, dst);
        return true;
    }
    unsigned xc = x64_use_xmm(c, insn->arg[2]), dst = x64_def_xmm(c, c->pos);
    x64_v3(c->e, X64_PAND, X64_XMM_T1, xa, xb);
    x64_v3(c->e, X64_PANDN, dst, xa, xc);
    x64_v3(c->e, X64_POR, dst, dst, X64_XMM_T1);
    x64_vec_done(c, insn, dst);
    return true;
}

static bool lower_vabd(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned sub = insn->sub & 3;
    if (sub == 3)
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]), dst = x64_def_xmm(c, c->pos);
    x64_v3(c->e, x64_vec_op(IR_OP_vmin, sub, insn->attr), X64_XMM_T1, xa, xb);
    x64_v3(c->e, x64_vec_op(IR_OP_vmax, sub, insn->attr), dst, xa, xb);
    x64_v3(c->e, x64_vec_op(IR_OP_vsub, sub, 0), dst, dst, X64_XMM_T1);
    x64_vec_done(c, insn, dst);
    return true;
}

static bool lower_vhadd(struct x64_compile *c, const struct ir_insn *insn)
{
    uint32_t average = x64_vec_op(IR_OP_vrhadd, insn->sub & 3, insn->attr);
    if (!average)
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]), dst = x64_def_xmm(c, c->pos);
    x64_v3m(c->e, X64_PXOR, X64_XMM_T1, xa, x64_constant(c, X64_C_ONES));
    x64_v3m(c->e, X64_PXOR, dst, xb, x64_constant(c, X64_C_ONES));
    x64_v3(c->e, average, dst, dst, X64_XMM_T1);
    x64_v3m(c->e, X64_PXOR, dst, dst, x64_constant(c, X64_C_ONES));
    x64_vec_done(c, insn, dst);
    return true;
}

// Saturating sums and differences of 32-bit lanes. Without sign the operand is cut so that nothing overflows; with it,
// where the signs say that it did, the limit on a's side takes the result's place.
static bool lower_saturating(struct x64_compile *c, const struct ir_insn *insn)
{
    enum { PADDD = P | 0xfe, PSUBD = P | 0xfa, PMINUD = P38 | 0x3b, PMAXUD = P38 | 0x3f };
    bool add = insn->op == IR_OP_vqadd;
    if (insn->sub != 2)
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]), dst = x64_def_xmm(c, c->pos);
    if (!(insn->attr & IR_V_SIGNED)) {
        if (add) {
            x64_v3m(c->e, X64_PXOR, X64_XMM_T1, xb, x64_constant(c, X64_C_ONES));
            x64_v3(c->e, PMINUD, dst, xa, X64_XMM_T1);
        } else {
            x64_v3(c->e, PMAXUD, dst, xa, xb);
        }
        x64_v3(c->e, add ? PADDD : PSUBD, dst, dst, xb);
        x64_vec_done(c, insn, dst);
        return true;
    }
    x64_v3(c->e, add ? PADDD : PSUBD, dst, xa, xb);
    x64_v3(c->e, X64_PXOR, X64_XMM_T1, xa, dst);
    x64_v3(c->e, X64_PXOR, X64_XMM_T2, add ? dst : xa, xb);
    x64_v3(c->e, X64_PAND, X64_XMM_T1, X64_XMM_T1, X64_XMM_T2);
    x64_vshift_i(c->e, P | 0x72, 4, X64_XMM_T1, X64_XMM_T1, 31); // where it overflowed
    x64_vshift_i(c->e, P | 0x72, 4, X64_XMM_T2, xa, 31);
    x64_v3m(c->e, X64_PXOR, X64_XMM_T2, X64_XMM_T2, x64_constant(c, X64_C_ABS32)); // the limit
    x64_v3(c->e, X64_PXOR, X64_XMM_T2, X64_XMM_T2, dst);
    x64_v3(c->e, X64_PAND, X64_XMM_T2, X64_XMM_T2, X64_XMM_T1);
    x64_v3(c->e, X64_PXOR, dst, dst, X64_XMM_T2);
    x64_vec_done(c, insn, dst);
    return true;
}

static bool lower_vmul8(struct x64_compile *c, const struct ir_insn *insn)
{
    if (insn->sub != 0)
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]), dst = x64_def_xmm(c, c->pos);
    x64_v3(c->e, P | 0xd5, X64_XMM_T1, xa, xb); // even bytes
    x64_v3m(c->e, X64_PAND, X64_XMM_T1, X64_XMM_T1, x64_constant(c, X64_C_H00FF));
    x64_vshift_i(c->e, P | 0x71, 2, X64_XMM_T2, xa, 8);
    x64_vshift_i(c->e, P | 0x71, 2, dst, xb, 8);
    x64_v3(c->e, P | 0xd5, dst, dst, X64_XMM_T2);
    x64_vshift_i(c->e, P | 0x71, 6, dst, dst, 8);
    x64_v3(c->e, X64_POR, dst, dst, X64_XMM_T1);
    x64_vec_done(c, insn, dst);
    return true;
}

static bool lower_vmull(struct x64_compile *c, const struct ir_insn *insn)
{
    bool sign = insn->attr & IR_V_SIGNED;
    unsigned sub = insn->sub;
    if (sub > 2 || insn->attr & IR_V_LO64)
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]), dst = x64_def_xmm(c, c->pos);
    if (sub == 2) {
        x64_v2i(c->e, P | 0x70, X64_XMM_T1, xa, 0x10); // lanes 0 and 1 to 0 and 2
        x64_v2i(c->e, P | 0x70, dst, xb, 0x10);
        x64_v3(c->e, sign ? P38 | 0x28 : P | 0xf4, dst, dst, X64_XMM_T1);
    } else {
        uint32_t extend = P38 | ((sign ? 0x20u : 0x30u) + (sub ? 3u : 0));
        x64_v2(c->e, extend, X64_XMM_T1, xa);
        x64_v2(c->e, extend, dst, xb);
        x64_v3(c->e, sub ? P38 | 0x40 : P | 0xd5, dst, dst, X64_XMM_T1);
    }
    return true;
}

static bool lower_vaddv(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned sub = insn->sub & 3;
    bool low = insn->attr & IR_V_LO64;
    uint32_t add = x64_vec_op(IR_OP_vadd, sub, 0);
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos);
    if (low)
        x64_v2(c->e, X64_MOVQ_XX, dst, xa);
    else
        x64_vmov(c->e, dst, xa);
    if (sub == 0) {
        x64_v3(c->e, X64_PXOR, X64_XMM_T1, X64_XMM_T1, X64_XMM_T1);
        x64_v3(c->e, P | 0xf6, dst, dst, X64_XMM_T1); // psadbw: sums of either half
    }
    if (!low) {
        x64_v2i(c->e, P | 0x70, X64_XMM_T1, dst, 0x4e);
        x64_v3(c->e, sub == 0 ? P | 0xd4 : add, dst, dst, X64_XMM_T1);
    }
    if (sub == 1 || sub == 2) {
        x64_v2i(c->e, P | 0x70, X64_XMM_T1, dst, 0xb1);
        x64_v3(c->e, add, dst, dst, X64_XMM_T1);
    }
    if (sub == 1) {
        x64_vshift_i(c->e, P | 0x72, 2, X64_XMM_T1, dst, 16);
        x64_v3(c->e, add, dst, dst, X64_XMM_T1);
    }
    if (sub == 3) {
        x64_v2(c->e, X64_MOVQ_XX, dst, dst);
    } else {
        x64_v2(c->e, X64_MOVD_RX, dst, X64_RAX);
        if (sub < 2)
            x64_extend(c->e, sub, false, false, X64_RAX, X64_RAX);
        x64_v2(c->e, X64_MOVD_XR, dst, X64_RAX);
    }
    return true;
}

bool x64_lower_vec(struct x64_compile *c, const struct ir_insn *insn)
{
    if (insn->op < IR_OP_vadd)
        return false;
    x64_clobber_flags(c);
    if (lower_row(c, insn))
        return true;
    switch (insn->op) {
    case IR_OP_vmul: return lower_vmul8(c, insn);
    case IR_OP_vshl:
    case IR_OP_vshr: return x64_lower_vshift(c, insn);
    case IR_OP_vshlv: return x64_lower_vshlv(c, insn);
    case IR_OP_vclz: return lower_vclz(c, insn);
    case IR_OP_vcmp: return lower_vcmp(c, insn);
    case IR_OP_vneg: case IR_OP_vabs: case IR_OP_vnot: case IR_OP_vpopcnt: case IR_OP_vbitrev:
        return lower_unary(c, insn);
    case IR_OP_vandn:
    case IR_OP_vbsl: return lower_bitwise(c, insn);
    case IR_OP_vabd: return lower_vabd(c, insn);
    case IR_OP_vhadd: return lower_vhadd(c, insn);
    case IR_OP_vqadd: case IR_OP_vqsub: return lower_saturating(c, insn);
    case IR_OP_vmull: return lower_vmull(c, insn);
    case IR_OP_vaddv: return lower_vaddv(c, insn);
    default: return x64_lower_crypto(c, insn) || x64_lower_lanes(c, insn);
    }
}
