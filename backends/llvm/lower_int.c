// SPDX-License-Identifier: MIT
// Integer ops as LLVM instructions, without LLVM's undefined cases: shift counts are masked, division is guarded.
#include "backends/llvm/llvm.h"
#include "backends/x64/features.h"

static unsigned width_of(LLVMTypeRef type)
{
    return LLVMGetIntTypeWidth(type);
}

static LLVMValueRef shift_count(struct region *r, LLVMValueRef count)
{
    LLVMTypeRef type = LLVMTypeOf(count);
    return LLVMBuildAnd(r->builder, count, region_k(r, type, width_of(type) - 1), "");
}

static LLVMValueRef funnel(struct region *r, const char *name, LLVMValueRef hi, LLVMValueRef lo, LLVMValueRef by)
{
    LLVMValueRef args[] = { hi, lo, by };
    return region_intrinsic(r, name, LLVMTypeOf(hi), args, 3);
}

static LLVMValueRef mulh(struct region *r, LLVMValueRef a, LLVMValueRef b, bool is_signed)
{
    LLVMBuilderRef at = r->builder;
    a = is_signed ? LLVMBuildSExt(at, a, r->i128, "") : LLVMBuildZExt(at, a, r->i128, "");
    b = is_signed ? LLVMBuildSExt(at, b, r->i128, "") : LLVMBuildZExt(at, b, r->i128, "");
    LLVMValueRef product = LLVMBuildLShr(at, LLVMBuildMul(at, a, b, ""), region_k(r, r->i128, 64), "");
    return LLVMBuildTrunc(at, product, r->i64, "");
}

static LLVMValueRef divide(struct region *r, LLVMValueRef a, LLVMValueRef b, bool is_signed)
{
    LLVMBuilderRef at = r->builder;
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef zero = region_k(r, type, 0), one = region_k(r, type, 1);
    LLVMValueRef by_zero = LLVMBuildICmp(at, LLVMIntEQ, b, zero, ""), minus = NULL, avoid = by_zero;
    if (is_signed) {
        minus = LLVMBuildICmp(at, LLVMIntEQ, b, LLVMConstAllOnes(type), "");
        avoid = LLVMBuildOr(at, avoid, minus, "");
    }
    LLVMValueRef by = LLVMBuildSelect(at, avoid, one, b, "");
    LLVMValueRef q = is_signed ? LLVMBuildSDiv(at, a, by, "") : LLVMBuildUDiv(at, a, by, "");
    if (is_signed)
        q = LLVMBuildSelect(at, minus, LLVMBuildNeg(at, a, ""), q, "");
    return LLVMBuildSelect(at, by_zero, zero, q, "");
}

static LLVMValueRef bit_field(struct region *r, const struct ir_insn *insn, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef at = r->builder;
    LLVMTypeRef type = LLVMTypeOf(a);
    unsigned n = width_of(type), pos = insn->sub, len = (unsigned)insn->imm;
    LLVMValueRef shift = region_k(r, type, pos);
    uint64_t mask = ~0ull >> (64 - len);
    if (insn->op == IR_OP_ubfx)
        return LLVMBuildAnd(at, LLVMBuildLShr(at, a, shift, ""), region_k(r, type, mask), "");
    if (insn->op == IR_OP_sbfx) {
        unsigned up = pos + len < n ? n - pos - len : 0;
        return LLVMBuildAShr(at, LLVMBuildShl(at, a, region_k(r, type, up), ""), region_k(r, type, n - len), "");
    }
    LLVMValueRef kept = LLVMBuildAnd(at, a, region_k(r, type, ~(mask << pos)), "");
    LLVMValueRef in = LLVMBuildShl(at, LLVMBuildAnd(at, b, region_k(r, type, mask), ""), shift, "");
    return LLVMBuildOr(at, kept, in, "");
}

static const LLVMIntPredicate predicates[IR_CMP_COUNT] = {
    [IR_CEQ] = LLVMIntEQ, [IR_CNE] = LLVMIntNE, [IR_CULT] = LLVMIntULT, [IR_CUGE] = LLVMIntUGE, [IR_CULE] = LLVMIntULE,
    [IR_CUGT] = LLVMIntUGT, [IR_CSLT] = LLVMIntSLT, [IR_CSGE] = LLVMIntSGE, [IR_CSLE] = LLVMIntSLE, [IR_CSGT] = LLVMIntSGT,
};

static LLVMValueRef cast(struct region *r, const struct ir_insn *insn, LLVMValueRef a)
{
    LLVMTypeRef type = region_type(r, (enum ir_type)insn->type);
    switch (insn->op) {
    case IR_OP_zext: return LLVMBuildZExt(r->builder, a, type, "");
    case IR_OP_sext: return LLVMBuildSExt(r->builder, a, type, "");
    case IR_OP_trunc: return LLVMBuildTrunc(r->builder, a, type, "");
    default: return LLVMTypeOf(a) == type ? a : LLVMBuildBitCast(r->builder, a, type, "");
    }
}

static LLVMValueRef constant(struct region *r, const struct ir_insn *insn)
{
    if (insn->op == IR_OP_vconst) {
        const union v128 *v = &r->unit->vpool[insn->imm];
        LLVMValueRef lanes[2] = { region_k(r, r->i64, v->d[0]), region_k(r, r->i64, v->d[1]) };
        return LLVMConstVector(lanes, 2);
    }
    LLVMTypeRef type = region_type(r, (enum ir_type)insn->type);
    if (!ir_type_is_float(insn->type) || insn->type == IR_F16)
        return region_k(r, type, insn->imm & (insn->type == IR_I1 ? 1 : ~0ull));
    return LLVMConstBitCast(region_k(r, insn->type == IR_F32 ? r->i32 : r->i64, insn->imm), type);
}

