// SPDX-License-Identifier: MIT
// The machine's input devices. Private to machines/; what others use is in machine.h. Thread: machine lock held.
#ifndef MACHINES_INPUTS_H
#define MACHINES_INPUTS_H

#include "base/loop.h"
#include "hw/core/input.h"

struct error;
struct machine;

enum { MACHINE_MAX_INPUTS = 8, MACHINE_MAX_KEY_STEPS = 256 };

struct machine_input_device {
    struct device *dev;
    const struct input_ops *ops;
};

struct machine_key_step {
    int64_t wait_ns; // after the step before it
    uint16_t code;
    bool down;
};

struct machine_keys {
    struct loop_timer timer; // loop: NULL until the first key
    struct machine_key_step steps[MACHINE_MAX_KEY_STEPS];
    unsigned count;
};

int machine_add_input(struct machine *machine, struct device *dev, const struct input_ops *ops, struct error *err);
void machine_forget_input(struct machine *machine, const struct device *dev); // harmless for what is no input device
void machine_forget_keys(struct machine *machine);

#endif
