// SPDX-License-Identifier: MIT
// Translates loads and stores of general registers and of single and paired SIMD&FP registers, and
// prefetches. Arm ARM (DDI 0487) C6.2, C7.2; group C4.1.96. Every access comes before any register is
// written.
#include "frontends/a64/tr.h"

#include "frontends/a64/regs.h"

uint32_t a64_memop(const struct a64_tr *t, unsigned size, enum a64_access kind)
{
    bool user = a64_key_el(t->key) == 0 || kind == A64_UNPRIVILEGED;
    uint32_t attr = size | (user ? 0u : 1u) << IR_MEM_MMU_SHIFT;

    if (t->key & A64_KEY_BE)
        attr |= IR_MEM_BE;
    if (t->key & A64_KEY_ALIGN || kind == A64_ORDERED)
        attr |= size << IR_MEM_ALIGN_SHIFT;
    return attr;
}

// SP alignment is checked at the access that uses SP as its base; once in a straight run of code is enough.
uint32_t a64_base(struct a64_tr *t, unsigned rn)
{
    uint32_t base = a64_reg_sp(t, rn, true);

    if (rn != 31 || t->sp_aligned || !(t->key & A64_KEY_SP_ALIGN))
        return base;
    uint32_t fault = ir_new_block(t->u), go_on = ir_new_block(t->u);
    uint32_t low = ir_op2(t->u, IR_OP_and, IR_I64, base, a64_imm(t, true, 15));
    uint32_t bad = ir_icmp(t->u, IR_CNE, low, a64_imm(t, true, 0));
    ir_emit(t->u, (struct ir_insn){.op = IR_OP_brif, .type = IR_VOID, .sub = IR_LIKELY_NOT_TAKEN,
                                   .arg = {bad, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE},
                                   .imm = fault | (uint64_t)go_on << 32});
    ir_start_block(t->u, fault);
    a64_raise(t, ESR(EC_SP_ALIGN, 0), t->offset);
    ir_start_block(t->u, go_on);
    t->ended = false;
    t->sp_aligned = true;
    return base;
}

uint32_t a64_offset(struct a64_tr *t, uint32_t base, int64_t offset)
{
    return offset ? ir_op2(t->u, IR_OP_add, IR_I64, base, a64_imm(t, true, (uint64_t)offset)) : base;
}

void a64_writeback(struct a64_tr *t, unsigned rn, uint32_t base, int64_t offset)
{
    bool aligned = t->sp_aligned && offset % 16 == 0;

    a64_set_reg_sp(t, rn, true, a64_offset(t, base, offset));
    if (rn == 31)
        t->sp_aligned = aligned;
}

// How an instruction forms its address.
enum index { OFFSET, PRE, POST };

// ---- one general register ---------------------------------------------------------------------------------

// What a load leaves in the register: zero-extended, or sign-extended to 64 or 32 bits.
enum extension { ZERO, SIGN64, SIGN32 };

static uint32_t load(struct a64_tr *t, unsigned size, enum extension ext, enum a64_access kind, uint32_t addr)
{
    uint32_t attr = a64_memop(t, size, kind) | (ext == ZERO ? 0 : IR_MEM_SIGNED);

    if (ext != SIGN32)
        return ir_load(t->u, IR_I64, attr, addr);
    return ir_op1(t->u, IR_OP_zext, IR_I64, ir_load(t->u, IR_I32, attr, addr));
}

static uint32_t store_value(struct a64_tr *t, unsigned rt, unsigned size)
{
    return a64_reg(t, rt, size == 3);
}

static bool load_indexed(struct a64_tr *t, const struct a64_insn *i, enum extension ext, enum index index,
                         int64_t offset, enum a64_access kind)
{
    uint32_t base = a64_base(t, i->rn);
    uint32_t v = load(t, i->size, ext, kind, index == POST ? base : a64_offset(t, base, offset));

    if (index != OFFSET)
        a64_writeback(t, i->rn, base, offset);
    a64_set_reg(t, i->rt, true, v);
    return true;
}

