// SPDX-License-Identifier: MIT
// Random streams. A stream is a function of its seed and the profiles allowed, so that one that differs can be made
// again alone.
#ifndef TESTS_STREAM_GENERATE_H
#define TESTS_STREAM_GENERATE_H

#include "tests/insn/streams/stream.h"

enum profile { PROFILE_INTEGER, PROFILE_MEMORY, PROFILE_FP, PROFILE_SIMD, PROFILE_MIXED, PROFILE_COUNT };
extern const char *const profile_names[PROFILE_COUNT];

enum { STREAM_COUNT_DOWN = 0xd100077b }; // of a loop; without it the loop never ends

// Whether streams may hold the row: live, and the same at EL0 for us and for the oracle.
bool stream_allows(unsigned row);
// Whether the row raises an exception at EL0, always, so that it may only end a stream.
bool stream_ends(unsigned row);
// Fills code, count and state for a slot. profiles: bit per enum profile, at least one. Returns the one chosen.
enum profile stream_generate(struct stream *s, uint64_t seed, unsigned profiles, unsigned slot);
// Likewise, a single instruction of the row.
void stream_of_row(struct stream *s, uint64_t seed, unsigned row, unsigned slot);
// What memory holds before every stream.
void stream_image(uint8_t image[STREAM_IMAGE]);

#endif
