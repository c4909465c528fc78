// SPDX-License-Identifier: MIT
// Branches, exits, polls and helper calls.
//
// What crosses the edges between blocks is joins.c's matter. Direct exits end in a jump whose displacement link() rewrites;
// before it those to other pages see in env.exec_pages that the page is what it was when they were linked. Indirect exits
// look their successor up there.
#include "backends/x64/compile.h"

static void emit_poll(struct x64_compile *c, uint32_t cold)
{
    x64_alu_mi(c->e, X64_CMP, false, x64_env(offsetof(struct ir_env, budget)), 0);
    x64_jcc(c->e, X64_S, X64_REF_COLD, cold);
}

static void lower_poll(struct x64_compile *c, const struct ir_insn *insn)
{
    emit_poll(c, x64_pos(&c->cold));
    x64_cold_begin(c);
    x64_store_dirty(c);
    x64_mov_ri(c->e, X64_RAX, (uint32_t)insn->imm);
    x64_jmp(c->e, X64_REF_CODE, x64_thunk_at(c, X64_T_EXIT_POLL_AT));
    c->e = &c->hot;
    if (c->unit->heat)
        x64_emit_heat(c, (uint32_t)insn->imm);
}

void x64_emit_heat(struct x64_compile *c, uint32_t offset)
{
    x64_mov_ri(c->e, X64_RAX, (uint64_t)(uintptr_t)c->unit->heat);
    x64_alu_mi(c->e, X64_SUB, false, x64_at(X64_RAX, 0), 1);
    x64_jcc(c->e, X64_S, X64_REF_COLD, x64_pos(&c->cold));
    x64_cold_begin(c);
    x64_store_dirty(c);
    x64_mov_ri(c->e, X64_RAX, offset);
    x64_jmp(c->e, X64_REF_CODE, x64_thunk_at(c, X64_T_EXIT_HOT_AT));
    c->e = &c->hot;
}

// Is this block lowered right after the current one?
static bool is_next(const struct x64_compile *c, uint32_t block)
{
    return c->block_rank[block] == c->block_rank[c->block] + 1;
}

static void go(struct x64_compile *c, uint32_t block)
{
    if (!is_next(c, block))
        x64_jmp(c->e, X64_REF_BLOCK, block);
}

static void lower_br(struct x64_compile *c, const struct ir_insn *insn)
{
    if (!x64_save_snapshot(c, (uint32_t)insn->imm))
        x64_edge(c, (uint32_t)insn->imm);
    go(c, (uint32_t)insn->imm);
}

// A conditional jump to a block that needs code on its edge: the code goes out of line.
static void branch(struct x64_compile *c, enum x64_cc cc, uint32_t block, bool keeps)
{
    if (keeps || x64_edge_is_free(c, block)) {
        x64_jcc(c->e, cc, X64_REF_BLOCK, block);
        return;
    }
    x64_jcc(c->e, cc, X64_REF_COLD, x64_pos(&c->cold));
    x64_cold_begin(c);
    x64_edge(c, block);
    x64_jmp(c->e, X64_REF_BLOCK, block);
    c->e = &c->hot;
}

static void lower_brif(struct x64_compile *c, const struct ir_insn *insn)
{
    uint32_t yes = (uint32_t)insn->imm, no = (uint32_t)(insn->imm >> 32);
    if (!c->values[insn->arg[0]].fused)
        x64_use(c, insn->arg[0]);
    enum x64_cc cc = x64_test_bool(c, insn->arg[0]);
    bool keeps_yes = x64_save_snapshot(c, yes), keeps_no = x64_save_snapshot(c, no);
    // The edge that falls through, or failing that goes back, has its code in line.
    bool inline_yes = is_next(c, yes) || (!is_next(c, no) && x64_lowered(c, yes));
    if (inline_yes) {
        branch(c, cc ^ 1, no, keeps_no);
        if (!keeps_yes)
            x64_edge(c, yes);
        go(c, yes);
    } else {
        branch(c, cc, yes, keeps_yes);
        if (!keeps_no)
            x64_edge(c, no);
        go(c, no);
    }
}

// ---- exits -------------------------------------------------------------------------------------------------------

// Cold code for r13 = page of the successor: returns where it begins.
static uint32_t far_stub(struct x64_compile *c, const struct backend_exit *exit, enum x64_thunk thunk)
{
    uint32_t at = x64_cold_begin(c);
    x64_alu_ri(c->e, X64_ADD, true, X64_R13, (int32_t)(exit->pc_offset & (IR_PAGE_SIZE - 1)));
    x64_mov_ri(c->e, X64_R14, (uint64_t)(uintptr_t)exit);
    x64_jmp(c->e, X64_REF_CODE, x64_thunk_at(c, thunk));
    c->e = &c->hot;
    return at;
}