static bool store_indexed(struct a64_tr *t, const struct a64_insn *i, enum index index, int64_t offset,
                          enum a64_access kind)
{
    uint32_t base = a64_base(t, i->rn);
    uint32_t addr = index == POST ? base : a64_offset(t, base, offset);

    ir_store(t->u, a64_memop(t, i->size, kind), addr, store_value(t, i->rt, i->size));
    if (index != OFFSET)
        a64_writeback(t, i->rn, base, offset);
    return true;
}

static enum extension sign(const struct a64_insn *i)
{
    return i->w ? SIGN32 : SIGN64;
}

#define IMM9 bits_sext(i->imm9, 9)
#define IMM12 ((int64_t)i->imm12 << i->size)

A64_TR(stur) { return store_indexed(t, i, OFFSET, IMM9, A64_NORMAL); }
A64_TR(ldur) { return load_indexed(t, i, ZERO, OFFSET, IMM9, A64_NORMAL); }
A64_TR(ldurs) { return load_indexed(t, i, sign(i), OFFSET, IMM9, A64_NORMAL); }
A64_TR(str_post) { return store_indexed(t, i, POST, IMM9, A64_NORMAL); }
A64_TR(ldr_post) { return load_indexed(t, i, ZERO, POST, IMM9, A64_NORMAL); }
A64_TR(ldrs_post) { return load_indexed(t, i, sign(i), POST, IMM9, A64_NORMAL); }
A64_TR(str_pre) { return store_indexed(t, i, PRE, IMM9, A64_NORMAL); }
A64_TR(ldr_pre) { return load_indexed(t, i, ZERO, PRE, IMM9, A64_NORMAL); }
A64_TR(ldrs_pre) { return load_indexed(t, i, sign(i), PRE, IMM9, A64_NORMAL); }
A64_TR(sttr) { return store_indexed(t, i, OFFSET, IMM9, A64_UNPRIVILEGED); }
A64_TR(ldtr) { return load_indexed(t, i, ZERO, OFFSET, IMM9, A64_UNPRIVILEGED); }
A64_TR(ldtrs) { return load_indexed(t, i, sign(i), OFFSET, IMM9, A64_UNPRIVILEGED); }
A64_TR(str_imm) { return store_indexed(t, i, OFFSET, IMM12, A64_NORMAL); }
A64_TR(ldr_imm) { return load_indexed(t, i, ZERO, OFFSET, IMM12, A64_NORMAL); }
A64_TR(ldrs_imm) { return load_indexed(t, i, sign(i), OFFSET, IMM12, A64_NORMAL); }

static uint32_t register_address(struct a64_tr *t, const struct a64_insn *i, unsigned scale)
{
    uint32_t base = a64_base(t, i->rn);

    return ir_op2(t->u, IR_OP_add, IR_I64, base, a64_extend(t, i->rm, i->option, i->s ? scale : 0, true));
}

A64_TR(str_reg)
{
    uint32_t addr = register_address(t, i, i->size);

    ir_store(t->u, a64_memop(t, i->size, A64_NORMAL), addr, store_value(t, i->rt, i->size));
    return true;
}

A64_TR(ldr_reg)
{
    a64_set_reg(t, i->rt, true, load(t, i->size, ZERO, A64_NORMAL, register_address(t, i, i->size)));
    return true;
}

A64_TR(ldrs_reg)
{
    a64_set_reg(t, i->rt, true, load(t, i->size, sign(i), A64_NORMAL, register_address(t, i, i->size)));
    return true;
}

static uint32_t literal(struct a64_tr *t, const struct a64_insn *i)
{
    return a64_pc(t, t->offset + bits_sext(i->imm19, 19) * 4);
}

A64_TR(ldr_lit)
{
    a64_set_reg(t, i->rt, true, load(t, 2 + i->sf, ZERO, A64_NORMAL, literal(t, i)));
    return true;
}

