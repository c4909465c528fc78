// SPDX-License-Identifier: MIT
// Flags: kept as the operation and operands that made them, so that a condition is one comparison of those operands and
// the packed form appears only where flags reach memory.
#include "backends/llvm/llvm.h"

static LLVMValueRef bit_i1(struct region *r, LLVMValueRef word, uint32_t mask)
{
    LLVMValueRef bit = LLVMBuildAnd(r->builder, word, region_k(r, r->i32, mask), "");
    return LLVMBuildICmp(r->builder, LLVMIntNE, bit, region_k(r, r->i32, 0), "");
}

static LLVMValueRef compare(struct region *r, LLVMIntPredicate p, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildICmp(r->builder, p, a, b, "");
}

static LLVMValueRef negative(struct region *r, LLVMValueRef a)
{
    return compare(r, LLVMIntSLT, a, region_k(r, LLVMTypeOf(a), 0));
}

static LLVMValueRef is_zero(struct region *r, LLVMValueRef a)
{
    return compare(r, LLVMIntEQ, a, region_k(r, LLVMTypeOf(a), 0));
}

static LLVMValueRef compare_floats(struct region *r, LLVMRealPredicate p, const struct region_flags *f)
{
    LLVMTypeRef type = f->kind == REGION_FCMP32 ? r->f32 : r->f64;
    LLVMValueRef a = LLVMBuildBitCast(r->builder, f->a, type, ""), b = LLVMBuildBitCast(r->builder, f->b, type, "");
    return LLVMBuildFCmp(r->builder, p, a, b, "");
}

static LLVMValueRef overflow(struct region *r, const char *name, LLVMValueRef a, LLVMValueRef b)
{
    LLVMValueRef args[2] = { a, b };
    LLVMValueRef pair = region_intrinsic(r, name, LLVMTypeOf(a), args, 2);
    return LLVMBuildExtractValue(r->builder, pair, 1, "");
}

// The dynamic kinds are a chain of selects' worth of code, out of line, made on first use.
static LLVMValueRef pack_function(struct region *r);

static LLVMValueRef widened(struct region *r, LLVMValueRef a)
{
    return LLVMTypeOf(a) == r->i64 ? a : LLVMBuildZExt(r->builder, a, r->i64, "");
}

static LLVMValueRef call_pack(struct region *r, const struct region_flags *f)
{
    LLVMValueRef fn = pack_function(r), args[3] = { f->c, widened(r, f->a), f->b ? widened(r, f->b) : region_k(r, r->i64, 0) };
    if (f->kind != REGION_DYNAMIC)
        args[0] = region_k(r, r->i32, f->kind);
    LLVMValueRef call = LLVMBuildCall2(r->builder, LLVMGlobalGetValueType(fn), fn, args, 3, "");
    LLVMSetInstructionCallConv(call, REGION_PRESERVE_ALL);
    return call;
}

// n, z, c, v of any kind as REGION_BITS.
static struct region_flags to_bits(struct region *r, const struct region_flags *f)
{
    LLVMBuilderRef at = r->builder;
    struct region_flags out = { REGION_BITS, f->a, f->b, f->c, f->d };
    LLVMValueRef word = f->a, sum;
    switch (f->kind) {
    case REGION_DYNAMIC:
        word = call_pack(r, f);
        // fallthrough
    case REGION_PACKED:
        if (LLVMTypeOf(word) != r->i32)
            word = LLVMBuildTrunc(at, word, r->i32, "");
        out.a = bit_i1(r, word, IR_FLAG_N), out.b = bit_i1(r, word, IR_FLAG_Z);
        out.c = bit_i1(r, word, IR_FLAG_C), out.d = bit_i1(r, word, IR_FLAG_V);
        break;
    case REGION_SUB32:
    case REGION_SUB64:
        out.a = negative(r, LLVMBuildSub(at, f->a, f->b, ""));
        out.b = compare(r, LLVMIntEQ, f->a, f->b);
        out.c = compare(r, LLVMIntUGE, f->a, f->b);
        out.d = overflow(r, "llvm.ssub.with.overflow", f->a, f->b);
        break;
    case REGION_ADD32:
    case REGION_ADD64:
        sum = LLVMBuildAdd(at, f->a, f->b, "");
        out.a = negative(r, sum), out.b = is_zero(r, sum), out.c = compare(r, LLVMIntULT, sum, f->a);
        out.d = overflow(r, "llvm.sadd.with.overflow", f->a, f->b);
        break;
    case REGION_LOGIC32:
    case REGION_LOGIC64:
        out.a = negative(r, f->a), out.b = is_zero(r, f->a);
        out.c = out.d = region_k(r, r->i1, 0);
        break;
    case REGION_FCMP32:
    case REGION_FCMP64: // less N; equal Z C; greater C; unordered C V
        out.a = compare_floats(r, LLVMRealOLT, f), out.b = compare_floats(r, LLVMRealOEQ, f);
        out.c = compare_floats(r, LLVMRealUGE, f), out.d = compare_floats(r, LLVMRealUNO, f);
        break;
    default: break;
    }
    return out;
}

