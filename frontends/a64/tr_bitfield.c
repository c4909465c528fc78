// SPDX-License-Identifier: MIT
// Translates bitfield moves, shifts, multiplication and division, bit and byte reversal, CRC32.
// Arm ARM (DDI 0487) C6.2.
#include "frontends/a64/tr.h"

// ---- bitfields --------------------------------------------------------------------------------------------

// UBFM and SBFM: bits imms..immr extracted to 0, or bits 0..imms inserted at -immr, the rest zero or sign.
static bool bitfield(struct a64_tr *t, const struct a64_insn *i, bool is_signed)
{
    unsigned width = i->sf ? 64 : 32;
    enum ir_type type = a64_type(i->sf);
    uint32_t v = a64_reg(t, i->rn, i->sf);

    if (i->imms >= i->immr) {
        unsigned len = i->imms - i->immr + 1;
        if (len < width)
            v = a64_bits_op(t, is_signed ? IR_OP_sbfx : IR_OP_ubfx, type, i->immr, len, v, IR_NO_VALUE);
    } else {
        unsigned len = i->imms + 1, pos = width - i->immr;
        if (len + pos < width || is_signed)
            v = a64_bits_op(t, is_signed ? IR_OP_sbfx : IR_OP_ubfx, type, 0, len, v, IR_NO_VALUE);
        v = ir_op2(t->u, IR_OP_shl, type, v, a64_imm(t, i->sf, pos));
    }
    a64_set_reg(t, i->rd, i->sf, v);
    return true;
}

A64_TR(ubfm) { return bitfield(t, i, false); }
A64_TR(sbfm) { return bitfield(t, i, true); }

A64_TR(bfm)
{
    unsigned width = i->sf ? 64 : 32;
    enum ir_type type = a64_type(i->sf);
    uint32_t d = a64_reg(t, i->rd, i->sf), v = a64_reg(t, i->rn, i->sf);
    unsigned len = i->imms + 1, pos = width - i->immr;

    if (i->imms >= i->immr) {
        len -= i->immr;
        pos = 0;
        if (i->immr)
            v = ir_op2(t->u, IR_OP_shr, type, v, a64_imm(t, i->sf, i->immr));
    }
    a64_set_reg(t, i->rd, i->sf, a64_bits_op(t, IR_OP_bfi, type, pos, len, d, v));
    return true;
}

A64_TR(extr)
{
    uint32_t hi = a64_reg(t, i->rn, i->sf), lo = a64_reg(t, i->rm, i->sf);

    a64_set_reg(t, i->rd, i->sf, a64_bits_op(t, IR_OP_extr, a64_type(i->sf), 0, i->imms, hi, lo));
    return true;
}

// ---- two sources ------------------------------------------------------------------------------------------

static bool two(struct a64_tr *t, const struct a64_insn *i, enum ir_op op)
{
    uint32_t a = a64_reg(t, i->rn, i->sf), b = a64_reg(t, i->rm, i->sf);

    a64_set_reg(t, i->rd, i->sf, ir_op2(t->u, op, a64_type(i->sf), a, b));
    return true;
}

A64_TR(udiv) { return two(t, i, IR_OP_udiv); }
A64_TR(sdiv) { return two(t, i, IR_OP_sdiv); }
A64_TR(lslv) { return two(t, i, IR_OP_shl); }
A64_TR(lsrv) { return two(t, i, IR_OP_shr); }
A64_TR(asrv) { return two(t, i, IR_OP_sar); }
A64_TR(rorv) { return two(t, i, IR_OP_ror); }

static bool crc(struct a64_tr *t, const struct a64_insn *i, unsigned polynomial)
{
    uint32_t r = ir_emit(t->u, (struct ir_insn){.op = IR_OP_crc32,
                                                .type = IR_I32,
                                                .sub = i->sz,
                                                .attr = polynomial,
                                                .arg = {a64_reg(t, i->rn, false), a64_reg(t, i->rm, true),
                                                        IR_NO_VALUE, IR_NO_VALUE}});
    a64_set_reg(t, i->rd, false, r);
    return true;
}

A64_TR(crc32) { return crc(t, i, 0); }
A64_TR(crc32c) { return crc(t, i, 1); }

// ---- one source -------------------------------------------------------------------------------------------

static bool one(struct a64_tr *t, const struct a64_insn *i, bool sf, enum ir_op op)
{
    a64_set_reg(t, i->rd, sf, ir_op1(t->u, op, a64_type(sf), a64_reg(t, i->rn, sf)));
    return true;
}

