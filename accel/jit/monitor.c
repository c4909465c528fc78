// SPDX-License-Identifier: MIT
// Exact exclusive monitors (accel_config.exact_exclusives): each vCPU has at most one granule of RAM marked, by its last
// load-exclusive; any write to the granule by anyone else takes the mark away, and a store-exclusive needs it. Arm ARM
// (DDI 0487) B2.9.2, the global monitor. A vCPU's own stores leave its mark alone, which B2.9.2 lets us choose.
//
// No vCPU writes RAM but through the slow path then, where it holds the lock of the granule: so its write and the loss of
// marks are one step for a store-exclusive. Devices and debuggers write first and take the marks away afterwards.
// Invariant: a thread that holds a granule's lock waits for nothing but the lock of the granule behind it.
#include "accel/jit/jit.h"

#include <sched.h>

enum { GRANULE = 64 /* CTR_EL0.ERG of the models that there are */ };

static uintptr_t granule_of(const uint8_t *host)
{
    return (uintptr_t)host & ~(uintptr_t)(GRANULE - 1);
}

static atomic_bool *lock_of(struct accel *accel, uintptr_t granule)
{
    return &accel->monitor_locks[granule / GRANULE % ARRAY_SIZE(accel->monitor_locks)];
}

static void take(atomic_bool *lock)
{
    for (unsigned spins = 0; atomic_exchange_explicit(lock, true, memory_order_acquire); spins++)
        if (spins > 100)
            sched_yield(); // its holder may have lost its processor
}

static void give(atomic_bool *lock)
{
    atomic_store_explicit(lock, false, memory_order_release);
}

// Both of an access that is in two granules, the lower lock first.
static void each(struct accel *accel, const uint8_t *host, unsigned size, void (*does)(atomic_bool *))
{
    atomic_bool *a = lock_of(accel, granule_of(host)), *b = lock_of(accel, granule_of(host + size - 1));
    does(a < b ? a : b);
    if (a != b)
        does(a < b ? b : a);
}

void monitor_enter(struct accel *accel, const uint8_t *host, unsigned size)
{
    if (accel->config.exact_exclusives)
        each(accel, host, size, take);
}

void monitor_leave(struct accel *accel, const uint8_t *host, unsigned size)
{
    if (accel->config.exact_exclusives)
        each(accel, host, size, give);
}

void monitor_written(struct accel *accel, const struct vcpu *self, const uint8_t *host, uint64_t len)
{
    if (!accel->config.exact_exclusives || !len)
        return;
    uintptr_t first = granule_of(host), last = granule_of(host + len - 1);
    for (unsigned i = 0; i < accel->cpu_count; i++) {
        uintptr_t marked = atomic_load(&accel->cpus[i].monitor);
        if (&accel->cpus[i] != self && marked >= first && marked <= last)
            atomic_compare_exchange_strong(&accel->cpus[i].monitor, &marked, 0); // it may have marked another since
    }
}

void monitor_mark(struct vcpu *vcpu, const uint8_t *host)
{
    atomic_store(&vcpu->monitor, granule_of(host));
}

bool monitor_use(struct vcpu *vcpu, const uint8_t *host)
{
    return atomic_exchange(&vcpu->monitor, 0) == granule_of(host);
}
