// SPDX-License-Identifier: MIT
// The toy guest: layout, helpers, and a runtime whose memory is an array. A misaligned access under an
// alignment rule or one past the array is a fault; nothing else is.
#include "tests/ir/toy_guest.h"

#include "base/bits.h"

#include <stdio.h>
#include <string.h>

#define FIELD(name, type, member) {name, type, 1, offsetof(struct toy_state, member)}
#define FIELD4(name, type, member)                                                                           \
    FIELD(name "0", type, member[0]), FIELD(name "1", type, member[1]), FIELD(name "2", type, member[2]),    \
        FIELD(name "3", type, member[3])

static const struct ir_field fields[] = {
    FIELD4("x", IR_I64, x),      FIELD("x4", IR_I64, x[4]),   FIELD("x5", IR_I64, x[5]),
    FIELD("x6", IR_I64, x[6]),   FIELD("x7", IR_I64, x[7]),   FIELD("x8", IR_I64, x[8]),
    FIELD("x9", IR_I64, x[9]),   FIELD("x10", IR_I64, x[10]), FIELD("x11", IR_I64, x[11]),
    FIELD("x12", IR_I64, x[12]), FIELD("x13", IR_I64, x[13]), FIELD("x14", IR_I64, x[14]),
    FIELD("x15", IR_I64, x[15]), FIELD4("w", IR_I32, w),      FIELD("flags", IR_FLAGS, flags),
    FIELD("i1", IR_I1, i1),      FIELD("i8", IR_I8, i8),      FIELD("i16", IR_I16, i16),
    FIELD4("v", IR_V128, v),     FIELD("v4", IR_V128, v[4]),  FIELD("v5", IR_V128, v[5]),
    FIELD("v6", IR_V128, v[6]),  FIELD("v7", IR_V128, v[7]),  FIELD4("d", IR_F64, d),
    FIELD4("s", IR_F32, s),      FIELD4("h", IR_F16, h),
};
_Static_assert(ARRAY_SIZE(fields) == TOY_FIELD_COUNT, "a field number for each field");

static const struct ir_state_layout layout = {fields, TOY_FIELD_COUNT, sizeof(struct toy_state)};

static int helper_mix(struct ir_env *env, const union ir_value *args, union ir_value *ret_value)
{
    ret_value->i = (args[0].i ^ bits_ror(args[1].i, 23, 64)) * 0x9e3779b97f4a7c15;
    return IR_EXIT_NONE;
}

static int helper_sum(struct ir_env *env, const union ir_value *args, union ir_value *ret_value)
{
    struct toy_state *toy = (struct toy_state *)env;
    ret_value->i = toy->x[0] + 3 * toy->x[1] + 5 * toy->x[2] + 7 * toy->x[3];
    return IR_EXIT_NONE;
}

static int helper_bump(struct ir_env *env, const union ir_value *args, union ir_value *ret_value)
{
    struct toy_state *toy = (struct toy_state *)env;
    toy->x[0] += args[0].i;
    toy->x[1] ^= args[0].i;
    return IR_EXIT_NONE;
}

static int helper_trap(struct ir_env *env, const union ir_value *args, union ir_value *ret_value)
{
    return args[0].i & 1 ? IR_EXIT_STATE : IR_EXIT_NONE;
}

static int helper_count_call(struct ir_env *env, const union ir_value *args, union ir_value *ret_value)
{
    ret_value->i = ++((struct toy_state *)env)->calls;
    return IR_EXIT_NONE;
}

static int helper_clear_fp(struct ir_env *env, const union ir_value *args, union ir_value *ret_value)
{
    env->fp_flags = 0;
    return IR_EXIT_NONE;
}

static const struct ir_helper helpers[] = {
    [TOY_HELPER_MIX] = {"mix", helper_mix, 0, IR_I64, {IR_I64, IR_I64}},
    [TOY_HELPER_SUM] = {"sum", helper_sum, IR_HELPER_READS, IR_I64, {IR_VOID}},
    [TOY_HELPER_BUMP] =
        {"bump", helper_bump, IR_HELPER_READS | IR_HELPER_WRITES | IR_HELPER_IMPURE, IR_VOID, {IR_I64}},
    [TOY_HELPER_TRAP] =
        {"trap", helper_trap, IR_HELPER_READS | IR_HELPER_EXITS | IR_HELPER_IMPURE, IR_VOID, {IR_I64}},
    [TOY_HELPER_COUNT_CALL] = {"count_call", helper_count_call, IR_HELPER_IMPURE, IR_I64, {IR_VOID}},
    [TOY_HELPER_CLEAR_FP] =
        {"clear_fp", helper_clear_fp, IR_HELPER_WRITES | IR_HELPER_IMPURE, IR_VOID, {IR_VOID}},
};
_Static_assert(ARRAY_SIZE(helpers) == TOY_HELPER_COUNT, "a row for each helper");

const struct ir_guest toy_guest = {"toy", &layout, helpers, TOY_HELPER_COUNT};

void toy_reset(struct toy_state *toy, void *memory, uint64_t size)
{
    memset(toy, 0, sizeof *toy);
    toy->memory = memory;
    toy->memory_size = size;
}

static int reach(struct toy_state *toy, uint64_t va, uint32_t attr, uint8_t **ret_at)
{
    unsigned bytes = ir_mem_bytes(attr), align = 1u << ((attr & IR_MEM_ALIGN) >> IR_MEM_ALIGN_SHIFT);
    if (va & (align - 1) || va > toy->memory_size || toy->memory_size - va < bytes) {
        toy->fault_va = va;
        toy->fault_attr = attr;
        return IR_EXIT_FAULT;
    }
    *ret_at = toy->memory + va;
    return IR_EXIT_NONE;
}

