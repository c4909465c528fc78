// SPDX-License-Identifier: MIT
// The Generic Watchdog of Arm's base system architectures (DEN0029 and DEN0094, "Generic watchdog"): when it is not
// refreshed in time it first interrupts (WS0) and then asks for a reset (WS1). One region holds both frames, each of
// 64 KiB: control, then refresh. Thread: machine lock held.
#ifndef HW_MISC_SBSA_GWDT_H
#define HW_MISC_SBSA_GWDT_H

#include "hw/core/device.h"

struct clock;
struct error;
struct loop;

enum { SBSA_GWDT_FRAME = 0x10000, SBSA_GWDT_SIZE = 2 * SBSA_GWDT_FRAME };

struct sbsa_gwdt_config {
    const char *path;
    struct irq ws0;      // level
    struct irq ws1;      // level: the board's reset request
    struct clock *clock; // borrowed
    struct loop *loop;   // borrowed
};

// 0 or -ENOMEM. Destroyed through its device.
int sbsa_gwdt_create(const struct sbsa_gwdt_config *config, struct device **ret_dev, struct error *err);

#endif
