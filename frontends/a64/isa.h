// SPDX-License-Identifier: MIT
// Inside of the A64 guest ISA: the debugger's registers behind a64_isa.
#ifndef A64_ISA_H
#define A64_ISA_H

#include "frontends/a64/a64.h"
#include "frontends/a64/state.h"

// x0..x30, sp, pc, cpsr, v0..v31, fpsr, fpcr, then the rows of sysreg.def in order.
enum { A64_DEBUG_CORE = 34, A64_DEBUG_V = 34, A64_DEBUG_FPSR = 66, A64_DEBUG_FPCR, A64_DEBUG_SYS,
       A64_DEBUG_REG_COUNT = A64_DEBUG_SYS + A64_SR_COUNT };
extern const struct guest_debug_reg a64_debug_regs[A64_DEBUG_REG_COUNT];
bool a64_isa_debug_get(struct ir_env *env, unsigned reg, void *ret_value);
bool a64_isa_debug_set(struct ir_env *env, unsigned reg, const void *value);

#endif
