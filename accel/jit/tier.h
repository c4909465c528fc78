// SPDX-License-Identifier: MIT
// Hot code. Samples say in which pages time goes (sample.c); units of such a page count their executions down for a while;
// a vCPU that leaves one because it ran out asks for a region there, and a thread of its own forms regions, has them
// compiled and puts them in the place of the unit (jit.h says how they stand in the tables). Where vCPUs wait for what
// they ask, and under lock-step, there are no samples, and every unit counts.
// The thread is no vCPU: it takes jit.lock, and translate_lock to compile into the code buffer, and waits for vCPUs
// only without jit.lock.
#ifndef ACCEL_JIT_TIER_H
#define ACCEL_JIT_TIER_H

#include "accel/jit/jit.h"
#include "accel/jit/queue.h"
#include "backends/optimiser.h"

// accel.jit.tier stays NULL when there is nothing to compile regions with.
int tier_create(struct accel *accel, struct error *err);
void tier_destroy(struct accel *accel); // vCPUs have ended
void tier_print(struct accel *accel, FILE *out);

// What vCPUs do while they are awake.
enum { TIER_RUNTIME, TIER_IN_UNITS, TIER_IN_REGIONS, TIER_TIMES };

struct tier_counts {
    uint64_t asked, made, died, given_up;
    uint64_t stale;       // the unit or its page had changed when the region was done
    uint64_t unsupported; // by the optimiser
    uint64_t straight;    // no loop in it: not worth while
    uint64_t failed;
    uint64_t parts, insns, code_bytes; // of those made
    uint64_t form_ns, compile_ns;
    uint64_t wait_ns; // of those made: from asking to running
    uint64_t counted; // times that a page was made to count
    uint64_t cooled;  // asked for, but not hot any more when their turn came
    uint64_t ticks;
    uint64_t ns[TIER_TIMES]; // of vCPUs, by samples
};
struct tier_counts tier_counts(struct accel *accel);

// Has the unit in jit.scratch, about to be compiled as `unit`, count its executions if units of its page are to.
void tier_count(struct accel *accel, struct unit *unit);
// A vCPU came back with IR_EXIT_HOT, and `unit` is what there is at its PC: asks for a region there. In code. True when
// the vCPU waited meanwhile and has to look at its requests.
bool tier_hot(struct vcpu *vcpu, struct unit *unit);
// Under lock-step, where nothing is counted: `unit` is about to run. As tier_hot.
bool tier_tick(struct vcpu *vcpu, struct unit *unit);
// REQ_SAMPLE arrived. In code, at the safepoint.
void tier_sample(struct vcpu *vcpu);
// Own thread: the vCPU is awake again.
void tier_wake(struct vcpu *vcpu);
// How long a unit may be so that it does not run past the beginning of a region. jit.lock held.
uint32_t tier_max_insns(const struct accel *accel, const struct code_page *page, uint32_t offset, uint32_t key);
// From unit_kill; jit.lock held.
void tier_region_died(struct accel *accel, struct unit *region);

// ---- pool.c: memory of regions' code, one thread at a time ---------------------------------------------------------
struct pool {
    uint8_t *base;
    uint8_t used[REGION_POOL >> 12]; // by page
    size_t bytes;                    // taken
};
void *pool_take(void *pool, size_t size);
void pool_give(void *pool, void *at, size_t size);

// ---- module.c: the optimiser is a shared object beside the program -----------------------------------------------------
// The path of the module if there is one, owned by the caller, or NULL.
char *module_find(void);
// Loads it: for good, its code and its threads may outlive any use. NULL with a sentence when it is of no use.
const struct optimiser_ops *module_load(const char *path, struct error *err);

#endif
