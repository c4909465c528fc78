// SPDX-License-Identifier: MIT
// Translates Advanced SIMD moves: lanes to and from general registers, modified immediates, permutes,
// extraction and table lookups. Arm ARM (DDI 0487) C4.1.97, "Advanced SIMD copy", "modified immediate",
// "permute", "extract", "table lookup"; C7.2.
#include "frontends/a64/tr_simd.h"

#include "frontends/a64/imm.h"

// ---- copy: imm5 is index:1:0..., the lowest set bit telling the lane size -----------------------

static unsigned copy_sub(const struct a64_insn *i)
{
    return (unsigned)__builtin_ctz(i->imm5);
}
static unsigned copy_index(const struct a64_insn *i)
{
    return i->imm5 >> (copy_sub(i) + 1);
}

A64_TR(dup_e)
{
    struct a64_lanes l = a64_vector(copy_sub(i), i->q);

    a64_set_vec(t, i->rd, a64_v1i(t, l, IR_OP_vdupl, 0, copy_index(i), a64_vec(t, i->rn)));
    return true;
}

A64_TR(dup_r)
{
    struct a64_lanes l = a64_vector(copy_sub(i), i->q);

    a64_set_vec(t, i->rd, a64_v1(t, l, IR_OP_vdup, 0, a64_reg(t, i->rn, l.sub == 3)));
    return true;
}

A64_TR(dup_s)
{
    unsigned sub = copy_sub(i);

    a64_set_vec(t, i->rd,
                a64_vzext(t, a64_vlane(t, a64_int_of(sub), sub, copy_index(i), false, a64_vec(t, i->rn))));
    return true;
}

static bool to_general(struct a64_tr *t, const struct a64_insn *i, bool is_signed)
{
    uint32_t r = a64_vlane(t, a64_type(i->q), copy_sub(i), copy_index(i), is_signed, a64_vec(t, i->rn));

    a64_set_reg(t, i->rd, i->q, r);
    return true;
}

A64_TR(smov) { return to_general(t, i, true); }
A64_TR(umov) { return to_general(t, i, false); }

static bool insert(struct a64_tr *t, const struct a64_insn *i, uint32_t value)
{
    a64_set_vec(t, i->rd, ir_vop(t->u, IR_OP_vset, copy_sub(i), 0, copy_index(i), a64_vec(t, i->rd), value,
                                 IR_NO_VALUE));
    return true;
}

A64_TR(ins_r) { return insert(t, i, a64_reg(t, i->rn, copy_sub(i) == 3)); }

A64_TR(ins_e)
{
    unsigned sub = copy_sub(i);

    return insert(t, i, a64_vlane(t, a64_int_of(sub), sub, i->imm4 >> sub, false, a64_vec(t, i->rn)));
}

// ---- modified immediate -------------------------------------------------------------------------

static uint32_t constant(struct a64_tr *t, uint64_t value, bool q)
{
    return ir_vconst(t->u, (union v128){.d = {value, q ? value : 0}});
}

static uint64_t expanded(const struct a64_insn *i, unsigned op)
{
    return a64_simd_expand_imm(op, i->cmode, (unsigned)(i->abc << 5 | i->defgh));
}

A64_TR(movi_v)
{
    a64_set_vec(t, i->rd, constant(t, expanded(i, 0), i->q));
    return true;
}

A64_TR(mvni_v)
{
    a64_set_vec(t, i->rd, constant(t, ~expanded(i, 1), i->q));
    return true;
}

A64_TR(movi_d)
{
    a64_set_vec(t, i->rd, constant(t, a64_simd_expand_imm(1, 14, (unsigned)(i->abc << 5 | i->defgh)), i->q));
    return true;
}

A64_TR(fmov_v)
{
    a64_set_vec(t, i->rd, constant(t, a64_simd_expand_imm(0, 15, (unsigned)(i->abc << 5 | i->defgh)), i->q));
    return true;
}

A64_TR(fmov_v2d)
{
    a64_set_vec(t, i->rd, constant(t, a64_simd_expand_imm(1, 15, (unsigned)(i->abc << 5 | i->defgh)), true));
    return true;
}

static bool with_constant(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, unsigned imm_op)
{
    uint32_t m = constant(t, expanded(i, imm_op), true);

    a64_set_vec(t, i->rd, a64_vbits(t, a64_vector(0, i->q), op, a64_vec(t, i->rd), m, IR_NO_VALUE));
    return true;
}

A64_TR(orr_vi) { return with_constant(t, i, IR_OP_vor, 0); }
A64_TR(bic_vi) { return with_constant(t, i, IR_OP_vandn, 1); }

// ---- permutes -----------------------------------------------------------------------------------

static bool permute(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, unsigned part)
{
    struct a64_lanes l = a64_vector(i->size, i->q);

    a64_set_vec(t, i->rd, a64_v2i(t, l, op, 0, part, a64_vec(t, i->rn), a64_vec(t, i->rm)));
    return true;
}

A64_TR(uzp1) { return permute(t, i, IR_OP_vuzp, 0); }
A64_TR(uzp2) { return permute(t, i, IR_OP_vuzp, 1); }
A64_TR(trn1) { return permute(t, i, IR_OP_vtrn, 0); }
A64_TR(trn2) { return permute(t, i, IR_OP_vtrn, 1); }
A64_TR(zip1) { return permute(t, i, IR_OP_vzip, 0); }
A64_TR(zip2) { return permute(t, i, IR_OP_vzip, 1); }

A64_TR(ext)
{
    struct a64_lanes l = a64_vector(0, i->q);

    a64_set_vec(t, i->rd, a64_v2i(t, l, IR_OP_vext, 0, i->imm4, a64_vec(t, i->rn), a64_vec(t, i->rm)));
    return true;
}

// Each register of the table answers for its 16 indices, counted from 0 by subtraction; the others give 0.
static uint32_t lookup(struct a64_tr *t, const struct a64_insn *i, struct a64_lanes l, uint32_t indices)
{
    uint32_t r = IR_NO_VALUE;

    for (unsigned k = 0; k <= i->len; k++) {
        uint32_t rest = k ? a64_v2(t, l, IR_OP_vsub, 0, indices, a64_vsplat(t, 0, 16 * k)) : indices;
        uint32_t part = a64_vbits(t, l, IR_OP_vtbl, a64_vec(t, (i->rn + k) % 32), rest, IR_NO_VALUE);
        r = k ? a64_vbits(t, l, IR_OP_vor, r, part, IR_NO_VALUE) : part;
    }
    return r;
}

A64_TR(tbl)
{
    a64_set_vec(t, i->rd, lookup(t, i, a64_vector(0, i->q), a64_vec(t, i->rm)));
    return true;
}

A64_TR(tbx)
{
    struct a64_lanes l = a64_vector(0, i->q);
    uint32_t indices = a64_vec(t, i->rm), r = lookup(t, i, l, indices);
    uint32_t inside = a64_v2i(t, l, IR_OP_vcmp, 0, IR_CULT, indices, a64_vsplat(t, 0, 16u * (i->len + 1u)));

    a64_set_vec(t, i->rd, a64_vbits(t, l, IR_OP_vbsl, inside, r, a64_vec(t, i->rd)));
    return true;
}
