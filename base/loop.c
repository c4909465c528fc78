// SPDX-License-Identifier: MIT
// Owns the wait of the main thread: what it polls, how long, and in which order things run (descriptors,
// timers, deferred calls). Timers live in one binary heap a clock; a timer reserves its heap slot when it is
// made, so that arming never allocates.
//
// Invariant: while the loop sleeps, slept_for of each queue is the deadline the sleep was computed from; an
// earlier one must wake it. While it is awake slept_for is INT64_MIN, for it looks again before it sleeps.
#include "base/loop.h"
#include "base/clock.h"
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { LOOP_CLOCKS = 4 };

struct timer_queue {
    struct clock *clock;
    struct loop_timer **heap; // earliest first
    size_t count, capacity;
    size_t timers; // initialised timers: capacity never falls below
    int64_t slept_for;
};

struct loop {
    pthread_mutex_t *machine_lock;

    // Machine lock.
    struct loop_fd **fds;
    size_t fd_count, fd_capacity;
    struct loop_fd **serving; // the fds of the poll in progress; removed ones are NULL
    struct pollfd *serving_polled; // of the fds, then the wake-up descriptor, then those of the pollers
    size_t serving_count, polled_count, polled_capacity;
    struct loop_poller *pollers;

    pthread_mutex_t lock; // of all below
    struct timer_queue queues[LOOP_CLOCKS];
    unsigned queue_count;
    struct loop_call *calls, **calls_tail;
    bool quit;
    int quit_status;

    int wake_fd;
    _Atomic bool waking; // a wake is on its way: no second write
};

int loop_create(pthread_mutex_t *lock, struct loop **ret_loop, struct error *err)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return error_set(err, -ENOMEM, "no memory for the event loop");
    loop->machine_lock = lock;
    loop->calls_tail = &loop->calls;
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake_fd < 0) {
        int code = -errno;
        free(loop);
        return error_set(err, code, "the event loop cannot create its wake-up descriptor");
    }
    pthread_mutex_init(&loop->lock, NULL);
    *ret_loop = loop;
    return 0;
}

