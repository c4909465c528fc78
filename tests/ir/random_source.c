// SPDX-License-Identifier: MIT
// Where random units and states come from: the seeded generator, and values with a taste for edges (small, all ones,
// single bits, FP specials), since uniform ones meet hardly any.
#include "tests/ir/random_maker.h"

#include "base/bits.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t random_run_seed(void)
{
    const char *text = getenv("ISOMER_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return text ? strtoull(text, NULL, 16) : (uint64_t)now.tv_sec * 1000003 ^ (uint64_t)now.tv_nsec;
}

void random_start(struct random_source *random, uint64_t seed)
{
    random->seed = random->state = seed;
}

uint64_t random_bits(struct random_source *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

unsigned random_below(struct random_source *random, unsigned below)
{
    return (unsigned)((random_bits(random) >> 32) * below >> 32);
}

bool random_chance(struct random_source *random, unsigned percent)
{
    return random_below(random, 100) < percent;
}

static uint64_t edgy_float(struct random_source *random, unsigned width)
{
    const unsigned frac = width == 16 ? 10 : width == 32 ? 23 : 52, exp_bits = width - 1 - frac;
    const uint64_t bias = bits_mask(exp_bits - 1), sign = random_bits(random) & 1;
    uint64_t exp = bias + random_below(random, 9) - 4, mant = random_bits(random) & bits_mask(frac);
    switch (random_below(random, 8)) {
    case 0: exp = 0, mant = 0; break;
    case 1: exp = 0; break;
    case 2: exp = bits_mask(exp_bits), mant = 0; break;
    case 3: exp = bits_mask(exp_bits); break;
    case 4: mant = 0; break;
    case 5: exp = random_bits(random) & bits_mask(exp_bits); break;
    }
    return sign << (width - 1) | exp << frac | mant;
}

uint64_t random_edgy(struct random_source *random, enum ir_type type)
{
    if (ir_type_is_float(type))
        return edgy_float(random, ir_type_size(type) * 8);
    uint64_t mask = type == IR_I1 ? 1 : bits_mask(ir_type_size(type) * 8), v = random_bits(random);
    switch (random_below(random, 8)) {
    case 0: v = random_below(random, 4); break;
    case 1: v = 0 - (uint64_t)random_below(random, 4); break;
    case 2: v = 1ull << (v & 63); break;
    case 3: v = (1ull << (v & 63)) - 1; break;
    case 4: v = bits_get(v, 0, 8); break;
    }
    return v & mask;
}

union v128 random_edgy_vector(struct random_source *random)
{
    union v128 v;
    switch (random_below(random, 4)) {
    case 0:
        for (unsigned i = 0; i < 4; i++)
            v.s[i] = (uint32_t)random_edgy(random, IR_F32);
        break;
    case 1:
        for (unsigned i = 0; i < 8; i++)
            v.h[i] = (uint16_t)random_edgy(random, random_chance(random, 50) ? IR_F16 : IR_I16);
        break;
    default:
        for (unsigned i = 0; i < 2; i++)
            v.d[i] = random_edgy(random, random_chance(random, 50) ? IR_F64 : IR_I64);
    }
    return v;
}

static uint32_t edgy_flags(struct random_source *random)
{
    uint64_t bits = random_bits(random);
    return (bits & 1 ? IR_FLAG_N : 0) | (bits & 2 ? IR_FLAG_Z : 0) | (bits & 4 ? IR_FLAG_C : 0) |
           (bits & 8 ? IR_FLAG_V : 0);
}

void random_toy(struct toy_state *toy, uint8_t *memory, uint64_t size, uint64_t seed)
{
    struct random_source random;
    random_start(&random, seed);
    toy_reset(toy, memory, size);
    for (unsigned f = 0; f < TOY_FIELD_COUNT; f++) {
        const struct ir_field *field = &toy_guest.layout->fields[f];
        union v128 v = random_edgy_vector(&random);
        if (field->type == IR_FLAGS)
            v.d[0] = edgy_flags(&random);
        else if (field->type != IR_V128)
            v.d[0] = random_edgy(&random, field->type);
        memcpy((char *)toy + field->offset, &v, ir_type_size(field->type));
    }
    toy->w[3] = random_below(&random, 5);
    for (uint64_t i = 0; i < size; i++)
        memory[i] = (uint8_t)random_bits(&random);
    toy->env.pc_page = 0x10000;
    toy->env.budget = (seed & 7) == 0 ? -1 : 0;
}
