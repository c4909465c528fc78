// SPDX-License-Identifier: MIT
// Vector ops on integer lanes and whole registers. Most are one lane function applied along the register; the
// rest move or fold lanes. With IR_V_LO64 the register is 64 bits long and the result's high half is zero.
//
// Invariant: a lane is handled zero-extended in 64 bits; lane functions may return rubbish above the lane's
// width.
#include "base/crypto.h"
#include "ir/eval_internal.h"

static int64_t smax_of(unsigned n)
{
    return (int64_t)(~0ull >> (65 - n));
}

// Saturates a sum or difference given exactly in 128 bits to n bits.
static uint64_t saturate(__int128 x, unsigned n, bool is_signed)
{
    __int128 high = is_signed ? smax_of(n) : (__int128)(~0ull >> (64 - n)),
             low = is_signed ? -(__int128)smax_of(n) - 1 : 0;
    return (uint64_t)(x < low ? low : x > high ? high : x);
}

static uint64_t shift_by_lane(uint64_t a, uint64_t b, unsigned n, bool is_signed)
{
    int by = (int8_t)b;
    if (by >= 0)
        return by >= (int)n ? 0 : a << by;
    if (is_signed)
        return (uint64_t)(bits_sext(a, n) >> (-by >= (int)n ? (int)n - 1 : -by));
    return -by >= (int)n ? 0 : a >> -by;
}

static uint64_t shift_right(uint64_t a, uint64_t by, unsigned n, bool is_signed)
{
    if (is_signed)
        return (uint64_t)(bits_sext(a, n) >> (by >= n ? n - 1 : by));
    return by >= n ? 0 : a >> by;
}

// Lane functions of one or two operands. a, b: zero-extended lanes of n bits.
static bool lane_op(const struct ir_insn *insn, unsigned n, uint64_t a, uint64_t b, uint64_t *ret)
{
    const bool s = insn->attr & IR_V_SIGNED;
    const __int128 xa = s ? (__int128)bits_sext(a, n) : (__int128)a,
                   xb = s ? (__int128)bits_sext(b, n) : (__int128)b;
    switch (insn->op) {
    case IR_OP_vadd: *ret = a + b; break;
    case IR_OP_vsub: *ret = a - b; break;
    case IR_OP_vmul: *ret = a * b; break;
    case IR_OP_vneg: *ret = 0 - a; break;
    case IR_OP_vabs: *ret = a >> (n - 1) ? 0 - a : a; break;
    case IR_OP_vshl: *ret = a << insn->imm; break;
    case IR_OP_vshr: *ret = shift_right(a, insn->imm, n, s); break;
    case IR_OP_vshlv: *ret = shift_by_lane(a, b, n, s); break;
    case IR_OP_vcmp: *ret = ir_compare((enum ir_cmp)insn->imm, a, b, n) ? ~0ull : 0; break;
    case IR_OP_vmin: *ret = xa < xb ? a : b; break;
    case IR_OP_vmax: *ret = xa > xb ? a : b; break;
    case IR_OP_vqadd: *ret = saturate(xa + xb, n, s); break;
    case IR_OP_vqsub: *ret = saturate(xa - xb, n, s); break;
    case IR_OP_vhadd: *ret = (uint64_t)((xa + xb) >> 1); break;
    case IR_OP_vrhadd: *ret = (uint64_t)((xa + xb + 1) >> 1); break;
    case IR_OP_vhsub: *ret = (uint64_t)((xa - xb) >> 1); break;
    case IR_OP_vabd: *ret = (uint64_t)(xa > xb ? xa - xb : xb - xa); break;
    case IR_OP_vclz: *ret = a ? (unsigned)__builtin_clzll(a) - (64 - n) : n; break;
    case IR_OP_vpopcnt: *ret = (unsigned)__builtin_popcountll(a); break;
    default: return false;
    }
    return true;
}

static bool lane_ops(const struct ir_insn *insn, unsigned bytes, const union v128 *a, const union v128 *b,
                     union v128 *ret)
{
    for (unsigned i = 0; i < bytes >> insn->sub; i++) {
        uint64_t lane;
        if (!lane_op(insn, 8u << insn->sub, ir_lane(a, insn->sub, i), ir_lane(b, insn->sub, i), &lane))
            return false;
        ir_set_lane(ret, insn->sub, i, lane);
    }
    return true;
}

