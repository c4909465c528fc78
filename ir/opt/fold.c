// SPDX-License-Identifier: MIT
// Constant folding and algebra on one instruction at a time, over operands already simplified. Constants go
// through ir_eval, so there is one definition of every op. An FPX op folds only if it raises no exception.
//
// Canonical forms that later rules and backends may count on: a constant operand of a commutative op is arg
// 1; sub of a constant is add; a chain of constant additions is one; icmp has its constant on the right.
#include "base/bits.h"
#include "ir/opt/opt_internal.h"

#include <string.h>

enum outcome {
    KEEP,    // no rule applies
    CHANGED, // *insn is another instruction of the same meaning
    VALUE,   // it equals *ret_value
};

static const struct ir_insn *def(const struct ir_rewrite *rw, uint32_t value)
{
    return &rw->out[value];
}

static bool is_const(const struct ir_rewrite *rw, uint32_t value, uint64_t *ret)
{
    const struct ir_insn *insn = def(rw, value);
    *ret = insn->imm;
    return insn->op == IR_OP_const;
}

static uint64_t mask_of(enum ir_type type)
{
    return type == IR_I1          ? 1
           : ir_type_is_int(type) ? bits_mask(8u << (type - IR_I8))
                                  : bits_mask(ir_type_size(type) * 8);
}

static enum outcome same_as(uint32_t value, uint32_t *ret_value)
{
    *ret_value = value;
    return VALUE;
}

static enum outcome constant(struct ir_rewrite *rw, enum ir_type type, uint64_t v, uint32_t *ret_value)
{
    *ret_value = ir_rewrite_const(rw, type, v);
    return VALUE;
}

// Becomes op of one or two operands, own type unchanged.
static enum outcome become(struct ir_insn *insn, enum ir_op op, uint32_t a, uint32_t b)
{
    *insn = ir_insn_make(op, insn->type, a, b);
    return CHANGED;
}

// ---- all operands constant -------------------------------------------------------------------------------

// The value of a constant of any kind; flags ops on constants count, although flags have no constants of
// their own.
static bool known(const struct ir_rewrite *rw, uint32_t value, unsigned depth, union ir_value *ret)
{
    const struct ir_insn *insn = def(rw, value);
    memset(ret, 0, sizeof *ret);
    if (insn->op == IR_OP_const) {
        ret->i = insn->imm;
        return true;
    }
    if (insn->op == IR_OP_vconst) {
        ret->v = rw->unit->vpool[insn->imm];
        return true;
    }
    if (insn->type != IR_FLAGS || !depth || !(ir_ops[insn->op].flags & IR_PURE))
        return false;
    union ir_value args[4] = {0};
    enum ir_type types[4] = {IR_VOID, IR_VOID, IR_VOID, IR_VOID};
    uint32_t exceptions = 0;
    for (unsigned i = 0; i < 4 && insn->arg[i] != IR_NO_VALUE; i++) {
        if (!known(rw, insn->arg[i], depth - 1, &args[i]))
            return false;
        types[i] = (enum ir_type)def(rw, insn->arg[i])->type;
    }
    return ir_eval(insn, types, args, ret, &exceptions);
}

// A quick look before known() does its work: is every operand a constant, or flags that may come of
// constants?
static inline bool may_be_known(const struct ir_rewrite *rw, const struct ir_insn *insn)
{
    if (insn->arg[0] == IR_NO_VALUE || insn->type == IR_FLAGS)
        return false;
    for (unsigned i = 0; i < 4 && insn->arg[i] != IR_NO_VALUE; i++) {
        const struct ir_insn *arg = def(rw, insn->arg[i]);
        if (arg->op != IR_OP_const && arg->op != IR_OP_vconst && arg->type != IR_FLAGS)
            return false;
    }
    return true;
}

