// SPDX-License-Identifier: MIT
// The interpreter: the reference that every tier is tested against, and the tier of last resort. One switch
// over the ops; integers and flags are evaluated inline (eval_internal.h), the rest by ir_eval's groups.
//
// Invariant: a slot holds the value of the instruction of the same index; bits above its type are zero.
// env.pc is the running guest instruction whenever control may leave.
#include "ir/eval_internal.h"

#include <string.h>

_Static_assert(IR_OP_vsha256s1 + 1 == IR_OP_COUNT, "the last case of the loop reaches the last op");

static inline void *field_at(const struct ir_unit *unit, struct ir_env *env, uint64_t field)
{
    return (char *)env + unit->guest->layout->fields[field].offset;
}

static inline void read_field(const void *at, enum ir_type type, union ir_value *ret_value)
{
    uint8_t b;
    uint16_t h;
    uint32_t w;
    switch (type) {
    case IR_I1:
    case IR_I8: memcpy(&b, at, 1), ret_value->i = b; break;
    case IR_I16:
    case IR_F16: memcpy(&h, at, 2), ret_value->i = h; break;
    case IR_I32:
    case IR_F32:
    case IR_FLAGS: memcpy(&w, at, 4), ret_value->i = w; break;
    case IR_V128: memcpy(&ret_value->v, at, 16); break;
    default: memcpy(&ret_value->i, at, 8); break;
    }
}

static inline void write_field(void *at, enum ir_type type, const union ir_value *value)
{
    switch (type) {
    case IR_I1:
    case IR_I8: memcpy(at, &value->i, 1); break;
    case IR_I16:
    case IR_F16: memcpy(at, &value->i, 2); break;
    case IR_I32:
    case IR_F32:
    case IR_FLAGS: memcpy(at, &value->i, 4); break;
    case IR_V128: memcpy(at, &value->v, 16); break;
    default: memcpy(at, &value->i, 8); break;
    }
}

static int call_helper(const struct ir_unit *unit, const struct ir_insn *insn, struct ir_env *env,
                       union ir_value *slots, union ir_value *ret_value)
{
    const struct ir_helper *helper = &unit->guest->helpers[insn->imm];
    union ir_value args[4] = {0};
    for (unsigned i = 0; i < 4 && helper->args[i] != IR_VOID; i++)
        args[i] = slots[insn->arg[i]];
    return helper->fn(env, args, ret_value);
}

static void eval_slow(const struct ir_unit *unit, const struct ir_insn *insn, struct ir_env *env,
                      union ir_value *slots, union ir_value *ret_value)
{
    union ir_value args[4] = {0};
    enum ir_type types[4] = {IR_VOID, IR_VOID, IR_VOID, IR_VOID};
    for (unsigned i = 0; i < 4 && insn->arg[i] != IR_NO_VALUE; i++) {
        args[i] = slots[insn->arg[i]];
        types[i] = unit->insns[insn->arg[i]].type;
    }
    ir_eval(insn, types, args, ret_value, &env->fp_flags);
}

