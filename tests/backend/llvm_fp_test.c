// SPDX-License-Identifier: MIT
// Floating point at its edges as the optimising tier compiles it: rounding to nearest, the inexact exception accumulated,
// which is what its own lowering assumes; with host features masked.
#include "backends/x64/features.h"
#include "tests/backend/fp_edge.h"
#include "tests/backend/llvm_engine.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct llvm_engine engine;
static struct optimiser_region region;

static const void *compile(void *opaque, const struct ir_unit *unit)
{
    static const void *const fallback; // never taken
    (void)opaque;
    if (region.handle)
        engine.ops->release(engine.optimiser, region.handle);
    llvm_engine_compile(&engine, unit, &fallback, &region);
    return region.entry;
}

static void run(uint64_t features)
{
    const struct fp_edge_engine edge = { .jit = &engine.jit, .compile = compile, .unit_rounds = 1, .fp_flags = IR_FP_IXC,
                                         .stride = getenv("ISOMER_OPERANDS") ? 1 : 4 };
    llvm_engine_create(&engine, features);
    fp_edge_run(&edge);
    engine.ops->release(engine.optimiser, region.handle);
    region = (struct optimiser_region){0}; // sanitizers run the tests in one process
    llvm_engine_destroy(&engine);
}

Test(llvm_fp_edge, avx_and_fma) { run(UINT64_MAX); }
Test(llvm_fp_edge, avx) { run(X64_HAS_SSE42 | X64_HAS_AVX); }
Test(llvm_fp_edge, sse) { run(X64_HAS_SSE42); }
