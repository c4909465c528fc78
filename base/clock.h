// SPDX-License-Identifier: MIT
// The machine's virtual time in nanoseconds: starts at 0, monotonic, stands still while the machine is
// stopped. Devices and vCPUs take time from here only, never from the host.
//
// The raw source is the host's CLOCK_MONOTONIC, or a function (an instruction counter for deterministic time,
// a variable in tests). now = raw + offset while running, else the time of the stop. Both words are one
// atomic, so that clock_now takes no lock: readers repeat when it changed under them.
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CLOCK_NEVER INT64_MAX

struct clock {
    int64_t (*source)(void *opaque); // raw ns, monotonic, any thread; NULL: the host's monotonic clock
    void *source_opaque;
    _Atomic int64_t state; // (offset << 1 | 1) while running, (time << 1) while stopped
    pthread_mutex_t lock;  // of the writers and the listener
    void (*listener)(void *opaque);
    void *listener_opaque;
};

// Made stopped, at 0. source may be NULL (host time) and outlives the clock.
void clock_init(struct clock *clock, int64_t (*source)(void *opaque), void *opaque);
void clock_destroy(struct clock *clock);

// Any thread, no lock, cheap.
int64_t clock_now(const struct clock *clock);

// Any thread. Starting a running clock or stopping a stopped one does nothing.
void clock_start(struct clock *clock);
void clock_stop(struct clock *clock);
// Sets the time (a restored snapshot); running or stopped stays as it is.
void clock_set(struct clock *clock, int64_t now);

// Host nanoseconds until the clock shows deadline: 0 when it has passed, CLOCK_NEVER when that cannot be told
// (the clock is stopped, or a source that is not host time drives it).
int64_t clock_host_wait(const struct clock *clock, int64_t deadline);

// Called after start, stop and set. One listener: the event loop.
void clock_listen(struct clock *clock, void (*listener)(void *opaque), void *opaque);

#endif