int ir_interpret(const struct ir_unit *unit, struct ir_env *env, const struct ir_runtime *runtime,
                 union ir_value *slots)
{
    const struct ir_insn *const insns = unit->insns;
    const struct ir_insn *insn = insns + unit->blocks[0].first;
    const uint64_t pc_page = env->pc_page;
    int code;

#define SLOT(n) slots[insn->arg[n]]
#define OUT (*out)
    union ir_value *out = slots + (insn - insns);
    for (;; insn++, out++) {
        switch (insn->op) {
#define INT1(op)                                                                                             \
    case IR_OP_##op:                                                                                         \
        OUT.i = ir_eval_int_op(IR_OP_##op, insn, insns[insn->arg[0]].type, SLOT(0).i, 0, 0);                 \
        break;
#define INT2(op)                                                                                             \
    case IR_OP_##op:                                                                                         \
        OUT.i = ir_eval_int_op(IR_OP_##op, insn, insns[insn->arg[0]].type, SLOT(0).i, SLOT(1).i, 0);         \
        break;
#define INT3(op)                                                                                             \
    case IR_OP_##op:                                                                                         \
        OUT.i = ir_eval_int_op(IR_OP_##op, insn, insns[insn->arg[0]].type, SLOT(0).i, SLOT(1).i, SLOT(2).i); \
        break;
#define FLAGS1(op)                                                                                           \
    case IR_OP_##op:                                                                                         \
        OUT.i = ir_eval_flags_op(IR_OP_##op, insn, insns[insn->arg[0]].type, SLOT(0).i, 0, 0);               \
        break;
#define FLAGS2(op)                                                                                           \
    case IR_OP_##op:                                                                                         \
        OUT.i = ir_eval_flags_op(IR_OP_##op, insn, insns[insn->arg[0]].type, SLOT(0).i, SLOT(1).i, 0);       \
        break;
#define FLAGS3(op)                                                                                           \
    case IR_OP_##op:                                                                                         \
        OUT.i =                                                                                              \
            ir_eval_flags_op(IR_OP_##op, insn, insns[insn->arg[0]].type, SLOT(0).i, SLOT(1).i, SLOT(2).i);   \
        break;
            // clang-format off
            INT2(add) INT2(sub) INT3(adc) INT3(sbc) INT2(mul) INT2(umulh) INT2(smulh) INT2(udiv) INT2(sdiv)
            INT1(neg) INT1(not) INT2(and) INT2(or) INT2(xor) INT2(andn) INT2(shl) INT2(shr) INT2(sar)
            INT2(ror) INT1(clz) INT1(ctz) INT1(popcnt) INT1(bswap) INT1(bitrev) INT1(zext) INT1(sext)
            INT1(trunc) INT1(ubfx) INT1(sbfx) INT2(bfi) INT2(extr) INT2(icmp)
            FLAGS2(flags_add) FLAGS2(flags_sub) FLAGS3(flags_adc) FLAGS3(flags_sbc) FLAGS1(flags_logic)
            FLAGS1(flags_pack) FLAGS1(flags_unpack) FLAGS1(cond)
            // clang-format on
#undef INT1
#undef INT2
#undef INT3
#undef FLAGS1
#undef FLAGS2
#undef FLAGS3
        case IR_OP_nop: break;
        case IR_OP_insn: env->pc = pc_page + insn->imm; break;
        case IR_OP_const: OUT.i = ir_const_value(insn); break;
        case IR_OP_vconst: OUT.v = unit->vpool[insn->imm]; break;
        case IR_OP_pc: OUT.i = pc_page + insn->imm; break;
        case IR_OP_get: read_field(field_at(unit, env, insn->imm), insn->type, &OUT); break;
        case IR_OP_put:
            write_field(field_at(unit, env, insn->imm), insns[insn->arg[0]].type, &SLOT(0));
            break;
        case IR_OP_bitcast: OUT.i = SLOT(0).i; break;
        case IR_OP_select:
            if (insn->type == IR_V128)
                OUT.v = SLOT(0).i & 1 ? SLOT(1).v : SLOT(2).v;
            else
                OUT.i = SLOT(0).i & 1 ? SLOT(1).i : SLOT(2).i;
            break;

        case IR_OP_ld:
            code = runtime->load(env, SLOT(0).i, insn->attr, &OUT);
            if (code)
                return code;
            if (insn->type < IR_I64) // a sign extension reaches no further than the type
                OUT.i &= ir_int_mask(insn->type);
            break;
        case IR_OP_st:
            code = runtime->store(env, SLOT(0).i, insn->attr, &SLOT(1));
            if (code)
                return code;
            break;
        case IR_OP_cas:
            code = runtime->cas(env, SLOT(0).i, insn->attr, &SLOT(1), &SLOT(2), &OUT);
            if (code)
                return code;
            if (insn->type < IR_I64)
                OUT.i &= ir_int_mask(insn->type);
            break;
        case IR_OP_rmw:
            code = runtime->rmw(env, SLOT(0).i, insn->attr, insn->sub, &SLOT(1), &OUT);
            if (code)
                return code;
            if (insn->type < IR_I64)
                OUT.i &= ir_int_mask(insn->type);
            break;
        case IR_OP_span: OUT.i = 0; break; // every access then takes its own full path
        case IR_OP_fence: atomic_thread_fence(memory_order_seq_cst); break;

        case IR_OP_poll:
            if (atomic_load_explicit(&env->budget, memory_order_relaxed) < 0) {
                env->pc = pc_page + insn->imm;
                return IR_EXIT_POLL;
            }
            break;
        case IR_OP_br:
            insn = insns + unit->blocks[insn->imm].first - 1;
            out = slots + (insn - insns);
            break;
        case IR_OP_brif:
            insn = insns + unit->blocks[SLOT(0).i & 1 ? (uint32_t)insn->imm : insn->imm >> 32].first - 1;
            out = slots + (insn - insns);
            break;
        case IR_OP_exit_pc: env->pc = pc_page + insn->imm; return IR_EXIT_JUMP;
        case IR_OP_exit_ind: env->pc = SLOT(0).i; return IR_EXIT_JUMP;
        case IR_OP_exit_stop: env->pc = SLOT(0).i; return insn->sub;
        case IR_OP_call:
            code = call_helper(unit, insn, env, slots, &OUT);
            if (code)
                return code;
            break;
        case IR_OP_crc32:
        case IR_OP_fadd ... IR_OP_vsha256s1: eval_slow(unit, insn, env, slots, &OUT); break;
        default: __builtin_unreachable(); // every op has a case: no range check before the jump
        }
    }
#undef SLOT
#undef OUT
}
