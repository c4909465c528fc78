// SPDX-License-Identifier: MIT
// Owns the distributor's registers of a GICv2 (IHI 0048B 4.3). Those of interrupts 0 to 31 are banked by the
// accessing CPU. SGIs are always enabled and edge-triggered; they become pending through GICD_SGIR and
// SPENDSGIR only.
#include "hw/intc/gicv2_internal.h"

enum {
    GICD_CTLR = 0x000,
    GICD_TYPER = 0x004,
    GICD_IIDR = 0x008,
    GICD_IGROUPR = 0x080,
    GICD_ICACTIVER_END = 0x400,
    GICD_IPRIORITYR = 0x400,
    GICD_ITARGETSR = 0x800,
    GICD_ITARGETSR_END = 0xc00,
    GICD_ICFGR = 0xc00,
    GICD_ICFGR_END = 0xd00,
    GICD_SGIR = 0xf00,
    GICD_CPENDSGIR = 0xf10,
    GICD_SPENDSGIR = 0xf20,
    GICD_SPENDSGIR_END = 0xf30,
    GICD_IDS = 0xfd0,
    GICD_IIDR_VALUE = 0x0200143b, // GIC-400 r0p1
};

// PIDR4-7, PIDR0-3, CIDR0-3 of a GIC-400.
static const uint8_t ids[] = {0x04, 0, 0, 0, 0x90, 0xb4, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1};

static unsigned limit(const struct gicv2 *gic)
{
    return 32 + gic->spi_banks * 32;
}

static uint8_t *priority_of(struct gicv2 *gic, unsigned cpu, unsigned id)
{
    return id < 32 ? &gic->private_priority[cpu][id] : &gic->priority[id - 32];
}

// The registers made of bytes, IPRIORITYR, ITARGETSR and the two of pending SGIs: one byte each.
static uint8_t read_byte(struct gicv2 *gic, unsigned cpu, uint64_t offset)
{
    if (offset >= GICD_CPENDSGIR)
        return gic->sgi_sources[cpu][offset & 15];
    unsigned id = (unsigned)offset & 0x3ff;
    if (id >= limit(gic))
        return 0;
    if (offset < GICD_ITARGETSR)
        return *priority_of(gic, cpu, id);
    if (gic->cpu_count == 1)
        return 0;
    return id < 32 ? (uint8_t)(1u << cpu) : gic->target[id - 32];
}

// Returns the CPUs to look at again.
static unsigned write_byte(struct gicv2 *gic, unsigned cpu, uint64_t offset, uint8_t value)
{
    if (offset >= GICD_CPENDSGIR) {
        unsigned sgi = offset & 15;
        uint8_t sources = gic->sgi_sources[cpu][sgi];
        sources = offset < GICD_SPENDSGIR ? sources & (uint8_t)~value : sources | value;
        gicv2_set_sgi(gic, cpu, sgi, sources & (uint8_t)((1u << gic->cpu_count) - 1));
        return 1u << cpu;
    }
    unsigned id = (unsigned)offset & 0x3ff;
    if (id >= limit(gic))
        return 0;
    if (offset < GICD_ITARGETSR) {
        *priority_of(gic, cpu, id) = value & GIC_PRIORITY_MASK;
        return id < 32 ? 1u << cpu : gic->target[id - 32];
    }
    if (id < 32 || gic->cpu_count == 1)
        return 0;
    unsigned old = gic->target[id - 32];
    gic->target[id - 32] = value & (uint8_t)((1u << gic->cpu_count) - 1);
    return old | gic->target[id - 32];
}

static bool is_bytes(uint64_t offset)
{
    return (offset >= GICD_IPRIORITYR && offset < GICD_ITARGETSR_END) ||
           (offset >= GICD_CPENDSGIR && offset < GICD_SPENDSGIR_END);
}

