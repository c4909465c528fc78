// SPDX-License-Identifier: MIT
// The PL061 GPIO controller (Arm DDI 0190): 8 lines. Thread: machine lock held, for input lines too.
#ifndef HW_GPIO_PL061_H
#define HW_GPIO_PL061_H

#include "hw/core/device.h"

struct error;

enum { PL061_LINES = 8 };

struct pl061_config {
    const char *path;
    struct irq irq;              // GPIOINTR, level
    struct irq out[PL061_LINES]; // driven while the line is an output; low otherwise
};

// 0 or -ENOMEM. Destroyed through its device.
int pl061_create(const struct pl061_config *config, struct device **ret_dev, struct error *err);
// The input side of a line.
struct irq pl061_input(struct device *dev, unsigned line);

#endif
