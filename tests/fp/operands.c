// SPDX-License-Identifier: MIT
// splitmix64 and the operand generator described in operands.h.
#include "tests/fp/operands.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct rng rng_start(const char *test, uint64_t stream)
{
    const char *given = getenv("ISOMER_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t fresh =
        ((uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec ^ (uint64_t)getpid() << 44) & 0xffffffffffff;
    uint64_t seed = given ? strtoull(given, NULL, 0) : fresh;
    fprintf(stderr, "%s: ISOMER_SEED=0x%llx\n", test, (unsigned long long)seed);
    return (struct rng){seed + stream * 0x632be59bd9b4e019};
}

unsigned rng_rounds(unsigned base)
{
    const char *scale = getenv("ISOMER_SCALE");
    unsigned times = scale ? (unsigned)strtoul(scale, NULL, 10) : 1;
    return base * (times ? times : 1);
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

unsigned rng_below(struct rng *rng, unsigned n)
{
    return (unsigned)(rng_next(rng) >> 32) % n;
}

static uint64_t random_fraction(struct rng *rng, const struct fp_format *f)
{
    const uint64_t mask = (1ull << f->frac_bits) - 1;
    uint64_t a = 1ull << rng_below(rng, f->frac_bits + 1), b = 1ull << rng_below(rng, f->frac_bits + 1);
    switch (rng_below(rng, 8)) {
    case 0: return 0;
    case 1: return mask;
    case 2: return (a | b) & mask;
    case 3: return ~(a | b) & mask;
    case 4: return (a - b) & mask;
    case 5: return (0 - a) & mask;
    default: return rng_next(rng) & mask;
    }
}

static unsigned random_exponent(struct rng *rng, const struct fp_format *f)
{
    const unsigned max = (unsigned)f->exp_max;
    switch (rng_below(rng, 16)) {
    case 0:
    case 1: return 0;
    case 2: return max;
    case 3: return 1 + rng_below(rng, 4);
    case 4: return max - 1 - rng_below(rng, 4);
    case 5: return f->frac_bits + rng_below(rng, 4) < max ? f->frac_bits + rng_below(rng, 4) : 1;
    case 6:
    case 7:
    case 8: return f->bias - 4 + rng_below(rng, 8);
    case 9: return f->bias / 2 - 3 + rng_below(rng, 8);
    case 10: return f->bias * 3 / 2 - 3 + rng_below(rng, 8);
    case 11:
    case 12: return (f->bias + rng_below(rng, 72)) % max;
    default: return rng_below(rng, max + 1);
    }
}

uint64_t operand_random(struct rng *rng, const struct fp_format *f)
{
    uint64_t sign = (rng_next(rng) & 1) << (f->width - 1);
    return sign | (uint64_t)random_exponent(rng, f) << f->frac_bits | random_fraction(rng, f);
}

uint64_t operand_special(struct rng *rng, const struct fp_format *f)
{
    uint64_t sign = (rng_next(rng) & 1) << (f->width - 1);
    uint64_t inf = (uint64_t)f->exp_max << f->frac_bits, quiet = 1ull << (f->frac_bits - 1);
    uint64_t payload = 1 + rng_below(rng, 7);
    const uint64_t choice[] = {0,
                               (uint64_t)f->bias << f->frac_bits,
                               inf,
                               1,
                               inf | quiet,
                               inf | quiet | payload,
                               inf | payload,
                               inf | payload << (f->frac_bits - 4)};
    return sign | choice[rng_below(rng, 8)];
}

uint64_t operand_near(struct rng *rng, const struct fp_format *f, uint64_t a)
{
    const uint64_t top = 1ull << (f->width - 1), mask = top - 1 + top;
    uint64_t sign = (rng_next(rng) & 1) << (f->width - 1);
    uint64_t delta = rng_next(rng) % 5 - 2;
    switch (rng_below(rng, 8)) {
    case 0: return a ^ sign;
    case 1: return (a + delta) & mask;
    case 2: return ((a + (delta << f->frac_bits)) & mask) ^ sign;
    case 3: {
        uint64_t exp =
            (a >> f->frac_bits & f->exp_max) + rng_below(rng, 2 * f->frac_bits + 6) - f->frac_bits - 3;
        return sign | (exp & f->exp_max) << f->frac_bits | random_fraction(rng, f);
    }
    default: return operand_random(rng, f);
    }
}
