// SPDX-License-Identifier: MIT
// Owns exception entry and return, and the syndromes of memory faults. Entry is to EL1 only: EL2 and EL3 do
// not exist. Arm ARM (DDI 0487) D1.3 (entry, PSTATE), D1.4.4 (illegal return), D17.2.37 (ESR_ELx).
#include "frontends/a64/exception.h"

#include "accel/guest_api.h"
#include "base/log.h"
#include "frontends/a64/helpers.h"
#include "frontends/a64/key.h"
#include "frontends/a64/mmu.h"
#include "frontends/a64/regs.h"
#include "frontends/a64/state.h"

#include <inttypes.h>

void a64_context_sync(struct a64_cpu *cpu)
{
    if (cpu->context_dirty) {
        cpu->context_dirty = 0;
        vcpu_context_changed(&cpu->env);
    }
}

static unsigned deliverable(const struct a64_cpu *cpu, uint32_t daif)
{
    uint32_t pending = atomic_load_explicit(&cpu->env.irq_pending, memory_order_relaxed);

    if (pending & 1u << VCPU_FIQ && !(daif & A64_DAIF_F))
        return A64_VECTOR_FIQ;
    if (pending & 1u << VCPU_IRQ && !(daif & A64_DAIF_I))
        return A64_VECTOR_IRQ;
    return 0;
}

bool a64_interrupts_unmasked(struct a64_cpu *cpu)
{
    if (!deliverable(cpu, cpu->daif))
        return false;
    vcpu_check_interrupts(&cpu->env);
    return true;
}

// PSTATE.SS that SPSR gets: an instruction that did not complete may be stepped again.
static uint32_t saved_pstate(const struct a64_cpu *cpu, bool completed)
{
    uint32_t spsr = a64_pstate(cpu);

    return cpu->stepped && !completed ? spsr | PSTATE_SS : spsr;
}

static uint64_t enter(struct a64_cpu *cpu, enum a64_vector vector, uint64_t elr, bool completed)
{
    uint64_t offset = cpu->el == 0 ? 0x400 : cpu->spsel ? 0x200 : 0;

    cpu->sys[A64_SR_SPSR_EL1] = saved_pstate(cpu, completed);
    cpu->sys[A64_SR_ELR_EL1] = elr;
    a64_set_el(cpu, 1, true);
    cpu->daif = A64_DAIF;
    cpu->il = 0;
    cpu->ss = 0;
    cpu->stepped = A64_NOT_STEPPED;
    cpu->excl_size = A64_EXCL_NONE;
    a64_context_sync(cpu);
    a64_key_update(cpu);
    return cpu->sys[A64_SR_VBAR_EL1] + offset + vector;
}

// Entry without syndrome or address.
static uint64_t enter_interrupt(struct a64_cpu *cpu, enum a64_vector vector, uint64_t elr)
{
    uint64_t pc = enter(cpu, vector, elr, true);

    if (log_on(cpu->log, LOG_INT))
        log_printf(cpu->log, LOG_INT, "cpu%u: %s from %016" PRIx64 " to %016" PRIx64 "\n", cpu->index,
                   vector == A64_VECTOR_IRQ ? "IRQ" : vector == A64_VECTOR_FIQ ? "FIQ" : "SError", elr, pc);
    return pc;
}

uint64_t a64_exception(struct a64_cpu *cpu, uint32_t esr, uint64_t elr)
{
    unsigned ec = esr >> 26;
    unsigned from = cpu->el;
    uint64_t pc = enter(cpu, A64_VECTOR_SYNC, elr, ec == EC_SVC || ec == EC_HVC || ec == EC_SMC);

    cpu->sys[A64_SR_ESR_EL1] = esr;
    if (log_on(cpu->log, LOG_INT))
        log_printf(cpu->log, LOG_INT,
                   "cpu%u: exception EL%u EC %02x ESR %08" PRIx32 " FAR %016" PRIx64 " ELR %016" PRIx64 "\n",
                   cpu->index, from, ec, esr, cpu->sys[A64_SR_FAR_EL1], elr);
    return pc;
}

static uint64_t exception_far(struct a64_cpu *cpu, uint32_t esr, uint64_t elr, uint64_t far)
{
    cpu->sys[A64_SR_FAR_EL1] = far;
    return a64_exception(cpu, esr, elr);
}

