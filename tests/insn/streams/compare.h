// SPDX-License-Identifier: MIT
// When two runs of a stream count as equal: in every register, flag and byte of memory, but for what the Arm manual
// leaves open and what the oracle is known to get wrong (compare_allowances).
#ifndef TESTS_STREAM_COMPARE_H
#define TESTS_STREAM_COMPARE_H

#include "tests/insn/streams/stream.h"

#include <stdio.h>

// A difference that is not ours to mend. Each has a case in compare.c that applies it.
struct compare_allowance {
    const char *what, *manual; // section of the Arm ARM, DDI 0487
};
enum { COMPARE_ALLOWANCES = 5 };
extern const struct compare_allowance compare_allowances[COMPARE_ALLOWANCES];

extern const char *const stream_end_names[STREAM_ENDS];

// Makes ours equal to the oracle's where an allowance says so: states after the stream, and images. Returns a bit per
// allowance that was needed.
unsigned compare_allow(const struct stream *oracle, const uint8_t *oracle_memory, struct stream *ours, uint8_t *memory);
bool compare_equal(const struct stream *a, const uint8_t *a_memory, const struct stream *b, const uint8_t *b_memory);
// One line a register or first byte that differs; a is named ours.
void compare_print(FILE *out, const struct stream *ours, const uint8_t *memory, const char *name,
                   const struct stream *oracle, const uint8_t *oracle_memory);

#endif
