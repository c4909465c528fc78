// SPDX-License-Identifier: MIT
// Code memory is used again only when no vCPU can return into it, also not one that waits in a helper.
#include "tests/accel/small.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

// Three vCPUs without threads of their own: what each does is said by the test.
struct scene {
    struct accel accel;
    struct vcpu cpus[3];
    struct ir_env env[3];
    _Atomic bool leave, recycled, done[3];
};
enum { RECYCLER, WAITER, BUSY };

static struct scene *make_scene(void)
{
    struct scene *s = calloc(1, sizeof *s);
    s->accel.cpus = s->cpus;
    s->accel.cpu_count = 3;
    for (unsigned i = 0; i < 3; i++) {
        s->cpus[i].accel = &s->accel;
        s->cpus[i].env = &s->env[i];
        pthread_mutex_init(&s->cpus[i].lock, NULL);
        pthread_cond_init(&s->cpus[i].wake, NULL);
    }
    return s;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

// A helper that waits, called from a unit that runs on afterwards.
static void *waiter(void *opaque)
{
    struct scene *s = opaque;
    vcpu_enter_code(&s->cpus[WAITER]);
    safepoint_wait(&s->accel, &s->cpus[WAITER]);
    s->done[WAITER] = true;
    while (!s->leave)
        sched_yield();
    vcpu_leave_code(&s->cpus[WAITER]);
    return NULL;
}

static void *recycler(void *opaque)
{
    struct scene *s = opaque;
    safepoint_wait_outside(&s->accel, &s->cpus[RECYCLER]);
    s->recycled = true;
    return NULL;
}

Test(recycle, waits_for_who_waits_in_a_helper)
{
    struct scene *s = make_scene();
    pthread_t threads[2];
    vcpu_enter_code(&s->cpus[BUSY]);
    pthread_create(&threads[0], NULL, waiter, s);
    while (s->cpus[WAITER].in_code != VCPU_WAITS_IN_HELPER)
        sched_yield();
    pthread_create(&threads[1], NULL, recycler, s);
    nap();
    cr_expect(!s->recycled);
    vcpu_leave_code(&s->cpus[BUSY]); // ends both waits, but the waiter is in its unit still
    while (!s->done[WAITER])
        sched_yield();
    nap();
    cr_expect(!s->recycled);
    s->leave = true;
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    cr_expect(s->recycled);
    free(s);
}

// ---- the whole machine, with a code buffer smaller than what runs ---------------------------------------------------

enum { SHOOT = SMALL_PROGRAMS, SHOOT_STEP = 0x2000, COUNT = 0x1000, CHURN = SMALL_RAM + 0x100000, CHURN_SIZE = 0x28000 };

// Counts rounds of twelve broadcast invalidations at x0 + COUNT; hangs when an instruction in between is lost.
static void put_shooter(struct small *small, uint64_t addr)
{
    static const uint32_t step[] = {0xd508831f, 0xd5033b9f, 0x910004a5}; // tlbi vmalle1is; dsb ish; add x5, x5, #1
    static const uint32_t head[] = {0x91400402, 0xd2800005};             // add x2, x0, #0x1000; mov x5, #0
    static const uint32_t tail[] = {0xf10030bf, 0x54000001, 0x910004c6,  // cmp x5, #12; b.ne .; add x6, x6, #1
                                    0xf9000046, 0x17ffffd7};        // str x6, [x2]; b to the mov
    small_code(small, addr, head, sizeof head);
    for (unsigned i = 0; i < 12; i++)
        small_code(small, addr + sizeof head + i * sizeof step, step, sizeof step);
    small_code(small, addr + sizeof head + 12 * sizeof step, tail, sizeof tail);
}

// Loads and additions over many pages, each translated anew every round; counts rounds at CHURN - 0x1000.
static void put_churn(struct small *small)
{
    static const uint32_t pair[] = {0xf9400441, 0x8b010063};                  // ldr x1, [x2, #8]; add x3, x3, x1
    static const uint32_t tail[] = {0x910004c6, 0xf9000046, 0xd61f0000};      // add x6, x6, #1; str x6, [x2]; br x0
    static const uint32_t head = 0xd1400402;                                  // sub x2, x0, #0x1000
    small_code(small, CHURN, &head, 4);
    uint64_t at = CHURN + 4;
    for (; at < CHURN + CHURN_SIZE; at += 8)
        small_code(small, at, pair, sizeof pair);
    small_code(small, at, tail, sizeof tail);
}

Test(recycle, code_in_use_is_not_overwritten)
{
    struct small *small = small_create(ACCEL_JIT, 4, 4 << 20, 1 << 20);
    put_churn(small);
    small_start(small, 0, CHURN);
    for (unsigned i = 1; i < 4; i++) {
        put_shooter(small, SHOOT + i * SHOOT_STEP);
        small_start(small, i, SHOOT + i * SHOOT_STEP);
    }
    cr_expect(small_run_until(small, CHURN - 0x1000, 3, 60));
    cr_expect(small->accel->jit.evictions > 3, "%llu evictions", (unsigned long long)small->accel->jit.evictions);
    uint64_t before[4], now[4];
    for (unsigned i = 1; i < 4; i++)
        before[i] = *(uint64_t *)small_at(small, SHOOT + i * SHOOT_STEP + COUNT);
    small_run_until(small, CHURN - 0x1000, 4, 60);
    for (unsigned i = 1; i < 4; i++) {
        now[i] = *(uint64_t *)small_at(small, SHOOT + i * SHOOT_STEP + COUNT);
        cr_expect(now[i] > before[i], "vCPU %u stands at %llu", i, (unsigned long long)now[i]);
    }
    small_destroy(small);
}