static LLVMValueRef put_bit(struct region *r, LLVMValueRef bit, uint32_t mask)
{
    LLVMValueRef wide = LLVMBuildZExt(r->builder, bit, r->i32, "");
    return LLVMBuildShl(r->builder, wide, region_k(r, r->i32, (unsigned)__builtin_ctz(mask)), "");
}

LLVMValueRef region_flags_pack(struct region *r, const struct region_flags *f)
{
    if (f->kind == REGION_PACKED)
        return f->a;
    if (f->kind == REGION_DYNAMIC || (r->cold && f->kind != REGION_BITS))
        return call_pack(r, f);
    struct region_flags bits = to_bits(r, f);
    LLVMValueRef nz = LLVMBuildOr(r->builder, put_bit(r, bits.a, IR_FLAG_N), put_bit(r, bits.b, IR_FLAG_Z), "");
    LLVMValueRef cv = LLVMBuildOr(r->builder, put_bit(r, bits.c, IR_FLAG_C), put_bit(r, bits.d, IR_FLAG_V), "");
    return LLVMBuildOr(r->builder, nz, cv, "");
}

static LLVMValueRef pack_function(struct region *r)
{
    LLVMTypeRef params[3] = { r->i32, r->i64, r->i64 }, type = LLVMFunctionType(r->i32, params, 3, false);
    LLVMValueRef found = region_shared_find(r, "pack_flags", type);
    struct region_shared_frame keep;
    if (found)
        return found;
    bool cold = r->cold;
    r->cold = false;
    LLVMValueRef fn = region_shared_begin(r, "pack_flags", type, &keep), a = LLVMGetParam(fn, 1), b = LLVMGetParam(fn, 2);
    LLVMBasicBlockRef blocks[REGION_DYNAMIC];
    for (unsigned k = 0; k < REGION_DYNAMIC; k++)
        blocks[k] = LLVMAppendBasicBlockInContext(r->context, fn, "");
    LLVMValueRef by = LLVMBuildSwitch(r->builder, LLVMGetParam(fn, 0), blocks[REGION_PACKED], REGION_DYNAMIC);
    for (unsigned k = 0; k < REGION_DYNAMIC; k++) {
        bool narrow = k == REGION_SUB32 || k == REGION_ADD32 || k == REGION_LOGIC32 || k == REGION_FCMP32 || k == REGION_PACKED;
        if (k != REGION_PACKED)
            LLVMAddCase(by, region_k(r, r->i32, k), blocks[k]);
        region_at(r, blocks[k]);
        struct region_flags f = { (uint8_t)k, a, b, NULL, NULL };
        if (narrow)
            f.a = LLVMBuildTrunc(r->builder, a, r->i32, ""), f.b = LLVMBuildTrunc(r->builder, b, r->i32, "");
        LLVMBuildRet(r->builder, region_flags_pack(r, &f));
    }
    region_shared_end(r, &keep);
    r->cold = cold;
    return region_shared_find(r, "pack_flags", type);
}

