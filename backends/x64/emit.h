// SPDX-License-Identifier: MIT
// x86-64 instruction encoders (Intel SDM volume 2): REX and VEX.128 forms over one opcode word.
//
// An emitter writes forward into a bounded buffer and never past its end: on overflow it sets `full` and starts
// again at the beginning, so that callers check once. Positions are offsets from the buffer's start; code that will
// be moved records its relative references through x64_ref (see compile.h). Not thread-safe.
#ifndef BACKENDS_X64_EMIT_H
#define BACKENDS_X64_EMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum x64_reg {
    X64_RAX, X64_RCX, X64_RDX, X64_RBX, X64_RSP, X64_RBP, X64_RSI, X64_RDI,
    X64_R8, X64_R9, X64_R10, X64_R11, X64_R12, X64_R13, X64_R14, X64_R15,
};

enum x64_cc {
    X64_O, X64_NO, X64_B, X64_AE, X64_E, X64_NE, X64_BE, X64_A,
    X64_S, X64_NS, X64_P, X64_NP, X64_L, X64_GE, X64_LE, X64_G,
};

// Opcode word: opcode byte, map, mandatory prefix, REX.W, byte-register operands, bytes of immediate that follow.
enum {
    X64_0F = 1 << 8, X64_0F38 = 2 << 8, X64_0F3A = 3 << 8, X64_MAP = 3 << 8,
    X64_66 = 1 << 10, X64_F3 = 2 << 10, X64_F2 = 3 << 10, X64_PP = 3 << 10,
    X64_W = 1 << 12,
    X64_B_REG = 1 << 13, // the reg operand is a byte register
    X64_B_RM = 1 << 14,  // the r/m operand is one
    X64_IMM_SHIFT = 16,  // 3 bits
    X64_IMM1 = 1 << X64_IMM_SHIFT, X64_IMM2 = 2 << X64_IMM_SHIFT, X64_IMM4 = 4 << X64_IMM_SHIFT,
    X64_LOCK = 1 << 20,
    X64_O16 = 1 << 21, // operand-size prefix 66 of an integer instruction
};

enum { X64_NONE = -1, X64_RIP = -2 };

// [base + index << scale + disp]; base X64_RIP: the byte at buffer offset disp (resolved when the emitter is placed).
struct x64_mem {
    int8_t base, index;
    uint8_t scale;
    int32_t disp;
};
static inline struct x64_mem x64_at(int base, int32_t disp)
{
    return (struct x64_mem){ (int8_t)base, X64_NONE, 0, disp };
}
static inline struct x64_mem x64_at_index(int base, int index, unsigned scale, int32_t disp)
{
    return (struct x64_mem){ (int8_t)base, (int8_t)index, (uint8_t)scale, disp };
}
static inline struct x64_mem x64_at_code(uint32_t offset)
{
    return (struct x64_mem){ X64_RIP, X64_NONE, 0, (int32_t)offset };
}

// What a relative reference points to.
enum x64_ref_kind { X64_REF_CODE /* offset in the code buffer */, X64_REF_HOT, X64_REF_COLD, X64_REF_BLOCK, X64_REF_SITE /* evaluation record */ };
struct x64_ref {
    uint32_t at;     // position of the 4 bytes in its emitter
    uint32_t target; // by kind
    uint8_t kind;    // enum x64_ref_kind
    uint8_t tail;    // instruction bytes after the 4
    bool cold;       // the reference itself is in the cold emitter
};
struct x64_refs {
    struct x64_ref *list;
    uint32_t count, capacity;
    bool full;
};

struct x64_emit {
    uint8_t *start, *p, *end;
    uint32_t origin; // offset of start in the code buffer; meaningless in a cold emitter until placed
    bool cold;       // every reference is recorded, none resolved
    bool full;
    bool avx;        // VEX forms
    struct x64_refs *refs; // NULL: all references are to known code offsets
};