static enum outcome fold_constants(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    union ir_value args[4] = {0}, result;
    enum ir_type types[4] = {IR_VOID, IR_VOID, IR_VOID, IR_VOID};
    uint32_t exceptions = 0;
    for (unsigned i = 0; i < 4 && insn->arg[i] != IR_NO_VALUE; i++) {
        if (!known(rw, insn->arg[i], 2, &args[i]))
            return KEEP;
        types[i] = (enum ir_type)def(rw, insn->arg[i])->type;
    }
    if (!ir_eval(insn, types, args, &result, &exceptions) || exceptions)
        return KEEP;
    if (insn->type == IR_V128) {
        uint64_t index = ir_pool_add(rw->unit, &result.v);
        become(insn, IR_OP_vconst, IR_NO_VALUE, IR_NO_VALUE);
        insn->imm = index;
        return CHANGED;
    }
    return constant(rw, (enum ir_type)insn->type, result.i, ret_value);
}

// ---- integers --------------------------------------------------------------------------------------------

// Whether only the low `bits` bits of the value can be set.
static bool fits(const struct ir_rewrite *rw, uint32_t value, unsigned bits)
{
    const struct ir_insn *insn = def(rw, value);
    uint64_t c;
    if (insn->op == IR_OP_trunc)
        insn = def(rw, insn->arg[0]);
    switch (insn->op) {
    case IR_OP_const: return insn->imm <= bits_mask(bits);
    case IR_OP_zext: return mask_of((enum ir_type)def(rw, insn->arg[0])->type) <= bits_mask(bits);
    case IR_OP_ubfx: return insn->imm <= bits;
    case IR_OP_and: return is_const(rw, insn->arg[1], &c) && c <= bits_mask(bits);
    case IR_OP_ld: return !(insn->attr & IR_MEM_SIGNED) && ir_mem_bytes(insn->attr) * 8 <= bits;
    default: return false;
    }
}

// Ops with a constant on the right. n: width of the type.
static enum outcome fold_right_constant(struct ir_rewrite *rw, struct ir_insn *insn, uint64_t c,
                                        uint32_t *ret_value)
{
    const enum ir_type type = (enum ir_type)insn->type;
    const uint64_t mask = mask_of(type);
    const unsigned n = type == IR_I1 ? 1 : ir_type_size(type) * 8;
    const struct ir_insn *left = def(rw, insn->arg[0]);
    uint64_t c2;
    switch (insn->op) {
    case IR_OP_sub: return become(insn, IR_OP_add, insn->arg[0], ir_rewrite_const(rw, type, 0 - c));
    case IR_OP_add:
        if (c == 0)
            return same_as(insn->arg[0], ret_value);
        if (left->op == IR_OP_add && is_const(rw, left->arg[1], &c2))
            return become(insn, IR_OP_add, left->arg[0], ir_rewrite_const(rw, type, c + c2));
        return KEEP;
    case IR_OP_and:
        if (c == 0)
            return constant(rw, type, 0, ret_value);
        if (c == mask || ((c & (c + 1)) == 0 && fits(rw, insn->arg[0], 64 - (unsigned)__builtin_clzll(c))))
            return same_as(insn->arg[0], ret_value);
        if (left->op == IR_OP_and && is_const(rw, left->arg[1], &c2))
            return become(insn, IR_OP_and, left->arg[0], ir_rewrite_const(rw, type, c & c2));
        return KEEP;
    case IR_OP_or:
    case IR_OP_xor:
        if (c == 0)
            return same_as(insn->arg[0], ret_value);
        if (c == mask && insn->op == IR_OP_or)
            return constant(rw, type, c, ret_value);
        return c == mask ? become(insn, IR_OP_not, insn->arg[0], IR_NO_VALUE) : KEEP;
    case IR_OP_andn: return become(insn, IR_OP_and, insn->arg[0], ir_rewrite_const(rw, type, ~c));
    case IR_OP_shl:
    case IR_OP_shr:
    case IR_OP_sar:
    case IR_OP_ror:
        if ((c & (n - 1)) == 0)
            return same_as(insn->arg[0], ret_value);
        return c < n ? KEEP : become(insn, insn->op, insn->arg[0], ir_rewrite_const(rw, type, c & (n - 1)));
    case IR_OP_mul:
        if (c == 0)
            return constant(rw, type, 0, ret_value);
        if (c == 1)
            return same_as(insn->arg[0], ret_value);
        if ((c & (c - 1)) == 0 && n >= 8)
            return become(insn, IR_OP_shl, insn->arg[0],
                          ir_rewrite_const(rw, type, (uint64_t)__builtin_ctzll(c)));
        return KEEP;
    case IR_OP_udiv:
        if (c == 0)
            return constant(rw, type, 0, ret_value);
        if ((c & (c - 1)) == 0)
            return become(insn, IR_OP_shr, insn->arg[0],
                          ir_rewrite_const(rw, type, (uint64_t)__builtin_ctzll(c)));
        return KEEP;
    default: return KEEP;
    }
}

