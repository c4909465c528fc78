// SPDX-License-Identifier: MIT
// A unit as an LLVM module: types, declarations of the stubs, alias metadata, and the walk over blocks in reverse
// postorder, so that every definition is lowered before its uses.
#include "backends/llvm/llvm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static LLVMValueRef md(struct region *r, LLVMMetadataRef *parts, unsigned count)
{
    return LLVMMetadataAsValue(r->context, LLVMMDNodeInContext2(r->context, parts, count));
}

static LLVMMetadataRef md_text(struct region *r, const char *text)
{
    return LLVMMDStringInContext2(r->context, text, strlen(text));
}

static LLVMMetadataRef md_number(struct region *r, LLVMTypeRef type, uint64_t value)
{
    return LLVMValueAsMetadata(region_k(r, type, value));
}

static LLVMMetadataRef tbaa_type(struct region *r, LLVMMetadataRef parent, const char *name)
{
    LLVMMetadataRef type[3] = { md_text(r, name), parent, md_number(r, r->i64, 0) };
    return LLVMMDNodeInContext2(r->context, type, 3);
}

static LLVMValueRef tbaa(struct region *r, LLVMMetadataRef type)
{
    LLVMMetadataRef tag[3] = { type, type, md_number(r, r->i64, 0) };
    return md(r, tag, 3);
}

static LLVMValueRef weights(struct region *r, uint32_t yes, uint32_t no)
{
    LLVMMetadataRef parts[3] = { md_text(r, "branch_weights"), md_number(r, r->i32, yes), md_number(r, r->i32, no) };
    return md(r, parts, 3);
}

static void make_metadata(struct region *r)
{
    LLVMMetadataRef name = md_text(r, "isomer"), root = LLVMMDNodeInContext2(r->context, &name, 1);
    r->md_prof = LLVMGetMDKindIDInContext(r->context, "prof", 4);
    r->md_tbaa = LLVMGetMDKindIDInContext(r->context, "tbaa", 4);
    r->md_invariant = LLVMGetMDKindIDInContext(r->context, "invariant.load", 14);
    LLVMMetadataRef machine = tbaa_type(r, root, "machine");
    r->tbaa_machine = tbaa(r, machine);
    r->tbaa_env = tbaa(r, tbaa_type(r, machine, "env"));
    r->tbaa_table = tbaa(r, tbaa_type(r, machine, "table"));
    r->tbaa_guest = tbaa(r, tbaa_type(r, machine, "guest"));
    r->tbaa_field = tbaa(r, tbaa_type(r, root, "field"));
    r->tbaa_scratch = tbaa(r, tbaa_type(r, machine, "scratch"));
    r->tbaa_local = tbaa(r, tbaa_type(r, root, "local"));
    r->likely = weights(r, 4000, 1);
    r->unlikely = weights(r, 1, 4000);
}

static void make_types(struct region *r)
{
    LLVMContextRef c = r->context;
    r->i1 = LLVMInt1TypeInContext(c);
    r->i8 = LLVMInt8TypeInContext(c);
    r->i16 = LLVMInt16TypeInContext(c);
    r->i32 = LLVMInt32TypeInContext(c);
    r->i64 = LLVMInt64TypeInContext(c);
    r->i128 = LLVMInt128TypeInContext(c);
    r->f32 = LLVMFloatTypeInContext(c);
    r->f64 = LLVMDoubleTypeInContext(c);
    r->ptr = LLVMPointerTypeInContext(c, 0);
    r->v2i64 = LLVMVectorType(r->i64, 2);
    r->void_type = LLVMVoidTypeInContext(c);
    LLVMTypeRef params[3] = { r->ptr, r->ptr, r->ptr };
    r->tail_type = LLVMFunctionType(r->void_type, params, 3, false);
}

const char *const region_stub_names[REGION_STUBS] = {
    [REGION_EXIT_FP] = "stub_exit_fp", [REGION_JUMP] = "stub_jump", [REGION_JUMP_FP] = "stub_jump_fp",
    [REGION_LEAVE] = "stub_leave", [REGION_LEAVE_FP] = "stub_leave_fp", [REGION_FP_CHECK] = "stub_fp_check",
    [REGION_LOAD] = "stub_load", [REGION_STORE] = "stub_store", [REGION_CAS] = "stub_cas", [REGION_RMW] = "stub_rmw",
    [REGION_EVAL] = "stub_eval", [REGION_FP_SYNC] = "stub_fp_sync",
};

