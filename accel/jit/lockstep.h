// SPDX-License-Identifier: MIT
// Private to accel/jit: the lock-step engine (lockstep.c) and its stand-ins for the guest's helpers (lockstep_wrap.c).
#ifndef ACCEL_JIT_LOCKSTEP_H
#define ACCEL_JIT_LOCKSTEP_H

#include "accel/jit/jit.h"

extern const struct ir_runtime lockstep_runtime;

int lockstep_create(struct vcpu *vcpu); // 0 or -ENOMEM
void lockstep_destroy(struct vcpu *vcpu);
// Runs unit compiled, then interpreted. Returns the exit code; *ret_differs: the difference has been printed.
int lockstep_run(struct vcpu *vcpu, struct unit *unit, bool *ret_differs);
uint64_t lockstep_units(const struct vcpu *vcpu); // units compared so far
uint64_t lockstep_regions(const struct vcpu *vcpu); // how many of them were regions

// Helper number of the guest, recorded or replayed.
int lockstep_helper(struct ir_env *env, unsigned number, const union ir_value *args, union ir_value *ret_value);

// Fills helpers with rows that record and replay; at most LOCKSTEP_HELPERS of them.
enum { LOCKSTEP_HELPERS = 256 };
void lockstep_wrap(const struct ir_guest *guest, struct ir_helper *helpers);

#endif
