// SPDX-License-Identifier: MIT
// Conversions between integers and floating point and between precisions, by the scheme of lower_fp.c. Float to int uses
// x86's instructions by name, as LLVM's own have no value out of range: what saturates, and NaN, comes out as the integer
// indefinite and goes to cold code. Unsigned results have the range of the next larger signed ones, or half their own.
#include "backends/llvm/fp.h"
#include "backends/x64/features.h"

static unsigned fbits(const struct ir_insn *insn)
{
    return insn->attr >> IR_FP_FBITS_SHIFT & 0x7f;
}

static bool is_signed(const struct ir_insn *insn)
{
    return insn->attr & IR_FP_SIGNED;
}

// f16 to and from f32, from which f64 follows exactly in one direction.
static bool has_f16(const struct region *r, const struct ir_insn *insn)
{
    return r->optimiser->has & X64_HAS_F16C && !(insn->attr & (IR_FP_AHP | IR_FP_FTZ16));
}

bool region_fp_can_convert(const struct region *r, const struct ir_insn *insn)
{
    enum ir_type from = region_arg_type(r, insn, 0), to = (enum ir_type)insn->type;
    struct region_fp f;
    switch (insn->op) {
    case IR_OP_f2i: return region_fp_form(r, insn, from, &f) && (to == IR_I32 || to == IR_I64);
    case IR_OP_i2f: return region_fp_form(r, insn, to, &f) && (from == IR_I32 || from == IR_I64);
    case IR_OP_vf2i:
    case IR_OP_vi2f: return region_fp_form(r, insn, IR_V128, &f);
    case IR_OP_fcvt:
        if (from == IR_F16 || to == IR_F16)
            return from != to && !(from == IR_F64) && has_f16(r, insn);
        return from != to;
    case IR_OP_vfcvtl: return !(insn->attr & IR_V_LO64) && (insn->sub == 2 || (insn->sub == 1 && has_f16(r, insn)));
    default: return !(insn->attr & IR_V_LO64) && (insn->sub == 3 || (insn->sub == 2 && has_f16(r, insn)));
    }
}

LLVMValueRef region_fp_rounded(struct region *r, enum ir_round round, LLVMValueRef v)
{
    static const char *const names[] = { [IR_RN] = "llvm.roundeven", [IR_RP] = "llvm.ceil", [IR_RM] = "llvm.floor",
                                         [IR_RZ] = "llvm.trunc", [IR_RNA] = "llvm.round" };
    return region_intrinsic(r, names[round], LLVMTypeOf(v), &v, 1);
}

// ---- float to int ------------------------------------------------------------------------------------------------

// To an integral value, or as it is if the instruction itself rounds: to zero, or by the mode.
static LLVMValueRef prepared(struct region *r, const struct region_fp *f, const struct ir_insn *insn, LLVMValueRef x,
                             bool *ret_by_mode)
{
    enum ir_round round = insn->attr & IR_FP_ROUND;
    if (fbits(insn))
        x = LLVMBuildFMul(r->builder, x, region_fp_constant(r, f, (double)(1ull << (fbits(insn) - 1)) * 2), "");
    *ret_by_mode = round == IR_RN && (r->unit->fp_mode & IR_FP_ROUND) == IR_RN;
    return round == IR_RZ || *ret_by_mode ? x : region_fp_rounded(r, round, x);
}

static LLVMValueRef scalar_to_int(struct region *r, unsigned sub, bool wide, bool by_mode, LLVMValueRef x)
{
    static const char *const names[2][2][2] = { // by mode, f64, to 64 bits
        { { "llvm.x86.sse.cvttss2si", "llvm.x86.sse.cvttss2si64" }, { "llvm.x86.sse2.cvttsd2si", "llvm.x86.sse2.cvttsd2si64" } },
        { { "llvm.x86.sse.cvtss2si", "llvm.x86.sse.cvtss2si64" }, { "llvm.x86.sse2.cvtsd2si", "llvm.x86.sse2.cvtsd2si64" } },
    };
    LLVMTypeRef lanes = LLVMVectorType(LLVMTypeOf(x), 16u >> sub);
    LLVMValueRef v = LLVMBuildInsertElement(r->builder, LLVMConstNull(lanes), x, region_k(r, r->i32, 0), "");
    return region_intrinsic(r, names[by_mode][sub - 2][wide], NULL, &v, 1);
}

static LLVMValueRef lower_f2i(struct region *r, const struct ir_insn *insn)
{
    LLVMBuilderRef at = r->builder;
    struct region_fp f;
    region_fp_form(r, insn, region_arg_type(r, insn, 0), &f);
    bool wide = insn->type == IR_I64, by_mode;
    LLVMValueRef x = prepared(r, &f, insn, region_arg(r, insn, 0), &by_mode), bad;
    LLVMValueRef out = scalar_to_int(r, f.sub, wide || !is_signed(insn), by_mode, x);
    if (is_signed(insn)) {
        LLVMTypeRef type = LLVMTypeOf(out);
        bad = LLVMBuildICmp(at, LLVMIntEQ, out, region_k(r, type, 1ull << (wide ? 63 : 31)), "");
    } else if (wide) {
        bad = LLVMBuildICmp(at, LLVMIntSLT, out, region_k(r, r->i64, 0), "");
    } else {
        bad = LLVMBuildICmp(at, LLVMIntUGT, out, region_k(r, r->i64, UINT32_MAX), "");
        out = LLVMBuildTrunc(at, out, r->i32, "");
    }
    return region_fp_guard(r, insn, out, bad);
}