static inline uint32_t x64_pos(const struct x64_emit *e)
{
    return (uint32_t)(e->p - e->start);
}
static inline void x64_room(struct x64_emit *e)
{
    if (__builtin_expect(e->end - e->p < 32, 0)) {
        e->full = true;
        e->p = e->start;
    }
}
static inline void x64_u8(struct x64_emit *e, uint32_t v)
{
    *e->p++ = (uint8_t)v;
}
static inline void x64_u32(struct x64_emit *e, uint32_t v)
{
    __builtin_memcpy(e->p, &v, 4);
    e->p += 4;
}
static inline void x64_u64(struct x64_emit *e, uint64_t v)
{
    __builtin_memcpy(e->p, &v, 8);
    e->p += 8;
}
// Four bytes that will hold the distance to a target, resolved at once when both ends are known.
void x64_rel32(struct x64_emit *e, enum x64_ref_kind kind, uint32_t target, unsigned tail);

// ---- generic forms -----------------------------------------------------------------------------------------------
// Immediates announced by X64_IMM* are written by the caller right after.
void x64_rr(struct x64_emit *e, uint32_t op, unsigned reg, unsigned rm);
void x64_rm(struct x64_emit *e, uint32_t op, unsigned reg, struct x64_mem m);
void x64_vex_rr(struct x64_emit *e, uint32_t op, unsigned reg, unsigned vvvv, unsigned rm);
void x64_vex_rm(struct x64_emit *e, uint32_t op, unsigned reg, unsigned vvvv, struct x64_mem m);

// ---- integers: w = 1 for 64-bit operands -----------------------------------------------------------------------
enum x64_alu { X64_ADD, X64_OR, X64_ADC, X64_SBB, X64_AND, X64_SUB, X64_XOR, X64_CMP };
enum x64_shift { X64_ROL, X64_ROR, X64_RCL, X64_RCR, X64_SHL, X64_SHR, X64_SAL, X64_SAR };

static inline uint32_t x64_w(bool w)
{
    return w ? X64_W : 0;
}
static inline void x64_alu_rr(struct x64_emit *e, enum x64_alu op, bool w, unsigned dst, unsigned src)
{
    x64_rr(e, (op << 3 | 3) | x64_w(w), dst, src);
}
static inline void x64_alu_rm(struct x64_emit *e, enum x64_alu op, bool w, unsigned dst, struct x64_mem m)
{
    x64_rm(e, (op << 3 | 3) | x64_w(w), dst, m);
}
static inline void x64_alu_mr(struct x64_emit *e, enum x64_alu op, bool w, struct x64_mem m, unsigned src)
{
    x64_rm(e, (op << 3 | 1) | x64_w(w), src, m);
}
void x64_alu_ri(struct x64_emit *e, enum x64_alu op, bool w, unsigned dst, int32_t imm);
void x64_alu_mi(struct x64_emit *e, enum x64_alu op, bool w, struct x64_mem m, int32_t imm);
void x64_mov_rr(struct x64_emit *e, bool w, unsigned dst, unsigned src); // nothing for a 64-bit move to itself
void x64_mov_ri(struct x64_emit *e, unsigned dst, uint64_t imm);         // flags survive
void x64_mov_mi(struct x64_emit *e, unsigned size, struct x64_mem m, int32_t imm);
void x64_load(struct x64_emit *e, unsigned size, bool sign, bool wide, unsigned dst, struct x64_mem m);
void x64_store(struct x64_emit *e, unsigned size, struct x64_mem m, unsigned src); // size: log2 bytes
void x64_shift_ri(struct x64_emit *e, enum x64_shift op, bool w, unsigned dst, unsigned count);
void x64_test_ri(struct x64_emit *e, unsigned reg, uint32_t imm);
static inline void x64_lea(struct x64_emit *e, bool w, unsigned dst, struct x64_mem m)
{
    x64_rm(e, 0x8d | x64_w(w), dst, m);
}
static inline void x64_test_rr(struct x64_emit *e, bool w, unsigned a, unsigned b)
{
    x64_rr(e, 0x85 | x64_w(w), b, a);
}
static inline void x64_setcc(struct x64_emit *e, enum x64_cc cc, unsigned dst)
{
    x64_rr(e, X64_0F | X64_B_RM | (0x90 + cc), 0, dst);
}
static inline void x64_cmov(struct x64_emit *e, enum x64_cc cc, bool w, unsigned dst, unsigned src)
{
    x64_rr(e, X64_0F | (0x40 + cc) | x64_w(w), dst, src);
}
// Zero- or sign-extends the low 8 << size bits.
void x64_extend(struct x64_emit *e, unsigned size, bool sign, bool wide, unsigned dst, unsigned src);

