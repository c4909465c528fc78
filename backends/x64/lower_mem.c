// SPDX-License-Identifier: MIT
// Loads, stores, span tokens and fences.
//
// The hot path compares the address's page (and, by its low bits, alignment and page crossing) with the inline table's
// tag, adds the addend and accesses. What fails goes to cold code, which alone stores the dirty state.
#include "backends/x64/compile.h"

struct x64_mem x64_table(unsigned mmu, bool mask)
{
    size_t at = offsetof(struct ir_env, mmu) + mmu * sizeof(struct ir_tlb_table);
    return x64_env(at + (mask ? offsetof(struct ir_tlb_table, mask) : offsetof(struct ir_tlb_table, entries)));
}

enum { INDEX_SHIFT = IR_PAGE_BITS - 5 };
_Static_assert(sizeof(struct ir_tlb_entry) == 32, "the index is scaled for 32-byte entries");

// rdx + rax := entry for the address disp beyond reg's. Two registers, not their sum: the access waits for the addend.
static void tlb_entry(struct x64_compile *c, unsigned reg, int32_t disp, unsigned mmu)
{
    if (disp) {
        x64_lea(c->e, true, X64_RAX, x64_at((int)reg, disp));
        reg = X64_RAX;
    }
    if (x64_has(c, X64_HAS_BMI2)) { // a rotation: the mask takes what came round
        x64_vex_rr(c->e, X64_0F3A | X64_F2 | 0xf0 | X64_IMM1 | X64_W, X64_RAX, 0, reg);
        x64_u8(c->e, INDEX_SHIFT);
    } else {
        x64_mov_rr(c->e, true, X64_RAX, reg);
        x64_shift_ri(c->e, X64_SHR, true, X64_RAX, INDEX_SHIFT);
    }
    x64_alu_rm(c->e, X64_AND, true, X64_RAX, x64_table(mmu, true));
    x64_load(c->e, 3, false, true, X64_RDX, x64_table(mmu, false));
}

static struct x64_mem tag_of(bool write)
{
    return x64_at_index(X64_RDX, X64_RAX, 0, write ? offsetof(struct ir_tlb_entry, write) : offsetof(struct ir_tlb_entry, read));
}

static unsigned align_log2(uint32_t attr)
{
    return (attr & IR_MEM_ALIGN) >> IR_MEM_ALIGN_SHIFT;
}

void x64_tlb_lookup(struct x64_compile *c, unsigned addr, int32_t disp, uint32_t attr, bool write)
{
    unsigned size = attr & IR_MEM_SIZE, align = align_log2(attr);
    tlb_entry(c, addr, disp, ir_mem_mmu(attr));
    if (align < size)
        disp += (1 << size) - (1 << align);
    if (disp)
        x64_lea(c->e, true, X64_RCX, x64_at((int)addr, disp));
    else
        x64_mov_rr(c->e, true, X64_RCX, addr);
    x64_alu_ri(c->e, X64_AND, true, X64_RCX, -IR_PAGE_SIZE | ((1 << align) - 1));
    x64_alu_rm(c->e, X64_CMP, true, X64_RCX, tag_of(write));
}

void x64_tlb_addend(struct x64_compile *c)
{
    x64_load(c->e, 3, false, true, X64_RAX, x64_at_index(X64_RDX, X64_RAX, 0, offsetof(struct ir_tlb_entry, addend)));
}

static bool vectors_live(const struct x64_compile *c)
{
    for (unsigned r = X64_XMM0; r < X64_REGS; r++)
        if (c->regs[r] != IR_NO_VALUE)
            return true;
    return false;
}

static void store_address(struct x64_compile *c, unsigned addr, int32_t disp)
{
    if (disp) {
        x64_lea(c->e, true, X64_RAX, x64_at((int)addr, disp));
        addr = X64_RAX;
    }
    x64_store(c->e, 3, x64_frame_at(X64_FRAME_ARGS), addr);
}

void x64_slow_access(struct x64_compile *c, const struct ir_insn *insn, enum x64_thunk thunk, const uint32_t *operands,
                     unsigned count, unsigned kind)
{
    x64_store_dirty(c);
    for (unsigned i = 0; i < count; i++) {
        struct x64_mem to = x64_frame_at(X64_FRAME_ARGS + 16 * (int32_t)i);
        if (i == 0 && c->values[operands[0]].address)
            store_address(c, x64_use(c, x64_operand(c, insn, 0)), x64_displacement(c, insn));
        else
            x64_store_value(c, operands[i], to);
    }
    x64_mov_ri(c->e, X64_RDX, insn->attr);
    if (thunk == X64_T_RMW)
        x64_mov_ri(c->e, X64_RCX, kind);
    x64_mov_ri(c->e, X64_RAX, c->insn_offset);
    unsigned variant = vectors_live(c) ? thunk + (X64_T_LOAD_V - X64_T_LOAD) : thunk;
    x64_call(c->e, X64_REF_CODE, x64_thunk_at(c, (enum x64_thunk)variant));
}

void x64_load_result(struct x64_compile *c, uint32_t value)
{
    x64_load_value(c, value, x64_frame_at(X64_FRAME_RET));
}

