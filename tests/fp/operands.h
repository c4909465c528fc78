// SPDX-License-Identifier: MIT
// Random operands for the FP tests, biased to where mistakes live: zeros, subnormals, the ends of the range,
// NaNs with payloads, sparse significands that make ties and cancellations.
#ifndef TESTS_FP_OPERANDS_H
#define TESTS_FP_OPERANDS_H

#include "base/fp/fp.h"

struct rng {
    uint64_t state;
};

// Seeds from ISOMER_SEED, else afresh; prints the seed on stderr. stream tells one test's numbers from
// another's.
struct rng rng_start(const char *test, uint64_t stream);
// base, or as many times that as ISOMER_SCALE says: the same test serves the quick suite and a long run.
unsigned rng_rounds(unsigned base);
uint64_t rng_next(struct rng *rng);
// 0 <= result < n.
unsigned rng_below(struct rng *rng, unsigned n);

uint64_t operand_random(struct rng *rng, const struct fp_format *f);
// One of zero, one, infinity, the least subnormal, two quiet and two signalling NaNs, either sign.
uint64_t operand_special(struct rng *rng, const struct fp_format *f);
// Half the time close to a in exponent or significand, else as operand_random.
uint64_t operand_near(struct rng *rng, const struct fp_format *f, uint64_t a);

#endif
