// SPDX-License-Identifier: MIT
// Random units over the toy guest, for differential tests: whatever runs a unit must leave the same state,
// memory and exit as whatever else runs it. Units verify, always end, touch memory below `memory_size` except
// for rare faults, and are a function of the seed alone.
#ifndef TESTS_IR_RANDOM_UNIT_H
#define TESTS_IR_RANDOM_UNIT_H

#include "tests/ir/toy_guest.h"

enum random_class {
    RANDOM_INT = 1 << 0,    // integers and selects
    RANDOM_FLAGS = 1 << 1,
    RANDOM_CRC = 1 << 2,
    RANDOM_MEM = 1 << 3,    // loads and stores
    RANDOM_ATOMIC = 1 << 4, // cas, rmw, fences, acquire and release
    RANDOM_CALL = 1 << 5,
    RANDOM_BRANCH = 1 << 6, // several blocks, loops, polls
    RANDOM_FP = 1 << 7,     // f32 and f64
    RANDOM_FP16 = 1 << 8,   // f16 too
    RANDOM_VEC = 1 << 9,
    RANDOM_AES = 1 << 10,   // and carry-less products
    RANDOM_ALL = (1 << 11) - 1,
};

struct random_options {
    uint32_t classes;         // enum random_class
    unsigned insns;           // about how many guest instructions; 0 = 12
    uint32_t fp_mode;         // of the unit: rounding, FTZ, DN ... of its arithmetic
    uint64_t memory_size;     // power of two; 0 = 4096
    bool big_endian;          // some accesses are
    bool calm;                // no exits by helpers, no faults by design, no polls
    uint8_t skip[IR_OP_COUNT]; // nonzero: leave the op out
};

struct random_source {
    uint64_t seed, state;
};

// The seed of this run: ISOMER_SEED if set (hexadecimal), else from the clock. Printed by the caller on
// failure.
uint64_t random_run_seed(void);
void random_start(struct random_source *random, uint64_t seed);
uint64_t random_bits(struct random_source *random);
// 0 .. below - 1.
unsigned random_below(struct random_source *random, unsigned below);
// Full-width values with a taste for edges: small, all ones, single bits, FP specials.
uint64_t random_edgy(struct random_source *random, enum ir_type type);

// Resets a toy over size bytes of memory and fills its fields and memory by the seed alone. The loop counter field (w3)
// gets a small number; one seed in eight has used up its budget.
void random_toy(struct toy_state *toy, uint8_t *memory, uint64_t size, uint64_t seed);
void random_unit(struct random_source *random, const struct random_options *options,
                 struct ir_unit *ret_unit);

#endif