// ---- faults and interrupts, called by accel ---------------------------------------------------------------

unsigned a64_fault_status(const struct guest_fault *fault)
{
    unsigned level = fault->level < 0 ? 0 : fault->level & 3;

    switch ((enum guest_fault_kind)fault->kind) {
    case GUEST_FAULT_ADDRESS_SIZE: return 0x00 | level;
    case GUEST_FAULT_TRANSLATION: return 0x04 | level;
    case GUEST_FAULT_ACCESS_FLAG: return 0x08 | level;
    case GUEST_FAULT_PERMISSION: return 0x0c | level;
    case GUEST_FAULT_EXTERNAL: return fault->on_walk ? 0x14 | level : 0x10;
    case GUEST_FAULT_ALIGNMENT: return 0x21;
    case GUEST_FAULT_WATCHPOINT: return 0x22;
    case GUEST_FAULT_TLB_CONFLICT: return 0x30;
    case GUEST_FAULT_UNSUPPORTED_EXCLUSIVE: return 0x35;
    case GUEST_FAULT_NONE:
    case GUEST_FAULT_AGAIN: break;
    }
    return 0x10;
}

// A fetch that faults gives way to the exceptions that come before it: Software Step and PC alignment.
static uint64_t fetch_fault(struct a64_cpu *cpu, const struct guest_fault *fault)
{
    uint64_t pc = cpu->env.pc;

    if ((cpu->env.key & (A64_KEY_STEP | A64_KEY_SS)) == A64_KEY_STEP)
        return a64_take_step(cpu, pc);
    if (pc & 3)
        return exception_far(cpu, ESR(EC_PC_ALIGN, 0), pc, pc);
    return exception_far(cpu, ESR(EC_INSN_ABORT_LOWER + (cpu->el != 0), a64_fault_status(fault)), pc, fault->va);
}

void a64_isa_deliver_fault(struct ir_env *env, const struct guest_fault *fault)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    unsigned ec = fault->kind == GUEST_FAULT_WATCHPOINT ? EC_WATCHPOINT_LOWER : EC_DATA_ABORT_LOWER;
    uint32_t wnr = fault->access == GUEST_WRITE || fault->cache_op ? 1u << 6 : 0;
    uint32_t cm = fault->cache_op ? 1u << 8 : 0;

    if (fault->access == GUEST_EXEC)
        env->pc = fetch_fault(cpu, fault);
    else
        env->pc = exception_far(cpu, ESR(ec + (cpu->el != 0), a64_fault_status(fault) | wnr | cm), env->pc,
                                    fault->va);
}

bool a64_isa_take_interrupt(struct ir_env *env)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    unsigned vector = deliverable(cpu, cpu->daif);

    if (!vector)
        return false;
    cpu->stepped = A64_NOT_STEPPED;
    env->pc = enter_interrupt(cpu, vector, env->pc);
    return true;
}

bool a64_isa_wakes(const struct ir_env *env)
{
    return atomic_load_explicit(&env->irq_pending, memory_order_relaxed) & (1u << VCPU_IRQ | 1u << VCPU_FIQ);
}

// ---- helpers ----------------------------------------------------------------------------------------------

// PSTATE.DAIF has just become args[0], perhaps still in a host register: leaves if an interrupt can be taken
// now.
int a64_help_irq_check(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    if (!deliverable(a64_cpu_of(env), (uint32_t)args[0].i))
        return IR_EXIT_NONE;
    vcpu_check_interrupts(env);
    env->pc += 4;
    return IR_EXIT_STATE;
}

int a64_help_exception(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    ret->i = a64_exception(a64_cpu_of(env), (uint32_t)args[0].i, args[1].i);
    return IR_EXIT_NONE;
}

int a64_help_exception_far(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    ret->i = exception_far(a64_cpu_of(env), (uint32_t)args[0].i, args[1].i, args[2].i);
    return IR_EXIT_NONE;
}

// HVC and SMC reach the board's hypercall (PSCI); where nobody answers they are UNDEFINED, as without EL2 and
// EL3.
int a64_help_call_out(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    bool is_smc = (uint32_t)args[0].i >> 26 == EC_SMC;

    if (cpu->el != 0 && cpu->hypercall && cpu->hypercall->call &&
        cpu->hypercall->call(cpu->hypercall->opaque, cpu->index, is_smc, cpu->x))
        ret->i = args[1].i + 4;
    else
        ret->i = a64_exception(cpu, ESR(EC_UNKNOWN, 0), args[1].i);
    return IR_EXIT_NONE;
}