A64_TR(ldrsw_lit)
{
    a64_set_reg(t, i->rt, true, load(t, 2, SIGN64, A64_NORMAL, literal(t, i)));
    return true;
}

// Prefetches have no effect that a guest could see.
A64_TR(prfm_lit) { return true; }
A64_TR(prfm_reg) { return true; }
A64_TR(prfm_imm) { return true; }
A64_TR(prfum) { return true; }

// ---- pairs ------------------------------------------------------------------------------------------------

static bool load_pair(struct a64_tr *t, const struct a64_insn *i, unsigned size, enum extension ext,
                      enum index index)
{
    int64_t offset = bits_sext(i->imm7, 7) * (1 << size);
    uint32_t base = a64_base(t, i->rn);
    uint32_t addr = index == POST ? base : a64_offset(t, base, offset);
    uint32_t a = load(t, size, ext, A64_NORMAL, addr);
    uint32_t b = load(t, size, ext, A64_NORMAL, a64_offset(t, addr, 1 << size));

    if (index != OFFSET)
        a64_writeback(t, i->rn, base, offset);
    a64_set_reg(t, i->rt, true, a);
    a64_set_reg(t, i->rt2, true, b);
    return true;
}

static bool store_pair(struct a64_tr *t, const struct a64_insn *i, enum index index)
{
    unsigned size = 2 + i->sf;
    int64_t offset = bits_sext(i->imm7, 7) * (1 << size);
    uint32_t base = a64_base(t, i->rn);
    uint32_t addr = index == POST ? base : a64_offset(t, base, offset);
    uint32_t attr = a64_memop(t, size, A64_NORMAL);

    ir_store(t->u, attr, addr, store_value(t, i->rt, size));
    ir_store(t->u, attr, a64_offset(t, addr, 1 << size), store_value(t, i->rt2, size));
    if (index != OFFSET)
        a64_writeback(t, i->rn, base, offset);
    return true;
}

A64_TR(stnp) { return store_pair(t, i, OFFSET); }
A64_TR(ldnp) { return load_pair(t, i, 2 + i->sf, ZERO, OFFSET); }
A64_TR(stp_post) { return store_pair(t, i, POST); }
A64_TR(ldp_post) { return load_pair(t, i, 2 + i->sf, ZERO, POST); }
A64_TR(ldpsw_post) { return load_pair(t, i, 2, SIGN64, POST); }
A64_TR(stp_off) { return store_pair(t, i, OFFSET); }
A64_TR(ldp_off) { return load_pair(t, i, 2 + i->sf, ZERO, OFFSET); }
A64_TR(ldpsw_off) { return load_pair(t, i, 2, SIGN64, OFFSET); }
A64_TR(stp_pre) { return store_pair(t, i, PRE); }
A64_TR(ldp_pre) { return load_pair(t, i, 2 + i->sf, ZERO, PRE); }
A64_TR(ldpsw_pre) { return load_pair(t, i, 2, SIGN64, PRE); }

// ---- SIMD&FP registers ------------------------------------------------------------------------------------

static uint32_t load_vec(struct a64_tr *t, unsigned size, uint32_t addr)
{
    uint32_t attr = a64_memop(t, size, A64_NORMAL);

    if (size == 4)
        return ir_load(t->u, IR_V128, attr, addr);
    return ir_op1(t->u, IR_OP_vzext, IR_V128, ir_load(t->u, IR_I64, attr, addr));
}

static void store_vec(struct a64_tr *t, unsigned size, uint32_t addr, unsigned rt)
{
    uint32_t v = a64_vec(t, rt);

    if (size < 4)
        v = ir_emit(t->u, (struct ir_insn){.op = IR_OP_vget, .type = IR_I64, .sub = 3,
                                           .arg = {v, IR_NO_VALUE, IR_NO_VALUE, IR_NO_VALUE}});
    ir_store(t->u, a64_memop(t, size, A64_NORMAL), addr, v);
}

