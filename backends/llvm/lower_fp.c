// SPDX-License-Identifier: MIT
// Floating-point arithmetic and comparisons by classification (design: "ARM64 FP on SSE/AVX"). LLVM moves and speculates
// FP operations, so the host's exception flags mean nothing here. Instead, with rounding to nearest and the inexact
// exception already accumulated, a result that is ordinary raised nothing new; any other goes to cold code, which first
// excuses exact zeros and then computes again by ir_eval, flags included:
//
// * NaN or infinity: any operation;
// * zero, subnormal, smallest normal (ARM judges tininess before rounding): products, quotients, narrowing;
// * unordered operands: comparisons, minimum and maximum, which are exact otherwise.
//
// No fast-math flags are set, so LLVM keeps each rounding; which NaN it computes is of no interest.
#include "backends/llvm/fp.h"
#include "backends/x64/features.h"

#include <string.h>

bool region_fp_form(const struct region *r, const struct ir_insn *insn, enum ir_type type, struct region_fp *ret)
{
    struct region_fp f = { .vector = type == IR_V128, .count = 1 };
    if (f.vector) {
        f.sub = insn->sub;
        f.low = insn->attr & IR_V_LO64 && f.sub == 2;
        f.count = insn->attr & IR_V_LO64 && f.sub == 3 ? 1 : 16u >> f.sub;
    } else {
        f.sub = type == IR_F32 ? 2 : type == IR_F64 ? 3 : 0;
    }
    if (f.sub != 2 && f.sub != 3)
        return false;
    f.type = f.sub == 2 ? r->f32 : r->f64;
    f.bits = f.sub == 2 ? r->i32 : r->i64;
    if (f.count > 1) {
        f.type = LLVMVectorType(f.type, f.count);
        f.bits = LLVMVectorType(f.bits, f.count);
    }
    *ret = f;
    return true;
}

static LLVMTypeRef full_type(const struct region *r, const struct region_fp *f)
{
    return LLVMVectorType(f->sub == 2 ? r->f32 : r->f64, 16u >> f->sub);
}

LLVMValueRef region_fp_in(struct region *r, const struct region_fp *f, LLVMValueRef value)
{
    if (!f->vector)
        return value;
    value = LLVMBuildBitCast(r->builder, value, full_type(r, f), "");
    return f->count == 1 ? LLVMBuildExtractElement(r->builder, value, region_k(r, r->i32, 0), "") : value;
}

LLVMValueRef region_fp_out(struct region *r, const struct region_fp *f, LLVMValueRef value)
{
    if (LLVMTypeOf(value) != f->type)
        value = LLVMBuildBitCast(r->builder, value, f->type, "");
    if (!f->vector)
        return value;
    if (f->count == 1)
        value = LLVMBuildInsertElement(r->builder, LLVMConstNull(full_type(r, f)), value, region_k(r, r->i32, 0), "");
    value = region_whole(r, value);
    return f->low ? region_zero_high(r, value) : value;
}

LLVMValueRef region_fp_constant(const struct region *r, const struct region_fp *f, double value)
{
    LLVMValueRef lanes[4], k = LLVMConstReal(f->sub == 2 ? r->f32 : r->f64, value);
    for (unsigned i = 0; i < f->count; i++)
        lanes[i] = k;
    return f->count == 1 ? k : LLVMConstVector(lanes, f->count);
}

// ---- tests -------------------------------------------------------------------------------------------------------

LLVMValueRef region_fp_any(struct region *r, LLVMValueRef mask)
{
    if (LLVMTypeOf(mask) == r->i1)
        return mask;
    LLVMTypeRef type = LLVMIntTypeInContext(r->context, LLVMGetVectorSize(LLVMTypeOf(mask)));
    return LLVMBuildICmp(r->builder, LLVMIntNE, LLVMBuildBitCast(r->builder, mask, type, ""), region_k(r, type, 0), "");
}

