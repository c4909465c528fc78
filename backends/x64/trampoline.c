// SPDX-License-Identifier: MIT
// Code shared by all units, emitted once at the start of the code buffer: entry and exit (System V AMD64 ABI on the C
// side), exits of units, and thunks that let cold code call C without disturbing a register.
//
// Contract of the memory thunks: va in [rsp + ARGS], further operands in the following argument slots, edx = attr,
// ecx = enum ir_rmw, eax = the guest instruction's offset in its page. They set env.pc, keep every register but rax,
// rcx, rdx and xmm13..15 (the _V forms; the plain ones keep no vector register), and leave the unit if C says so. The
// result is in [rsp + RET].
#include "backends/x64/compile.h"

#include <string.h>

enum { CALL_SLOT = 8, FXSAVE_XMM = 13 };
static const uint8_t caller_saved[] = { X64_RSI, X64_RDI, X64_R8, X64_R9, X64_R10, X64_R11 };
static const uint8_t callee_saved[] = { X64_RBP, X64_RBX, X64_R12, X64_R13, X64_R14, X64_R15 };

static struct x64_mem in_thunk(int32_t frame_offset)
{
    return x64_frame_at(CALL_SLOT + frame_offset);
}

static void push_pop(struct x64_emit *e, uint32_t op, unsigned reg)
{
    x64_room(e);
    if (reg >= 8)
        x64_u8(e, 0x41);
    x64_u8(e, op | (reg & 7));
}

void x64_ldmxcsr(struct x64_emit *e, struct x64_mem m)
{
    x64_rm(e, X64_0F | 0xae, 2, m);
}

void x64_stmxcsr(struct x64_emit *e, struct x64_mem m)
{
    x64_rm(e, X64_0F | 0xae, 3, m);
}

void x64_collect_exceptions(struct x64_emit *e, unsigned env, unsigned reg, unsigned temp)
{
    x64_mov_rr(e, false, temp, reg);
    x64_alu_ri(e, X64_AND, false, reg, IR_FP_IOC);
    x64_shift_ri(e, X64_SHR, false, temp, 1); // past DE, which ARM has no use for
    x64_alu_ri(e, X64_AND, false, temp, IR_FP_DZC | IR_FP_OFC | IR_FP_UFC | IR_FP_IXC);
    x64_alu_rr(e, X64_OR, false, reg, temp);
    x64_alu_mr(e, X64_OR, false, x64_at((int)env, offsetof(struct ir_env, fp_flags)), reg);
}

static void emit_enter(struct backend *b, struct x64_emit *e)
{
    b->thunks[X64_T_ENTER] = e->origin + x64_pos(e);
    for (unsigned i = 0; i < sizeof(callee_saved); i++)
        push_pop(e, 0x50, callee_saved[i]);
    x64_alu_ri(e, X64_SUB, true, X64_RSP, X64_FRAME_SIZE);
    x64_mov_rr(e, true, X64_ENV, X64_RDI);
    x64_stmxcsr(e, x64_frame_at(X64_FRAME_MXCSR));
    x64_load(e, 2, false, false, X64_RAX, x64_env(offsetof(struct ir_env, fp_mode)));
    x64_alu_ri(e, X64_AND, false, X64_RAX, 3);
    x64_lea(e, true, X64_RCX, x64_at_code(b->constants + 16 * X64_C_ROUND));
    x64_ldmxcsr(e, x64_at_index(X64_RCX, X64_RAX, 2, 0));
    x64_mov_mi(e, 3, x64_env(offsetof(struct ir_env, link_exit)), 0);
    x64_rr(e, 0xff, 4, X64_RSI);

    b->thunks[X64_T_EXIT] = e->origin + x64_pos(e);
    x64_stmxcsr(e, x64_frame_at(X64_FRAME_MXCSR + 4));
    x64_load(e, 2, false, false, X64_RCX, x64_frame_at(X64_FRAME_MXCSR + 4));
    x64_ldmxcsr(e, x64_frame_at(X64_FRAME_MXCSR));
    x64_collect_exceptions(e, X64_ENV, X64_RCX, X64_RDX);
    x64_alu_ri(e, X64_ADD, true, X64_RSP, X64_FRAME_SIZE);
    for (unsigned i = sizeof(callee_saved); i-- > 0;)
        push_pop(e, 0x58, callee_saved[i]);
    x64_room(e);
    x64_u8(e, 0xc3);
}

