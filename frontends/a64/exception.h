// SPDX-License-Identifier: MIT
// Taking exceptions and returning from them. All calls run on the vCPU's thread; each leaves env.key true.
// Source: Arm ARM (DDI 0487) D1.3, D1.4; shared pseudocode AArch64.TakeException, AArch64.ExceptionReturn.
#ifndef A64_EXCEPTION_H
#define A64_EXCEPTION_H

#include "accel/guest_isa.h"

struct a64_cpu;

enum a64_vector {
    A64_VECTOR_SYNC = 0x000,
    A64_VECTOR_IRQ = 0x080,
    A64_VECTOR_FIQ = 0x100,
    A64_VECTOR_SERROR = 0x180
};

// Synchronous exception to EL1 with this syndrome and preferred return address. Returns the new PC; env.pc is
// untouched.
uint64_t a64_exception(struct a64_cpu *cpu, uint32_t esr, uint64_t elr);

// Software Step exception before the instruction at pc.
uint64_t a64_take_step(struct a64_cpu *cpu, uint64_t pc);

// Does what a context synchronisation event owes: tells accel of a changed context.
void a64_context_sync(struct a64_cpu *cpu);
// After PSTATE.DAIF was cleared: makes accel look at pending interrupts. True if one is deliverable now.
bool a64_interrupts_unmasked(struct a64_cpu *cpu);

// Fault status code of a fault, as ISS.DFSC and IFSC and PAR.FST hold it.
unsigned a64_fault_status(const struct guest_fault *fault);

void a64_isa_deliver_fault(struct ir_env *env, const struct guest_fault *fault);
bool a64_isa_take_interrupt(struct ir_env *env);
bool a64_isa_wakes(const struct ir_env *env);

#endif