static LLVMValueRef lanes_to_int(struct region *r, const struct region_fp *f, LLVMValueRef x, bool by_mode)
{
    if (f->sub == 2)
        return region_intrinsic(r, by_mode ? "llvm.x86.sse2.cvtps2dq" : "llvm.x86.sse2.cvttps2dq", NULL, &x, 1);
    if (f->count == 1)
        return scalar_to_int(r, 3, true, by_mode, x);
    LLVMValueRef out = LLVMGetPoison(f->bits);
    for (unsigned i = 0; i < f->count; i++) {
        LLVMValueRef lane = LLVMBuildExtractElement(r->builder, x, region_k(r, r->i32, i), "");
        lane = scalar_to_int(r, 3, true, by_mode, lane);
        out = LLVMBuildInsertElement(r->builder, out, lane, region_k(r, r->i32, i), "");
    }
    return out;
}

static LLVMValueRef lower_vf2i(struct region *r, const struct ir_insn *insn)
{
    struct region_fp f;
    region_fp_form(r, insn, IR_V128, &f);
    bool by_mode;
    LLVMValueRef x = prepared(r, &f, insn, region_fp_in(r, &f, region_arg(r, insn, 0)), &by_mode), bad;
    LLVMValueRef v = lanes_to_int(r, &f, x, by_mode), out = region_fp_out(r, &f, v);
    if (f.low)
        v = region_lanes(r, out, 2);
    uint64_t indefinite = 1ull << (f.sub == 2 ? 31 : 63);
    LLVMValueRef k = f.count == 1 ? region_k(r, r->i64, indefinite) : region_splat(r, f.bits, indefinite);
    if (is_signed(insn))
        bad = LLVMBuildICmp(r->builder, LLVMIntEQ, v, k, "");
    else
        bad = LLVMBuildICmp(r->builder, LLVMIntSLT, v, LLVMConstNull(f.bits), "");
    return region_fp_guard(r, insn, out, region_fp_any(r, bad));
}

// ---- int to float ------------------------------------------------------------------------------------------------

// Rounds at most once: dividing by 2^fbits is exact.
static LLVMValueRef lower_i2f(struct region *r, const struct ir_insn *insn)
{
    struct region_fp f;
    region_fp_form(r, insn, (enum ir_type)insn->type, &f);
    LLVMValueRef x = region_arg(r, insn, 0);
    if (f.vector)
        x = LLVMBuildBitCast(r->builder, region_fp_in(r, &f, x), f.bits, "");
    x = is_signed(insn) ? LLVMBuildSIToFP(r->builder, x, f.type, "") : LLVMBuildUIToFP(r->builder, x, f.type, "");
    if (fbits(insn))
        x = LLVMBuildFMul(r->builder, x, region_fp_constant(r, &f, 0.5 / (double)(1ull << (fbits(insn) - 1))), "");
    return region_fp_out(r, &f, x);
}

// ---- between precisions --------------------------------------------------------------------------------------------

static LLVMValueRef guard_nan(struct region *r, const struct ir_insn *insn, LLVMValueRef out, LLVMValueRef v)
{
    return region_fp_guard(r, insn, out, region_fp_any(r, LLVMBuildFCmp(r->builder, LLVMRealUNO, v, v, "")));
}

static const int low_half[] = { 0, 1, 2, 3 };

// Narrowed from x; doubtful lanes are exact where x is zero.
static LLVMValueRef guard_narrow(struct region *r, const struct ir_insn *insn, LLVMValueRef out, LLVMValueRef doubtful,
                                 LLVMValueRef x)
{
    struct region_fp_cold cold = region_fp_cold_begin(r, region_fp_any(r, doubtful));
    LLVMValueRef nonzero = LLVMBuildNot(r->builder, region_fp_mask_zero(r, x), "");
    if (insn->op == IR_OP_vfcvtn && insn->sub == 3)
        doubtful = region_shuffle(r, doubtful, doubtful, low_half, 2);
    return region_fp_cold_end(r, cold, insn, out, region_fp_any(r, LLVMBuildAnd(r->builder, doubtful, nonzero, "")));
}

static LLVMValueRef from_f16(struct region *r, LLVMValueRef lanes) // <8 x i16>, of which the low half, to <4 x float>
{
    lanes = region_shuffle(r, lanes, lanes, low_half, 4);
    lanes = LLVMBuildBitCast(r->builder, lanes, LLVMVectorType(LLVMHalfTypeInContext(r->context), 4), "");
    return LLVMBuildFPExt(r->builder, lanes, LLVMVectorType(r->f32, 4), "");
}