static LLVMValueRef compare(struct region *r, LLVMRealPredicate p, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildFCmp(r->builder, p, a, b, "");
}

LLVMValueRef region_fp_any_unordered(struct region *r, const struct region_fp *f, LLVMValueRef a, LLVMValueRef b)
{
    static const int first[] = { 0, 1 };
    LLVMValueRef mask = compare(r, LLVMRealUNO, a, b);
    return region_fp_any(r, f->low ? region_shuffle(r, mask, mask, first, 2) : mask);
}

LLVMValueRef region_fp_mask_zero(struct region *r, LLVMValueRef v)
{
    return compare(r, LLVMRealOEQ, v, LLVMConstNull(LLVMTypeOf(v)));
}

static LLVMValueRef splat(const struct region *r, LLVMTypeRef type, uint64_t value)
{
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? region_splat(r, type, value) : region_k(r, type, value);
}

// What is 1 << k of the exponent. Adding it carries into the sign bit where the exponent is one of the last 1 << k,
// subtracting it borrows from there where it is one of the first.
static LLVMValueRef exponent_step(const struct region *r, const struct region_fp *f, unsigned k)
{
    return splat(r, f->bits, 1ull << ((f->sub == 2 ? 23 : 52) + k));
}

static LLVMValueRef negative(struct region *r, LLVMValueRef bits)
{
    return LLVMBuildICmp(r->builder, LLVMIntSLT, bits, LLVMConstNull(LLVMTypeOf(bits)), "");
}

// Of a scalar: when 1 << k is added to the exponent, its last 1 << k values become the first, and masking makes them 0; for
// k = 1 its first two too. Of f64 in the high half, as constants of 32 bits are cheaper.
static LLVMValueRef scalar_near_ends(struct region *r, const struct region_fp *f, LLVMValueRef bits, unsigned k)
{
    LLVMBuilderRef at = r->builder;
    unsigned shift = f->sub == 2 ? 23 : 20, exponent = f->sub == 2 ? 0xff : 0x7ff, low = k ? (2u << k) - 1 : 0;
    if (f->sub == 3)
        bits = LLVMBuildTrunc(at, LLVMBuildLShr(at, bits, region_k(r, r->i64, 32), ""), r->i32, "");
    bits = LLVMBuildAdd(at, bits, region_k(r, r->i32, 1u << (shift + k)), "");
    bits = LLVMBuildAnd(at, bits, region_k(r, r->i32, (exponent & ~low) << shift), "");
    return LLVMBuildICmp(at, LLVMIntEQ, bits, region_k(r, r->i32, 0), "");
}

LLVMValueRef region_fp_mask_infinite(struct region *r, const struct region_fp *f, LLVMValueRef v)
{
    LLVMBuilderRef at = r->builder;
    LLVMValueRef bits = LLVMBuildBitCast(at, v, f->bits, "");
    if (f->count == 1)
        return scalar_near_ends(r, f, bits, 0);
    return negative(r, LLVMBuildXor(at, LLVMBuildAdd(at, bits, exponent_step(r, f, 0), ""), bits, ""));
}

LLVMValueRef region_fp_mask_doubtful(struct region *r, const struct region_fp *f, LLVMValueRef v)
{
    LLVMBuilderRef at = r->builder;
    LLVMValueRef bits = LLVMBuildBitCast(at, v, f->bits, ""), two = exponent_step(r, f, 1);
    if (f->count == 1)
        return scalar_near_ends(r, f, bits, 1);
    if (f->low) { // no borrow from the zeros above
        LLVMValueRef lanes[4] = { region_k(r, r->i32, 2u << 23), region_k(r, r->i32, 2u << 23), region_k(r, r->i32, 0),
                                  region_k(r, r->i32, 0) };
        two = LLVMConstVector(lanes, 4);
    }
    return negative(r, LLVMBuildXor(at, LLVMBuildAdd(at, bits, two, ""), LLVMBuildSub(at, bits, two, ""), ""));
}

