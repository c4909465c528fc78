// SPDX-License-Identifier: MIT
// The reference semantics of the ops that compute: integer and flags ops as inline functions of a constant op
// (the interpreter's cases expand them, so there is one definition and no call), floating point and vectors
// as functions.
//
// Invariant: a value's bits above its type's width are zero, on the way in and out. Nothing here has state.
#ifndef IR_EVAL_INTERNAL_H
#define IR_EVAL_INTERNAL_H

#include "base/bits.h"
#include "ir/ir.h"

// type is one of i1..i64.
static inline unsigned ir_int_width(enum ir_type type)
{
    return type == IR_I1 ? 1 : 8u << (type - IR_I8);
}

static inline uint64_t ir_int_mask(enum ir_type type)
{
    return ~0ull >> (64 - ir_int_width(type));
}

// Integers and scalar floats.
static inline uint64_t ir_const_value(const struct ir_insn *insn)
{
    return insn->imm & (insn->type == IR_I1 ? 1 : bits_mask(ir_type_size(insn->type) * 8));
}

static inline bool ir_compare(enum ir_cmp cmp, uint64_t a, uint64_t b, unsigned width)
{
    int64_t sa = bits_sext(a, width), sb = bits_sext(b, width);
    switch (cmp) {
    case IR_CEQ: return a == b;
    case IR_CNE: return a != b;
    case IR_CULT: return a < b;
    case IR_CUGE: return a >= b;
    case IR_CULE: return a <= b;
    case IR_CUGT: return a > b;
    case IR_CSLT: return sa < sb;
    case IR_CSGE: return sa >= sb;
    case IR_CSLE: return sa <= sb;
    case IR_CSGT: return sa > sb;
    default: return false;
    }
}

static inline bool ir_condition(enum ir_cond cond, uint32_t flags)
{
    bool n = flags & IR_FLAG_N, z = flags & IR_FLAG_Z, c = flags & IR_FLAG_C, v = flags & IR_FLAG_V,
         r = false;
    switch (cond & ~1u) {
    case IR_EQ: r = z; break;
    case IR_CS: r = c; break;
    case IR_MI: r = n; break;
    case IR_VS: r = v; break;
    case IR_HI: r = c && !z; break;
    case IR_GE: r = n == v; break;
    case IR_GT: r = !z && n == v; break;
    }
    return r != (cond & 1);
}

// N Z C V of a + b + carry on width bits.
static inline uint32_t ir_sum_flags(uint64_t a, uint64_t b, bool carry, unsigned width)
{
    uint64_t mask = ~0ull >> (64 - width), sum = (a + b + carry) & mask;
    uint64_t carries = (a & b) | ((a | b) & ~sum), overflow = (a ^ sum) & (b ^ sum);
    return (sum >> (width - 1) & 1 ? IR_FLAG_N : 0) | (sum == 0 ? IR_FLAG_Z : 0) |
           (carries >> (width - 1) & 1 ? IR_FLAG_C : 0) | (overflow >> (width - 1) & 1 ? IR_FLAG_V : 0);
}