// ---- the access itself -------------------------------------------------------------------------------------------

static void load_int(struct x64_compile *c, const struct ir_insn *insn, unsigned dst, struct x64_mem m)
{
    unsigned size = insn->attr & IR_MEM_SIZE;
    bool sign = insn->attr & IR_MEM_SIGNED, wide = insn->type == IR_I64;
    if (!(insn->attr & IR_MEM_BE) || size == 0) {
        x64_load(c->e, size, sign, wide, dst, m);
        if (sign && size == 0 && insn->type == IR_I16)
            x64_extend(c->e, 1, false, false, dst, dst);
        return;
    }
    if (size >= 2 && x64_has(c, X64_HAS_MOVBE)) {
        x64_rm(c->e, X64_0F38 | 0xf0 | x64_w(size == 3), dst, m);
    } else {
        x64_load(c->e, size, false, false, dst, m);
        x64_bswap(c, size, dst);
    }
    if (sign && size < 3)
        x64_extend(c->e, size, true, wide, dst, dst);
}

static void load_xmm(struct x64_compile *c, const struct ir_insn *insn, unsigned x, struct x64_mem m)
{
    unsigned size = insn->attr & IR_MEM_SIZE;
    static const uint32_t ops[5] = { 0, 0, X64_MOVSS_LD, X64_MOVSD_LD, X64_MOVUPS_LD };
    if (size >= 2 && !(insn->attr & IR_MEM_BE)) {
        x64_v2m(c->e, ops[size], x, m);
        return;
    }
    x64_load(c->e, size, false, false, X64_RCX, m);
    if (insn->attr & IR_MEM_BE && size)
        x64_bswap(c, size, X64_RCX);
    x64_v2(c->e, X64_MOVD_XR | X64_W, x, X64_RCX);
}

static void store_int(struct x64_compile *c, const struct ir_insn *insn, struct x64_mem m)
{
    unsigned size = insn->attr & IR_MEM_SIZE;
    bool swap = (insn->attr & IR_MEM_BE) && size, exchange = insn->attr & IR_MEM_RELEASE;
    int32_t imm;
    if (!(insn->attr & (IR_MEM_BE | IR_MEM_RELEASE)) && x64_imm32(c, insn->arg[1], &imm)) {
        x64_mov_mi(c->e, size, m, imm);
        return;
    }
    unsigned r = x64_use(c, insn->arg[1]);
    if (swap && !exchange && size >= 2 && x64_has(c, X64_HAS_MOVBE)) {
        x64_rm(c->e, X64_0F38 | 0xf1 | x64_w(size == 3), r, m);
        return;
    }
    if (swap || exchange) {
        x64_mov_rr(c->e, true, X64_RCX, r);
        r = X64_RCX;
        if (swap)
            x64_bswap(c, size, r);
    }
    static const uint32_t xchg[4] = { 0x86 | X64_B_REG, 0x87 | X64_O16, 0x87, 0x87 | X64_W };
    if (exchange)
        x64_rm(c->e, xchg[size], r, m);
    else
        x64_store(c->e, size, m, r);
}

static void store_xmm(struct x64_compile *c, const struct ir_insn *insn, struct x64_mem m)
{
    unsigned size = insn->attr & IR_MEM_SIZE, x = x64_use_xmm(c, insn->arg[1]);
    static const uint32_t ops[5] = { 0, 0, X64_MOVSS_ST, X64_MOVSD_ST, X64_MOVUPS_ST };
    if (size >= 2 && !(insn->attr & IR_MEM_BE)) {
        x64_v2m(c->e, ops[size], x, m);
    } else {
        x64_v2(c->e, X64_MOVD_RX | X64_W, x, X64_RCX);
        if (insn->attr & IR_MEM_BE && size)
            x64_bswap(c, size, X64_RCX);
        x64_store(c->e, size, m, X64_RCX);
    }
    if (insn->attr & IR_MEM_RELEASE)
        x64_rr(c->e, X64_0F | 0xae, 6, 0); // mfence
}

// Jumps to the cold code at `cold` unless the access may go to [rax + addr + disp] (no token) or [token + addr + disp].
static void guard(struct x64_compile *c, const struct ir_insn *insn, unsigned addr, int token, bool write, uint32_t cold)
{
    uint32_t attr = insn->attr;
    int32_t disp = x64_displacement(c, insn);
    if (token == X64_NONE) {
        x64_tlb_lookup(c, addr, disp, attr, write);
        x64_jcc(c->e, X64_NE, X64_REF_COLD, cold);
        x64_tlb_addend(c);
        return;
    }
    x64_test_rr(c->e, true, (unsigned)token, (unsigned)token);
    x64_jcc(c->e, X64_E, X64_REF_COLD, cold);
    if (align_log2(attr)) {
        uint32_t mask = (1u << align_log2(attr)) - 1;
        if ((uint32_t)disp & mask) {
            x64_lea(c->e, false, X64_RAX, x64_at((int)addr, disp));
            addr = X64_RAX;
        }
        x64_test_ri(c->e, addr, mask);
        x64_jcc(c->e, X64_NE, X64_REF_COLD, cold);
    }
}