// Byte by byte as the instruction's own accesses: what faults is not there.
static bool semihost_access(struct a64_cpu *cpu, uint64_t va, uint8_t *bytes, uint64_t len, bool write)
{
    uint32_t attr = (uint32_t)(cpu->el ? A64_MMU_EL1 : A64_MMU_EL0) << IR_MEM_MMU_SHIFT;
    bool ok = true;
    for (uint64_t i = 0; ok && i < len; i++) {
        union ir_value value = {.i = write ? bytes[i] : 0};
        ok = !(write ? vcpu_store(&cpu->env, va + i, attr, &value) : vcpu_load(&cpu->env, va + i, attr, &value));
        if (!write)
            bytes[i] = (uint8_t)value.i;
    }
    return ok;
}

static bool semihost_read(void *opaque, uint64_t va, void *buf, uint64_t len)
{
    return semihost_access(opaque, va, buf, len, false);
}

static bool semihost_write(void *opaque, uint64_t va, const void *buf, uint64_t len)
{
    return semihost_access(opaque, va, (uint8_t *)(uintptr_t)buf, len, true);
}

int a64_help_semihost(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    const struct vcpu_semihost *s = cpu->semihost;
    const struct vcpu_memory memory = {cpu, semihost_read, semihost_write};

    if (s && (cpu->el || s->el0)) {
        cpu->x[0] = s->call(s->opaque, cpu->index, (uint32_t)cpu->x[0], cpu->x[1], &memory);
        ret->i = args[0].i + 4;
    } else {
        ret->i = a64_exception(cpu, ESR(EC_UNKNOWN, 0), args[0].i);
    }
    return IR_EXIT_NONE;
}

// Illegal: to a higher EL, to AArch32, with a reserved M[1], or to EL0 with SP_ELx selected.
static bool return_is_legal(const struct a64_cpu *cpu, uint32_t spsr)
{
    unsigned el = spsr >> 2 & 3;

    return !(spsr & PSTATE_NRW) && el <= cpu->el && !(spsr & 2) && !(el == 0 && spsr & 1);
}

// SoftwareStep: PSTATE.SS is taken from SPSR only where debug exceptions are off here and on at the target.
static unsigned returned_ss(const struct a64_cpu *cpu, uint32_t spsr)
{
    uint64_t mdscr = cpu->sys[A64_SR_MDSCR_EL1];
    bool locked = cpu->sys[A64_SR_OSLSR_EL1] & OSLSR_OSLK;
    bool source_on = cpu->el == 0 || (mdscr & MDSCR_KDE && !(cpu->daif & A64_DAIF_D));
    bool target_on = (spsr >> 2 & 3) == 0 || (mdscr & MDSCR_KDE && !(spsr & A64_DAIF_D));

    return mdscr & MDSCR_SS && !locked && !source_on && target_on && spsr & PSTATE_SS;
}

int a64_help_eret(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    uint32_t spsr = (uint32_t)cpu->sys[A64_SR_SPSR_EL1];
    uint64_t target = cpu->sys[A64_SR_ELR_EL1];
    bool legal = return_is_legal(cpu, spsr);

    cpu->ss = returned_ss(cpu, spsr);
    if (legal) {
        a64_set_el(cpu, spsr >> 2 & 3, spsr & 1);
        cpu->il = spsr & PSTATE_IL ? 1 : 0;
    } else {
        cpu->il = 1;
    }
    cpu->nzcv = a64_nzcv_pack(spsr);
    cpu->daif = spsr & A64_DAIF;
    cpu->excl_size = A64_EXCL_NONE;
    cpu->event_local = 1;
    if (legal)
        target = a64_isa_canonical(env, target);
    a64_context_sync(cpu);
    a64_key_update(cpu);
    a64_interrupts_unmasked(cpu);
    if (log_on(cpu->log, LOG_INT))
        log_printf(cpu->log, LOG_INT, "cpu%u: return to EL%u at %016" PRIx64 "%s\n", cpu->index, cpu->el,
                   target, legal ? "" : ", illegal");
    ret->i = target;
    return IR_EXIT_NONE;
}
