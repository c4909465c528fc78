// SPDX-License-Identifier: MIT
// Owns the expansion of encoded immediates: logical masks, SIMD modified immediates, 8-bit floating point.
// Arm ARM (DDI 0487) J1.3: DecodeBitMasks, AdvSIMDExpandImm, VFPExpandImm.
#include "frontends/a64/imm.h"

static uint64_t replicate(uint64_t v, unsigned from, unsigned to)
{
    v &= bits_mask(from);
    for (unsigned w = from; w < to; w *= 2)
        v |= v << w;
    return v & bits_mask(to);
}

bool a64_bit_masks(unsigned n, unsigned imms, unsigned immr, bool immediate, unsigned width,
                   uint64_t *ret_wmask, uint64_t *ret_tmask)
{
    unsigned sizes = n << 6 | (~imms & 0x3f);
    if (sizes < 2)
        return false;
    unsigned len = 31 - __builtin_clz(sizes);
    unsigned esize = 1u << len, levels = esize - 1;
    if (esize > width || (immediate && (imms & levels) == levels))
        return false;

    unsigned s = imms & levels, r = immr & levels;
    uint64_t welem = bits_ror(bits_mask(s + 1), r, esize);
    uint64_t telem = bits_mask(((s - r) & levels) + 1);
    *ret_wmask = replicate(welem, esize, width);
    if (ret_tmask)
        *ret_tmask = replicate(telem, esize, width);
    return true;
}

uint64_t a64_simd_expand_imm(unsigned op, unsigned cmode, unsigned imm8)
{
    switch (cmode >> 1) {
    case 0:
    case 1:
    case 2:
    case 3: return replicate((uint64_t)imm8 << 8 * (cmode >> 1), 32, 64);
    case 4:
    case 5: return replicate((uint64_t)imm8 << 8 * (cmode >> 1 & 1), 16, 64);
    case 6: return replicate(cmode & 1 ? imm8 << 16 | 0xffff : imm8 << 8 | 0xff, 32, 64);
    }
    if (cmode == 15)
        return op ? a64_vfp_expand_imm(imm8, 64) : replicate(a64_vfp_expand_imm(imm8, 32), 32, 64);
    if (!op)
        return replicate(imm8, 8, 64);
    uint64_t v = 0;
    for (unsigned bit = 0; bit < 8; bit++)
        v |= imm8 >> bit & 1 ? 0xffull << 8 * bit : 0;
    return v;
}

uint64_t a64_vfp_expand_imm(unsigned imm8, unsigned width)
{
    unsigned exp_bits = width == 16 ? 5 : width == 32 ? 8 : 11;
    unsigned frac_bits = width - exp_bits - 1;
    uint64_t sign = imm8 >> 7 & 1, b6 = imm8 >> 6 & 1;
    uint64_t exp = (b6 ^ 1) << (exp_bits - 1) | (b6 ? bits_mask(exp_bits - 3) << 2 : 0) | (imm8 >> 4 & 3);

    return sign << (width - 1) | exp << frac_bits | (uint64_t)(imm8 & 15) << (frac_bits - 4);
}
