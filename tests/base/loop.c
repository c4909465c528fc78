// SPDX-License-Identifier: MIT
// The machine clock and the event loop: stop and start, timer order, arming from another thread, deferred
// calls, descriptors that vanish while they are served, pollers, and the lock around every callback.
#include "base/loop.h"
#include "base/clock.h"
#include "base/entropy.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static _Atomic int64_t fake_time;

static int64_t fake(void *opaque)
{
    return fake_time;
}

static int64_t host_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

Test(clock, stands_still_while_stopped)
{
    struct clock clock;
    fake_time = 1000;
    clock_init(&clock, fake, NULL);
    cr_assert_eq(clock_now(&clock), 0);
    clock_start(&clock);
    fake_time = 1500;
    cr_assert_eq(clock_now(&clock), 500);
    clock_stop(&clock);
    fake_time = 9000;
    cr_assert_eq(clock_now(&clock), 500);
    cr_assert_eq(clock_host_wait(&clock, 501), CLOCK_NEVER);
    clock_set(&clock, 77);
    clock_start(&clock);
    cr_assert_eq(clock_now(&clock), 77);
    fake_time = 9001;
    clock_start(&clock);
    cr_assert_eq(clock_now(&clock), 78);
    clock_set(&clock, 5);
    fake_time = 9003;
    cr_assert_eq(clock_now(&clock), 7);
    cr_assert_eq(clock_host_wait(&clock, 7), 0);
}

Test(entropy, seeded_repeats)
{
    struct entropy a, b;
    uint8_t x[21], y[21], zero[21] = {0};
    entropy_init_seeded(&a, 42);
    entropy_init_seeded(&b, 42);
    entropy_fill(&a, x, sizeof x);
    entropy_fill(&b, y, sizeof y);
    cr_assert_arr_eq(x, y, sizeof x);
    entropy_fill(&a, y, sizeof y);
    cr_assert_neq(memcmp(x, y, sizeof x), 0);
    entropy_init(&a);
    cr_assert_eq(entropy_fill(&a, x, sizeof x), 0);
    cr_assert_neq(memcmp(x, zero, sizeof x), 0);
}

struct note {
    char *text;
    char letter;
};

static void write_note(void *opaque)
{
    struct note *n = opaque;
    cr_assert_eq(pthread_mutex_lock(&lock), EDEADLK, "callbacks hold the machine lock");
    n->text[strlen(n->text)] = n->letter;
}

Test(loop, timers_fire_in_order_of_deadline)
{
    enum { TIMERS = 20 };
    struct loop *loop;
    struct clock clock;
    char text[64] = "";
    struct note notes[TIMERS];
    struct loop_timer timers[TIMERS];
    fake_time = 0;
    clock_init(&clock, fake, NULL);
    clock_start(&clock);
    cr_assert_eq(loop_create(&lock, &loop, NULL), 0);
    for (int i = 0; i < TIMERS; i++) {
        notes[i] = (struct note){text, (char)('a' + i)};
        cr_assert_eq(loop_timer_init(loop, &timers[i], &clock, write_note, &notes[i]), 0);
        loop_timer_arm(&timers[i], 100 + (i * 7) % TIMERS); // a permutation
    }
    loop_timer_disarm(&timers[0]);
    loop_timer_arm(&timers[3], 1000); // was 101, the first
    cr_assert_eq(loop_next_deadline(loop, &clock), 102);
    pthread_mutex_lock(&lock);
    loop_once(loop, 0);
    cr_assert_str_eq(text, "");
    fake_time = 110;
    loop_once(loop, 0);
    cr_assert_str_eq(text, "gjmpsbehk");
    fake_time = 2000;
    loop_once(loop, 0);
    cr_assert_str_eq(text, "gjmpsbehknqtcfilord");
    cr_assert_not(loop_timer_armed(&timers[3]));
    pthread_mutex_unlock(&lock);
    loop_destroy(loop);
}

