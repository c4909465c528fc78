// SPDX-License-Identifier: MIT
// Flags ops outside the interpreter's loop; their definition is in eval_internal.h.
#include "ir/eval_internal.h"

bool ir_eval_flags(const struct ir_insn *insn, const enum ir_type arg_types[4], const union ir_value args[4],
                   union ir_value *ret_value)
{
    union ir_value r = {.v = {.d = {0, 0}}};
    switch (insn->op) {
#define CASE(op)                                                                                             \
    case IR_OP_##op:                                                                                         \
        r.i = ir_eval_flags_op(IR_OP_##op, insn, arg_types[0], args[0].i, args[1].i, args[2].i);             \
        break;
        CASE(flags_add) CASE(flags_sub) CASE(flags_adc) CASE(flags_sbc) CASE(flags_logic) CASE(flags_pack)
        CASE(flags_unpack) CASE(cond)
#undef CASE
    default: return false;
    }
    *ret_value = r;
    return true;
}
