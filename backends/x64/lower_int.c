// SPDX-License-Identifier: MIT
// Integer, constant and state ops. i1, i8 and i16 are computed in 32 bits and cut back where bits above can appear;
// the rest of their rare ops go to ir_eval.
#include "backends/x64/compile.h"

static unsigned type_bits(enum ir_type t)
{
    switch (t) {
    case IR_I1: return 1;
    case IR_I8: return 8;
    case IR_I16: return 16;
    case IR_I32: return 32;
    default: return 64;
    }
}

static bool wide(const struct ir_insn *insn)
{
    return insn->type == IR_I64;
}

static bool narrow(const struct ir_insn *insn)
{
    return insn->type < IR_I32;
}

static void cut(struct x64_compile *c, const struct ir_insn *insn, unsigned dst)
{
    if (insn->type == IR_I1)
        x64_alu_ri(c->e, X64_AND, false, dst, 1);
    else if (insn->type == IR_I8)
        x64_extend(c->e, 0, false, false, dst, dst);
    else if (insn->type == IR_I16)
        x64_extend(c->e, 1, false, false, dst, dst);
}

// dst := a in a register that may be overwritten.
static unsigned copy_over(struct x64_compile *c, uint32_t a, bool w)
{
    unsigned ra = x64_use(c, a), dst = x64_def_over(c, c->pos, a);
    if (dst != ra)
        x64_mov_rr(c->e, w, dst, ra);
    return dst;
}

static void lower_alu(struct x64_compile *c, const struct ir_insn *insn, enum x64_alu op, bool commutes)
{
    uint32_t a = insn->arg[0], b = insn->arg[1];
    int32_t imm;
    uint64_t k;
    bool w = wide(insn);
    if (commutes && (x64_const(c, a, &k) || (x64_dies(c, b) && !x64_dies(c, a) && !x64_const(c, b, &k)))) {
        a = insn->arg[1];
        b = insn->arg[0];
    }
    if (op == X64_AND && !narrow(insn) && x64_only_tested(c, insn) && x64_imm32(c, b, &imm) && imm >= 0) {
        x64_test_ri(c->e, x64_use(c, a), (uint32_t)imm);
        c->arith = c->pos;
        c->arith_is_sub = false;
        return;
    }
    if (x64_imm32(c, b, &imm)) {
        unsigned ra = x64_use(c, a), dst = x64_def_over(c, c->pos, a);
        if (dst != ra && (op == X64_ADD || (op == X64_SUB && imm != INT32_MIN)) && !x64_flags_follow(c, insn)) {
            x64_lea(c->e, w, dst, x64_at((int)ra, op == X64_ADD ? imm : -imm));
            cut(c, insn, dst);
            return;
        }
        if (dst != ra)
            x64_mov_rr(c->e, w, dst, ra);
        c->arith_is_sub = op == X64_ADD && a == insn->arg[0] && x64_wanted_as_sub(c, insn);
        x64_alu_ri(c->e, c->arith_is_sub ? X64_SUB : op, w, dst, c->arith_is_sub ? -imm : imm);
    } else {
        unsigned ra = x64_use(c, a), rb = x64_use(c, b), dst = x64_def_over(c, c->pos, a);
        if (dst != ra && op == X64_ADD && !x64_flags_follow(c, insn)) {
            x64_lea(c->e, w, dst, x64_at_index((int)ra, (int)rb, 0, 0));
            cut(c, insn, dst);
            return;
        }
        if (dst != ra)
            x64_mov_rr(c->e, w, dst, ra);
        x64_alu_rr(c->e, op, w, dst, rb);
        c->arith_is_sub = false;
    }
    if (!narrow(insn))
        c->arith = c->pos;
    else if (op == X64_ADD || op == X64_SUB)
        cut(c, insn, (unsigned)c->cells[c->pos].reg);
}

static void lower_carry(struct x64_compile *c, const struct ir_insn *insn, bool subtract)
{
    unsigned rc = x64_use(c, insn->arg[2]), rb = x64_use(c, insn->arg[1]);
    unsigned dst = copy_over(c, insn->arg[0], true);
    // x64_def_over may have taken the register that b or the carry shares with a; both are read before it changes.
    x64_set_carry(c, rc, subtract);
    x64_alu_rr(c->e, subtract ? X64_SBB : X64_ADC, wide(insn), dst, rb);
    c->arith_is_sub = false;
    if (!narrow(insn))
        c->arith = c->pos;
    else
        cut(c, insn, dst);
}

