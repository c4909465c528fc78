// SPDX-License-Identifier: MIT
// The state of 32 interrupts as both GIC versions keep it, one bit each, and the choice among them by
// priority.
//
// pending is the latch of edges and of writes to ISPENDR; a level-sensitive interrupt is also pending while
// its line is high (IHI 0048B 3.2.4, IHI 0069 4.1.2). Acknowledging clears the latch, not the line.
#ifndef HW_INTC_GIC_BANK_H
#define HW_INTC_GIC_BANK_H

#include <stdbool.h>
#include <stdint.h>

enum { GIC_PRIORITY_BITS = 5, GIC_PRIORITY_MASK = 0xf8, GIC_IDLE_PRIORITY = 0xff };

struct gic_bank {
    uint32_t group; // 1: group 1
    uint32_t enabled, pending, active;
    uint32_t level; // input lines
    uint32_t edge;  // 1: edge-triggered
};

static inline uint32_t gic_bank_pending(const struct gic_bank *b)
{
    return b->pending | (b->level & ~b->edge);
}

// Pending, enabled and not active: what may be forwarded.
static inline uint32_t gic_bank_ready(const struct gic_bank *b)
{
    return gic_bank_pending(b) & b->enabled & ~b->active;
}

enum { GICD_CTLR_EnableGrp0 = 1 << 0, GICD_CTLR_EnableGrp1 = 1 << 1 };

// Those ready whose group is one of enabled (GICD_CTLR_EnableGrp*).
static inline uint32_t gic_bank_offered(const struct gic_bank *b, uint32_t enabled)
{
    uint32_t of_group0 = enabled & GICD_CTLR_EnableGrp0 ? ~b->group : 0;
    uint32_t of_group1 = enabled & GICD_CTLR_EnableGrp1 ? b->group : 0;
    return gic_bank_ready(b) & (of_group0 | of_group1);
}

// Drives an input line. Returns whether pending may have changed.
static inline bool gic_bank_line(struct gic_bank *b, unsigned bit, bool level)
{
    uint32_t mask = 1u << bit;
    if (!!(b->level & mask) == level)
        return false;
    b->level ^= mask;
    if (level && (b->edge & mask))
        b->pending |= mask;
    return level || !(b->edge & mask);
}

static inline void gic_bank_acknowledge(struct gic_bank *b, unsigned bit)
{
    b->pending &= ~(1u << bit);
    b->active |= 1u << bit;
}

// The registers with one bit an interrupt, in the order of their addresses: 0x80 bytes each from 0x80 on.
enum gic_bit_register {
    GIC_IGROUPR = 1,
    GIC_ISENABLER,
    GIC_ICENABLER,
    GIC_ISPENDR,
    GIC_ICPENDR,
    GIC_ISACTIVER,
    GIC_ICACTIVER
};

static inline uint32_t gic_bank_read(const struct gic_bank *b, enum gic_bit_register reg)
{
    switch (reg) {
    case GIC_IGROUPR: return b->group;
    case GIC_ISENABLER:
    case GIC_ICENABLER: return b->enabled;
    case GIC_ISPENDR:
    case GIC_ICPENDR: return gic_bank_pending(b);
    default: return b->active;
    }
}

static inline void gic_bank_write(struct gic_bank *b, enum gic_bit_register reg, uint32_t value)
{
    switch (reg) {
    case GIC_IGROUPR: b->group = value; break;
    case GIC_ISENABLER: b->enabled |= value; break;
    case GIC_ICENABLER: b->enabled &= ~value; break;
    case GIC_ISPENDR: b->pending |= value; break;
    case GIC_ICPENDR: b->pending &= ~value; break;
    case GIC_ISACTIVER: b->active |= value; break;
    case GIC_ICACTIVER: b->active &= ~value; break;
    }
}

// ICFGR: two bits an interrupt, the upper one says edge. half selects interrupts 0-15 or 16-31 of the bank.
static inline uint32_t gic_bank_read_config(const struct gic_bank *b, unsigned half)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 16; i++)
        value |= ((b->edge >> (half * 16 + i)) & 1) << (2 * i + 1);
    return value;
}

static inline void gic_bank_write_config(struct gic_bank *b, unsigned half, uint32_t value)
{
    for (unsigned i = 0; i < 16; i++) {
        uint32_t mask = 1u << (half * 16 + i);
        b->edge = (value >> (2 * i + 1)) & 1 ? b->edge | mask : b->edge & ~mask;
    }
}

// The best candidate so far: the lowest priority value, of equals the lowest id.
struct gic_best {
    uint16_t id;      // GIC_SPURIOUS: none
    uint8_t priority; // GIC_IDLE_PRIORITY: none
    bool group1;
};

enum { GIC_SPURIOUS = 1023 };

// Considers the interrupts of candidates; id is that of the bank's bit 0, priority its 32 bytes.
static inline void gic_best_of(struct gic_best *best, const struct gic_bank *b, uint32_t candidates,
                               unsigned id, const uint8_t *priority)
{
    while (candidates) {
        unsigned bit = (unsigned)__builtin_ctz(candidates);
        candidates &= candidates - 1;
        if (priority[bit] < best->priority)
            *best = (struct gic_best){(uint16_t)(id + bit), priority[bit], (b->group >> bit) & 1};
    }
}

// Active priorities: bit n set while an interrupt of group priority n << 3 is active.
static inline uint8_t gic_running_priority(uint32_t active_priorities)
{
    if (!active_priorities)
        return GIC_IDLE_PRIORITY;
    return (uint8_t)(__builtin_ctz(active_priorities) << (8 - GIC_PRIORITY_BITS));
}

// Of a priority, the group priority's bits: bpr as BPR0 holds it, which counts from [7:1] at 0 (IHI 0048B 3.3.3, IHI
// 0069 4.8.2). BPR1 and ABPR hold one more for the same split.
static inline uint8_t gic_group_priority_mask(unsigned bpr)
{
    return (uint8_t)(0xff << (bpr + 1));
}

// Whether the candidate is taken by a CPU with this priority mask and these active priorities.
static inline bool gic_preempts(const struct gic_best *best, uint8_t pmr, uint32_t active_priorities,
                                uint8_t group_priority_mask)
{
    if (best->id == GIC_SPURIOUS || best->priority >= pmr)
        return false;
    uint8_t running = gic_running_priority(active_priorities);
    // Both sides masked: an equal priority never preempts, however the binary point moved since the last one.
    return running == GIC_IDLE_PRIORITY || (best->priority & group_priority_mask) < (running & group_priority_mask);
}

#endif
