// SPDX-License-Identifier: MIT
// The stubs that regions of the optimising tier leave through and call (struct backend_stubs, optimiser.h), beside the
// thunks. "Tail" stubs find r12 = env and rsp as units do; "call" stubs find env in rdi, rsp 8 below a multiple of 16,
// and keep every register but a result in rax: all of each vector register too, as C may clear upper halves.
#include "backends/x64/compile.h"

// The frame of a call stub.
enum { SAVED_VECTORS = 0, SAVED_GENERAL = 16 * 32, SCRATCH = SAVED_GENERAL + 64, STUB_FRAME = SCRATCH + 16 + 8 };
_Static_assert(STUB_FRAME % 16 == 8 && SCRATCH % 16 == 0, "C finds an aligned stack");
static const uint8_t saved[] = { X64_RDI, X64_RCX, X64_RDX, X64_RSI, X64_R8, X64_R9, X64_R10 };

enum { MXCSR_ALL = 0x3f, MXCSR_INEXACT = 0x20, MXCSR_OTHER = 0x1d /* without DE, which is nobody's */ };

static struct x64_mem field(unsigned env, size_t offset)
{
    return x64_at((int)env, (int32_t)offset);
}
#define FIELD(env, name) field(env, offsetof(struct ir_env, name))

static const void *here(const struct backend *b, const struct x64_emit *e)
{
    return b->rx + e->origin + x64_pos(e);
}

// vmovups between [rsp + at] and a whole ymm register (VEX.256.0F 10, 11).
static void move_ymm(struct x64_emit *e, unsigned reg, uint32_t at, bool store)
{
    x64_room(e);
    x64_u8(e, 0xc5);
    x64_u8(e, reg < 8 ? 0xfc : 0x7c);
    x64_u8(e, store ? 0x11 : 0x10);
    x64_u8(e, 0x84 | (reg & 7) << 3);
    x64_u8(e, 0x24);
    x64_u32(e, at);
}

static void save_all(struct x64_emit *e, bool restore)
{
    for (unsigned i = 0; i < sizeof(saved); i++) {
        struct x64_mem m = x64_frame_at(SAVED_GENERAL + 8 * (int32_t)i);
        if (restore)
            x64_load(e, 3, false, true, saved[i], m);
        else
            x64_store(e, 3, m, saved[i]);
    }
    for (unsigned i = 0; i < 16; i++) {
        if (e->avx)
            move_ymm(e, i, SAVED_VECTORS + 32 * i, !restore);
        else
            x64_v2m(e, restore ? X64_MOVUPS_LD : X64_MOVUPS_ST, i, x64_frame_at(SAVED_VECTORS + 32 * (int32_t)i));
    }
}

static void begin_call(struct x64_emit *e)
{
    x64_alu_ri(e, X64_SUB, true, X64_RSP, STUB_FRAME);
    save_all(e, false);
    if (e->avx) { // vzeroupper: C was compiled for SSE
        x64_room(e);
        x64_u8(e, 0xc5), x64_u8(e, 0xf8), x64_u8(e, 0x77);
    }
}

static void end_call(struct x64_emit *e)
{
    save_all(e, true);
    x64_alu_ri(e, X64_ADD, true, X64_RSP, STUB_FRAME);
    x64_room(e);
    x64_u8(e, 0xc3);
}

// The old value, which C put into SCRATCH as it reads slow_value still, to slow_value. Keeps eax.
static void take_old(struct x64_emit *e)
{
    x64_load(e, 3, false, true, X64_RDI, x64_frame_at(SAVED_GENERAL));
    for (int32_t i = 0; i < 16; i += 8) {
        x64_load(e, 3, false, true, X64_RCX, x64_frame_at(SCRATCH + i));
        x64_store(e, 3, field(X64_RDI, offsetof(struct ir_env, slow_value) + (size_t)i), X64_RCX);
    }
}

// env.pc, from the sign-extended ecx.
static void set_pc(struct x64_emit *e)
{
    x64_rr(e, 0x63 | X64_W, X64_RCX, X64_RCX);
    x64_alu_rm(e, X64_ADD, true, X64_RCX, FIELD(X64_RDI, pc_page));
    x64_store(e, 3, FIELD(X64_RDI, pc), X64_RCX);
}

