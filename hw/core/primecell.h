// SPDX-License-Identifier: MIT
// What Arm's PrimeCell devices share: identification registers in the last 32 bytes of their 4 KiB, and
// registers of 32 bits that may be accessed in part.
#ifndef HW_CORE_PRIMECELL_H
#define HW_CORE_PRIMECELL_H

#include <stdint.h>

enum { PRIMECELL_SIZE = 0x1000, PRIMECELL_ID = 0xfe0 };

// PeriphID0-3 (part number, designer Arm 0x41, revision), then CellID0-3.
static inline uint32_t primecell_id(uint64_t offset, unsigned part, unsigned revision)
{
    const uint8_t ids[] = {
        (uint8_t)part, 0x10 | (uint8_t)(part >> 8), (uint8_t)(revision << 4 | 4), 0, 0x0d, 0xf0, 0x05, 0xb1};
    return ids[(offset - PRIMECELL_ID) / 4 & 7];
}

// The part of a register that a read of size bytes at offset sees.
static inline uint32_t primecell_part(uint32_t reg, uint64_t offset, unsigned size)
{
    reg >>= (offset & 3) * 8;
    return size < 4 ? reg & ((1u << size * 8) - 1) : reg;
}

#endif
