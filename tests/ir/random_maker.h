// SPDX-License-Identifier: MIT
// Internal to the random unit generator: the unit in the making and what its files share. Values are remembered with
// the block that defines them and offered only where that block dominates.
#ifndef TESTS_IR_RANDOM_MAKER_H
#define TESTS_IR_RANDOM_MAKER_H

#include "tests/ir/random_unit.h"

enum { MAKER_BLOCKS = 12, MAKER_VALUES = 4096, MAKER_COUNTER = TOY_FIELD_W0 + 3 };

enum {
    MAKER_INTS = 1 << IR_I1 | 1 << IR_I8 | 1 << IR_I16 | 1 << IR_I32 | 1 << IR_I64,
    MAKER_FLOATS = 1 << IR_F16 | 1 << IR_F32 | 1 << IR_F64,
};

struct maker {
    struct random_source *random;
    struct random_options options;
    struct ir_unit *unit;
    unsigned blocks, block;
    uint32_t next[MAKER_BLOCKS][2];
    uint32_t dominators[MAKER_BLOCKS];
    uint32_t values[MAKER_VALUES]; // in order of definition
    uint8_t homes[MAKER_VALUES];   // block of each
    unsigned value_count;
    uint32_t bases[64]; // addresses in bounds
    uint8_t base_homes[64];
    unsigned base_count;
    uint64_t pc;
    uint32_t test; // an i1 of this block that its end should branch on, or IR_NO_VALUE
    bool put_done; // in this instruction: no more ops that fault
    bool restart;
};

bool random_chance(struct random_source *random, unsigned percent);
union v128 random_edgy_vector(struct random_source *random);

// ---- random_unit.c ---------------------------------------------------------------------------------------
void maker_remember(struct maker *m, uint32_t id);
bool maker_visible(const struct maker *m, unsigned home);
// A value of the type that is defined here: an old one, most of the time.
uint32_t maker_value(struct maker *m, enum ir_type type);
enum ir_type maker_type(struct maker *m, uint32_t types); // one of the set
uint32_t maker_types(const struct maker *m, enum ir_kind kind);
void maker_marker(struct maker *m); // a guest instruction begins
void maker_put(struct maker *m);

// ---- one step each ---------------------------------------------------------------------------------------
void maker_compute(struct maker *m);
void maker_access(struct maker *m);
void maker_atomic(struct maker *m);
void maker_call(struct maker *m);
void maker_flag_shape(struct maker *m); // several guest instructions

#endif