void region_declare_stubs(struct region *r)
{
    LLVMTypeRef memory[5] = { r->ptr, r->i64, r->i32, r->i32, r->i32 }, eval[3] = { r->ptr, r->ptr, r->ptr };
    for (unsigned s = 0; s < REGION_STUBS; s++) {
        LLVMTypeRef type = r->tail_type;
        if (s >= REGION_LOAD && s <= REGION_RMW)
            type = LLVMFunctionType(r->i32, memory, s == REGION_RMW ? 5 : 4, false);
        else if (s == REGION_EVAL)
            type = LLVMFunctionType(r->void_type, eval, 3, false);
        else if (s == REGION_FP_SYNC)
            type = LLVMFunctionType(r->void_type, eval, 1, false);
        LLVMValueRef old = LLVMGetNamedFunction(r->module, region_stub_names[s]);
        r->stubs[s] = old ? old : LLVMAddFunction(r->module, region_stub_names[s], type);
        LLVMSetFunctionCallConv(r->stubs[s], s < REGION_LOAD ? REGION_PRESERVE_NONE : REGION_PRESERVE_ALL);
    }
}

static void attribute(struct region *r, LLVMValueRef function, const char *name, const char *value)
{
    LLVMAttributeRef a;
    if (value) {
        a = LLVMCreateStringAttribute(r->context, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
    } else {
        a = LLVMCreateEnumAttribute(r->context, LLVMGetEnumAttributeKindForName(name, strlen(name)), 0);
    }
    LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, a);
}

LLVMValueRef region_new_function(struct region *r, const char *name, LLVMTypeRef type, unsigned convention)
{
    LLVMValueRef f = LLVMAddFunction(r->module, name, type);
    LLVMSetFunctionCallConv(f, convention);
    attribute(r, f, "nounwind", NULL);
    attribute(r, f, "frame-pointer", "none");
    attribute(r, f, "prefer-vector-width", "128");
    attribute(r, f, "min-legal-vector-width", "128");
    attribute(r, f, "tune-cpu", r->optimiser->tune);
    return f;
}

static LLVMValueRef make_function(struct region *r, const char *name)
{
    return region_new_function(r, name, r->tail_type, REGION_PRESERVE_NONE);
}

LLVMModuleRef region_new_module(struct region *r, const char *name)
{
    LLVMModuleRef module = LLVMModuleCreateWithNameInContext(name, r->context);
    char *triple = LLVMGetTargetMachineTriple(r->optimiser->machine);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(r->optimiser->machine);
    LLVMSetTarget(module, triple);
    LLVMDisposeMessage(triple);
    LLVMSetModuleDataLayout(module, layout);
    LLVMDisposeTargetData(layout);
    return module;
}

// Host FP operations need a fallback for when the inexact exception is not known, and the host's rounding as it is.
static bool uses_fp(const struct region *r)
{
    const struct ir_unit *u = r->unit;
    if (!r->request->fallback || (u->fp_mode & IR_FP_ROUND) != IR_RN)
        return false;
    for (uint32_t i = 0; i < u->insn_count; i++)
        if (ir_ops[u->insns[i].op].flags & IR_FPX && region_fp_has(r, &u->insns[i]))
            return true;
    return false;
}

// The region's symbol then is a jump to fp_check, which goes on to the body: LLVM moves no FP operation over that.
static void make_entry(struct region *r, const char *symbol)
{
    LLVMValueRef body = make_function(r, "body");
    LLVMSetLinkage(body, LLVMInternalLinkage);
    r->function = make_function(r, symbol);
    r->env = LLVMGetParam(r->function, 0);
    region_at(r, region_new_block(r, ""));
    LLVMValueRef fallback = region_k(r, r->i64, (uint64_t)(uintptr_t)r->request->fallback);
    region_tail(r, r->stubs[REGION_FP_CHECK], body, LLVMConstIntToPtr(fallback, r->ptr));
    r->function = body;
}

// A block that opens without a marker goes on with the instruction of its predecessors.
static int64_t offset_at(const struct region *r)
{
    const struct ir_flow *flow = &r->flow;
    for (uint32_t p = flow->pred_first[r->block]; p < flow->pred_first[r->block + 1]; p++)
        if (flow->order[flow->pred[p]] < flow->order[r->block])
            return r->blocks[flow->pred[p]].insn_offset;
    return 0;
}

static void recall_args(struct region *r)
{
    const struct ir_block *block = &r->unit->blocks[r->block];
    for (uint32_t i = block->first; i < block->first + block->count; i++)
        for (unsigned k = 0; k < 4; k++)
            if (r->unit->insns[i].arg[k] != IR_NO_VALUE)
                region_recall(r, r->unit->insns[i].arg[k]);
}

void region_lower_block(struct region *r, LLVMBasicBlockRef at)
{
    const struct ir_block *block = &r->unit->blocks[r->block];
    region_at(r, at);
    region_state_begin_block(r);
    recall_args(r);
    r->insn_offset = offset_at(r);
    for (r->pos = block->first; r->pos < block->first + block->count; r->pos++) {
        const struct ir_insn *insn = &r->unit->insns[r->pos];
        if (!region_lower_control(r, insn) && !region_lower_flags(r, insn) && !region_lower_int(r, insn) &&
            !region_lower_mem(r, insn) && !region_lower_vec(r, insn) &&
            !region_lower_fp(r, insn))
            region_lower_eval(r, insn);
        if (r->escapes[r->pos].loop)
            region_escape(r);
    }
    r->blocks[r->block].insn_offset = r->insn_offset;
}