// env.pc = env.pc_page + sign-extended eax.
static void set_pc(struct x64_emit *e)
{
    x64_rr(e, 0x63 | X64_W, X64_RAX, X64_RAX);
    x64_alu_rm(e, X64_ADD, true, X64_RAX, x64_env(offsetof(struct ir_env, pc_page)));
    x64_store(e, 3, x64_env(offsetof(struct ir_env, pc)), X64_RAX);
}

static void emit_exits(struct backend *b, struct x64_emit *e)
{
    // rax = exit record, ecx = offset of the successor
    b->thunks[X64_T_EXIT_STUB] = e->origin + x64_pos(e);
    x64_store(e, 3, x64_env(offsetof(struct ir_env, link_exit)), X64_RAX);
    x64_mov_rr(e, false, X64_RAX, X64_RCX);
    set_pc(e);
    x64_mov_ri(e, X64_RAX, IR_EXIT_JUMP);
    x64_jmp(e, X64_REF_CODE, b->thunks[X64_T_EXIT]);
    // r13 = PC, r14 = exit record
    b->thunks[X64_T_EXIT_UNLINKED] = e->origin + x64_pos(e);
    x64_store(e, 3, x64_env(offsetof(struct ir_env, link_exit)), X64_R14);
    // r13 = PC
    b->thunks[X64_T_EXIT_MISS] = e->origin + x64_pos(e);
    x64_store(e, 3, x64_env(offsetof(struct ir_env, pc)), X64_R13);
    x64_mov_ri(e, X64_RAX, IR_EXIT_JUMP);
    x64_jmp(e, X64_REF_CODE, b->thunks[X64_T_EXIT]);
    // r13 = PC, r14 = exit record to another page whose guard has failed
    b->thunks[X64_T_EXIT_FAR] = e->origin + x64_pos(e);
    x64_alu_mi(e, X64_CMP, false, x64_at(X64_R14, offsetof(struct backend_exit, bound)), BACKEND_UNBOUND);
    x64_jcc(e, X64_E, X64_REF_CODE, b->thunks[X64_T_EXIT_UNLINKED]);
    x64_emit_jump(b, e);
    // eax = offset
    b->thunks[X64_T_EXIT_POLL_AT] = e->origin + x64_pos(e);
    set_pc(e);
    x64_mov_ri(e, X64_RAX, IR_EXIT_POLL);
    x64_jmp(e, X64_REF_CODE, b->thunks[X64_T_EXIT]);
    // eax = offset
    b->thunks[X64_T_EXIT_HOT_AT] = e->origin + x64_pos(e);
    set_pc(e);
    x64_mov_ri(e, X64_RAX, IR_EXIT_HOT);
    x64_jmp(e, X64_REF_CODE, b->thunks[X64_T_EXIT]);

    b->thunks[X64_T_FP_SYNC] = e->origin + x64_pos(e);
    x64_stmxcsr(e, in_thunk(X64_FRAME_MXCSR + 4));
    x64_load(e, 2, false, false, X64_RCX, in_thunk(X64_FRAME_MXCSR + 4));
    x64_test_ri(e, X64_RCX, 0x3d);
    uint32_t none = x64_jcc_short(e, X64_E);
    x64_alu_mi(e, X64_AND, false, in_thunk(X64_FRAME_MXCSR + 4), ~0x3f);
    x64_ldmxcsr(e, in_thunk(X64_FRAME_MXCSR + 4));
    x64_collect_exceptions(e, X64_ENV, X64_RCX, X64_RDX);
    x64_land(e, none);
    x64_room(e);
    x64_u8(e, 0xc3);
}

static void save_registers(struct x64_emit *e, bool vectors, bool restore)
{
    for (unsigned i = 0; i < sizeof(caller_saved); i++) {
        struct x64_mem m = in_thunk(X64_FRAME_SAVE + 8 * (int32_t)i);
        if (restore)
            x64_load(e, 3, false, true, caller_saved[i], m);
        else
            x64_store(e, 3, m, caller_saved[i]);
    }
    for (unsigned i = 0; vectors && i < FXSAVE_XMM; i++)
        x64_v2m(e, restore ? X64_MOVUPS_LD : X64_MOVUPS_ST, i, in_thunk(X64_FRAME_SAVE + 80 + 16 * (int32_t)i));
}

