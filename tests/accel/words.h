// SPDX-License-Identifier: MIT
// A64 instruction words for tests that build their programs: 64-bit registers unless the name says otherwise, x31 as the
// instruction reads it. Offsets are in bytes, branches relative to themselves in words.
#ifndef TESTS_ACCEL_WORDS_H
#define TESTS_ACCEL_WORDS_H

#include <stdint.h>

enum {
    W_DMB_ISH = (int)0xd5033bbf,
    W_DMB_ISHLD = (int)0xd50339bf,
    W_DMB_ISHST = (int)0xd5033abf,
    W_DSB_ISH = (int)0xd5033b9f,
    W_ISB = (int)0xd5033fdf,
    W_YIELD = (int)0xd503203f,
    W_WFE = (int)0xd503205f,
    W_SEV = (int)0xd503209f,
    W_SEVL = (int)0xd50320bf,
    W_RET = (int)0xd65f03c0,
};

enum { W_EQ = 0, W_NE = 1, W_HS = 2 }; // conditions

static inline uint32_t w_movz(unsigned d, uint32_t imm16, unsigned half)
{
    return 0xd2800000 | half << 21 | imm16 << 5 | d;
}
static inline uint32_t w_movk(unsigned d, uint32_t imm16, unsigned half)
{
    return 0xf2800000 | half << 21 | imm16 << 5 | d;
}
static inline uint32_t w_add(unsigned d, unsigned n, uint32_t imm12)
{
    return 0x91000000 | imm12 << 10 | n << 5 | d;
}
static inline uint32_t w_sub(unsigned d, unsigned n, uint32_t imm12)
{
    return 0xd1000000 | imm12 << 10 | n << 5 | d;
}
static inline uint32_t w_add_reg(unsigned d, unsigned n, unsigned m)
{
    return 0x8b000000 | m << 16 | n << 5 | d;
}
static inline uint32_t w_eor_reg(unsigned d, unsigned n, unsigned m)
{
    return 0xca000000 | m << 16 | n << 5 | d;
}
static inline uint32_t w_cmp(unsigned n, unsigned m)
{
    return 0xeb00001f | m << 16 | n << 5;
}
static inline uint32_t w_ldr(unsigned t, unsigned n, unsigned offset)
{
    return 0xf9400000 | offset / 8 << 10 | n << 5 | t;
}
static inline uint32_t w_str(unsigned t, unsigned n, unsigned offset)
{
    return 0xf9000000 | offset / 8 << 10 | n << 5 | t;
}
static inline uint32_t w_ldr_reg(unsigned t, unsigned n, unsigned m)
{
    return 0xf8606800 | m << 16 | n << 5 | t;
}
static inline uint32_t w_str_w(unsigned t, unsigned n)
{
    return 0xb9000000 | n << 5 | t;
}
static inline uint32_t w_ldar(unsigned t, unsigned n)
{
    return 0xc8dffc00 | n << 5 | t;
}
static inline uint32_t w_stlr(unsigned t, unsigned n)
{
    return 0xc89ffc00 | n << 5 | t;
}
static inline uint32_t w_ldxr(unsigned t, unsigned n)
{
    return 0xc85f7c00 | n << 5 | t;
}
static inline uint32_t w_stxr(unsigned s, unsigned t, unsigned n)
{
    return 0xc8007c00 | s << 16 | n << 5 | t;
}
static inline uint32_t w_ldaxr(unsigned t, unsigned n)
{
    return 0xc85ffc00 | n << 5 | t;
}
static inline uint32_t w_stlxr(unsigned s, unsigned t, unsigned n)
{
    return 0xc800fc00 | s << 16 | n << 5 | t;
}
static inline uint32_t w_ldxp(unsigned t, unsigned t2, unsigned n)
{
    return 0xc87f0000 | t2 << 10 | n << 5 | t;
}
static inline uint32_t w_stxp(unsigned s, unsigned t, unsigned t2, unsigned n)
{
    return 0xc8200000 | s << 16 | t2 << 10 | n << 5 | t;
}
static inline uint32_t w_cbz(unsigned t, int words)
{
    return 0xb4000000 | ((uint32_t)words & 0x7ffff) << 5 | t;
}
static inline uint32_t w_cbnz(unsigned t, int words)
{
    return 0xb5000000 | ((uint32_t)words & 0x7ffff) << 5 | t;
}
static inline uint32_t w_cbnz_w(unsigned t, int words)
{
    return 0x35000000 | ((uint32_t)words & 0x7ffff) << 5 | t;
}
static inline uint32_t w_b_cond(unsigned condition, int words)
{
    return 0x54000000 | ((uint32_t)words & 0x7ffff) << 5 | condition;
}
static inline uint32_t w_b(int words)
{
    return 0x14000000 | ((uint32_t)words & 0x3ffffff);
}
static inline uint32_t w_blr(unsigned n)
{
    return 0xd63f0000 | n << 5;
}

// A program under construction, at most WORDS_MAX long; the test sees to that.
enum { WORDS_MAX = 128 };
struct words {
    uint32_t word[WORDS_MAX];
    int count;
};

static inline void put(struct words *w, uint32_t word)
{
    if (w->count < WORDS_MAX)
        w->word[w->count++] = word;
}

static inline void put_value(struct words *w, unsigned d, uint64_t value)
{
    put(w, w_movz(d, value & 0xffff, 0));
    for (unsigned half = 1; half < 4; half++)
        if (value >> half * 16 & 0xffff)
            put(w, w_movk(d, value >> half * 16 & 0xffff, half));
}

// *[n] += 1 by exclusives; t and s are lost.
static inline void put_increment(struct words *w, unsigned n, unsigned t, unsigned s)
{
    put(w, w_ldaxr(t, n));
    put(w, w_add(t, t, 1));
    put(w, w_stlxr(s, t, n));
    put(w, w_cbnz_w(s, -3));
}

#endif