// 16 bytes big-endian never go inline.
static bool always_slow(const struct x64_compile *c, const struct ir_insn *insn)
{
    return ((insn->attr & IR_MEM_BE) && (insn->attr & IR_MEM_SIZE) == 4) ||
           (c->backend->config.marked_exclusives && (insn->attr & IR_MEM_EXCLUSIVE));
}

static void lower_load(struct x64_compile *c, const struct ir_insn *insn)
{
    uint32_t base = x64_operand(c, insn, 0);
    int32_t disp = x64_displacement(c, insn);
    unsigned addr = x64_use(c, base);
    int token = insn->arg[1] == IR_NO_VALUE ? X64_NONE : (int)x64_use(c, insn->arg[1]);
    bool vector = x64_in_xmm(insn->type) || c->values[c->pos].in_xmm;
    unsigned dst = vector ? x64_def_xmm(c, c->pos) : x64_def_over(c, c->pos, base);
    uint32_t cold = x64_pos(&c->cold);
    if (always_slow(c, insn)) {
        x64_jmp(c->e, X64_REF_COLD, cold);
    } else {
        guard(c, insn, addr, token, false, cold);
        struct x64_mem m = x64_at_index(token == X64_NONE ? X64_RAX : token, (int)addr, 0, disp);
        if (vector)
            load_xmm(c, insn, dst, m);
        else
            load_int(c, insn, dst, m);
    }
    uint32_t back = x64_pos(&c->hot);
    x64_cold_begin(c);
    // The address may have lost its register to dst, which holds it still.
    store_address(c, addr, disp);
    x64_slow_access(c, insn, X64_T_LOAD, NULL, 0, 0);
    x64_load_result(c, c->pos);
    if (vector && (insn->attr & IR_MEM_SIZE) >= 2)
        x64_set_width(c, c->pos, ir_mem_bytes(insn->attr));
    x64_cold_back(c, back);
}

static void lower_store(struct x64_compile *c, const struct ir_insn *insn)
{
    uint32_t value = insn->arg[1];
    bool vector = x64_value_in_xmm(c, value);
    int32_t disp = x64_displacement(c, insn);
    unsigned addr = x64_use(c, x64_operand(c, insn, 0));
    int token = insn->arg[2] == IR_NO_VALUE ? X64_NONE : (int)x64_use(c, insn->arg[2]);
    int32_t imm;
    if (vector)
        x64_use_xmm(c, value);
    else if ((insn->attr & (IR_MEM_BE | IR_MEM_RELEASE)) || !x64_imm32(c, value, &imm))
        x64_use(c, value);
    uint32_t cold = x64_pos(&c->cold);
    if (always_slow(c, insn)) {
        x64_jmp(c->e, X64_REF_COLD, cold);
    } else {
        guard(c, insn, addr, token, true, cold);
        struct x64_mem m = x64_at_index(token == X64_NONE ? X64_RAX : token, (int)addr, 0, disp);
        if (vector)
            store_xmm(c, insn, m);
        else
            store_int(c, insn, m);
    }
    uint32_t back = x64_pos(&c->hot);
    x64_cold_begin(c);
    x64_slow_access(c, insn, X64_T_STORE, insn->arg, 2, 0);
    x64_cold_back(c, back);
}

static void lower_span(struct x64_compile *c, const struct ir_insn *insn)
{
    int32_t lo = (int32_t)(uint32_t)insn->imm, hi = (int32_t)(uint32_t)(insn->imm >> 32);
    unsigned addr = x64_use(c, insn->arg[0]), dst = x64_def(c, c->pos);
    if ((int64_t)hi - lo > IR_PAGE_SIZE) {
        x64_alu_rr(c->e, X64_XOR, false, dst, dst);
        return;
    }
    // The entry of the first byte's page never has the tag of the next page, where the last byte is if not on the same.
    tlb_entry(c, addr, lo, ir_mem_mmu(insn->attr));
    x64_lea(c->e, true, X64_RCX, x64_at((int)addr, hi - 1));
    x64_alu_ri(c->e, X64_AND, true, X64_RCX, -IR_PAGE_SIZE);
    x64_alu_rr(c->e, X64_XOR, false, dst, dst);
    x64_alu_rm(c->e, X64_CMP, true, X64_RCX, tag_of(insn->sub & 1));
    x64_rm(c->e, X64_0F | (0x40 + X64_E) | X64_W, dst, x64_at_index(X64_RDX, X64_RAX, 0, offsetof(struct ir_tlb_entry, addend)));
}

bool x64_lower_mem(struct x64_compile *c, const struct ir_insn *insn)
{
    switch (insn->op) {
    case IR_OP_ld: x64_clobber_flags(c); lower_load(c, insn); return true;
    case IR_OP_st: x64_clobber_flags(c); lower_store(c, insn); return true;
    case IR_OP_span: x64_clobber_flags(c); lower_span(c, insn); return true;
    case IR_OP_fence:
        if (insn->sub == IR_FENCE_FULL)
            x64_rr(c->e, X64_0F | 0xae, 6, 0);
        return true;
    default: return false;
    }
}
