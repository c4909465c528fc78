// SPDX-License-Identifier: MIT
// Owns the self-hosted debug registers, software step, hardware breakpoints and watchpoints. Arm ARM (DDI
// 0487) D2, D17.3.
#include "accel/guest_api.h"
#include "frontends/a64/exception.h"
#include "frontends/a64/helpers.h"
#include "frontends/a64/key.h"
#include "frontends/a64/mmu.h"
#include "frontends/a64/regs.h"
#include "frontends/a64/sysreg.h"

#define READ(name) uint64_t a64_read_##name(struct a64_cpu *cpu, enum a64_sr sr)
#define WRITE(name) int a64_write_##name(struct a64_cpu *cpu, enum a64_sr sr, uint64_t value)

// ---- watchpoints ------------------------------------------------------------------------------------------

// The range and accesses of watchpoint n, or false where it cannot match. EL1 takes watchpoints with
// MDSCR.KDE; that PSTATE.D masks them for moments is not modelled.
static bool watchpoint(const struct a64_cpu *cpu, unsigned n, struct vcpu_watch *ret)
{
    static const enum a64_sr values[] = {A64_SR_DBGWVR0_EL1, A64_SR_DBGWVR1_EL1, A64_SR_DBGWVR2_EL1,
                                         A64_SR_DBGWVR3_EL1};
    uint64_t wvr = cpu->sys[values[n]], wcr = cpu->sys[values[n] + 1];
    unsigned pac = bits_get(wcr, 1, 2), lsc = bits_get(wcr, 3, 2), mask = bits_get(wcr, 24, 5);
    unsigned bytes = bits_get(wcr, 5, wvr & 4 ? 4 : 8); // BAS
    bool el1 = pac & 1 && cpu->sys[A64_SR_MDSCR_EL1] & MDSCR_KDE, el0 = pac & 2;

    if (!(wcr & 1) || !lsc || !bytes || !(el0 || el1))
        return false;
    *ret = (struct vcpu_watch){
        .va = bits_sext(wvr, 49),
        .access = (lsc & 1 ? GUEST_R : 0) | (lsc & 2 ? GUEST_W : 0),
        .mmu_mask = (el0 ? 1u << A64_MMU_EL0 : 0) | (el1 ? 1u << A64_MMU_EL1 | 1u << A64_MMU_EL1_PAN : 0),
    };
    if (mask >= 3) {
        ret->va &= ~bits_mask(mask);
        ret->len = 1ull << mask;
    } else {
        ret->va += __builtin_ctz(bytes);
        ret->len = __builtin_popcount(bytes);
    }
    return true;
}

static void update_watchpoints(struct a64_cpu *cpu)
{
    struct vcpu_watch watch[4];
    unsigned count = 0;

    if (cpu->sys[A64_SR_MDSCR_EL1] & MDSCR_MDE && !(cpu->sys[A64_SR_OSLSR_EL1] & OSLSR_OSLK))
        for (unsigned n = 0; n < 4; n++)
            count += watchpoint(cpu, n, &watch[count]);
    if (count || cpu->watching)
        vcpu_set_watch(&cpu->env, VCPU_WATCH_GUEST, watch, count);
    cpu->watching = count != 0;
}

// ---- registers --------------------------------------------------------------------------------------------

WRITE(mdscr)
{
    cpu->sys[sr] = value & a64_sysregs[sr].writable;
    update_watchpoints(cpu);
    a64_key_update(cpu);
    return IR_EXIT_NONE;
}

WRITE(oslar)
{
    cpu->sys[A64_SR_OSLSR_EL1] = OSLSR_OSLM1 | (value & 1 ? OSLSR_OSLK : 0);
    update_watchpoints(cpu);
    a64_key_update(cpu);
    return IR_EXIT_NONE;
}

WRITE(dbg)
{
    const struct a64_sysreg *r = &a64_sysregs[sr];

    cpu->sys[sr] = (value & r->writable) | (r->reset & ~r->writable);
    update_watchpoints(cpu);
    return IR_EXIT_NONE;
}

// The claim tags live in CLAIMCLR; CLAIMSET reads as all implemented tags.
READ(dbgclaimset) { return 0xff; }

WRITE(dbgclaimset)
{
    cpu->sys[A64_SR_DBGCLAIMCLR_EL1] |= value & 0xff;
    return IR_EXIT_NONE;
}

WRITE(dbgclaimclr)
{
    cpu->sys[sr] &= ~(value & 0xff);
    return IR_EXIT_NONE;
}

// ---- software step ----------------------------------------------------------------------------------------

int a64_help_step_begin(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    struct a64_cpu *cpu = a64_cpu_of(env);

    cpu->ss = 0;
    cpu->stepped = args[0].i ? A64_STEPPED_EXCLUSIVE : A64_STEPPED;
    a64_key_update(cpu);
    return IR_EXIT_NONE;
}

// ISS: ISV says that EX is valid; EX that the stepped instruction was a load-exclusive.
uint64_t a64_take_step(struct a64_cpu *cpu, uint64_t pc)
{
    uint32_t iss = 0x22 | (cpu->stepped ? 1u << 24 : 0) | (cpu->stepped == A64_STEPPED_EXCLUSIVE ? 1u << 6 : 0);

    cpu->stepped = A64_NOT_STEPPED;
    return a64_exception(cpu, ESR(EC_STEP_LOWER + (cpu->el != 0), iss), pc);
}

int a64_help_step_take(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    ret->i = a64_take_step(a64_cpu_of(env), args[0].i);
    return IR_EXIT_NONE;
}

// ---- breakpoints ------------------------------------------------------------------------------------------

static bool breakpoint_matches(const struct a64_cpu *cpu, unsigned n, uint64_t pc)
{
    static const enum a64_sr values[] = {A64_SR_DBGBVR0_EL1, A64_SR_DBGBVR1_EL1, A64_SR_DBGBVR2_EL1,
                                         A64_SR_DBGBVR3_EL1, A64_SR_DBGBVR4_EL1, A64_SR_DBGBVR5_EL1};
    uint64_t bvr = cpu->sys[values[n]], bcr = cpu->sys[values[n] + 1];
    unsigned pmc = bits_get(bcr, 1, 2), type = bits_get(bcr, 20, 4);

    if (!(bcr & 1) || !(pmc >> (cpu->el == 0) & 1) || type > 1)
        return false;
    return bits_get(bvr, 2, 47) == bits_get(pc, 2, 47);
}

int a64_help_breakpoint(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    struct a64_cpu *cpu = a64_cpu_of(env);

    for (unsigned n = 0; n < 6; n++)
        if (breakpoint_matches(cpu, n, env->pc)) {
            env->pc = a64_exception(cpu, ESR(EC_BREAKPOINT_LOWER + (cpu->el != 0), 0x22), env->pc);
            return IR_EXIT_STATE;
        }
    return IR_EXIT_NONE;
}
