// SPDX-License-Identifier: MIT
// Generic timers on a clock the test moves: condition, mask and level; past, far and wrapping compare values;
// the offset of the virtual timer; save and load.
#include "accel/ports.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/loop.h"
#include "hw/core/state.h"
#include "hw/intc/arm_ports.h"
#include "hw/timer/arm_generic_timer.h"

#include <criterion/criterion.h>
#include <string.h>

struct bench {
    pthread_mutex_t lock;
    struct clock clock;
    struct loop *loop;
    int64_t now;
    bool irq[ARM_TIMERS];
    struct arm_generic_timer *timer;
};

static int64_t bench_time(void *opaque)
{
    return ((struct bench *)opaque)->now;
}

static void set_output(void *opaque, unsigned line, bool level)
{
    ((bool *)opaque)[line] = level;
}

static void bench_make(struct bench *b)
{
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_lock(&b->lock);
    clock_init(&b->clock, bench_time, b);
    clock_start(&b->clock);
    cr_assert_eq(loop_create(&b->lock, &b->loop, NULL), 0);
    struct arm_generic_timer_config config = {.path = "/cpu0/timer", .clock = &b->clock, .loop = b->loop};
    for (unsigned i = 0; i < ARM_TIMERS; i++)
        config.irq[i] = (struct irq){set_output, b->irq, i};
    cr_assert_eq(arm_generic_timer_create(&config, &b->timer, NULL), 0);
}

static void bench_free(struct bench *b)
{
    device_destroy(arm_generic_timer_device(b->timer));
    loop_destroy(b->loop);
}

static void at_tick(struct bench *b, int64_t tick)
{
    b->now = tick * ARM_COUNTER_NS;
    loop_once(b->loop, 0);
}

enum op { TICK, CTL, CVAL, TVAL, OFFSET, CTL_IS, CVAL_IS, TVAL_IS, HIGH, LOW, ARMED, IDLE };

// Rows of one scenario follow each other; a new name starts afresh.
static const struct {
    const char *name;
    enum op op;
    uint64_t value;
} rows[] = {
    {"fires at the tick", CVAL, 100},
    {"", CTL, 1},
    {"", LOW},
    {"", CTL_IS, 1},
    {"", ARMED, 1600},
    {"", TICK, 99},
    {"", LOW},
    {"", TICK, 100},
    {"", HIGH},
    {"", CTL_IS, 5},
    {"", CVAL, 200},
    {"", LOW},
    {"", TICK, 200},
    {"", HIGH},
    {"", CTL, 0},
    {"", LOW},
    {"", CTL_IS, 0},
    {"past deadlines are met at once", TICK, 50},
    {"", CVAL, 50},
    {"", CTL, 1},
    {"", HIGH},
    {"", IDLE},
    {"mask", CVAL, 10},
    {"", CTL, 3},
    {"", IDLE},
    {"", CTL_IS, 3},
    {"", TICK, 10},
    {"", LOW},
    {"", CTL_IS, 7},
    {"", CTL, 1},
    {"", HIGH},
    {"", CTL, 3},
    {"", LOW},
    {"", CTL, 0xfffffffffffffffc},
    {"", CTL_IS, 0},
    {"TVAL is signed", TICK, 1000},
    {"", CTL, 1},
    {"", TVAL, 20},
    {"", CVAL_IS, 1020},
    {"", LOW},
    {"", TICK, 1005},
    {"", TVAL_IS, 15},
    {"", TICK, 1030},
    {"", HIGH},
    {"", TVAL_IS, 0xfffffff6},
    {"", TVAL, 0xffffffff},
    {"", CVAL_IS, 1029},
    {"", HIGH},
    {"", TVAL, 0x7fffffff},
    {"", LOW},
    {"far away", CVAL, ~0ull},
    {"", CTL, 1},
    {"", LOW},
    {"", IDLE},
    {"", CVAL, 1ull << 60},
    {"", IDLE},
    {"", TICK, 1 << 30},
    {"", LOW},
    {"", CVAL, (1 << 30) + 1},
    {"", ARMED, 17179869200},
    {"moved back", CVAL, 1000},
    {"", CTL, 1},
    {"", CVAL, 500},
    {"", TICK, 500},
    {"", HIGH},
    {"moved on", CVAL, 500},
    {"", CTL, 1},
    {"", CVAL, 1000},
    {"", TICK, 999},
    {"", LOW},
    {"", TICK, 1000},
    {"", HIGH},
    {"offset", OFFSET, 100},
    {"", TICK, 150},
    {"", CVAL, 60},
    {"", CTL, 1},
    {"", LOW},
    {"", TVAL_IS, 10},
    {"", TICK, 160},
    {"", HIGH},
    {"", OFFSET, 110},
    {"", LOW},
    {"", TICK, 170},
    {"", HIGH},
    {"offset beyond now", TICK, 100},
    {"", OFFSET, 200},
    {"", CVAL, -50ull},
    {"", CTL, 1},
    {"", LOW},
    {"", ARMED, 2400},
    {"", TICK, 150},
    {"", HIGH},
    {"", TICK, 199},
    {"", HIGH},
    {"", TICK, 200},
    {"", LOW},
    {"", CVAL, 0},
    {"", HIGH},
    {"offset wraps: no deadline in the past", TICK, 100},
    {"", OFFSET, -10ull},
    {"", CVAL, -5ull},
    {"", CTL, 1},
    {"", LOW},
    {"", IDLE},
};

