// SPDX-License-Identifier: MIT
// Owns the CPU interface's registers of a GICv2 (IHI 0048B 4.4) and acknowledge, priority drop and
// deactivation. Without the Security Extensions the plain registers serve group 0, and group 1 too while
// GICC_CTLR.AckCtl is set; the aliased ones serve group 1. One GICC_APR0 holds the active priorities of both
// groups.
#include "hw/intc/gicv2_internal.h"

enum {
    GICC_CTLR = 0x0000,
    GICC_PMR = 0x0004,
    GICC_BPR = 0x0008,
    GICC_IAR = 0x000c,
    GICC_EOIR = 0x0010,
    GICC_RPR = 0x0014,
    GICC_HPPIR = 0x0018,
    GICC_ABPR = 0x001c,
    GICC_AIAR = 0x0020,
    GICC_AEOIR = 0x0024,
    GICC_AHPPIR = 0x0028,
    GICC_APR0 = 0x00d0,
    GICC_IIDR = 0x00fc,
    GICC_DIR = 0x1000,
    GICC_IIDR_VALUE = 0x0202143b, // GIC-400 r0p1
    ID_MASK = 0x3ff,
    OTHER_GROUP = 1022, // the highest pending is of group 1 and this register serves group 0
};

// The id of the best candidate with the CPU an SGI came from in bits 12:10, or why it is not for this
// register.
static uint32_t best_for(struct gicv2 *gic, unsigned cpu, bool aliased)
{
    const struct gicv2_cpu *c = &gic->cpu[cpu];
    if (c->best.id == GIC_SPURIOUS || (aliased && !c->best.group1))
        return GIC_SPURIOUS;
    if (!aliased && c->best.group1 && !(c->ctlr & GICC_CTLR_AckCtl))
        return OTHER_GROUP;
    uint32_t source =
        c->best.id < GICV2_SGIS ? (uint32_t)__builtin_ctz(gic->sgi_sources[cpu][c->best.id]) : 0;
    return c->best.id | source << 10;
}

static void update_id(struct gicv2 *gic, unsigned cpu, unsigned id)
{
    gicv2_update_mask(gic, 1u << cpu | (id < 32 ? 0u : gic->target[id - 32]));
}

static uint32_t acknowledge(struct gicv2 *gic, unsigned cpu, bool aliased)
{
    struct gicv2_cpu *c = &gic->cpu[cpu];
    uint32_t value = gicv2_preempts(c) ? best_for(gic, cpu, aliased) : GIC_SPURIOUS;
    unsigned id = value & ID_MASK;
    if (id >= OTHER_GROUP)
        return value;
    c->apr |=
        1u << ((c->best.priority & gicv2_group_priority_mask(c, c->best.group1)) >> (8 - GIC_PRIORITY_BITS));
    gic_bank_acknowledge(gicv2_bank(gic, cpu, id), id % 32);
    if (id < GICV2_SGIS)
        gicv2_set_sgi(gic, cpu, id, gic->sgi_sources[cpu][id] & (uint8_t) ~(1u << (value >> 10)));
    update_id(gic, cpu, id);
    return value;
}

static void deactivate(struct gicv2 *gic, unsigned cpu, unsigned id)
{
    struct gic_bank *b = gicv2_bank(gic, cpu, id);
    if (!b)
        return;
    b->active &= ~(1u << (id % 32));
    update_id(gic, cpu, id);
}

static void end_of_interrupt(struct gicv2 *gic, unsigned cpu, unsigned id, bool aliased)
{
    struct gicv2_cpu *c = &gic->cpu[cpu];
    const struct gic_bank *b = gicv2_bank(gic, cpu, id);
    if (!b || (aliased && !(b->group >> (id % 32) & 1)))
        return;
    c->apr &= c->apr - 1;
    if (!(c->ctlr & GICC_CTLR_EOImode))
        deactivate(gic, cpu, id);
    gicv2_update_cpu(gic, cpu);
}

static uint32_t read_reg(struct gicv2 *gic, unsigned cpu, uint64_t offset)
{
    struct gicv2_cpu *c = &gic->cpu[cpu];
    switch (offset) {
    case GICC_CTLR: return c->ctlr;
    case GICC_PMR: return c->pmr;
    case GICC_BPR: return c->bpr;
    case GICC_IAR: return acknowledge(gic, cpu, false);
    case GICC_RPR: return gic_running_priority(c->apr);
    case GICC_HPPIR: return best_for(gic, cpu, false);
    case GICC_ABPR: return c->abpr;
    case GICC_AIAR: return acknowledge(gic, cpu, true);
    case GICC_AHPPIR: return best_for(gic, cpu, true);
    case GICC_APR0: return c->apr;
    case GICC_IIDR: return GICC_IIDR_VALUE;
    default: return 0;
    }
}

static uint8_t bpr_value(uint32_t value, uint8_t least)
{
    return (value & 7) < least ? least : value & 7;
}

static void write_reg(struct gicv2 *gic, unsigned cpu, uint64_t offset, uint32_t value)
{
    struct gicv2_cpu *c = &gic->cpu[cpu];
    switch (offset) {
    case GICC_CTLR: c->ctlr = value & GICC_CTLR_MASK; break;
    case GICC_PMR: c->pmr = value & GIC_PRIORITY_MASK; break;
    case GICC_BPR: c->bpr = bpr_value(value, GICC_MIN_BPR); break;
    case GICC_ABPR: c->abpr = bpr_value(value, GICC_MIN_ABPR); break;
    case GICC_APR0: c->apr = value; break;
    case GICC_EOIR: end_of_interrupt(gic, cpu, value & ID_MASK, false); return;
    case GICC_AEOIR: end_of_interrupt(gic, cpu, value & ID_MASK, true); return;
    case GICC_DIR:
        if (c->ctlr & GICC_CTLR_EOImode)
            deactivate(gic, cpu, value & ID_MASK);
        return;
    default: return;
    }
    gicv2_update_cpu(gic, cpu);
}

static enum mem_result cpu_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    struct gicv2 *gic = opaque;
    unsigned cpu = gicv2_current(gic);
    pthread_mutex_lock(&gic->lock);
    *ret_value = read_reg(gic, cpu, offset);
    pthread_mutex_unlock(&gic->lock);
    return MEM_OK;
}

static enum mem_result cpu_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct gicv2 *gic = opaque;
    unsigned cpu = gicv2_current(gic);
    pthread_mutex_lock(&gic->lock);
    write_reg(gic, cpu, offset, (uint32_t)value);
    pthread_mutex_unlock(&gic->lock);
    return MEM_OK;
}

const struct mem_mmio_ops gicv2_cpu_ops = {cpu_read, cpu_write, 4, 4};
