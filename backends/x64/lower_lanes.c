// SPDX-License-Identifier: MIT
// Movements of vector lanes: between general and vector registers, within and between vectors, widening and
// narrowing. With IR_V_LO64 movements act on 64-bit vectors.
#include "backends/x64/compile.h"
#include "backends/x64/vec.h"

enum { P = X64_0F | X64_66, P38 = X64_0F38 | X64_66, P3A = X64_0F3A | X64_66 };
enum { PSHUFB = P38 | 0x00, PSHUFD = P | 0x70, PSHUFLW = X64_0F | X64_F2 | 0x70, PUNPCKLQDQ = P | 0x6c,
       PUNPCKHQDQ = P | 0x6d, SHUFPS = X64_0F | 0xc6, PBLENDW = P3A | 0x0e, PALIGNR = P3A | 0x0f,
       INSERTPS = P3A | 0x21, SHIFT_BYTES = P | 0x73 };

static bool low(const struct ir_insn *insn)
{
    return insn->attr & IR_V_LO64;
}

// ---- scalars -----------------------------------------------------------------------------------------------------

// Every lane of dst := the lowest lane of dst.
static void broadcast(struct x64_compile *c, unsigned dst, unsigned sub)
{
    switch (sub) {
    case 0:
        if (x64_has(c, X64_HAS_AVX2)) {
            x64_v2(c->e, P38 | 0x78, dst, dst);
        } else {
            x64_v3(c->e, X64_PXOR, X64_XMM_T1, X64_XMM_T1, X64_XMM_T1);
            x64_v3(c->e, PSHUFB, dst, dst, X64_XMM_T1);
        }
        break;
    case 1:
        if (x64_has(c, X64_HAS_AVX2)) {
            x64_v2(c->e, P38 | 0x79, dst, dst);
        } else {
            x64_v2i(c->e, PSHUFLW, dst, dst, 0);
            x64_v3(c->e, PUNPCKLQDQ, dst, dst, dst);
        }
        break;
    case 2: x64_v2i(c->e, PSHUFD, dst, dst, 0); break;
    default: x64_v3(c->e, PUNPCKLQDQ, dst, dst, dst);
    }
}

static bool lower_vdup(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned dst;
    if (x64_in_xmm(x64_type(c, insn->arg[0]))) {
        unsigned xa = x64_use_xmm(c, insn->arg[0]);
        dst = x64_def_xmm(c, c->pos);
        x64_vmov(c->e, dst, xa);
    } else {
        unsigned ra = x64_use(c, insn->arg[0]);
        dst = x64_def_xmm(c, c->pos);
        x64_v2(c->e, X64_MOVD_XR | x64_w(insn->sub == 3), dst, ra);
    }
    broadcast(c, dst, insn->sub & 3);
    x64_vec_done(c, insn, dst);
    return true;
}

static bool lower_vdupl(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned lane = (unsigned)insn->imm, sub = insn->sub & 3;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos);
    if (sub == 2) {
        x64_v2i(c->e, PSHUFD, dst, xa, lane * 0x55);
    } else if (sub == 3) {
        x64_v2i(c->e, PSHUFD, dst, xa, lane ? 0xee : 0x44);
    } else {
        if (lane)
            x64_vshift_i(c->e, SHIFT_BYTES, 3, dst, xa, lane << sub);
        else
            x64_vmov(c->e, dst, xa);
        broadcast(c, dst, sub);
    }
    x64_vec_done(c, insn, dst);
    return true;
}

static bool lower_vget(struct x64_compile *c, const struct ir_insn *insn)
{
    static const uint32_t ops[4] = { P3A | 0x14, P3A | 0x15, P3A | 0x16, P3A | 0x16 | X64_W };
    unsigned sub = insn->sub & 3;
    if (c->values[c->pos].in_xmm) {
        x64_alias(c, c->pos, insn->arg[0]);
        return true;
    }
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def(c, c->pos);
    if (insn->imm == 0 && sub >= 2)
        x64_v2(c->e, X64_MOVD_RX | x64_w(sub == 3), xa, dst);
    else
        x64_v2i(c->e, ops[sub], xa, dst, (unsigned)insn->imm);
    unsigned own = x64_type_log2(insn->type);
    if (insn->attr & IR_MEM_SIGNED && own > sub)
        x64_extend(c->e, sub, true, insn->type == IR_I64, dst, dst);
    if (insn->type == IR_I1)
        x64_alu_ri(c->e, X64_AND, false, dst, 1);
    else if (own < 2)
        x64_extend(c->e, own, false, false, dst, dst);
    return true;
}

