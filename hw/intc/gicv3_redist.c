// SPDX-License-Identifier: MIT
// Owns the redistributors' registers of a GICv3 (IHI 0069 12.11): two frames of 64 KiB a CPU, RD_base and
// SGI_base, laid out one CPU after the other in a region. The registers of LPIs in RD_base are in gicv3_lpi.c.
#include "hw/intc/gicv3_internal.h"

#include <string.h>

enum {
    GICR_IIDR = 0x0004,
    GICR_TYPER = 0x0008,
    GICR_WAKER = 0x0014,
    GICR_IDS = 0xffd0,
    SGI_BASE = 0x10000,
    GICR_IPRIORITYR = SGI_BASE + 0x0400,
    GICR_IPRIORITYR_END = SGI_BASE + 0x0420,
    GICR_ICFGR0 = SGI_BASE + 0x0c00,
    GICR_ICFGR1 = SGI_BASE + 0x0c04,
    GICR_IIDR_VALUE = 0x0000043b,
    GICR_PART = 0x93,
    GICR_TYPER_PLPIS = 1 << 0,
};

static uint64_t typer(const struct gicv3_cpu *c)
{
    bool last = false;
    for (unsigned r = 0; r < GICV3_REGIONS; r++) {
        const struct gicv3_region *region = &c->gic->regions[r];
        last |= c->index + 1 == region->first_cpu + region->cpus;
    }
    return (uint64_t)c->affinity << 32 | (uint64_t)c->index << 8 | (uint64_t)last << 4 |
           (c->gic->mem ? GICR_TYPER_PLPIS : 0);
}

// IGROUPR0 to ICACTIVER0: one word each, 0x80 apart.
static bool is_bit_register(uint64_t offset)
{
    return offset >= SGI_BASE + 0x80 && offset < SGI_BASE + 0x400 && !(offset & 0x7f);
}

static uint32_t read32(struct gicv3_cpu *c, uint64_t offset)
{
    if (is_bit_register(offset))
        return gic_bank_read(&c->bank[0], (enum gic_bit_register)((offset - SGI_BASE) / 0x80));
    if (offset >= GICR_IPRIORITYR && offset < GICR_IPRIORITYR_END)
        return gicv3_read_priorities(&c->priority[offset - GICR_IPRIORITYR]);
    if ((offset & 0xffff) >= GICR_IDS)
        return offset < SGI_BASE ? gicv3_read_id(offset, GICR_PART) : 0;
    switch (offset) {
    case GICR_IIDR: return GICR_IIDR_VALUE;
    case GICR_TYPER: return (uint32_t)typer(c);
    case GICR_TYPER + 4: return (uint32_t)(typer(c) >> 32);
    case GICR_WAKER: return c->asleep ? GICR_WAKER_ProcessorSleep | GICR_WAKER_ChildrenAsleep : 0;
    case GICR_ICFGR0: return gic_bank_read_config(&c->bank[0], 0);
    case GICR_ICFGR1: return gic_bank_read_config(&c->bank[0], 1);
    default: return gicv3_lpi_read(c, offset);
    }
}

static void write32(struct gicv3_cpu *c, uint64_t offset, uint32_t value)
{
    if (is_bit_register(offset))
        gic_bank_write(&c->bank[0], (enum gic_bit_register)((offset - SGI_BASE) / 0x80), value);
    else if (offset == GICR_ICFGR1)
        gic_bank_write_config(&c->bank[0], 1, value);
    else if (offset == GICR_WAKER)
        c->asleep = value & GICR_WAKER_ProcessorSleep;
    else {
        gicv3_lpi_write(c, offset, value);
        return;
    }
    if (offset == GICR_WAKER)
        gicv3_choose_any(c->gic);
    gicv3_update_cpu(c->gic, c);
}

static void write_priority(struct gicv3_cpu *c, uint64_t offset, unsigned size, uint64_t value)
{
    gicv3_write_priorities(&c->priority[offset - GICR_IPRIORITYR], size, (uint32_t)value);
    gicv3_update_cpu(c->gic, c);
}

static bool is_priority(uint64_t offset)
{
    return offset >= GICR_IPRIORITYR && offset < GICR_IPRIORITYR_END;
}

static struct gicv3_cpu *cpu_at(const struct gicv3_region *region, uint64_t offset)
{
    uint64_t n = offset / GICV3_REDIST_SIZE;
    return n < region->cpus ? &region->gic->cpus[region->first_cpu + n] : NULL;
}

static enum mem_result redist_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    struct gicv3_region *region = opaque;
    struct gicv3_cpu *c = cpu_at(region, offset);
    if (!c)
        return MEM_REFUSED;
    offset %= GICV3_REDIST_SIZE;
    uint64_t value = 0;
    pthread_mutex_lock(&region->gic->lock);
    if (size >= 4)
        value = read32(c, offset);
    else if (is_priority(offset))
        value = read32(c, offset & ~3ull) >> (offset & 3) * 8 & ((1u << size * 8) - 1);
    if (size == 8)
        value |= (uint64_t)read32(c, offset + 4) << 32;
    pthread_mutex_unlock(&region->gic->lock);
    *ret_value = value;
    return MEM_OK;
}

