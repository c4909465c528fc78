// SPDX-License-Identifier: MIT
// An accelerator and a CPU that run nothing, for tests of boards: remembers what was asked of them.
#ifndef TESTS_MACHINES_FAKE_ACCEL_H
#define TESTS_MACHINES_FAKE_ACCEL_H

#include "accel/accel.h"

enum { FAKE_CPUS = 512 };

struct accel {
    unsigned cpu_count;
    bool on[FAKE_CPUS];
    uint64_t entry[FAKE_CPUS], arg[FAKE_CPUS];
    uint32_t irqs[FAKE_CPUS];
    int paused;
    const struct vcpu_hypercall *hypercall;
    const struct vcpu_ports *ports;
    struct mem_space *mem;
    void (*on_resume)(struct accel *accel); // set by a test
};

#endif
