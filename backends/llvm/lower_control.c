// SPDX-License-Identifier: MIT
// Branches, exits, polls and helper calls. A region is left by tail jumps to the stubs, with all state stored; the blocks
// that do so for a fault, a poll or a helper are shared by all leavings between two changes of state.
#include "backends/llvm/llvm.h"

// The block that leaves with the state of here.
static LLVMBasicBlockRef leave_block(struct region *r)
{
    if (r->leave)
        return r->leave;
    LLVMBasicBlockRef back = LLVMGetInsertBlock(r->builder);
    r->leave = region_new_block(r, "leave");
    region_at(r, r->leave);
    r->leave_code = LLVMBuildPhi(r->builder, r->i32, "code");
    r->cold = true;
    region_store_dirty(r);
    r->cold = false;
    LLVMValueRef code = LLVMBuildIntToPtr(r->builder, LLVMBuildZExt(r->builder, r->leave_code, r->i64, ""), r->ptr, "");
    region_tail(r, r->stubs[r->uses_fp ? REGION_LEAVE_FP : REGION_LEAVE], code, NULL);
    region_at(r, back);
    return r->leave;
}

static void add_code(struct region *r, LLVMValueRef code, LLVMBasicBlockRef from)
{
    LLVMAddIncoming(r->leave_code, &code, &from, 1);
}

void region_leave_if(struct region *r, LLVMValueRef code)
{
    LLVMBasicBlockRef leave = leave_block(r), on = region_new_block(r, "on");
    LLVMValueRef fine = LLVMBuildICmp(r->builder, LLVMIntEQ, code, region_k(r, r->i32, IR_EXIT_NONE), "");
    region_branch(r, fine, on, leave, r->likely);
    add_code(r, code, LLVMGetInsertBlock(r->builder));
    region_at(r, on);
}

void region_leave_now(struct region *r, LLVMValueRef code)
{
    LLVMBasicBlockRef leave = leave_block(r);
    add_code(r, code, LLVMGetInsertBlock(r->builder));
    LLVMBuildBr(r->builder, leave);
}

// Leaves with pc when the budget is spent; what follows is the other case.
static void poll(struct region *r, LLVMValueRef pc, int64_t offset)
{
    LLVMValueRef budget = region_env_load(r, r->i32, offsetof(struct ir_env, budget), 4);
    LLVMSetOrdering(budget, LLVMAtomicOrderingMonotonic);
    LLVMBasicBlockRef spent = region_new_block(r, "spent"), on = region_new_block(r, "on");
    LLVMValueRef is_spent = LLVMBuildICmp(r->builder, LLVMIntSLT, budget, region_k(r, r->i32, 0), "");
    region_branch(r, is_spent, spent, on, r->unlikely);
    region_at(r, spent);
    region_env_store(r, pc ? pc : region_pc(r, offset), offsetof(struct ir_env, pc), 8);
    region_leave_now(r, region_k(r, r->i32, IR_EXIT_POLL));
    region_at(r, on);
}

static void lower_brif(struct region *r, const struct ir_insn *insn)
{
    LLVMBasicBlockRef yes = r->blocks[(uint32_t)insn->imm].entry, no = r->blocks[insn->imm >> 32].entry;
    LLVMValueRef weights = insn->sub == IR_LIKELY_TAKEN ? r->likely : insn->sub == IR_LIKELY_NOT_TAKEN ? r->unlikely : NULL;
    region_state_end_block(r);
    region_branch(r, region_arg(r, insn, 0), yes, no, weights);
}

// ---- exits -------------------------------------------------------------------------------------------------------

static LLVMValueRef pointer_to(struct region *r, const void *at)
{
    return LLVMConstIntToPtr(region_k(r, r->i64, (uint64_t)(uintptr_t)at), r->ptr);
}

static struct backend_exit *exit_record(struct region *r, int64_t offset)
{
    for (uint32_t i = 0; i < r->exit_count; i++)
        if (r->exits[i].pc_offset == offset)
            return &r->exits[i];
    if (r->exit_count == BACKEND_MAX_EXITS) {
        r->too_many_exits = true;
        return &r->exits[0];
    }
    struct backend_exit *exit = &r->exits[r->exit_count++];
    *exit = (struct backend_exit){ .pc_offset = offset };
    atomic_store_explicit(&exit->target, r->optimiser->config.stubs->exit_unlinked, memory_order_relaxed);
    return exit;
}

static void jump(struct region *r, LLVMValueRef pc)
{
    LLVMValueRef to = LLVMBuildIntToPtr(r->builder, pc, r->ptr, "");
    region_tail(r, r->stubs[r->uses_fp ? REGION_JUMP_FP : REGION_JUMP], to, NULL);
}