static void lower_mul(struct x64_compile *c, const struct ir_insn *insn)
{
    int32_t imm;
    bool w = wide(insn);
    if (x64_imm32(c, insn->arg[1], &imm)) {
        unsigned ra = x64_use(c, insn->arg[0]), dst = x64_def_over(c, c->pos, insn->arg[0]);
        x64_rr(c->e, 0x69 | X64_IMM4 | x64_w(w), dst, ra);
        x64_u32(c->e, (uint32_t)imm);
        cut(c, insn, dst);
        return;
    }
    unsigned rb = x64_use(c, insn->arg[1]), dst = copy_over(c, insn->arg[0], w);
    x64_rr(c->e, X64_0F | 0xaf | x64_w(w), dst, rb);
    cut(c, insn, dst);
}

static void lower_mulh(struct x64_compile *c, const struct ir_insn *insn, bool sign)
{
    unsigned ra = x64_use(c, insn->arg[0]), rb = x64_use(c, insn->arg[1]), dst = x64_def(c, c->pos);
    x64_mov_rr(c->e, true, X64_RAX, ra);
    x64_rr(c->e, 0xf7 | X64_W, sign ? 5 : 4, rb);
    x64_mov_rr(c->e, true, dst, X64_RDX);
}

static void lower_udiv(struct x64_compile *c, const struct ir_insn *insn)
{
    bool w = wide(insn);
    unsigned ra = x64_use(c, insn->arg[0]), rb = x64_use(c, insn->arg[1]), dst = x64_def(c, c->pos);
    x64_alu_rr(c->e, X64_XOR, false, X64_RAX, X64_RAX);
    x64_test_rr(c->e, w, rb, rb);
    uint32_t zero = x64_jcc_short(c->e, X64_E);
    x64_mov_rr(c->e, w, X64_RAX, ra);
    x64_alu_rr(c->e, X64_XOR, false, X64_RDX, X64_RDX);
    x64_rr(c->e, 0xf7 | x64_w(w), 6, rb);
    x64_land(c->e, zero);
    x64_mov_rr(c->e, w, dst, X64_RAX);
}

static void lower_sdiv(struct x64_compile *c, const struct ir_insn *insn)
{
    bool w = wide(insn);
    unsigned ra = x64_use(c, insn->arg[0]), rb = x64_use(c, insn->arg[1]), dst = x64_def(c, c->pos);
    x64_mov_rr(c->e, w, X64_RAX, ra);
    x64_lea(c->e, w, X64_RCX, x64_at((int)rb, 1));
    x64_alu_ri(c->e, X64_CMP, w, X64_RCX, 1);
    uint32_t small = x64_jcc_short(c->e, X64_BE); // 0 and -1, where a product is the quotient
    x64_room(c->e);
    if (w)
        x64_u8(c->e, 0x48);
    x64_u8(c->e, 0x99); // cdq, cqo
    x64_rr(c->e, 0xf7 | x64_w(w), 7, rb);
    uint32_t done = x64_jmp_short(c->e);
    x64_land(c->e, small);
    x64_rr(c->e, X64_0F | 0xaf | x64_w(w), X64_RAX, rb);
    x64_land(c->e, done);
    x64_mov_rr(c->e, w, dst, X64_RAX);
}

static void lower_andn(struct x64_compile *c, const struct ir_insn *insn)
{
    bool w = wide(insn);
    unsigned ra = x64_use(c, insn->arg[0]), rb = x64_use(c, insn->arg[1]), dst = x64_def(c, c->pos);
    if (x64_has(c, X64_HAS_BMI1)) {
        x64_vex_rr(c->e, X64_0F38 | 0xf2 | x64_w(w), dst, rb, ra);
    } else {
        x64_mov_rr(c->e, w, dst, rb);
        x64_rr(c->e, 0xf7 | x64_w(w), 2, dst);
        x64_alu_rr(c->e, X64_AND, w, dst, ra);
    }
    c->arith_is_sub = false;
    if (!narrow(insn))
        c->arith = c->pos;
}

