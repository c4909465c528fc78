// SPDX-License-Identifier: MIT
// Floating point ops, on scalars and lanes, in terms of base/fp (exact, integer-only). The rounding, NaN and
// flush rules of an instruction are in its attr. Lanes are computed one by one and their exceptions are
// united, as the Arm manual's "for e = 0 to elements-1" loops do.
#include "base/fp/fp.h"
#include "ir/eval_internal.h"

_Static_assert((int)IR_RO == (int)FP_RO && (int)IR_RNA == (int)FP_RNA && (int)IR_FP_IDC == (int)FP_IDC,
               "rounding modes and flags are base/fp's");

// Format by log2 of its bytes.
static const struct fp_format *format_of(unsigned sub)
{
    return sub == 1 ? &fp_f16 : sub == 2 ? &fp_f32 : &fp_f64;
}

static unsigned scalar_sub(enum ir_type type)
{
    return type == IR_F16 ? 1 : type == IR_F32 ? 2 : 3;
}

static struct fp_env environment(uint32_t attr)
{
    bool x86 = attr & IR_FP_X86;
    return (struct fp_env){
        .round = attr & IR_FP_ROUND,
        .nan_rule = x86 ? FP_NAN_X86 : FP_NAN_ARM,
        .ftz = attr & IR_FP_FTZ,
        .ftz16 = attr & IR_FP_FTZ16,
        .daz = x86 && (attr & IR_FP_FTZ),
        .default_nan = attr & IR_FP_DN,
        .ahp = attr & IR_FP_AHP,
        .tiny_after = x86,
    };
}

static uint64_t order_mask(enum ir_fcmp cmp, enum fp_order order)
{
    bool holds = cmp == IR_FEQ   ? order == FP_EQUAL
                 : cmp == IR_FGE ? order == FP_EQUAL || order == FP_GREATER
                                 : order == FP_GREATER;
    return holds ? ~0ull : 0;
}

static uint32_t order_flags(enum fp_order order)
{
    switch (order) {
    case FP_LESS: return IR_FLAG_N;
    case FP_EQUAL: return IR_FLAG_Z | IR_FLAG_C;
    case FP_GREATER: return IR_FLAG_C;
    default: return IR_FLAG_C | IR_FLAG_V;
    }
}

static uint64_t fused(const struct fp_format *f, uint32_t attr, const uint64_t x[3], struct fp_env *env)
{
    uint64_t a = attr & IR_FP_NEG_PRODUCT ? fp_neg(f, x[0]) : x[0];
    uint64_t addend = attr & IR_FP_NEG_ADDEND ? fp_neg(f, x[2]) : x[2];
    return fp_muladd(f, addend, a, x[1], env);
}

static uint64_t to_int(const struct fp_format *f, const struct ir_insn *insn, unsigned width, uint64_t a,
                       struct fp_env *env)
{
    unsigned fbits = insn->attr >> IR_FP_FBITS_SHIFT;
    return insn->attr & IR_FP_SIGNED ? fp_to_sint(f, a, width, fbits, env->round, env)
                                     : fp_to_uint(f, a, width, fbits, env->round, env);
}

static uint64_t from_int(const struct fp_format *f, const struct ir_insn *insn, unsigned width, uint64_t a,
                         struct fp_env *env)
{
    unsigned fbits = insn->attr >> IR_FP_FBITS_SHIFT;
    return insn->attr & IR_FP_SIGNED ? fp_from_sint(f, bits_sext(a, width), fbits, env->round, env)
                                     : fp_from_uint(f, a, fbits, env->round, env);
}