// ---- control -----------------------------------------------------------------------------------------------------
void x64_jmp(struct x64_emit *e, enum x64_ref_kind kind, uint32_t target);
void x64_jcc(struct x64_emit *e, enum x64_cc cc, enum x64_ref_kind kind, uint32_t target);
void x64_call(struct x64_emit *e, enum x64_ref_kind kind, uint32_t target);
// Short forward jumps: the returned position goes to x64_land.
uint32_t x64_jmp_short(struct x64_emit *e);
uint32_t x64_jcc_short(struct x64_emit *e, enum x64_cc cc);
void x64_land(struct x64_emit *e, uint32_t jump);
void x64_jcc_back(struct x64_emit *e, enum x64_cc cc, uint32_t to); // short, to an earlier position
void x64_nops(struct x64_emit *e, unsigned count);

// ---- vectors -----------------------------------------------------------------------------------------------------
// VEX or legacy as e->avx says. v2: dst := op(src). v3: dst := op(a, b), with the moves that legacy forms need; the
// scratch register X64_XMM_TMP is used when dst is b alone, so b may be anything.
enum { X64_XMM_TMP = 15 };
void x64_v2(struct x64_emit *e, uint32_t op, unsigned dst, unsigned src);
void x64_v2m(struct x64_emit *e, uint32_t op, unsigned dst, struct x64_mem m);
void x64_v3(struct x64_emit *e, uint32_t op, unsigned dst, unsigned a, unsigned b);
void x64_v3m(struct x64_emit *e, uint32_t op, unsigned dst, unsigned a, struct x64_mem m);
void x64_v2i(struct x64_emit *e, uint32_t op, unsigned dst, unsigned src, unsigned imm);
void x64_v3i(struct x64_emit *e, uint32_t op, unsigned dst, unsigned a, unsigned b, unsigned imm);
// Shift of each lane by a constant: opcode with its /digit.
void x64_vshift_i(struct x64_emit *e, uint32_t op, unsigned digit, unsigned dst, unsigned src, unsigned count);
void x64_vmov(struct x64_emit *e, unsigned dst, unsigned src);

// Opcode words of the vector instructions used here, named as in the SDM.
enum x64_vop {
    X64_MOVAPS = X64_0F | 0x28, X64_MOVUPS_LD = X64_0F | 0x10, X64_MOVUPS_ST = X64_0F | 0x11,
    X64_MOVSS_LD = X64_0F | X64_F3 | 0x10, X64_MOVSS_ST = X64_0F | X64_F3 | 0x11,
    X64_MOVSD_LD = X64_0F | X64_F2 | 0x10, X64_MOVSD_ST = X64_0F | X64_F2 | 0x11,
    X64_MOVD_XR = X64_0F | X64_66 | 0x6e, X64_MOVD_RX = X64_0F | X64_66 | 0x7e,
    X64_MOVQ_XX = X64_0F | X64_F3 | 0x7e,
    X64_PXOR = X64_0F | X64_66 | 0xef, X64_PAND = X64_0F | X64_66 | 0xdb, X64_POR = X64_0F | X64_66 | 0xeb,
    X64_PANDN = X64_0F | X64_66 | 0xdf,
};

#endif
