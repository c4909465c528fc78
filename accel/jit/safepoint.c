// SPDX-License-Identifier: MIT
// Requests to vCPUs, and waiting until they have seen them.
//
// A vCPU is "in code" while translated code or a slow path may hold host addresses or tags it has checked. It says so
// before it looks at its requests, and a requester sets the request before it looks at in_code; both are sequentially
// consistent, so one of them sees the other. Passing a safepoint advances safe_seq.
#include "accel/jit/jit.h"

#include <sched.h>

void vcpu_request(struct vcpu *vcpu, uint32_t bits)
{
    atomic_fetch_or(&vcpu->requests, bits);
    atomic_store(&vcpu->env->budget, -1);
    if (!atomic_load(&vcpu->in_code)) {
        pthread_mutex_lock(&vcpu->lock);
        pthread_cond_broadcast(&vcpu->wake);
        pthread_mutex_unlock(&vcpu->lock);
    }
}

void vcpu_enter_code(struct vcpu *vcpu)
{
    atomic_store(&vcpu->in_code, 1);
}

void vcpu_leave_code(struct vcpu *vcpu)
{
    atomic_fetch_add(&vcpu->safe_seq, 1);
    atomic_store(&vcpu->in_code, 0);
}

void safepoint_wait(struct accel *accel, struct vcpu *self)
{
    bool was_in_code = self && atomic_load(&self->in_code);
    if (was_in_code)
        vcpu_leave_code(self);
    for (unsigned i = 0; i < accel->cpu_count; i++) {
        struct vcpu *other = &accel->cpus[i];
        if (other == self)
            continue;
        uint64_t seq = atomic_load(&other->safe_seq);
        if (!atomic_load(&other->in_code))
            continue;
        vcpu_request(other, REQ_SAFE);
        for (unsigned spins = 0; atomic_load(&other->in_code) && atomic_load(&other->safe_seq) == seq; spins++) {
            if (spins < 2000)
                __builtin_ia32_pause();
            else
                sched_yield();
        }
    }
    if (!was_in_code)
        return;
    vcpu_enter_code(self);
    // Who waited for others while this vCPU did skipped it: it must not go on with what they invalidated.
    if (atomic_fetch_and(&self->requests, ~(uint32_t)REQ_TLBI) & REQ_TLBI)
        vcpu_drain_tlbi(self);
}
