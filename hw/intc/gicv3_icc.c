// SPDX-License-Identifier: MIT
// Owns the CPU interface of a GICv3: the ICC_*_EL1 system registers (IHI 0069 12.2) and the acknowledge,
// priority drop, deactivate and SGI operations they start. System registers are the only interface
// (ICC_SRE_EL1.SRE RAO/WI).
#include "hw/intc/gicv3_internal.h"

enum {
    ICC_CTLR_PRIbits = (GIC_PRIORITY_BITS - 1) << 8,
    ICC_CTLR_A3V = 1 << 15,
    ICC_SRE_VALUE = 7, // SRE, DFB, DIB
    MIN_BPR0 = 7 - GIC_PRIORITY_BITS,
    MIN_BPR1 = MIN_BPR0 + 1,
    SPECIAL_INTIDS = 1020,
};

static struct gic_bank *bank_of(struct gicv3_cpu *c, unsigned id)
{
    if (id < 32)
        return &c->bank[0];
    return id < 32 + c->gic->spi_banks * 32 ? &c->gic->spi[id / 32 - 1] : NULL;
}

static void update_id(struct gicv3_cpu *c, unsigned id)
{
    if (id >= 32)
        gicv3_update_spis(c->gic, id / 32 - 1, 1u << (id % 32));
    gicv3_update_cpu(c->gic, c);
}

static uint32_t acknowledge(struct gicv3_cpu *c, bool group1)
{
    if (!gicv3_preempts(c) || c->best.group1 != group1)
        return GIC_SPURIOUS;
    struct gic_best taken = c->best;
    unsigned level = (taken.priority & gicv3_group_priority_mask(c, group1)) >> (8 - GIC_PRIORITY_BITS);
    *(group1 ? &c->ap1 : &c->ap0) |= 1u << level;
    if (taken.id >= GIC_FIRST_LPI) { // LPIs have no active state
        gicv3_lpi_clear(c, taken.id);
        gicv3_lpi_refresh(c);
        return taken.id;
    }
    gic_bank_acknowledge(bank_of(c, taken.id), taken.id % 32);
    update_id(c, taken.id);
    return taken.id;
}

static uint32_t highest_pending(const struct gicv3_cpu *c, bool group1)
{
    return c->best.id != GIC_SPURIOUS && c->best.group1 == group1 ? c->best.id : GIC_SPURIOUS;
}

static void deactivate(struct gicv3_cpu *c, unsigned id)
{
    struct gic_bank *b = bank_of(c, id);
    if (!b)
        return;
    b->active &= ~(1u << (id % 32));
    update_id(c, id);
}

static void end_of_interrupt(struct gicv3_cpu *c, bool group1, unsigned id)
{
    bool lpi = c->gic->mem && id >= GIC_FIRST_LPI && id < GICV3_ID_COUNT;
    if (!lpi && (id >= SPECIAL_INTIDS || !bank_of(c, id)))
        return;
    // The write drops the highest active priority, which must be of its own group.
    uint32_t *own = group1 ? &c->ap1 : &c->ap0, other = group1 ? c->ap0 : c->ap1;
    if (!*own || gic_running_priority(other) <= gic_running_priority(*own))
        return;
    *own &= *own - 1;
    if (lpi) {
        gicv3_update_cpu(c->gic, c);
        return;
    }
    if (!(c->ctlr & ICC_CTLR_EOImode))
        bank_of(c, id)->active &= ~(1u << (id % 32));
    update_id(c, id);
}

static void send_sgi_to(struct gicv3_cpu *c, unsigned sgi, bool group1)
{
    struct gic_bank *b = &c->bank[0];
    if (((b->group >> sgi) & 1) != group1)
        return;
    b->pending |= 1u << sgi;
    gicv3_update_cpu(c->gic, c);
}

// ICC_SGI1R_EL1 reaches CPUs where the SGI is in group 1, the other two where it is in group 0.
static void send_sgi(struct gicv3_cpu *c, bool group1, uint64_t value)
{
    struct gicv3 *gic = c->gic;
    unsigned sgi = value >> 24 & 15, targets = value & 0xffff, range = value >> 44 & 15;
    if (value >> 40 & 1) {
        for (unsigned i = 0; i < gic->cpu_count; i++)
            if (i != c->index)
                send_sgi_to(&gic->cpus[i], sgi, group1);
        return;
    }
    if (range) // ICC_CTLR_EL1.RSS is 0: Aff0 above 15 cannot be named
        return;
    uint32_t cluster = (uint32_t)(value >> 48 & 0xff) << 24 | (uint32_t)(value >> 32 & 0xff) << 16 |
                       (uint32_t)(value >> 16 & 0xff) << 8;
    for (; targets; targets &= targets - 1) {
        struct gicv3_cpu *to = gicv3_cpu_by_affinity(gic, cluster | (unsigned)__builtin_ctz(targets));
        if (to)
            send_sgi_to(to, sgi, group1);
    }
}