// a + (b << 1..3) is one LEA when nothing else wants the shifted value: the addition right behind it is done here. Not one
// that is only part of addresses, which want the shifted value itself.
static bool lower_scaled_add(struct x64_compile *c, const struct ir_insn *insn, uint64_t count)
{
    const struct ir_insn *add = insn + 1;
    uint32_t self = c->pos, at = (uint32_t)(add - c->unit->insns), other = add->arg[add->arg[0] == self];
    if (insn->type != IR_I64 || count < 1 || count > 3 || at != self + 1 || add->op != IR_OP_add ||
        c->values[at].address || c->values[self].uses != 1 || (add->arg[0] != self && add->arg[1] != self) || x64_flags_follow(c, add))
        return false;
    unsigned rb = x64_use(c, insn->arg[0]);
    c->pos = at;
    x64_begin_insn(c);
    unsigned ra = x64_use(c, other), dst = x64_def_over(c, at, other);
    x64_lea(c->e, true, dst, x64_at_index((int)ra, (int)rb, (unsigned)count, 0));
    c->values[at].done = true;
    x64_end_insn(c);
    c->pos = self;
    return true;
}

static bool lower_shift(struct x64_compile *c, const struct ir_insn *insn)
{
    static const struct { enum x64_shift op; uint32_t bmi2; } rows[] = {
        { X64_SHL, X64_0F38 | X64_66 | 0xf7 }, { X64_SHR, X64_0F38 | X64_F2 | 0xf7 },
        { X64_SAR, X64_0F38 | X64_F3 | 0xf7 }, { X64_ROR, 0 },
    };
    unsigned which = insn->op - IR_OP_shl;
    bool w = wide(insn);
    uint64_t count;
    if (narrow(insn))
        return false;
    if (x64_const(c, insn->arg[1], &count)) {
        count &= w ? 63 : 31;
        if (insn->op == IR_OP_shl && lower_scaled_add(c, insn, count))
            return true;
        if (which == 3 && x64_has(c, X64_HAS_BMI2) && count) {
            unsigned ra = x64_use(c, insn->arg[0]), dst = x64_def_over(c, c->pos, insn->arg[0]);
            x64_vex_rr(c->e, X64_0F3A | X64_F2 | 0xf0 | X64_IMM1 | x64_w(w), dst, 0, ra);
            x64_u8(c->e, (uint32_t)count);
            return true;
        }
        unsigned dst = copy_over(c, insn->arg[0], w);
        if (count)
            x64_shift_ri(c->e, rows[which].op, w, dst, (unsigned)count);
        else if (!w)
            x64_mov_rr(c->e, false, dst, dst);
        return true;
    }
    unsigned rb = x64_use(c, insn->arg[1]);
    if (rows[which].bmi2 && x64_has(c, X64_HAS_BMI2)) {
        unsigned ra = x64_use(c, insn->arg[0]), dst = x64_def_over(c, c->pos, insn->arg[0]);
        x64_vex_rr(c->e, rows[which].bmi2 | x64_w(w), dst, rb, ra);
        return true;
    }
    x64_mov_rr(c->e, false, X64_RCX, rb);
    unsigned dst = copy_over(c, insn->arg[0], true);
    if (!w)
        x64_mov_rr(c->e, false, dst, dst); // a count of 0 leaves the upper half alone
    x64_rr(c->e, 0xd3 | x64_w(w), rows[which].op, dst);
    return true;
}