// ---- cold code ---------------------------------------------------------------------------------------------------

struct region_fp_cold region_fp_cold_begin(struct region *r, LLVMValueRef bad)
{
    struct region_fp_cold cold = { LLVMGetInsertBlock(r->builder), region_new_block(r, "fp_done") };
    LLVMBasicBlockRef block = region_new_block(r, "fp_cold");
    region_branch(r, bad, block, cold.done, r->unlikely);
    region_at(r, block);
    return cold;
}

LLVMValueRef region_fp_cold_end(struct region *r, struct region_fp_cold cold, const struct ir_insn *insn,
                                LLVMValueRef value, LLVMValueRef worse)
{
    LLVMBasicBlockRef excused = LLVMGetInsertBlock(r->builder);
    if (worse) {
        LLVMBasicBlockRef block = region_new_block(r, "fp_eval");
        region_branch(r, worse, block, cold.done, NULL);
        region_at(r, block);
    }
    LLVMValueRef exact = region_eval(r, insn);
    LLVMBasicBlockRef from = LLVMGetInsertBlock(r->builder);
    LLVMBuildBr(r->builder, cold.done);
    region_at(r, cold.done);
    if (insn->type == IR_FLAGS)
        return NULL;
    LLVMValueRef phi = region_phi(r, LLVMTypeOf(value), value, cold.from, exact, from);
    if (worse)
        LLVMAddIncoming(phi, &value, &excused, 1);
    return phi;
}

LLVMValueRef region_fp_guard(struct region *r, const struct ir_insn *insn, LLVMValueRef value, LLVMValueRef bad)
{
    return region_fp_cold_end(r, region_fp_cold_begin(r, bad), insn, value, NULL);
}

// ---- arithmetic --------------------------------------------------------------------------------------------------

// v as tests want it: zero where it takes no part.
static LLVMValueRef result(struct region *r, const struct region_fp *f, LLVMValueRef v, LLVMValueRef out)
{
    return f->low ? region_fp_in(r, f, out) : v;
}

static LLVMValueRef guard_infinite(struct region *r, const struct region_fp *f, const struct ir_insn *insn, LLVMValueRef v)
{
    LLVMValueRef out = region_fp_out(r, f, v);
    return region_fp_guard(r, insn, out, region_fp_any(r, region_fp_mask_infinite(r, f, result(r, f, v, out))));
}

// Sums cancel to an exact zero when the addend is so large that the product's last bit is far above the smallest
// subnormal: twice the precision, and the bit.
static LLVMValueRef cancels(struct region *r, const struct region_fp *f, LLVMValueRef sum, LLVMValueRef addend)
{
    LLVMValueRef size = region_intrinsic(r, "llvm.fabs", f->type, &addend, 1);
    LLVMValueRef large = compare(r, LLVMRealOGE, size, region_fp_constant(r, f, f->sub == 2 ? 0x1p-96 : 0x1p-900));
    return LLVMBuildAnd(r->builder, region_fp_mask_zero(r, sum), large, "");
}

// Whether a doubtful result is inexact or worse: a finite one with a zero among the factors is exact.
static LLVMValueRef really_doubtful(struct region *r, const struct region_fp *f, const struct ir_insn *insn, LLVMValueRef v)
{
    LLVMBuilderRef at = r->builder;
    LLVMValueRef exact = region_fp_mask_zero(r, region_fp_in(r, f, region_arg(r, insn, 0))), addend = NULL;
    if (insn->op != IR_OP_fdiv)
        exact = LLVMBuildOr(at, exact, region_fp_mask_zero(r, region_fp_in(r, f, region_arg(r, insn, 1))), "");
    if (insn->op == IR_OP_fma)
        addend = region_fp_in(r, f, region_arg(r, insn, 2));
    else if (insn->op == IR_OP_frecps || insn->op == IR_OP_frsqrts)
        addend = region_fp_constant(r, f, 2);
    if (addend)
        exact = LLVMBuildOr(at, exact, cancels(r, f, v, addend), "");
    LLVMValueRef worse = LLVMBuildOr(at, LLVMBuildNot(at, exact, ""), region_fp_mask_infinite(r, f, v), "");
    return region_fp_any(r, LLVMBuildAnd(at, region_fp_mask_doubtful(r, f, v), worse, ""));
}

