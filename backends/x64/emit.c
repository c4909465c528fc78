// SPDX-License-Identifier: MIT
// Instruction encoders: prefixes, ModRM and SIB (SDM volume 2, chapter 2). Every public form makes room for the
// longest instruction first, so the byte writers need no checks.
#include "backends/x64/emit.h"

void x64_rel32(struct x64_emit *e, enum x64_ref_kind kind, uint32_t target, unsigned tail)
{
    if (kind == X64_REF_CODE && !e->cold) {
        x64_u32(e, target - (e->origin + x64_pos(e) + 4 + tail));
        return;
    }
    struct x64_refs *refs = e->refs;
    if (refs->count == refs->capacity)
        refs->full = true;
    else
        refs->list[refs->count++] = (struct x64_ref){ x64_pos(e), target, (uint8_t)kind, (uint8_t)tail, e->cold };
    x64_u32(e, 0);
}

// Bytes that may be wanted are written, then skipped or not: cheaper here than branches, and there is room.
static inline void modrm_mem(struct x64_emit *e, unsigned reg, struct x64_mem m, unsigned tail)
{
    unsigned r = (reg & 7) << 3;
    if (m.base == X64_RIP) {
        x64_u8(e, r | 5);
        x64_rel32(e, X64_REF_CODE, (uint32_t)m.disp, tail);
        return;
    }
    unsigned base = m.base & 7;
    bool sib = m.index != X64_NONE || base == 4;
    unsigned mod = m.disp == 0 && base != 5 ? 0 : m.disp == (int8_t)m.disp ? 1 : 2;
    uint8_t *p = e->p;
    p[0] = (uint8_t)(mod << 6 | r | (sib ? 4 : base));
    p[1] = (uint8_t)((unsigned)m.scale << 6 | (m.index == X64_NONE ? 4u : (unsigned)m.index & 7) << 3 | base);
    p += 1 + sib;
    __builtin_memcpy(p, &m.disp, 4);
    e->p = p + mod * mod; // 0, 1 or 4 bytes
}

static inline void prefixes(struct x64_emit *e, uint32_t op, unsigned rex, bool force)
{
    static const uint8_t mandatory[4] = { 0, 0x66, 0xf3, 0xf2 };
    if (op & (X64_LOCK | X64_O16 | X64_PP)) {
        if (op & X64_LOCK)
            x64_u8(e, 0xf0);
        if (op & X64_O16)
            x64_u8(e, 0x66);
        if (op & X64_PP)
            x64_u8(e, mandatory[(op & X64_PP) >> 10]);
    }
    if (op & X64_W)
        rex |= 8;
    *e->p = (uint8_t)(0x40 | rex);
    e->p += rex || force;
    unsigned map = (op & X64_MAP) >> 8;
    if (map) {
        x64_u8(e, 0x0f);
        if (map > 1)
            x64_u8(e, map == 2 ? 0x38 : 0x3a);
    }
    x64_u8(e, op);
}

