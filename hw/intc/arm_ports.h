// SPDX-License-Identifier: MIT
// Joins the system-register devices of an ARM machine (GICv3 CPU interfaces, generic timers, the counter) to
// the vCPUs' ports. Thread: as struct vcpu_ports says.
#ifndef HW_INTC_ARM_PORTS_H
#define HW_INTC_ARM_PORTS_H

#include "accel/ports.h"

struct arm_generic_timer;
struct arm_ports;
struct clock;
struct error;
struct gicv3;

struct arm_ports_config {
    unsigned cpu_count;
    const struct clock *clock;               // borrowed
    struct gicv3 *gic;                       // borrowed; NULL with a GICv2: ICC_* registers do not exist
    struct arm_generic_timer *const *timers; // cpu_count of them, the pointers are copied
    bool has_el2;                            // the registers of EL2 exist
};

// 0 or -ENOMEM. The ports live until arm_ports_destroy.
int arm_ports_create(const struct arm_ports_config *config, struct arm_ports **ret_ports, struct error *err);
void arm_ports_destroy(struct arm_ports *ports);
const struct vcpu_ports *arm_ports_vcpu(const struct arm_ports *ports);

#endif