static LLVMValueRef table_load(struct region *r, LLVMTypeRef type, LLVMValueRef base, LLVMValueRef offset, unsigned align)
{
    LLVMValueRef at = LLVMBuildInBoundsGEP2(r->builder, r->i8, base, &offset, 1, "");
    LLVMValueRef value = region_tag(r, LLVMBuildLoad2(r->builder, type, at, ""), r->tbaa_table);
    LLVMSetOrdering(value, LLVMAtomicOrderingUnordered);
    LLVMSetAlignment(value, align);
    return value;
}

// The same in line, as it is where most of the time of indirect branches goes; a page that is not known is left to the stub.
static void jump_known(struct region *r, LLVMValueRef pc)
{
    LLVMBuilderRef at = r->builder;
    LLVMBasicBlockRef here = region_new_block(r, "here"), miss = region_new_block(r, "miss");
    LLVMValueRef pages = region_env_load(r, r->ptr, offsetof(struct ir_env, exec_pages), 8);
    LLVMValueRef index = LLVMBuildAnd(at, LLVMBuildLShr(at, pc, region_k(r, r->i64, IR_PAGE_BITS - 5), ""),
                                      region_k(r, r->i64, (IR_EXEC_PAGES - 1) << 5), "");
    LLVMValueRef page = LLVMBuildInBoundsGEP2(at, r->i8, pages, &index, 1, "");
    LLVMValueRef va = table_load(r, r->i64, page, region_k(r, r->i64, offsetof(struct ir_exec_page, va)), 8);
    LLVMValueRef key = table_load(r, r->i32, page, region_k(r, r->i64, offsetof(struct ir_exec_page, key)), 4);
    LLVMValueRef offset = LLVMBuildXor(at, pc, va, "");
    LLVMValueRef bits[2] = { LLVMBuildAnd(at, offset, region_k(r, r->i64, ~(uint64_t)(IR_PAGE_SIZE - IR_CODE_ALIGN)), ""),
                             LLVMBuildXor(at, key, region_env_load(r, r->i32, offsetof(struct ir_env, key), 4), "") };
    LLVMValueRef differ = LLVMBuildOr(at, bits[0], LLVMBuildZExt(at, bits[1], r->i64, ""), "");
    region_branch(r, LLVMBuildICmp(at, LLVMIntEQ, differ, region_k(r, r->i64, 0), ""), here, miss, r->likely);
    region_at(r, here);
    LLVMValueRef entries = table_load(r, r->ptr, page, region_k(r, r->i64, offsetof(struct ir_exec_page, entries)), 8);
    LLVMValueRef unit = LLVMBuildZExt(at, table_load(r, r->i32, entries, offset, 4), r->i64, "");
    LLVMValueRef base = region_env_load(r, r->ptr, offsetof(struct ir_env, code_base), 8);
    region_env_store(r, va, offsetof(struct ir_env, pc_page), 8);
    region_tail(r, LLVMBuildInBoundsGEP2(at, r->i8, base, &unit, 1, ""), LLVMBuildIntToPtr(at, pc, r->ptr, ""), NULL);
    region_at(r, miss);
    jump(r, pc);
}
_Static_assert(IR_CODE_ALIGN == 4, "an offset in a page is one in its table of 32-bit words");

// The unit of the region's own PC is reached by the fallback: the jump cache has the region itself there.
static void jump_to_unit(struct region *r, int64_t offset)
{
    const char *fallback = (const char *)r->request->fallback;
    if (offset != r->entry_offset) {
        jump(r, region_pc(r, offset));
    } else if (r->uses_fp) { // an exit record is read at its target only
        region_tail(r, r->stubs[REGION_EXIT_FP], pointer_to(r, fallback - offsetof(struct backend_exit, target)), NULL);
    } else {
        LLVMValueRef code = LLVMBuildLoad2(r->builder, r->ptr, pointer_to(r, fallback), "");
        region_tail(r, region_tag(r, code, r->tbaa_table), LLVMGetPoison(r->ptr), NULL);
    }
}

void region_restart(struct region *r)
{
    if (!r->restart || r->restart_offset != r->insn_offset) {
        LLVMBasicBlockRef back = LLVMGetInsertBlock(r->builder);
        r->restart = region_new_block(r, "restart");
        r->restart_offset = r->insn_offset;
        region_at(r, r->restart);
        r->cold = true;
    region_store_dirty(r);
    r->cold = false;
        jump_to_unit(r, r->insn_offset);
        region_at(r, back);
    }
    LLVMBuildBr(r->builder, r->restart);
}

static void lower_exit_pc(struct region *r, const struct ir_insn *insn)
{
    int64_t offset = (int64_t)insn->imm;
    region_flush(r);
    if (offset < 0 || offset >= IR_PAGE_SIZE) {
        if (r->uses_fp)
            jump(r, region_pc(r, offset));
        else
            jump_known(r, region_pc(r, offset));
        return;
    }
    LLVMValueRef record = pointer_to(r, exit_record(r, offset));
    if (r->uses_fp) {
        region_tail(r, r->stubs[REGION_EXIT_FP], record, NULL);
        return;
    }
    LLVMValueRef index = region_k(r, r->i64, offsetof(struct backend_exit, target));
    LLVMValueRef at = LLVMBuildInBoundsGEP2(r->builder, r->i8, record, &index, 1, "");
    LLVMValueRef target = LLVMBuildLoad2(r->builder, r->ptr, at, "");
    LLVMSetOrdering(target, LLVMAtomicOrderingMonotonic);
    LLVMSetAlignment(target, 8);
    region_tail(r, target, record, NULL);
}

