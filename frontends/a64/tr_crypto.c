// SPDX-License-Identifier: MIT
// Translates the cryptographic instructions. AES and PMULL are IR ops; SHA rounds are pure helpers over
// base/crypto. Arm ARM (DDI 0487) C4.1.97, "Cryptographic AES", "two-register SHA", "three-register SHA";
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

static bool sha1_rounds(struct a64_tr *t, const struct a64_insn *i, enum a64_helper helper)
{
    uint32_t d = a64_vec(t, i->rd), e = word(t, i->rn), w = a64_vec(t, i->rm);

    a64_set_vec(t, i->rd, ir_call(t->u, helper, d, e, w, IR_NO_VALUE));
    return true;
}

A64_TR(sha1c) { return sha1_rounds(t, i, A64_HELPER_sha1c); }
A64_TR(sha1p) { return sha1_rounds(t, i, A64_HELPER_sha1p); }
A64_TR(sha1m) { return sha1_rounds(t, i, A64_HELPER_sha1m); }

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

static bool sha_2(struct a64_tr *t, const struct a64_insn *i, enum a64_helper helper)
{
    uint32_t d = a64_vec(t, i->rd), n = a64_vec(t, i->rn);

    a64_set_vec(t, i->rd, ir_call(t->u, helper, d, n, IR_NO_VALUE, IR_NO_VALUE));
    return true;
}

static bool sha_3(struct a64_tr *t, const struct a64_insn *i, enum a64_helper helper)
{
    uint32_t d = a64_vec(t, i->rd), n = a64_vec(t, i->rn), m = a64_vec(t, i->rm);

    a64_set_vec(t, i->rd, ir_call(t->u, helper, d, n, m, IR_NO_VALUE));
    return true;
}

A64_TR(sha1su1) { return sha_2(t, i, A64_HELPER_sha1su1); }
A64_TR(sha256su0) { return sha_2(t, i, A64_HELPER_sha256su0); }
A64_TR(sha256su1) { return sha_3(t, i, A64_HELPER_sha256su1); }
A64_TR(sha256h) { return sha_3(t, i, A64_HELPER_sha256h); }
A64_TR(sha256h2) { return sha_3(t, i, A64_HELPER_sha256h2); }
