// SPDX-License-Identifier: MIT
// Owns the computation of the unit key from PSTATE, SCTLR, TCR, CPACR, FPCR and MDSCR.
#include "frontends/a64/key.h"

#include "frontends/a64/regs.h"
#include "frontends/a64/state.h"

uint32_t a64_key_fp_mode(uint32_t key)
{
    static const uint8_t rounds[4] = {IR_RN, IR_RP, IR_RM, IR_RZ};

    return rounds[(key & A64_KEY_RMODE) >> A64_KEY_RMODE_SHIFT] | (key & A64_KEY_DN ? IR_FP_DN : 0) |
           (key & A64_KEY_FZ ? IR_FP_FTZ : 0) | (key & A64_KEY_FZ16 ? IR_FP_FTZ16 : 0) |
           (key & A64_KEY_AHP ? IR_FP_AHP : 0);
}

static uint32_t control_bits(const struct a64_cpu *cpu)
{
    uint64_t sctlr = cpu->sys[A64_SR_SCTLR_EL1], tcr = cpu->sys[A64_SR_TCR_EL1];
    unsigned fpen = bits_get(cpu->sys[A64_SR_CPACR_EL1], 20, 2);
    bool el0 = cpu->el == 0;
    uint32_t key = 0;

    key |= sctlr & SCTLR_M ? A64_KEY_MMU : 0;
    key |= sctlr & SCTLR_A ? A64_KEY_ALIGN : 0;
    key |= sctlr & (el0 ? SCTLR_SA0 : SCTLR_SA) ? A64_KEY_SP_ALIGN : 0;
    key |= sctlr & (el0 ? SCTLR_E0E : SCTLR_EE) ? A64_KEY_BE : 0;
    key |= tcr & TCR_TBI0 ? A64_KEY_TBI0 : 0;
    key |= tcr & TCR_TBI1 ? A64_KEY_TBI1 : 0;
    key |= el0 && cpu->sys[A64_SR_CNTKCTL_EL1] & CNTKCTL_EL0VCTEN ? A64_KEY_COUNTER : 0;
    key |= fpen == 3 || (fpen == 1 && !el0) ? 0 : A64_KEY_FP_TRAP;
    return key;
}

// Debug exceptions from EL0 are always enabled, from EL1 where MDSCR.KDE is set and PSTATE.D clear; all of
// them need the OS lock clear.
static uint32_t debug_bits(const struct a64_cpu *cpu)
{
    uint64_t mdscr = cpu->sys[A64_SR_MDSCR_EL1];
    bool enabled = !(cpu->sys[A64_SR_OSLSR_EL1] & OSLSR_OSLK) &&
                   (cpu->el == 0 || (mdscr & MDSCR_KDE && !(cpu->daif & A64_DAIF_D)));
    uint32_t key = 0;

    if (!(mdscr & (MDSCR_SS | MDSCR_MDE)))
        return 0;
    key |= A64_KEY_DEBUG;
    if (enabled && mdscr & MDSCR_SS)
        key |= A64_KEY_STEP | (cpu->ss ? A64_KEY_SS : 0);
    if (enabled && mdscr & MDSCR_MDE)
        key |= A64_KEY_BREAK;
    return key;
}

void a64_key_update(struct a64_cpu *cpu)
{
    uint32_t key = cpu->el | (cpu->el && cpu->spsel ? A64_KEY_SPSEL : 0) | (cpu->il ? A64_KEY_IL : 0);

    key |= control_bits(cpu) | debug_bits(cpu);
    key |= cpu->fpcr & FPCR_DN ? A64_KEY_DN : 0;
    key |= cpu->fpcr & FPCR_FZ ? A64_KEY_FZ : 0;
    key |= cpu->fpcr & FPCR_AHP ? A64_KEY_AHP : 0;
    key |= bits_get(cpu->fpcr, FPCR_RMODE_SHIFT, 2) << A64_KEY_RMODE_SHIFT;
    cpu->env.key = (cpu->env.key & 0xf0000000u) | key;
    cpu->env.fp_mode = a64_key_fp_mode(key);
}
