// SPDX-License-Identifier: MIT
// The event loop of a machine's main thread: file descriptors, timers and deferred calls, every callback with
// the machine lock held; the lock is released while the loop waits.
//
// Timers may be armed and disarmed and calls deferred from any thread without the machine lock; they use the
// loop's own small mutex and wake the loop only when it sleeps past the new deadline. A timer is taken off
// the queue with the machine lock held, so whoever holds that lock and disarms knows that the callback will
// not run any more. The structs below are the caller's memory and stay alive while registered, armed or
// queued. Timers are destroyed before their loop, and the clocks after it.
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock;
struct error;
struct loop;

enum { LOOP_IN = 1 << 0, LOOP_OUT = 1 << 1, LOOP_HUP = 1 << 2 }; // HUP: hang-up or error

struct loop_fd {
    void (*callback)(void *opaque, int fd, unsigned events);
    void *opaque;
    int fd;
    unsigned events; // wanted, LOOP_IN | LOOP_OUT; with 0 the descriptor is left alone and a hang-up waits
    size_t slot;     // private
};

// A library that owns descriptors and says anew before each wait which ones it wants polled. Neither callback may add or
// remove a poller.
struct loop_poller {
    // Names descriptors by loop_poll_add and may lower *wait_ns, the most that the loop will sleep (CLOCK_NEVER: for ever).
    void (*fill)(void *opaque, int64_t *wait_ns);
    void (*served)(void *opaque); // after the wait: loop_poll_events tells what became of them
    void *opaque;
    struct loop_poller *next; // private
};

struct loop_timer {
    void (*callback)(void *opaque);
    void *opaque;
    int64_t deadline; // clock ns; private
    struct loop *loop;
    unsigned queue;   // which clock; private
    size_t heap_slot; // private; SIZE_MAX when disarmed
};

struct loop_call {
    void (*callback)(void *opaque);
    void *opaque;
    struct loop_call *next; // private
    bool queued;            // private
};

// lock is the machine lock, borrowed. 0 or a negative errno.
int loop_create(pthread_mutex_t *lock, struct loop **ret_loop, struct error *err);
void loop_destroy(struct loop *loop);

// Runs until loop_quit; the caller holds the machine lock before and after. Returns the status given to
// loop_quit.
int loop_run(struct loop *loop);
// One round: waits at most timeout_ns (-1: as long as it takes), then runs what is due. Lock held before and
// after.
void loop_once(struct loop *loop, int64_t timeout_ns);
// Any thread; the first status given wins. A quit before loop_run makes it return at once.
void loop_quit(struct loop *loop, int status);
// Any thread: ends the present wait.
void loop_wake(struct loop *loop);

// Machine lock held. fd stays the caller's. 0 or -ENOMEM.
int loop_fd_add(struct loop *loop, struct loop_fd *watch);
void loop_fd_events(struct loop *loop, struct loop_fd *watch, unsigned events);
void loop_fd_remove(struct loop *loop, struct loop_fd *watch);

// Machine lock held. Whoever changes what fill would say, other than in the loop's own callbacks, calls loop_wake.
void loop_poller_add(struct loop *loop, struct loop_poller *poller);
void loop_poller_remove(struct loop *loop, struct loop_poller *poller);
// From fill: events are poll(2)'s. An index for loop_poll_events, or -1 without memory.
int loop_poll_add(struct loop *loop, int fd, short events);
// From served: poll(2)'s revents.
short loop_poll_events(const struct loop *loop, int index);

// Prepares a timer on clock (at most 4 clocks a loop). 0 or -ENOMEM/-ENOSPC. Any thread.
int loop_timer_init(struct loop *loop, struct loop_timer *timer, struct clock *clock,
                    void (*callback)(void *opaque), void *opaque);
void loop_timer_destroy(struct loop_timer *timer);
// Any thread. Re-arming moves the deadline; CLOCK_NEVER disarms.
void loop_timer_arm(struct loop_timer *timer, int64_t deadline);
void loop_timer_disarm(struct loop_timer *timer);
bool loop_timer_armed(const struct loop_timer *timer);
// The earliest deadline on clock, or CLOCK_NEVER: what the owner of deterministic time must not run past.
int64_t loop_next_deadline(struct loop *loop, const struct clock *clock);

// Any thread: runs call once on the loop. Deferring a queued call again does nothing.
void loop_defer(struct loop *loop, struct loop_call *call);
void loop_defer_cancel(struct loop *loop, struct loop_call *call);

#endif