A64_TR(rbit) { return one(t, i, i->sf, IR_OP_bitrev); }
A64_TR(rev_w) { return one(t, i, false, IR_OP_bswap); }
A64_TR(rev_x) { return one(t, i, true, IR_OP_bswap); }
A64_TR(clz) { return one(t, i, i->sf, IR_OP_clz); }

A64_TR(rev16)
{
    enum ir_type type = a64_type(i->sf);
    uint32_t v = a64_reg(t, i->rn, i->sf), mask = a64_imm(t, i->sf, 0x00ff00ff00ff00ffull);
    uint32_t eight = a64_imm(t, i->sf, 8);
    uint32_t hi = ir_op2(t->u, IR_OP_shl, type, ir_op2(t->u, IR_OP_and, type, v, mask), eight);
    uint32_t lo = ir_op2(t->u, IR_OP_and, type, ir_op2(t->u, IR_OP_shr, type, v, eight), mask);

    a64_set_reg(t, i->rd, i->sf, ir_op2(t->u, IR_OP_or, type, hi, lo));
    return true;
}

A64_TR(rev32)
{
    uint32_t v = ir_op1(t->u, IR_OP_bswap, IR_I64, a64_reg(t, i->rn, true));

    a64_set_reg(t, i->rd, true, ir_op2(t->u, IR_OP_ror, IR_I64, v, a64_imm(t, true, 32)));
    return true;
}

// CLS: leading bits equal to the sign, less one: the leading zeros of v ^ (v >>s 1), less one.
A64_TR(cls)
{
    enum ir_type type = a64_type(i->sf);
    uint32_t v = a64_reg(t, i->rn, i->sf);
    uint32_t x = ir_op2(t->u, IR_OP_xor, type, v, ir_op2(t->u, IR_OP_sar, type, v, a64_imm(t, i->sf, 1)));
    uint32_t n = ir_op2(t->u, IR_OP_sub, type, ir_op1(t->u, IR_OP_clz, type, x), a64_imm(t, i->sf, 1));

    a64_set_reg(t, i->rd, i->sf, n);
    return true;
}

// ---- multiplication ---------------------------------------------------------------------------------------

static bool accumulate(struct a64_tr *t, const struct a64_insn *i, bool sf, uint32_t product, bool subtract)
{
    enum ir_type type = a64_type(sf);
    uint32_t r = product;

    if (subtract)
        r = ir_op2(t->u, IR_OP_sub, type, a64_reg(t, i->ra, sf), product);
    else if (i->ra != 31)
        r = ir_op2(t->u, IR_OP_add, type, a64_reg(t, i->ra, sf), product);
    a64_set_reg(t, i->rd, sf, r);
    return true;
}

static uint32_t product(struct a64_tr *t, const struct a64_insn *i)
{
    return ir_op2(t->u, IR_OP_mul, a64_type(i->sf), a64_reg(t, i->rn, i->sf), a64_reg(t, i->rm, i->sf));
}

static uint32_t long_product(struct a64_tr *t, const struct a64_insn *i, enum ir_op extend)
{
    uint32_t a = ir_op1(t->u, extend, IR_I64, a64_reg(t, i->rn, false));
    uint32_t b = ir_op1(t->u, extend, IR_I64, a64_reg(t, i->rm, false));

    return ir_op2(t->u, IR_OP_mul, IR_I64, a, b);
}

A64_TR(madd) { return accumulate(t, i, i->sf, product(t, i), false); }
A64_TR(msub) { return accumulate(t, i, i->sf, product(t, i), true); }
A64_TR(smaddl) { return accumulate(t, i, true, long_product(t, i, IR_OP_sext), false); }
A64_TR(smsubl) { return accumulate(t, i, true, long_product(t, i, IR_OP_sext), true); }
A64_TR(umaddl) { return accumulate(t, i, true, long_product(t, i, IR_OP_zext), false); }
A64_TR(umsubl) { return accumulate(t, i, true, long_product(t, i, IR_OP_zext), true); }

static bool high_product(struct a64_tr *t, const struct a64_insn *i, enum ir_op op)
{
    a64_set_reg(t, i->rd, true, ir_op2(t->u, op, IR_I64, a64_reg(t, i->rn, true), a64_reg(t, i->rm, true)));
    return true;
}

A64_TR(smulh) { return high_product(t, i, IR_OP_smulh); }
A64_TR(umulh) { return high_product(t, i, IR_OP_umulh); }
