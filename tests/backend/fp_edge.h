// SPDX-License-Identifier: MIT
// Floating point at its edges, for any compiler of units: every operation of a table against ir_eval on operands chosen
// so that results fall near overflow, the smallest normal number, zero, ties and the limits of integers. Values and
// exception flags are compared. One thread.
#ifndef TESTS_BACKEND_FP_EDGE_H
#define TESTS_BACKEND_FP_EDGE_H

#include "tests/backend/toy_jit.h"

struct fp_edge_engine {
    void *opaque;
    struct toy_jit *jit; // its backend enters what was compiled
    const void *(*compile)(void *opaque, const struct ir_unit *unit); // code, valid until the next call
    unsigned unit_rounds; // units are compiled for the first so many of enum ir_round
    uint32_t fp_flags;    // exceptions accumulated before
    unsigned stride;      // every so manieth row is tried, 0: all
};

// Fails the test on a difference. ISOMER_SEED repeats a run; ISOMER_OPERANDS: sets of operands for each operation.
void fp_edge_run(const struct fp_edge_engine *engine);

#endif
