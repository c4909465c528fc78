// SPDX-License-Identifier: MIT
// env.key: all that translation assumes about the vCPU. Two states with equal keys translate one page to
// equal units. a64_key_update() is the only writer. Bits 28..31 are left to accel.
#ifndef A64_KEY_H
#define A64_KEY_H

#include <stdint.h>

struct a64_cpu;

enum a64_key_bits {
    A64_KEY_EL = 3u << 0,
    A64_KEY_SPSEL = 1u << 2,      // the stack pointer in use is SP_ELx; 0 at EL0
    A64_KEY_MMU = 1u << 3,        // SCTLR.M
    A64_KEY_ALIGN = 1u << 4,      // SCTLR.A: all data accesses are aligned
    A64_KEY_SP_ALIGN = 1u << 5,   // SCTLR.SA or SA0 of this EL
    A64_KEY_BE = 1u << 6,         // SCTLR.EE or E0E of this EL
    A64_KEY_TBI0 = 1u << 7,       // TCR.TBI0: branches to the lower half drop bits 63..56
    A64_KEY_TBI1 = 1u << 8,
    A64_KEY_FP_TRAP = 1u << 9,    // CPACR.FPEN traps FP and SIMD here
    A64_KEY_IL = 1u << 10,        // PSTATE.IL: any instruction is an Illegal Execution state exception
    A64_KEY_STEP = 1u << 11,      // software step is active at this EL
    A64_KEY_SS = 1u << 12,        // with STEP: PSTATE.SS, active-not-pending
    A64_KEY_BREAK = 1u << 13,     // hardware breakpoints may match here
    A64_KEY_DEBUG = 1u << 14,     // MDSCR.MDE or SS: writes of PSTATE.D and MDSCR recompute the key
    A64_KEY_COUNTER = 1u << 15,   // at EL0: CNTKCTL.EL0VCTEN lets CNTVCT through
    A64_KEY_DN = 1u << 16,
    A64_KEY_FZ = 1u << 17,
    A64_KEY_FZ16 = 1u << 18,
    A64_KEY_AHP = 1u << 19,
    A64_KEY_RMODE_SHIFT = 20,     // 2 bits, as FPCR.RMode
    A64_KEY_RMODE = 3u << 20,
};

static inline unsigned a64_key_el(uint32_t key)
{
    return key & A64_KEY_EL;
}

// IR_FP_* attributes that the key's FP mode stands for: what FP ops carry and unit.fp_mode holds.
uint32_t a64_key_fp_mode(uint32_t key);

// Recomputes env.key and env.fp_mode after anything above has changed.
void a64_key_update(struct a64_cpu *cpu);

#endif