static union ir_value get(const uint8_t *at, uint32_t attr)
{
    union ir_value r = {.v = {.d = {0, 0}}};
    unsigned bytes = ir_mem_bytes(attr);
    for (unsigned i = 0; i < bytes; i++)
        r.v.b[attr & IR_MEM_BE ? bytes - 1 - i : i] = at[i];
    return r;
}

static void set(uint8_t *at, uint32_t attr, const union ir_value *value)
{
    unsigned bytes = ir_mem_bytes(attr);
    for (unsigned i = 0; i < bytes; i++)
        at[i] = value->v.b[attr & IR_MEM_BE ? bytes - 1 - i : i];
}

static union ir_value extended(union ir_value v, uint32_t attr)
{
    if (attr & IR_MEM_SIGNED && ir_mem_bytes(attr) < 8)
        v.i = (uint64_t)bits_sext(v.i, ir_mem_bytes(attr) * 8);
    return v;
}

static int toy_load(struct ir_env *env, uint64_t va, uint32_t attr, union ir_value *ret_value)
{
    uint8_t *at;
    int code = reach((struct toy_state *)env, va, attr, &at);
    if (!code)
        *ret_value = extended(get(at, attr), attr);
    return code;
}

static int toy_store(struct ir_env *env, uint64_t va, uint32_t attr, const union ir_value *value)
{
    uint8_t *at;
    int code = reach((struct toy_state *)env, va, attr, &at);
    if (!code)
        set(at, attr, value);
    return code;
}

static union ir_value cut(const union ir_value *v, uint32_t attr)
{
    union ir_value r = {.v = {.d = {0, 0}}};
    memcpy(&r, v, ir_mem_bytes(attr));
    return r;
}

static int toy_cas(struct ir_env *env, uint64_t va, uint32_t attr, const union ir_value *expected,
                   const union ir_value *desired, union ir_value *ret_old)
{
    uint8_t *at;
    int code = reach((struct toy_state *)env, va, attr, &at);
    if (code)
        return code;
    union ir_value old = get(at, attr), want = cut(expected, attr);
    if (memcmp(&old, &want, sizeof old) == 0)
        set(at, attr, desired);
    *ret_old = extended(old, attr);
    return IR_EXIT_NONE;
}

static int toy_rmw(struct ir_env *env, uint64_t va, uint32_t attr, enum ir_rmw kind,
                   const union ir_value *operand, union ir_value *ret_old)
{
    uint8_t *at;
    int code = reach((struct toy_state *)env, va, attr, &at);
    if (code)
        return code;
    union ir_value old = get(at, attr), with = cut(operand, attr), next = old;
    unsigned n = ir_mem_bytes(attr) * 8;
    bool less = bits_sext(old.i, n) < bits_sext(with.i, n), below = old.i < with.i;
    switch (kind) {
    case IR_RMW_XCHG: next.i = with.i; break;
    case IR_RMW_ADD: next.i = old.i + with.i; break;
    case IR_RMW_AND: next.i = old.i & with.i; break;
    case IR_RMW_OR: next.i = old.i | with.i; break;
    case IR_RMW_XOR: next.i = old.i ^ with.i; break;
    case IR_RMW_SMAX: next.i = less ? with.i : old.i; break;
    case IR_RMW_SMIN: next.i = less ? old.i : with.i; break;
    case IR_RMW_UMAX: next.i = below ? with.i : old.i; break;
    case IR_RMW_UMIN: next.i = below ? old.i : with.i; break;
    default: break;
    }
    set(at, attr, &next);
    *ret_old = extended(old, attr);
    return IR_EXIT_NONE;
}

const struct ir_runtime toy_runtime = {toy_load, toy_store, toy_cas, toy_rmw};

bool toy_differs(const struct toy_state *a, const struct toy_state *b, char *text, size_t size)
{
    for (unsigned f = 0; f < TOY_FIELD_COUNT; f++) {
        const uint8_t *pa = (const uint8_t *)a + fields[f].offset,
                      *pb = (const uint8_t *)b + fields[f].offset;
        unsigned bytes = ir_type_size(fields[f].type);
        if (memcmp(pa, pb, bytes) == 0)
            continue;
        int at = snprintf(text, size, "%s:", fields[f].name);
        for (unsigned side = 0; side < 2; side++) {
            at += snprintf(text + at, size - (size_t)at, "%s", side ? " against " : " ");
            for (unsigned i = bytes; i--;)
                at += snprintf(text + at, size - (size_t)at, "%02x", (side ? pb : pa)[i]);
        }
        return true;
    }
    const struct {
        const char *name;
        uint64_t a, b;
    } words[] = {
        {"pc", a->env.pc, b->env.pc},
        {"fp_flags", a->env.fp_flags, b->env.fp_flags},
        {"fault_va", a->fault_va, b->fault_va},
        {"fault_attr", a->fault_attr, b->fault_attr},
        {"calls", a->calls, b->calls},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        if (words[i].a != words[i].b) {
            snprintf(text, size, "%s: %llx against %llx", words[i].name, (unsigned long long)words[i].a,
                     (unsigned long long)words[i].b);
            return true;
        }
    }
    for (uint64_t i = 0; i < a->memory_size; i++) {
        if (a->memory[i] != b->memory[i]) {
            snprintf(text, size, "memory[0x%llx]: %02x against %02x", (unsigned long long)i, a->memory[i],
                     b->memory[i]);
            return true;
        }
    }
    return false;
}
