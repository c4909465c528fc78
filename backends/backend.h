// SPDX-License-Identifier: MIT
// What a host backend offers: compiling one IR unit into host code, entering it, linking direct exits.
//
// A backend owns the tier ABI of its host: units use one calling convention (x64: r12 = struct ir_env *), entered by
// one trampoline that saves the host's callee-saved registers and switches the FP control word to the guest's
// (env.fp_mode; exceptions accumulated meanwhile are ORed into env.fp_flags on the way out, and made visible there
// before any helper that reads or writes state). Between units all guest state is in env.
//
// Code is written through one mapping and run through another of the same memory (W^X): `rw` and `rx` differ by a
// constant. Threads: compile calls are serialised by the caller; enter runs on every vCPU thread at once; link and
// unlink are aligned atomic stores into live code.
#ifndef BACKENDS_BACKEND_H
#define BACKENDS_BACKEND_H

#include "ir/ir.h"

struct error;
struct log;

struct code_buffer {
    uint8_t *rw;       // writable view of the region
    const uint8_t *rx; // executable view of the same bytes
    size_t used, size; // bytes
    size_t cold;       // from here to size lies code that seldom runs: units grow from both ends. create() sets it
};

// A direct exit of a compiled unit that can be linked. Lives in a table beside the unit, owned by accel; its address
// is baked into the code and comes back in env.link_exit when the unlinked exit is taken.
struct backend_exit {
    const void *owner;       // accel's unit record, filled by accel
    int64_t pc_offset;       // successor PC relative to the pc_page the unit ran under
    uint32_t patch;          // offset in the code buffer of the jump that link() rewrites; 0: it jumps to target
    uint32_t stub;           // offset of its unlinked form
    const void *linked;      // what it jumps to now, NULL when unlinked (accel's bookkeeping)
    struct backend_exit *next_incoming, **from_incoming; // accel's list of exits that lead to one unit, and what leads here
    const void *_Atomic target; // a region's (patch 0): where it jumps, here or to backend_stubs.exit_unlinked
    uint32_t guard;          // of exits to other pages, whose successor depends on the context: offset of the code's copy of
                             // bound, with which it compares what env.exec_pages says; 0: within the page
    uint32_t bound;          // BACKEND_UNBOUND, or the low half of the only table of entries whose units it may be linked to,
                             // set by accel before the first link
};
// No table is there: tables are aligned to their size.
enum { BACKEND_UNBOUND = 0x7ffffff1 };

enum { BACKEND_MAX_EXITS = 64 };

struct backend_unit {
    const void *entry;   // executable address
    size_t code_size;    // bytes of the part that begins there
    const void *cold;    // the rest
    size_t cold_size;
    uint32_t exit_count; // of the exits[] handed in
};

struct backend_config {
    const struct ir_guest *guest;
    const struct ir_runtime *runtime; // slow paths, called from cold code
    const struct log *log;            // out_asm
    uint64_t feature_mask;            // host features allowed, all ones for those present; see the backend's header
    bool marked_exclusives;           // loads of IR_MEM_EXCLUSIVE go to the runtime, always
    bool evaluate_fp, evaluate_vectors; // by ir_eval instead of host code, to measure against
};

struct backend;
struct backend_stubs;

struct backend_ops {
    const char *name;
    // Emits the trampoline and shared thunks at the start of *code. 0, -ENOTSUP when the host lacks what is needed.
    int (*create)(const struct backend_config *config, struct code_buffer *code, struct backend **ret_backend,
                  struct error *err);
    void (*destroy)(struct backend *backend);
    // Appends the unit's code. exits has room for BACKEND_MAX_EXITS records at their final addresses. Returns 0;
    // -ENOSPC when the buffer is full (nothing appended: the caller evicts); -E2BIG when the unit is too large for
    // the backend (the caller translates fewer guest instructions).
    int (*compile)(struct backend *backend, const struct ir_unit *unit, struct code_buffer *code,
                   struct backend_exit *exits, struct backend_unit *ret_unit);
    // Runs translated code from entry until it leaves; returns an enum ir_exit with env.pc true. env.link_exit is the
    // direct exit taken when it left through an unlinked one, else NULL.
    int (*enter)(struct backend *backend, struct ir_env *env, const void *entry);
    // Those of exits with a guard: also from now on bound.
    void (*link)(struct backend *backend, struct code_buffer *code, struct backend_exit *exit, const void *entry);
    void (*unlink)(struct backend *backend, struct code_buffer *code, struct backend_exit *exit);
    // Disassembles code for the trace, best effort.
    void (*disassemble)(const void *code, size_t size, FILE *out);
    // What units go to where ir_exec_page.entries knows nothing (miss), and what regions of an optimiser leave through and
    // call; lives as long as the backend. See optimiser.h.
    const struct backend_stubs *(*stubs)(struct backend *backend);
};

extern const struct backend_ops x64_backend;

#endif
