// SPDX-License-Identifier: MIT
// A64 decode: one table (a64_*.decode, read by tools/gen_decode.py), four products: decoder, disassembler,
// random-instruction generator and the list of rows that a coverage bitmap is indexed by.
//
// a64_rows.gen.h holds enum a64_row, struct a64_insn (the raw fields, rows of the tables name them), enum
// a64_class, enum a64_feature, and A64_ROWS(X) with X(name) for every live row. A translator implements bool
// a64_tr_<name>() for each of those; rows marked "later" belong to later architecture versions.
//
// All functions are pure, from any thread; none allocates. Source: Arm ARM (DDI 0487) C4.1.
#ifndef A64_DECODE_H
#define A64_DECODE_H

#include "frontends/a64/a64_rows.gen.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum a64_row_status {
    A64_LIVE,
    A64_LATER, // UNDEFINED on the CPU we build; reason says what it is
};

enum a64_register_file {
    A64_REG_NONE,
    A64_REG_GPR,
    A64_REG_VEC,
};

struct a64_field {
    const char *name;
    uint8_t lsb, width;
    uint8_t file; // enum a64_register_file: what the field numbers
};

struct a64_row_info {
    const char *name, *pattern;
    const char *assembly;               // NULL where later
    const char *later_feature, *reason; // NULL where live
    uint32_t mask, value;               // bits the row fixes
    uint32_t should_mask, should_value; // (0) and (1) bits: not decoded
    uint8_t status;                     // enum a64_row_status
    uint8_t class;                      // enum a64_class
    uint8_t feature;                    // enum a64_feature
    const struct a64_field *fields;     // most significant first
    uint8_t field_count;
};

extern const struct a64_row_info a64_rows[A64_ROW_COUNT];

// True for a live row. False is UNDEFINED: *ret then has the "later" row and its fields, or row ==
// A64_ROW_COUNT for what no architecture version we know of allocates. Features the machine lacks are the
// caller's to check.
bool a64_decode(uint32_t word, struct a64_insn *ret);

// Whether the encoding is CONSTRAINED UNPREDICTABLE for its operands (LDP into one register, writeback over a
// register that is transferred, wrong should-be bits): implementations differ, so differential tests leave it
// out.
bool a64_unpredictable(const struct a64_insn *insn);

// Assembly template of the preferred alias; NULL for a row marked later.
const char *a64_alias(const struct a64_insn *insn);

// Writes the instruction at pc as text, truncated to size (which may be 0), always terminated; returns the
// length it has untruncated. What is not live prints as .inst with its row.
int a64_disasm(uint32_t word, uint64_t pc, char *buf, size_t size);

// What a64_random_insn() may produce. All-ones allows everything; a set that excludes everything yields NOP.
struct a64_random_options {
    uint32_t features;   // bit per enum a64_feature
    uint32_t classes;    // bit per enum a64_class
    uint32_t gprs;       // registers for general-register fields; bit 31 is SP or ZR
    uint32_t vregs;      // registers for vector-register fields
    uint32_t bases;      // registers for the base of an address (rn of class memory)
    const uint8_t *rows; // NULL, or a byte per row: 0 excludes it
    bool unpredictable;  // also yield what a64_unpredictable() names
};

// Lists (LD4, TBL) use the registers after the one a field names, modulo 32, whatever vregs says.
//
// A random live instruction: row uniform among the allowed ones, fields random with a bias to edge values,
// conditions respected. Advances *state (any value but 0 seeds it); the same state and options give the same
// word.
uint32_t a64_random_insn(uint64_t *state, const struct a64_random_options *options);

// A random word of one row, live or later, with the same register rules.
uint32_t a64_random_of_row(uint64_t *state, const struct a64_random_options *options, enum a64_row row);

#endif
