// SPDX-License-Identifier: MIT
// What waits to be compiled as a region: a bounded set of jobs, at most one for each {page, offset, key}, the hottest
// taken first. The caller locks.
#ifndef ACCEL_JIT_QUEUE_H
#define ACCEL_JIT_QUEUE_H

#include "base/types.h"

enum { TIER_QUEUE = 64 };

struct tier_job {
    uint8_t *host_page; // with offset and key: the unit that got hot, by name; it may die meanwhile
    uint32_t offset, key;
    uint64_t pc;        // where it ran, for traces
    uint64_t weight;    // of samples of its page: what is heavier comes first
    uint64_t heat;      // executions counted; next
    const void *cpu_model;
    uint64_t asked;     // ns: when
};

struct tier_queue {
    struct tier_job jobs[TIER_QUEUE]; // no order
    unsigned count;
    uint64_t repeated, dropped; // asked for again while waiting; pushed out, or refused, by hotter ones
};

// False if nothing was added: it waits already (and is now as hot as this says), or everything waiting is hotter.
bool queue_put(struct tier_queue *queue, const struct tier_job *job);
// Forgets what waits for that place.
void queue_drop(struct tier_queue *queue, const uint8_t *host_page, uint32_t offset, uint32_t key);
bool queue_has_page(const struct tier_queue *queue, const uint8_t *host_page, uint32_t key);
bool queue_take(struct tier_queue *queue, struct tier_job *ret_job); // false when empty

#endif