static enum outcome fold_binary(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    uint64_t c;
    if ((ir_ops[insn->op].flags & (IR_COMM | IR_PURE)) == (IR_COMM | IR_PURE) &&
        is_const(rw, insn->arg[0], &c) && !is_const(rw, insn->arg[1], &c)) {
        uint32_t a = insn->arg[0];
        insn->arg[0] = insn->arg[1];
        insn->arg[1] = a;
        return CHANGED;
    }
    if (is_const(rw, insn->arg[1], &c))
        return fold_right_constant(rw, insn, c, ret_value);
    if (insn->op == IR_OP_sub && is_const(rw, insn->arg[0], &c) && c == 0)
        return become(insn, IR_OP_neg, insn->arg[1], IR_NO_VALUE);
    if (insn->arg[0] != insn->arg[1])
        return KEEP;
    switch (insn->op) {
    case IR_OP_sub:
    case IR_OP_xor:
    case IR_OP_andn: return constant(rw, (enum ir_type)insn->type, 0, ret_value);
    case IR_OP_and:
    case IR_OP_or: return same_as(insn->arg[0], ret_value);
    default: return KEEP;
    }
}

static enum outcome fold_carry(struct ir_rewrite *rw, struct ir_insn *insn)
{
    uint64_t c;
    if (!is_const(rw, insn->arg[2], &c))
        return KEEP;
    switch (insn->op) {
    case IR_OP_adc: return c ? KEEP : become(insn, IR_OP_add, insn->arg[0], insn->arg[1]);
    case IR_OP_sbc: return c ? become(insn, IR_OP_sub, insn->arg[0], insn->arg[1]) : KEEP;
    case IR_OP_flags_adc: return c ? KEEP : become(insn, IR_OP_flags_add, insn->arg[0], insn->arg[1]);
    default: return c ? become(insn, IR_OP_flags_sub, insn->arg[0], insn->arg[1]) : KEEP;
    }
}

static enum outcome fold_width(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    const struct ir_insn *from = def(rw, insn->arg[0]);
    const bool extended = from->op == IR_OP_zext || from->op == IR_OP_sext;
    uint64_t c;
    switch (insn->op) {
    case IR_OP_zext:
        if (from->op == IR_OP_zext)
            return become(insn, IR_OP_zext, from->arg[0], IR_NO_VALUE);
        // Narrowed and widened again: nothing was lost if the narrow part is all there was.
        if (from->op == IR_OP_trunc && def(rw, from->arg[0])->type == insn->type && from->type != IR_I1 &&
            fits(rw, from->arg[0], ir_type_size((enum ir_type)from->type) * 8))
            return same_as(from->arg[0], ret_value);
        return KEEP;
    case IR_OP_sext: return extended ? become(insn, from->op, from->arg[0], IR_NO_VALUE) : KEEP;
    case IR_OP_trunc:
        if (from->op == IR_OP_trunc)
            return become(insn, IR_OP_trunc, from->arg[0], IR_NO_VALUE);
        if (extended) {
            enum ir_type inner = (enum ir_type)def(rw, from->arg[0])->type;
            if (inner == insn->type)
                return same_as(from->arg[0], ret_value);
            return become(insn, inner > insn->type ? IR_OP_trunc : (enum ir_op)from->op, from->arg[0],
                          IR_NO_VALUE);
        }
        if (from->op == IR_OP_and && is_const(rw, from->arg[1], &c) &&
            (c & mask_of((enum ir_type)insn->type)) == mask_of((enum ir_type)insn->type))
            return become(insn, IR_OP_trunc, from->arg[0], IR_NO_VALUE);
        return KEEP;
    default: return KEEP;
    }
}

