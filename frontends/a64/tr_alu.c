// SPDX-License-Identifier: MIT
// Translates integer arithmetic and logic: immediate, shifted, extended, with carry, conditional select and
// compare. Arm ARM (DDI 0487) C6.2; groups C4.1.92 and C4.1.95.
#include "frontends/a64/tr.h"

#include "frontends/a64/imm.h"

// ---- PC-relative and move wide ----------------------------------------------------------------------------

A64_TR(adr)
{
    a64_set_reg(t, i->rd, true, a64_pc(t, t->offset + bits_sext((uint64_t)i->immhi << 2 | i->immlo, 21)));
    return true;
}

A64_TR(adrp)
{
    a64_set_reg(t, i->rd, true, a64_pc(t, bits_sext((uint64_t)i->immhi << 2 | i->immlo, 21) * 4096));
    return true;
}

A64_TR(movz)
{
    a64_set_reg(t, i->rd, true, a64_imm(t, true, (uint64_t)i->imm16 << 16 * i->hw));
    return true;
}

A64_TR(movn)
{
    uint64_t v = ~((uint64_t)i->imm16 << 16 * i->hw);

    a64_set_reg(t, i->rd, true, a64_imm(t, true, i->sf ? v : (uint32_t)v));
    return true;
}

A64_TR(movk)
{
    uint32_t v = a64_reg(t, i->rd, i->sf);

    v = a64_bits_op(t, IR_OP_bfi, a64_type(i->sf), 16 * i->hw, 16, v, a64_imm(t, i->sf, i->imm16));
    a64_set_reg(t, i->rd, i->sf, v);
    return true;
}

// ---- add and subtract -------------------------------------------------------------------------------------

enum { SUBTRACT = 1, SET_FLAGS = 2 };

static uint32_t add_sub(struct a64_tr *t, bool sf, unsigned what, uint32_t a, uint32_t b)
{
    if (what & SET_FLAGS) {
        uint32_t flags = ir_op2(t->u, what & SUBTRACT ? IR_OP_flags_sub : IR_OP_flags_add, IR_FLAGS, a, b);
        ir_put(t->u, A64_F_NZCV, flags);
    }
    return ir_op2(t->u, what & SUBTRACT ? IR_OP_sub : IR_OP_add, a64_type(sf), a, b);
}

static bool add_sub_imm(struct a64_tr *t, const struct a64_insn *i, unsigned what)
{
    uint64_t imm = (uint64_t)i->imm12 << (i->sh ? 12 : 0);
    bool aligned = t->sp_aligned && i->rn == 31 && i->sf && imm % 16 == 0;
    uint32_t a = a64_reg_sp(t, i->rn, i->sf);
    uint32_t r = imm || what & SET_FLAGS ? add_sub(t, i->sf, what, a, a64_imm(t, i->sf, imm)) : a;

    if (what & SET_FLAGS) {
        a64_set_reg(t, i->rd, i->sf, r);
    } else {
        a64_set_reg_sp(t, i->rd, i->sf, r);
        if (i->rd == 31)
            t->sp_aligned = aligned;
    }
    return true;
}

A64_TR(add_imm) { return add_sub_imm(t, i, 0); }
A64_TR(adds_imm) { return add_sub_imm(t, i, SET_FLAGS); }
A64_TR(sub_imm) { return add_sub_imm(t, i, SUBTRACT); }
A64_TR(subs_imm) { return add_sub_imm(t, i, SUBTRACT | SET_FLAGS); }

static uint32_t shifted(struct a64_tr *t, unsigned rm, bool sf, unsigned shift, unsigned amount)
{
    static const enum ir_op ops[4] = {IR_OP_shl, IR_OP_shr, IR_OP_sar, IR_OP_ror};
    uint32_t v = a64_reg(t, rm, sf);

    return amount ? ir_op2(t->u, ops[shift], a64_type(sf), v, a64_imm(t, sf, amount)) : v;
}