static bool lower_count(struct x64_compile *c, const struct ir_insn *insn)
{
    bool w = wide(insn);
    int32_t bits = w ? 64 : 32;
    if (narrow(insn) || (insn->op == IR_OP_popcnt && !x64_has(c, X64_HAS_POPCNT)))
        return false;
    unsigned ra = x64_use(c, insn->arg[0]), dst = x64_def(c, c->pos);
    if (insn->op == IR_OP_popcnt || x64_has(c, insn->op == IR_OP_clz ? X64_HAS_LZCNT : X64_HAS_BMI1)) {
        uint32_t op = insn->op == IR_OP_popcnt ? 0xb8 : insn->op == IR_OP_clz ? 0xbd : 0xbc;
        x64_rr(c->e, X64_0F | X64_F3 | op | x64_w(w), dst, ra);
        return true;
    }
    x64_mov_ri(c->e, X64_RCX, (uint64_t)(insn->op == IR_OP_clz ? 2 * bits - 1 : bits));
    x64_rr(c->e, X64_0F | (insn->op == IR_OP_clz ? 0xbd : 0xbc) | x64_w(w), dst, ra);
    x64_cmov(c->e, X64_E, w, dst, X64_RCX);
    if (insn->op == IR_OP_clz)
        x64_alu_ri(c->e, X64_XOR, false, dst, bits - 1);
    return true;
}

static void swap_bytes(struct x64_compile *c, enum ir_type type, unsigned reg)
{
    x64_room(c->e);
    if (type == IR_I16) {
        x64_rr(c->e, 0xc1 | X64_O16 | X64_IMM1, X64_ROL, reg);
        x64_u8(c->e, 8);
        return;
    }
    unsigned rex = (type == IR_I64 ? 8 : 0) | (reg >> 3);
    if (rex)
        x64_u8(c->e, 0x40 | rex);
    x64_u8(c->e, 0x0f);
    x64_u8(c->e, 0xc8 | (reg & 7));
}

void x64_bswap(struct x64_compile *c, unsigned size, unsigned reg)
{
    swap_bytes(c, size == 1 ? IR_I16 : size == 2 ? IR_I32 : IR_I64, reg);
}

static void lower_bitrev(struct x64_compile *c, const struct ir_insn *insn)
{
    static const uint64_t masks[3] = { 0x0f0f0f0f0f0f0f0full, 0x3333333333333333ull, 0x5555555555555555ull };
    bool w = wide(insn);
    unsigned dst = copy_over(c, insn->arg[0], w);
    swap_bytes(c, insn->type, dst);
    for (unsigned i = 0, shift = 4; i < 3; i++, shift /= 2) {
        x64_mov_ri(c->e, X64_RCX, w ? masks[i] : (uint32_t)masks[i]);
        x64_mov_rr(c->e, w, X64_RAX, dst);
        x64_shift_ri(c->e, X64_SHR, w, X64_RAX, shift);
        x64_alu_rr(c->e, X64_AND, w, X64_RAX, X64_RCX);
        x64_alu_rr(c->e, X64_AND, w, dst, X64_RCX);
        x64_shift_ri(c->e, X64_SHL, w, dst, shift);
        x64_alu_rr(c->e, X64_OR, w, dst, X64_RAX);
    }
}

// ---- widths and bit fields ---------------------------------------------------------------------------------------

static void lower_zext(struct x64_compile *c, const struct ir_insn *insn)
{
    if (x64_junk(c, insn->arg[0])) {
        unsigned ra = x64_use(c, insn->arg[0]);
        x64_mov_rr(c->e, false, x64_def_over(c, c->pos, insn->arg[0]), ra);
    } else {
        x64_alias(c, c->pos, insn->arg[0]);
    }
}

static void lower_sext(struct x64_compile *c, const struct ir_insn *insn)
{
    enum ir_type from = x64_type(c, insn->arg[0]);
    unsigned ra = x64_use(c, insn->arg[0]), dst = x64_def_over(c, c->pos, insn->arg[0]);
    if (from == IR_I1) {
        x64_mov_rr(c->e, false, dst, ra);
        x64_rr(c->e, 0xf7 | x64_w(wide(insn)), 3, dst);
        cut(c, insn, dst);
        return;
    }
    x64_extend(c->e, x64_type_log2(from), true, wide(insn), dst, ra);
    cut(c, insn, dst);
}

static void lower_trunc(struct x64_compile *c, const struct ir_insn *insn)
{
    if (insn->type == IR_I32) {
        x64_alias(c, c->pos, insn->arg[0]);
        return;
    }
    unsigned ra = x64_use(c, insn->arg[0]), dst = x64_def_over(c, c->pos, insn->arg[0]);
    if (insn->type == IR_I1) {
        x64_mov_rr(c->e, false, dst, ra);
        x64_alu_ri(c->e, X64_AND, false, dst, 1);
    } else {
        x64_extend(c->e, x64_type_log2(insn->type), false, false, dst, ra);
    }
}

