// SPDX-License-Identifier: MIT
// Techniques that an accelerator can do without, so that each can be measured on and off (`-accel
// jit,without=…`, `tools/bench ab`). What runs is the same either way. Const data; no thread.
#ifndef ACCEL_TECHNIQUE_H
#define ACCEL_TECHNIQUE_H

#include <stdint.h>

enum accel_technique {
    ACCEL_CHAINING,
    ACCEL_JUMP_CACHE,
    ACCEL_INLINE_MEMORY,
    ACCEL_CONTEXTS,
    ACCEL_CARRY,
    ACCEL_WALK_CACHE,
    ACCEL_FOLD,
    ACCEL_CSE,
    ACCEL_STATE,
    ACCEL_SPANS,
    ACCEL_INLINE_FP,
    ACCEL_INLINE_VECTORS,
    ACCEL_TECHNIQUES
};

struct accel_technique_row {
    const char *name;
    const char *text; // for help
};
extern const struct accel_technique_row accel_techniques[ACCEL_TECHNIQUES];

// The bit (1 << enum accel_technique) of the technique whose name is the len bytes at name; 0 for an unknown
// name.
uint32_t accel_technique_bit(const char *name, unsigned len);

#endif
