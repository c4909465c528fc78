// SPDX-License-Identifier: MIT
// Owns the compare registers of one CPU's generic timers (Arm ARM D11.2, D19.12). A timer's condition is
// counter - offset >= CVAL, unsigned; its output is ENABLE && !IMASK && condition.
//
// Invariant: outside the lock each output agrees with the registers and the time of the last look, and a
// timer that could raise its output later has its loop timer armed no later than that moment. A loop timer
// may fire early or for nothing; the look that follows puts it right.
#include "hw/timer/arm_generic_timer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { CTL_ENABLE = 1, CTL_IMASK = 2, CTL_ISTATUS = 4 };

struct compare {
    uint32_t ctl; // ENABLE and IMASK
    uint64_t cval;
    // Not state:
    bool level;
    struct irq irq;
    struct loop_timer expiry;
    bool armed; // expiry is in the loop's queue for deadline, or has just fired
    int64_t deadline;
};

struct arm_generic_timer {
    struct device dev;
    struct clock *clock;
    pthread_mutex_t lock;
    uint64_t cntvoff;
    struct compare compare[ARM_TIMERS];
};

uint64_t arm_counter(const struct clock *clock)
{
    return (uint64_t)clock_now(clock) / ARM_COUNTER_NS;
}

static uint64_t offset_of(const struct arm_generic_timer *t, enum arm_timer which)
{
    return which == ARM_TIMER_VIRT ? t->cntvoff : 0;
}

static uint64_t count_of(const struct arm_generic_timer *t, enum arm_timer which)
{
    return arm_counter(t->clock) - offset_of(t, which);
}

static void drive(struct compare *c, bool level)
{
    if (c->level != level) {
        c->level = level;
        irq_set(&c->irq, level);
    }
}

// Makes output and expiry agree with the registers. A masked or disabled timer keeps an armed expiry: it
// comes for nothing at worst, and most often the guest re-arms before.
static void look(struct arm_generic_timer *t, enum arm_timer which)
{
    struct compare *c = &t->compare[which];
    if ((c->ctl & (CTL_ENABLE | CTL_IMASK)) != CTL_ENABLE) {
        drive(c, false);
        return;
    }
    uint64_t count = arm_counter(t->clock), timer_count = count - offset_of(t, which);
    bool met = timer_count >= c->cval;
    drive(c, met);
    // The next change: the condition comes true, or (with an offset beyond now) false again as the count
    // wraps. Added to count and not wrapped, it is never in the past.
    uint64_t left = (met ? 0 : c->cval) - timer_count;
    int64_t deadline =
        left > INT64_MAX / ARM_COUNTER_NS - count ? CLOCK_NEVER : (int64_t)(count + left) * ARM_COUNTER_NS;
    if (met && deadline == CLOCK_NEVER)
        return;
    if (!c->armed || c->deadline != deadline) {
        c->armed = true;
        c->deadline = deadline;
        loop_timer_arm(&c->expiry, deadline);
    }
}

static void expired(struct arm_generic_timer *t, enum arm_timer which)
{
    pthread_mutex_lock(&t->lock);
    t->compare[which].armed = false;
    look(t, which);
    pthread_mutex_unlock(&t->lock);
}

static void expired_phys(void *opaque)
{
    expired(opaque, ARM_TIMER_PHYS);
}
static void expired_virt(void *opaque)
{
    expired(opaque, ARM_TIMER_VIRT);
}
static void expired_hyp(void *opaque)
{
    expired(opaque, ARM_TIMER_HYP);
}
static void expired_sec(void *opaque)
{
    expired(opaque, ARM_TIMER_SEC);
}

static void (*const expired_callbacks[ARM_TIMERS])(void *opaque) = {
    [ARM_TIMER_PHYS] = expired_phys,
    [ARM_TIMER_VIRT] = expired_virt,
    [ARM_TIMER_HYP] = expired_hyp,
    [ARM_TIMER_SEC] = expired_sec,
};

uint64_t arm_generic_timer_read(struct arm_generic_timer *t, enum arm_timer which,
                                enum arm_timer_register reg)
{
    const struct compare *c = &t->compare[which];
    pthread_mutex_lock(&t->lock);
    uint64_t value = c->cval;
    if (reg == ARM_TIMER_TVAL)
        value = (uint32_t)(c->cval - count_of(t, which));
    else if (reg == ARM_TIMER_CTL) // ISTATUS is unknown while disabled: 0 here
        value = c->ctl | (c->ctl & CTL_ENABLE && count_of(t, which) >= c->cval ? CTL_ISTATUS : 0);
    pthread_mutex_unlock(&t->lock);
    return value;
}

