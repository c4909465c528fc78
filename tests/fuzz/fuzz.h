// SPDX-License-Identifier: MIT
// What the fuzz targets share: an input as a supply of choices, and checks.
//
// A target is one file that defines LLVMFuzzerTestOneInput. It is linked with replay_main.c, or in a build
// with -Dfuzzer=true with libFuzzer, and finds something by crashing, hanging, leaking or failing a
// FUZZ_CHECK. The same bytes do the same again: no target asks the host for time or randomness. What a target
// makes once and keeps is reset by the next input.
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Always 0.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                          \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

// What is left of an input. Behind its end come zeros.
struct fuzz_input {
    const uint8_t *data;
    size_t size;
};

static inline uint64_t fuzz_number(struct fuzz_input *in, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes && in->size; i++, in->data++, in->size--)
        v |= (uint64_t)*in->data << 8 * i;
    return v;
}

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
    return (uint8_t)fuzz_number(in, 1);
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
    return (uint16_t)fuzz_number(in, 2);
}

static inline uint32_t fuzz_u32(struct fuzz_input *in)
{
    return (uint32_t)fuzz_number(in, 4);
}

static inline uint64_t fuzz_u64(struct fuzz_input *in)
{
    return fuzz_number(in, 8);
}

// Below a bound of at least 1.
static inline uint32_t fuzz_below(struct fuzz_input *in, uint32_t bound)
{
    return (uint32_t)(fuzz_number(in, bound > 0x10000 ? 4 : bound > 0x100 ? 2 : 1) % bound);
}

// At most len bytes, where they lie in the input; *ret_len says how many there are.
static inline const uint8_t *fuzz_bytes(struct fuzz_input *in, size_t len, size_t *ret_len)
{
    const uint8_t *bytes = in->data;
    *ret_len = len < in->size ? len : in->size;
    in->data += *ret_len;
    in->size -= *ret_len;
    return bytes;
}

// A value as guests write them, small or with one bit or all of them, or any.
static inline uint64_t fuzz_value(struct fuzz_input *in)
{
    uint8_t kind = fuzz_u8(in);
    switch (kind & 7) {
    case 0:
    case 1:
    case 2: return kind >> 3;
    case 3: return 1ull << fuzz_below(in, 64);
    case 4: return ~(uint64_t)(kind >> 3);
    case 5: return fuzz_u16(in);
    case 6: return fuzz_u32(in);
    default: return fuzz_u64(in);
    }
}

#endif