void x64_rr(struct x64_emit *e, uint32_t op, unsigned reg, unsigned rm)
{
    x64_room(e);
    bool force = ((op & X64_B_REG) && reg >= 4) || ((op & X64_B_RM) && rm >= 4);
    prefixes(e, op, (reg >> 3 & 1) << 2 | (rm >> 3 & 1), force);
    x64_u8(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static unsigned rex_of_mem(struct x64_mem m)
{
    return (m.base >= 8 ? 1u : 0) | (m.index >= 8 ? 2u : 0);
}

void x64_rm(struct x64_emit *e, uint32_t op, unsigned reg, struct x64_mem m)
{
    x64_room(e);
    prefixes(e, op, (reg >> 3 & 1) << 2 | rex_of_mem(m), (op & X64_B_REG) && reg >= 4);
    modrm_mem(e, reg, m, op >> X64_IMM_SHIFT & 7);
}

static void vex_prefix(struct x64_emit *e, uint32_t op, unsigned reg, unsigned vvvv, unsigned xb)
{
    unsigned r = reg >> 3 & 1, map = (op & X64_MAP) >> 8, pp = (op & X64_PP) >> 10, w = op & X64_W ? 1 : 0;
    unsigned last = (~vvvv & 15) << 3 | pp;
    x64_room(e);
    if (map == 1 && !w && !xb) {
        x64_u8(e, 0xc5);
        x64_u8(e, (r ^ 1) << 7 | last);
    } else {
        x64_u8(e, 0xc4);
        x64_u8(e, (r ^ 1) << 7 | (xb & 2 ? 0 : 0x40) | (xb & 1 ? 0 : 0x20) | map);
        x64_u8(e, w << 7 | last);
    }
    x64_u8(e, op);
}

void x64_vex_rr(struct x64_emit *e, uint32_t op, unsigned reg, unsigned vvvv, unsigned rm)
{
    vex_prefix(e, op, reg, vvvv, rm >> 3 & 1);
    x64_u8(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

void x64_vex_rm(struct x64_emit *e, uint32_t op, unsigned reg, unsigned vvvv, struct x64_mem m)
{
    vex_prefix(e, op, reg, vvvv, rex_of_mem(m));
    modrm_mem(e, reg, m, op >> X64_IMM_SHIFT & 7);
}

// ---- integers ----------------------------------------------------------------------------------------------------

void x64_alu_ri(struct x64_emit *e, enum x64_alu op, bool w, unsigned dst, int32_t imm)
{
    if (imm == (int8_t)imm) {
        x64_rr(e, 0x83 | X64_IMM1 | x64_w(w), op, dst);
        x64_u8(e, (uint32_t)imm);
    } else {
        x64_rr(e, 0x81 | X64_IMM4 | x64_w(w), op, dst);
        x64_u32(e, (uint32_t)imm);
    }
}

void x64_alu_mi(struct x64_emit *e, enum x64_alu op, bool w, struct x64_mem m, int32_t imm)
{
    if (imm == (int8_t)imm) {
        x64_rm(e, 0x83 | X64_IMM1 | x64_w(w), op, m);
        x64_u8(e, (uint32_t)imm);
    } else {
        x64_rm(e, 0x81 | X64_IMM4 | x64_w(w), op, m);
        x64_u32(e, (uint32_t)imm);
    }
}

void x64_mov_rr(struct x64_emit *e, bool w, unsigned dst, unsigned src)
{
    if (!w || dst != src)
        x64_rr(e, 0x8b | x64_w(w), dst, src);
}

void x64_mov_ri(struct x64_emit *e, unsigned dst, uint64_t imm)
{
    x64_room(e);
    if (imm <= UINT32_MAX) {
        if (dst >= 8)
            x64_u8(e, 0x41);
        x64_u8(e, 0xb8 | (dst & 7));
        x64_u32(e, (uint32_t)imm);
    } else if ((int64_t)imm == (int32_t)imm) {
        x64_rr(e, 0xc7 | X64_IMM4 | X64_W, 0, dst);
        x64_u32(e, (uint32_t)imm);
    } else {
        x64_u8(e, 0x48 | (dst >= 8));
        x64_u8(e, 0xb8 | (dst & 7));
        x64_u64(e, imm);
    }
}

void x64_mov_mi(struct x64_emit *e, unsigned size, struct x64_mem m, int32_t imm)
{
    switch (size) {
    case 0:
        x64_rm(e, 0xc6 | X64_IMM1, 0, m);
        x64_u8(e, (uint32_t)imm);
        break;
    case 1:
        x64_rm(e, 0xc7 | X64_IMM2 | X64_O16, 0, m);
        x64_u8(e, (uint32_t)imm);
        x64_u8(e, (uint32_t)imm >> 8);
        break;
    default:
        x64_rm(e, 0xc7 | X64_IMM4 | x64_w(size == 3), 0, m);
        x64_u32(e, (uint32_t)imm);
    }
}

static uint32_t load_op(unsigned size, bool sign, bool wide)
{
    switch (size) {
    case 0:
        return sign ? (X64_0F | 0xbe | x64_w(wide)) : (X64_0F | 0xb6);
    case 1:
        return sign ? (X64_0F | 0xbf | x64_w(wide)) : (X64_0F | 0xb7);
    case 2:
        return sign && wide ? (0x63 | X64_W) : 0x8b;
    default:
        return 0x8b | X64_W;
    }
}

void x64_load(struct x64_emit *e, unsigned size, bool sign, bool wide, unsigned dst, struct x64_mem m)
{
    x64_rm(e, load_op(size, sign, wide), dst, m);
}

void x64_extend(struct x64_emit *e, unsigned size, bool sign, bool wide, unsigned dst, unsigned src)
{
    x64_rr(e, load_op(size, sign, wide) | (size == 0 ? X64_B_RM : 0), dst, src);
}

void x64_store(struct x64_emit *e, unsigned size, struct x64_mem m, unsigned src)
{
    static const uint32_t ops[4] = { 0x88 | X64_B_REG, 0x89 | X64_O16, 0x89, 0x89 | X64_W };
    x64_rm(e, ops[size], src, m);
}

void x64_shift_ri(struct x64_emit *e, enum x64_shift op, bool w, unsigned dst, unsigned count)
{
    if (count == 1) {
        x64_rr(e, 0xd1 | x64_w(w), op, dst);
        return;
    }
    x64_rr(e, 0xc1 | X64_IMM1 | x64_w(w), op, dst);
    x64_u8(e, count);
}

void x64_test_ri(struct x64_emit *e, unsigned reg, uint32_t imm)
{
    if (imm <= 0xff) {
        x64_rr(e, 0xf6 | X64_B_RM | X64_IMM1, 0, reg);
        x64_u8(e, imm);
    } else {
        x64_rr(e, 0xf7 | X64_IMM4, 0, reg);
        x64_u32(e, imm);
    }
}

// ---- control -----------------------------------------------------------------------------------------------------

void x64_jmp(struct x64_emit *e, enum x64_ref_kind kind, uint32_t target)
{
    x64_room(e);
    x64_u8(e, 0xe9);
    x64_rel32(e, kind, target, 0);
}

void x64_jcc(struct x64_emit *e, enum x64_cc cc, enum x64_ref_kind kind, uint32_t target)
{
    x64_room(e);
    x64_u8(e, 0x0f);
    x64_u8(e, 0x80 | cc);
    x64_rel32(e, kind, target, 0);
}

void x64_call(struct x64_emit *e, enum x64_ref_kind kind, uint32_t target)
{
    x64_room(e);
    x64_u8(e, 0xe8);
    x64_rel32(e, kind, target, 0);
}

uint32_t x64_jmp_short(struct x64_emit *e)
{
    x64_room(e);
    x64_u8(e, 0xeb);
    x64_u8(e, 0);
    return x64_pos(e);
}

uint32_t x64_jcc_short(struct x64_emit *e, enum x64_cc cc)
{
    x64_room(e);
    x64_u8(e, 0x70 | cc);
    x64_u8(e, 0);
    return x64_pos(e);
}

void x64_land(struct x64_emit *e, uint32_t jump)
{
    if (!e->full)
        e->start[jump - 1] = (uint8_t)(x64_pos(e) - jump);
}

void x64_jcc_back(struct x64_emit *e, enum x64_cc cc, uint32_t to)
{
    x64_room(e);
    x64_u8(e, 0x70 | cc);
    x64_u8(e, to - (x64_pos(e) + 1));
}

void x64_nops(struct x64_emit *e, unsigned count)
{
    static const uint8_t nops[9][9] = {
        { 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0x00 }, { 0x0f, 0x1f, 0x40, 0 }, { 0x0f, 0x1f, 0x44, 0, 0 },
        { 0x66, 0x0f, 0x1f, 0x44, 0, 0 }, { 0x0f, 0x1f, 0x80, 0, 0, 0, 0 }, { 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 },
        { 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 },
    };
    while (count) {
        unsigned n = count < 9 ? count : 9;
        x64_room(e);
        __builtin_memcpy(e->p, nops[n - 1], n);
        e->p += n;
        count -= n;
    }
}

// ---- vectors -----------------------------------------------------------------------------------------------------

void x64_vmov(struct x64_emit *e, unsigned dst, unsigned src)
{
    if (dst != src)
        x64_v2(e, X64_MOVAPS, dst, src);
}

void x64_v2(struct x64_emit *e, uint32_t op, unsigned dst, unsigned src)
{
    if (e->avx)
        x64_vex_rr(e, op, dst, 0, src);
    else
        x64_rr(e, op, dst, src);
}

void x64_v2m(struct x64_emit *e, uint32_t op, unsigned dst, struct x64_mem m)
{
    if (e->avx)
        x64_vex_rm(e, op, dst, 0, m);
    else
        x64_rm(e, op, dst, m);
}

void x64_v3(struct x64_emit *e, uint32_t op, unsigned dst, unsigned a, unsigned b)
{
    if (e->avx) {
        x64_vex_rr(e, op, dst, a, b);
        return;
    }
    if (dst == b && dst != a) {
        x64_vmov(e, X64_XMM_TMP, b);
        b = X64_XMM_TMP;
    }
    x64_vmov(e, dst, a);
    x64_rr(e, op, dst, b);
}

void x64_v3m(struct x64_emit *e, uint32_t op, unsigned dst, unsigned a, struct x64_mem m)
{
    if (e->avx) {
        x64_vex_rm(e, op, dst, a, m);
        return;
    }
    x64_vmov(e, dst, a);
    x64_rm(e, op, dst, m);
}

void x64_v2i(struct x64_emit *e, uint32_t op, unsigned dst, unsigned src, unsigned imm)
{
    x64_v2(e, op | X64_IMM1, dst, src);
    x64_u8(e, imm);
}

void x64_v3i(struct x64_emit *e, uint32_t op, unsigned dst, unsigned a, unsigned b, unsigned imm)
{
    x64_v3(e, op | X64_IMM1, dst, a, b);
    x64_u8(e, imm);
}

void x64_vshift_i(struct x64_emit *e, uint32_t op, unsigned digit, unsigned dst, unsigned src, unsigned count)
{
    if (e->avx) {
        x64_vex_rr(e, op | X64_IMM1, digit, dst, src);
    } else {
        x64_vmov(e, dst, src);
        x64_rr(e, op | X64_IMM1, digit, dst);
    }
    x64_u8(e, count);
}
