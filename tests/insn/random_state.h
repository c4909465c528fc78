// SPDX-License-Identifier: MIT
// Random register contents for tests of A64 instructions, biased to where mistakes live.
#ifndef TESTS_INSN_RANDOM_STATE_H
#define TESTS_INSN_RANDOM_STATE_H

#include "base/types.h"
#include "tests/fp/operands.h"

uint64_t random_integer(struct rng *rng);
// Half the states hold lanes of one size and kind throughout.
void random_vectors(struct rng *rng, union v128 v[32]);
// Every rounding mode alike; FZ, DN and AHP a quarter of the time each.
uint32_t random_fpcr(struct rng *rng);
// Mostly clear; else random cumulative bits, QC among them.
uint32_t random_fpsr(struct rng *rng);

#endif