static bool lower_vset(struct x64_compile *c, const struct ir_insn *insn)
{
    static const uint32_t ops[4] = { P3A | 0x20, P | 0xc4, P3A | 0x22, P3A | 0x22 | X64_W };
    enum ir_type type = x64_type(c, insn->arg[1]);
    unsigned sub = insn->sub & 3, lane = (unsigned)insn->imm;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), from;
    bool float_lane = x64_in_xmm(type) && ((sub == 2 && type == IR_F32) || (sub == 3 && type == IR_F64));
    if (x64_in_xmm(type)) {
        from = x64_use_xmm(c, insn->arg[1]);
        if (!float_lane) {
            x64_v2(c->e, X64_MOVD_RX | X64_W, from, X64_RAX);
            from = X64_RAX;
        }
    } else {
        from = x64_use(c, insn->arg[1]);
    }
    unsigned dst = x64_def_over_xmm(c, c->pos, insn->arg[0]);
    if (float_lane && sub == 2) {
        x64_v3i(c->e, INSERTPS, dst, xa, from, lane << 4);
    } else if (float_lane) {
        x64_v3(c->e, lane ? (uint32_t)PUNPCKLQDQ : (uint32_t)X64_MOVSD_LD, dst, xa, from);
    } else {
        // A general register as the last operand: x64_v3 would take its number for a vector register.
        if (c->e->avx) {
            x64_vex_rr(c->e, ops[sub] | X64_IMM1, dst, xa, from);
        } else {
            x64_vmov(c->e, dst, xa);
            x64_rr(c->e, ops[sub] | X64_IMM1, dst, from);
        }
        x64_u8(c->e, lane);
    }
    x64_vec_done(c, insn, dst);
    return true;
}

static bool lower_vzext(struct x64_compile *c, const struct ir_insn *insn)
{
    enum ir_type type = x64_type(c, insn->arg[0]);
    if (x64_value_in_xmm(c, insn->arg[0]) && x64_zero_above(c, insn->arg[0])) {
        x64_alias(c, c->pos, insn->arg[0]);
        return true;
    }
    if (!x64_value_in_xmm(c, insn->arg[0])) {
        unsigned ra = x64_use(c, insn->arg[0]);
        x64_v2(c->e, X64_MOVD_XR | x64_w(type == IR_I64), x64_def_xmm(c, c->pos), ra);
    } else {
        unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_over_xmm(c, c->pos, insn->arg[0]);
        if (type == IR_F64 || type == IR_I64) {
            x64_v2(c->e, X64_MOVQ_XX, dst, xa);
        } else if (type == IR_F32 || type == IR_I32) {
            x64_v3i(c->e, INSERTPS, dst, xa, xa, 0x0e);
        } else {
            x64_v2i(c->e, P3A | 0x15, xa, X64_RAX, 0); // pextrw
            x64_v2(c->e, X64_MOVD_XR, dst, X64_RAX);
        }
    }
    x64_set_width(c, c->pos, 1u << x64_type_log2(type));
    return true;
}

// ---- permutations ------------------------------------------------------------------------------------------------

static void zip(struct x64_compile *c, const struct ir_insn *insn, unsigned dst, unsigned xa, unsigned xb)
{
    static const uint8_t low_ops[4] = { 0x60, 0x61, 0x62, 0x6c }, high_ops[4] = { 0x68, 0x69, 0x6a, 0x6d };
    bool upper = insn->imm;
    x64_v3(c->e, P | (upper && !low(insn) ? high_ops : low_ops)[insn->sub & 3], dst, xa, xb);
    if (upper && low(insn))
        x64_vshift_i(c->e, SHIFT_BYTES, 3, dst, dst, 8);
}