// ---- conditions --------------------------------------------------------------------------------------------------

static const int8_t sub_predicates[IR_COND_COUNT] = { // of a and b; 0: none
    [IR_EQ] = LLVMIntEQ, [IR_NE] = LLVMIntNE, [IR_CS] = LLVMIntUGE, [IR_CC] = LLVMIntULT, [IR_HI] = LLVMIntUGT,
    [IR_LS] = LLVMIntULE, [IR_GE] = LLVMIntSGE, [IR_LT] = LLVMIntSLT, [IR_GT] = LLVMIntSGT, [IR_LE] = LLVMIntSLE,
};
static const int8_t logic_predicates[IR_COND_COUNT] = { // of a and 0
    [IR_EQ] = LLVMIntEQ, [IR_NE] = LLVMIntNE, [IR_MI] = LLVMIntSLT, [IR_PL] = LLVMIntSGE, [IR_GE] = LLVMIntSGE,
    [IR_LT] = LLVMIntSLT, [IR_GT] = LLVMIntSGT, [IR_LE] = LLVMIntSLE,
};

static const int8_t float_predicates[IR_COND_COUNT] = {
    [IR_EQ] = LLVMRealOEQ, [IR_NE] = LLVMRealUNE, [IR_CS] = LLVMRealUGE, [IR_CC] = LLVMRealOLT, [IR_MI] = LLVMRealOLT,
    [IR_PL] = LLVMRealUGE, [IR_VS] = LLVMRealUNO, [IR_VC] = LLVMRealORD, [IR_HI] = LLVMRealUGT, [IR_LS] = LLVMRealOLE,
    [IR_GE] = LLVMRealOGE, [IR_LT] = LLVMRealULT, [IR_GT] = LLVMRealOGT, [IR_LE] = LLVMRealULE,
};

static LLVMValueRef not_if(struct region *r, LLVMValueRef bit, bool invert)
{
    return invert ? LLVMBuildNot(r->builder, bit, "") : bit;
}

static LLVMValueRef condition(struct region *r, enum ir_cond cond, const struct region_flags *f)
{
    LLVMBuilderRef at = r->builder;
    bool invert = cond & 1;
    if ((f->kind == REGION_SUB32 || f->kind == REGION_SUB64) && sub_predicates[cond])
        return compare(r, (LLVMIntPredicate)sub_predicates[cond], f->a, f->b);
    if ((f->kind == REGION_LOGIC32 || f->kind == REGION_LOGIC64) && logic_predicates[cond])
        return compare(r, (LLVMIntPredicate)logic_predicates[cond], f->a, region_k(r, LLVMTypeOf(f->a), 0));
    if (f->kind == REGION_FCMP32 || f->kind == REGION_FCMP64)
        return compare_floats(r, (LLVMRealPredicate)float_predicates[cond], f);
    struct region_flags b = to_bits(r, f);
    LLVMValueRef differ;
    switch (cond & ~1u) {
    case IR_EQ: return not_if(r, b.b, invert);
    case IR_CS: return not_if(r, b.c, invert);
    case IR_MI: return not_if(r, b.a, invert);
    case IR_VS: return not_if(r, b.d, invert);
    case IR_HI: return not_if(r, LLVMBuildAnd(at, b.c, LLVMBuildNot(at, b.b, ""), ""), invert);
    case IR_GE: return not_if(r, LLVMBuildXor(at, b.a, b.d, ""), !invert);
    default: // IR_GT
        differ = LLVMBuildXor(at, b.a, b.d, "");
        return not_if(r, LLVMBuildOr(at, b.b, differ, ""), !invert);
    }
}

// ---- ops ---------------------------------------------------------------------------------------------------------

