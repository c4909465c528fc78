// SPDX-License-Identifier: MIT
// Shorthand over LLVM's C interface that the lowering is written in: env accesses, calls of stubs, blocks, values in
// memory. Every access to memory says by TBAA whether it is env, an inline table, guest memory or our own stack, as
// none of them overlap and inttoptr hides that from LLVM.
#include "backends/llvm/llvm.h"

LLVMTypeRef region_type(const struct region *r, enum ir_type type)
{
    switch (type) {
    case IR_I1: return r->i1;
    case IR_I8: return r->i8;
    case IR_I16:
    case IR_F16: return r->i16;
    case IR_I32:
    case IR_FLAGS: return r->i32;
    case IR_F32: return r->f32;
    case IR_F64: return r->f64;
    case IR_V128: return r->v2i64;
    default: return r->i64;
    }
}

LLVMTypeRef region_int(const struct region *r, unsigned log2)
{
    const LLVMTypeRef types[] = { r->i8, r->i16, r->i32, r->i64, r->i128 };
    return types[log2];
}

LLVMValueRef region_k(const struct region *r, LLVMTypeRef type, uint64_t value)
{
    (void)r;
    return LLVMConstInt(type, value, false);
}

LLVMValueRef region_env_at(struct region *r, size_t offset)
{
    LLVMValueRef index = region_k(r, r->i64, offset);
    return LLVMBuildInBoundsGEP2(r->builder, r->i8, r->env, &index, 1, "");
}

LLVMValueRef region_tag(struct region *r, LLVMValueRef access, LLVMValueRef tbaa)
{
    LLVMSetMetadata(access, r->md_tbaa, tbaa);
    return access;
}

LLVMValueRef region_env_load(struct region *r, LLVMTypeRef type, size_t offset, unsigned align)
{
    LLVMValueRef load = LLVMBuildLoad2(r->builder, type, region_env_at(r, offset), "");
    LLVMSetAlignment(load, align);
    return region_tag(r, load, r->tbaa_env);
}

void region_env_store(struct region *r, LLVMValueRef value, size_t offset, unsigned align)
{
    LLVMValueRef store = LLVMBuildStore(r->builder, value, region_env_at(r, offset));
    LLVMSetAlignment(store, align);
    region_tag(r, store, r->tbaa_env);
}

LLVMValueRef region_pc(struct region *r, int64_t offset)
{
    LLVMValueRef page = region_env_load(r, r->i64, offsetof(struct ir_env, pc_page), 8);
    LLVMSetMetadata(page, r->md_invariant, LLVMMetadataAsValue(r->context, LLVMMDNodeInContext2(r->context, NULL, 0)));
    return LLVMBuildAdd(r->builder, page, region_k(r, r->i64, (uint64_t)offset), "");
}

LLVMBasicBlockRef region_new_block(struct region *r, const char *name)
{
    return LLVMAppendBasicBlockInContext(r->context, r->function, name);
}

void region_at(struct region *r, LLVMBasicBlockRef block)
{
    LLVMPositionBuilderAtEnd(r->builder, block);
}

void region_branch(struct region *r, LLVMValueRef cond, LLVMBasicBlockRef yes, LLVMBasicBlockRef no, LLVMValueRef weights)
{
    LLVMValueRef branch = LLVMBuildCondBr(r->builder, cond, yes, no);
    if (weights)
        LLVMSetMetadata(branch, r->md_prof, weights);
}

LLVMValueRef region_phi(struct region *r, LLVMTypeRef type, LLVMValueRef a, LLVMBasicBlockRef from_a, LLVMValueRef b,
                        LLVMBasicBlockRef from_b)
{
    LLVMValueRef phi = LLVMBuildPhi(r->builder, type, ""), values[2] = { a, b };
    LLVMBasicBlockRef from[2] = { from_a, from_b };
    LLVMAddIncoming(phi, values, from, 2);
    return phi;
}

LLVMValueRef region_intrinsic(struct region *r, const char *name, LLVMTypeRef type, LLVMValueRef *args, unsigned count)
{
    unsigned id = LLVMLookupIntrinsicID(name, __builtin_strlen(name)), overloads = type ? 1 : 0;
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(r->module, id, &type, overloads);
    return LLVMBuildCall2(r->builder, LLVMGlobalGetValueType(f), f, args, count, "");
}

LLVMValueRef region_call_stub(struct region *r, enum region_stub stub, LLVMValueRef *args, unsigned count)
{
    LLVMValueRef f = r->stubs[stub];
    LLVMValueRef call = LLVMBuildCall2(r->builder, LLVMGlobalGetValueType(f), f, args, count, "");
    LLVMSetInstructionCallConv(call, REGION_PRESERVE_ALL);
    return region_tag(r, call, stub == REGION_EVAL ? r->tbaa_scratch : r->tbaa_machine);
}

void region_tail(struct region *r, LLVMValueRef target, LLVMValueRef a, LLVMValueRef b)
{
    LLVMValueRef args[3] = { r->env, a, b ? b : LLVMGetPoison(r->ptr) };
    LLVMValueRef call = LLVMBuildCall2(r->builder, r->tail_type, target, args, 3, "");
    LLVMSetInstructionCallConv(call, REGION_PRESERVE_NONE);
    LLVMSetTailCallKind(call, LLVMTailCallKindMustTail);
    LLVMBuildRetVoid(r->builder);
}

LLVMValueRef region_bits(struct region *r, LLVMValueRef value)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    if (type == r->f32)
        return LLVMBuildBitCast(r->builder, value, r->i32, "");
    if (type == r->f64)
        return LLVMBuildBitCast(r->builder, value, r->i64, "");
    return value;
}

static unsigned align_of(enum ir_type type)
{
    return type == IR_V128 ? 16 : ir_type_size(type);
}

LLVMValueRef region_load_value(struct region *r, enum ir_type type, LLVMValueRef at, LLVMValueRef tbaa)
{
    LLVMTypeRef stored = type == IR_I1 ? r->i8 : region_type(r, type);
    LLVMValueRef load = LLVMBuildLoad2(r->builder, stored, at, "");
    LLVMSetAlignment(load, align_of(type));
    region_tag(r, load, tbaa);
    return type == IR_I1 ? LLVMBuildTrunc(r->builder, load, r->i1, "") : load;
}

void region_store_value(struct region *r, enum ir_type type, LLVMValueRef value, LLVMValueRef at, LLVMValueRef tbaa)
{
    if (type == IR_I1)
        value = LLVMBuildZExt(r->builder, value, r->i8, "");
    LLVMValueRef store = LLVMBuildStore(r->builder, value, at);
    LLVMSetAlignment(store, align_of(type));
    region_tag(r, store, tbaa);
}