static uint32_t read_bpr1(const struct gicv3_cpu *c)
{
    if (!(c->ctlr & ICC_CTLR_CBPR))
        return c->bpr1;
    return c->bpr0 < 7 ? c->bpr0 + 1u : 7;
}

bool gicv3_icc_read(struct gicv3 *gic, unsigned cpu, enum gicv3_icc reg, uint64_t *ret_value)
{
    if (cpu >= gic->cpu_count)
        return false;
    struct gicv3_cpu *c = &gic->cpus[cpu];
    uint64_t value = 0;
    bool known = true;
    pthread_mutex_lock(&gic->lock);
    switch (reg) {
    case ICC_PMR: value = c->pmr; break;
    case ICC_IAR0: value = acknowledge(c, false); break;
    case ICC_IAR1: value = acknowledge(c, true); break;
    case ICC_HPPIR0: value = highest_pending(c, false); break;
    case ICC_HPPIR1: value = highest_pending(c, true); break;
    case ICC_BPR0: value = c->bpr0; break;
    case ICC_BPR1: value = read_bpr1(c); break;
    case ICC_AP0R0: value = c->ap0; break;
    case ICC_AP1R0: value = c->ap1; break;
    case ICC_RPR: value = gic_running_priority(c->ap0 | c->ap1); break;
    case ICC_CTLR: value = c->ctlr | ICC_CTLR_PRIbits | ICC_CTLR_A3V; break;
    case ICC_SRE: value = ICC_SRE_VALUE; break;
    case ICC_IGRPEN0: value = c->group0_enabled; break;
    case ICC_IGRPEN1: value = c->group1_enabled; break;
    default: known = false; break;
    }
    pthread_mutex_unlock(&gic->lock);
    if (known)
        *ret_value = value;
    return known;
}

// Registers that only change what this CPU is offered.
static bool write_own(struct gicv3_cpu *c, enum gicv3_icc reg, uint64_t value)
{
    switch (reg) {
    case ICC_PMR: c->pmr = value & GIC_PRIORITY_MASK; break;
    case ICC_BPR0: c->bpr0 = (value & 7) < MIN_BPR0 ? MIN_BPR0 : value & 7; break;
    case ICC_BPR1:
        if (!(c->ctlr & ICC_CTLR_CBPR))
            c->bpr1 = (value & 7) < MIN_BPR1 ? MIN_BPR1 : value & 7;
        break;
    case ICC_AP0R0: c->ap0 = (uint32_t)value; break;
    case ICC_AP1R0: c->ap1 = (uint32_t)value; break;
    case ICC_CTLR: c->ctlr = value & (ICC_CTLR_CBPR | ICC_CTLR_EOImode); break;
    default: return false;
    }
    gicv3_update_cpu(c->gic, c);
    return true;
}

bool gicv3_icc_write(struct gicv3 *gic, unsigned cpu, enum gicv3_icc reg, uint64_t value)
{
    if (cpu >= gic->cpu_count)
        return false;
    struct gicv3_cpu *c = &gic->cpus[cpu];
    unsigned id = value & 0xffffff;
    bool known = true;
    pthread_mutex_lock(&gic->lock);
    switch (reg) {
    case ICC_EOIR0: end_of_interrupt(c, false, id); break;
    case ICC_EOIR1: end_of_interrupt(c, true, id); break;
    case ICC_DIR:
        if (c->ctlr & ICC_CTLR_EOImode)
            deactivate(c, id);
        break;
    case ICC_SGI1R: send_sgi(c, true, value); break;
    case ICC_SGI0R:
    case ICC_ASGI1R: send_sgi(c, false, value); break;
    case ICC_SRE: break;
    case ICC_IGRPEN0:
    case ICC_IGRPEN1:
        *(reg == ICC_IGRPEN1 ? &c->group1_enabled : &c->group0_enabled) = value & 1;
        gicv3_choose_any(gic);
        gicv3_update_cpu(gic, c);
        break;
    default: known = write_own(c, reg, value); break;
    }
    pthread_mutex_unlock(&gic->lock);
    return known;
}
