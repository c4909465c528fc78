// SPDX-License-Identifier: MIT
// Translates Advanced SIMD floating-point arithmetic, comparison and reduction, vector, scalar and by
// element. Arm ARM (DDI 0487) C4.1.97, the floating-point rows of the Advanced SIMD groups; C7.2. One
// function an operation serves vectors and scalars: a64_fp_op knows the difference.
#include "frontends/a64/tr_simd.h"

typedef uint32_t operation(struct a64_tr *t, struct a64_lanes l, uint32_t n, uint32_t m);

static struct a64_lanes vector_lanes(const struct a64_insn *i)
{
    return a64_vector(2u + i->sz, i->q);
}
static struct a64_lanes scalar_lanes(const struct a64_insn *i)
{
    return a64_scalar(2u + i->sz);
}

static bool three(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, operation *fn)
{
    uint32_t n = a64_fp_operand(t, l, i->rn), m = a64_fp_operand(t, l, i->rm);

    a64_set_fp(t, i->rd, fn(t, l, n, m));
    return true;
}

// The element operand, as the lanes read it.
static uint32_t element_of(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l)
{
    uint32_t m = a64_element(t, i, l.sub);

    return l.scalar ? ir_op1(t->u, IR_OP_vgetf, a64_float_of(l.sub), m) : m;
}

static bool element(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, operation *fn)
{
    uint32_t m = element_of(t, i, l);

    a64_set_fp(t, i->rd, fn(t, l, a64_fp_operand(t, l, i->rn), m));
    return true;
}

#define OPERATION(name) static uint32_t name(struct a64_tr *t, struct a64_lanes l, uint32_t n, uint32_t m)
// op_: fmax and fmin are names of the C library.
#define OP2(name) OPERATION(op_##name) { return a64_fp_op(t, l, IR_OP_##name, 0, 0, n, m, IR_NO_VALUE); }
OP2(fadd) OP2(fsub) OP2(fmul) OP2(fdiv) OP2(fmulx) OP2(fmax) OP2(fmin) OP2(fmaxnm) OP2(fminnm)
OP2(frecps) OP2(frsqrts)

static uint32_t op1(struct a64_tr *t, struct a64_lanes l, enum ir_op op, uint32_t n)
{
    return a64_fp_op(t, l, op, 0, 0, n, IR_NO_VALUE, IR_NO_VALUE);
}

OPERATION(op_fabd) { return op1(t, l, IR_OP_fabs, op_fsub(t, l, n, m)); }

// Equality raises Invalid Operation for signalling NaNs only, order for any NaN.
static uint32_t mask(struct a64_tr *t, struct a64_lanes l, enum ir_fcmp cmp, uint32_t n, uint32_t m)
{
    return a64_fp_op(t, l, IR_OP_fcmpm, cmp == IR_FEQ ? 0 : IR_FP_SIGNALLING, cmp, n, m, IR_NO_VALUE);
}

OPERATION(op_fcmeq) { return mask(t, l, IR_FEQ, n, m); }
OPERATION(op_fcmge) { return mask(t, l, IR_FGE, n, m); }
OPERATION(op_fcmgt) { return mask(t, l, IR_FGT, n, m); }
OPERATION(op_facge) { return mask(t, l, IR_FGE, op1(t, l, IR_OP_fabs, n), op1(t, l, IR_OP_fabs, m)); }
OPERATION(op_facgt) { return mask(t, l, IR_FGT, op1(t, l, IR_OP_fabs, n), op1(t, l, IR_OP_fabs, m)); }

#define V(name) A64_TR(name##_v) { return three(t, i, vector_lanes(i), op_##name); }
#define S(name) A64_TR(name##_s) { return three(t, i, scalar_lanes(i), op_##name); }
V(fadd) V(fsub) V(fmul) V(fdiv) V(fmulx) V(fmax) V(fmin) V(fmaxnm) V(fminnm) V(frecps) V(frsqrts) V(fabd)
V(fcmeq) V(fcmge) V(fcmgt) V(facge) V(facgt)
S(fmulx) S(frecps) S(frsqrts) S(fabd) S(fcmeq) S(fcmge) S(fcmgt) S(facge) S(facgt)

A64_TR(fmul_e) { return element(t, i, vector_lanes(i), op_fmul); }
A64_TR(fmulx_e) { return element(t, i, vector_lanes(i), op_fmulx); }
A64_TR(fmul_se) { return element(t, i, scalar_lanes(i), op_fmul); }
A64_TR(fmulx_se) { return element(t, i, scalar_lanes(i), op_fmulx); }

// ---- fused --------------------------------------------------------------------------------------

static bool fused(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, uint32_t signs, uint32_t m)
{
    uint32_t n = a64_fp_operand(t, l, i->rn), d = a64_fp_operand(t, l, i->rd);

    a64_set_fp(t, i->rd, a64_fp_op(t, l, IR_OP_fma, signs, 0, n, m, d));
    return true;
}

A64_TR(fmla_v) { return fused(t, i, vector_lanes(i), 0, a64_vec(t, i->rm)); }
A64_TR(fmls_v) { return fused(t, i, vector_lanes(i), IR_FP_NEG_PRODUCT, a64_vec(t, i->rm)); }
A64_TR(fmla_e) { return fused(t, i, vector_lanes(i), 0, element_of(t, i, vector_lanes(i))); }
A64_TR(fmls_e) { return fused(t, i, vector_lanes(i), IR_FP_NEG_PRODUCT, element_of(t, i, vector_lanes(i))); }
A64_TR(fmla_se) { return fused(t, i, scalar_lanes(i), 0, element_of(t, i, scalar_lanes(i))); }
A64_TR(fmls_se) { return fused(t, i, scalar_lanes(i), IR_FP_NEG_PRODUCT, element_of(t, i, scalar_lanes(i))); }

