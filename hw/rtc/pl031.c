// SPDX-License-Identifier: MIT
// Owns the PL031's registers (Arm DDI 0224 chapter 3). The counter is computed, not kept: offset + machine
// seconds. Invariant: the loop timer stands at the next moment the counter equals MR. The time survives a
// reset, as a battery makes it do.
#include "hw/rtc/pl031.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/loop.h"
#include "hw/core/primecell.h"

#include <errno.h>
#include <stdlib.h>

enum {
    RTCDR = 0x00,
    RTCMR = 0x04,
    RTCLR = 0x08,
    RTCCR = 0x0c,
    RTCIMSC = 0x10,
    RTCRIS = 0x14,
    RTCMIS = 0x18,
    RTCICR = 0x1c,
    PART = 0x031,
    REVISION = 1,
};

static const int64_t SECOND = 1000000000;

struct pl031 {
    struct device dev;
    struct irq irq;
    struct clock *clock;
    struct loop_timer alarm;
    uint32_t offset; // of the counter from machine seconds
    uint32_t mr, lr;
    bool imsc, ris;
};

static uint32_t counter(const struct pl031 *r)
{
    return r->offset + (uint32_t)(clock_now(r->clock) / SECOND);
}

static void update_irq(struct pl031 *r)
{
    irq_set(&r->irq, r->ris && r->imsc);
}

// Arms the alarm for the next second that shows MR, not counting the present one.
static void arm(struct pl031 *r)
{
    int64_t seconds = clock_now(r->clock) / SECOND;
    uint32_t left = r->mr - (r->offset + (uint32_t)seconds);
    int64_t at = left ? left : 1ll << 32;
    loop_timer_arm(&r->alarm, seconds + at < INT64_MAX / SECOND ? (seconds + at) * SECOND : CLOCK_NEVER);
}

static void alarmed(void *opaque)
{
    struct pl031 *r = opaque;
    if (counter(r) == r->mr) {
        r->ris = true;
        update_irq(r);
    }
    arm(r);
}

static enum mem_result pl031_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    struct pl031 *r = opaque;
    uint32_t value = 0;
    switch (offset & ~3ull) {
    case RTCDR: value = counter(r); break;
    case RTCMR: value = r->mr; break;
    case RTCLR: value = r->lr; break;
    case RTCCR: value = 1; break; // always started
    case RTCIMSC: value = r->imsc; break;
    case RTCRIS: value = r->ris; break;
    case RTCMIS: value = r->ris && r->imsc; break;
    default: value = offset >= PRIMECELL_ID ? primecell_id(offset, PART, REVISION) : 0; break;
    }
    *ret_value = primecell_part(value, offset, size);
    return MEM_OK;
}

static enum mem_result pl031_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pl031 *r = opaque;
    switch (offset) {
    case RTCMR:
    case RTCLR:
        if (offset == RTCMR) {
            r->mr = (uint32_t)value;
        } else {
            r->lr = (uint32_t)value;
            r->offset += r->lr - counter(r);
        }
        r->ris |= counter(r) == r->mr;
        arm(r);
        break;
    case RTCIMSC: r->imsc = value & 1; break;
    case RTCICR: r->ris &= !(value & 1); break;
    default: return MEM_OK;
    }
    update_irq(r);
    return MEM_OK;
}

static const struct mem_mmio_ops mmio = {pl031_read, pl031_write, 1, 4};

static void pl031_reset(struct device *dev)
{
    struct pl031 *r = (struct pl031 *)dev;
    r->mr = r->lr = 0;
    r->imsc = r->ris = false;
    update_irq(r);
    arm(r);
}

static void pl031_post_load(struct device *dev)
{
    struct pl031 *r = (struct pl031 *)dev;
    update_irq(r);
    arm(r);
}

static void pl031_destroy(struct device *dev)
{
    struct pl031 *r = (struct pl031 *)dev;
    loop_timer_destroy(&r->alarm);
    free(r);
}

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_U32, pl031, offset), STATE_FIELD(2, STATE_U32, pl031, mr),
    STATE_FIELD(3, STATE_U32, pl031, lr),     STATE_FIELD(4, STATE_BOOL, pl031, imsc),
    STATE_FIELD(5, STATE_BOOL, pl031, ris),
};

static const struct device_class class =
    DEVICE_CLASS("pl031", 1, fields, pl031_reset, pl031_post_load, pl031_destroy, &mmio, PRIMECELL_SIZE);

int pl031_create(const struct pl031_config *config, struct device **ret_dev, struct error *err)
{
    struct pl031 *r = calloc(1, sizeof *r);
    if (!r)
        return error_set(err, -ENOMEM, "no memory for a PL031");
    device_init(&r->dev, &class, config->path);
    r->irq = config->irq;
    r->clock = config->clock;
    r->offset = config->start;
    int code = loop_timer_init(config->loop, &r->alarm, config->clock, alarmed, r);
    if (code) {
        free(r);
        return error_set(err, code, "the event loop has no room for a PL031's timer");
    }
    device_reset(&r->dev);
    *ret_dev = &r->dev;
    return 0;
}
