// SPDX-License-Identifier: MIT
// Floating point ops: scalars and lanes.
#include "ir/eval_internal.h"

bool ir_eval_fp(const struct ir_insn *insn, const enum ir_type arg_types[4], const union ir_value args[4],
                union ir_value *ret_value, uint32_t *fp_flags)
{
    return false;
}
