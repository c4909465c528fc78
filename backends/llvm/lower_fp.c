// SPDX-License-Identifier: MIT
// Floating-point ops in regions that hold the inexact exception for known (struct backend_stubs). None has host code
// yet: all go through ir_eval.
#include "backends/llvm/llvm.h"

bool region_fp_has(const struct region *r, const struct ir_insn *insn)
{
    (void)r, (void)insn;
    return false;
}

bool region_lower_fp(struct region *r, const struct ir_insn *insn)
{
    (void)r, (void)insn;
    return false;
}