static enum outcome fold_extract(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    const struct ir_insn *from = def(rw, insn->arg[0]);
    const unsigned n = ir_type_size((enum ir_type)insn->type) * 8;
    if (insn->sub == 0 && insn->imm == n)
        return same_as(insn->arg[0], ret_value);
    if (insn->op == IR_OP_ubfx && insn->sub == 0 && fits(rw, insn->arg[0], (unsigned)insn->imm))
        return same_as(insn->arg[0], ret_value);
    // A field of a field that is wide enough.
    if (from->op == IR_OP_ubfx && insn->sub + insn->imm <= from->imm) {
        insn->sub = (uint8_t)(insn->sub + from->sub);
        insn->arg[0] = from->arg[0];
        return CHANGED;
    }
    return KEEP;
}

static enum outcome fold_icmp(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    static const uint8_t swapped[IR_CMP_COUNT] = {
        [IR_CEQ] = IR_CEQ,   [IR_CNE] = IR_CNE,   [IR_CULT] = IR_CUGT, [IR_CUGE] = IR_CULE,
        [IR_CULE] = IR_CUGE, [IR_CUGT] = IR_CULT, [IR_CSLT] = IR_CSGT, [IR_CSGE] = IR_CSLE,
        [IR_CSLE] = IR_CSGE, [IR_CSGT] = IR_CSLT};
    const struct ir_insn *left = def(rw, insn->arg[0]);
    uint64_t c;
    if (insn->arg[0] == insn->arg[1]) {
        bool equal = insn->sub == IR_CEQ || insn->sub == IR_CUGE || insn->sub == IR_CULE ||
                     insn->sub == IR_CSGE || insn->sub == IR_CSLE;
        return constant(rw, IR_I1, equal, ret_value);
    }
    if (is_const(rw, insn->arg[0], &c) && !is_const(rw, insn->arg[1], &c)) {
        uint32_t a = insn->arg[0];
        insn->arg[0] = insn->arg[1];
        insn->arg[1] = a;
        insn->sub = swapped[insn->sub];
        return CHANGED;
    }
    // A truth value tested for being zero.
    if (is_const(rw, insn->arg[1], &c) && c == 0 && insn->sub <= IR_CNE) {
        uint32_t truth = left->type == IR_I1 ? insn->arg[0]
                         : left->op == IR_OP_zext && def(rw, left->arg[0])->type == IR_I1 ? left->arg[0]
                                                                                            : IR_NO_VALUE;
        if (truth != IR_NO_VALUE && insn->sub == IR_CNE)
            return same_as(truth, ret_value);
        if (truth != IR_NO_VALUE)
            return become(insn, IR_OP_not, truth, IR_NO_VALUE);
    }
    return KEEP;
}

// not of a condition or comparison is the opposite one.
static enum outcome fold_not(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    const struct ir_insn *from = def(rw, insn->arg[0]);
    if (from->op == insn->op)
        return same_as(from->arg[0], ret_value);
    if (insn->op == IR_OP_not && (from->op == IR_OP_icmp || from->op == IR_OP_cond)) {
        *insn = *from;
        insn->sub ^= 1;
        return CHANGED;
    }
    return KEEP;
}

static enum outcome fold_select(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    const struct ir_insn *cond = def(rw, insn->arg[0]);
    uint64_t c, a, b;
    if (insn->arg[1] == insn->arg[2])
        return same_as(insn->arg[1], ret_value);
    if (is_const(rw, insn->arg[0], &c))
        return same_as(insn->arg[c & 1 ? 1 : 2], ret_value);
    if (cond->op == IR_OP_not) {
        uint32_t yes = insn->arg[1];
        insn->arg[0] = cond->arg[0];
        insn->arg[1] = insn->arg[2];
        insn->arg[2] = yes;
        return CHANGED;
    }
    if (ir_type_is_int((enum ir_type)insn->type) && is_const(rw, insn->arg[1], &a) &&
        is_const(rw, insn->arg[2], &b) && a == 1 && b == 0)
        return insn->type == IR_I1 ? same_as(insn->arg[0], ret_value)
                                   : become(insn, IR_OP_zext, insn->arg[0], IR_NO_VALUE);
    return KEEP;
}

