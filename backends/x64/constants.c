// SPDX-License-Identifier: MIT
// The constants that translated code reads from memory, 16 bytes each, in the code buffer beside the thunks so that
// they are in reach of RIP-relative operands.
#include "backends/x64/compile.h"

#define REP_D(x) { .d = { x, x } }
#define REP_S(x) { .s = { x, x, x, x } }
#define REP_H(x) { .h = { x, x, x, x, x, x, x, x } }
#define REP_B(x) { .b = { x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x } }
#define BYTES(...) { .b = { __VA_ARGS__ } }
enum { MXCSR_MASKED = 0x1f80, RC_DOWN = 1 << 13, RC_UP = 2 << 13, RC_ZERO = 3 << 13, Z = 0x80 };

static const union v128 constants[X64_C_COUNT] = {
    [X64_C_ROUND] = { .s = { MXCSR_MASKED, MXCSR_MASKED | RC_UP, MXCSR_MASKED | RC_DOWN, MXCSR_MASKED | RC_ZERO } },
    [X64_C_ABS32] = REP_S(0x7fffffffu),
    [X64_C_ABS64] = REP_D(0x7fffffffffffffffull),
    [X64_C_SIGN32] = REP_S(0x80000000u),
    [X64_C_SIGN64] = REP_D(0x8000000000000000ull),
    [X64_C_MIN32] = REP_S(0x00800000u),
    [X64_C_MIN64] = REP_D(0x0010000000000000ull),
    [X64_C_TWICE_MIN64] = REP_D(0x0020000000000000ull),
    [X64_C_ONES] = REP_D(~0ull),
    [X64_C_ONE32] = REP_S(0x3f800000u),
    [X64_C_ONE64] = REP_D(0x3ff0000000000000ull),
    [X64_C_B01] = REP_B(1),
    [X64_C_B0F] = REP_B(0x0f),
    [X64_C_B7F] = REP_B(0x7f),
    [X64_C_B80] = REP_B(0x80),
    [X64_C_H00FF] = REP_H(0x00ff),
    [X64_C_H0001] = REP_H(1),
    [X64_C_BREV_LO] = BYTES(0x00, 0x80, 0x40, 0xc0, 0x20, 0xa0, 0x60, 0xe0, 0x10, 0x90, 0x50, 0xd0, 0x30, 0xb0, 0x70, 0xf0),
    [X64_C_BREV_HI] = BYTES(0x00, 0x08, 0x04, 0x0c, 0x02, 0x0a, 0x06, 0x0e, 0x01, 0x09, 0x05, 0x0d, 0x03, 0x0b, 0x07, 0x0f),
    [X64_C_POP4] = BYTES(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4),
    [X64_C_CLZ4] = BYTES(4, 3, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    [X64_C_REV16] = BYTES(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14),
    [X64_C_REV32] = BYTES(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12),
    [X64_C_REV64] = BYTES(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8),
    [X64_C_WREV32] = BYTES(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13),
    [X64_C_WREV64] = BYTES(6, 7, 4, 5, 2, 3, 0, 1, 14, 15, 12, 13, 10, 11, 8, 9),
    [X64_C_TBL_BIAS] = REP_B(0x70),
    [X64_C_SHIFTROWS] = BYTES(0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11),
    [X64_C_ISHIFTROWS] = BYTES(0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3),
    [X64_C_UZP8_EVEN] = BYTES(0, 2, 4, 6, 8, 10, 12, 14, Z, Z, Z, Z, Z, Z, Z, Z),
    [X64_C_UZP8_ODD] = BYTES(1, 3, 5, 7, 9, 11, 13, 15, Z, Z, Z, Z, Z, Z, Z, Z),
    [X64_C_UZP16_EVEN] = BYTES(0, 1, 4, 5, 8, 9, 12, 13, Z, Z, Z, Z, Z, Z, Z, Z),
    [X64_C_UZP16_ODD] = BYTES(2, 3, 6, 7, 10, 11, 14, 15, Z, Z, Z, Z, Z, Z, Z, Z),
    [X64_C_LO64] = { .d = { ~0ull, 0 } },
    [X64_C_S00FF] = REP_S(0xffu),
    [X64_C_D00FF] = REP_D(0xffull),
    [X64_C_SFFFF] = REP_S(0xffffu),
    [X64_C_BELOW_2P31] = REP_S(0x4effffffu),
    [X64_C_HALF32] = REP_S(0x3f000000u),
    [X64_C_HALF64] = REP_D(0x3fe0000000000000ull),
    [X64_C_CRC32] = { .d = { 0xb4e5b025f7011641ull, 0x1db710641ull } }, // x^96 / P and P = 0x104c11db7, reflected
    // Bits of an exponent plus 1 that are all 0 for 1, the smallest normal's, and for that of infinities and NaNs.
    [X64_C_EXP_32] = { .s = { 0x7e800000u } },
    [X64_C_EXP_64] = { .d = { 0x7fd0000000000000ull } },
    [X64_C_2P32_32] = REP_S(0x4f800000u),
    [X64_C_2P63_32] = REP_S(0x5f000000u),
    [X64_C_2P32_64] = REP_D(0x41f0000000000000ull),
    [X64_C_2P63_64] = REP_D(0x43e0000000000000ull),
};

void x64_write_constants(union v128 *to)
{
    for (unsigned i = 0; i < X64_C_COUNT; i++)
        to[i] = constants[i];
}
