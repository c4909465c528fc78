// SPDX-License-Identifier: MIT
// Translates branches and exception generation. Arm ARM (DDI 0487) C6.2, groups C4.1.94.
#include "frontends/a64/tr.h"

#include "frontends/a64/regs.h"

A64_TR(b)
{
    a64_goto(t, t->offset + bits_sext(i->imm26, 26) * 4, IR_JUMP_PLAIN);
    return true;
}

A64_TR(bl)
{
    a64_set_reg(t, 30, true, a64_pc(t, t->offset + 4));
    a64_goto(t, t->offset + bits_sext(i->imm26, 26) * 4, IR_JUMP_CALL);
    return true;
}

A64_TR(b_cond)
{
    int64_t target = t->offset + bits_sext(i->imm19, 19) * 4;

    if (i->cond >= 14)
        a64_goto(t, target, IR_JUMP_PLAIN);
    else
        a64_branch_if(t, a64_condition(t, i->cond), target);
    return true;
}

static bool compare_branch(struct a64_tr *t, const struct a64_insn *i, enum ir_cmp cmp)
{
    uint32_t c = ir_icmp(t->u, cmp, a64_reg(t, i->rt, i->sf), a64_imm(t, i->sf, 0));

    a64_branch_if(t, c, t->offset + bits_sext(i->imm19, 19) * 4);
    return true;
}

A64_TR(cbz) { return compare_branch(t, i, IR_CEQ); }
A64_TR(cbnz) { return compare_branch(t, i, IR_CNE); }

static bool test_branch(struct a64_tr *t, const struct a64_insn *i, enum ir_cmp cmp)
{
    uint64_t bit = 1ull << (i->b5 << 5 | i->b40);
    uint32_t v = ir_op2(t->u, IR_OP_and, a64_type(i->b5), a64_reg(t, i->rt, i->b5), a64_imm(t, i->b5, bit));

    a64_branch_if(t, ir_icmp(t->u, cmp, v, a64_imm(t, i->b5, 0)), t->offset + bits_sext(i->imm14, 14) * 4);
    return true;
}

A64_TR(tbz) { return test_branch(t, i, IR_CEQ); }
A64_TR(tbnz) { return test_branch(t, i, IR_CNE); }

A64_TR(br)
{
    a64_exit_indirect(t, a64_branch_address(t, a64_reg(t, i->rn, true)), IR_JUMP_PLAIN);
    return true;
}

A64_TR(blr)
{
    uint32_t target = a64_branch_address(t, a64_reg(t, i->rn, true));

    a64_set_reg(t, 30, true, a64_pc(t, t->offset + 4));
    a64_exit_indirect(t, target, IR_JUMP_CALL);
    return true;
}

A64_TR(ret)
{
    a64_exit_indirect(t, a64_branch_address(t, a64_reg(t, i->rn, true)), IR_JUMP_RETURN);
    return true;
}

A64_TR(eret)
{
    if (a64_key_el(t->key) == 0)
        return false;
    uint32_t pc = ir_call(t->u, A64_HELPER_eret, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE);
    a64_exit_indirect(t, pc, IR_JUMP_PLAIN);
    return true;
}

A64_TR(svc)
{
    a64_raise(t, ESR(EC_SVC, i->imm16), t->offset + 4);
    return true;
}

static bool call_out(struct a64_tr *t, unsigned ec, unsigned imm)
{
    if (a64_key_el(t->key) == 0)
        return false;
    uint32_t esr = ir_const(t->u, IR_I32, ESR(ec, imm));
    uint32_t pc = ir_call(t->u, A64_HELPER_call_out, esr, a64_pc(t, t->offset), IR_NO_VALUE, IR_NO_VALUE);
    a64_exit_indirect(t, pc, IR_JUMP_PLAIN);
    return true;
}

A64_TR(hvc) { return call_out(t, EC_HVC, i->imm16); }
A64_TR(smc) { return call_out(t, EC_SMC, i->imm16); }

A64_TR(brk)
{
    a64_raise(t, ESR(EC_BRK, i->imm16), t->offset);
    return true;
}

// Halting debug is not built: HLT, DCPSn and DRPS are UNDEFINED outside Debug state, but for the HLT that semihosting
// takes where it is attached.
A64_TR(hlt)
{
    enum { SEMIHOSTING = 0xf000 };
    if (i->imm16 != SEMIHOSTING)
        return false;
    uint32_t pc = ir_call(t->u, A64_HELPER_semihost, a64_pc(t, t->offset), IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE);
    a64_exit_indirect(t, pc, IR_JUMP_PLAIN);
    return true;
}
A64_TR(dcps1) { return false; }
A64_TR(dcps2) { return false; }
A64_TR(dcps3) { return false; }
A64_TR(drps) { return false; }