// The body of settle_function, lowered as if it were the region, with parameters for the operands.
static void make_settle(struct region *r, const struct region_fp *f, const struct ir_insn *insn, LLVMValueRef fn,
                        unsigned args)
{
    LLVMValueRef params[6], operands[4];
    LLVMGetParams(fn, params);
    LLVMValueRef out = params[args + 1];
    r->env = params[0];
    r->args = LLVMBuildAlloca(r->builder, LLVMArrayType2(r->v2i64, 4), "args");
    for (unsigned k = 0; k < args; k++)
        operands[k] = region_arg(r, insn, k), r->values[insn->arg[k]] = params[k + 1];
    LLVMBasicBlockRef eval = region_new_block(r, "eval"), exact = region_new_block(r, "exact");
    region_branch(r, really_doubtful(r, f, insn, region_fp_in(r, f, out)), eval, exact, NULL);
    region_at(r, eval);
    region_eval(r, insn);
    LLVMBuildRetVoid(r->builder);
    region_at(r, exact);
    LLVMValueRef at = region_env_at(r, offsetof(struct ir_env, slow_value));
    region_store_value(r, (enum ir_type)insn->type, out, at, r->tbaa_scratch);
    LLVMBuildRetVoid(r->builder);
    for (unsigned k = args; k--;) // an operand may stand twice
        r->values[insn->arg[k]] = operands[k];
}

// void (env, operands, result): puts the result in env.slow_value, that of ir_eval if really_doubtful. One for each
// kind of operation, as this is most of the code and of LLVM's time otherwise.
static LLVMValueRef settle_function(struct region *r, const struct region_fp *f, const struct ir_insn *insn,
                                    unsigned args)
{
    const uint32_t *a = insn->arg;
    unsigned same = (a[0] == a[1]) | (a[1] == a[2]) << 1 | (a[0] == a[2]) << 2; // values are known by their ids
    char name[REGION_SHARED_NAME];
    snprintf(name, sizeof name, "settle_%x_%x_%x_%x_%x", insn->op, insn->type, insn->sub, insn->attr, same);
    LLVMTypeRef operand = region_type(r, (enum ir_type)insn->type), params[] = { r->ptr, operand, operand, operand, operand };
    LLVMTypeRef type = LLVMFunctionType(r->void_type, params, args + 2, false);
    LLVMValueRef found = region_shared_find(r, name, type);
    struct region_shared_frame keep;
    if (found)
        return found;
    make_settle(r, f, insn, region_shared_begin(r, name, type, &keep), args);
    region_shared_end(r, &keep);
    return region_shared_find(r, name, type);
}