static LLVMValueRef carry_in(struct region *r, LLVMValueRef c, LLVMTypeRef type)
{
    return LLVMTypeOf(c) == type ? c : LLVMBuildZExt(r->builder, c, type, "");
}

static LLVMValueRef crc32c(struct region *r, const struct ir_insn *insn)
{
    static const char *const names[] = { "llvm.x86.sse42.crc32.32.8", "llvm.x86.sse42.crc32.32.16",
                                         "llvm.x86.sse42.crc32.32.32", "llvm.x86.sse42.crc32.64.64" };
    LLVMValueRef args[2] = { region_arg(r, insn, 0), region_arg(r, insn, 1) };
    if (insn->sub < 3)
        args[1] = LLVMBuildTrunc(r->builder, args[1], region_int(r, insn->sub), "");
    else
        args[0] = LLVMBuildZExt(r->builder, args[0], r->i64, "");
    LLVMValueRef value = region_intrinsic(r, names[insn->sub], NULL, args, 2);
    return insn->sub < 3 ? value : LLVMBuildTrunc(r->builder, value, r->i32, "");
}

static LLVMValueRef unary(struct region *r, const char *name, LLVMValueRef a, bool zero_flag)
{
    LLVMValueRef args[2] = { a, region_k(r, r->i1, 0) };
    return region_intrinsic(r, name, LLVMTypeOf(a), args, zero_flag ? 2 : 1);
}

static LLVMValueRef lower(struct region *r, const struct ir_insn *insn, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c)
{
    LLVMBuilderRef at = r->builder;
    LLVMTypeRef type = region_type(r, (enum ir_type)insn->type);
    switch (insn->op) {
    case IR_OP_const:
    case IR_OP_vconst: return constant(r, insn);
    case IR_OP_pc: return region_pc(r, (int64_t)insn->imm);
    case IR_OP_add: return LLVMBuildAdd(at, a, b, "");
    case IR_OP_sub: return LLVMBuildSub(at, a, b, "");
    case IR_OP_adc: return LLVMBuildAdd(at, LLVMBuildAdd(at, a, b, ""), carry_in(r, c, type), "");
    case IR_OP_sbc: return LLVMBuildAdd(at, LLVMBuildAdd(at, a, LLVMBuildNot(at, b, ""), ""), carry_in(r, c, type), "");
    case IR_OP_mul: return LLVMBuildMul(at, a, b, "");
    case IR_OP_umulh:
    case IR_OP_smulh: return mulh(r, a, b, insn->op == IR_OP_smulh);
    case IR_OP_udiv:
    case IR_OP_sdiv: return divide(r, a, b, insn->op == IR_OP_sdiv);
    case IR_OP_neg: return LLVMBuildNeg(at, a, "");
    case IR_OP_not: return LLVMBuildNot(at, a, "");
    case IR_OP_and: return LLVMBuildAnd(at, a, b, "");
    case IR_OP_or: return LLVMBuildOr(at, a, b, "");
    case IR_OP_xor: return LLVMBuildXor(at, a, b, "");
    case IR_OP_andn: return LLVMBuildAnd(at, a, LLVMBuildNot(at, b, ""), "");
    case IR_OP_shl: return LLVMBuildShl(at, a, shift_count(r, b), "");
    case IR_OP_shr: return LLVMBuildLShr(at, a, shift_count(r, b), "");
    case IR_OP_sar: return LLVMBuildAShr(at, a, shift_count(r, b), "");
    case IR_OP_ror: return funnel(r, "llvm.fshr", a, a, b);
    case IR_OP_clz: return unary(r, "llvm.ctlz", a, true);
    case IR_OP_ctz: return unary(r, "llvm.cttz", a, true);
    case IR_OP_popcnt: return unary(r, "llvm.ctpop", a, false);
    case IR_OP_bswap: return unary(r, "llvm.bswap", a, false);
    case IR_OP_bitrev: return unary(r, "llvm.bitreverse", a, false);
    case IR_OP_zext:
    case IR_OP_sext:
    case IR_OP_trunc:
    case IR_OP_bitcast: return cast(r, insn, a);
    case IR_OP_ubfx:
    case IR_OP_sbfx:
    case IR_OP_bfi: return bit_field(r, insn, a, b);
    case IR_OP_extr: return funnel(r, "llvm.fshr", a, b, region_k(r, type, insn->imm));
    case IR_OP_icmp: return LLVMBuildICmp(at, predicates[insn->sub], region_bits(r, a), region_bits(r, b), "");
    case IR_OP_select: return LLVMBuildSelect(at, a, b, c, "");
    case IR_OP_crc32: return crc32c(r, insn);
    default: return NULL;
    }
}

bool region_lower_int(struct region *r, const struct ir_insn *insn)
{
    if (insn->op < IR_OP_const || insn->op > IR_OP_bitcast || insn->op == IR_OP_get || insn->op == IR_OP_put)
        return false;
    if (insn->op == IR_OP_select && insn->type == IR_FLAGS)
        return false;
    if (insn->op == IR_OP_crc32 && !insn->attr)
        return false;
    LLVMValueRef args[3] = { NULL, NULL, NULL };
    for (unsigned k = 0; k < 3 && insn->arg[k] != IR_NO_VALUE; k++)
        args[k] = region_arg(r, insn, k);
    r->values[r->pos] = lower(r, insn, args[0], args[1], args[2]);
    return r->values[r->pos] != NULL;
}