struct other {
    struct loop *loop;
    struct loop_timer *timer;
    struct clock *clock;
    struct loop_call *call;
    _Atomic bool ran;
    int64_t armed_at, ran_at;
};

static void timer_ran(void *opaque)
{
    struct other *o = opaque;
    o->ran = true;
    o->ran_at = host_now();
    loop_quit(o->loop, 3);
}

static void *arm_from_thread(void *opaque)
{
    struct other *o = opaque;
    usleep(20000); // the loop sleeps for ever by now
    loop_timer_arm(o->timer, CLOCK_NEVER - 1);
    o->armed_at = host_now();
    loop_timer_arm(o->timer, clock_now(o->clock) + 2000000);
    return NULL;
}

Test(loop, arming_from_another_thread_wakes_it, .timeout = 5)
{
    struct clock clock;
    struct loop_timer timer;
    struct other o = {.timer = &timer, .clock = &clock};
    clock_init(&clock, NULL, NULL);
    clock_start(&clock);
    cr_assert_eq(loop_create(&lock, &o.loop, NULL), 0);
    cr_assert_eq(loop_timer_init(o.loop, &timer, &clock, timer_ran, &o), 0);
    pthread_t thread;
    pthread_create(&thread, NULL, arm_from_thread, &o);
    pthread_mutex_lock(&lock);
    cr_assert_eq(loop_run(o.loop), 3);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    cr_assert(o.ran_at - o.armed_at >= 2000000, "fired %lld ns after it was armed",
              (long long)(o.ran_at - o.armed_at));
    loop_destroy(o.loop);
}

static void *start_clock(void *opaque)
{
    usleep(10000);
    clock_start(opaque);
    return NULL;
}

Test(loop, a_stopped_clock_holds_its_timers, .timeout = 5)
{
    struct clock clock;
    struct loop_timer timer;
    struct other o = {.timer = &timer, .clock = &clock};
    clock_init(&clock, NULL, NULL);
    cr_assert_eq(loop_create(&lock, &o.loop, NULL), 0);
    cr_assert_eq(loop_timer_init(o.loop, &timer, &clock, timer_ran, &o), 0);
    loop_timer_arm(&timer, 1000);
    pthread_mutex_lock(&lock);
    loop_once(o.loop, 5000000);
    cr_assert_not(o.ran);
    pthread_t thread;
    pthread_create(&thread, NULL, start_clock, &clock);
    cr_assert_eq(loop_run(o.loop), 3);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    loop_destroy(o.loop);
}

static void *defer_from_thread(void *opaque)
{
    struct other *o = opaque;
    usleep(10000);
    loop_defer(o->loop, o->call);
    loop_defer(o->loop, o->call);
    return NULL;
}

Test(loop, deferred_calls_run_once, .timeout = 5)
{
    struct other o = {0};
    char text[8] = "";
    struct note note = {text, 'x'}, cancelled = {text, 'y'};
    struct loop_call call = {write_note, &note}, gone = {write_note, &cancelled}, quit = {timer_ran, &o};
    cr_assert_eq(loop_create(&lock, &o.loop, NULL), 0);
    pthread_mutex_lock(&lock);
    loop_defer(o.loop, &call);
    loop_defer(o.loop, &gone);
    loop_defer(o.loop, &call);
    loop_defer_cancel(o.loop, &gone);
    loop_once(o.loop, -1);
    cr_assert_str_eq(text, "x");
    o.call = &quit;
    pthread_t thread;
    pthread_create(&thread, NULL, defer_from_thread, &o);
    cr_assert_eq(loop_run(o.loop), 3);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    loop_destroy(o.loop);
}

static void count_call(void *opaque, int fd, unsigned events)
{
    ++*(unsigned *)opaque;
}