void x64_call_c(struct x64_emit *e, const void *fn)
{
    x64_mov_ri(e, X64_RAX, (uint64_t)(uintptr_t)fn);
    x64_rr(e, 0xff, 2, X64_RAX);
}

static void emit_memory_thunk(struct backend *b, struct x64_emit *e, enum x64_thunk plain, const void *fn, bool vectors)
{
    b->thunks[vectors ? plain + (X64_T_LOAD_V - X64_T_LOAD) : plain] = e->origin + x64_pos(e);
    set_pc(e);
    save_registers(e, vectors, false);
    x64_mov_rr(e, true, X64_RDI, X64_ENV);
    x64_load(e, 3, false, true, X64_RSI, in_thunk(X64_FRAME_ARGS));
    if (plain == X64_T_LOAD) {
        x64_lea(e, true, X64_RCX, in_thunk(X64_FRAME_RET));
    } else if (plain == X64_T_STORE) {
        x64_lea(e, true, X64_RCX, in_thunk(X64_FRAME_ARGS + 16));
    } else {
        if (plain == X64_T_CAS) {
            x64_lea(e, true, X64_RCX, in_thunk(X64_FRAME_ARGS + 16));
            x64_lea(e, true, X64_R8, in_thunk(X64_FRAME_ARGS + 32));
        } else {
            x64_lea(e, true, X64_R8, in_thunk(X64_FRAME_ARGS + 16));
        }
        x64_lea(e, true, X64_R9, in_thunk(X64_FRAME_RET));
    }
    x64_call_c(e, fn);
    save_registers(e, vectors, true);
    x64_test_rr(e, false, X64_RAX, X64_RAX);
    uint32_t leave = x64_jcc_short(e, X64_NE);
    x64_room(e);
    x64_u8(e, 0xc3);
    x64_land(e, leave);
    x64_alu_ri(e, X64_ADD, true, X64_RSP, CALL_SLOT);
    x64_jmp(e, X64_REF_CODE, b->thunks[X64_T_EXIT]);
}

// rax = struct backend_eval_site.
static void emit_eval(struct backend *b, struct x64_emit *e)
{
    b->thunks[X64_T_EVAL] = e->origin + x64_pos(e);
    save_registers(e, true, false);
    x64_mov_rr(e, true, X64_RDI, X64_ENV);
    x64_mov_rr(e, true, X64_RSI, X64_RAX);
    x64_lea(e, true, X64_RDX, in_thunk(X64_FRAME_ARGS));
    x64_lea(e, true, X64_RCX, in_thunk(X64_FRAME_RET));
    x64_call_c(e, (const void *)x64_eval_helper);
    save_registers(e, true, true);
    x64_room(e);
    x64_u8(e, 0xc3);
}

int x64_emit_thunks(struct backend *b, struct code_buffer *code)
{
    size_t start = (code->used + 63) & ~(size_t)63;
    size_t need = sizeof(union v128) * X64_C_COUNT + 16384;
    if (start + need > code->size)
        return -1;
    b->constants = (uint32_t)start;
    x64_write_constants((union v128 *)(code->rw + start));
    start += sizeof(union v128) * X64_C_COUNT;
    struct x64_emit e = { .start = code->rw + start, .p = code->rw + start, .end = code->rw + code->size,
                          .origin = (uint32_t)start, .avx = (b->has & X64_HAS_AVX) != 0 };
    emit_enter(b, &e);
    emit_exits(b, &e);
    const struct ir_runtime *rt = b->config.runtime;
    for (unsigned vectors = 0; vectors < 2; vectors++) {
        emit_memory_thunk(b, &e, X64_T_LOAD, (const void *)rt->load, vectors);
        emit_memory_thunk(b, &e, X64_T_STORE, (const void *)rt->store, vectors);
        emit_memory_thunk(b, &e, X64_T_CAS, (const void *)rt->cas, vectors);
        emit_memory_thunk(b, &e, X64_T_RMW, (const void *)rt->rmw, vectors);
    }
    emit_eval(b, &e);
    x64_emit_stubs(b, &e);
    if (e.full)
        return -1;
    code->used = start + x64_pos(&e);
    code->cold = code->size;
    return 0;
}
