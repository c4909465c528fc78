// SPDX-License-Identifier: MIT
// Owns the vocabulary of tr_simd.h.
#include "frontends/a64/tr_simd.h"

uint32_t a64_v1(struct a64_tr *t, struct a64_lanes l, enum ir_op op, uint32_t attr, uint32_t a)
{
    return ir_vop(t->u, op, l.sub, attr | l.lo, 0, a, IR_NO_VALUE, IR_NO_VALUE);
}

uint32_t a64_v2(struct a64_tr *t, struct a64_lanes l, enum ir_op op, uint32_t attr, uint32_t a, uint32_t b)
{
    return ir_vop(t->u, op, l.sub, attr | l.lo, 0, a, b, IR_NO_VALUE);
}

uint32_t a64_v1i(struct a64_tr *t, struct a64_lanes l, enum ir_op op, uint32_t attr, uint64_t imm, uint32_t a)
{
    return ir_vop(t->u, op, l.sub, attr | l.lo, imm, a, IR_NO_VALUE, IR_NO_VALUE);
}

uint32_t a64_v2i(struct a64_tr *t, struct a64_lanes l, enum ir_op op, uint32_t attr, uint64_t imm, uint32_t a,
                 uint32_t b)
{
    return ir_vop(t->u, op, l.sub, attr | l.lo, imm, a, b, IR_NO_VALUE);
}

uint32_t a64_vbits(struct a64_tr *t, struct a64_lanes l, enum ir_op op, uint32_t a, uint32_t b, uint32_t c)
{
    return ir_vop(t->u, op, 0, l.lo, 0, a, b, c);
}

uint32_t a64_vsplat(struct a64_tr *t, unsigned sub, uint64_t lane)
{
    uint64_t v = lane & bits_mask(8u << sub);

    for (unsigned width = 8u << sub; width < 64; width *= 2)
        v |= v << width;
    return ir_vconst(t->u, (union v128){.d = {v, v}});
}

uint32_t a64_vlane(struct a64_tr *t, enum ir_type type, unsigned sub, unsigned lane, bool is_signed,
                   uint32_t a)
{
    return ir_emit(t->u, (struct ir_insn){.op = IR_OP_vget, .type = type, .sub = (uint8_t)sub, .imm = lane,
                                          .attr = is_signed ? IR_MEM_SIGNED : 0,
                                          .arg = {a, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}});
}

uint32_t a64_vzext(struct a64_tr *t, uint32_t scalar)
{
    return ir_op1(t->u, IR_OP_vzext, IR_V128, scalar);
}

uint32_t a64_operand(struct a64_tr *t, struct a64_lanes l, unsigned n)
{
    uint32_t v = a64_vec(t, n);

    return l.scalar && l.sub < 3 ? a64_vzext(t, a64_vlane(t, a64_int_of(l.sub), l.sub, 0, false, v)) : v;
}

uint32_t a64_upper_half(struct a64_tr *t, uint32_t v)
{
    return ir_vop(t->u, IR_OP_vdupl, 3, 0, 1, v, IR_NO_VALUE, IR_NO_VALUE);
}

uint32_t a64_half(struct a64_tr *t, struct a64_lanes l, unsigned n, bool q)
{
    return q ? a64_upper_half(t, a64_vec(t, n)) : a64_operand(t, l, n);
}

void a64_set_half(struct a64_tr *t, unsigned rd, bool q, uint32_t value)
{
    if (q)
        value = ir_vop(t->u, IR_OP_vzip, 3, 0, 0, a64_vec(t, rd), value, IR_NO_VALUE);
    a64_set_vec(t, rd, value);
}

void a64_or_qc(struct a64_tr *t, uint32_t mask)
{
    ir_put(t->u, A64_F_QC, ir_op2(t->u, IR_OP_vor, IR_V128, ir_get(t->u, A64_F_QC), mask));
}

void a64_saturated(struct a64_tr *t, uint32_t result, uint32_t wrapped)
{
    a64_or_qc(t, ir_op2(t->u, IR_OP_vxor, IR_V128, result, wrapped));
}

// ---- fields -------------------------------------------------------------------------------------

unsigned a64_element_reg(const struct a64_insn *i, unsigned sub)
{
    return sub == 1 ? i->rm : i->m << 4 | i->rm;
}

unsigned a64_element_index(const struct a64_insn *i, unsigned sub)
{
    return sub == 1 ? i->h << 2 | i->l << 1 | i->m : sub == 2 ? i->h << 1 | i->l : i->h;
}

uint32_t a64_element(struct a64_tr *t, const struct a64_insn *i, unsigned sub)
{
    return ir_vop(t->u, IR_OP_vdupl, sub, 0, a64_element_index(i, sub), a64_vec(t, a64_element_reg(i, sub)),
                  IR_NO_VALUE, IR_NO_VALUE);
}

unsigned a64_shift_sub(const struct a64_insn *i)
{
    return 31 - (unsigned)__builtin_clz(i->immh);
}

unsigned a64_shift_left(const struct a64_insn *i)
{
    return (unsigned)(i->immh << 3 | i->immb) - (8u << a64_shift_sub(i));
}

unsigned a64_shift_right(const struct a64_insn *i)
{
    return (16u << a64_shift_sub(i)) - (unsigned)(i->immh << 3 | i->immb);
}

// ---- floating point -----------------------------------------------------------------------------

uint32_t a64_fp_operand(struct a64_tr *t, struct a64_lanes l, unsigned n)
{
    uint32_t v = a64_vec(t, n);

    return l.scalar ? ir_op1(t->u, IR_OP_vgetf, a64_float_of(l.sub), v) : v;
}

void a64_set_fp(struct a64_tr *t, unsigned rd, uint32_t value)
{
    a64_set_vec(t, rd, ir_type_of(t->u, value) == IR_V128 ? value : a64_vzext(t, value));
}

uint32_t a64_fp_zero(struct a64_tr *t, struct a64_lanes l)
{
    return l.scalar ? ir_const(t->u, a64_float_of(l.sub), 0) : a64_vsplat(t, 3, 0);
}

uint32_t a64_fp_op(struct a64_tr *t, struct a64_lanes l, enum ir_op op, uint32_t extra, uint64_t imm,
                   uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t attr = a64_fp_attr(t) | extra | (l.scalar ? 0 : l.lo);

    return ir_emit(t->u, (struct ir_insn){.op = op, .type = a64_fp_type(l), .sub = l.scalar ? 0 : l.sub,
                                          .attr = attr, .imm = imm, .arg = {a, b, c, IR_NO_VALUE}});
}

uint32_t a64_fp_rounding(const struct a64_tr *t, enum ir_round round)
{
    return (a64_fp_attr(t) & ~(uint32_t)IR_FP_ROUND) | round;
}

// ---- helpers ------------------------------------------------------------------------------------

// Helpers work on 128 bits: lanes not in use are made zero, which saturates nowhere.
static uint32_t shortened(struct a64_tr *t, struct a64_lanes l, uint32_t v)
{
    bool masked = l.scalar && l.sub < 3;

    return l.lo && !masked ? ir_op1(t->u, IR_OP_vlow, IR_V128, v) : v;
}

uint32_t a64_simd_call(struct a64_tr *t, struct a64_lanes l, enum a64_helper helper, unsigned mode,
                       uint32_t a, uint32_t b)
{
    a = shortened(t, l, a);
    b = shortened(t, l, b);
    uint32_t word = ir_const(t->u, IR_I32, mode | l.sub);

    return ir_call(t->u, helper, a, b, word, IR_NO_VALUE);
}