static inline uint64_t ir_reverse_bits(uint64_t v)
{
    v = (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
    v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
    return __builtin_bswap64(v);
}

static inline uint64_t ir_div(bool is_signed, uint64_t a, uint64_t b, unsigned width)
{
    if (b == 0)
        return 0;
    if (!is_signed)
        return a / b;
    int64_t sa = bits_sext(a, width), sb = bits_sext(b, width);
    return sb == -1 ? 0 - (uint64_t)sa : (uint64_t)(sa / sb);
}

// Integer op on values of insn->type; ta is the type of arg 0. The result is masked.
static inline __attribute__((always_inline)) uint64_t
ir_eval_int_op(enum ir_op op, const struct ir_insn *insn, enum ir_type ta, uint64_t a, uint64_t b, uint64_t c)
{
    const unsigned n = ir_int_width(insn->type);
    uint64_t r = 0;
    switch (op) {
    case IR_OP_add: r = a + b; break;
    case IR_OP_sub: r = a - b; break;
    case IR_OP_adc: r = a + b + c; break;
    case IR_OP_sbc: r = a + ~b + c; break;
    case IR_OP_mul: r = a * b; break;
    case IR_OP_umulh: r = (uint64_t)((unsigned __int128)a * b >> 64); break;
    case IR_OP_smulh: r = (uint64_t)((__int128)(int64_t)a * (int64_t)b >> 64); break;
    case IR_OP_udiv: r = ir_div(false, a, b, n); break;
    case IR_OP_sdiv: r = ir_div(true, a, b, n); break;
    case IR_OP_neg: r = 0 - a; break;
    case IR_OP_not: r = ~a; break;
    case IR_OP_and: r = a & b; break;
    case IR_OP_or: r = a | b; break;
    case IR_OP_xor: r = a ^ b; break;
    case IR_OP_andn: r = a & ~b; break;
    case IR_OP_shl: r = a << (b & (n - 1)); break;
    case IR_OP_shr: r = a >> (b & (n - 1)); break;
    case IR_OP_sar: r = (uint64_t)(bits_sext(a, n) >> (b & (n - 1))); break;
    case IR_OP_ror: r = bits_ror(a, (unsigned)(b & (n - 1)), n); break;
    case IR_OP_clz: r = a ? (unsigned)__builtin_clzll(a) - (64 - n) : n; break;
    case IR_OP_ctz: r = a ? (unsigned)__builtin_ctzll(a) : n; break;
    case IR_OP_popcnt: r = (unsigned)__builtin_popcountll(a); break;
    case IR_OP_bswap: r = __builtin_bswap64(a) >> (64 - n); break;
    case IR_OP_bitrev: r = ir_reverse_bits(a) >> (64 - n); break;
    case IR_OP_zext: r = a; break;
    case IR_OP_sext: r = (uint64_t)bits_sext(a, ir_int_width(ta)); break;
    case IR_OP_trunc: r = a; break;
    case IR_OP_ubfx: r = bits_get(a, insn->sub, (unsigned)insn->imm); break;
    case IR_OP_sbfx: r = (uint64_t)bits_sext(a >> insn->sub, (unsigned)insn->imm); break;
    case IR_OP_bfi: r = bits_set(a, insn->sub, (unsigned)insn->imm, b); break;
    case IR_OP_extr: r = insn->imm ? b >> insn->imm | a << (n - insn->imm) : b; break;
    case IR_OP_icmp: r = ir_compare(insn->sub, a, b, ir_int_width(ta)); break;
    default: break;
    }
    return r & ir_int_mask(insn->type);
}

// Flags ops and cond; the result is packed flags, or an integer for flags_unpack and cond.
static inline __attribute__((always_inline)) uint64_t ir_eval_flags_op(enum ir_op op,
                                                                       const struct ir_insn *insn,
                                                                       enum ir_type ta, uint64_t a,
                                                                       uint64_t b, uint64_t c)
{
    const enum ir_type operand =
        ir_type_is_int(ta) ? ta : IR_I64; // pack, unpack and cond take flags and use neither
    const unsigned n = ir_int_width(operand);
    const uint64_t mask = ir_int_mask(operand);
    uint32_t word = (uint32_t)a;
    switch (op) {
    case IR_OP_flags_add: return ir_sum_flags(a, b, 0, n);
    case IR_OP_flags_sub: return ir_sum_flags(a, ~b & mask, 1, n) ^ (insn->sub & 1 ? IR_FLAG_C : 0);
    case IR_OP_flags_adc: return ir_sum_flags(a, b, c, n);
    case IR_OP_flags_sbc: return ir_sum_flags(a, ~b & mask, c, n);
    case IR_OP_flags_logic: return (a >> (n - 1) & 1 ? IR_FLAG_N : 0) | (a == 0 ? IR_FLAG_Z : 0);
    case IR_OP_flags_pack:
        return (word >> 31 & 1) * IR_FLAG_N | (word >> 30 & 1) * IR_FLAG_Z | (word >> 29 & 1) * IR_FLAG_C |
               (word >> 28 & 1) * IR_FLAG_V;
    case IR_OP_flags_unpack:
        return (word & IR_FLAG_N ? 1u << 31 : 0) | (word & IR_FLAG_Z ? 1u << 30 : 0) |
               (word & IR_FLAG_C ? 1u << 29 : 0) | (word & IR_FLAG_V ? 1u << 28 : 0);
    case IR_OP_cond: return ir_condition(insn->sub, word);
    default: return 0;
    }
}

// Lane i of 8 << sub bits.
static inline uint64_t ir_lane(const union v128 *v, unsigned sub, unsigned i)
{
    return sub == 0 ? v->b[i] : sub == 1 ? v->h[i] : sub == 2 ? v->s[i] : v->d[i];
}

static inline void ir_set_lane(union v128 *v, unsigned sub, unsigned i, uint64_t lane)
{
    switch (sub) {
    case 0: v->b[i] = (uint8_t)lane; break;
    case 1: v->h[i] = (uint16_t)lane; break;
    case 2: v->s[i] = (uint32_t)lane; break;
    default: v->d[i] = lane; break;
    }
}

// False if op is not of the group. ret_value may alias an argument.
bool ir_eval_int(const struct ir_insn *insn, const enum ir_type arg_types[4], const union ir_value args[4],
                 union ir_value *ret_value);
bool ir_eval_flags(const struct ir_insn *insn, const enum ir_type arg_types[4], const union ir_value args[4],
                   union ir_value *ret_value);
bool ir_eval_fp(const struct ir_insn *insn, const enum ir_type arg_types[4], const union ir_value args[4],
                union ir_value *ret_value, uint32_t *fp_flags);
bool ir_eval_vec(const struct ir_insn *insn, const enum ir_type arg_types[4], const union ir_value args[4],
                 union ir_value *ret_value);

#endif
