// SPDX-License-Identifier: MIT
// A machine of RAM and A64 vCPUs only, for tests of the accelerator: no board, no devices. Programs are words that the
// test puts into RAM; a vCPU starts in a short prologue that switches the MMU on (one identity block over RAM) and
// branches to the program with its address in x0. Main thread only.
#ifndef TESTS_ACCEL_SMALL_H
#define TESTS_ACCEL_SMALL_H

#include "accel/jit/jit.h"

enum { SMALL_RAM = 0x40000000, SMALL_PROGRAMS = SMALL_RAM + 0x2000 };

struct small {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct mem_ram *ram;
    struct accel *accel;
};

struct small_config {
    enum accel_engine engine;
    unsigned cpus;
    uint64_t ram_size;
    size_t code_size; // bytes of the code buffer, 0 for the default
    enum accel_tier tier;
    bool one_pass_regions, exact_exclusives; // as accel_config
    uint32_t without;                      // as accel_config
    const struct optimiser_ops *optimiser; // as accel_config
    const struct guest_isa *isa;           // NULL: a64_isa
    const char *model;                     // NULL: cortex-a72
    void (*map)(struct small *small, void *opaque); // or NULL: maps more than RAM
    void *map_opaque;
};
// Both assert that all went well.
struct small *small_make(const struct small_config *config);
struct small *small_create(enum accel_engine engine, unsigned cpus, uint64_t ram_size, size_t code_size);
void small_destroy(struct small *small);
// Host address of a guest-physical address.
void *small_at(const struct small *small, uint64_t addr);
void small_code(struct small *small, uint64_t addr, const uint32_t *words, size_t bytes);
void small_start(struct small *small, unsigned cpu, uint64_t program);
// Lets the machine run until the 64-bit word at addr is at least value; false when that takes longer than seconds.
bool small_run_until(struct small *small, uint64_t addr, uint64_t value, double seconds);

#endif
