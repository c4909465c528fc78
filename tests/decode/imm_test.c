// SPDX-License-Identifier: MIT
// The immediate expansions against values from the manual and against slow definitions.
#include "frontends/a64/imm.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

// A logical immediate is a rotated run of ones, replicated: count every distinct 64-bit value the encodings
// give.
Test(imm, bit_masks_cover_all_rotated_runs)
{
    unsigned valid = 0;

    for (unsigned e = 0; e < 1 << 13; e++) {
        unsigned n = e >> 12, immr = e >> 6 & 63, imms = e & 63;
        uint64_t mask = 0, t;
        if (!a64_bit_masks(n, imms, immr, true, 64, &mask, &t))
            continue;
        valid++;
        cr_assert(mask != 0 && mask != ~0ull);
        unsigned esize = n ? 64 : 1u << (31 - __builtin_clz(~imms & 0x3f));
        cr_assert(bits_ror(mask, esize % 64, 64) == mask);
        cr_assert(__builtin_popcountll(mask & bits_mask(esize)) == (int)(imms & (esize - 1)) + 1);
        uint64_t elem = mask & bits_mask(esize);
        uint64_t edges = elem ^ bits_ror(elem, 1, esize);
        cr_assert(__builtin_popcountll(edges) == 2, "one run an element");
    }
    // 5334 distinct values; immr bits above the element size are ignored, so encodings number more.
    cr_expect(valid == 64 * (63 + 31 + 15 + 7 + 3 + 1), "%u", valid);
}

Test(imm, bit_masks_values)
{
    uint64_t w, t;

    cr_assert(a64_bit_masks(1, 7, 0, true, 64, &w, &t));
    cr_expect(w == 0xff && t == 0xff);
    cr_assert(a64_bit_masks(0, 0x3c, 1, true, 64, &w, NULL));
    cr_expect(w == 0xaaaaaaaaaaaaaaaa);
    cr_assert(a64_bit_masks(0, 0x07, 4, true, 32, &w, NULL));
    cr_expect(w == 0xf000000f);
    cr_expect(!a64_bit_masks(1, 7, 0, true, 32, &w, NULL));
    cr_expect(!a64_bit_masks(1, 63, 0, true, 64, &w, NULL));
    cr_assert(a64_bit_masks(1, 63, 8, false, 64, &w, &t)); // lsr #8
    cr_expect(w == ~0ull && t == (1ull << 56) - 1);
    cr_assert(a64_bit_masks(1, 3, 48, false, 64, &w, &t)); // ubfiz #16, #4
    cr_expect(w == 0xf0000 && t == 0xfffff);
    cr_expect(!a64_bit_masks(0, 63, 0, false, 64, &w, NULL));
}

Test(imm, simd_expand)
{
    static const struct {
        unsigned op, cmode;
        uint64_t want;
    } rows[] = {
        {0, 0, 0x000000ab000000ab},  {0, 3, 0x0000ab000000ab00},  {0, 4, 0x00ab000000ab0000},
        {1, 6, 0xab000000ab000000},  {0, 8, 0x00ab00ab00ab00ab},  {0, 10, 0xab00ab00ab00ab00},
        {0, 12, 0x0000abff0000abff}, {0, 13, 0x00abffff00abffff}, {0, 14, 0xabababababababab},
        {1, 14, 0xff00ff00ff00ffff},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect(a64_simd_expand_imm(rows[i].op, rows[i].cmode, 0xab) == rows[i].want, "row %u", i);
    cr_expect(a64_simd_expand_imm(0, 15, 0x70) == 0x3f8000003f800000);
    cr_expect(a64_simd_expand_imm(1, 15, 0x70) == 0x3ff0000000000000);
}

// (-1)^a * (16 + efgh)/16 * 2^(NOT(b):c:d - 3), the manual's table of values.
Test(imm, vfp_expand_is_the_documented_value)
{
    for (unsigned imm8 = 0; imm8 < 256; imm8++) {
        int exp = (int)((imm8 >> 4 & 7) ^ 4) - 3;
        double want = ldexp((16 + (imm8 & 15)) / 16.0, exp), d;
        float f;
        want = imm8 & 0x80 ? -want : want;
        uint64_t d_bits = a64_vfp_expand_imm(imm8, 64);
        uint32_t f_bits = a64_vfp_expand_imm(imm8, 32);
        memcpy(&d, &d_bits, 8);
        memcpy(&f, &f_bits, 4);
        cr_expect(d == want && f == (float)want, "imm8 %#x: %g, %g not %g", imm8, d, f, want);
    }
    cr_expect(a64_vfp_expand_imm(0x70, 16) == 0x3c00);
    cr_expect(a64_vfp_expand_imm(0x00, 16) == 0x4000);
}
