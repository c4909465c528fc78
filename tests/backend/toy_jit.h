// SPDX-License-Identifier: MIT
// The toy guest under the x64 backend: a code buffer mapped twice, a state with inline tables and pages of code, and a
// comparison against the interpreter. One thread.
#ifndef TESTS_BACKEND_TOY_JIT_H
#define TESTS_BACKEND_TOY_JIT_H

#include "backends/backend.h"
#include "tests/ir/toy_guest.h"

enum { TOY_JIT_MEMORY = 4 * IR_PAGE_SIZE, TOY_JIT_TLB = 16 };

struct toy_jit {
    struct backend *backend;
    struct code_buffer code;
    size_t first_used; // what the thunks take
    struct backend_exit exits[BACKEND_MAX_EXITS];
    struct ir_tlb_entry tlb[TOY_JIT_TLB];
    struct ir_exec_page pages[IR_EXEC_PAGES];
    _Alignas(4096) _Atomic uint32_t entries[IR_CODE_SLOTS]; // of the page of toy_jit_knows
};

void toy_jit_create(struct toy_jit *jit, uint64_t feature_mask);
void toy_jit_destroy(struct toy_jit *jit);
// Points the state's tables at the jit's and empties them; pages of `pages` (bit n: page n) get entries.
void toy_jit_tables(struct toy_jit *jit, struct toy_state *toy, uint32_t readable, uint32_t writable);
// From now on code finds unit at pc under key: the only unit of the only page.
void toy_jit_knows(struct toy_jit *jit, uint64_t pc, uint32_t key, const void *unit);
// Compiles into an emptied buffer. Fails the test on an error.
void toy_jit_compile(struct toy_jit *jit, const struct ir_unit *unit, struct backend_unit *ret_unit);
// Leaves rubbish where the trampoline's frame will be, so that a slot read before it is written shows.
void toy_jit_soil_stack(void);
// As toy_differs, with the junk that packed flags may carry masked first.
bool toy_jit_differs(struct toy_state *a, struct toy_state *b, char *text, size_t size);

#endif