static uint32_t read32(struct gicv2 *gic, unsigned cpu, uint64_t offset)
{
    if (offset >= GICD_IGROUPR && offset < GICD_ICACTIVER_END) {
        const struct gic_bank *b = gicv2_bank(gic, cpu, ((unsigned)offset & 0x7f) * 8);
        return b ? gic_bank_read(b, (enum gic_bit_register)(offset / 0x80)) : 0;
    }
    if (offset >= GICD_ICFGR && offset < GICD_ICFGR_END) {
        unsigned half = (unsigned)(offset - GICD_ICFGR) / 4;
        const struct gic_bank *b = gicv2_bank(gic, cpu, half * 16);
        return b ? gic_bank_read_config(b, half & 1) : 0;
    }
    if (offset >= GICD_IDS)
        return ids[(offset - GICD_IDS) / 4];
    switch (offset) {
    case GICD_CTLR: return gic->ctlr;
    case GICD_TYPER: return gic->spi_banks | (gic->cpu_count - 1) << 5;
    case GICD_IIDR: return GICD_IIDR_VALUE;
    default: return 0;
    }
}

static void write_bits(struct gicv2 *gic, unsigned cpu, uint64_t offset, uint32_t value)
{
    enum gic_bit_register reg = (enum gic_bit_register)(offset / 0x80);
    unsigned id = ((unsigned)offset & 0x7f) * 8;
    struct gic_bank *b = gicv2_bank(gic, cpu, id);
    if (!b)
        return;
    if (id < 32 && reg != GIC_IGROUPR && reg != GIC_ISACTIVER && reg != GIC_ICACTIVER)
        value &= ~(uint32_t)GICV2_SGI_MASK;
    gic_bank_write(b, reg, value);
    if (id < 32)
        gicv2_update_cpu(gic, cpu);
    else
        gicv2_update_all(gic);
}

static void send_sgi(struct gicv2 *gic, unsigned cpu, uint32_t value)
{
    unsigned sgi = value & 15, targets = value >> 16 & 0xff;
    switch (value >> 24 & 3) {
    case 0: break;
    case 1: targets = ~(1u << cpu); break;
    case 2: targets = 1u << cpu; break;
    default: return;
    }
    targets &= (1u << gic->cpu_count) - 1;
    for (unsigned to = 0; to < gic->cpu_count; to++)
        if (targets >> to & 1)
            gicv2_set_sgi(gic, to, sgi, gic->sgi_sources[to][sgi] | (uint8_t)(1u << cpu));
    gicv2_update_mask(gic, targets);
}

static void write32(struct gicv2 *gic, unsigned cpu, uint64_t offset, uint32_t value)
{
    if (offset >= GICD_IGROUPR && offset < GICD_ICACTIVER_END) {
        write_bits(gic, cpu, offset, value);
    } else if (offset >= GICD_ICFGR && offset < GICD_ICFGR_END) {
        unsigned half = (unsigned)(offset - GICD_ICFGR) / 4;
        struct gic_bank *b = gicv2_bank(gic, cpu, half * 16);
        if (!b || !half)
            return;
        gic_bank_write_config(b, half & 1, value);
        gicv2_update_all(gic);
    } else if (offset == GICD_CTLR) {
        gic->ctlr = value & (GICD_CTLR_EnableGrp0 | GICD_CTLR_EnableGrp1);
        gicv2_update_all(gic);
    } else if (offset == GICD_SGIR) {
        send_sgi(gic, cpu, value);
    }
}

static enum mem_result dist_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    struct gicv2 *gic = opaque;
    unsigned cpu = gicv2_current(gic);
    uint64_t value = 0;
    pthread_mutex_lock(&gic->lock);
    if (is_bytes(offset))
        for (unsigned i = 0; i < size; i++)
            value |= (uint64_t)read_byte(gic, cpu, offset + i) << (8 * i);
    else
        value = read32(gic, cpu, offset & ~3ull) >> (offset & 3) * 8 & (0xffffffff >> (32 - size * 8));
    pthread_mutex_unlock(&gic->lock);
    *ret_value = value;
    return MEM_OK;
}

// Registers that are not made of bytes take words only; narrower writes to them do nothing.
static enum mem_result dist_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct gicv2 *gic = opaque;
    unsigned cpu = gicv2_current(gic), again = 0;
    pthread_mutex_lock(&gic->lock);
    if (is_bytes(offset))
        for (unsigned i = 0; i < size; i++)
            again |= write_byte(gic, cpu, offset + i, (uint8_t)(value >> (8 * i)));
    else if (size == 4)
        write32(gic, cpu, offset, (uint32_t)value);
    gicv2_update_mask(gic, again);
    pthread_mutex_unlock(&gic->lock);
    return MEM_OK;
}

const struct mem_mmio_ops gicv2_dist_ops = {dist_read, dist_write, 1, 4};
