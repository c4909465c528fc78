// SPDX-License-Identifier: MIT
// Owns the functions of system registers of the processor itself: control registers that change the key or
// the context, PSTATE fields, FP control and status, identification that depends on the vCPU. Arm ARM (DDI
// 0487) D17.2.
#include "accel/guest_api.h"
#include "frontends/a64/exception.h"
#include "frontends/a64/helpers.h"
#include "frontends/a64/key.h"
#include "frontends/a64/regs.h"
#include "frontends/a64/sysreg.h"

#define READ(name) uint64_t a64_read_##name(struct a64_cpu *cpu, enum a64_sr sr)
#define WRITE(name) int a64_write_##name(struct a64_cpu *cpu, enum a64_sr sr, uint64_t value)

READ(zero) { return 0; }
WRITE(ignore) { return IR_EXIT_NONE; }

// SCTLR, CPACR, TCR, TTBRn, MAIR: the key follows at once, the translation context at the next
// synchronisation. Bits outside writable keep what reset gave them.
WRITE(control)
{
    uint64_t writable = a64_sysregs[sr].writable, old = cpu->sys[sr];

    cpu->sys[sr] = (value & writable) | (old & ~writable);
    if (cpu->sys[sr] != old) {
        cpu->context_dirty = 1;
        vcpu_context_pending(&cpu->env);
        if (a64_sysregs[sr].flags & A64_SRF_KEY)
            a64_key_update(cpu);
    }
    return IR_EXIT_NONE;
}

WRITE(tcr)
{
    bool e0pd = bits_get(cpu->model->mmfr2, 60, 4);

    return a64_write_control(cpu, sr, value & ~(e0pd ? 0 : TCR_E0PD0 | TCR_E0PD1));
}

// ---- identification ---------------------------------------------------------------------------------------

// Affinity as clusters of 16, the numbering of GICv3's SGI target lists.
READ(mpidr)
{
    return 1ull << 31 | (uint64_t)(cpu->index / 16) << 8 | cpu->index % 16;
}

READ(pfr0)
{
    return cpu->model->pfr0 | (cpu->gic_sysregs ? 1u << 24 : 0);
}

READ(ccsidr)
{
    unsigned n = cpu->sys[A64_SR_CSSELR_EL1] & 0xf;

    return n < ARRAY_SIZE(cpu->model->ccsidr) ? cpu->model->ccsidr[n] : 0;
}

READ(ctr) { return cpu->model->ctr; }

READ(dczid)
{
    bool prohibited = cpu->el == 0 && !(cpu->sys[A64_SR_SCTLR_EL1] & SCTLR_DZE);

    return cpu->model->dczid | (prohibited ? 16 : 0);
}

READ(isr)
{
    uint32_t pending = atomic_load_explicit(&cpu->env.irq_pending, memory_order_relaxed);

    return (pending & 1u << VCPU_IRQ ? A64_DAIF_I : 0) | (pending & 1u << VCPU_FIQ ? A64_DAIF_F : 0);
}

// ---- PSTATE -----------------------------------------------------------------------------------------------

READ(spsel) { return cpu->spsel; }
READ(nzcv) { return a64_nzcv_unpack(cpu->nzcv); }
READ(currentel) { return (uint64_t)cpu->el << 2; }
READ(daif) { return cpu->daif; }
READ(sp_el0) { return *a64_sp_slot(cpu, 0); }

WRITE(sp_el0)
{
    *a64_sp_slot(cpu, 0) = value;
    return IR_EXIT_NONE;
}

WRITE(spsel)
{
    a64_set_el(cpu, cpu->el, value & 1);
    a64_key_update(cpu);
    return IR_EXIT_NONE;
}

WRITE(nzcv)
{
    cpu->nzcv = a64_nzcv_pack((uint32_t)value);
    return IR_EXIT_NONE;
}

WRITE(daif)
{
    cpu->daif = value & A64_DAIF;
    if (cpu->env.key & A64_KEY_DEBUG)
        a64_key_update(cpu);
    a64_interrupts_unmasked(cpu);
    return IR_EXIT_NONE;
}

// MSR (immediate). DAIFSet and DAIFClr at EL0 are subject to SCTLR.UMA; the syndrome is that of MSR
// DAIFSet/Clr, Rt 31.
int a64_help_pstate_write(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    enum a64_pstate_op op = (enum a64_pstate_op)args[0].i;
    unsigned imm = (unsigned)args[1].i;

    if (op == A64_PSTATE_SPSEL)
        return a64_write_spsel(cpu, A64_SR_SPSel, imm);
    if (cpu->el == 0 && !(cpu->sys[A64_SR_SCTLR_EL1] & SCTLR_UMA)) {
        unsigned op2 = op == A64_PSTATE_DAIFSET ? 6 : 7;
        uint32_t iss = 0u << 20 | op2 << 17 | 3u << 14 | 4u << 10 | 31u << 5 | imm << 1;
        env->pc = a64_exception(cpu, ESR(EC_SYSREG, iss), env->pc);
        return IR_EXIT_STATE;
    }
    cpu->daif = op == A64_PSTATE_DAIFSET ? cpu->daif | imm << 6 : cpu->daif & ~(imm << 6);
    if (cpu->env.key & A64_KEY_DEBUG)
        a64_key_update(cpu);
    if (op == A64_PSTATE_DAIFSET || !a64_interrupts_unmasked(cpu))
        return IR_EXIT_NONE;
    env->pc += 4;
    return IR_EXIT_STATE;
}

// ---- floating point ---------------------------------------------------------------------------------------

READ(fpcr) { return cpu->fpcr; }

WRITE(fpcr)
{
    cpu->fpcr = value & FPCR_WRITABLE;
    a64_key_update(cpu);
    return IR_EXIT_NONE;
}

// QC has two places: the accumulator of inline code, and fp_flags for helpers.
READ(fpsr)
{
    return (cpu->env.fp_flags & (FPSR_EXCEPTIONS | FPSR_QC)) | (cpu->qc.d[0] | cpu->qc.d[1] ? FPSR_QC : 0);
}

WRITE(fpsr)
{
    cpu->env.fp_flags = value & FPSR_EXCEPTIONS;
    cpu->qc.d[0] = value & FPSR_QC ? 1 : 0;
    cpu->qc.d[1] = 0;
    return IR_EXIT_NONE;
}