Test(loop, a_hang_up_waits_while_nothing_is_wanted, .timeout = 5)
{
    struct loop *loop;
    int fds[2];
    unsigned calls = 0;
    cr_assert_eq(loop_create(&lock, &loop, NULL), 0);
    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(write(fds[1], "x", 1), 1);
    close(fds[1]);
    struct loop_fd watch = {count_call, &calls, fds[0], 0};
    pthread_mutex_lock(&lock);
    cr_assert_eq(loop_fd_add(loop, &watch), 0);
    loop_once(loop, 0); // the wake of loop_fd_add
    loop_once(loop, 1000000);
    cr_assert_eq(calls, 0, "paused: what is in the pipe must not be lost to a hang-up");
    loop_fd_events(loop, &watch, LOOP_IN);
    loop_once(loop, -1);
    loop_once(loop, -1);
    cr_assert_neq(calls, 0);
    pthread_mutex_unlock(&lock);
    loop_destroy(loop);
    close(fds[0]);
}

struct pipes {
    struct loop *loop;
    struct loop_fd watch[2];
    int served;
};

// Whichever is served first removes the other.
static void pipe_ready(void *opaque, int fd, unsigned events)
{
    struct pipes *p = opaque;
    cr_assert(events & LOOP_IN);
    p->served++;
    loop_fd_remove(p->loop, &p->watch[fd == p->watch[0].fd]);
}

Test(loop, a_descriptor_removed_while_served_is_not_called, .timeout = 5)
{
    struct pipes p = {0};
    int fds[2][2];
    cr_assert_eq(loop_create(&lock, &p.loop, NULL), 0);
    pthread_mutex_lock(&lock);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pipe(fds[i]), 0);
        cr_assert_eq(write(fds[i][1], "x", 1), 1);
        p.watch[i] = (struct loop_fd){pipe_ready, &p, fds[i][0], LOOP_IN};
        cr_assert_eq(loop_fd_add(p.loop, &p.watch[i]), 0);
    }
    loop_once(p.loop, -1);
    cr_assert_eq(p.served, 1);
    loop_once(p.loop, -1);
    cr_assert_eq(p.served, 2, "the other one is still there");
    pthread_mutex_unlock(&lock);
    loop_destroy(p.loop);
}

struct polled {
    struct loop *loop;
    int fd, index, fills, served;
    short events;
    int64_t wait;
};

static void on_fill(void *opaque, int64_t *wait_ns)
{
    struct polled *p = opaque;
    p->fills++;
    p->index = loop_poll_add(p->loop, p->fd, POLLIN | POLLOUT);
    if (p->wait < *wait_ns)
        *wait_ns = p->wait;
}

static void on_served(void *opaque)
{
    struct polled *p = opaque;
    cr_expect_eq(pthread_mutex_trylock(&lock), EBUSY);
    p->served++;
    p->events = loop_poll_events(p->loop, p->index);
}

Test(loop, pollers_name_their_descriptors_before_each_wait)
{
    struct loop *loop;
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pthread_mutex_lock(&lock);
    cr_assert_eq(loop_create(&lock, &loop, NULL), 0);
    struct polled in = {.loop = loop, .fd = ends[0], .wait = 1000000},
                  out = {.loop = loop, .fd = ends[1], .wait = CLOCK_NEVER};
    struct loop_poller a = {.fill = on_fill, .served = on_served, .opaque = &in},
                       b = {.fill = on_fill, .served = on_served, .opaque = &out};
    loop_poller_add(loop, &a);
    loop_once(loop, 0); // takes the wake-up
    loop_once(loop, -1);
    cr_expect_eq(in.served, 2, "it ends after the poller's wait");
    cr_expect_eq(in.events, 0);
    loop_poller_add(loop, &b);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    loop_once(loop, -1);
    cr_expect_eq(in.events, POLLIN);
    cr_expect_eq(out.events, POLLOUT);
    loop_poller_remove(loop, &a);
    loop_poller_remove(loop, &b);
    loop_once(loop, 0);
    cr_expect_eq(in.fills, 3);
    cr_expect_eq(out.served, 1);
    loop_destroy(loop);
    pthread_mutex_unlock(&lock);
    close(ends[0]);
    close(ends[1]);
}