static LLVMValueRef guard_tiny(struct region *r, const struct region_fp *f, const struct ir_insn *insn, LLVMValueRef v)
{
    LLVMValueRef out = region_fp_out(r, f, v), args[5] = { r->env };
    unsigned count = 0;
    for (; count < 3 && insn->arg[count] != IR_NO_VALUE; count++)
        args[count + 1] = region_arg(r, insn, count);
    args[count + 1] = out;
    LLVMValueRef fn = settle_function(r, f, insn, count);
    LLVMBasicBlockRef from = LLVMGetInsertBlock(r->builder), done = region_new_block(r, "fp_done");
    LLVMBasicBlockRef cold = region_new_block(r, "fp_cold");
    region_branch(r, region_fp_any(r, region_fp_mask_doubtful(r, f, result(r, f, v, out))), cold, done, r->unlikely);
    region_at(r, cold);
    LLVMValueRef call = LLVMBuildCall2(r->builder, LLVMGlobalGetValueType(fn), fn, args, count + 2, "");
    LLVMSetInstructionCallConv(call, REGION_PRESERVE_ALL);
    region_tag(r, call, r->tbaa_scratch);
    LLVMValueRef at = region_env_at(r, offsetof(struct ir_env, slow_value));
    LLVMValueRef settled = region_load_value(r, (enum ir_type)insn->type, at, r->tbaa_scratch);
    LLVMBuildBr(r->builder, done);
    region_at(r, done);
    return region_phi(r, LLVMTypeOf(out), out, from, settled, cold);
}

static LLVMValueRef fused(struct region *r, const struct region_fp *f, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c)
{
    LLVMValueRef args[3] = { a, b, c };
    return region_intrinsic(r, "llvm.fma", f->type, args, 3);
}

static LLVMValueRef lower_fma(struct region *r, const struct region_fp *f, const struct ir_insn *insn,
                              const LLVMValueRef x[3])
{
    LLVMValueRef a = insn->attr & IR_FP_NEG_PRODUCT ? LLVMBuildFNeg(r->builder, x[0], "") : x[0];
    LLVMValueRef c = insn->attr & IR_FP_NEG_ADDEND ? LLVMBuildFNeg(r->builder, x[2], "") : x[2];
    return guard_tiny(r, f, insn, fused(r, f, a, x[1], c));
}

// 2 - a * b, or (3 - a * b) / 2, where halving is exact unless the sum overflowed.
static LLVMValueRef lower_step(struct region *r, const struct region_fp *f, const struct ir_insn *insn,
                               const LLVMValueRef x[3])
{
    bool root = insn->op == IR_OP_frsqrts;
    LLVMValueRef from = region_fp_constant(r, f, root ? 3 : 2);
    LLVMValueRef v = fused(r, f, LLVMBuildFNeg(r->builder, x[0], ""), x[1], from);
    if (root)
        v = LLVMBuildFMul(r->builder, v, region_fp_constant(r, f, 0.5), "");
    return guard_tiny(r, f, insn, v);
}

// Operands in 16 bytes, whatever lanes take part, and a result so made.
static LLVMValueRef full_in(struct region *r, const struct region_fp *f, LLVMValueRef value)
{
    LLVMTypeRef type = full_type(r, f);
    if (f->vector)
        return LLVMBuildBitCast(r->builder, value, type, "");
    return LLVMBuildInsertElement(r->builder, LLVMGetUndef(type), value, region_k(r, r->i32, 0), "");
}

static LLVMValueRef full_out(struct region *r, const struct region_fp *f, LLVMValueRef value)
{
    if (!f->vector) {
        value = LLVMBuildBitCast(r->builder, value, full_type(r, f), "");
        return LLVMBuildExtractElement(r->builder, value, region_k(r, r->i32, 0), "");
    }
    value = region_whole(r, value);
    return f->low || f->count == 1 ? region_zero_high(r, value) : value;
}

// MINPS in both orders, which differ on zeros only: or-ed these give -0, for the maximum and-ed +0. By name, as LLVM takes
// a comparison and a selection apart.
static LLVMValueRef lower_minmax(struct region *r, const struct region_fp *f, const struct ir_insn *insn,
                                 const LLVMValueRef x[3])
{
    static const char *const names[2][2] = { { "llvm.x86.sse.max.ps", "llvm.x86.sse2.max.pd" },
                                             { "llvm.x86.sse.min.ps", "llvm.x86.sse2.min.pd" } };
    bool min = insn->op == IR_OP_fmin || insn->op == IR_OP_fminnm;
    LLVMValueRef args[2] = { full_in(r, f, region_arg(r, insn, 0)), full_in(r, f, region_arg(r, insn, 1)) };
    LLVMValueRef swapped[2] = { args[1], args[0] };
    LLVMValueRef a = region_whole(r, region_intrinsic(r, names[min][f->sub - 2], NULL, args, 2));
    LLVMValueRef b = region_whole(r, region_intrinsic(r, names[min][f->sub - 2], NULL, swapped, 2));
    a = min ? LLVMBuildOr(r->builder, a, b, "") : LLVMBuildAnd(r->builder, a, b, "");
    return region_fp_guard(r, insn, full_out(r, f, a), region_fp_any_unordered(r, f, x[0], x[1]));
}

