// SPDX-License-Identifier: MIT
// What an optimising tier offers: compiling a region, an ir_unit with loops that was merged from hot units, slowly and
// well. Its code lives beside the one-pass backend's and keeps the same ABI between units: all guest state in env,
// r12 = struct ir_env * on x64, rsp as the trampoline left it (8 below a multiple of 16, as after a call), the guest's
// FP control word loaded, entered and left by jumps only.
//
// An optimiser is a module loaded at run time (optimiser_entry below), so that starting Isomer costs nothing for it and
// Isomer runs without it. All calls come from one thread, the compile thread, except release, which the caller
// serialises with compile.
//
// A region's code is never patched. A direct exit jumps through its record: r13 = record, jump to record->target, which
// link and unlink change by an atomic store. All other ways out are tail jumps to the stubs of struct backend_stubs.
#ifndef BACKENDS_OPTIMISER_H
#define BACKENDS_OPTIMISER_H

#include "backends/backend.h"

// Code the one-pass backend emits once for regions; addresses are executable. "Tail" stubs are jumped to with guest state
// in env and the stack as at entry, arguments in r12, r13, r14 (LLVM: preserve_none). "Call" stubs are called with
// arguments in rdi, rsi, rdx, rcx, r8 and keep every register but r11 and a result in rax, vector registers
// too (preserve_all).
//
// FP exceptions: the host's control word accumulates those of the one-pass tier's code. A region that computes with the
// host's FP operations starts behind fp_check, which moves them to env.fp_flags; from there on that word alone is true,
// what the region's own operations leave in the control word is noise (they may be speculated), and the *_fp stubs
// forget it on the way out. A region without such operations leaves the control word alone.
struct backend_stubs {
    const void *exit_unlinked; // tail (env, struct backend_exit *): the target of an unlinked exit
    const void *jump;          // tail (env, pc): to the unit there by env.exec_pages; sets pc_page
    const void *miss;          // tail (env, pc): to the dispatcher
    const void *leave;         // tail (env, enum ir_exit code): env.pc is true
    const void *exit_fp;       // tail (env, struct backend_exit *): to its target
    const void *jump_fp, *leave_fp;
    const void *fp_check;      // tail (env, body, const void *const *fallback): to body if the inexact exception is in
                               // env.fp_flags or will be so, else to *fallback
    // Memory: pc is the instruction's offset from pc_page and goes to env.pc. Other state need not be in env: it is
    // stored when the code says that the region is left.
    const void *load;          // call (env, va, attr, pc) -> code; the value is in env.slow_value
    const void *store;         // call (env, va, attr, pc) -> code; the value is in env.slow_value
    const void *cas;           // call (env, va, attr, pc) -> code: slow_value expected and then old, slow_operand desired
    const void *rmw;           // call (env, va, attr, pc, kind) -> code: slow_value operand and then old
    const void *eval;          // call (env, const struct backend_eval_site *, const union ir_value *args): ir_eval by
                               // its site; result in env.slow_value, exceptions in env.fp_flags
    const void *fp_sync;       // call (env): moves exceptions to env.fp_flags, for helpers that use state
};

// An operation for the eval stub.
struct backend_eval_site {
    struct ir_insn insn;
    uint8_t types[4]; // enum ir_type of the arguments
};

// Memory that code of regions is made in: reserved once, within reach of a 32-bit displacement from the one-pass
// backend's code. Owned by accel; the optimiser takes and gives back page-aligned pieces through these calls, writes
// them while they are readable and writable, and makes them readable and executable before compile returns.
struct optimiser_memory {
    void *opaque;
    void *(*take)(void *opaque, size_t size); // NULL when the budget is spent
    void (*give)(void *opaque, void *at, size_t size);
};

struct optimiser_config {
    const struct ir_guest *guest;
    const struct log *log;
    const struct backend_stubs *stubs;
    struct optimiser_memory memory;
    uint64_t feature_mask; // as of backend_config
};

// How control may reach and leave a region.
struct optimiser_request {
    const struct ir_unit *unit;   // optimised IR; block 0 is the entry. Kept until compile returns
    struct backend_exit *exits;   // BACKEND_MAX_EXITS records at their final addresses
    const void *const *fallback;  // where the entry goes when the region's assumptions do not hold (FP status): the
                                  // code of a one-pass unit for the same PC, read at run time
    const char *name;             // for the perf map and traces
    bool anything;                // for tests: also what the one-pass tier does better
    // What an access does that misses the inline table. Usually it leaves the region for the one-pass unit of the same
    // instruction, which begins anew there; a fault has to be precise, so this is too. Here instead the runtime is called
    // and the region goes on: for lock-step and tests, where inline tables are empty.
    bool stays_inside;
};

struct optimiser_region {
    const void *entry;
    size_t code_size;
    uint32_t exit_count;
    void *handle; // of release
};

struct optimiser;

struct optimiser_ops {
    const char *name;
    int (*create)(const struct optimiser_config *config, struct optimiser **ret_optimiser, struct error *err);
    void (*destroy)(struct optimiser *optimiser);
    // 0; -ENOTSUP when the region holds something the tier leaves to the one-pass backend (says which to the log);
    // -ENOSPC when memory ran out; -E2BIG when it has more than BACKEND_MAX_EXITS exits.
    int (*compile)(struct optimiser *optimiser, const struct optimiser_request *request,
                   struct optimiser_region *ret_region);
    // Frees the region's code: nobody runs it any more.
    void (*release)(struct optimiser *optimiser, void *handle);
};

// The module's one symbol: returns its operations.
#define OPTIMISER_ENTRY "isomer_optimiser"
typedef const struct optimiser_ops *optimiser_entry(void);

#endif
