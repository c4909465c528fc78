// SPDX-License-Identifier: MIT
// The wires between a vCPU and the devices that sit at its side: system-register devices (GIC CPU interface, generic
// timers), hypercalls and interrupt inputs. accel declares them, hw implements vcpu_ports, frontends call it; boards
// join the two. This header is all that hw sees of a CPU.
#ifndef ACCEL_PORTS_H
#define ACCEL_PORTS_H

#include <stdbool.h>
#include <stdint.h>

// Interrupt inputs of a vCPU, the bit numbers of its pending mask.
enum vcpu_irq { VCPU_IRQ, VCPU_FIQ, VCPU_VIRQ, VCPU_VFIQ, VCPU_NMI };

// A system register as the guest's manual encodes it. A64: op0<<14 | op1<<11 | CRn<<7 | CRm<<3 | op2. x86: MSR index.
#define VCPU_REG_A64(op0, op1, crn, crm, op2) ((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

// All calls come from the vCPU's own thread (number cpu) and must not take the machine lock.
struct vcpu_ports {
    void *opaque;
    // A register that a device owns. The frontend has checked the exception level and traps. el is the level of the
    // access. false: no such register (the instruction is UNDEFINED).
    bool (*reg_read)(void *opaque, unsigned cpu, unsigned el, uint32_t reg, uint64_t *ret_value);
    bool (*reg_write)(void *opaque, unsigned cpu, unsigned el, uint32_t reg, uint64_t value);
    // The system counter (CNTPCT_EL0) in ticks of counter_hz.
    uint64_t (*counter)(void *opaque);
    uint64_t counter_hz;
};

// What a HVC/SMC reaches. x[0..17] are the argument registers, in and out. Returns false where nothing answers the
// call (the frontend then takes the exception). May block for the machine lock; called with none held.
struct vcpu_hypercall {
    void *opaque;
    bool (*call)(void *opaque, unsigned cpu, bool is_smc, uint64_t x[18]);
};

// Virtual memory of a vCPU as its code sees it now. false: not all of it is there.
struct vcpu_memory {
    void *opaque;
    bool (*read)(void *opaque, uint64_t va, void *buf, uint64_t len);
    bool (*write)(void *opaque, uint64_t va, const void *buf, uint64_t len);
};

// What the instruction that calls a debugger's services reaches (Arm semihosting). Called with no lock held; may block.
struct vcpu_semihost {
    void *opaque;
    bool el0; // user programs may call, too
    uint64_t (*call)(void *opaque, unsigned cpu, uint32_t op, uint64_t param, const struct vcpu_memory *memory);
};

#endif
