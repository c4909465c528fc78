// SPDX-License-Identifier: MIT
// The same A64 stream in one of several engines, over registers only: our translators under the IR
// interpreter or the x64 backend, libunicorn, and qemu-aarch64 with the program of tests/insn/streams. Streams end
// by falling off; they access no memory and do not branch. One thread.
#ifndef SIMD_ENGINE_H
#define SIMD_ENGINE_H

#include "base/types.h"

enum simd_engine_kind { SIMD_INTERPRETER, SIMD_X64, SIMD_UNICORN, SIMD_QEMU, SIMD_ENGINES };
extern const char *const simd_engine_names[SIMD_ENGINES];

enum { SIMD_MAX_STREAM = 32 };

struct simd_state {
    uint64_t x[31];
    uint32_t nzcv, fpcr, fpsr; // as MRS reads them
    union v128 v[32];
};

struct simd_engine;

// NULL where this host cannot run the engine. QEMU needs the guest program's path in ISOMER_STREAM_GUEST.
struct simd_engine *simd_engine_open(enum simd_engine_kind kind);
void simd_engine_close(struct simd_engine *engine);
// Runs count instructions on *state. NULL, or what went wrong in words that live until the next call.
const char *simd_engine_run(struct simd_engine *engine, const uint32_t *code, unsigned count,
                            struct simd_state *state);
// Runs one instruction in one of our engines with FP access disabled at EL1: NULL if all it did was to raise
// the exception with this syndrome.
const char *simd_engine_trap(struct simd_engine *engine, uint32_t word, uint32_t esr);
// Runs one instruction in one of our engines; returns how the unit was left, an enum ir_exit, or -1.
int simd_engine_exit(struct simd_engine *engine, uint32_t word);

#endif
