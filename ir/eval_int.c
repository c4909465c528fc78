// SPDX-License-Identifier: MIT
// ir_eval: pure and FPX ops on values alone, by group. Integers here; their definition is in eval_internal.h.
#include "base/crypto.h"
#include "ir/eval_internal.h"

_Static_assert((int)IR_OP_bitcast + 1 == IR_OP_flags_add && IR_OP_flags_add < IR_OP_fadd &&
                   (int)IR_OP_vfcvtn + 1 == IR_OP_vadd,
               "ops.def groups in the order ir_eval takes them");

static union ir_value pick(const union ir_value *from, enum ir_type type)
{
    union ir_value r = {.v = {.d = {from->i, 0}}};
    return type == IR_V128 ? *from : r;
}

bool ir_eval_int(const struct ir_insn *insn, const enum ir_type arg_types[4], const union ir_value args[4],
                 union ir_value *ret_value)
{
    uint64_t a = args[0].i, b = args[1].i, c = args[2].i;
    union ir_value r = {.v = {.d = {0, 0}}};
    switch (insn->op) {
#define CASE(op)                                                                                             \
    case IR_OP_##op: r.i = ir_eval_int_op(IR_OP_##op, insn, arg_types[0], a, b, c); break;
        // clang-format off
        CASE(add) CASE(sub) CASE(adc) CASE(sbc) CASE(mul) CASE(umulh) CASE(smulh) CASE(udiv) CASE(sdiv)
        CASE(neg) CASE(not) CASE(and) CASE(or) CASE(xor) CASE(andn) CASE(shl) CASE(shr) CASE(sar) CASE(ror)
        CASE(clz) CASE(ctz) CASE(popcnt) CASE(bswap) CASE(bitrev) CASE(zext) CASE(sext) CASE(trunc)
        CASE(ubfx) CASE(sbfx) CASE(bfi) CASE(extr) CASE(icmp)
        // clang-format on
#undef CASE
    case IR_OP_const: r.i = ir_const_value(insn); break;
    case IR_OP_bitcast: r.i = a; break;
    case IR_OP_select: r = pick(&args[a & 1 ? 1 : 2], insn->type); break;
    case IR_OP_crc32:
        r.i = insn->attr & 1 ? crypto_crc32c((uint32_t)a, b, 1u << insn->sub)
                             : crypto_crc32((uint32_t)a, b, 1u << insn->sub);
        break;
    default: return false;
    }
    *ret_value = r;
    return true;
}

bool ir_eval(const struct ir_insn *insn, const enum ir_type arg_types[4], const union ir_value args[4],
             union ir_value *ret_value, uint32_t *fp_flags)
{
    if (insn->op >= IR_OP_vadd)
        return ir_eval_vec(insn, arg_types, args, ret_value);
    if (insn->op >= IR_OP_fadd)
        return ir_eval_fp(insn, arg_types, args, ret_value, fp_flags);
    if (insn->op >= IR_OP_flags_add)
        return ir_eval_flags(insn, arg_types, args, ret_value);
    return ir_eval_int(insn, arg_types, args, ret_value);
}
