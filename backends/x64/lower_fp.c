// SPDX-License-Identifier: MIT
// Floating point, scalar and lanewise: host instructions with exceptions accumulating in MXCSR.
#include "backends/x64/compile.h"

bool x64_lower_fp(struct x64_compile *c, const struct ir_insn *insn)
{
    (void)c;
    (void)insn;
    return false;
}
