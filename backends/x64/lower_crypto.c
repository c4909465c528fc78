// SPDX-License-Identifier: MIT
// AES, carry-less products and SHA by the host's instructions (SDM volume 2: AESENC, PCLMULQDQ, SHA256RNDS2 ...).
//
// AESE and the AESMC that alone uses its result are one AESENC, AESD and AESIMC one AESDEC; where the next round's key
// is there already, the instruction adds it too. What a value stands for follows from the unit alone, so that both
// ends of such a pair, lowered at different times, agree on it.
#include "backends/x64/compile.h"
#include "backends/x64/vec.h"

enum { P38 = X64_0F38 | X64_66 };
enum { AESIMC = P38 | 0xdb, AESENC = P38 | 0xdc, AESENCLAST = P38 | 0xdd, AESDEC = P38 | 0xde, AESDECLAST = P38 | 0xdf };
enum { SHA1RNDS4 = X64_0F3A | 0xcc | X64_IMM1, SHA256RNDS2 = X64_0F38 | 0xcb, SHA256MSG1 = X64_0F38 | 0xcc,
       SHA256MSG2 = X64_0F38 | 0xcd };

// ---- AES ---------------------------------------------------------------------------------------------------------

// The one user of a value, if it stands behind it in the block that is being lowered.
static uint32_t only_user(const struct x64_compile *c, uint32_t value)
{
    if (c->values[value].uses != 1)
        return IR_NO_VALUE;
    for (uint32_t at = value + 1; at < c->block_end; at++)
        for (unsigned k = 0; k < 4; k++)
            if (c->unit->insns[at].arg[k] == value)
                return at;
    return IR_NO_VALUE;
}

// Whether the value is that of an AESE or AESD whose code makes up the whole round.
static bool whole_round(const struct x64_compile *c, uint32_t value)
{
    const struct ir_insn *insn = &c->unit->insns[value];
    uint32_t user = insn->op == IR_OP_vaese || insn->op == IR_OP_vaesd ? only_user(c, value) : IR_NO_VALUE;
    if (user == IR_NO_VALUE || c->unit->insns[user].attr & IR_V_LO64 || insn->attr & IR_V_LO64)
        return false;
    return c->unit->insns[user].op == (insn->op == IR_OP_vaese ? IR_OP_vaesmc : IR_OP_vaesimc);
}

// The key that the round at `value`, a whole one, adds at its end: that of the next round, which leaves it out then.
static uint32_t key_after(const struct x64_compile *c, uint32_t value)
{
    uint32_t mixed = only_user(c, value), next = only_user(c, mixed);
    if (next == IR_NO_VALUE)
        return IR_NO_VALUE;
    const struct ir_insn *insn = &c->unit->insns[next];
    if (insn->op != c->unit->insns[value].op)
        return IR_NO_VALUE;
    uint32_t key = insn->arg[insn->arg[0] == mixed ? 1 : 0];
    return key < value ? key : IR_NO_VALUE;
}

// Whether the operand is a whole round's result with the key in it.
static bool has_key(const struct x64_compile *c, uint32_t operand)
{
    const struct ir_insn *insn = &c->unit->insns[operand];
    if ((insn->op != IR_OP_vaesmc && insn->op != IR_OP_vaesimc) || insn->arg[0] < c->unit->blocks[c->block].first)
        return false;
    return whole_round(c, insn->arg[0]) && key_after(c, insn->arg[0]) != IR_NO_VALUE;
}

static void lower_round(struct x64_compile *c, const struct ir_insn *insn)
{
    bool encrypt = insn->op == IR_OP_vaese, whole = whole_round(c, c->pos);
    uint32_t key = whole ? key_after(c, c->pos) : IR_NO_VALUE;
    unsigned ready = has_key(c, insn->arg[0]) ? 0 : has_key(c, insn->arg[1]) ? 1 : 2;
    unsigned xa = x64_use_xmm(c, insn->arg[ready & 1]), xb = ready < 2 ? xa : x64_use_xmm(c, insn->arg[1]);
    unsigned xk = key == IR_NO_VALUE ? X64_XMM_T1 : x64_use_xmm(c, key);
    unsigned dst = x64_def_over_xmm(c, c->pos, insn->arg[ready & 1]);
    if (key == IR_NO_VALUE)
        x64_v3(c->e, X64_PXOR, X64_XMM_T1, X64_XMM_T1, X64_XMM_T1);
    if (ready == 2)
        x64_v3(c->e, X64_PXOR, dst, xa, xb);
    uint32_t op = whole ? (encrypt ? AESENC : AESDEC) : (encrypt ? AESENCLAST : AESDECLAST);
    x64_v3(c->e, op, dst, ready == 2 ? dst : xa, xk);
    x64_vec_done(c, insn, dst);
}

