// SPDX-License-Identifier: MIT
// A stream: up to 32 random A64 instructions, the state they start from and the state they leave, with how they
// ended. The layout is shared with the program that runs streams under qemu-aarch64 (guest.c), through a file mapped
// by both sides. Streams run at EL0 with TBI0 set, at fixed addresses over the pages of stream_pages.
#ifndef TESTS_STREAM_H
#define TESTS_STREAM_H

#include "base/types.h"

enum {
    STREAM_INSNS = 32,
    STREAM_WORDS = 64, // a slot: the instructions, the word that ends them, literals
    STREAM_BATCH = 64,
    STREAM_DATA = 0x40000000, // guest address of the first page of data
    STREAM_CODE = 0x40010000, // of slot 0
    STREAM_EXIT = 0xd42eee00, // brk #0x7770 at code[count]
    STREAM_CODE_SIZE = STREAM_BATCH * STREAM_WORDS * 4, // bytes
    STREAM_PAGE = 4096,
};

// The pages from STREAM_DATA on. Those with contents lie in this order in an image.
enum stream_page { STREAM_HOLE, STREAM_NO_ACCESS, STREAM_READ_ONLY, STREAM_READ_WRITE };
static const uint8_t stream_pages[] = {STREAM_HOLE, STREAM_READ_WRITE, STREAM_READ_WRITE, STREAM_HOLE,
                                       STREAM_READ_ONLY, STREAM_READ_WRITE, STREAM_NO_ACCESS, STREAM_HOLE};
enum { STREAM_PAGES = sizeof stream_pages, STREAM_IMAGE_PAGES = 4, STREAM_IMAGE = STREAM_IMAGE_PAGES * STREAM_PAGE };

enum stream_end {
    STREAM_FELL_OFF,    // reached code[count]
    STREAM_UNDEFINED,   // UNDEFINED, or trapped as a system or FP instruction
    STREAM_BREAKPOINT,  // BRK
    STREAM_TRANSLATION, // data abort: nothing mapped
    STREAM_PERMISSION,  // data abort
    STREAM_ALIGNMENT,   // data abort, or a misaligned PC or SP
    STREAM_LOST,        // anything else; never expected
    STREAM_ENDS
};

// Conditions the oracle cannot be put under: our engines are compared with each other then.
enum stream_regime {
    STREAM_BIG_ENDIAN = 1 << 0, // SCTLR_EL1.E0E
    STREAM_ALIGNED = 1 << 1,    // SCTLR_EL1.A
    STREAM_SP_ALIGNED = 1 << 2, // SCTLR_EL1.SA0
    STREAM_FP_TRAPPED = 1 << 3, // CPACR_EL1.FPEN
};

struct stream_state {
    uint64_t x[31], sp;
    union v128 v[32];
    uint64_t pc;
    uint32_t nzcv, fpcr, fpsr; // as MRS reads them
    uint32_t end;              // enum stream_end
    uint64_t address;          // data aborts: the first byte that faulted, without its tag
};

struct stream {
    uint32_t code[STREAM_WORDS];
    uint32_t count;
    uint32_t slot; // where it runs: STREAM_CODE + slot * 4 * STREAM_WORDS
    uint32_t regime; // enum stream_regime bits
    uint32_t unused;
    uint64_t seed;
    struct stream_state state; // before, and after it was run
};

static inline uint64_t stream_address(const struct stream *s, unsigned insn)
{
    return STREAM_CODE + 4 * ((uint64_t)s->slot * STREAM_WORDS + insn);
}

// What both sides of the pipe see. image is what every stream finds in memory, memory[n] what stream n leaves.
struct stream_batch {
    uint64_t count;
    uint8_t image[STREAM_IMAGE];
    struct stream streams[STREAM_BATCH];
    uint8_t memory[STREAM_BATCH][STREAM_IMAGE];
};

#endif
