// SPDX-License-Identifier: MIT
// The table of known differences between the decode table and LLVM, tests/decode/differences.txt:
//
//     KIND SUBJECT [when CONDITION] : reason
//
// KIND is "ours" (live here, refused by LLVM), "llvm" (the other way round), "unlisted" (LLVM with all
// extensions knows it, and it is no row), "later" (a row marked later that LLVM does not know), "name"
// (mnemonics differ) or "text" (operands differ). SUBJECT is a row, * for all of them, 32 characters of 0, 1,
// x and separators
// "_", or for "name" OURS/THEIRS, each a mnemonic, OURS possibly *. CONDITION is FIELD == or != FIELD or
// number, joined by "and"; the field should_be is 1 where all bits that the row writes in parentheses have
// that value.
#ifndef TESTS_DECODE_DIFFERENCES_H
#define TESTS_DECODE_DIFFERENCES_H

#include "frontends/a64/decode.h"

enum difference_kind {
    DIFFERENCE_OURS,
    DIFFERENCE_LLVM,
    DIFFERENCE_UNLISTED,
    DIFFERENCE_LATER,
    DIFFERENCE_NAME,
    DIFFERENCE_TEXT,
};

extern const char *const difference_kind_names[];

struct differences;

// NULL after printing what is wrong with the file. The caller frees.
struct differences *differences_load(const char *path);
void differences_free(struct differences *d);

// Whether a line explains this one; counts it there.
bool differences_explain(struct differences *d, enum difference_kind kind, const struct a64_insn *insn,
                         const char *ours, const char *theirs);

// How many lines explained nothing; prints them if asked.
unsigned differences_unused(const struct differences *d, bool print);

#endif
