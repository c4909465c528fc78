// SPDX-License-Identifier: MIT
// Integer vector ops. None has host code yet: all go through ir_eval.
#include "backends/llvm/llvm.h"

bool region_lower_vec(struct region *r, const struct ir_insn *insn)
{
    (void)r, (void)insn;
    return false;
}
