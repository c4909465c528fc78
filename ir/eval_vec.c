// SPDX-License-Identifier: MIT
// Vector ops: integer lanes and whole registers.
#include "ir/eval_internal.h"

bool ir_eval_vec(const struct ir_insn *insn, const enum ir_type arg_types[4], const union ir_value args[4],
                 union ir_value *ret_value)
{
    return false;
}
