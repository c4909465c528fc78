// SPDX-License-Identifier: MIT
// Compare-and-swap and read-modify-write: guest atomics become the host's locked instructions on RAM, everything else
// goes to the runtime. Big-endian ones always do.
#include "backends/x64/compile.h"

static void host_address(struct x64_compile *c, unsigned to, unsigned addr)
{
    x64_tlb_addend(c);
    x64_lea(c->e, true, to, x64_at_index(X64_RAX, (int)addr, 0, 0));
}

// The old value in rax to dst, extended as attr and the type say.
static void take_old(struct x64_compile *c, const struct ir_insn *insn, unsigned dst)
{
    unsigned size = insn->attr & IR_MEM_SIZE;
    bool sign = insn->attr & IR_MEM_SIGNED;
    x64_extend(c->e, size, sign, insn->type == IR_I64, dst, X64_RAX);
    if (sign && insn->type < IR_I32)
        x64_extend(c->e, x64_type_log2(insn->type), false, false, dst, dst);
}

static const uint32_t sized[4] = { X64_B_REG, X64_O16 | 1, 1, X64_W | 1 };

static void finish(struct x64_compile *c, const struct ir_insn *insn, enum x64_thunk thunk, unsigned operands)
{
    uint32_t back = x64_pos(&c->hot);
    x64_cold_begin(c);
    x64_slow_access(c, insn, thunk, insn->arg, operands, insn->sub);
    x64_load_result(c, c->pos);
    x64_cold_back(c, back);
}

static void lower_cas(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned addr = x64_use(c, insn->arg[0]), old = x64_use(c, insn->arg[1]), new = x64_use(c, insn->arg[2]);
    unsigned dst = x64_def(c, c->pos);
    uint32_t cold = x64_pos(&c->cold);
    if (insn->attr & IR_MEM_BE) {
        x64_jmp(c->e, X64_REF_COLD, cold);
    } else {
        x64_tlb_lookup(c, addr, 0, insn->attr, true);
        x64_jcc(c->e, X64_NE, X64_REF_COLD, cold);
        host_address(c, X64_RCX, addr);
        x64_mov_rr(c->e, true, X64_RAX, old);
        x64_rm(c->e, X64_LOCK | X64_0F | 0xb0 | sized[insn->attr & IR_MEM_SIZE], new, x64_at(X64_RCX, 0));
        take_old(c, insn, dst);
    }
    finish(c, insn, X64_T_CAS, 3);
}

static void vector_to_pair(struct x64_compile *c, unsigned x, unsigned lo, unsigned hi)
{
    x64_v2(c->e, X64_MOVD_RX | X64_W, x, lo);
    x64_v2(c->e, X64_0F3A | X64_66 | 0x16 | X64_W | X64_IMM1, x, hi); // pextrq
    x64_u8(c->e, 1);
}

static void lower_cas16(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned addr = x64_use(c, insn->arg[0]), old = x64_use_xmm(c, insn->arg[1]), new = x64_use_xmm(c, insn->arg[2]);
    unsigned dst = x64_def_xmm(c, c->pos);
    unsigned at = x64_temp(c, 1u << X64_RBX);
    uint32_t cold = x64_pos(&c->cold);
    if (insn->attr & IR_MEM_BE) {
        x64_jmp(c->e, X64_REF_COLD, cold);
    } else {
        // CMPXCHG16B wants alignment whatever the guest does: the rest is the runtime's.
        x64_tlb_lookup(c, addr, 0, (insn->attr & ~(uint32_t)IR_MEM_ALIGN) | 4u << IR_MEM_ALIGN_SHIFT, true);
        x64_jcc(c->e, X64_NE, X64_REF_COLD, cold);
        host_address(c, at, addr);
        x64_store(c->e, 3, x64_frame_at(X64_FRAME_SAVE), X64_RBX);
        vector_to_pair(c, old, X64_RAX, X64_RDX);
        vector_to_pair(c, new, X64_RBX, X64_RCX);
        x64_rm(c->e, X64_LOCK | X64_0F | 0xc7 | X64_W, 1, x64_at((int)at, 0));
        x64_load(c->e, 3, false, true, X64_RBX, x64_frame_at(X64_FRAME_SAVE));
        x64_v2(c->e, X64_MOVD_XR | X64_W, dst, X64_RAX);
        x64_v2(c->e, X64_MOVD_XR | X64_W, X64_XMM_T1, X64_RDX);
        x64_v3(c->e, X64_0F | X64_66 | 0x6c, dst, dst, X64_XMM_T1); // punpcklqdq
    }
    finish(c, insn, X64_T_CAS, 3);
}

