// SPDX-License-Identifier: MIT
// Owns the Generic Watchdog's registers, architecture version 1 (48 bits of WOR). Times are those of the system counter.
// Invariant: while enabled, and unless WS1 is up, the loop timer stands where the counter first exceeds WCV.
#include "hw/misc/sbsa_gwdt.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/loop.h"
#include "hw/timer/arm_generic_timer.h"

#include <errno.h>
#include <stdlib.h>

enum {
    WCS = 0x000,
    WOR = 0x008,
    WOR_HIGH = 0x00c,
    WCV = 0x010,
    WCV_HIGH = 0x014,
    WRR = SBSA_GWDT_FRAME,
    W_IIDR = 0xfcc, // of both frames

    WCS_EN = 1 << 0,
    WCS_WS0 = 1 << 1,
    WCS_WS1 = 1 << 2,
    IIDR_VALUE = 1 << 16 | 0x43b, // version 1, implementer Arm
};

struct sbsa_gwdt {
    struct device dev;
    struct irq ws0, ws1;
    struct clock *clock;
    struct loop_timer timer;
    bool enabled, timed_out, expired; // WCS
    uint64_t offset;                  // WOR
    uint64_t compare;                 // WCV
};

static void update(struct sbsa_gwdt *w)
{
    irq_set(&w->ws0, w->timed_out);
    irq_set(&w->ws1, w->expired);
    if (!w->enabled || w->expired || w->compare >= INT64_MAX / ARM_COUNTER_NS - 1)
        loop_timer_disarm(&w->timer);
    else
        loop_timer_arm(&w->timer, (int64_t)(w->compare + 1) * ARM_COUNTER_NS);
}

static void refresh(struct sbsa_gwdt *w)
{
    w->compare = arm_counter(w->clock) + w->offset;
    w->timed_out = w->expired = false;
}

static void on_timer(void *opaque)
{
    struct sbsa_gwdt *w = opaque;
    if (!w->enabled || w->expired || arm_counter(w->clock) <= w->compare)
        return;
    if (w->timed_out)
        w->expired = true;
    else
        w->compare = arm_counter(w->clock) + w->offset;
    w->timed_out = true;
    update(w);
}

static enum mem_result gwdt_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    struct sbsa_gwdt *w = opaque;
    uint64_t value = 0;
    switch (offset) {
    case WCS:
        value = (w->enabled ? WCS_EN : 0) | (w->timed_out ? WCS_WS0 : 0) | (w->expired ? WCS_WS1 : 0);
        break;
    case WOR: value = w->offset; break;
    case WOR_HIGH: value = w->offset >> 32; break;
    case WCV: value = w->compare; break;
    case WCV_HIGH: value = w->compare >> 32; break;
    case W_IIDR:
    case SBSA_GWDT_FRAME + W_IIDR: value = IIDR_VALUE; break;
    default: break;
    }
    *ret_value = (uint32_t)value;
    return MEM_OK;
}

static void put_half(uint64_t *reg, bool high, uint64_t value)
{
    *reg = high ? (uint32_t)*reg | value << 32 : (*reg & ~0xffffffffull) | (uint32_t)value;
}

static enum mem_result gwdt_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct sbsa_gwdt *w = opaque;
    switch (offset) {
    case WCS:
        w->enabled = value & WCS_EN;
        refresh(w);
        break;
    case WOR:
    case WOR_HIGH:
        put_half(&w->offset, offset == WOR_HIGH, offset == WOR_HIGH ? value & 0xffff : value);
        refresh(w);
        break;
    case WCV:
    case WCV_HIGH: put_half(&w->compare, offset == WCV_HIGH, value); break;
    case WRR: refresh(w); break;
    default: return MEM_OK;
    }
    update(w);
    return MEM_OK;
}

static const struct mem_mmio_ops mmio = {gwdt_read, gwdt_write, 4, 4};

static void gwdt_reset(struct device *dev)
{
    struct sbsa_gwdt *w = (struct sbsa_gwdt *)dev;
    w->enabled = w->timed_out = w->expired = false;
    w->offset = w->compare = 0;
    update(w);
}

static void gwdt_post_load(struct device *dev)
{
    struct sbsa_gwdt *w = (struct sbsa_gwdt *)dev;
    w->offset &= (1ull << 48) - 1;
    update(w);
}

static void gwdt_destroy(struct device *dev)
{
    struct sbsa_gwdt *w = (struct sbsa_gwdt *)dev;
    loop_timer_destroy(&w->timer);
    free(w);
}

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_BOOL, sbsa_gwdt, enabled), STATE_FIELD(2, STATE_BOOL, sbsa_gwdt, timed_out),
    STATE_FIELD(3, STATE_BOOL, sbsa_gwdt, expired), STATE_FIELD(4, STATE_U64, sbsa_gwdt, offset),
    STATE_FIELD(5, STATE_U64, sbsa_gwdt, compare),
};

static const struct device_class class =
    DEVICE_CLASS("sbsa_gwdt", 1, fields, gwdt_reset, gwdt_post_load, gwdt_destroy, &mmio, SBSA_GWDT_SIZE);

int sbsa_gwdt_create(const struct sbsa_gwdt_config *config, struct device **ret_dev, struct error *err)
{
    struct sbsa_gwdt *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, -ENOMEM, "no memory for a watchdog");
    device_init(&w->dev, &class, config->path);
    w->ws0 = config->ws0;
    w->ws1 = config->ws1;
    w->clock = config->clock;
    int r = loop_timer_init(config->loop, &w->timer, config->clock, on_timer, w);
    if (r) {
        free(w);
        return error_set(err, r, "the event loop has no room for a watchdog's timer");
    }
    device_reset(&w->dev);
    *ret_dev = &w->dev;
    return 0;
}
