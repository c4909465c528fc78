// SPDX-License-Identifier: MIT
// What the debugger needs of a real accelerator: vCPUs that stop at breakpoints, watchpoints and after steps, as the
// machine's main thread takes these stops over. Two vCPUs run the same few instructions under the interpreter.
#include "accel/accel.h"
#include "base/error.h"
#include "base/log.h"
#include "frontends/a64/a64.h"

#include <criterion/criterion.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>

enum { BASE = 0x40000000, DATA = BASE + 0x2000, CPUS = 2 };

static const uint32_t program[] = {
    0xd2800021, // 00 mov x1, #1
    0xd503207f, // 04 wfi
    0xf9000001, // 08 str x1, [x0]
    0x91000421, // 0c add x1, x1, #1
    0xf9400002, // 10 ldr x2, [x0]
    0x00000000, // 14 udf #0
};

struct rig {
    pthread_mutex_t lock;
    struct mem_space *mem;
    struct accel *accel;
    struct log log;
    sem_t stopped;
    _Atomic unsigned stops, cpus; // cpus: a bit for each that stopped
    _Atomic int reason;
};

static void on_stopped(void *opaque, unsigned cpu, int reason)
{
    struct rig *rig = opaque;
    rig->reason = reason;
    rig->cpus |= 1u << cpu;
    rig->stops++;
    sem_post(&rig->stopped);
}

static void rig_open(struct rig *rig)
{
    struct error err;
    struct mem_ram *ram;
    struct guest_cpu_config cpus[CPUS];
    pthread_mutex_init(&rig->lock, NULL);
    sem_init(&rig->stopped, 0, 0);
    cr_assert_eq(mem_space_create(&rig->lock, &rig->mem, &err), 0);
    cr_assert_eq(mem_add_ram(rig->mem, "ram", (struct gpa){BASE}, 0x10000, 0, &ram, &err), 0);
    mem_commit(rig->mem);
    memcpy(ram->host, program, sizeof program);
    for (unsigned i = 0; i < CPUS; i++)
        cpus[i] = (struct guest_cpu_config){.model = "cortex-a72", .index = i, .count = CPUS, .log = &rig->log};
    const struct accel_config config = {.engine = ACCEL_INTERPRETER, .isa = &a64_isa, .mem = rig->mem, .log = &rig->log,
                                        .cpu_count = CPUS, .cpus = cpus, .events = {rig, on_stopped}};
    cr_assert_eq(accel_create(&config, &rig->accel, &err), 0, "%s", err.text);
}

static void rig_close(struct rig *rig)
{
    accel_destroy(rig->accel);
    mem_space_destroy(rig->mem);
}

static uint64_t pc(struct rig *rig, unsigned cpu)
{
    return accel_env(rig->accel, cpu)->pc - BASE;
}

static uint64_t x(struct rig *rig, unsigned cpu, unsigned reg)
{
    uint64_t v = 0;
    cr_assert(a64_isa.debug_get(accel_env(rig->accel, cpu), reg, &v));
    return v;
}

// Lets the vCPUs run until one stops by itself, then parks all, as the machine does.
static int run(struct rig *rig)
{
    struct timespec until;
    rig->stops = rig->cpus = 0;
    while (!sem_trywait(&rig->stopped))
        ;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    accel_resume(rig->accel);
    cr_assert_eq(sem_timedwait(&rig->stopped, &until), 0, "no vCPU stops");
    accel_pause(rig->accel);
    accel_cancel_step(rig->accel);
    for (unsigned n = rig->stops; n; n--)
        accel_resume(rig->accel);
    return rig->reason;
}

static void start(struct rig *rig, unsigned cpu)
{
    cr_assert_eq(accel_cpu_start(rig->accel, cpu, BASE, DATA + cpu * 0x100), 0);
    cr_expect_eq(pc(rig, cpu), 0, "a debugger sees where it will start");
    cr_expect_eq(x(rig, cpu, 0), DATA + cpu * 0x100);
}