// r13 := pc_page + offset
static void add_to_page(struct x64_compile *c, int64_t offset)
{
    x64_load(c->e, 3, false, true, X64_R13, x64_env(offsetof(struct ir_env, pc_page)));
    if (offset == (int32_t)offset) {
        x64_alu_ri(c->e, X64_ADD, true, X64_R13, (int32_t)offset);
    } else {
        x64_mov_ri(c->e, X64_RCX, (uint64_t)offset);
        x64_alu_rr(c->e, X64_ADD, true, X64_R13, X64_RCX);
    }
}

enum { PATCH_ALIGN = 4, GUARD_IMM = 3 /* in cmp dword [rcx + 8], imm32 */, JUMP_IMM = 1 };

static void align_patch(struct x64_compile *c, uint32_t imm)
{
    x64_nops(c->e, -(c->e->origin + x64_pos(c->e) + imm) & (PATCH_ALIGN - 1));
}

// To another page: where that leads is a matter of the context. The page's entry there must be of the table that the exit
// is bound to, which stands for the page's memory and the key.
static void exit_far(struct x64_compile *c, int64_t offset)
{
    const int64_t in_page = offset & (IR_PAGE_SIZE - 1);
    if (c->exit_count == BACKEND_MAX_EXITS) {
        add_to_page(c, offset);
        x64_emit_jump(c->backend, c->e);
        return;
    }
    struct backend_exit *exit = &c->exits[c->exit_count++];
    *exit = (struct backend_exit){ .pc_offset = offset, .bound = BACKEND_UNBOUND };
    uint32_t elsewhere = far_stub(c, exit, X64_T_EXIT_FAR);
    exit->stub = far_stub(c, exit, X64_T_EXIT_UNLINKED);
    add_to_page(c, offset - in_page);
    x64_mov_rr(c->e, false, X64_RCX, X64_R13);
    x64_shift_ri(c->e, X64_SHR, false, X64_RCX, IR_PAGE_BITS - 5);
    x64_alu_ri(c->e, X64_AND, false, X64_RCX, (IR_EXEC_PAGES - 1) << 5);
    x64_alu_rm(c->e, X64_ADD, true, X64_RCX, x64_env(offsetof(struct ir_env, exec_pages)));
    x64_alu_rm(c->e, X64_CMP, true, X64_R13, x64_at(X64_RCX, offsetof(struct ir_exec_page, va)));
    x64_jcc(c->e, X64_NE, X64_REF_COLD, elsewhere);
    align_patch(c, GUARD_IMM);
    exit->guard = c->e->origin + x64_pos(c->e) + GUARD_IMM;
    x64_alu_mi(c->e, X64_CMP, false, x64_at(X64_RCX, offsetof(struct ir_exec_page, entries)), BACKEND_UNBOUND);
    x64_jcc(c->e, X64_NE, X64_REF_COLD, elsewhere);
    x64_store(c->e, 3, x64_env(offsetof(struct ir_env, pc_page)), X64_R13);
    align_patch(c, JUMP_IMM);
    exit->patch = c->e->origin + x64_pos(c->e);
    x64_jmp(c->e, X64_REF_COLD, exit->stub);
}

static void lower_exit_pc(struct x64_compile *c, const struct ir_insn *insn)
{
    int64_t offset = (int64_t)insn->imm;
    x64_flush(c);
    if (offset < 0 || offset >= IR_PAGE_SIZE) {
        exit_far(c, offset);
        return;
    }
    if (c->exit_count == BACKEND_MAX_EXITS) {
        c->too_large = true;
        return;
    }
    struct backend_exit *exit = &c->exits[c->exit_count++];
    align_patch(c, JUMP_IMM);
    *exit = (struct backend_exit){ .pc_offset = offset, .patch = c->e->origin + x64_pos(c->e),
                                   .stub = x64_pos(&c->cold) };
    x64_jmp(c->e, X64_REF_COLD, x64_pos(&c->cold));
    x64_cold_begin(c);
    x64_mov_ri(c->e, X64_RAX, (uint64_t)(uintptr_t)exit);
    x64_mov_ri(c->e, X64_RCX, (uint64_t)offset);
    x64_jmp(c->e, X64_REF_CODE, x64_thunk_at(c, X64_T_EXIT_STUB));
    c->e = &c->hot;
}

