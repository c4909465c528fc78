// SPDX-License-Identifier: MIT
// Owns the life of a machine: the main thread's loop, stop and continue, reset, and the end.
// Invariant: accel_pause and accel_reset are only called here, on the main thread, without the machine lock;
// everyone else asks through machine_request. The clock runs exactly while the vCPUs may.
#include "base/error.h"
#include "machines/machine_internal.h"

#include <errno.h>

void machine_request(struct machine *machine, enum machine_request what)
{
    atomic_fetch_or(&machine->requests, what);
    loop_wake(machine->loop);
}

void machine_quit(struct machine *machine, int status)
{
    int running = -1;
    atomic_compare_exchange_strong(&machine->quit_status, &running, status);
    loop_wake(machine->loop);
}

// Main thread without the lock, in this group: the changes of the machine's life.
static void let_run(struct machine *m)
{
    if (atomic_exchange(&m->running, true))
        return;
    clock_start(&m->clock);
    if (m->accel)
        accel_resume(m->accel);
}

static void stop(struct machine *m)
{
    if (!atomic_exchange(&m->running, false))
        return;
    if (m->accel) {
        accel_pause(m->accel);
        accel_cancel_step(m->accel); // the debugger hears of this stop instead
    }
    clock_stop(&m->clock);
}

// Gives back the pauses of vCPUs that stopped themselves, now that everyone is parked. Whether there were
// any; the first one is reported, the others meet their breakpoint again.
static bool take_debug_stop(struct machine *m, struct machine_event *ret_event)
{
    unsigned count = atomic_exchange(&m->debug_stops, 0);
    uint64_t first = atomic_exchange(&m->first_debug_stop, 0);
    for (unsigned i = 0; i < count; i++)
        accel_resume(m->accel);
    if (!first)
        return false;
    *ret_event = (struct machine_event){.kind = MACHINE_STOPPED,
                                        .debug = true,
                                        .cpu = (uint32_t)(first - 1),
                                        .reason = (int)((first - 1) >> 32)};
    return true;
}

void machine_tell(struct machine *m, const struct machine_event *event)
{
    for (struct machine_listener *l = m->listeners; l; l = l->next)
        l->notify(l->opaque, event);
}

static void notify(struct machine *m, const struct machine_event *event)
{
    pthread_mutex_lock(&m->lock);
    machine_tell(m, event);
    pthread_mutex_unlock(&m->lock);
}

static void stop_and_tell(struct machine *m, enum machine_run_state why)
{
    struct machine_event event = {.kind = MACHINE_STOPPED};
    if (atomic_load(&m->running))
        m->stopped_by = why;
    stop(m);
    if (take_debug_stop(m, &event))
        m->stopped_by = MACHINE_STATE_DEBUG;
    if (event.debug && event.reason == ACCEL_STOP_LOCKSTEP_DIFFERENCE)
        machine_quit(m, MACHINE_TIERS_DIFFER);
    notify(m, &event);
}

static int start_from_reset(struct machine *m, struct error *err)
{
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->device_count; i++)
        device_reset(m->devices[i]);
    m->panicked = false;
    pthread_mutex_unlock(&m->lock);
    if (m->accel)
        accel_reset(m->accel);
    pthread_mutex_lock(&m->lock);
    int r = m->board->start && !m->config.incoming ? m->board->start(m, err) : 0;
    pthread_mutex_unlock(&m->lock);
    return r;
}

static void reset(struct machine *m, enum machine_cause cause)
{
    struct error err = {0};
    bool was_running = atomic_load(&m->running);
    struct machine_event dropped; // a breakpoint that the reset overtook
    stop(m);
    take_debug_stop(m, &dropped);
    if (start_from_reset(m, &err)) {
        fprintf(stderr, "isomer: %s\n", err.text);
        machine_quit(m, MACHINE_FAILED);
        return;
    }
    m->stopped_by = MACHINE_STATE_PRELAUNCH;
    notify(m, &(struct machine_event){.kind = MACHINE_WAS_RESET, .cause = cause});
    if (was_running)
        let_run(m);
}

static int ended_by_itself(const struct machine *m)
{
    return m->panicked ? MACHINE_GUEST_PANICKED : MACHINE_POWERED_OFF;
}

static void tell_shutdown(struct machine *m, enum machine_cause cause)
{
    m->shutdown_told = true;
    notify(m, &(struct machine_event){.kind = MACHINE_SHUT_DOWN, .cause = cause});
}

// The end of a run that nothing in here brought about.
static enum machine_cause cause_of(int status)
{
    if (status > MACHINE_KILLED)
        return MACHINE_BY_HOST_SIGNAL;
    return status == MACHINE_POWERED_OFF ? MACHINE_BY_HOST_UI : MACHINE_BY_HOST_ERROR;
}

static void panic(struct machine *m)
{
    notify(m, &(struct machine_event){.kind = MACHINE_GUEST_PANIC});
    switch (m->config.on_panic) {
    case MACHINE_PANIC_IS_NOTED: break;
    case MACHINE_PANIC_PAUSES: stop_and_tell(m, MACHINE_STATE_PANICKED); break;
    case MACHINE_PANIC_ENDS:
        tell_shutdown(m, MACHINE_BY_GUEST_PANIC);
        machine_quit(m, MACHINE_GUEST_PANICKED);
        break;
    }
}