static enum mem_result redist_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct gicv3_region *region = opaque;
    struct gicv3_cpu *c = cpu_at(region, offset);
    if (!c)
        return MEM_REFUSED;
    offset %= GICV3_REDIST_SIZE;
    pthread_mutex_lock(&region->gic->lock);
    if (is_priority(offset)) {
        write_priority(c, offset, size < 4 ? size : 4, value);
        if (size == 8)
            write_priority(c, offset + 4, 4, value >> 32);
    } else if (size >= 4) {
        write32(c, offset, (uint32_t)value);
        if (size == 8)
            write32(c, offset + 4, (uint32_t)(value >> 32));
    }
    pthread_mutex_unlock(&region->gic->lock);
    return MEM_OK;
}

const struct mem_mmio_ops gicv3_redist_ops = {redist_read, redist_write, 1, 8};

// --- the device: redistributor and CPU interface of one CPU ---

enum { SGI_MASK = 0xffff, MIN_BPR0 = 7 - GIC_PRIORITY_BITS, MIN_BPR1 = MIN_BPR0 + 1 };

static void cpu_reset(struct device *dev)
{
    struct gicv3_cpu *c = (struct gicv3_cpu *)dev;
    pthread_mutex_lock(&c->gic->lock);
    c->bank[0] = (struct gic_bank){.level = c->bank[0].level, .edge = SGI_MASK};
    memset(c->priority, 0, sizeof c->priority);
    c->asleep = true;
    c->pmr = 0;
    c->bpr0 = MIN_BPR0;
    c->bpr1 = MIN_BPR1;
    c->ctlr = 0;
    c->group0_enabled = c->group1_enabled = false;
    c->ap0 = c->ap1 = 0;
    c->lpis_enabled = false;
    c->propbaser = c->pendbaser = 0;
    gicv3_lpi_sanitise(c);
    gicv3_choose_any(c->gic);
    gicv3_redrive(c->gic, c);
    pthread_mutex_unlock(&c->gic->lock);
}

static void cpu_post_load(struct device *dev)
{
    struct gicv3_cpu *c = (struct gicv3_cpu *)dev;
    pthread_mutex_lock(&c->gic->lock);
    c->bank[0].edge |= SGI_MASK;
    for (unsigned i = 0; i < 32; i++)
        c->priority[i] &= GIC_PRIORITY_MASK;
    c->pmr &= GIC_PRIORITY_MASK;
    c->bpr0 = c->bpr0 < MIN_BPR0 ? MIN_BPR0 : c->bpr0 & 7;
    c->bpr1 = c->bpr1 < MIN_BPR1 ? MIN_BPR1 : c->bpr1 & 7;
    c->bpr1 = c->bpr1 < MIN_BPR1 ? MIN_BPR1 : c->bpr1;
    c->ctlr &= ICC_CTLR_CBPR | ICC_CTLR_EOImode;
    gicv3_lpi_sanitise(c);
    gicv3_choose_any(c->gic);
    gicv3_redrive(c->gic, c);
    pthread_mutex_unlock(&c->gic->lock);
}

static void cpu_destroy(struct device *dev)
{
    (void)dev; // lives in its GIC
}

static const struct state_field fields[] = {
    STATE_EACH(1, STATE_U32, gicv3_cpu, bank, group, 1),
    STATE_EACH(2, STATE_U32, gicv3_cpu, bank, enabled, 1),
    STATE_EACH(3, STATE_U32, gicv3_cpu, bank, pending, 1),
    STATE_EACH(4, STATE_U32, gicv3_cpu, bank, active, 1),
    STATE_EACH(5, STATE_U32, gicv3_cpu, bank, level, 1),
    STATE_EACH(6, STATE_U32, gicv3_cpu, bank, edge, 1),
    STATE_ARRAY(7, STATE_BYTES, gicv3_cpu, priority, 32),
    STATE_FIELD(8, STATE_BOOL, gicv3_cpu, asleep),
    STATE_FIELD(9, STATE_U8, gicv3_cpu, pmr),
    STATE_FIELD(10, STATE_U8, gicv3_cpu, bpr0),
    STATE_FIELD(11, STATE_U8, gicv3_cpu, bpr1),
    STATE_FIELD(12, STATE_U8, gicv3_cpu, ctlr),
    STATE_FIELD(13, STATE_BOOL, gicv3_cpu, group0_enabled),
    STATE_FIELD(14, STATE_BOOL, gicv3_cpu, group1_enabled),
    STATE_FIELD(15, STATE_U32, gicv3_cpu, ap0),
    STATE_FIELD(16, STATE_U32, gicv3_cpu, ap1),
    STATE_FIELD(17, STATE_BOOL, gicv3_cpu, lpis_enabled),
    STATE_FIELD(18, STATE_U64, gicv3_cpu, propbaser),
    STATE_FIELD(19, STATE_U64, gicv3_cpu, pendbaser),
};

const struct device_class gicv3_cpu_class =
    DEVICE_CLASS("gicv3-cpu", 2, fields, cpu_reset, cpu_post_load, cpu_destroy, NULL, 0);