static bool add_sub_reg(struct a64_tr *t, const struct a64_insn *i, unsigned what)
{
    uint32_t b = shifted(t, i->rm, i->sf, i->shift, i->imm6);

    a64_set_reg(t, i->rd, i->sf, add_sub(t, i->sf, what, a64_reg(t, i->rn, i->sf), b));
    return true;
}

A64_TR(add_reg) { return add_sub_reg(t, i, 0); }
A64_TR(adds_reg) { return add_sub_reg(t, i, SET_FLAGS); }
A64_TR(sub_reg) { return add_sub_reg(t, i, SUBTRACT); }
A64_TR(subs_reg) { return add_sub_reg(t, i, SUBTRACT | SET_FLAGS); }

static bool add_sub_ext(struct a64_tr *t, const struct a64_insn *i, unsigned what)
{
    uint32_t b = a64_extend(t, i->rm, i->option, i->imm3, i->sf);
    uint32_t r = add_sub(t, i->sf, what, a64_reg_sp(t, i->rn, i->sf), b);

    if (what & SET_FLAGS)
        a64_set_reg(t, i->rd, i->sf, r);
    else
        a64_set_reg_sp(t, i->rd, i->sf, r);
    return true;
}

A64_TR(add_ext) { return add_sub_ext(t, i, 0); }
A64_TR(adds_ext) { return add_sub_ext(t, i, SET_FLAGS); }
A64_TR(sub_ext) { return add_sub_ext(t, i, SUBTRACT); }
A64_TR(subs_ext) { return add_sub_ext(t, i, SUBTRACT | SET_FLAGS); }

static bool with_carry(struct a64_tr *t, const struct a64_insn *i, unsigned what)
{
    uint32_t c = ir_cond(t->u, IR_CS, ir_get(t->u, A64_F_NZCV));
    uint32_t a = a64_reg(t, i->rn, i->sf), b = a64_reg(t, i->rm, i->sf);
    uint32_t r = ir_op3(t->u, what & SUBTRACT ? IR_OP_sbc : IR_OP_adc, a64_type(i->sf), a, b, c);

    if (what & SET_FLAGS)
        ir_put(t->u, A64_F_NZCV,
               ir_op3(t->u, what & SUBTRACT ? IR_OP_flags_sbc : IR_OP_flags_adc, IR_FLAGS, a, b, c));
    a64_set_reg(t, i->rd, i->sf, r);
    return true;
}

A64_TR(adc) { return with_carry(t, i, 0); }
A64_TR(adcs) { return with_carry(t, i, SET_FLAGS); }
A64_TR(sbc) { return with_carry(t, i, SUBTRACT); }
A64_TR(sbcs) { return with_carry(t, i, SUBTRACT | SET_FLAGS); }

// ---- logic ------------------------------------------------------------------------------------------------

static void set_logic_flags(struct a64_tr *t, uint32_t value)
{
    ir_put(t->u, A64_F_NZCV, ir_op1(t->u, IR_OP_flags_logic, IR_FLAGS, value));
}

static bool logic_imm(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, bool flags)
{
    uint64_t mask;

    if (!a64_bit_masks(i->n, i->imms, i->immr, true, i->sf ? 64 : 32, &mask, NULL))
        return false;
    uint32_t r = ir_op2(t->u, op, a64_type(i->sf), a64_reg(t, i->rn, i->sf), a64_imm(t, i->sf, mask));
    if (flags) {
        set_logic_flags(t, r);
        a64_set_reg(t, i->rd, i->sf, r);
    } else {
        a64_set_reg_sp(t, i->rd, i->sf, r);
    }
    return true;
}

A64_TR(and_imm) { return logic_imm(t, i, IR_OP_and, false); }
A64_TR(orr_imm) { return logic_imm(t, i, IR_OP_or, false); }
A64_TR(eor_imm) { return logic_imm(t, i, IR_OP_xor, false); }
A64_TR(ands_imm) { return logic_imm(t, i, IR_OP_and, true); }