Test(debug, steps)
{
    static struct rig rig;
    static const uint64_t pcs[] = {0x04, 0x08, 0x0c, 0x10, 0x14};
    rig_open(&rig);
    start(&rig, 0);
    start(&rig, 1);
    accel_breakpoint(rig.accel, BASE, true); // passed over by a step
    for (size_t i = 0; i < sizeof pcs / sizeof *pcs; i++) {
        accel_step(rig.accel, 0);
        cr_expect_eq(run(&rig), ACCEL_STOP_STEP);
        cr_expect_eq(rig.stops, 1);
        cr_expect_eq(pc(&rig, 0), pcs[i]); // the wait for an interrupt among them
        cr_expect_eq(pc(&rig, 1), 0);
    }
    cr_expect_eq(x(&rig, 0, 2), 1);
    accel_step(rig.accel, 0);
    cr_expect_eq(run(&rig), ACCEL_STOP_STEP);
    cr_expect_eq(accel_env(rig.accel, 0)->pc, 0x200, "an exception is a step to its vector");
    rig_close(&rig);
}

Test(debug, breakpoints)
{
    static struct rig rig;
    rig_open(&rig);
    start(&rig, 0);
    start(&rig, 1);
    accel_breakpoint(rig.accel, BASE, true);
    unsigned seen = 0;
    for (int i = 0; i < 20000 && seen != 3; i++) { // both meet it, at once or one after the other, however often resumed
        cr_expect_eq(run(&rig), ACCEL_STOP_BREAKPOINT);
        seen |= rig.cpus;
        cr_expect_eq(pc(&rig, 0), 0);
        cr_expect_eq(pc(&rig, 1), 0);
    }
    cr_expect_eq(seen, 3);
    accel_run_only(rig.accel, 1);
    run(&rig);
    cr_expect_eq(rig.cpus, 2);
    cr_expect_eq(accel_breakpoint(rig.accel, BASE, false), 0);
    cr_expect_lt(accel_breakpoint(rig.accel, BASE, false), 0);
    rig_close(&rig);
}

Test(debug, watchpoints)
{
    static struct rig rig;
    uint64_t va, word = 0;
    enum guest_access access;
    rig_open(&rig);
    start(&rig, 1);
    accel_step(rig.accel, 1);
    run(&rig);
    accel_step(rig.accel, 1); // past the wait
    run(&rig);
    cr_expect_eq(accel_watchpoint(rig.accel, DATA + 0x104, 1, GUEST_W, true), 0);
    cr_expect_eq(accel_watchpoint(rig.accel, DATA + 0x100, 1, GUEST_R, true), 0);
    cr_expect_eq(run(&rig), ACCEL_STOP_WATCHPOINT);
    accel_watch_hit(rig.accel, 1, &va, &access);
    cr_expect_eq(va, DATA + 0x100);
    cr_expect_eq(access, GUEST_WRITE);
    cr_expect_eq(pc(&rig, 1), 0x08, "before the access");
    accel_debug_read(rig.accel, 1, DATA + 0x100, &word, 8);
    cr_expect_eq(word, 0);
    accel_step(rig.accel, 1); // meets it again, and reports that alone
    cr_expect_eq(run(&rig), ACCEL_STOP_WATCHPOINT);
    cr_expect_eq(rig.stops, 1);
    cr_expect_eq(accel_watchpoint(rig.accel, DATA + 0x104, 1, GUEST_W, false), 0);
    cr_expect_eq(run(&rig), ACCEL_STOP_WATCHPOINT);
    accel_watch_hit(rig.accel, 1, &va, &access);
    cr_expect_eq(access, GUEST_READ);
    cr_expect_eq(pc(&rig, 1), 0x10);
    accel_debug_read(rig.accel, 1, DATA + 0x100, &word, 8);
    cr_expect_eq(word, 1);
    rig_close(&rig);
}
