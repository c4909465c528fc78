// SPDX-License-Identifier: MIT
// A guest that exists only for tests: registers of every kind, a few helpers, and a runtime over a flat byte
// array at guest address 0. The interpreter, the passes and the backends are tried on it, against each other.
//
// One thread; struct toy_state owns nothing, the caller owns its memory array.
#ifndef TESTS_IR_TOY_GUEST_H
#define TESTS_IR_TOY_GUEST_H

#include "ir/ir.h"

enum { TOY_X = 16, TOY_W = 4, TOY_V = 8, TOY_D = 4 };

struct toy_state {
    struct ir_env env;
    uint64_t x[TOY_X];
    uint32_t w[TOY_W];
    uint32_t flags;    // packed, enum ir_flag_bits
    uint8_t i1, i8;
    uint16_t i16;
    union v128 v[TOY_V];
    uint64_t d[TOY_D]; // f64
    uint32_t s[TOY_D]; // f32
    uint16_t h[TOY_D]; // f16
    // Not fields: the runtime's.
    uint8_t *memory;
    uint64_t memory_size; // accesses past it fault
    uint64_t fault_va;    // of the last fault
    uint32_t fault_attr;
    uint32_t calls;       // made to helpers that have an effect
};

// Field numbers in toy_guest.layout.
enum toy_field {
    TOY_FIELD_X0 = 0,
    TOY_FIELD_W0 = TOY_FIELD_X0 + TOY_X,
    TOY_FIELD_FLAGS = TOY_FIELD_W0 + TOY_W,
    TOY_FIELD_I1,
    TOY_FIELD_I8,
    TOY_FIELD_I16,
    TOY_FIELD_V0,
    TOY_FIELD_D0 = TOY_FIELD_V0 + TOY_V,
    TOY_FIELD_S0 = TOY_FIELD_D0 + TOY_D,
    TOY_FIELD_H0 = TOY_FIELD_S0 + TOY_D,
    TOY_FIELD_COUNT = TOY_FIELD_H0 + TOY_D
};

enum toy_helper {
    TOY_HELPER_MIX,   // pure: i64 mix(i64, i64)
    TOY_HELPER_SUM,   // reads state: i64 sum() of x0..x3
    TOY_HELPER_BUMP,  // writes state: void bump(i64) adds to x0 and x1
    TOY_HELPER_TRAP,  // exits with IR_EXIT_STATE if its argument is odd: void trap(i64)
    TOY_HELPER_COUNT_CALL, // impure: i64 count_call(), how often it was called
    TOY_HELPER_CLEAR_FP, // writes state: void clear_fp() drops the accumulated FP exceptions
    TOY_HELPER_COUNT
};

extern const struct ir_guest toy_guest;
extern const struct ir_runtime toy_runtime;

// Clears the state and gives it memory (size bytes at guest address 0) and an empty inline table of no use.
void toy_reset(struct toy_state *toy, void *memory, uint64_t size);

// Where two states differ in what a guest can see (fields, pc, fp_flags, fault): a static description into
// text, or false if they agree. Memory contents are compared too.
bool toy_differs(const struct toy_state *a, const struct toy_state *b, char *text, size_t size);

#endif
