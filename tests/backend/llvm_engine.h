// SPDX-License-Identifier: MIT
// The optimising tier beside the toy guest's x64 backend: the module loaded, memory to put regions in, both by
// what the accelerator has for it. One thread.
#ifndef TESTS_BACKEND_LLVM_ENGINE_H
#define TESTS_BACKEND_LLVM_ENGINE_H

#include "accel/jit/tier.h"
#include "backends/optimiser.h"
#include "base/log.h"
#include "tests/backend/toy_jit.h"

struct llvm_engine {
    struct toy_jit jit; // its backend enters regions
    const struct optimiser_ops *ops;
    struct optimiser *optimiser;
    struct pool pool;
    struct backend_exit exits[BACKEND_MAX_EXITS];
    bool leaves;    // accesses that miss leave, where there is a fallback
    struct log log; // with ISOMER_DUMP set, what is compiled goes to standard error
};

void llvm_engine_create(struct llvm_engine *engine, uint64_t feature_mask);
void llvm_engine_destroy(struct llvm_engine *engine);
// Fails the test on an error. fallback may be NULL if the unit has no FP.
void llvm_engine_compile(struct llvm_engine *engine, const struct ir_unit *unit, const void *const *fallback,
                         struct optimiser_region *ret_region);

#endif