static LLVMValueRef lower_frint(struct region *r, const struct region_fp *f, const struct ir_insn *insn, LLVMValueRef x)
{
    LLVMValueRef v = region_fp_rounded(r, insn->attr & IR_FP_ROUND, x);
    return region_fp_guard(r, insn, region_fp_out(r, f, v), region_fp_any_unordered(r, f, x, x));
}

static LLVMValueRef lower_fcmpm(struct region *r, const struct region_fp *f, const struct ir_insn *insn,
                                const LLVMValueRef x[3])
{
    static const LLVMRealPredicate predicates[IR_FCMP_COUNT] = {
        [IR_FEQ] = LLVMRealOEQ, [IR_FGE] = LLVMRealOGE, [IR_FGT] = LLVMRealOGT,
    };
    LLVMValueRef holds = compare(r, predicates[insn->imm], full_in(r, f, region_arg(r, insn, 0)),
                                 full_in(r, f, region_arg(r, insn, 1)));
    LLVMValueRef out = LLVMBuildSExt(r->builder, holds, region_lanes_type(r, f->sub), "");
    return region_fp_guard(r, insn, full_out(r, f, out), region_fp_any_unordered(r, f, x[0], x[1]));
}

static LLVMValueRef lower_arith(struct region *r, const struct region_fp *f, const struct ir_insn *insn)
{
    LLVMBuilderRef at = r->builder;
    LLVMValueRef x[3] = { NULL, NULL, NULL };
    for (unsigned k = 0; k < 3 && insn->arg[k] != IR_NO_VALUE; k++)
        x[k] = region_fp_in(r, f, region_arg(r, insn, k));
    switch (insn->op) {
    case IR_OP_fadd: return guard_infinite(r, f, insn, LLVMBuildFAdd(at, x[0], x[1], ""));
    case IR_OP_fsub: return guard_infinite(r, f, insn, LLVMBuildFSub(at, x[0], x[1], ""));
    case IR_OP_fsqrt: return guard_infinite(r, f, insn, region_intrinsic(r, "llvm.sqrt", f->type, x, 1));
    case IR_OP_fmul:
    case IR_OP_fmulx: return guard_tiny(r, f, insn, LLVMBuildFMul(at, x[0], x[1], ""));
    case IR_OP_fdiv: return guard_tiny(r, f, insn, LLVMBuildFDiv(at, x[0], x[1], ""));
    case IR_OP_fma: return lower_fma(r, f, insn, x);
    case IR_OP_frecps:
    case IR_OP_frsqrts: return lower_step(r, f, insn, x);
    case IR_OP_frint: return lower_frint(r, f, insn, x[0]);
    case IR_OP_fcmpm: return lower_fcmpm(r, f, insn, x);
    default: return lower_minmax(r, f, insn, x);
    }
}