static void lower_mix(struct x64_compile *c, const struct ir_insn *insn)
{
    if (insn->arg[0] >= c->unit->blocks[c->block].first && whole_round(c, insn->arg[0])) {
        x64_alias(c, c->pos, insn->arg[0]);
        return;
    }
    unsigned xa = x64_use_xmm(c, insn->arg[0]), dst = x64_def_over_xmm(c, c->pos, insn->arg[0]);
    if (insn->op == IR_OP_vaesimc) {
        x64_v2(c->e, AESIMC, dst, xa);
    } else { // undo what AESENC does before MixColumns
        x64_v3(c->e, X64_PXOR, X64_XMM_T1, X64_XMM_T1, X64_XMM_T1);
        x64_v3(c->e, AESDECLAST, dst, xa, X64_XMM_T1);
        x64_v3(c->e, AESENC, dst, dst, X64_XMM_T1);
    }
    x64_vec_done(c, insn, dst);
}

// ---- SHA: instructions without VEX forms, whose destination is the first operand ---------------------------------

static void lower_two(struct x64_compile *c, const struct ir_insn *insn, uint32_t op)
{
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]);
    unsigned dst = x64_def_over_xmm(c, c->pos, insn->arg[0]);
    if (dst == xb && xa != xb)
        x64_vmov(c->e, X64_XMM_T1, xb), xb = X64_XMM_T1;
    x64_vmov(c->e, dst, xa);
    x64_rr(c->e, op, dst, xb);
    if (op & X64_IMM1)
        x64_u8(c->e, (unsigned)insn->imm);
}

// SHA256RNDS2 takes the words from xmm0, which an allocated value may be in.
static void lower_sha256(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]), xw = x64_use_xmm(c, insn->arg[2]);
    unsigned dst = x64_def_over_xmm(c, c->pos, insn->arg[0]), to = dst == xb || dst == 0 ? X64_XMM_T2 : dst;
    bool aside = xw != 0 && c->regs[X64_XMM0] != IR_NO_VALUE;
    if (aside)
        x64_vmov(c->e, X64_XMM_T1, 0);
    x64_vmov(c->e, to, xa);
    if (xw != 0)
        x64_vmov(c->e, 0, xw);
    x64_rr(c->e, SHA256RNDS2, to, xb == 0 && aside ? X64_XMM_T1 : xb);
    if (aside && dst != 0)
        x64_vmov(c->e, 0, X64_XMM_T1);
    x64_vmov(c->e, dst, to);
}

static bool lower_sha(struct x64_compile *c, const struct ir_insn *insn)
{
    if (!x64_has(c, X64_HAS_SHA))
        return false;
    switch (insn->op) {
    case IR_OP_vsha1r: lower_two(c, insn, SHA1RNDS4); break;
    case IR_OP_vsha256s0: lower_two(c, insn, SHA256MSG1); break;
    case IR_OP_vsha256s1: lower_two(c, insn, SHA256MSG2); break;
    default: lower_sha256(c, insn);
    }
    return true;
}

static bool lower_vpmull(struct x64_compile *c, const struct ir_insn *insn)
{
    if (insn->sub != 3 || !x64_has(c, X64_HAS_PCLMUL) || insn->attr & IR_V_LO64)
        return false;
    unsigned xa = x64_use_xmm(c, insn->arg[0]), xb = x64_use_xmm(c, insn->arg[1]);
    unsigned dst = x64_def_over_xmm(c, c->pos, insn->arg[0]);
    x64_v3i(c->e, X64_0F3A | X64_66 | 0x44, dst, xa, xb, 0);
    return true;
}

bool x64_lower_crypto(struct x64_compile *c, const struct ir_insn *insn)
{
    switch (insn->op) {
    case IR_OP_vpmull: return lower_vpmull(c, insn);
    case IR_OP_vaese: case IR_OP_vaesd: case IR_OP_vaesmc: case IR_OP_vaesimc:
        if (!x64_has(c, X64_HAS_AES))
            return false;
        if (insn->op == IR_OP_vaese || insn->op == IR_OP_vaesd)
            lower_round(c, insn);
        else
            lower_mix(c, insn);
        return true;
    case IR_OP_vsha1r: case IR_OP_vsha256r: case IR_OP_vsha256s0: case IR_OP_vsha256s1: return lower_sha(c, insn);
    default: return false;
    }
}