static void lower_exit_ind(struct region *r, const struct ir_insn *insn)
{
    LLVMValueRef target = region_arg(r, insn, 0);
    region_flush(r);
    poll(r, target, 0);
    if (r->uses_fp)
        jump(r, target);
    else
        jump_known(r, target);
}

static void lower_exit_stop(struct region *r, const struct ir_insn *insn)
{
    region_flush(r);
    region_env_store(r, region_arg(r, insn, 0), offsetof(struct ir_env, pc), 8);
    region_leave_now(r, region_k(r, r->i32, insn->sub));
}

// ---- helper calls ------------------------------------------------------------------------------------------------

static void put_args(struct region *r, const struct ir_insn *insn, const struct ir_helper *helper)
{
    for (unsigned k = 0; k < 4 && helper->args[k] != IR_VOID; k++) {
        enum ir_type type = region_arg_type(r, insn, k);
        LLVMValueRef index = region_k(r, r->i64, k * sizeof(union ir_value)), value;
        LLVMValueRef at = LLVMBuildInBoundsGEP2(r->builder, r->i8, r->args, &index, 1, "");
        if (type == IR_FLAGS) {
            value = region_flags_pack(r, &r->flags[insn->arg[k]]);
            value = LLVMBuildAnd(r->builder, value, region_k(r, r->i32, IR_FLAG_NZCV), "");
        } else {
            value = region_bits(r, region_arg(r, insn, k));
        }
        if (type != IR_V128 && LLVMTypeOf(value) != r->i64)
            value = LLVMBuildZExt(r->builder, value, r->i64, "");
        region_store_value(r, type == IR_V128 ? IR_V128 : IR_I64, value, at, r->tbaa_local);
    }
}

static void lower_call(struct region *r, const struct ir_insn *insn)
{
    const struct ir_helper *helper = &r->unit->guest->helpers[insn->imm];
    uint32_t state = helper->flags & (IR_HELPER_READS | IR_HELPER_WRITES), exits = helper->flags & IR_HELPER_EXITS;
    put_args(r, insn, helper);
    if (state)
        region_flush(r);
    if (state | exits)
        region_env_store(r, region_pc(r, r->insn_offset), offsetof(struct ir_env, pc), 8);
    if (state && !r->uses_fp)
        region_call_stub(r, REGION_FP_SYNC, &r->env, 1);
    LLVMTypeRef params[3] = { r->ptr, r->ptr, r->ptr }, type = LLVMFunctionType(r->i32, params, 3, false);
    LLVMValueRef args[3] = { r->env, r->args, r->result };
    LLVMValueRef code = LLVMBuildCall2(r->builder, type, pointer_to(r, (const void *)helper->fn), args, 3, "");
    if (exits)
        region_leave_if(r, code);
    if (helper->flags && !(helper->flags & IR_HELPER_KEEPS_SPANS))
        region_streams_forget(r);
    if (helper->flags & IR_HELPER_WRITES) {
        region_reload(r);
        r->inexact_known = false;
    }
    if (insn->type == IR_VOID)
        return;
    LLVMValueRef value = region_load_value(r, (enum ir_type)insn->type, r->result, r->tbaa_local);
    if (insn->type == IR_FLAGS)
        r->flags[r->pos] = (struct region_flags){ REGION_PACKED, value, NULL, NULL, NULL };
    else
        r->values[r->pos] = value;
}

bool region_lower_control(struct region *r, const struct ir_insn *insn)
{
    switch (insn->op) {
    case IR_OP_nop: return true;
    case IR_OP_insn: r->insn_offset = (int64_t)insn->imm; return true;
    case IR_OP_get: region_get(r, (uint32_t)insn->imm); return true;
    case IR_OP_put: region_put(r, (uint32_t)insn->imm, insn->arg[0]); return true;
    case IR_OP_poll:
        if (!r->fast)
            poll(r, NULL, (int64_t)insn->imm);
        return true;
    case IR_OP_br:
        region_state_end_block(r);
        LLVMBuildBr(r->builder, r->blocks[insn->imm].entry);
        return true;
    case IR_OP_brif: lower_brif(r, insn); return true;
    case IR_OP_exit_pc: lower_exit_pc(r, insn); return true;
    case IR_OP_exit_ind: lower_exit_ind(r, insn); return true;
    case IR_OP_exit_stop: lower_exit_stop(r, insn); return true;
    case IR_OP_call: lower_call(r, insn); return true;
    default: return false;
    }
}