static enum outcome fold_brif(struct ir_rewrite *rw, struct ir_insn *insn)
{
    const struct ir_insn *cond = def(rw, insn->arg[0]);
    uint32_t yes = (uint32_t)insn->imm, no = (uint32_t)(insn->imm >> 32);
    uint64_t c;
    if (yes == no || is_const(rw, insn->arg[0], &c)) {
        uint32_t to = yes == no || (c & 1) ? yes : no;
        become(insn, IR_OP_br, IR_NO_VALUE, IR_NO_VALUE);
        insn->imm = to;
        return CHANGED;
    }
    if (cond->op == IR_OP_not) {
        insn->arg[0] = cond->arg[0];
        insn->imm = no | (uint64_t)yes << 32;
        insn->sub = insn->sub == IR_LIKELY_TAKEN       ? IR_LIKELY_NOT_TAKEN
                    : insn->sub == IR_LIKELY_NOT_TAKEN ? IR_LIKELY_TAKEN
                                                       : 0;
        return CHANGED;
    }
    return KEEP;
}

// ---- moves between scalars and vectors -------------------------------------------------------------------

// The low 64 bits of the value are those of what is returned.
static uint32_t low_source(const struct ir_rewrite *rw, uint32_t value)
{
    const struct ir_insn *insn = def(rw, value);
    return insn->op == IR_OP_vlow ? insn->arg[0] : value;
}

// Whether the high half of the v128 value is zero by construction.
static bool high_is_zero(const struct ir_insn *insn)
{
    if (insn->op == IR_OP_vzext || insn->op == IR_OP_vlow || insn->op == IR_OP_vaddv)
        return true;
    return (ir_ops[insn->op].flags & (IR_PURE | IR_FPX)) && insn->op >= IR_OP_fadd &&
           (insn->attr & IR_V_LO64);
}

static enum outcome fold_from_vector(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    const struct ir_insn *from = def(rw, insn->arg[0]);
    if (insn->imm == 0 && from->op == IR_OP_vlow) {
        insn->arg[0] = low_source(rw, insn->arg[0]);
        return CHANGED;
    }
    if (from->op != IR_OP_vzext || insn->imm)
        return KEEP;
    const enum ir_type inner = (enum ir_type)def(rw, from->arg[0])->type, own = (enum ir_type)insn->type;
    const unsigned size = ir_type_size(inner);
    if (insn->op == IR_OP_vget && size != 1u << insn->sub)
        return KEEP;
    if (inner == own)
        return same_as(from->arg[0], ret_value);
    if (ir_type_size(own) == size && ir_type_is_int(own) != ir_type_is_int(inner))
        return become(insn, IR_OP_bitcast, from->arg[0], IR_NO_VALUE);
    if (ir_type_is_int(inner) && ir_type_is_int(own) && inner < own)
        return become(insn, insn->attr & IR_MEM_SIGNED ? IR_OP_sext : IR_OP_zext, from->arg[0], IR_NO_VALUE);
    return KEEP;
}

// Where a 64-bit half (0 low, 1 high) of the v128 value comes from.
static uint32_t half_source(const struct ir_rewrite *rw, uint32_t value, unsigned half, unsigned *ret_half)
{
    const struct ir_insn *insn = def(rw, value);
    *ret_half = half;
    if (insn->op != IR_OP_vzip || insn->sub != 3)
        return value;
    *ret_half = (unsigned)insn->imm;
    return insn->arg[half];
}

// Movements that undo those before them: successive rounds of SHA put their variables in another order and back.
static enum outcome fold_permutation(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    const struct ir_insn *from = def(rw, insn->arg[0]);
    const bool same = from->op == insn->op && from->sub == insn->sub && from->attr == insn->attr && from->imm == insn->imm;
    if (insn->attr & IR_V_LO64)
        return KEEP;
    if (insn->op == IR_OP_vrev)
        return same ? same_as(from->arg[0], ret_value) : KEEP;
    if (insn->op == IR_OP_vext) // halves exchanged, twice
        return same && insn->imm == 8 && insn->arg[0] == insn->arg[1] && from->arg[0] == from->arg[1]
                   ? same_as(from->arg[0], ret_value)
                   : KEEP;
    unsigned low, high, half = (unsigned)insn->imm;
    uint32_t a = half_source(rw, insn->arg[0], half, &low), b = half_source(rw, insn->arg[1], half, &high);
    return insn->sub == 3 && a == b && low == 0 && high == 1 ? same_as(a, ret_value) : KEEP;
}