static struct region_flags with_carry(struct region *r, LLVMValueRef a, LLVMValueRef b, LLVMValueRef carry)
{
    LLVMBuilderRef at = r->builder;
    LLVMValueRef half = LLVMBuildAdd(at, a, b, ""), in = LLVMBuildZExt(at, carry, LLVMTypeOf(a), "");
    LLVMValueRef sum = LLVMBuildAdd(at, half, in, "");
    LLVMValueRef out = LLVMBuildOr(at, compare(r, LLVMIntULT, half, a), compare(r, LLVMIntULT, sum, half), "");
    LLVMValueRef signs = LLVMBuildAnd(at, LLVMBuildXor(at, a, sum, ""), LLVMBuildXor(at, b, sum, ""), "");
    return (struct region_flags){ REGION_BITS, negative(r, sum), is_zero(r, sum), out, negative(r, signs) };
}

static struct region_flags select_flags(struct region *r, const struct ir_insn *insn)
{
    LLVMValueRef by = region_arg(r, insn, 0);
    struct region_flags y = to_bits(r, &r->flags[insn->arg[1]]), n = to_bits(r, &r->flags[insn->arg[2]]);
    return (struct region_flags){ REGION_BITS, LLVMBuildSelect(r->builder, by, y.a, n.a, ""),
                                  LLVMBuildSelect(r->builder, by, y.b, n.b, ""), LLVMBuildSelect(r->builder, by, y.c, n.c, ""),
                                  LLVMBuildSelect(r->builder, by, y.d, n.d, "") };
}

static LLVMValueRef unpack(struct region *r, const struct region_flags *f)
{
    struct region_flags b = to_bits(r, f);
    LLVMValueRef nz = LLVMBuildOr(r->builder, put_bit(r, b.a, 1u << 31), put_bit(r, b.b, 1u << 30), "");
    LLVMValueRef cv = LLVMBuildOr(r->builder, put_bit(r, b.c, 1u << 29), put_bit(r, b.d, 1u << 28), "");
    return LLVMBuildOr(r->builder, nz, cv, "");
}

bool region_lower_flags(struct region *r, const struct ir_insn *insn)
{
    struct region_flags *out = &r->flags[r->pos];
    bool wide = insn->arg[0] != IR_NO_VALUE && region_arg_type(r, insn, 0) == IR_I64;
    LLVMValueRef a = insn->arg[0] == IR_NO_VALUE ? NULL : region_arg(r, insn, 0);
    LLVMValueRef b = insn->arg[1] == IR_NO_VALUE ? NULL : region_arg(r, insn, 1);
    switch (insn->op) {
    case IR_OP_flags_add: *out = (struct region_flags){ wide ? REGION_ADD64 : REGION_ADD32, a, b, NULL, NULL }; return true;
    case IR_OP_flags_sub:
        *out = (struct region_flags){ wide ? REGION_SUB64 : REGION_SUB32, a, b, NULL, NULL };
        if (insn->sub & 1) {
            *out = to_bits(r, out);
            out->c = LLVMBuildNot(r->builder, out->c, "");
        }
        return true;
    case IR_OP_flags_logic: *out = (struct region_flags){ wide ? REGION_LOGIC64 : REGION_LOGIC32, a, NULL, NULL, NULL }; return true;
    case IR_OP_flags_adc: *out = with_carry(r, a, b, region_arg(r, insn, 2)); return true;
    case IR_OP_flags_sbc: *out = with_carry(r, a, LLVMBuildNot(r->builder, b, ""), region_arg(r, insn, 2)); return true;
    case IR_OP_flags_pack:
        *out = (struct region_flags){ REGION_BITS, bit_i1(r, a, 1u << 31), bit_i1(r, a, 1u << 30), bit_i1(r, a, 1u << 29),
                                      bit_i1(r, a, 1u << 28) };
        return true;
    case IR_OP_flags_unpack: r->values[r->pos] = unpack(r, &r->flags[insn->arg[0]]); return true;
    case IR_OP_cond: r->values[r->pos] = condition(r, (enum ir_cond)insn->sub, &r->flags[insn->arg[0]]); return true;
    case IR_OP_select:
        if (insn->type != IR_FLAGS)
            return false;
        *out = select_flags(r, insn);
        return true;
    default: return false;
    }
}
