// SPDX-License-Identifier: MIT
// The firmware calls that a virt machine answers over HVC: PSCI 1.1, SMCCC 1.2 discovery and the SMCCC
// TRNG 1.0. (Arm DEN0022F, DEN0028F, DEN0098.)
//
// Thread: psci_call runs on the calling vCPU's thread without the machine lock; it keeps no state of its own
// beyond what accel knows about each vCPU, and tells the board of power requests through a callback that must
// not block.
#ifndef MACHINES_PSCI_H
#define MACHINES_PSCI_H

#include "accel/accel.h"
#include "base/entropy.h"

enum psci_request { PSCI_POWER_OFF, PSCI_RESET };

struct psci {
    struct accel *accel;
    struct entropy *entropy;
    const uint64_t *mpidr; // of each vCPU, affinity fields only
    unsigned cpu_count;
    bool smc; // the conduit: HVC (false) or SMC; the other one is left to the guest
    void (*request)(void *opaque, enum psci_request what);
    void *opaque;
};

// Matches vcpu_hypercall.call with a struct psci as opaque.
bool psci_call(void *opaque, unsigned cpu, bool is_smc, uint64_t x[18]);

#endif