static LLVMValueRef to_f16(struct region *r, LLVMValueRef lanes) // <4 x float> to <8 x i16>, high half 0
{
    LLVMValueRef args[2] = { lanes, region_k(r, r->i32, 0) };
    return region_intrinsic(r, "llvm.x86.vcvtps2ph.128", NULL, args, 2);
}

// As region_fp_mask_doubtful of f16.
static LLVMValueRef doubtful_f16(struct region *r, LLVMValueRef h)
{
    LLVMTypeRef type = LLVMTypeOf(h);
    bool vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
    LLVMValueRef two = vector ? region_splat(r, type, 2u << 10) : region_k(r, type, 2u << 10);
    LLVMValueRef mask = vector ? region_splat(r, type, 0x1c << 10) : region_k(r, type, 0x1c << 10);
    h = LLVMBuildAnd(r->builder, LLVMBuildAdd(r->builder, h, two, ""), mask, "");
    return LLVMBuildICmp(r->builder, LLVMIntEQ, h, LLVMConstNull(type), "");
}

static LLVMValueRef lower_fcvt_f16(struct region *r, const struct ir_insn *insn, LLVMValueRef x)
{
    LLVMValueRef zero = region_k(r, r->i32, 0), v;
    if (insn->type == IR_F16) {
        v = LLVMBuildInsertElement(r->builder, LLVMConstNull(LLVMVectorType(r->f32, 4)), x, zero, "");
        v = LLVMBuildExtractElement(r->builder, to_f16(r, v), zero, "");
        return guard_narrow(r, insn, v, doubtful_f16(r, v), x);
    }
    v = LLVMBuildInsertElement(r->builder, LLVMConstNull(region_lanes_type(r, 1)), x, zero, "");
    v = LLVMBuildExtractElement(r->builder, from_f16(r, v), zero, "");
    if (insn->type == IR_F64)
        v = LLVMBuildFPExt(r->builder, v, r->f64, "");
    return guard_nan(r, insn, v, v);
}

static LLVMValueRef lower_fcvt(struct region *r, const struct ir_insn *insn)
{
    enum ir_type from = region_arg_type(r, insn, 0);
    LLVMValueRef x = region_arg(r, insn, 0), v;
    struct region_fp f;
    if (from == IR_F16 || insn->type == IR_F16)
        return lower_fcvt_f16(r, insn, x);
    if (insn->type == IR_F64) {
        v = LLVMBuildFPExt(r->builder, x, r->f64, "");
        return guard_nan(r, insn, v, v);
    }
    region_fp_form(r, insn, IR_F32, &f);
    v = LLVMBuildFPTrunc(r->builder, x, r->f32, "");
    return guard_narrow(r, insn, v, region_fp_mask_doubtful(r, &f, v), x);
}

static LLVMValueRef lower_vfcvtl(struct region *r, const struct ir_insn *insn)
{
    LLVMValueRef x = region_arg(r, insn, 0), v;
    if (insn->sub == 1) {
        v = from_f16(r, region_lanes(r, x, 1));
    } else {
        x = LLVMBuildBitCast(r->builder, x, LLVMVectorType(r->f32, 4), "");
        v = LLVMBuildFPExt(r->builder, region_shuffle(r, x, x, low_half, 2), LLVMVectorType(r->f64, 2), "");
    }
    return guard_nan(r, insn, region_whole(r, v), v);
}

static LLVMValueRef lower_vfcvtn(struct region *r, const struct ir_insn *insn)
{
    LLVMValueRef x = region_arg(r, insn, 0), v;
    LLVMTypeRef narrow = LLVMVectorType(r->f32, 2);
    struct region_fp f = { .vector = true, .low = true, .sub = 2, .count = 4, .type = LLVMVectorType(r->f32, 4),
                           .bits = LLVMVectorType(r->i32, 4) };
    if (insn->sub == 2) {
        x = LLVMBuildBitCast(r->builder, x, LLVMVectorType(r->f32, 4), "");
        v = to_f16(r, x);
        return guard_narrow(r, insn, region_whole(r, v), doubtful_f16(r, region_shuffle(r, v, v, low_half, 4)), x);
    }
    x = LLVMBuildBitCast(r->builder, x, LLVMVectorType(r->f64, 2), "");
    v = LLVMBuildFPTrunc(r->builder, x, narrow, "");
    v = region_shuffle(r, v, LLVMConstNull(narrow), low_half, 4);
    return guard_narrow(r, insn, region_whole(r, v), region_fp_mask_doubtful(r, &f, v), x);
}

LLVMValueRef region_fp_convert(struct region *r, const struct ir_insn *insn)
{
    switch (insn->op) {
    case IR_OP_f2i: return lower_f2i(r, insn);
    case IR_OP_vf2i: return lower_vf2i(r, insn);
    case IR_OP_i2f:
    case IR_OP_vi2f: return lower_i2f(r, insn);
    case IR_OP_fcvt: return lower_fcvt(r, insn);
    case IR_OP_vfcvtl: return lower_vfcvtl(r, insn);
    default: return lower_vfcvtn(r, insn);
    }
}
