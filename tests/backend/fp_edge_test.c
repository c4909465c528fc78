// SPDX-License-Identifier: MIT
// Floating point at its edges as the x64 backend compiles it, in every rounding mode, with host features masked.
#include "backends/x64/features.h"
#include "tests/backend/fp_edge.h"

#include <criterion/criterion.h>

static const void *compile(void *opaque, const struct ir_unit *unit)
{
    struct backend_unit compiled;
    toy_jit_compile(opaque, unit, &compiled);
    return compiled.entry;
}

static void run(uint64_t features)
{
    static struct toy_jit jit;
    const struct fp_edge_engine engine = { .opaque = &jit, .jit = &jit, .compile = compile, .unit_rounds = IR_RZ + 1 };
    toy_jit_create(&jit, features);
    fp_edge_run(&engine);
    toy_jit_destroy(&jit);
}

Test(backend_fp_edge, avx_and_fma) { run(UINT64_MAX); }
Test(backend_fp_edge, sse) { run(X64_HAS_SSE42); }
