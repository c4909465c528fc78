// SPDX-License-Identifier: MIT
// Translates the cryptographic instructions to the IR's ops, whose lanes are in the order of hosts' SHA instructions:
// what turns one order into the other cancels between successive rounds (ir/opt/fold.c). Arm ARM (DDI 0487) C4.1.97, "Cryptographic AES", "two-register SHA", "three-register SHA";
// C7.2. CRC32 is with the integer instructions.
#include "frontends/a64/tr_simd.h"

static bool aes(struct a64_tr *t, const struct a64_insn *i, enum ir_op op, bool key)
{
    uint32_t n = a64_vec(t, i->rn);

    a64_set_vec(t, i->rd,
                key ? ir_op2(t->u, op, IR_V128, a64_vec(t, i->rd), n) : ir_op1(t->u, op, IR_V128, n));
    return true;
}

A64_TR(aese) { return aes(t, i, IR_OP_vaese, true); }
A64_TR(aesd) { return aes(t, i, IR_OP_vaesd, true); }
A64_TR(aesmc) { return aes(t, i, IR_OP_vaesmc, false); }
A64_TR(aesimc) { return aes(t, i, IR_OP_vaesimc, false); }

A64_TR(pmull_1q)
{
    struct a64_lanes l = a64_vector(3, true);

    a64_set_vec(t, i->rd,
                a64_v2(t, l, IR_OP_vpmull, 0, a64_half(t, l, i->rn, i->q), a64_half(t, l, i->rm, i->q)));
    return true;
}

static uint32_t word(struct a64_tr *t, unsigned n)
{
    return a64_vlane(t, IR_I32, 2, 0, false, a64_vec(t, n));
}

// The halves (0 low, 1 high) of two registers.
static uint32_t zip(struct a64_tr *t, unsigned half, uint32_t a, uint32_t b)
{
    return a64_v2i(t, a64_vector(3, true), IR_OP_vzip, 0, half, a, b);
}

static uint32_t swap_words(struct a64_tr *t, uint32_t v)
{
    return a64_v1i(t, a64_vector(2, true), IR_OP_vrev, 0, 3, v);
}

static uint32_t swap_halves(struct a64_tr *t, uint32_t v)
{
    return a64_v2i(t, a64_vector(0, true), IR_OP_vext, 0, 8, v, v);
}

static uint32_t add_words(struct a64_tr *t, uint32_t a, uint32_t b)
{
    return a64_v2(t, a64_vector(2, true), IR_OP_vadd, 0, a, b);
}

// The op adds the stage's constant, which the guest has in its words already.
static bool sha1_rounds(struct a64_tr *t, const struct a64_insn *i, unsigned stage)
{
    static const uint32_t constants[3] = {0x5a827999u, 0x6ed9eba1u, 0x8f1bbcdcu};
    struct a64_lanes l = a64_vector(2, true);
    uint32_t d = a64_vec(t, i->rd), e = a64_vzext(t, word(t, i->rn)), w = a64_vec(t, i->rm);
    uint32_t dcba = swap_halves(t, swap_words(t, d));

    w = add_words(t, a64_v2(t, l, IR_OP_vsub, 0, w, a64_vsplat(t, 2, constants[stage])), e);
    w = swap_halves(t, swap_words(t, w));
    dcba = a64_v2i(t, a64_vector(0, true), IR_OP_vsha1r, 0, stage, dcba, w);
    a64_set_vec(t, i->rd, swap_words(t, swap_halves(t, dcba)));
    return true;
}

A64_TR(sha1c) { return sha1_rounds(t, i, 0); }
A64_TR(sha1p) { return sha1_rounds(t, i, 1); }
A64_TR(sha1m) { return sha1_rounds(t, i, 2); }

// Rotation left by 30.
A64_TR(sha1h)
{
    uint32_t r = ir_op2(t->u, IR_OP_ror, IR_I32, word(t, i->rn), ir_const(t->u, IR_I32, 2));

    a64_set_vec(t, i->rd, a64_vzext(t, r));
    return true;
}

A64_TR(sha1su0)
{
    struct a64_lanes l = a64_vector(0, true);
    uint32_t d = a64_vec(t, i->rd);
    uint32_t r = a64_v2i(t, l, IR_OP_vext, 0, 8, d, a64_vec(t, i->rn));

    r = a64_vbits(t, l, IR_OP_vxor, r, d, IR_NO_VALUE);
    a64_set_vec(t, i->rd, a64_vbits(t, l, IR_OP_vxor, r, a64_vec(t, i->rm), IR_NO_VALUE));
    return true;
}

static uint32_t rotate_words(struct a64_tr *t, uint32_t v)
{
    struct a64_lanes l = a64_vector(2, true);

    return a64_vbits(t, l, IR_OP_vor, a64_v1i(t, l, IR_OP_vshl, 0, 1, v), a64_v1i(t, l, IR_OP_vshr, 0, 31, v),
                     IR_NO_VALUE);
}

// Lane 3 waits for the new lane 0, which is rotated once more.
A64_TR(sha1su1)
{
    struct a64_lanes l = a64_vector(0, true);
    uint32_t zero = a64_vsplat(t, 3, 0);
    uint32_t r = a64_v2i(t, l, IR_OP_vext, 0, 4, a64_vec(t, i->rn), zero);

    r = rotate_words(t, a64_vbits(t, l, IR_OP_vxor, r, a64_vec(t, i->rd), IR_NO_VALUE));
    uint32_t first = rotate_words(t, a64_v2i(t, l, IR_OP_vext, 0, 4, zero, r));
    a64_set_vec(t, i->rd, a64_vbits(t, l, IR_OP_vxor, r, first, IR_NO_VALUE));
    return true;
}

A64_TR(sha256su0)
{
    uint32_t d = a64_vec(t, i->rd);

    a64_set_vec(t, i->rd, ir_op2(t->u, IR_OP_vsha256s0, IR_V128, d, a64_vec(t, i->rn)));
    return true;
}

A64_TR(sha256su1)
{
    uint32_t n = a64_vec(t, i->rn), m = a64_vec(t, i->rm);
    uint32_t r = a64_v2i(t, a64_vector(0, true), IR_OP_vext, 0, 4, n, m);

    r = add_words(t, a64_vec(t, i->rd), r);
    a64_set_vec(t, i->rd, ir_op2(t->u, IR_OP_vsha256s1, IR_V128, r, m));
    return true;
}

// Four rounds. Of the pair of instructions, one half each; common subexpressions make it one computation.
static bool sha256_rounds(struct a64_tr *t, const struct a64_insn *i, uint32_t abcd, uint32_t efgh, unsigned half)
{
    uint32_t w = a64_vec(t, i->rm);

    abcd = swap_words(t, abcd), efgh = swap_words(t, efgh);
    uint32_t feba = zip(t, 0, efgh, abcd), hgdc = zip(t, 1, efgh, abcd);
    uint32_t middle = ir_op3(t->u, IR_OP_vsha256r, IR_V128, hgdc, feba, w);
    uint32_t last = ir_op3(t->u, IR_OP_vsha256r, IR_V128, feba, middle, a64_upper_half(t, w));
    a64_set_vec(t, i->rd, swap_words(t, zip(t, half, last, middle)));
    return true;
}

A64_TR(sha256h) { return sha256_rounds(t, i, a64_vec(t, i->rd), a64_vec(t, i->rn), 1); }
A64_TR(sha256h2) { return sha256_rounds(t, i, a64_vec(t, i->rn), a64_vec(t, i->rd), 0); }
