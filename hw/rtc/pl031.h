// SPDX-License-Identifier: MIT
// The PL031 real-time clock (Arm DDI 0224): seconds of the machine clock on top of a start time. Thread:
// machine lock held.
#ifndef HW_RTC_PL031_H
#define HW_RTC_PL031_H

#include "hw/core/device.h"

struct clock;
struct error;
struct loop;

struct pl031_config {
    const char *path;
    uint32_t start;      // what the clock shows when the machine clock is 0: seconds since 1970
    struct irq irq;      // RTCINTR, level
    struct clock *clock; // borrowed
    struct loop *loop;   // borrowed
};

// 0 or -ENOMEM. Destroyed through its device.
int pl031_create(const struct pl031_config *config, struct device **ret_dev, struct error *err);

#endif