static bool bitwise(const struct ir_insn *insn, const union v128 *a, const union v128 *b, const union v128 *c,
                    union v128 *ret)
{
    for (unsigned i = 0; i < 2; i++) {
        switch (insn->op) {
        case IR_OP_vand: ret->d[i] = a->d[i] & b->d[i]; break;
        case IR_OP_vor: ret->d[i] = a->d[i] | b->d[i]; break;
        case IR_OP_vxor: ret->d[i] = a->d[i] ^ b->d[i]; break;
        case IR_OP_vandn: ret->d[i] = a->d[i] & ~b->d[i]; break;
        case IR_OP_vnot: ret->d[i] = ~a->d[i]; break;
        case IR_OP_vbsl: ret->d[i] = (a->d[i] & b->d[i]) | (~a->d[i] & c->d[i]); break;
        case IR_OP_vbitrev: ret->d[i] = __builtin_bswap64(ir_reverse_bits(a->d[i])); break;
        default: return false;
        }
    }
    return true;
}

// Ops that move lanes; n of them, two at least where two registers take part.
static bool permute(const struct ir_insn *insn, unsigned bytes, const union v128 *a, const union v128 *b,
                    union v128 *ret)
{
    const unsigned sub = insn->sub, n = bytes >> sub, imm = (unsigned)insn->imm;
    for (unsigned i = 0; i < n; i++) {
        uint64_t lane;
        switch (insn->op) {
        case IR_OP_vrev: lane = ir_lane(a, sub, i ^ ((1u << (imm - sub)) - 1)); break;
        case IR_OP_vdupl: lane = ir_lane(a, sub, imm); break;
        case IR_OP_vzip: lane = ir_lane(i & 1 ? b : a, sub, i / 2 + imm * n / 2); break;
        case IR_OP_vuzp: lane = ir_lane(i < n / 2 ? a : b, sub, (i % (n / 2)) * 2 + imm); break;
        case IR_OP_vtrn: lane = ir_lane(i & 1 ? b : a, sub, (i & ~1u) + imm); break;
        default: return false;
        }
        ir_set_lane(ret, sub, i, lane);
    }
    return true;
}

static bool move_bytes(const struct ir_insn *insn, unsigned bytes, const union v128 *a, const union v128 *b,
                       union v128 *ret)
{
    for (unsigned i = 0; i < bytes; i++) {
        unsigned from = i + (unsigned)insn->imm;
        if (insn->op == IR_OP_vext)
            ret->b[i] = from < bytes ? a->b[from] : b->b[from - bytes];
        else if (insn->op == IR_OP_vtbl)
            ret->b[i] = b->b[i] < 16 ? a->b[b->b[i]] : 0;
        else
            return false;
    }
    return true;
}

static uint64_t narrow_lane(const struct ir_insn *insn, uint64_t a)
{
    const unsigned n = 8u << insn->sub;
    const bool s = insn->attr & IR_V_SIGNED;
    switch (insn->op) {
    case IR_OP_vqxtn: return saturate(s ? (__int128)bits_sext(a, n) : (__int128)a, n / 2, s);
    case IR_OP_vqxtun: return saturate(bits_sext(a, n), n / 2, false);
    default: return a;
    }
}

// Ops between lanes of different sizes.
static bool resize(const struct ir_insn *insn, unsigned bytes, const union v128 *a, const union v128 *b,
                   union v128 *ret)
{
    const unsigned sub = insn->sub, n = 8u << sub;
    const bool s = insn->attr & IR_V_SIGNED;
    switch (insn->op) {
    case IR_OP_vxtl:
    case IR_OP_vmull:
        for (unsigned i = 0; i < bytes >> (sub + 1); i++) {
            uint64_t x = ir_lane(a, sub, i), y = ir_lane(b, sub, i);
            x = s ? (uint64_t)bits_sext(x, n) : x;
            y = s ? (uint64_t)bits_sext(y, n) : y;
            ir_set_lane(ret, sub + 1, i, insn->op == IR_OP_vxtl ? x : x * y);
        }
        return true;
    case IR_OP_vxtn:
    case IR_OP_vqxtn:
    case IR_OP_vqxtun:
        for (unsigned i = 0; i < bytes >> sub; i++)
            ir_set_lane(ret, sub - 1, i, narrow_lane(insn, ir_lane(a, sub, i)));
        return true;
    case IR_OP_vaddv: {
        uint64_t sum = 0;
        for (unsigned i = 0; i < bytes >> sub; i++)
            sum += ir_lane(a, sub, i);
        ir_set_lane(ret, sub, 0, sum);
        return true;
    }
    default: return false;
    }
}