static void emit_memory(struct backend *b, struct x64_emit *e)
{
    const struct ir_runtime *rt = b->config.runtime;
    b->stubs.load = here(b, e);
    begin_call(e);
    set_pc(e);
    x64_lea(e, true, X64_RCX, FIELD(X64_RDI, slow_value));
    x64_call_c(e, (const void *)rt->load);
    end_call(e);
    b->stubs.store = here(b, e);
    begin_call(e);
    set_pc(e);
    x64_lea(e, true, X64_RCX, FIELD(X64_RDI, slow_value));
    x64_call_c(e, (const void *)rt->store);
    end_call(e);
    b->stubs.cas = here(b, e);
    begin_call(e);
    set_pc(e);
    x64_lea(e, true, X64_RCX, FIELD(X64_RDI, slow_value));
    x64_lea(e, true, X64_R8, FIELD(X64_RDI, slow_operand));
    x64_lea(e, true, X64_R9, x64_frame_at(SCRATCH));
    x64_call_c(e, (const void *)rt->cas);
    take_old(e);
    end_call(e);
    b->stubs.rmw = here(b, e);
    begin_call(e);
    set_pc(e);
    x64_mov_rr(e, false, X64_RCX, X64_R8);
    x64_lea(e, true, X64_R8, FIELD(X64_RDI, slow_value));
    x64_lea(e, true, X64_R9, x64_frame_at(SCRATCH));
    x64_call_c(e, (const void *)rt->rmw);
    take_old(e);
    end_call(e);
    b->stubs.eval = here(b, e);
    begin_call(e);
    x64_store(e, 3, x64_frame_at(SCRATCH), X64_RAX);
    x64_lea(e, true, X64_RCX, FIELD(X64_RDI, slow_value));
    x64_call_c(e, (const void *)x64_eval_helper);
    x64_load(e, 3, false, true, X64_RAX, x64_frame_at(SCRATCH));
    end_call(e);
}

static struct x64_mem word(unsigned env)
{
    return FIELD(env, host_scratch);
}

// eax := MXCSR.
static void read_mxcsr(struct x64_emit *e, unsigned env)
{
    x64_stmxcsr(e, word(env));
    x64_load(e, 2, false, false, X64_RAX, word(env));
}

// MXCSR without its exceptions; it is in the word still.
static void clear_mxcsr(struct x64_emit *e, unsigned env)
{
    x64_alu_mi(e, X64_AND, false, word(env), ~MXCSR_ALL);
    x64_ldmxcsr(e, word(env));
}

// Forgets what a region's operations left: its true exceptions are in env.fp_flags. Inexact stays if it is true.
static void emit_forget(struct x64_emit *e)
{
    read_mxcsr(e, X64_ENV);
    x64_test_ri(e, X64_RAX, MXCSR_OTHER);
    uint32_t other = x64_jcc_short(e, X64_NE);
    x64_test_ri(e, X64_RAX, MXCSR_INEXACT);
    uint32_t none = x64_jcc_short(e, X64_E);
    x64_load(e, 2, false, false, X64_RAX, FIELD(X64_ENV, fp_flags));
    x64_test_ri(e, X64_RAX, IR_FP_IXC);
    uint32_t known = x64_jcc_short(e, X64_NE);
    x64_land(e, other);
    clear_mxcsr(e, X64_ENV);
    x64_land(e, none);
    x64_land(e, known);
}

static void emit_fp(struct backend *b, struct x64_emit *e)
{
    // r13 = body, r14 = where the fallback's address is
    b->stubs.fp_check = here(b, e);
    read_mxcsr(e, X64_ENV);
    x64_load(e, 2, false, false, X64_RCX, FIELD(X64_ENV, fp_flags));
    x64_test_ri(e, X64_RCX, IR_FP_IXC);
    uint32_t unknown = x64_jcc_short(e, X64_E);
    x64_test_ri(e, X64_RAX, MXCSR_OTHER);
    uint32_t take = x64_jcc_short(e, X64_NE);
    x64_rr(e, 0xff, 4, X64_R13);
    x64_land(e, unknown);
    x64_test_ri(e, X64_RAX, MXCSR_INEXACT);
    uint32_t sticky = x64_jcc_short(e, X64_NE);
    x64_rm(e, 0xff, 4, x64_at(X64_R14, 0));
    x64_land(e, take);
    x64_land(e, sticky);
    clear_mxcsr(e, X64_ENV);
    x64_collect_exceptions(e, X64_ENV, X64_RAX, X64_RCX);
    x64_rr(e, 0xff, 4, X64_R13);

    b->stubs.fp_sync = here(b, e);
    x64_store(e, 3, FIELD(X64_RDI, host_scratch[1]), X64_RAX);
    x64_store(e, 3, FIELD(X64_RDI, host_scratch[2]), X64_RCX);
    read_mxcsr(e, X64_RDI);
    x64_test_ri(e, X64_RAX, MXCSR_OTHER | MXCSR_INEXACT);
    uint32_t none = x64_jcc_short(e, X64_E);
    clear_mxcsr(e, X64_RDI);
    x64_collect_exceptions(e, X64_RDI, X64_RAX, X64_RCX);
    x64_land(e, none);
    x64_load(e, 3, false, true, X64_RAX, FIELD(X64_RDI, host_scratch[1]));
    x64_load(e, 3, false, true, X64_RCX, FIELD(X64_RDI, host_scratch[2]));
    x64_room(e);
    x64_u8(e, 0xc3);
}

