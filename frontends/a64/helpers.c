// SPDX-License-Identifier: MIT
// Owns the helper table and the helpers that touch neither exceptions nor system registers: barriers, events,
// hints.
#include "frontends/a64/helpers.h"

#include "accel/guest_api.h"
#include "base/log.h"
#include "frontends/a64/decode.h"
#include "frontends/a64/exception.h"
#include "frontends/a64/regs.h"
#include "frontends/a64/state.h"
#include "frontends/a64/sysreg.h"

#include <inttypes.h>

const struct ir_helper a64_helpers[A64_HELPER_COUNT] = {
#define HELPER(name, flags, result, a, b, c, d)                                                             \
    {#name, a64_help_##name, (flags), IR_##result, {IR_##a, IR_##b, IR_##c, IR_##d}},
#include "frontends/a64/helpers.def"
#undef HELPER
};

int a64_help_isb(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    a64_context_sync(a64_cpu_of(env));
    return IR_EXIT_NONE;
}

int a64_help_dsb(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    struct a64_cpu *cpu = a64_cpu_of(env);

    if (cpu->tlbi_pending) {
        cpu->tlbi_pending = 0;
        vcpu_tlb_sync(env);
    }
    return IR_EXIT_NONE;
}

// WFI and WFE at EL0 trap to EL1 where SCTLR.nTWx is clear, if they would wait.
static bool wait_traps(struct a64_cpu *cpu, uint64_t bit, unsigned ti)
{
    if (cpu->el != 0 || cpu->sys[A64_SR_SCTLR_EL1] & bit)
        return false;
    cpu->env.pc = a64_exception(cpu, ESR(EC_WFX, ISS_COND_AL | ti), cpu->env.pc);
    return true;
}

int a64_help_wfi(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    struct a64_cpu *cpu = a64_cpu_of(env);

    if (a64_isa_wakes(env)) {
        env->pc += 4;
        return IR_EXIT_STATE;
    }
    if (wait_traps(cpu, SCTLR_NTWI, 0))
        return IR_EXIT_STATE;
    env->pc += 4;
    return IR_EXIT_HALT;
}

// A plain store by another vCPU that would clear our exclusive monitor, and so be an event, goes unseen: with
// the monitor set, WFE only yields. So it does where an interrupt pends, which is masked as a rule: spinning with
// interrupts off and the timer's pending must not take the host from who is waited for.
int a64_help_wfe(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    bool event = cpu->event_local;

    cpu->event_local = 0;
    if (vcpu_test_event(env) || event) {
        env->pc += 4;
        return IR_EXIT_STATE;
    }
    if (a64_isa_wakes(env)) {
        env->pc += 4;
        return IR_EXIT_YIELD;
    }
    if (wait_traps(cpu, SCTLR_NTWE, 1))
        return IR_EXIT_STATE;
    env->pc += 4;
    return cpu->excl_size ? IR_EXIT_YIELD : IR_EXIT_WAIT_EVENT;
}

int a64_help_sev(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    if (args[0].i)
        a64_cpu_of(env)->event_local = 1;
    else
        vcpu_send_event(env);
    return IR_EXIT_NONE;
}

int a64_help_unimplemented(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    const struct log *log = a64_cpu_of(env)->log;
    uint32_t word = (uint32_t)args[0].i;
    char text[96];

    if (log_on(log, LOG_UNIMP)) {
        a64_disasm(word, args[1].i, text, sizeof text);
        log_printf(log, LOG_UNIMP, "a64: %016" PRIx64 ": %08" PRIx32 " (%s) is UNDEFINED\n", args[1].i,
            word, text);
    }
    return IR_EXIT_NONE;
}