static void lower_exit_ind(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned target = x64_use(c, insn->arg[0]);
    x64_flush(c);
    x64_mov_rr(c->e, true, X64_R13, target);
    emit_poll(c, x64_pos(&c->cold));
    x64_cold_begin(c);
    x64_store(c->e, 3, x64_env(offsetof(struct ir_env, pc)), X64_R13);
    x64_mov_ri(c->e, X64_RAX, IR_EXIT_POLL);
    x64_jmp(c->e, X64_REF_CODE, x64_thunk_at(c, X64_T_EXIT));
    c->e = &c->hot;
    x64_emit_jump(c->backend, c->e);
}

static void lower_exit_stop(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned target = x64_use(c, insn->arg[0]);
    x64_flush(c);
    x64_store(c->e, 3, x64_env(offsetof(struct ir_env, pc)), target);
    x64_mov_ri(c->e, X64_RAX, insn->sub);
    x64_jmp(c->e, X64_REF_CODE, x64_thunk_at(c, X64_T_EXIT));
}

// ---- helper calls ------------------------------------------------------------------------------------------------

enum { CALLER_SAVED = 1 << X64_RSI | 1 << X64_RDI | 0xf << X64_R8 };
static const uint32_t vector_registers = 0xffffu << X64_XMM0;

static void lower_call(struct x64_compile *c, const struct ir_insn *insn)
{
    const struct ir_helper *helper = &c->unit->guest->helpers[insn->imm];
    uint32_t state = helper->flags & (IR_HELPER_READS | IR_HELPER_WRITES);
    for (unsigned i = 0; i < 4 && helper->args[i] != IR_VOID; i++)
        x64_store_value(c, insn->arg[i], x64_frame_at(X64_FRAME_ARGS + 16 * (int32_t)i));
    c->pinned = 0;
    if (helper->flags & (IR_HELPER_READS | IR_HELPER_WRITES | IR_HELPER_EXITS))
        x64_flush(c);
    if (helper->flags & IR_HELPER_WRITES)
        x64_forget_fields(c);
    x64_evict_all(c, CALLER_SAVED | vector_registers);
    if (state | (helper->flags & IR_HELPER_EXITS)) {
        x64_load(c->e, 3, false, true, X64_RAX, x64_env(offsetof(struct ir_env, pc_page)));
        x64_alu_ri(c->e, X64_ADD, true, X64_RAX, (int32_t)c->insn_offset);
        x64_store(c->e, 3, x64_env(offsetof(struct ir_env, pc)), X64_RAX);
    }
    if (state)
        x64_call(c->e, X64_REF_CODE, x64_thunk_at(c, X64_T_FP_SYNC));
    x64_mov_rr(c->e, true, X64_RDI, X64_ENV);
    x64_lea(c->e, true, X64_RSI, x64_frame_at(X64_FRAME_ARGS));
    x64_lea(c->e, true, X64_RDX, x64_frame_at(X64_FRAME_RET));
    x64_alu_ri(c->e, X64_SUB, true, X64_RSP, 8);
    x64_call_c(c->e, (const void *)helper->fn);
    x64_alu_ri(c->e, X64_ADD, true, X64_RSP, 8);
    if (helper->flags & IR_HELPER_EXITS) {
        x64_test_rr(c->e, false, X64_RAX, X64_RAX);
        x64_jcc(c->e, X64_NE, X64_REF_CODE, x64_thunk_at(c, X64_T_EXIT));
    }
    if (insn->type == IR_VOID)
        return;
    if (x64_in_xmm(insn->type))
        x64_def_xmm(c, c->pos);
    else
        x64_def(c, c->pos);
    x64_load_value(c, c->pos, x64_frame_at(X64_FRAME_RET));
}

bool x64_lower_control(struct x64_compile *c, const struct ir_insn *insn)
{
    switch (insn->op) {
    case IR_OP_br: lower_br(c, insn); return true;
    case IR_OP_brif: lower_brif(c, insn); return true;
    default: break;
    }
    if (insn->op < IR_OP_poll || insn->op > IR_OP_call)
        return false;
    x64_clobber_flags(c);
    switch (insn->op) {
    case IR_OP_poll: lower_poll(c, insn); return true;
    case IR_OP_exit_pc: lower_exit_pc(c, insn); return true;
    case IR_OP_exit_ind: lower_exit_ind(c, insn); return true;
    case IR_OP_exit_stop: lower_exit_stop(c, insn); return true;
    case IR_OP_call: lower_call(c, insn); return true;
    default: return false;
    }
}