static void watchdog(struct machine *m)
{
    notify(m, &(struct machine_event){.kind = MACHINE_WATCHDOG});
    switch (m->config.on_watchdog) {
    case MACHINE_WATCHDOG_RESET: machine_request(m, MACHINE_RESET); break;
    case MACHINE_WATCHDOG_SHUTDOWN:
        pthread_mutex_lock(&m->lock);
        machine_power_key(m);
        pthread_mutex_unlock(&m->lock);
        break;
    case MACHINE_WATCHDOG_POWEROFF: machine_quit(m, MACHINE_HUNG); break;
    case MACHINE_WATCHDOG_PAUSE: stop_and_tell(m, MACHINE_STATE_WATCHDOG); break;
    case MACHINE_WATCHDOG_NONE: break;
    }
}

void machine_guest_panicked(void *opaque)
{
    struct machine *m = opaque;
    if (m->panicked)
        return;
    m->panicked = true;
    machine_request(m, MACHINE_PANIC);
}

void machine_watchdog_expired(struct machine *machine)
{
    machine_request(machine, MACHINE_WATCHDOG_EXPIRED);
}

static void serve(struct machine *m, uint32_t requests)
{
    if (requests & MACHINE_WATCHDOG_EXPIRED)
        watchdog(m);
    if (requests & MACHINE_PANIC)
        panic(m);
    if (requests & MACHINE_QUIT) {
        tell_shutdown(m, MACHINE_BY_HOST_QUIT);
        machine_quit(m, MACHINE_POWERED_OFF);
    }
    if (requests & MACHINE_POWER_OFF) {
        tell_shutdown(m, MACHINE_BY_GUEST_SHUTDOWN);
        if (m->config.no_shutdown)
            stop_and_tell(m, MACHINE_STATE_SHUT_DOWN);
        else
            machine_quit(m, ended_by_itself(m));
        m->shutdown_told = !m->config.no_shutdown; // else the run's own end is still to come
        return;
    }
    if (requests & MACHINE_RESET && m->config.no_reboot) {
        tell_shutdown(m, MACHINE_BY_GUEST_RESET);
        machine_quit(m, ended_by_itself(m));
    } else if (requests & (MACHINE_RESET | MACHINE_HARD_RESET)) {
        reset(m, requests & MACHINE_RESET ? MACHINE_BY_GUEST_RESET : MACHINE_BY_HOST_RESET);
    }
    if (requests & MACHINE_STOP || atomic_load(&m->debug_stops))
        stop_and_tell(m, MACHINE_STATE_PAUSED);
    if (requests & MACHINE_CONT && m->config.incoming) {
        m->config.start_stopped = false; // when it has arrived
    } else if (requests & MACHINE_CONT && !m->leaving) { // else it would run here and there
        let_run(m);
        notify(m, &(struct machine_event){.kind = MACHINE_RESUMED});
    }
}

void machine_vcpu_stopped(void *opaque, unsigned cpu, int reason)
{
    struct machine *m = opaque;
    uint64_t none = 0;
    atomic_compare_exchange_strong(&m->first_debug_stop, &none, 1 + ((uint64_t)reason << 32 | cpu));
    atomic_fetch_add(&m->debug_stops, 1);
    machine_request(m, MACHINE_VCPU_STOPPED);
}

void machine_set_leaving(struct machine *machine, bool away)
{
    machine->leaving = away;
}

int machine_may_run(const struct machine *machine, struct error *err)
{
    return machine->leaving ? error_set(err, -EBUSY, "the migration is not finished: the machine's state is on its way") : 0;
}

void machine_listen(struct machine *machine, struct machine_listener *listener)
{
    listener->next = machine->listeners;
    machine->listeners = listener;
}

void machine_unlisten(struct machine *machine, struct machine_listener *listener)
{
    for (struct machine_listener **l = &machine->listeners; *l; l = &(*l)->next)
        if (*l == listener) {
            *l = listener->next;
            return;
        }
}

void machine_call(struct machine *machine, struct machine_call *call)
{
    struct machine_call **last = &machine->calls;
    while (*last)
        last = &(*last)->next;
    call->next = NULL;
    *last = call;
    loop_wake(machine->loop);
}

// Lock held before and after.
static void run_call(struct machine *m)
{
    struct machine_call *call = m->calls;
    bool park = call->stopped && m->accel;
    m->calls = call->next;
    if (park) {
        pthread_mutex_unlock(&m->lock);
        accel_pause(m->accel);
        pthread_mutex_lock(&m->lock);
    }
    call->fn(call->opaque);
    if (park) {
        pthread_mutex_unlock(&m->lock);
        accel_resume(m->accel);
        pthread_mutex_lock(&m->lock);
    }
}

int machine_run(struct machine *m)
{
    struct error err = {0};
    if (start_from_reset(m, &err)) {
        fprintf(stderr, "isomer: %s\n", err.text);
        return MACHINE_FAILED;
    }
    if (!m->config.start_stopped && !m->config.incoming)
        let_run(m);
    pthread_mutex_lock(&m->lock);
    while (atomic_load(&m->quit_status) < 0) {
        uint32_t requests = atomic_exchange(&m->requests, 0);
        if (!requests) {
            if (m->calls)
                run_call(m);
            else
                loop_once(m->loop, -1);
            continue;
        }
        pthread_mutex_unlock(&m->lock);
        serve(m, requests);
        pthread_mutex_lock(&m->lock);
    }
    pthread_mutex_unlock(&m->lock);
    stop(m);
    if (!m->shutdown_told)
        tell_shutdown(m, cause_of(atomic_load(&m->quit_status)));
    notify(m, &(struct machine_event){.kind = MACHINE_ENDING, .status = atomic_load(&m->quit_status)});
    return atomic_load(&m->quit_status);
}
