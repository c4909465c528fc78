// SPDX-License-Identifier: MIT
// Bit-field arithmetic. All widths are in bits; len is 1..64 and pos + len <= 64.
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t bits_mask(unsigned len)
{
    return len >= 64 ? ~0ull : (1ull << len) - 1;
}
static inline uint64_t bits_get(uint64_t v, unsigned pos, unsigned len)
{
    return (v >> pos) & bits_mask(len);
}
static inline bool bit_get(uint64_t v, unsigned pos)
{
    return (v >> pos) & 1;
}
static inline uint64_t bits_set(uint64_t v, unsigned pos, unsigned len, uint64_t field)
{
    uint64_t m = bits_mask(len) << pos;
    return (v & ~m) | ((field << pos) & m);
}
static inline int64_t bits_sext(uint64_t v, unsigned len)
{
    return (int64_t)(v << (64 - len)) >> (64 - len);
}
// Rotates the low width bits of v right; n may be any value.
static inline uint64_t bits_ror(uint64_t v, unsigned n, unsigned width)
{
    n %= width;
    v &= bits_mask(width);
    return n ? ((v >> n) | (v << (width - n))) & bits_mask(width) : v;
}

#endif