static bool logic_reg(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, bool invert, bool flags)
{
    enum ir_type type = a64_type(i->sf);
    uint32_t b = shifted(t, i->rm, i->sf, i->shift, i->imm6);

    if (invert && op == IR_OP_and)
        op = IR_OP_andn;
    else if (invert)
        b = ir_op1(t->u, IR_OP_not, type, b);
    bool move = i->rn == 31 && op == IR_OP_or;
    uint32_t r = move ? b : ir_op2(t->u, op, type, a64_reg(t, i->rn, i->sf), b);
    if (flags)
        set_logic_flags(t, r);
    a64_set_reg(t, i->rd, i->sf, r);
    return true;
}

A64_TR(and_reg) { return logic_reg(t, i, IR_OP_and, false, false); }
A64_TR(bic_reg) { return logic_reg(t, i, IR_OP_and, true, false); }
A64_TR(orr_reg) { return logic_reg(t, i, IR_OP_or, false, false); }
A64_TR(orn_reg) { return logic_reg(t, i, IR_OP_or, true, false); }
A64_TR(eor_reg) { return logic_reg(t, i, IR_OP_xor, false, false); }
A64_TR(eon_reg) { return logic_reg(t, i, IR_OP_xor, true, false); }
A64_TR(ands_reg) { return logic_reg(t, i, IR_OP_and, false, true); }
A64_TR(bics_reg) { return logic_reg(t, i, IR_OP_and, true, true); }

// ---- conditional select and compare -----------------------------------------------------------------------

static bool select(struct a64_tr *t, const struct a64_insn *i, bool invert, bool increment)
{
    enum ir_type type = a64_type(i->sf);
    uint32_t a = a64_reg(t, i->rn, i->sf);

    if (i->cond >= 14) {
        a64_set_reg(t, i->rd, i->sf, a);
        return true;
    }
    uint32_t b = a64_reg(t, i->rm, i->sf);
    if (invert && increment)
        b = ir_op1(t->u, IR_OP_neg, type, b);
    else if (invert)
        b = ir_op1(t->u, IR_OP_not, type, b);
    else if (increment)
        b = ir_op2(t->u, IR_OP_add, type, b, a64_imm(t, i->sf, 1));
    a64_set_reg(t, i->rd, i->sf, ir_op3(t->u, IR_OP_select, type, a64_condition(t, i->cond), a, b));
    return true;
}

A64_TR(csel) { return select(t, i, false, false); }
A64_TR(csinc) { return select(t, i, false, true); }
A64_TR(csinv) { return select(t, i, true, false); }
A64_TR(csneg) { return select(t, i, true, true); }

static bool compare(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, uint32_t b)
{
    uint32_t flags = ir_op2(t->u, op, IR_FLAGS, a64_reg(t, i->rn, i->sf), b);

    if (i->cond < 14) {
        uint32_t other = ir_op1(t->u, IR_OP_flags_pack, IR_FLAGS, a64_imm(t, false, (uint32_t)i->nzcv << 28));
        flags = ir_op3(t->u, IR_OP_select, IR_FLAGS, a64_condition(t, i->cond), flags, other);
    }
    ir_put(t->u, A64_F_NZCV, flags);
    return true;
}

A64_TR(ccmn_reg) { return compare(t, i, IR_OP_flags_add, a64_reg(t, i->rm, i->sf)); }
A64_TR(ccmp_reg) { return compare(t, i, IR_OP_flags_sub, a64_reg(t, i->rm, i->sf)); }
A64_TR(ccmn_imm) { return compare(t, i, IR_OP_flags_add, a64_imm(t, i->sf, i->imm5)); }
A64_TR(ccmp_imm) { return compare(t, i, IR_OP_flags_sub, a64_imm(t, i->sf, i->imm5)); }
