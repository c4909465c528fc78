// SPDX-License-Identifier: MIT
// Owns the translation from a raw time source to machine time. Invariant: clock_now never returns less than
// it did before to the same or, in order, to another thread, except across clock_set.
#include "base/clock.h"

#include <time.h>

static int64_t clock_raw(const struct clock *clock)
{
    if (clock->source)
        return clock->source(clock->source_opaque);
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t state_running(int64_t offset)
{
    return (int64_t)((uint64_t)offset << 1 | 1);
}

static int64_t state_stopped(int64_t now)
{
    return (int64_t)((uint64_t)now << 1);
}

void clock_init(struct clock *clock, int64_t (*source)(void *opaque), void *opaque)
{
    *clock = (struct clock){.source = source, .source_opaque = opaque};
    pthread_mutex_init(&clock->lock, NULL);
}

void clock_destroy(struct clock *clock)
{
    pthread_mutex_destroy(&clock->lock);
}

int64_t clock_now(const struct clock *clock)
{
    for (;;) {
        int64_t state = atomic_load_explicit(&clock->state, memory_order_acquire);
        if (!(state & 1))
            return state >> 1;
        int64_t now = clock_raw(clock) + (state >> 1);
        if (atomic_load_explicit(&clock->state, memory_order_acquire) == state)
            return now;
    }
}

static bool running(const struct clock *clock)
{
    return atomic_load_explicit(&clock->state, memory_order_acquire) & 1;
}

static void clock_tell(struct clock *clock)
{
    pthread_mutex_lock(&clock->lock);
    void (*listener)(void *) = clock->listener;
    void *opaque = clock->listener_opaque;
    pthread_mutex_unlock(&clock->lock);
    if (listener)
        listener(opaque);
}

void clock_start(struct clock *clock)
{
    pthread_mutex_lock(&clock->lock);
    if (!running(clock))
        atomic_store_explicit(&clock->state, state_running(clock_now(clock) - clock_raw(clock)),
                              memory_order_release);
    pthread_mutex_unlock(&clock->lock);
    clock_tell(clock);
}

void clock_stop(struct clock *clock)
{
    pthread_mutex_lock(&clock->lock);
    if (running(clock))
        atomic_store_explicit(&clock->state, state_stopped(clock_now(clock)), memory_order_release);
    pthread_mutex_unlock(&clock->lock);
    clock_tell(clock);
}

void clock_set(struct clock *clock, int64_t now)
{
    pthread_mutex_lock(&clock->lock);
    int64_t state = running(clock) ? state_running(now - clock_raw(clock)) : state_stopped(now);
    atomic_store_explicit(&clock->state, state, memory_order_release);
    pthread_mutex_unlock(&clock->lock);
    clock_tell(clock);
}

int64_t clock_host_wait(const struct clock *clock, int64_t deadline)
{
    int64_t now = clock_now(clock);
    if (deadline <= now)
        return 0;
    if (deadline == CLOCK_NEVER || clock->source || !running(clock))
        return CLOCK_NEVER;
    return deadline - now;
}

void clock_listen(struct clock *clock, void (*listener)(void *opaque), void *opaque)
{
    pthread_mutex_lock(&clock->lock);
    clock->listener = listener;
    clock->listener_opaque = opaque;
    pthread_mutex_unlock(&clock->lock);
}

