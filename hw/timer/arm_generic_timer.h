// SPDX-License-Identifier: MIT
// The generic timers of one CPU (Arm ARM D11, DDI 0487): the EL1 physical and virtual timers, with places for
// the hypervisor's and the secure one. The system counter is the machine clock at 62.5 MHz (16 ns a tick).
//
// Thread: registers from the CPU's own thread, without the machine lock; expiry comes from the event loop.
// Each CPU's timers have a mutex of their own, held while outputs are driven.
#ifndef HW_TIMER_ARM_GENERIC_TIMER_H
#define HW_TIMER_ARM_GENERIC_TIMER_H

#include "hw/core/device.h"

struct clock;
struct error;
struct loop;
struct arm_generic_timer;

enum arm_timer { ARM_TIMER_PHYS, ARM_TIMER_VIRT, ARM_TIMER_HYP, ARM_TIMER_SEC, ARM_TIMERS };
enum arm_timer_register { ARM_TIMER_CTL, ARM_TIMER_CVAL, ARM_TIMER_TVAL };

enum { ARM_COUNTER_HZ = 62500000, ARM_COUNTER_NS = 16 };

// PPI number (INTID - 16) of each timer by the base system architecture: INTIDs 30, 27, 26 and 29.
static const uint8_t arm_timer_ppi[ARM_TIMERS] = {14, 11, 10, 13};

struct arm_generic_timer_config {
    const char *path;
    struct clock *clock;        // borrowed
    struct loop *loop;          // borrowed
    struct irq irq[ARM_TIMERS]; // level outputs, one a timer
};

int arm_generic_timer_create(const struct arm_generic_timer_config *config,
                             struct arm_generic_timer **ret_timer, struct error *err);
struct device *arm_generic_timer_device(struct arm_generic_timer *timer);

// CNTPCT_EL0 of a clock; any thread.
uint64_t arm_counter(const struct clock *clock);
// CNTVCT_EL0.
uint64_t arm_generic_timer_virtual_count(struct arm_generic_timer *timer);

uint64_t arm_generic_timer_read(struct arm_generic_timer *timer, enum arm_timer which,
                                enum arm_timer_register reg);
void arm_generic_timer_write(struct arm_generic_timer *timer, enum arm_timer which,
                             enum arm_timer_register reg, uint64_t value);
// CNTVOFF_EL2: 0 at reset; moves the virtual timer.
uint64_t arm_generic_timer_offset(struct arm_generic_timer *timer);
void arm_generic_timer_set_offset(struct arm_generic_timer *timer, uint64_t offset);

#endif
