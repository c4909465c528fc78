// SPDX-License-Identifier: MIT
// The architectural state of an A64 vCPU by registers of stable numbers: the state part of struct guest_isa. Calls run
// while the vCPU is stopped.
#ifndef A64_CPU_STATE_H
#define A64_CPU_STATE_H

#include "frontends/a64/state.h"

// 31 general registers, 8 of PSTATE and its like, 32 vectors, and a place for each row of sysreg.def.
enum { A64_STATE_REG_COUNT = 31 + 8 + 32 + A64_SR_COUNT };

extern const struct guest_state_reg a64_state_regs[A64_STATE_REG_COUNT];
bool a64_isa_state_has(const struct ir_env *env, unsigned n);
void a64_isa_state_get(struct ir_env *env, unsigned n, void *ret_value);
bool a64_isa_state_set(struct ir_env *env, unsigned n, const void *value);
void a64_isa_state_loaded(struct ir_env *env);

#endif
