// SPDX-License-Identifier: MIT
// Immediates of A64 that are more than a sign extension (Arm ARM, shared pseudocode of the same names). Pure.
#ifndef A64_IMM_H
#define A64_IMM_H

#include "base/bits.h"

#include <stdbool.h>
#include <stdint.h>

// DecodeBitMasks(): the masks that logical immediates and bitfield moves use, of width 32 or 64 bits. False
// for the reserved encodings, and then *ret_* are untouched. immediate refuses the all-ones element, which
// only bitfield moves allow. ret_tmask may be NULL.
bool a64_bit_masks(unsigned n, unsigned imms, unsigned immr, bool immediate, unsigned width,
                   uint64_t *ret_wmask, uint64_t *ret_tmask);

// AdvSIMDExpandImm(): 64 bits of a modified immediate; imm8 is a:b:c:d:e:f:g:h.
uint64_t a64_simd_expand_imm(unsigned op, unsigned cmode, unsigned imm8);

// VFPExpandImm() for 16, 32 or 64 bits.
uint64_t a64_vfp_expand_imm(unsigned imm8, unsigned width);

#endif
