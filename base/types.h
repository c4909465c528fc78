// SPDX-License-Identifier: MIT
// Address types. A guest virtual, a guest physical and a host address never mix by accident: each is a
// one-member struct. Translated code and IR values hold raw 64-bit integers; the C side wraps them.
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gva {
    uint64_t v;
};
struct gpa {
    uint64_t v;
};

// A 128-bit value as the guest's vector registers hold it: lane 0 of any element size is least significant.
union v128 {
    uint8_t b[16];
    uint16_t h[8];
    uint32_t s[4];
    uint64_t d[2];
    int8_t sb[16];
    int16_t sh[8];
    int32_t ss[4];
    int64_t sd[2];
    float f[4];
    double g[2];
} __attribute__((aligned(16)));

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