static void uzp(struct x64_compile *c, const struct ir_insn *insn, unsigned dst, unsigned xa, unsigned xb)
{
    unsigned sub = insn->sub & 3;
    bool odd = insn->imm;
    enum x64_constant k = sub ? (odd ? X64_C_UZP16_ODD : X64_C_UZP16_EVEN) : (odd ? X64_C_UZP8_ODD : X64_C_UZP8_EVEN);
    if (low(insn)) { // of one vector that holds both
        x64_v3(c->e, PUNPCKLQDQ, dst, xa, xb);
        if (sub == 2)
            x64_v2i(c->e, PSHUFD, dst, dst, odd ? 0x0d : 0x08);
        else
            x64_v3m(c->e, PSHUFB, dst, dst, x64_constant(c, k));
    } else if (sub == 3) {
        x64_v3(c->e, odd ? PUNPCKHQDQ : PUNPCKLQDQ, dst, xa, xb);
    } else if (sub == 2) {
        x64_v3i(c->e, SHUFPS, dst, xa, xb, odd ? 0xdd : 0x88);
    } else {
        x64_v3m(c->e, PSHUFB, X64_XMM_T1, xa, x64_constant(c, k));
        x64_v3m(c->e, PSHUFB, dst, xb, x64_constant(c, k));
        x64_v3(c->e, PUNPCKLQDQ, dst, X64_XMM_T1, dst);
    }
}

static void trn(struct x64_compile *c, const struct ir_insn *insn, unsigned dst, unsigned xa, unsigned xb)
{
    bool odd = insn->imm;
    switch (insn->sub & 3) {
    case 0:
        x64_vshift_i(c->e, P | 0x71, odd ? 2 : 6, X64_XMM_T1, odd ? xa : xb, 8);
        x64_vshift_i(c->e, P | 0x71, odd ? 2 : 6, dst, odd ? xb : xa, 8);
        x64_vshift_i(c->e, P | 0x71, odd ? 6 : 2, dst, dst, 8);
        x64_v3(c->e, X64_POR, dst, dst, X64_XMM_T1);
        break;
    case 1:
        x64_vshift_i(c->e, P | 0x72, odd ? 2 : 6, X64_XMM_T1, odd ? xa : xb, 16);
        if (odd)
            x64_v3i(c->e, PBLENDW, dst, X64_XMM_T1, xb, 0xaa);
        else
            x64_v3i(c->e, PBLENDW, dst, xa, X64_XMM_T1, 0xaa);
        break;
    case 2:
        x64_v3i(c->e, SHUFPS, dst, xa, xb, odd ? 0xdd : 0x88);
        x64_v2i(c->e, PSHUFD, dst, dst, 0xd8);
        break;
    default:
        x64_v3(c->e, odd ? PUNPCKHQDQ : PUNPCKLQDQ, dst, xa, xb);
    }
}

static bool lower_permute(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]), dst = x64_def_xmm(c, c->pos);
    switch (insn->op) {
    case IR_OP_vzip: zip(c, insn, dst, xa, xb); break;
    case IR_OP_vuzp: uzp(c, insn, dst, xa, xb); break;
    case IR_OP_vtrn: trn(c, insn, dst, xa, xb); break;
    case IR_OP_vtbl: // 16 and more become 0x80 and more, which PSHUFB makes 0
        x64_v3m(c->e, P | 0xdc, X64_XMM_T1, xb, x64_constant(c, X64_C_TBL_BIAS));
        x64_v3(c->e, PSHUFB, dst, xa, X64_XMM_T1);
        break;
    default: // vext
        if (low(insn)) {
            x64_v3(c->e, PUNPCKLQDQ, dst, xa, xb);
            x64_vshift_i(c->e, SHIFT_BYTES, 3, dst, dst, (unsigned)insn->imm);
        } else {
            x64_v3i(c->e, PALIGNR, dst, xb, xa, (unsigned)insn->imm);
        }
    }
    x64_vec_done(c, insn, dst);
    return true;
}

