// SPDX-License-Identifier: MIT
// Private to tier.c, heat.c, sample.c and make.c: the tier's state, and what they call of one another.
#ifndef ACCEL_JIT_TIER_INTERNAL_H
#define ACCEL_JIT_TIER_INTERNAL_H

#include "accel/jit/tier.h"

#include <time.h>

// The thread that asks for samples.
struct ticker {
    pthread_t thread;
    bool made, started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;           // under lock
    _Atomic bool sleeps; // until a vCPU wakes up
    uint64_t last;       // its own: ns of the last tick
    uint64_t random;
};

struct tier {
    struct accel *accel;
    pthread_t thread;
    bool started;
    bool waits;     // vCPUs wait for what they ask
    bool samples;   // units count only where samples say so
    unsigned rate;  // per cent of a processor that may be spent compiling
    int32_t threshold;
    char *module;
    const struct optimiser_ops *ops; // NULL: one-pass regions, or not loaded yet
    struct optimiser *optimiser;
    struct pool pool;

    struct ticker ticker;
    _Atomic uint64_t ticks, time[TIER_TIMES];

    // under jit.lock
    pthread_cond_t work, done;
    bool stop, busy, broken;
    struct tier_queue queue;
    struct unit *retired; // by next_in_chunk: dead, perhaps still run
    struct tier_counts counts;

    // the thread's own
    struct region region;
    struct ir_opt opt;
    uint8_t page[IR_PAGE_SIZE];
    struct region_heat heats[IR_PAGE_SIZE];
    int64_t credit;
    uint64_t credit_at;
};

static inline uint64_t tier_now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// ---- heat.c: jit.lock held ---------------------------------------------------------------------------------------
uint64_t heat_executions(const struct unit *unit); // since it was made
void heat_cool(struct unit *unit);                 // it never asks again, or not for long
void heat_watch(struct unit *unit);                // it stands behind a region: count how often that falls back
void heat_refresh(struct tier *tier);              // the jobs that wait: what they count has gone on counting, or not

// ---- sample.c ----------------------------------------------------------------------------------------------------
int ticker_start(struct tier *tier, struct error *err);
void ticker_stop(struct tier *tier); // also after a failed start
// The rest: jit.lock held.
uint32_t sample_weight(struct code_page *page, uint32_t key); // of samples that are not old; 0: not worth while
void sample_end_counting(struct accel *accel, struct code_page *page);
void sample_quiet(struct code_page *page, uint32_t offset, uint32_t ms); // samples there do not matter for a while
void sample_job_done(struct tier *tier, const struct tier_job *job, bool made);

// ---- make.c ------------------------------------------------------------------------------------------------------
// Own thread, no lock held: forms, compiles and installs the region that the job asks for, or says why not in counts.
bool make_region(struct tier *tier, const struct tier_job *job);
void make_drop(struct tier *tier, struct unit *region); // frees a region nobody runs, its code too

#endif