static enum outcome fold_vector(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    const bool low = insn->attr & IR_V_LO64;
    switch (insn->op) {
    case IR_OP_vlow: return high_is_zero(def(rw, insn->arg[0])) ? same_as(insn->arg[0], ret_value) : KEEP;
    case IR_OP_vand:
    case IR_OP_vor:
        if (insn->arg[0] != insn->arg[1])
            return KEEP;
        return low ? become(insn, IR_OP_vlow, insn->arg[0], IR_NO_VALUE) : same_as(insn->arg[0], ret_value);
    case IR_OP_vxor: {
        const union v128 zero = {.d = {0, 0}};
        if (insn->arg[0] != insn->arg[1])
            return KEEP;
        become(insn, IR_OP_vconst, IR_NO_VALUE, IR_NO_VALUE);
        insn->imm = ir_pool_add(rw->unit, &zero);
        return CHANGED;
    }
    case IR_OP_vext:
        if (insn->imm == 0 && !low)
            return same_as(insn->arg[0], ret_value);
        return fold_permutation(rw, insn, ret_value);
    default: return fold_permutation(rw, insn, ret_value);
    }
}

static enum outcome fold_const(struct ir_insn *insn)
{
    uint64_t mask = mask_of((enum ir_type)insn->type);
    if (insn->imm <= mask)
        return KEEP;
    insn->imm &= mask;
    return CHANGED;
}

static enum outcome fold_bitcast(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    const struct ir_insn *from = def(rw, insn->arg[0]);
    return from->op == IR_OP_bitcast ? same_as(from->arg[0], ret_value) : KEEP;
}

static enum outcome fold_once(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    switch (insn->op) {
    case IR_OP_const: return fold_const(insn);
    case IR_OP_add:
    case IR_OP_sub:
    case IR_OP_mul:
    case IR_OP_and:
    case IR_OP_or:
    case IR_OP_xor:
    case IR_OP_andn:
    case IR_OP_shl:
    case IR_OP_shr:
    case IR_OP_sar:
    case IR_OP_ror:
    case IR_OP_udiv: return fold_binary(rw, insn, ret_value);
    case IR_OP_adc:
    case IR_OP_sbc:
    case IR_OP_flags_adc:
    case IR_OP_flags_sbc: return fold_carry(rw, insn);
    case IR_OP_zext:
    case IR_OP_sext:
    case IR_OP_trunc: return fold_width(rw, insn, ret_value);
    case IR_OP_ubfx:
    case IR_OP_sbfx: return fold_extract(rw, insn, ret_value);
    case IR_OP_icmp: return fold_icmp(rw, insn, ret_value);
    case IR_OP_neg:
    case IR_OP_not: return fold_not(rw, insn, ret_value);
    case IR_OP_select: return fold_select(rw, insn, ret_value);
    case IR_OP_brif: return fold_brif(rw, insn);
    case IR_OP_bitcast: return fold_bitcast(rw, insn, ret_value);
    case IR_OP_vget:
    case IR_OP_vgetf: return fold_from_vector(rw, insn, ret_value);
    case IR_OP_vlow:
    case IR_OP_vand:
    case IR_OP_vor:
    case IR_OP_vxor:
    case IR_OP_vrev:
    case IR_OP_vzip:
    case IR_OP_vext: return fold_vector(rw, insn, ret_value);
    default: return KEEP;
    }
}

bool ir_fold_insn(struct ir_rewrite *rw, struct ir_insn *insn, uint32_t *ret_value)
{
    enum { ROUNDS = 6 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        enum outcome outcome = KEEP;
        if (!(ir_ops[insn->op].flags & (IR_PURE | IR_FPX)) && insn->op != IR_OP_brif)
            return false;
        if (insn->op != IR_OP_brif && may_be_known(rw, insn))
            outcome = fold_constants(rw, insn, ret_value);
        if (outcome == KEEP)
            outcome = fold_once(rw, insn, ret_value);
        if (outcome == VALUE)
            return true;
        if (outcome == KEEP)
            return false;
    }
    return false;
}