static bool lower_bfx(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned pos = insn->sub, len = (unsigned)insn->imm, n = type_bits(insn->type);
    bool w = wide(insn), sign = insn->op == IR_OP_sbfx;
    if (narrow(insn))
        return false;
    unsigned ra = x64_use(c, insn->arg[0]), dst = x64_def_over(c, c->pos, insn->arg[0]);
    if (pos == 0 && (len == 8 || len == 16 || (len == 32 && w))) {
        unsigned size = len == 8 ? 0 : len == 16 ? 1 : 2;
        x64_extend(c->e, size, sign, w, dst, ra);
        return true;
    }
    if (dst != ra || (!w && pos == 0 && len == 32))
        x64_mov_rr(c->e, w, dst, ra);
    if (pos == 0 && len == n)
        return true;
    if (pos + len == n) {
        x64_shift_ri(c->e, sign ? X64_SAR : X64_SHR, w, dst, pos);
    } else if (!sign && len < 32) {
        if (pos)
            x64_shift_ri(c->e, X64_SHR, w, dst, pos);
        x64_alu_ri(c->e, X64_AND, false, dst, (int32_t)((1u << len) - 1));
    } else {
        x64_shift_ri(c->e, X64_SHL, w, dst, n - pos - len);
        x64_shift_ri(c->e, sign ? X64_SAR : X64_SHR, w, dst, n - len);
    }
    return true;
}

static bool lower_bfi(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned pos = insn->sub, len = (unsigned)insn->imm, n = type_bits(insn->type);
    bool w = wide(insn);
    if (narrow(insn))
        return false;
    if (len == n) {
        x64_alias(c, c->pos, insn->arg[1]);
        return true;
    }
    uint64_t keep = ~((((1ull << len) - 1)) << pos);
    unsigned rb = x64_use(c, insn->arg[1]);
    x64_mov_rr(c->e, w, X64_RCX, rb);
    unsigned dst = copy_over(c, insn->arg[0], w);
    x64_shift_ri(c->e, X64_SHL, w, X64_RCX, n - len);
    if (pos + len != n)
        x64_shift_ri(c->e, X64_SHR, w, X64_RCX, n - len - pos);
    if (!w || (int64_t)keep == (int32_t)keep) {
        x64_alu_ri(c->e, X64_AND, w, dst, (int32_t)keep);
    } else {
        x64_mov_ri(c->e, X64_RAX, keep);
        x64_alu_rr(c->e, X64_AND, w, dst, X64_RAX);
    }
    x64_alu_rr(c->e, X64_OR, w, dst, X64_RCX);
    return true;
}

static bool lower_extr(struct x64_compile *c, const struct ir_insn *insn)
{
    bool w = wide(insn);
    if (narrow(insn))
        return false;
    if (insn->imm == 0) {
        x64_alias(c, c->pos, insn->arg[1]);
        return true;
    }
    unsigned ra = x64_use(c, insn->arg[0]), rb = x64_use(c, insn->arg[1]), dst = x64_def(c, c->pos);
    x64_mov_rr(c->e, w, dst, rb);
    if (ra == rb)
        x64_rr(c->e, 0xc1 | X64_IMM1 | x64_w(w), X64_ROR, dst);
    else
        x64_rr(c->e, X64_0F | 0xac | X64_IMM1 | x64_w(w), ra, dst);
    x64_u8(c->e, (uint32_t)insn->imm);
    return true;
}

static void lower_bitcast(struct x64_compile *c, const struct ir_insn *insn)
{
    uint32_t a = insn->arg[0];
    bool to_xmm = x64_in_xmm(insn->type) || c->values[c->pos].in_xmm, from_xmm = x64_value_in_xmm(c, a);
    uint32_t w = x64_w(x64_type_log2(insn->type) == 3);
    if (to_xmm == from_xmm) {
        x64_alias(c, c->pos, a);
    } else if (to_xmm) {
        unsigned ra = x64_use(c, a);
        x64_v2(c->e, X64_MOVD_XR | w, x64_def_xmm(c, c->pos), ra);
        x64_set_width(c, c->pos, 1u << x64_type_log2(insn->type));
    } else {
        unsigned xa = x64_use_xmm(c, a), dst = x64_def(c, c->pos);
        x64_v2(c->e, X64_MOVD_RX | w, xa, dst);
        if (insn->type == IR_I16)
            x64_extend(c->e, 1, false, false, dst, dst);
    }
}

