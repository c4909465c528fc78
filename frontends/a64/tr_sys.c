// SPDX-License-Identifier: MIT
// Translates hints, barriers, PSTATE writes, and MRS, MSR, SYS, SYSL. Registers that are plain storage become
// a get or a put, constants a constant; the rest go through two helpers with the row of the table as an
// argument. Arm ARM (DDI 0487) C5, C6.2.
#include "frontends/a64/tr.h"

#include "frontends/a64/regs.h"
#include "frontends/a64/sysreg.h"

// ---- hints ------------------------------------------------------------------------------------------------

static void call0(struct a64_tr *t, enum a64_helper helper)
{
    ir_call(t->u, helper, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE);
}

A64_TR(nop) { return true; }
A64_TR(hint) { return true; }

A64_TR(yield)
{
    ir_emit(t->u, (struct ir_insn){.op = IR_OP_exit_stop, .type = IR_VOID, .sub = IR_EXIT_YIELD,
                                   .arg = {a64_pc(t, t->offset + 4), IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}});
    t->ended = true;
    return true;
}

// The helpers of WFI and WFE always leave.
static bool wait(struct a64_tr *t, enum a64_helper helper)
{
    call0(t, helper);
    a64_exit_state(t);
    return true;
}

A64_TR(wfi) { return wait(t, A64_HELPER_wfi); }
A64_TR(wfe) { return wait(t, A64_HELPER_wfe); }

static bool send_event(struct a64_tr *t, bool local)
{
    ir_call(t->u, A64_HELPER_sev, a64_imm(t, false, local), IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE);
    return true;
}

A64_TR(sev) { return send_event(t, false); }
A64_TR(sevl) { return send_event(t, true); }

// ---- barriers ---------------------------------------------------------------------------------------------

static enum ir_fence fence_kind(const struct a64_insn *i)
{
    return (i->crm & 3) == 1 ? IR_FENCE_LOAD : (i->crm & 3) == 2 ? IR_FENCE_STORE : IR_FENCE_FULL;
}

A64_TR(dmb)
{
    a64_fence(t, fence_kind(i));
    return true;
}

A64_TR(dsb)
{
    a64_fence(t, fence_kind(i));
    call0(t, A64_HELPER_dsb);
    return true;
}

// What follows an ISB is looked up anew: the mapping of this page may have changed.
A64_TR(isb)
{
    call0(t, A64_HELPER_isb);
    a64_exit_indirect(t, a64_pc(t, t->offset + 4), IR_JUMP_PLAIN);
    return true;
}

// ---- PSTATE -----------------------------------------------------------------------------------------------

static void pstate_write(struct a64_tr *t, enum a64_pstate_op op, unsigned imm)
{
    ir_call(t->u, A64_HELPER_pstate_write, a64_imm(t, false, op), a64_imm(t, false, imm), IR_NO_VALUE,
            IR_NO_VALUE);
}

A64_TR(msr_spsel)
{
    if (a64_key_el(t->key) == 0)
        return false;
    pstate_write(t, A64_PSTATE_SPSEL, i->crm);
    a64_exit_indirect(t, a64_pc(t, t->offset + 4), IR_JUMP_PLAIN);
    return true;
}

// PSTATE.DAIF := value. Interrupts are only looked for where bits may have been cleared.
static void set_daif(struct a64_tr *t, uint32_t value, bool may_clear)
{
    ir_put(t->u, A64_F_DAIF, value);
    if (may_clear)
        ir_call(t->u, A64_HELPER_irq_check, value, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE);
}

// At EL0 SCTLR.UMA decides; with debug exceptions in use PSTATE.D is part of the key, and the unit ends.
static bool daif_by_helper(struct a64_tr *t, enum a64_pstate_op op, unsigned imm)
{
    if (a64_key_el(t->key) && !(t->key & A64_KEY_DEBUG))
        return false;
    pstate_write(t, op, imm);
    a64_exit_indirect(t, a64_pc(t, t->offset + 4), IR_JUMP_PLAIN);
    return true;
}

A64_TR(msr_daifset)
{
    if (daif_by_helper(t, A64_PSTATE_DAIFSET, i->crm))
        return true;
    uint32_t daif = ir_get(t->u, A64_F_DAIF);
    set_daif(t, ir_op2(t->u, IR_OP_or, IR_I32, daif, a64_imm(t, false, (uint32_t)i->crm << 6)), false);
    return true;
}

A64_TR(msr_daifclr)
{
    if (daif_by_helper(t, A64_PSTATE_DAIFCLR, i->crm))
        return true;
    uint32_t daif = ir_get(t->u, A64_F_DAIF);
    set_daif(t, ir_op2(t->u, IR_OP_andn, IR_I32, daif, a64_imm(t, false, (uint32_t)i->crm << 6)), true);
    return true;
}

// ---- system registers -------------------------------------------------------------------------------------

static uint32_t trap_iss(const struct a64_insn *i, unsigned op0, bool read)
{
    return op0 << 20 | (uint32_t)i->op2 << 17 | (uint32_t)i->op1 << 14 | (uint32_t)i->crn << 10 |
           (uint32_t)i->rt << 5 | (uint32_t)i->crm << 1 | read;
}

