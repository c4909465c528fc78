// SPDX-License-Identifier: MIT
// Host processor features the code generator chooses by, from CPUID and under a mask (backend_config.feature_mask,
// these bits). The floor is SSE4.2 with CMPXCHG16B; anything else may be absent.
#ifndef BACKENDS_X64_FEATURES_H
#define BACKENDS_X64_FEATURES_H

#include <stdint.h>

enum x64_feature {
    X64_HAS_SSE42 = 1 << 0, // SSE3 to SSE4.2 and CMPXCHG16B: the floor
    X64_HAS_AVX = 1 << 1,   // with the OS saving YMM state
    X64_HAS_AVX2 = 1 << 2,
    X64_HAS_BMI1 = 1 << 3,
    X64_HAS_BMI2 = 1 << 4,
    X64_HAS_LZCNT = 1 << 5,
    X64_HAS_POPCNT = 1 << 6,
    X64_HAS_FMA = 1 << 7,
    X64_HAS_F16C = 1 << 8,
    X64_HAS_AES = 1 << 9,
    X64_HAS_PCLMUL = 1 << 10,
    X64_HAS_SHA = 1 << 11,
    X64_HAS_MOVBE = 1 << 12,
    X64_HAS_LAHF = 1 << 13,
    X64_HAS_ERMS = 1 << 14,
};

// The host's features; a feature whose prerequisites the mask removes goes too.
uint64_t x64_features_detect(uint64_t mask);

#endif