void loop_destroy(struct loop *loop)
{
    if (!loop)
        return;
    for (unsigned i = 0; i < loop->queue_count; i++) {
        clock_listen(loop->queues[i].clock, NULL, NULL);
        free(loop->queues[i].heap);
    }
    free(loop->fds);
    free(loop->serving);
    free(loop->serving_polled);
    close(loop->wake_fd);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

void loop_wake(struct loop *loop)
{
    if (atomic_exchange(&loop->waking, true))
        return;
    uint64_t one = 1;
    ssize_t n = write(loop->wake_fd, &one, sizeof one);
    (void)n; // EAGAIN: the counter is full, which wakes as well
}

void loop_quit(struct loop *loop, int status)
{
    pthread_mutex_lock(&loop->lock);
    if (!loop->quit)
        loop->quit_status = status;
    loop->quit = true;
    pthread_mutex_unlock(&loop->lock);
    loop_wake(loop);
}

// --- descriptors ---

int loop_fd_add(struct loop *loop, struct loop_fd *watch)
{
    if (loop->fd_count == loop->fd_capacity) {
        size_t capacity = loop->fd_capacity ? loop->fd_capacity * 2 : 16;
        struct loop_fd **fds = reallocarray(loop->fds, capacity, sizeof *fds);
        if (!fds)
            return -ENOMEM;
        loop->fds = fds;
        loop->fd_capacity = capacity;
    }
    watch->slot = loop->fd_count;
    loop->fds[loop->fd_count++] = watch;
    loop_wake(loop);
    return 0;
}

void loop_fd_events(struct loop *loop, struct loop_fd *watch, unsigned events)
{
    if (watch->events != events) {
        watch->events = events;
        loop_wake(loop);
    }
}

void loop_fd_remove(struct loop *loop, struct loop_fd *watch)
{
    if (watch->slot >= loop->fd_count || loop->fds[watch->slot] != watch)
        return;
    struct loop_fd *last = loop->fds[--loop->fd_count];
    loop->fds[watch->slot] = last;
    last->slot = watch->slot;
    watch->slot = SIZE_MAX;
    for (size_t i = 0; i < loop->serving_count; i++)
        if (loop->serving[i] == watch)
            loop->serving[i] = NULL;
    loop_wake(loop);
}

static bool poll_reserve(struct loop *loop, size_t count)
{
    if (count <= loop->polled_capacity)
        return true;
    struct pollfd *polled = reallocarray(loop->serving_polled, count * 2, sizeof *polled);
    if (!polled)
        return false;
    loop->serving_polled = polled;
    loop->polled_capacity = count * 2;
    return true;
}

void loop_poller_add(struct loop *loop, struct loop_poller *poller)
{
    poller->next = loop->pollers;
    loop->pollers = poller;
    loop_wake(loop);
}

void loop_poller_remove(struct loop *loop, struct loop_poller *poller)
{
    for (struct loop_poller **at = &loop->pollers; *at; at = &(*at)->next)
        if (*at == poller) {
            *at = poller->next;
            break;
        }
}

int loop_poll_add(struct loop *loop, int fd, short events)
{
    if (!poll_reserve(loop, loop->polled_count + 1))
        return -1;
    loop->serving_polled[loop->polled_count] = (struct pollfd){.fd = fd, .events = events};
    return (int)loop->polled_count++;
}

short loop_poll_events(const struct loop *loop, int index)
{
    return index >= 0 && (size_t)index < loop->polled_count ? loop->serving_polled[index].revents : 0;
}

// Copies the watched descriptors for one poll, because they may change while the lock is released.
static bool loop_collect(struct loop *loop)
{
    struct loop_fd **serving = reallocarray(loop->serving, loop->fd_count + 1, sizeof *serving);
    if (serving)
        loop->serving = serving;
    if (!serving || !poll_reserve(loop, loop->fd_count + 1))
        return false;
    struct pollfd *polled = loop->serving_polled;
    loop->serving_count = loop->fd_count;
    loop->polled_count = loop->fd_count + 1;
    for (size_t i = 0; i < loop->fd_count; i++) {
        unsigned events = loop->fds[i]->events;
        serving[i] = loop->fds[i];
        polled[i] = (struct pollfd){
            .fd = events ? loop->fds[i]->fd : -1, // poll would report a hang-up again and again
            .events = (short)((events & LOOP_IN ? POLLIN : 0) | (events & LOOP_OUT ? POLLOUT : 0))};
    }
    polled[loop->fd_count] = (struct pollfd){.fd = loop->wake_fd, .events = POLLIN};
    return true;
}

static void loop_serve_fds(struct loop *loop)
{
    for (size_t i = 0; i < loop->serving_count; i++) {
        short got = loop->serving_polled[i].revents;
        if (!got || !loop->serving[i])
            continue;
        unsigned events = (got & POLLIN ? LOOP_IN : 0) | (got & POLLOUT ? LOOP_OUT : 0) |
                          (got & (POLLHUP | POLLERR | POLLNVAL) ? LOOP_HUP : 0);
        loop->serving[i]->callback(loop->serving[i]->opaque, loop->serving[i]->fd, events);
    }
    loop->serving_count = 0;
}

// --- timers: heap operations, under loop->lock ---

static void heap_place(struct timer_queue *q, size_t slot, struct loop_timer *timer)
{
    q->heap[slot] = timer;
    timer->heap_slot = slot;
}

static void heap_up(struct timer_queue *q, size_t slot, struct loop_timer *timer)
{
    while (slot && q->heap[(slot - 1) / 2]->deadline > timer->deadline) {
        heap_place(q, slot, q->heap[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    heap_place(q, slot, timer);
}

static void heap_down(struct timer_queue *q, size_t slot, struct loop_timer *timer)
{
    for (;;) {
        size_t child = slot * 2 + 1;
        if (child >= q->count)
            break;
        if (child + 1 < q->count && q->heap[child + 1]->deadline < q->heap[child]->deadline)
            child++;
        if (q->heap[child]->deadline >= timer->deadline)
            break;
        heap_place(q, slot, q->heap[child]);
        slot = child;
    }
    heap_place(q, slot, timer);
}

static void heap_remove(struct timer_queue *q, struct loop_timer *timer)
{
    size_t slot = timer->heap_slot;
    if (slot == SIZE_MAX)
        return;
    timer->heap_slot = SIZE_MAX;
    struct loop_timer *last = q->heap[--q->count];
    if (last == timer)
        return;
    if (slot && q->heap[(slot - 1) / 2]->deadline > last->deadline)
        heap_up(q, slot, last);
    else
        heap_down(q, slot, last);
}

static void clock_changed(void *opaque)
{
    loop_wake(opaque);
}

static int queue_for(struct loop *loop, struct clock *clock, unsigned *ret_queue)
{
    for (unsigned i = 0; i < loop->queue_count; i++)
        if (loop->queues[i].clock == clock) {
            *ret_queue = i;
            return 0;
        }
    if (loop->queue_count == LOOP_CLOCKS)
        return -ENOSPC;
    *ret_queue = loop->queue_count++;
    loop->queues[*ret_queue] = (struct timer_queue){.clock = clock, .slept_for = INT64_MIN};
    clock_listen(clock, clock_changed, loop);
    return 0;
}

int loop_timer_init(struct loop *loop, struct loop_timer *timer, struct clock *clock,
                    void (*callback)(void *opaque), void *opaque)
{
    *timer = (struct loop_timer){
        .callback = callback, .opaque = opaque, .loop = loop, .deadline = CLOCK_NEVER, .heap_slot = SIZE_MAX};
    pthread_mutex_lock(&loop->lock);
    int code = queue_for(loop, clock, &timer->queue);
    struct timer_queue *q = &loop->queues[timer->queue];
    if (!code && q->timers == q->capacity) {
        size_t capacity = q->capacity ? q->capacity * 2 : 16;
        struct loop_timer **heap = reallocarray(q->heap, capacity, sizeof *heap);
        if (heap) {
            q->heap = heap;
            q->capacity = capacity;
        } else {
            code = -ENOMEM;
        }
    }
    if (!code)
        q->timers++;
    else
        timer->loop = NULL;
    pthread_mutex_unlock(&loop->lock);
    return code;
}

void loop_timer_destroy(struct loop_timer *timer)
{
    if (!timer->loop)
        return;
    struct loop *loop = timer->loop;
    pthread_mutex_lock(&loop->lock);
    heap_remove(&loop->queues[timer->queue], timer);
    loop->queues[timer->queue].timers--;
    pthread_mutex_unlock(&loop->lock);
    timer->loop = NULL;
}

void loop_timer_arm(struct loop_timer *timer, int64_t deadline)
{
    struct loop *loop = timer->loop;
    struct timer_queue *q = &loop->queues[timer->queue];
    bool wake = false;
    pthread_mutex_lock(&loop->lock);
    if (timer->heap_slot == SIZE_MAX || timer->deadline != deadline) {
        heap_remove(q, timer);
        timer->deadline = deadline;
        if (deadline != CLOCK_NEVER) {
            assert(q->count < q->capacity);
            heap_up(q, q->count++, timer);
            wake = deadline < q->slept_for;
        }
    }
    pthread_mutex_unlock(&loop->lock);
    if (wake)
        loop_wake(loop);
}

void loop_timer_disarm(struct loop_timer *timer)
{
    loop_timer_arm(timer, CLOCK_NEVER);
}

bool loop_timer_armed(const struct loop_timer *timer)
{
    pthread_mutex_lock(&timer->loop->lock);
    bool armed = timer->heap_slot != SIZE_MAX;
    pthread_mutex_unlock(&timer->loop->lock);
    return armed;
}

int64_t loop_next_deadline(struct loop *loop, const struct clock *clock)
{
    int64_t deadline = CLOCK_NEVER;
    pthread_mutex_lock(&loop->lock);
    for (unsigned i = 0; i < loop->queue_count; i++)
        if (loop->queues[i].clock == clock && loop->queues[i].count)
            deadline = loop->queues[i].heap[0]->deadline;
    pthread_mutex_unlock(&loop->lock);
    return deadline;
}

static struct loop_timer *take_due_timer(struct loop *loop, struct timer_queue *q, int64_t now)
{
    struct loop_timer *timer = NULL;
    pthread_mutex_lock(&loop->lock);
    if (q->count && q->heap[0]->deadline <= now) {
        timer = q->heap[0];
        heap_remove(q, timer);
    }
    pthread_mutex_unlock(&loop->lock);
    return timer;
}

// A timer that re-arms itself in the past waits for the next round, so that descriptors are never starved.
static void loop_serve_timers(struct loop *loop)
{
    for (unsigned i = 0; i < LOOP_CLOCKS; i++) {
        struct timer_queue *q = &loop->queues[i];
        pthread_mutex_lock(&loop->lock);
        size_t most = q->count;
        int64_t now = most ? clock_now(q->clock) : 0;
        pthread_mutex_unlock(&loop->lock);
        struct loop_timer *timer;
        while (most-- && (timer = take_due_timer(loop, q, now)))
            timer->callback(timer->opaque);
    }
}

// --- deferred calls ---

void loop_defer(struct loop *loop, struct loop_call *call)
{
    pthread_mutex_lock(&loop->lock);
    bool add = !call->queued;
    if (add) {
        call->queued = true;
        call->next = NULL;
        *loop->calls_tail = call;
        loop->calls_tail = &call->next;
    }
    pthread_mutex_unlock(&loop->lock);
    if (add)
        loop_wake(loop);
}

void loop_defer_cancel(struct loop *loop, struct loop_call *call)
{
    pthread_mutex_lock(&loop->lock);
    for (struct loop_call **at = &loop->calls; call->queued && *at; at = &(*at)->next)
        if (*at == call) {
            *at = call->next;
            if (!*at)
                loop->calls_tail = at;
            call->queued = false;
            break;
        }
    pthread_mutex_unlock(&loop->lock);
}

// Runs the calls queued by now; what they defer waits for the next round.
static void loop_serve_calls(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    size_t most = 0;
    for (struct loop_call *call = loop->calls; call; call = call->next)
        most++;
    for (; most && loop->calls; most--) {
        struct loop_call *call = loop->calls;
        loop->calls = call->next;
        if (!loop->calls)
            loop->calls_tail = &loop->calls;
        call->queued = false;
        pthread_mutex_unlock(&loop->lock);
        call->callback(call->opaque);
        pthread_mutex_lock(&loop->lock);
    }
    pthread_mutex_unlock(&loop->lock);
}

// --- the wait ---

// Nanoseconds to sleep, CLOCK_NEVER for ever; from here to the end of the wait earlier deadlines wake the
// loop.
static int64_t loop_sleep_time(struct loop *loop, int64_t wait)
{
    pthread_mutex_lock(&loop->lock);
    if (loop->calls || loop->quit)
        wait = 0;
    for (unsigned i = 0; i < loop->queue_count; i++) {
        struct timer_queue *q = &loop->queues[i];
        q->slept_for = q->count ? q->heap[0]->deadline : CLOCK_NEVER;
        int64_t until = clock_host_wait(q->clock, q->slept_for);
        wait = until < wait ? until : wait;
    }
    pthread_mutex_unlock(&loop->lock);
    return wait;
}

static void loop_awake(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    for (unsigned i = 0; i < loop->queue_count; i++)
        loop->queues[i].slept_for = INT64_MIN;
    pthread_mutex_unlock(&loop->lock);
}

void loop_once(struct loop *loop, int64_t timeout_ns)
{
    if (!loop_collect(loop))
        return;
    int64_t wait = timeout_ns < 0 ? CLOCK_NEVER : timeout_ns;
    for (struct loop_poller *p = loop->pollers; p; p = p->next)
        p->fill(p->opaque, &wait);
    pthread_mutex_unlock(loop->machine_lock);
    wait = loop_sleep_time(loop, wait);
    struct timespec ts = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
    size_t count = loop->serving_count;
    int ready = ppoll(loop->serving_polled, loop->polled_count, wait == CLOCK_NEVER ? NULL : &ts, NULL);
    loop_awake(loop);
    for (size_t i = 0; ready < 0 && i < loop->polled_count; i++)
        loop->serving_polled[i].revents = 0; // interrupted: what stands there is of no wait
    if (ready > 0 && loop->serving_polled[count].revents) {
        uint64_t ignored;
        ssize_t n = read(loop->wake_fd, &ignored, sizeof ignored);
        (void)n;
        atomic_store(&loop->waking, false);
    }
    pthread_mutex_lock(loop->machine_lock);
    if (ready > 0)
        loop_serve_fds(loop);
    loop->serving_count = 0;
    for (struct loop_poller *p = loop->pollers; p; p = p->next)
        p->served(p->opaque);
    loop_serve_timers(loop);
    loop_serve_calls(loop);
}

int loop_run(struct loop *loop)
{
    for (;;) {
        pthread_mutex_lock(&loop->lock);
        bool quit = loop->quit;
        int status = loop->quit_status;
        pthread_mutex_unlock(&loop->lock);
        if (quit)
            return status;
        loop_once(loop, -1);
    }
}
