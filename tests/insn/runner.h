// SPDX-License-Identifier: MIT
// Runs single units of A64 code as accel does, by the IR interpreter, as code of the x64 backend or of the optimising
// tier: translated, verified, optimised, verified again. The memory behind them is the caller's (runtime, and env.mmu
// for the inline table). One thread; a runner keeps one unit at a time.
#ifndef TESTS_INSN_RUNNER_H
#define TESTS_INSN_RUNNER_H

#include "accel/guest_isa.h"

enum runner_engine { RUNNER_INTERPRETER, RUNNER_X64, RUNNER_LLVM, RUNNER_ENGINES };

struct runner_config {
    enum runner_engine engine;
    const struct ir_runtime *runtime; // outlives the runner
    uint64_t features;                // compiled: mask of enum x64_feature, 0 for all the host has
};

struct runner;

// NULL where the host cannot run the engine.
struct runner *runner_create(const struct runner_config *config);
void runner_destroy(struct runner *runner);
// Whether units are optimised before they run; they are unless told otherwise. Compiled ones always are.
void runner_optimise(struct runner *runner, bool on);
// Runs one unit from the request on. Returns its enum ir_exit, or -1 with a message where the unit does not verify
// or compile. request->max_insns shrinks until the unit is not too large for the backend.
int runner_run(struct runner *runner, struct ir_env *env, struct guest_translate *request);
// RUNNER_LLVM: `count` units from now on are compiled by the optimising tier, then units are the backend's. With `hot`
// zero, which is how a runner starts, each is a unit alone. Otherwise it is a region of its page, whatever max_insns
// says; parts begin in its aligned 256 bytes where `hot` has the word's bit.
void runner_regions(struct runner *runner, unsigned count, uint64_t hot);
struct runner_counts {
    uint64_t regions, parts, refused; // that the optimising tier compiled; what they were joined from; what it did not
};
struct runner_counts runner_counts(const struct runner *runner);
const char *runner_message(const struct runner *runner); // of the last failure

#endif