static unsigned vec_size(const struct a64_insn *i)
{
    return i->opc << 2 | i->size;
}

static bool load_vec_indexed(struct a64_tr *t, const struct a64_insn *i, enum index index, int64_t offset)
{
    uint32_t base = a64_base(t, i->rn);
    uint32_t v = load_vec(t, vec_size(i), index == POST ? base : a64_offset(t, base, offset));

    if (index != OFFSET)
        a64_writeback(t, i->rn, base, offset);
    a64_set_vec(t, i->rt, v);
    return true;
}

static bool store_vec_indexed(struct a64_tr *t, const struct a64_insn *i, enum index index, int64_t offset)
{
    uint32_t base = a64_base(t, i->rn);

    store_vec(t, vec_size(i), index == POST ? base : a64_offset(t, base, offset), i->rt);
    if (index != OFFSET)
        a64_writeback(t, i->rn, base, offset);
    return true;
}

A64_TR(stur_v) { return store_vec_indexed(t, i, OFFSET, IMM9); }
A64_TR(ldur_v) { return load_vec_indexed(t, i, OFFSET, IMM9); }
A64_TR(str_post_v) { return store_vec_indexed(t, i, POST, IMM9); }
A64_TR(ldr_post_v) { return load_vec_indexed(t, i, POST, IMM9); }
A64_TR(str_pre_v) { return store_vec_indexed(t, i, PRE, IMM9); }
A64_TR(ldr_pre_v) { return load_vec_indexed(t, i, PRE, IMM9); }
A64_TR(str_imm_v) { return store_vec_indexed(t, i, OFFSET, (int64_t)i->imm12 << vec_size(i)); }
A64_TR(ldr_imm_v) { return load_vec_indexed(t, i, OFFSET, (int64_t)i->imm12 << vec_size(i)); }

A64_TR(str_reg_v)
{
    store_vec(t, vec_size(i), register_address(t, i, vec_size(i)), i->rt);
    return true;
}

A64_TR(ldr_reg_v)
{
    a64_set_vec(t, i->rt, load_vec(t, vec_size(i), register_address(t, i, vec_size(i))));
    return true;
}

A64_TR(ldr_lit_v)
{
    a64_set_vec(t, i->rt, load_vec(t, 2 + i->opc, literal(t, i)));
    return true;
}

static bool pair_vec(struct a64_tr *t, const struct a64_insn *i, bool is_load, enum index index)
{
    unsigned size = 2 + i->opc;
    int64_t offset = bits_sext(i->imm7, 7) * (1 << size);
    uint32_t base = a64_base(t, i->rn);
    uint32_t addr = index == POST ? base : a64_offset(t, base, offset);
    uint32_t second = a64_offset(t, addr, 1 << size);

    if (is_load) {
        uint32_t a = load_vec(t, size, addr), b = load_vec(t, size, second);
        a64_set_vec(t, i->rt, a);
        a64_set_vec(t, i->rt2, b);
    } else {
        store_vec(t, size, addr, i->rt);
        store_vec(t, size, second, i->rt2);
    }
    if (index != OFFSET)
        a64_writeback(t, i->rn, base, offset);
    return true;
}

A64_TR(stnp_v) { return pair_vec(t, i, false, OFFSET); }
A64_TR(ldnp_v) { return pair_vec(t, i, true, OFFSET); }
A64_TR(stp_post_v) { return pair_vec(t, i, false, POST); }
A64_TR(ldp_post_v) { return pair_vec(t, i, true, POST); }
A64_TR(stp_off_v) { return pair_vec(t, i, false, OFFSET); }
A64_TR(ldp_off_v) { return pair_vec(t, i, true, OFFSET); }
A64_TR(stp_pre_v) { return pair_vec(t, i, false, PRE); }
A64_TR(ldp_pre_v) { return pair_vec(t, i, true, PRE); }