// rdx := rax kind value, in a loop around cmpxchg on [rcx].
static void rmw_loop(struct x64_compile *c, const struct ir_insn *insn, unsigned value)
{
    static const uint8_t alu[] = { [IR_RMW_AND] = X64_AND, [IR_RMW_OR] = X64_OR, [IR_RMW_XOR] = X64_XOR };
    static const uint8_t keep[] = { [IR_RMW_SMAX] = X64_L, [IR_RMW_SMIN] = X64_G, [IR_RMW_UMAX] = X64_B,
                                    [IR_RMW_UMIN] = X64_A };
    unsigned size = insn->attr & IR_MEM_SIZE;
    x64_load(c->e, size, false, true, X64_RAX, x64_at(X64_RCX, 0));
    uint32_t loop = x64_pos(c->e);
    x64_mov_rr(c->e, true, X64_RDX, X64_RAX);
    if (insn->sub <= IR_RMW_XOR) {
        x64_alu_rr(c->e, (enum x64_alu)alu[insn->sub], true, X64_RDX, value);
    } else {
        uint32_t cmp = size == 0 ? (0x38 | X64_B_REG | X64_B_RM) : 0x38 | sized[size];
        x64_rr(c->e, cmp, value, X64_RAX);
        x64_cmov(c->e, (enum x64_cc)keep[insn->sub], true, X64_RDX, value);
    }
    x64_rm(c->e, X64_LOCK | X64_0F | 0xb0 | sized[size], X64_RDX, x64_at(X64_RCX, 0));
    x64_jcc_back(c->e, X64_NE, loop);
}

static void lower_rmw(struct x64_compile *c, const struct ir_insn *insn)
{
    unsigned size = insn->attr & IR_MEM_SIZE;
    unsigned addr = x64_use(c, insn->arg[0]), value = x64_use(c, insn->arg[1]), dst = x64_def(c, c->pos);
    uint32_t cold = x64_pos(&c->cold);
    if (insn->attr & IR_MEM_BE) {
        x64_jmp(c->e, X64_REF_COLD, cold);
    } else {
        x64_tlb_lookup(c, addr, 0, insn->attr, true);
        x64_jcc(c->e, X64_NE, X64_REF_COLD, cold);
        host_address(c, X64_RCX, addr);
        if (insn->sub == IR_RMW_XCHG || insn->sub == IR_RMW_ADD) {
            x64_mov_rr(c->e, true, X64_RAX, value);
            uint32_t op = insn->sub == IR_RMW_ADD ? X64_LOCK | X64_0F | 0xc0 : 0x86;
            x64_rm(c->e, op | sized[size], X64_RAX, x64_at(X64_RCX, 0));
        } else {
            rmw_loop(c, insn, value);
        }
        take_old(c, insn, dst);
    }
    finish(c, insn, X64_T_RMW, 2);
}

// 16-byte exchanges and the like are rare: the runtime has them.
static void lower_rmw_slow(struct x64_compile *c, const struct ir_insn *insn)
{
    x64_use(c, insn->arg[0]);
    x64_use_xmm(c, insn->arg[1]);
    x64_def_xmm(c, c->pos);
    x64_jmp(c->e, X64_REF_COLD, x64_pos(&c->cold));
    finish(c, insn, X64_T_RMW, 2);
}

bool x64_lower_atomic(struct x64_compile *c, const struct ir_insn *insn)
{
    if (insn->op != IR_OP_cas && insn->op != IR_OP_rmw)
        return false;
    x64_clobber_flags(c);
    bool vector = x64_in_xmm(insn->type);
    if (insn->op == IR_OP_cas && vector)
        lower_cas16(c, insn);
    else if (insn->op == IR_OP_cas)
        lower_cas(c, insn);
    else if (vector)
        lower_rmw_slow(c, insn);
    else
        lower_rmw(c, insn);
    return true;
}