// Ops whose result has their operands' format: one lane or the scalar.
static bool same_format(const struct ir_insn *insn, const struct fp_format *f, const uint64_t x[3],
                        struct fp_env *env, uint64_t *ret)
{
    switch (insn->op) {
    case IR_OP_fadd: *ret = fp_add(f, x[0], x[1], env); break;
    case IR_OP_fsub: *ret = fp_sub(f, x[0], x[1], env); break;
    case IR_OP_fmul: *ret = fp_mul(f, x[0], x[1], env); break;
    case IR_OP_fmulx: *ret = fp_mulx(f, x[0], x[1], env); break;
    case IR_OP_fdiv: *ret = fp_div(f, x[0], x[1], env); break;
    case IR_OP_fsqrt: *ret = fp_sqrt(f, x[0], env); break;
    case IR_OP_fma: *ret = fused(f, insn->attr, x, env); break;
    case IR_OP_fmin: *ret = fp_min(f, x[0], x[1], env); break;
    case IR_OP_fmax: *ret = fp_max(f, x[0], x[1], env); break;
    case IR_OP_fminnm: *ret = fp_minnm(f, x[0], x[1], env); break;
    case IR_OP_fmaxnm: *ret = fp_maxnm(f, x[0], x[1], env); break;
    case IR_OP_fneg: *ret = fp_neg(f, x[0]); break;
    case IR_OP_fabs: *ret = fp_abs(f, x[0]); break;
    case IR_OP_frint: *ret = fp_round_to_int(f, x[0], env->round, insn->attr & IR_FP_EXACT, env); break;
    case IR_OP_frecpe: *ret = fp_recpe(f, x[0], env); break;
    case IR_OP_frsqrte: *ret = fp_rsqrte(f, x[0], env); break;
    case IR_OP_frecpx: *ret = fp_recpx(f, x[0], env); break;
    case IR_OP_frecps: *ret = fp_recps(f, x[0], x[1], env); break;
    case IR_OP_frsqrts: *ret = fp_rsqrts(f, x[0], x[1], env); break;
    case IR_OP_fcmpm:
        *ret = order_mask((enum ir_fcmp)insn->imm,
                          fp_compare(f, x[0], x[1], insn->attr & IR_FP_SIGNALLING, env)) &
               bits_mask(f->width);
        break;
    case IR_OP_vf2i: *ret = to_int(f, insn, f->width, x[0], env); break;
    case IR_OP_vi2f: *ret = from_int(f, insn, f->width, x[0], env); break;
    default: return false;
    }
    return true;
}

static union v128 widened(const struct ir_insn *insn, const union v128 *a, unsigned bytes, struct fp_env *env)
{
    union v128 r = {.d = {0, 0}};
    for (unsigned i = 0; i < bytes >> (insn->sub + 1); i++)
        ir_set_lane(&r, insn->sub + 1, i, fp_convert(format_of(insn->sub), format_of(insn->sub + 1),
                                                     ir_lane(a, insn->sub, i), env->round, env));
    return r;
}

static union v128 narrowed(const struct ir_insn *insn, const union v128 *a, unsigned bytes,
                           struct fp_env *env)
{
    union v128 r = {.d = {0, 0}};
    for (unsigned i = 0; i < bytes >> insn->sub; i++)
        ir_set_lane(&r, insn->sub - 1, i, fp_convert(format_of(insn->sub), format_of(insn->sub - 1),
                                                     ir_lane(a, insn->sub, i), env->round, env));
    return r;
}

static bool eval_lanes(const struct ir_insn *insn, const union ir_value args[4], union v128 *ret,
                       struct fp_env *env)
{
    unsigned bytes = insn->attr & IR_V_LO64 ? 8 : 16;
    if (insn->op == IR_OP_vfcvtl || insn->op == IR_OP_vfcvtn) {
        *ret = insn->op == IR_OP_vfcvtl ? widened(insn, &args[0].v, bytes, env)
                                        : narrowed(insn, &args[0].v, bytes, env);
        return true;
    }
    for (unsigned i = 0; i < bytes >> insn->sub; i++) {
        uint64_t x[3], lane;
        for (unsigned n = 0; n < 3; n++)
            x[n] = ir_lane(&args[n].v, insn->sub, i);
        if (!same_format(insn, format_of(insn->sub), x, env, &lane))
            return false;
        ir_set_lane(ret, insn->sub, i, lane);
    }
    return true;
}

static bool eval_scalar(const struct ir_insn *insn, const enum ir_type arg_types[4],
                        const union ir_value args[4], uint64_t *ret, struct fp_env *env)
{
    const struct fp_format *own = format_of(scalar_sub(insn->type)),
                           *from = format_of(scalar_sub(arg_types[0]));
    const uint64_t x[3] = {args[0].i, args[1].i, args[2].i};
    switch (insn->op) {
    case IR_OP_fcmp:
        *ret = order_flags(fp_compare(from, x[0], x[1], insn->attr & IR_FP_SIGNALLING, env));
        return true;
    case IR_OP_fcvt: *ret = fp_convert(from, own, x[0], env->round, env); return true;
    case IR_OP_f2i: *ret = to_int(from, insn, ir_int_width(insn->type), x[0], env); return true;
    case IR_OP_i2f: *ret = from_int(own, insn, ir_int_width(arg_types[0]), x[0], env); return true;
    default: return same_format(insn, own, x, env, ret);
    }
}

bool ir_eval_fp(const struct ir_insn *insn, const enum ir_type arg_types[4], const union ir_value args[4],
                union ir_value *ret_value, uint32_t *fp_flags)
{
    struct fp_env env = environment(insn->attr);
    union ir_value r = {.v = {.d = {0, 0}}};
    bool known = insn->type == IR_V128 ? eval_lanes(insn, args, &r.v, &env)
                                       : eval_scalar(insn, arg_types, args, &r.i, &env);
    if (!known)
        return false;
    *ret_value = r;
    *fp_flags |= env.flags;
    return true;
}
