// SPDX-License-Identifier: MIT
// CPUID leaves (SDM volume 2A, CPUID) to feature bits, as one table.
#include "backends/x64/features.h"

#include <cpuid.h>
#include <stddef.h>

enum { LEAF_1_ECX, LEAF_7_EBX, LEAF_X1_ECX, LEAVES };

struct feature_row {
    uint64_t feature;
    uint8_t leaf;
    uint32_t bits;  // all of them
    uint64_t needs; // other features
};

// A row stands behind those it needs.
static const struct feature_row rows[] = {
    { X64_HAS_SSE42, LEAF_1_ECX, 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20, 0 },
    { X64_HAS_AVX, LEAF_1_ECX, 1u << 28 | 1u << 27, 0 },
    { X64_HAS_AVX2, LEAF_7_EBX, 1u << 5, X64_HAS_AVX },
    { X64_HAS_BMI1, LEAF_7_EBX, 1u << 3, X64_HAS_AVX },
    { X64_HAS_BMI2, LEAF_7_EBX, 1u << 8, X64_HAS_AVX },
    { X64_HAS_LZCNT, LEAF_X1_ECX, 1u << 5, 0 },
    { X64_HAS_POPCNT, LEAF_1_ECX, 1u << 23, 0 },
    { X64_HAS_FMA, LEAF_1_ECX, 1u << 12, X64_HAS_AVX },
    { X64_HAS_F16C, LEAF_1_ECX, 1u << 29, X64_HAS_AVX },
    { X64_HAS_AES, LEAF_1_ECX, 1u << 25, 0 },
    { X64_HAS_PCLMUL, LEAF_1_ECX, 1u << 1, 0 },
    { X64_HAS_SHA, LEAF_7_EBX, 1u << 29, 0 },
    { X64_HAS_MOVBE, LEAF_1_ECX, 1u << 22, 0 },
    { X64_HAS_LAHF, LEAF_X1_ECX, 1u << 0, 0 },
    { X64_HAS_ERMS, LEAF_7_EBX, 1u << 9, 0 },
};

uint64_t x64_features_detect(uint64_t mask)
{
    uint32_t leaves[LEAVES] = { 0 };
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d))
        leaves[LEAF_1_ECX] = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        leaves[LEAF_7_EBX] = b;
    if (__get_cpuid(0x80000001u, &a, &b, &c, &d))
        leaves[LEAF_X1_ECX] = c;
    uint64_t found = 0;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct feature_row *row = &rows[i];
        if ((mask & row->feature) && (leaves[row->leaf] & row->bits) == row->bits && (row->needs & ~found) == 0)
            found |= row->feature;
    }
    if (found & X64_HAS_AVX) {
        uint32_t lo, hi;
        __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
        if ((lo & 6) != 6)
            found &= ~(uint64_t)(X64_HAS_AVX | X64_HAS_AVX2 | X64_HAS_BMI1 | X64_HAS_BMI2 | X64_HAS_FMA |
                                 X64_HAS_F16C);
    }
    return found;
}
