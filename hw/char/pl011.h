// SPDX-License-Identifier: MIT
// The PL011 UART (Arm DDI 0183), with 16-entry FIFOs and a reference clock of 24 MHz. Thread: machine lock
// held.
#ifndef HW_CHAR_PL011_H
#define HW_CHAR_PL011_H

#include "hw/core/device.h"

struct chardev;
struct clock;
struct error;
struct loop;

struct pl011_config {
    const char *path;
    struct chardev *chardev; // borrowed; NULL: output is dropped, no input
    struct irq irq;          // UARTINTR, level
    struct clock *clock;     // borrowed, for the receive timeout
    struct loop *loop;       // borrowed
};

// 0 or -ENOMEM. Destroyed through its device.
int pl011_create(const struct pl011_config *config, struct device **ret_dev, struct error *err);

#endif
