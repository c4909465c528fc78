// SPDX-License-Identifier: MIT
// Integer vectors and lane movements.
#include "backends/x64/compile.h"

bool x64_lower_vec(struct x64_compile *c, const struct ir_insn *insn)
{
    (void)c;
    (void)insn;
    return false;
}