// Back edges of a loop with a fast copy lead to where that is decided on.
static void lower_in_loop(struct region *r)
{
    int loop = r->blocks[r->block].loop;
    struct region_chunk *chunk = loop == REGION_NO_LOOP ? NULL : r->loops[loop].chunk;
    LLVMBasicBlockRef at = r->blocks[r->block].entry;
    if (!chunk) {
        region_lower_block(r, at);
        return;
    }
    struct region_block *head = &r->blocks[r->loops[loop].head];
    if (head == &r->blocks[r->block])
        region_chunk_lower(r, chunk);
    LLVMBasicBlockRef entry = head->entry;
    head->entry = chunk->decide;
    region_lower_block(r, at);
    head->entry = entry;
}

static int64_t first_offset(const struct region *r)
{
    for (uint32_t k = 0; k < r->flow.count; k++) {
        const struct ir_block *block = &r->unit->blocks[r->flow.rpo[k]];
        for (uint32_t i = block->first; i < block->first + block->count; i++)
            if (r->unit->insns[i].op == IR_OP_insn)
                return (int64_t)r->unit->insns[i].imm;
    }
    return 0;
}

static void lower_unit(struct region *r)
{
    r->entry_offset = first_offset(r);
    LLVMBasicBlockRef entry = region_new_block(r, "entry");
    for (uint32_t k = 0; k < r->flow.count; k++)
        r->blocks[r->flow.rpo[k]].entry = region_new_block(r, "block");
    region_at(r, entry);
    r->args = LLVMBuildAlloca(r->builder, LLVMArrayType2(r->v2i64, 4), "args");
    r->result = LLVMBuildAlloca(r->builder, r->v2i64, "result");
    region_state_enter(r);
    region_streams_enter(r);
    LLVMBuildBr(r->builder, r->blocks[0].entry);
    for (uint32_t k = 0; k < r->flow.count; k++) {
        r->block = r->flow.rpo[k];
        lower_in_loop(r);
    }
}

// Pieces of one allocation.
static void *piece(char **at, size_t count, size_t size)
{
    void *p = *at;
    *at += (count * size + 15) & ~(size_t)15;
    return p;
}

static void place(struct region *r, char *at)
{
    const struct ir_unit *u = r->unit;
    r->memory = at;
    r->values = piece(&at, u->insn_count, sizeof *r->values);
    r->flags = piece(&at, u->insn_count, sizeof *r->flags);
    r->blocks = piece(&at, u->block_count, sizeof *r->blocks);
    r->block_of = piece(&at, u->insn_count, sizeof *r->block_of);
    r->stream_of = piece(&at, u->insn_count, sizeof *r->stream_of);
    r->escapes = piece(&at, u->insn_count, sizeof *r->escapes);
    r->stack = piece(&at, u->block_count, sizeof *r->stack);
    r->loop_bodies = piece(&at, u->block_count, REGION_LOOPS);
    r->flow_memory = piece(&at, ir_flow_size(u), 1);
    r->memory_size = (size_t)(at - (char *)r->memory);
}

static bool allocate(struct region *r)
{
    place(r, (char *)r); // for the size alone
    char *memory = calloc(1, r->memory_size);
    if (!memory) {
        r->memory = NULL;
        return false;
    }
    place(r, memory);
    ir_flow_build(r->unit, r->flow_memory, &r->flow);
    return true;
}

// Without a handler an error would end the process.
static void on_diagnostic(LLVMDiagnosticInfoRef info, void *opaque)
{
    struct region *r = opaque;
    r->diagnosed |= LLVMGetDiagInfoSeverity(info) == LLVMDSError;
}

int region_build(struct region *r, const char *symbol)
{
    if (r->unit->failed || !r->unit->block_count || r->layout->count > REGION_FIELDS)
        return -ENOTSUP;
    if (!allocate(r))
        return -ENOMEM;
    r->context = LLVMContextCreate();
    LLVMContextSetDiagnosticHandler(r->context, on_diagnostic, r);
    r->builder = LLVMCreateBuilderInContext(r->context);
    r->module = region_new_module(r, "region");
    make_types(r);
    make_metadata(r);
    region_declare_stubs(r);
    region_loops_analyse(r);
    region_state_analyse(r);
    region_chunks_analyse(r);
    region_streams_analyse(r);
    r->uses_fp = uses_fp(r);
    if (r->uses_fp)
        make_entry(r, symbol);
    else
        r->function = make_function(r, symbol);
    r->env = LLVMGetParam(r->function, 0);
    lower_unit(r);
    if (r->evaluated && !r->request->anything)
        return -ENOTSUP;
    return r->too_many_exits ? -E2BIG : 0;
}

void region_free(struct region *r)
{
    if (r->builder)
        LLVMDisposeBuilder(r->builder);
    if (r->module)
        LLVMDisposeModule(r->module);
    if (r->shared)
        LLVMDisposeModule(r->shared);
    if (r->context)
        LLVMContextDispose(r->context);
    free(r->memory);
}
