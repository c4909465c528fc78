// SPDX-License-Identifier: MIT
// Owns the bias of the random states: edges of integers, shift amounts, special values of every FP format, values near
// to each other.
#include "tests/insn/random_state.h"

#include "base/bits.h"

#include <string.h>

enum { FPCR_MODES = 7u << 24, FPCR_ROUND_SHIFT = 22, FPSR_BITS = 0x0800009f };

uint64_t random_integer(struct rng *rng)
{
    uint64_t v = rng_next(rng);

    switch (rng_below(rng, 6)) {
    case 0: return v >> rng_below(rng, 64);
    case 1: return ~(v >> rng_below(rng, 64));
    case 2: return (1ull << rng_below(rng, 64)) + (v & 3) - 2;
    case 3: return v & ~0ull << rng_below(rng, 64);
    default: return v;
    }
}

static uint64_t integer_lane(struct rng *rng, unsigned bits)
{
    uint64_t top = 1ull << (bits - 1);

    switch (rng_below(rng, 8)) {
    case 0: return 0;
    case 1: return top;
    case 2: return top - 1;
    case 3: return ~0ull;
    case 4: return rng_below(rng, bits + 3); // shift amounts
    case 5: return 0ull - rng_below(rng, bits + 3);
    default: return random_integer(rng);
    }
}

// One lane of 8 << sub bits. Floating point: special values, or near the lane of another register, where sums
// cancel and comparisons are close.
static uint64_t random_lane(struct rng *rng, unsigned sub, bool is_float, bool special, uint64_t other)
{
    static const struct fp_format *const formats[4] = {NULL, &fp_f16, &fp_f32, &fp_f64};

    if (!is_float || sub == 0)
        return integer_lane(rng, 8u << sub);
    if (special || rng_below(rng, 8) == 0)
        return operand_special(rng, formats[sub]);
    return operand_near(rng, formats[sub], other & bits_mask(8u << sub));
}

static union v128 random_vector(struct rng *rng, unsigned sub, bool is_float, bool special,
                                const union v128 *other)
{
    union v128 v = {.d = {0, 0}};

    if (rng_below(rng, 16) == 0)
        return (union v128){.d = {rng_next(rng), rng_next(rng)}};
    for (unsigned n = 0; n < 16u >> sub; n++) {
        unsigned shift = 8 * (n << sub & 7), word = n << sub >> 3;
        uint64_t lane = random_lane(rng, sub, is_float, special, other->d[word] >> shift);
        v.d[word] |= (lane & bits_mask(8u << sub)) << shift;
    }
    return v;
}

// Half the states hold lanes of one size and kind throughout.
void random_vectors(struct rng *rng, union v128 v[32])
{
    bool uniform = rng_below(rng, 2), is_float = rng_below(rng, 2), special = rng_below(rng, 3) == 0;
    unsigned sub = rng_below(rng, 4);

    memset(&v[0], 0, sizeof v[0]);
    for (unsigned n = 0; n < 32; n++) {
        if (!uniform) {
            sub = rng_below(rng, 4);
            is_float = rng_below(rng, 2);
        }
        v[n] = random_vector(rng, sub, is_float, special, n ? &v[rng_below(rng, n)] : &v[0]);
    }
}

uint32_t random_fpcr(struct rng *rng)
{
    return ((uint32_t)(rng_next(rng) & rng_next(rng)) & FPCR_MODES) | rng_below(rng, 4) << FPCR_ROUND_SHIFT;
}

uint32_t random_fpsr(struct rng *rng)
{
    return rng_below(rng, 8) ? 0 : (uint32_t)rng_next(rng) & FPSR_BITS;
}
