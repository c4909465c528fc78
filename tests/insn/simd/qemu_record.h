// SPDX-License-Identifier: MIT
// What the test and the program it runs under qemu-aarch64 send each other. qemu_guest.S knows the offsets.
#ifndef SIMD_QEMU_RECORD_H
#define SIMD_QEMU_RECORD_H

#include "base/types.h"

struct simd_record {
    uint64_t x[31], pad;
    union v128 v[32];
    uint64_t nzcv, fpcr, fpsr;
    uint32_t code[32], count, unused;
};
_Static_assert(offsetof(struct simd_record, v) == 256 && offsetof(struct simd_record, nzcv) == 768,
               "qemu_guest.S");

#endif