static bool lower_vrev(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos);
    if (insn->sub == 2) {
        x64_v2i(c->e, PSHUFD, dst, xa, 0xb1);
    } else {
        enum x64_constant k = insn->sub ? (insn->imm == 2 ? X64_C_WREV32 : X64_C_WREV64)
                                        : (enum x64_constant)(X64_C_REV16 + (insn->imm - 1));
        x64_v3m(c->e, PSHUFB, dst, xa, x64_constant(c, k));
    }
    x64_vec_done(c, insn, dst);
    return true;
}
_Static_assert(X64_C_REV64 == X64_C_REV16 + 2, "by container size");

// ---- widths ------------------------------------------------------------------------------------------------------

static bool lower_vxtl(struct x64_compile *c, const struct ir_insn *insn)
{
    static const uint8_t ops[3] = { 0x20, 0x23, 0x25 };
    if (insn->sub > 2)
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_over_xmm(c, c->pos, insn->arg[0]);
    x64_v2(c->e, P38 | (ops[insn->sub] + (insn->attr & IR_V_SIGNED ? 0u : 0x10u)), dst, xa);
    x64_vec_done(c, insn, dst);
    return true;
}

static bool lower_narrow(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned sub = insn->sub & 3;
    if (low(insn) || sub == 0 || (sub == 3 && insn->op != IR_OP_vxtn))
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_xmm(c, c->pos);
    if (insn->op == IR_OP_vxtn && sub < 3) {
        x64_v3m(c->e, PSHUFB, dst, xa, x64_constant(c, sub == 1 ? X64_C_UZP8_EVEN : X64_C_UZP16_EVEN));
        return true;
    }
    if (insn->op == IR_OP_vxtn) {
        x64_v2i(c->e, PSHUFD, dst, xa, 0x08);
    } else if (insn->op == IR_OP_vqxtn && insn->attr & IR_V_SIGNED) {
        x64_v3(c->e, sub == 1 ? P | 0x63 : P | 0x6b, dst, xa, xa); // packsswb, packssdw
    } else {
        if (insn->op == IR_OP_vqxtn) { // unsigned in: cut to what the signed-in pack keeps
            x64_splat32(c, X64_XMM_T1, sub == 1 ? 0x00ff00ffu : 0x0000ffffu);
            x64_v3(c->e, x64_vec_op(IR_OP_vmin, sub, 0), dst, xa, X64_XMM_T1);
            xa = dst;
        }
        x64_v3(c->e, sub == 1 ? P | 0x67 : P38 | 0x2b, dst, xa, xa); // packuswb, packusdw
    }
    x64_v2(c->e, X64_MOVQ_XX, dst, dst);
    return true;
}

bool x64_lower_lanes(struct x64_compile *c, const struct ir_insn *insn)
{
    switch (insn->op) {
    case IR_OP_vdup: return lower_vdup(c, insn);
    case IR_OP_vdupl: return lower_vdupl(c, insn);
    case IR_OP_vget: return lower_vget(c, insn);
    case IR_OP_vgetf: x64_alias(c, c->pos, insn->arg[0]); return true;
    case IR_OP_vset: return lower_vset(c, insn);
    case IR_OP_vzext: return lower_vzext(c, insn);
    case IR_OP_vlow: {
        unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_over_xmm(c, c->pos, insn->arg[0]);
        x64_v2(c->e, X64_MOVQ_XX, dst, xa);
        x64_set_width(c, c->pos, 8);
        return true;
    }
    case IR_OP_vext: case IR_OP_vzip: case IR_OP_vuzp: case IR_OP_vtrn: case IR_OP_vtbl: return lower_permute(c, insn);
    case IR_OP_vrev: return lower_vrev(c, insn);
    case IR_OP_vxtl: return lower_vxtl(c, insn);
    case IR_OP_vxtn: case IR_OP_vqxtn: case IR_OP_vqxtun: return lower_narrow(c, insn);
    default: return false;
    }
}