// ---- pairwise and across lanes ------------------------------------------------------------------

static bool pairwise(struct a64_tr *t, const struct a64_insn *i, operation *fn)
{
    struct a64_lanes l = vector_lanes(i);
    uint32_t n = a64_vec(t, i->rn), m = a64_vec(t, i->rm);
    uint32_t even = a64_v2i(t, l, IR_OP_vuzp, 0, 0, n, m), odd = a64_v2i(t, l, IR_OP_vuzp, 0, 1, n, m);

    a64_set_vec(t, i->rd, fn(t, l, even, odd));
    return true;
}

static bool pair(struct a64_tr *t, const struct a64_insn *i, operation *fn)
{
    struct a64_lanes l = scalar_lanes(i);
    uint32_t v = a64_vec(t, i->rn);
    uint32_t second = ir_vop(t->u, IR_OP_vdupl, l.sub, 0, 1, v, IR_NO_VALUE, IR_NO_VALUE);
    uint32_t a = ir_op1(t->u, IR_OP_vgetf, a64_float_of(l.sub), v);
    uint32_t b = ir_op1(t->u, IR_OP_vgetf, a64_float_of(l.sub), second);

    a64_set_fp(t, i->rd, fn(t, l, a, b));
    return true;
}

#define P(name) A64_TR(name##p_v) { return pairwise(t, i, op_##name); }
#define PS(name) A64_TR(name##p_s) { return pair(t, i, op_##name); }
P(fadd) P(fmax) P(fmin) P(fmaxnm) P(fminnm) PS(fadd) PS(fmax) PS(fmin) PS(fmaxnm) PS(fminnm)

// Neighbours first, then their results, as Reduce() does.
static bool across(struct a64_tr *t, const struct a64_insn *i, operation *fn)
{
    struct a64_lanes half = a64_vector(2, false);
    uint32_t r = a64_vec(t, i->rn);

    for (unsigned q = 2; q-- > 0;) {
        struct a64_lanes l = a64_vector(2, q);
        uint32_t even = a64_v2i(t, l, IR_OP_vuzp, 0, 0, r, r), odd = a64_v2i(t, l, IR_OP_vuzp, 0, 1, r, r);
        r = fn(t, half, even, odd);
    }
    a64_set_fp(t, i->rd, ir_op1(t->u, IR_OP_vgetf, IR_F32, r));
    return true;
}

A64_TR(fmaxv) { return across(t, i, op_fmax); }
A64_TR(fminv) { return across(t, i, op_fmin); }
A64_TR(fmaxnmv) { return across(t, i, op_fmaxnm); }
A64_TR(fminnmv) { return across(t, i, op_fminnm); }

// ---- one register -------------------------------------------------------------------------------

static bool one(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, enum ir_op op)
{
    a64_set_fp(t, i->rd, op1(t, l, op, a64_fp_operand(t, l, i->rn)));
    return true;
}

A64_TR(fabs_v) { return one(t, i, vector_lanes(i), IR_OP_fabs); }
A64_TR(fneg_v) { return one(t, i, vector_lanes(i), IR_OP_fneg); }
A64_TR(fsqrt_v) { return one(t, i, vector_lanes(i), IR_OP_fsqrt); }
A64_TR(frecpe_v) { return one(t, i, vector_lanes(i), IR_OP_frecpe); }
A64_TR(frsqrte_v) { return one(t, i, vector_lanes(i), IR_OP_frsqrte); }
A64_TR(frecpe_s) { return one(t, i, scalar_lanes(i), IR_OP_frecpe); }
A64_TR(frsqrte_s) { return one(t, i, scalar_lanes(i), IR_OP_frsqrte); }
A64_TR(frecpx_s) { return one(t, i, scalar_lanes(i), IR_OP_frecpx); }

static bool zero_right(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, operation *fn)
{
    a64_set_fp(t, i->rd, fn(t, l, a64_fp_operand(t, l, i->rn), a64_fp_zero(t, l)));
    return true;
}

static bool zero_left(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, operation *fn)
{
    uint32_t zero = a64_fp_zero(t, l);

    a64_set_fp(t, i->rd, fn(t, l, zero, a64_fp_operand(t, l, i->rn)));
    return true;
}

A64_TR(fcmeq_v0) { return zero_right(t, i, vector_lanes(i), op_fcmeq); }
A64_TR(fcmge_v0) { return zero_right(t, i, vector_lanes(i), op_fcmge); }
A64_TR(fcmgt_v0) { return zero_right(t, i, vector_lanes(i), op_fcmgt); }
A64_TR(fcmle_v0) { return zero_left(t, i, vector_lanes(i), op_fcmge); }
A64_TR(fcmlt_v0) { return zero_left(t, i, vector_lanes(i), op_fcmgt); }
A64_TR(fcmeq_s0) { return zero_right(t, i, scalar_lanes(i), op_fcmeq); }
A64_TR(fcmge_s0) { return zero_right(t, i, scalar_lanes(i), op_fcmge); }
A64_TR(fcmgt_s0) { return zero_right(t, i, scalar_lanes(i), op_fcmgt); }
A64_TR(fcmle_s0) { return zero_left(t, i, scalar_lanes(i), op_fcmge); }
A64_TR(fcmlt_s0) { return zero_left(t, i, scalar_lanes(i), op_fcmgt); }
