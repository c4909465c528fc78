// SPDX-License-Identifier: MIT
// What a person does at a machine, on its way to the device model that shows it to the guest: key, button and motion
// events with the types, codes and values of Linux's input subsystem. Thread: machine lock held.
#ifndef HW_CORE_INPUT_H
#define HW_CORE_INPUT_H

#include <stdbool.h>
#include <stdint.h>

enum { INPUT_ABS_MAX = 0x7fff }; // of a tablet's axes, whose minimum is 0

struct input_event {
    uint16_t type, code;
    uint32_t value;
};

struct device;

// What an input device offers to whoever moves it.
struct input_ops {
    // Whether it has such events (EV_KEY, EV_REL, EV_ABS), so that whoever sends one finds where to.
    bool (*has)(const struct device *dev, uint16_t type, uint16_t code);
    // Hands the guest events that belong together. All of them or, where the guest does not listen or has not taken
    // enough of the earlier ones, none: false.
    bool (*send)(struct device *dev, const struct input_event *events, unsigned count);
};

#endif