static bool may_access(const struct a64_tr *t, const struct a64_sysreg *r, bool read)
{
    unsigned need = (read ? A64_EL0_R : A64_EL0_W) << (a64_key_el(t->key) ? 2 : 0);

    return r->access & need;
}

static bool read_register(struct a64_tr *t, const struct a64_insn *i, unsigned op0)
{
    uint32_t enc = VCPU_REG_A64(op0, i->op1, i->crn, i->crm, i->op2), value;
    const struct a64_sysreg *r = a64_sysreg_find(enc, t->model);

    if (!r && a64_sysreg_is_raz(enc) && a64_key_el(t->key)) {
        a64_set_reg(t, i->rt, true, a64_imm(t, true, 0));
        return true;
    }
    if (!r || !may_access(t, r, true))
        return false;
    if (r->flags & A64_SRF_SPSEL_ONLY && !(t->key & A64_KEY_SPSEL))
        return false;
    if (r->model_offset)
        value = a64_imm(t, true, *(const uint64_t *)((const char *)t->model + r->model_offset));
    else if (r->field >= 0 && !r->read && !r->trap)
        value = ir_get(t->u, r->field);
    else if (r->flags & A64_SRF_SPSEL_ONLY)
        value = ir_get(t->u, A64_F_SP_EL0);
    else if (r->flags & A64_SRF_DAIF && a64_key_el(t->key))
        value = ir_op1(t->u, IR_OP_zext, IR_I64, ir_get(t->u, A64_F_DAIF));
    else if (r->flags & A64_SRF_NZCV)
        value = ir_op1(t->u, IR_OP_zext, IR_I64,
                       ir_op1(t->u, IR_OP_flags_unpack, IR_I32, ir_get(t->u, A64_F_NZCV)));
    else if (r->flags & A64_SRF_CONST_EL)
        value = a64_imm(t, true, (uint64_t)a64_key_el(t->key) << 2);
    else if (r->read == a64_read_counter &&
             (a64_key_el(t->key) || (r->trap == A64_TRAP_VCNT && t->key & A64_KEY_COUNTER)))
        value = ir_call(t->u, A64_HELPER_counter, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE);
    else
        value = ir_call(t->u, A64_HELPER_sysreg_read, a64_imm(t, false, r - a64_sysregs),
                        a64_imm(t, false, trap_iss(i, op0, true)), IR_NO_VALUE, IR_NO_VALUE);
    a64_set_reg(t, i->rt, true, value);
    return true;
}

// Writes that are a put of the value, masked where the register is.
static bool write_inline(struct a64_tr *t, const struct a64_sysreg *r, uint32_t value)
{
    uint64_t fixed = r->reset & ~r->writable;

    if (r->field >= 0 && !r->write && !r->trap) {
        if (r->writable != ~0ull)
            value = ir_op2(t->u, IR_OP_and, IR_I64, value, a64_imm(t, true, r->writable));
        if (fixed)
            value = ir_op2(t->u, IR_OP_or, IR_I64, value, a64_imm(t, true, fixed));
        ir_put(t->u, r->field, value);
    } else if (r->flags & A64_SRF_SPSEL_ONLY) {
        ir_put(t->u, A64_F_SP_EL0, value);
    } else if (r->flags & A64_SRF_NZCV) {
        value = ir_op1(t->u, IR_OP_trunc, IR_I32, value);
        ir_put(t->u, A64_F_NZCV, ir_op1(t->u, IR_OP_flags_pack, IR_FLAGS, value));
    } else if (r->flags & A64_SRF_DAIF && a64_key_el(t->key) && !(t->key & A64_KEY_DEBUG)) {
        value = ir_op1(t->u, IR_OP_trunc, IR_I32, value);
        set_daif(t, ir_op2(t->u, IR_OP_and, IR_I32, value, a64_imm(t, false, A64_DAIF)), true);
    } else {
        return false;
    }
    return true;
}

static bool write_register(struct a64_tr *t, const struct a64_insn *i, unsigned op0)
{
    const struct a64_sysreg *r =
        a64_sysreg_find(VCPU_REG_A64(op0, i->op1, i->crn, i->crm, i->op2), t->model);

    if (!r || !may_access(t, r, false))
        return false;
    if (r->flags & A64_SRF_SPSEL_ONLY && !(t->key & A64_KEY_SPSEL))
        return false;
    uint32_t value = a64_reg(t, i->rt, true);
    if (write_inline(t, r, value))
        return true;
    ir_call(t->u, A64_HELPER_sysreg_write, a64_imm(t, false, r - a64_sysregs), value,
            a64_imm(t, false, trap_iss(i, op0, false)), IR_NO_VALUE);
    // The host's FP mode is set at the entry from the dispatcher: a chained jump would keep the old one.
    if (r == &a64_sysregs[A64_SR_FPCR])
        a64_exit_state(t);
    else if (r->flags & A64_SRF_KEY)
        a64_exit_indirect(t, a64_pc(t, t->offset + 4), IR_JUMP_PLAIN);
    return true;
}

A64_TR(mrs) { return read_register(t, i, 2 + i->o0); }
A64_TR(msr_reg) { return write_register(t, i, 2 + i->o0); }
A64_TR(sys) { return write_register(t, i, 1); }
A64_TR(sysl) { return read_register(t, i, 1); }