// Quiet operations on bits, f16 too.
static LLVMValueRef lower_sign(struct region *r, const struct ir_insn *insn)
{
    struct region_fp f;
    LLVMValueRef x = region_arg(r, insn, 0), out;
    bool neg = insn->op == IR_OP_fneg;
    if (region_fp_form(r, insn, (enum ir_type)insn->type, &f)) {
        x = region_fp_in(r, &f, x);
        out = neg ? LLVMBuildFNeg(r->builder, x, "") : region_intrinsic(r, "llvm.fabs", f.type, &x, 1);
        return region_fp_out(r, &f, out);
    }
    bool vector = insn->type == IR_V128;
    x = vector ? region_lanes(r, x, 1) : x;
    LLVMValueRef k = splat(r, LLVMTypeOf(x), neg ? 0x8000 : 0x7fff);
    out = neg ? LLVMBuildXor(r->builder, x, k, "") : LLVMBuildAnd(r->builder, x, k, "");
    if (!vector)
        return out;
    out = region_whole(r, out);
    return insn->attr & IR_V_LO64 ? region_zero_high(r, out) : out;
}

// Unordered operands need no value from cold code: flags are made from the operands.
static void lower_fcmp(struct region *r, const struct ir_insn *insn)
{
    LLVMValueRef a = region_arg(r, insn, 0), b = region_arg(r, insn, 1);
    uint8_t kind = region_arg_type(r, insn, 0) == IR_F32 ? REGION_FCMP32 : REGION_FCMP64;
    region_fp_guard(r, insn, NULL, compare(r, LLVMRealUNO, a, b));
    r->flags[r->pos] = (struct region_flags){ kind, region_bits(r, a), region_bits(r, b), NULL, NULL };
}

// ---- what is done here -------------------------------------------------------------------------------------------

enum { HOST = 1, ROUNDS = 2 /* by the mode */, NEEDS_FMA = 4, CONVERTS = 8 };

static unsigned traits(const struct ir_insn *insn)
{
    switch (insn->op) {
    case IR_OP_fadd: case IR_OP_fsub: case IR_OP_fmul: case IR_OP_fmulx: case IR_OP_fdiv: case IR_OP_fsqrt:
        return HOST | ROUNDS;
    case IR_OP_fma: case IR_OP_frecps: case IR_OP_frsqrts: return HOST | ROUNDS | NEEDS_FMA;
    case IR_OP_fmin: case IR_OP_fmax: case IR_OP_fminnm: case IR_OP_fmaxnm: case IR_OP_frint: case IR_OP_fcmpm:
    case IR_OP_fcmp: return HOST;
    case IR_OP_f2i: case IR_OP_vf2i: return HOST | CONVERTS;
    case IR_OP_i2f: case IR_OP_vi2f: case IR_OP_fcvt: case IR_OP_vfcvtl: case IR_OP_vfcvtn: return HOST | CONVERTS | ROUNDS;
    default: return 0;
    }
}

bool region_fp_has(const struct region *r, const struct ir_insn *insn)
{
    struct region_fp f;
    unsigned t = traits(insn), round = insn->attr & IR_FP_ROUND;
    if (!(t & HOST) || insn->attr & (IR_FP_FTZ | IR_FP_X86))
        return false;
    if (round > (t & ROUNDS ? IR_RN : IR_RNA) || (t & NEEDS_FMA && !(r->optimiser->has & X64_HAS_FMA)))
        return false;
    return t & CONVERTS ? region_fp_can_convert(r, insn) : region_fp_form(r, insn, region_arg_type(r, insn, 0), &f);
}

bool region_lower_fp(struct region *r, const struct ir_insn *insn)
{
    struct region_fp f;
    if (insn->op == IR_OP_fneg || insn->op == IR_OP_fabs) {
        r->values[r->pos] = lower_sign(r, insn);
        return true;
    }
    if (!r->uses_fp || !r->inexact_known || !region_fp_has(r, insn))
        return false;
    if (insn->op == IR_OP_fcmp) {
        lower_fcmp(r, insn);
    } else if (traits(insn) & CONVERTS) {
        r->values[r->pos] = region_fp_convert(r, insn);
    } else {
        region_fp_form(r, insn, (enum ir_type)insn->type, &f);
        r->values[r->pos] = lower_arith(r, &f, insn);
    }
    return true;
}
