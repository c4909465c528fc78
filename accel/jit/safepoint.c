// SPDX-License-Identifier: MIT
// Requests to vCPUs, and waiting until they have seen them.
//
// A vCPU is "in code" while translated code or a slow path may hold host addresses or tags it has checked. It says so
// before it looks at its requests, and a requester sets the request before it looks at in_code; both are sequentially
// consistent, so one of them sees the other. Passing a safepoint advances safe_seq.
//
// A vCPU that waits for others inside a helper is at a safepoint, too, or two such would wait for each other: it holds no
// host address, and looks at its requests before it goes on. But it goes back into the code that called the helper.
// Whoever wants to use the memory of code again waits until each vCPU has been in its dispatch loop: outside_seq.
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
    atomic_store(&vcpu->in_code, VCPU_IN_CODE);
}

void vcpu_leave_code(struct vcpu *vcpu)
{
    // In this order: who reads the new counts sees no more that the vCPU was in code before, and so asks only for what
    // attend() has not taken yet.
    atomic_store(&vcpu->in_code, VCPU_OUTSIDE);
    atomic_fetch_add(&vcpu->safe_seq, 1);
    atomic_fetch_add(&vcpu->outside_seq, 1);
}

static void pause_a_little(unsigned spins)
{
    if (spins < 2000)
        __builtin_ia32_pause();
    else
        sched_yield();
}

static void wait_for_all(struct accel *accel, const struct vcpu *self)
{
    for (unsigned i = 0; i < accel->cpu_count; i++) {
        struct vcpu *other = &accel->cpus[i];
        if (other == self)
            continue;
        uint64_t seq = atomic_load(&other->safe_seq);
        if (atomic_load(&other->in_code) != VCPU_IN_CODE)
            continue;
        vcpu_request(other, REQ_SAFE);
        for (unsigned n = 0; atomic_load(&other->in_code) == VCPU_IN_CODE && atomic_load(&other->safe_seq) == seq; n++)
            pause_a_little(n);
    }
}

void safepoint_wait(struct accel *accel, struct vcpu *self)
{
    bool was_in_code = self && atomic_load(&self->in_code) == VCPU_IN_CODE;
    if (was_in_code) {
        atomic_store(&self->in_code, VCPU_WAITS_IN_HELPER);
        atomic_fetch_add(&self->safe_seq, 1);
    }
    wait_for_all(accel, self);
    if (!was_in_code)
        return;
    vcpu_enter_code(self);
    // Who waited for others while this vCPU did skipped it: it must not go on with what they invalidated.
    if (atomic_fetch_and(&self->requests, ~(uint32_t)REQ_TLBI) & REQ_TLBI)
        vcpu_drain_tlbi(self);
}

void safepoint_wait_outside(struct accel *accel, const struct vcpu *self)
{
    for (unsigned i = 0; i < accel->cpu_count; i++) {
        struct vcpu *other = &accel->cpus[i];
        if (other == self)
            continue;
        uint64_t seq = atomic_load(&other->outside_seq);
        if (atomic_load(&other->in_code) == VCPU_OUTSIDE)
            continue;
        vcpu_request(other, REQ_SAFE);
        for (unsigned n = 0; atomic_load(&other->in_code) != VCPU_OUTSIDE && atomic_load(&other->outside_seq) == seq; n++)
            pause_a_little(n);
    }
}