static void lower_pc(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned dst = x64_def(c, c->pos);
    int64_t offset = (int64_t)insn->imm;
    x64_load(c->e, 3, false, true, dst, x64_env(offsetof(struct ir_env, pc_page)));
    if (offset == (int32_t)offset) {
        if (offset)
            x64_lea(c->e, true, dst, x64_at((int)dst, (int32_t)offset));
    } else {
        x64_mov_ri(c->e, X64_RAX, insn->imm);
        x64_lea(c->e, true, dst, x64_at_index((int)dst, X64_RAX, 0, 0));
    }
}

bool x64_lower_int(struct x64_compile *c, const struct ir_insn *insn)
{
    if (insn->op > IR_OP_bitcast || insn->op == IR_OP_icmp || insn->op == IR_OP_select)
        return false;
    if (!x64_keeps_eflags(insn))
        x64_clobber_flags(c);
    bool done = true;
    switch (insn->op) {
    case IR_OP_nop: return true;
    case IR_OP_const:
    case IR_OP_vconst: x64_def_const(c, c->pos); return true;
    case IR_OP_get: x64_get_field(c, c->pos, (uint32_t)insn->imm); return true;
    case IR_OP_put: x64_put_field(c, (uint32_t)insn->imm, insn->arg[0]); return true;
    case IR_OP_pc: lower_pc(c, insn); break;
    case IR_OP_add: lower_alu(c, insn, X64_ADD, true); break;
    case IR_OP_sub: lower_alu(c, insn, X64_SUB, false); break;
    case IR_OP_and: lower_alu(c, insn, X64_AND, true); break;
    case IR_OP_or: lower_alu(c, insn, X64_OR, true); break;
    case IR_OP_xor: lower_alu(c, insn, X64_XOR, true); break;
    case IR_OP_adc: lower_carry(c, insn, false); break;
    case IR_OP_sbc: lower_carry(c, insn, true); break;
    case IR_OP_mul: lower_mul(c, insn); break;
    case IR_OP_umulh:
    case IR_OP_smulh: lower_mulh(c, insn, insn->op == IR_OP_smulh); break;
    case IR_OP_udiv: lower_udiv(c, insn); break;
    case IR_OP_sdiv: lower_sdiv(c, insn); break;
    case IR_OP_neg:
    case IR_OP_not: {
        unsigned dst = copy_over(c, insn->arg[0], wide(insn));
        x64_rr(c->e, 0xf7 | x64_w(wide(insn)), insn->op == IR_OP_neg ? 3 : 2, dst);
        cut(c, insn, dst);
        break;
    }
    case IR_OP_andn: lower_andn(c, insn); break;
    case IR_OP_shl: case IR_OP_shr: case IR_OP_sar: case IR_OP_ror: done = lower_shift(c, insn); break;
    case IR_OP_clz: case IR_OP_ctz: case IR_OP_popcnt: done = lower_count(c, insn); break;
    case IR_OP_bswap: swap_bytes(c, insn->type, copy_over(c, insn->arg[0], wide(insn))); break;
    case IR_OP_bitrev: lower_bitrev(c, insn); break;
    case IR_OP_zext: lower_zext(c, insn); break;
    case IR_OP_sext: lower_sext(c, insn); break;
    case IR_OP_trunc: lower_trunc(c, insn); break;
    case IR_OP_ubfx: case IR_OP_sbfx: done = lower_bfx(c, insn); break;
    case IR_OP_bfi: done = lower_bfi(c, insn); break;
    case IR_OP_extr: done = lower_extr(c, insn); break;
    case IR_OP_crc32: done = x64_lower_crc32(c, insn); break;
    case IR_OP_bitcast: lower_bitcast(c, insn); break;
    default: return false;
    }
    return done;
}