Test(generic_timer, scenarios)
{
    struct bench b;
    const char *name = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (*rows[i].name) {
            if (name)
                bench_free(&b);
            name = rows[i].name;
            bench_make(&b);
        }
        uint64_t v = rows[i].value, got = v;
        enum arm_timer t = ARM_TIMER_VIRT;
        switch (rows[i].op) {
        case TICK: at_tick(&b, (int64_t)v); break;
        case CTL: arm_generic_timer_write(b.timer, t, ARM_TIMER_CTL, v); break;
        case CVAL: arm_generic_timer_write(b.timer, t, ARM_TIMER_CVAL, v); break;
        case TVAL: arm_generic_timer_write(b.timer, t, ARM_TIMER_TVAL, v); break;
        case OFFSET: arm_generic_timer_set_offset(b.timer, v); break;
        case CTL_IS: got = arm_generic_timer_read(b.timer, t, ARM_TIMER_CTL); break;
        case CVAL_IS: got = arm_generic_timer_read(b.timer, t, ARM_TIMER_CVAL); break;
        case TVAL_IS: got = arm_generic_timer_read(b.timer, t, ARM_TIMER_TVAL); break;
        case HIGH:
        case LOW: v = rows[i].op == HIGH, got = b.irq[t]; break;
        case ARMED: got = (uint64_t)loop_next_deadline(b.loop, &b.clock); break;
        case IDLE: v = CLOCK_NEVER, got = (uint64_t)loop_next_deadline(b.loop, &b.clock); break;
        }
        cr_expect_eq(got, v, "%s, row %zu: %llx, not %llx", name, i, (unsigned long long)got,
                     (unsigned long long)v);
    }
    bench_free(&b);
}

Test(generic_timer, through_ports)
{
    struct bench b;
    struct arm_ports *p;
    uint64_t v;
    bench_make(&b);
    struct arm_ports_config config = {1, &b.clock, NULL, &b.timer, false};
    cr_assert_eq(arm_ports_create(&config, &p, NULL), 0);
    const struct vcpu_ports *ports = arm_ports_vcpu(p);
    at_tick(&b, 1234);
    cr_assert_eq(ports->counter(ports->opaque), 1234);
    cr_assert_eq(ports->counter_hz, 62500000);
    cr_assert(ports->reg_read(ports->opaque, 0, 0, VCPU_REG_A64(3, 3, 14, 0, 2), &v));
    cr_assert_eq(v, 1234);
    cr_assert_not(ports->reg_write(ports->opaque, 0, 1, VCPU_REG_A64(3, 3, 14, 0, 2), 0),
                  "CNTVCT is read-only");
    cr_assert(ports->reg_write(ports->opaque, 0, 1, VCPU_REG_A64(3, 3, 14, 2, 2), 1300));
    cr_assert(ports->reg_write(ports->opaque, 0, 1, VCPU_REG_A64(3, 3, 14, 2, 1), 1));
    at_tick(&b, 1300);
    cr_assert(b.irq[ARM_TIMER_PHYS]);
    cr_assert_not(b.irq[ARM_TIMER_VIRT]);
    cr_assert(ports->reg_read(ports->opaque, 0, 1, VCPU_REG_A64(3, 3, 14, 2, 1), &v));
    cr_assert_eq(v, 5);
    cr_assert_not(ports->reg_read(ports->opaque, 0, 1, VCPU_REG_A64(3, 0, 12, 12, 0), &v),
                  "no GICv3, no ICC_IAR1");
    cr_assert_not(ports->reg_read(ports->opaque, 0, 2, VCPU_REG_A64(3, 4, 14, 0, 3), &v),
                  "no EL2, no CNTVOFF");
    cr_assert_not(ports->reg_read(ports->opaque, 1, 1, VCPU_REG_A64(3, 3, 14, 2, 1), &v), "no such CPU");
    cr_assert_not(ports->reg_read(ports->opaque, 0, 1, ~0u, &v));
    cr_assert_not(ports->reg_read(ports->opaque, 0, 1, 0, &v));
    arm_ports_destroy(p);
    bench_free(&b);
}

Test(generic_timer, save_load_save)
{
    struct bench a, b;
    struct state_buf one = {0}, two = {0};
    struct error err;
    bench_make(&a);
    bench_make(&b);
    arm_generic_timer_set_offset(a.timer, 5);
    arm_generic_timer_write(a.timer, ARM_TIMER_VIRT, ARM_TIMER_CVAL, 100);
    arm_generic_timer_write(a.timer, ARM_TIMER_VIRT, ARM_TIMER_CTL, 1);
    arm_generic_timer_write(a.timer, ARM_TIMER_PHYS, ARM_TIMER_CTL, 1);
    struct device *to = arm_generic_timer_device(b.timer);
    cr_assert_eq(state_save(arm_generic_timer_device(a.timer), 0, &one, &err), 0);
    cr_assert_eq(state_load(&to, 1, 0, one.data, one.size, &err), 0, "%s", err.text);
    cr_assert_eq(state_save(to, 0, &two, &err), 0);
    cr_assert(one.size == two.size && !memcmp(one.data, two.data, one.size));
    cr_assert(b.irq[ARM_TIMER_PHYS]);
    cr_assert(b.irq[ARM_TIMER_VIRT], "5 ticks before its offset the count is huge");
    at_tick(&b, 104);
    cr_assert_not(b.irq[ARM_TIMER_VIRT]);
    at_tick(&b, 105);
    cr_assert(b.irq[ARM_TIMER_VIRT]);
    state_buf_free(&one);
    state_buf_free(&two);
    bench_free(&a);
    bench_free(&b);
}