static union v128 crypto(const struct ir_insn *insn, union v128 a, union v128 b, union v128 c)
{
    switch (insn->op) {
    case IR_OP_vpmul: return crypto_pmul8(a, b);
    case IR_OP_vpmull: return insn->sub == 3 ? crypto_pmull64(a.d[0], b.d[0]) : crypto_pmull8(a.d[0], b.d[0]);
    case IR_OP_vaese: return crypto_aese(a, b);
    case IR_OP_vaesd: return crypto_aesd(a, b);
    case IR_OP_vaesmc: return crypto_aesmc(a);
    case IR_OP_vsha1r: return crypto_sha1_rounds(a, b, (unsigned)insn->imm);
    case IR_OP_vsha256r: return crypto_sha256_rounds(a, b, c);
    case IR_OP_vsha256s0: return crypto_sha256_s0(a, b);
    case IR_OP_vsha256s1: return crypto_sha256_s1(a, b);
    default: return crypto_aesimc(a);
    }
}

// Ops between scalars and vectors.
static bool scalar_moves(const struct ir_insn *insn, const enum ir_type arg_types[4],
                         const union ir_value args[4], unsigned bytes, union ir_value *ret)
{
    const unsigned sub = insn->sub, n = 8u << sub;
    uint64_t lane;
    switch (insn->op) {
    case IR_OP_vdup:
        for (unsigned i = 0; i < bytes >> sub; i++)
            ir_set_lane(&ret->v, sub, i, args[0].i);
        return true;
    case IR_OP_vget:
        lane = ir_lane(&args[0].v, sub, (unsigned)insn->imm);
        ret->i = (insn->attr & IR_MEM_SIGNED ? (uint64_t)bits_sext(lane, n) : lane) & ir_int_mask(insn->type);
        return true;
    case IR_OP_vgetf: ret->i = args[0].i & bits_mask(ir_type_size(insn->type) * 8); return true;
    case IR_OP_vset:
        ret->v = args[0].v;
        ir_set_lane(&ret->v, sub, (unsigned)insn->imm, args[1].i);
        return true;
    case IR_OP_vzext: ret->i = args[0].i & bits_mask(ir_type_size(arg_types[0]) * 8); return true;
    case IR_OP_vlow: ret->i = args[0].i; return true;
    default: return false;
    }
}

static bool eval_group(const struct ir_insn *insn, const enum ir_type arg_types[4],
                       const union ir_value args[4], unsigned bytes, union ir_value *r)
{
    const union v128 *a = &args[0].v, *b = &args[1].v, *c = &args[2].v;
    switch (insn->op) {
    case IR_OP_vand:
    case IR_OP_vor:
    case IR_OP_vxor:
    case IR_OP_vandn:
    case IR_OP_vnot:
    case IR_OP_vbsl:
    case IR_OP_vbitrev: return bitwise(insn, a, b, c, &r->v);
    case IR_OP_vrev:
    case IR_OP_vdupl:
    case IR_OP_vzip:
    case IR_OP_vuzp:
    case IR_OP_vtrn: return permute(insn, bytes, a, b, &r->v);
    case IR_OP_vext:
    case IR_OP_vtbl: return move_bytes(insn, bytes, a, b, &r->v);
    case IR_OP_vxtl:
    case IR_OP_vxtn:
    case IR_OP_vqxtn:
    case IR_OP_vqxtun:
    case IR_OP_vmull:
    case IR_OP_vaddv: return resize(insn, bytes, a, b, &r->v);
    case IR_OP_vpmul:
    case IR_OP_vpmull:
    case IR_OP_vaese:
    case IR_OP_vaesd:
    case IR_OP_vaesmc:
    case IR_OP_vaesimc:
    case IR_OP_vsha1r:
    case IR_OP_vsha256r:
    case IR_OP_vsha256s0:
    case IR_OP_vsha256s1: r->v = crypto(insn, *a, *b, *c); return true;
    case IR_OP_vdup:
    case IR_OP_vget:
    case IR_OP_vgetf:
    case IR_OP_vset:
    case IR_OP_vzext:
    case IR_OP_vlow: return scalar_moves(insn, arg_types, args, bytes, r);
    default: return lane_ops(insn, bytes, a, b, &r->v);
    }
}

bool ir_eval_vec(const struct ir_insn *insn, const enum ir_type arg_types[4], const union ir_value args[4],
                 union ir_value *ret_value)
{
    const bool low = insn->attr & IR_V_LO64;
    union ir_value r = {.v = {.d = {0, 0}}};
    if (!eval_group(insn, arg_types, args, low ? 8 : 16, &r))
        return false;
    if (low)
        r.v.d[1] = 0;
    *ret_value = r;
    return true;
}