void arm_generic_timer_write(struct arm_generic_timer *t, enum arm_timer which, enum arm_timer_register reg,
                             uint64_t value)
{
    struct compare *c = &t->compare[which];
    pthread_mutex_lock(&t->lock);
    switch (reg) {
    case ARM_TIMER_CTL: c->ctl = value & (CTL_ENABLE | CTL_IMASK); break;
    case ARM_TIMER_CVAL: c->cval = value; break;
    case ARM_TIMER_TVAL: c->cval = count_of(t, which) + (uint64_t)(int64_t)(int32_t)value; break;
    }
    look(t, which);
    pthread_mutex_unlock(&t->lock);
}

uint64_t arm_generic_timer_virtual_count(struct arm_generic_timer *t)
{
    pthread_mutex_lock(&t->lock);
    uint64_t count = count_of(t, ARM_TIMER_VIRT);
    pthread_mutex_unlock(&t->lock);
    return count;
}

uint64_t arm_generic_timer_offset(struct arm_generic_timer *t)
{
    pthread_mutex_lock(&t->lock);
    uint64_t offset = t->cntvoff;
    pthread_mutex_unlock(&t->lock);
    return offset;
}

void arm_generic_timer_set_offset(struct arm_generic_timer *t, uint64_t offset)
{
    pthread_mutex_lock(&t->lock);
    t->cntvoff = offset;
    look(t, ARM_TIMER_VIRT);
    pthread_mutex_unlock(&t->lock);
}

// --- the device ---

static void redrive(struct arm_generic_timer *t)
{
    for (unsigned i = 0; i < ARM_TIMERS; i++) {
        struct compare *c = &t->compare[i];
        c->level = false;
        irq_set(&c->irq, false);
        c->armed = false;
        loop_timer_disarm(&c->expiry);
        look(t, (enum arm_timer)i);
    }
}

static void timer_reset(struct device *dev)
{
    struct arm_generic_timer *t = (struct arm_generic_timer *)dev;
    pthread_mutex_lock(&t->lock);
    t->cntvoff = 0;
    for (unsigned i = 0; i < ARM_TIMERS; i++)
        t->compare[i].ctl = 0, t->compare[i].cval = 0;
    redrive(t);
    pthread_mutex_unlock(&t->lock);
}

static void timer_post_load(struct device *dev)
{
    struct arm_generic_timer *t = (struct arm_generic_timer *)dev;
    pthread_mutex_lock(&t->lock);
    for (unsigned i = 0; i < ARM_TIMERS; i++)
        t->compare[i].ctl &= CTL_ENABLE | CTL_IMASK;
    redrive(t);
    pthread_mutex_unlock(&t->lock);
}

static void timer_destroy(struct device *dev)
{
    struct arm_generic_timer *t = (struct arm_generic_timer *)dev;
    for (unsigned i = 0; i < ARM_TIMERS; i++)
        loop_timer_destroy(&t->compare[i].expiry);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_U64, arm_generic_timer, cntvoff),
    STATE_EACH(2, STATE_U32, arm_generic_timer, compare, ctl, ARM_TIMERS),
    STATE_EACH(3, STATE_U64, arm_generic_timer, compare, cval, ARM_TIMERS),
};

static const struct device_class timer_class =
    DEVICE_CLASS("arm-generic-timer", 1, fields, timer_reset, timer_post_load, timer_destroy, NULL, 0);

int arm_generic_timer_create(const struct arm_generic_timer_config *config,
                             struct arm_generic_timer **ret_timer, struct error *err)
{
    struct arm_generic_timer *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, -ENOMEM, "no memory for a generic timer");
    pthread_mutex_init(&t->lock, NULL);
    device_init(&t->dev, &timer_class, config->path);
    t->clock = config->clock;
    for (unsigned i = 0; i < ARM_TIMERS; i++) {
        t->compare[i].irq = config->irq[i];
        int code =
            loop_timer_init(config->loop, &t->compare[i].expiry, config->clock, expired_callbacks[i], t);
        if (code) {
            timer_destroy(&t->dev);
            return error_set(err, code, "the event loop has no room for a generic timer");
        }
    }
    device_reset(&t->dev);
    *ret_timer = t;
    return 0;
}

struct device *arm_generic_timer_device(struct arm_generic_timer *timer)
{
    return &timer->dev;
}
