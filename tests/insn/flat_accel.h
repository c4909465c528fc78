// SPDX-License-Identifier: MIT
// An accel for tests: one A64 vCPU over a byte array of physical memory, run by the IR interpreter or the x64
// backend. Every access that the inline table does not answer is walked by the frontend, so page tables in the
// array work. What helpers ask of accel is counted. One thread; guest-caused conditions become exceptions of the
// guest as in the product.
#ifndef FLAT_ACCEL_H
#define FLAT_ACCEL_H

#include "accel/guest_api.h"
#include "frontends/a64/isa.h"
#include "frontends/a64/state.h"
#include "tests/insn/runner.h"

enum { FLAT_TLB = 8 }; // entries of an inline table: few, so that pages compete

struct flat_config {
    enum runner_engine engine;
    uint64_t features;      // of the host, see struct runner_config
    const char *model;      // NULL: "max"
    uint64_t base, size;    // physical memory, whole pages
    bool gic_sysregs;
    bool stop_on_fault;     // flat_run returns IR_EXIT_FAULT instead of delivering it
    bool normal_memory;     // with the MMU off, data is not Device: unaligned accesses work
};

struct flat {
    struct a64_cpu *cpu;
    uint8_t *mem;
    struct flat_config config;
    struct guest_fault fault;
    struct runner *runner;
    struct ir_tlb_entry tlb[IR_MMU_INDICES][FLAT_TLB];
    uint64_t fills;         // accesses that filled the inline table
    uint32_t fill_one_in;   // so many chances that a slow access fills it; 0 or 1: always
    uint64_t dice;          // state of the generator that decides it
    // what was asked
    struct guest_tlbi last_tlbi;
    struct vcpu_watch last_watch;
    unsigned watches;       // count of the last vcpu_set_watch
    unsigned tlbis, tlb_syncs, context_changes, events_sent, interrupt_checks, hypercalls;
    bool event;
    uint64_t counter;
    uint32_t last_port_reg;
    uint64_t last_port_value;
    int last_exit;          // enum ir_exit
    uint64_t faults;        // delivered
};

// NULL where the host cannot run the engine.
struct flat *flat_create(const struct flat_config *config);
void flat_destroy(struct flat *flat);
void flat_reset(struct flat *flat); // state and counters; memory stays
// Empties the inline tables; due after page tables or control registers were changed from outside.
void flat_flush(struct flat *flat);
// Host address of physical memory; NULL outside.
void *flat_at(struct flat *flat, uint64_t addr, uint64_t len);
// Puts words at addr.
void flat_code(struct flat *flat, uint64_t addr, const uint32_t *words, unsigned count);
// Runs units of at most max_insns until pc is `until`, an exit other than
// jump, poll, state and fault comes, or `units` units have run. Returns the last enum ir_exit, or -1 when a
// unit failed to verify or compile (with a message on stderr).
int flat_run(struct flat *flat, unsigned max_insns, unsigned units, uint64_t until);

#endif