// Looks up the page, then the instruction in its table; the PC stays in r13.
void x64_emit_jump(const struct backend *b, struct x64_emit *e)
{
    uint32_t miss = b->thunks[X64_T_EXIT_MISS];
    x64_mov_rr(e, false, X64_RCX, X64_R13);
    x64_shift_ri(e, X64_SHR, false, X64_RCX, IR_PAGE_BITS - 5);
    x64_alu_ri(e, X64_AND, false, X64_RCX, (IR_EXEC_PAGES - 1) << 5);
    x64_alu_rm(e, X64_ADD, true, X64_RCX, FIELD(X64_ENV, exec_pages));
    x64_load(e, 3, false, true, X64_RDX, x64_at(X64_RCX, offsetof(struct ir_exec_page, va)));
    x64_load(e, 2, false, false, X64_RSI, FIELD(X64_ENV, key));
    x64_mov_rr(e, true, X64_RAX, X64_R13);
    x64_alu_rr(e, X64_XOR, true, X64_RAX, X64_RDX);
    x64_rr(e, 0xf7 | X64_W, 0, X64_RAX); // test rax, imm32
    x64_u32(e, ~(uint32_t)(IR_PAGE_SIZE - IR_CODE_ALIGN));
    x64_jcc(e, X64_NE, X64_REF_CODE, miss);
    x64_alu_rm(e, X64_CMP, false, X64_RSI, x64_at(X64_RCX, offsetof(struct ir_exec_page, key)));
    x64_jcc(e, X64_NE, X64_REF_CODE, miss);
    x64_load(e, 3, false, true, X64_RCX, x64_at(X64_RCX, offsetof(struct ir_exec_page, entries)));
    x64_load(e, 2, false, false, X64_RCX, x64_at_index(X64_RCX, X64_RAX, 0, 0));
    x64_alu_rm(e, X64_ADD, true, X64_RCX, FIELD(X64_ENV, code_base));
    x64_store(e, 3, FIELD(X64_ENV, pc_page), X64_RDX);
    x64_rr(e, 0xff, 4, X64_RCX);
}
_Static_assert(IR_CODE_ALIGN == 4, "an offset in a page is one in its table of 32-bit words");

static void emit_leave(struct backend *b, struct x64_emit *e)
{
    x64_store(e, 2, FIELD(X64_ENV, region_left), X64_R13);
    x64_mov_rr(e, false, X64_RAX, X64_R13);
    x64_jmp(e, X64_REF_CODE, b->thunks[X64_T_EXIT]);
}

void x64_emit_stubs(struct backend *b, struct x64_emit *e)
{
    b->stubs.miss = b->rx + b->thunks[X64_T_EXIT_MISS];
    b->stubs.exit_unlinked = here(b, e);
    x64_store(e, 3, FIELD(X64_ENV, link_exit), X64_R13);
    x64_load(e, 3, false, true, X64_R13, x64_at(X64_R13, offsetof(struct backend_exit, pc_offset)));
    x64_alu_rm(e, X64_ADD, true, X64_R13, FIELD(X64_ENV, pc_page));
    x64_jmp(e, X64_REF_CODE, b->thunks[X64_T_EXIT_MISS]);
    b->stubs.exit_fp = here(b, e);
    emit_forget(e);
    x64_rm(e, 0xff, 4, x64_at(X64_R13, offsetof(struct backend_exit, target)));
    b->stubs.jump_fp = here(b, e);
    emit_forget(e);
    b->stubs.jump = here(b, e);
    x64_emit_jump(b, e);
    b->stubs.leave_fp = here(b, e);
    emit_forget(e);
    b->stubs.leave = here(b, e);
    emit_leave(b, e);
    emit_memory(b, e);
    emit_fp(b, e);
}
