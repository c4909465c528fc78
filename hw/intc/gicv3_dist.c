// SPDX-License-Identifier: MIT
// Owns the distributor's registers of a GICv3 (IHI 0069 12.9). With affinity routing always on, the registers
// of SGIs and PPIs here, ITARGETSR and SGIR are RAZ/WI; so is everything of a second security state.
#include "hw/intc/gicv3_internal.h"

enum {
    GICD_CTLR = 0x0000,
    GICD_TYPER = 0x0004,
    GICD_IIDR = 0x0008,
    GICD_IGROUPR = 0x0080,
    GICD_ICACTIVER_END = 0x0400,
    GICD_IPRIORITYR = 0x0400,
    GICD_IPRIORITYR_END = 0x0800,
    GICD_ICFGR = 0x0c00,
    GICD_ICFGR_END = 0x0d00,
    GICD_IROUTER = 0x6000,
    GICD_IROUTER_END = 0x8000,
    GICD_IDS = 0xffd0,
    GICD_IIDR_VALUE = 0x0000043b, // implementer Arm
    GICD_PART = 0x92,
};

static const uint64_t IROUTER_MASK = 0xff80ffffff; // Aff3, Interrupt_Routing_Mode, Aff2.Aff1.Aff0

uint32_t gicv3_read_id(uint64_t offset, unsigned part)
{
    // PIDR4-7, PIDR0-3, CIDR0-3: Arm, architecture revision 3.
    const uint8_t ids[] = {0x44, 0, 0, 0, (uint8_t)part, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1};
    return ids[((offset & 0xffff) - GICD_IDS) / 4];
}

uint32_t gicv3_read_priorities(const uint8_t *priority)
{
    return priority[0] | priority[1] << 8 | priority[2] << 16 | (uint32_t)priority[3] << 24;
}

void gicv3_write_priorities(uint8_t *priority, unsigned size, uint32_t value)
{
    for (unsigned i = 0; i < size; i++)
        priority[i] = (uint8_t)(value >> (8 * i)) & GIC_PRIORITY_MASK;
}

static uint32_t typer(const struct gicv3 *gic)
{
    enum { LPIS = 1 << 17, IDbits_16 = 15 << 19, A3V = 1 << 24 };
    // ITLinesNumber counts banks beyond the first; num_LPIs 0: as many as IDbits says; no MBIs.
    return gic->spi_banks | IDbits_16 | A3V | (gic->mem ? LPIS : 0);
}

static uint32_t read32(struct gicv3 *gic, uint64_t offset)
{
    unsigned index = (unsigned)offset & 0x7f;
    if (offset >= GICD_IGROUPR && offset < GICD_ICACTIVER_END) {
        unsigned bank = index / 4;
        return bank && bank <= gic->spi_banks
                   ? gic_bank_read(&gic->spi[bank - 1], (enum gic_bit_register)(offset / 0x80))
                   : 0;
    }
    if (offset >= GICD_IPRIORITYR && offset < GICD_IPRIORITYR_END) {
        unsigned id = (unsigned)(offset - GICD_IPRIORITYR);
        return id >= 32 && id < 32 + gic->spi_banks * 32 ? gicv3_read_priorities(&gic->priority[id - 32]) : 0;
    }
    if (offset >= GICD_ICFGR && offset < GICD_ICFGR_END) {
        unsigned half = (unsigned)(offset - GICD_ICFGR) / 4, bank = half / 2;
        return bank && bank <= gic->spi_banks ? gic_bank_read_config(&gic->spi[bank - 1], half & 1) : 0;
    }
    if (offset >= GICD_IROUTER && offset < GICD_IROUTER_END) {
        unsigned id = (unsigned)(offset - GICD_IROUTER) / 8;
        uint64_t router = id >= 32 && id < 32 + gic->spi_banks * 32 ? gic->irouter[id - 32] : 0;
        return (uint32_t)(offset & 4 ? router >> 32 : router);
    }
    if (offset >= GICD_IDS)
        return gicv3_read_id(offset, GICD_PART);
    switch (offset) {
    case GICD_CTLR: return gic->ctlr | GICD_CTLR_ARE | GICD_CTLR_DS;
    case GICD_TYPER: return typer(gic);
    case GICD_IIDR: return GICD_IIDR_VALUE;
    default: return 0;
    }
}

static void write_router(struct gicv3 *gic, unsigned spi, unsigned shift, uint64_t value, uint64_t mask)
{
    unsigned bank = spi / 32;
    mask = (mask << shift) & IROUTER_MASK;
    int16_t old = gic->target[spi];
    gic->irouter[spi] = (gic->irouter[spi] & ~mask) | ((value << shift) & mask);
    gicv3_route(gic, spi);
    if (gic->target[spi] == old)
        return;
    if (old == GICV3_TARGET_ANY)
        old = (int16_t)gic->any_cpu;
    if (old >= 0)
        gicv3_update_cpu(gic, &gic->cpus[old]);
    gicv3_update_spis(gic, bank, 1u << (spi % 32));
}

static void write32(struct gicv3 *gic, uint64_t offset, uint32_t value)
{
    unsigned index = (unsigned)offset & 0x7f;
    if (offset >= GICD_IGROUPR && offset < GICD_ICACTIVER_END) {
        unsigned bank = index / 4;
        if (bank && bank <= gic->spi_banks) {
            uint32_t old_group = gic->spi[bank - 1].group;
            gic_bank_write(&gic->spi[bank - 1], (enum gic_bit_register)(offset / 0x80), value);
            gicv3_update_spis(gic, bank - 1, offset / 0x80 == GIC_IGROUPR ? old_group ^ value : value);
        }
    } else if (offset >= GICD_ICFGR && offset < GICD_ICFGR_END) {
        unsigned half = (unsigned)(offset - GICD_ICFGR) / 4, bank = half / 2;
        if (bank && bank <= gic->spi_banks) {
            gic_bank_write_config(&gic->spi[bank - 1], half & 1, value);
            gicv3_update_all(gic);
        }
    } else if (offset >= GICD_IROUTER && offset < GICD_IROUTER_END) {
        unsigned id = (unsigned)(offset - GICD_IROUTER) / 8;
        if (id >= 32 && id < 32 + gic->spi_banks * 32)
            write_router(gic, id - 32, (offset & 4) * 8, value, 0xffffffff);
    } else if (offset == GICD_CTLR) {
        gic->ctlr = value & (GICD_CTLR_EnableGrp0 | GICD_CTLR_EnableGrp1);
        gicv3_update_all(gic);
    }
}

static void write_priority(struct gicv3 *gic, uint64_t offset, unsigned size, uint64_t value)
{
    unsigned id = (unsigned)(offset - GICD_IPRIORITYR);
    if (id < 32 || id + size > 32 + gic->spi_banks * 32)
        return;
    gicv3_write_priorities(&gic->priority[id - 32], size, (uint32_t)value);
    gicv3_update_spis(gic, (id - 32) / 32, (size < 4 ? (1u << size) - 1 : 0xf) << (id % 32));
}

static bool is_priority(uint64_t offset)
{
    return offset >= GICD_IPRIORITYR && offset < GICD_IPRIORITYR_END;
}

// Bytes and halfwords exist for IPRIORITYR only, doublewords are two words; other sizes are RAZ/WI.
static enum mem_result dist_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    struct gicv3 *gic = opaque;
    uint64_t value = 0;
    pthread_mutex_lock(&gic->lock);
    if (size >= 4)
        value = read32(gic, offset);
    else if (is_priority(offset))
        value = read32(gic, offset & ~3ull) >> (offset & 3) * 8 & ((1u << size * 8) - 1);
    if (size == 8)
        value |= (uint64_t)read32(gic, offset + 4) << 32;
    pthread_mutex_unlock(&gic->lock);
    *ret_value = value;
    return MEM_OK;
}

static enum mem_result dist_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct gicv3 *gic = opaque;
    pthread_mutex_lock(&gic->lock);
    if (is_priority(offset)) {
        write_priority(gic, offset, size < 4 ? size : 4, value);
        if (size == 8)
            write_priority(gic, offset + 4, 4, value >> 32);
    } else if (size == 8 && offset >= GICD_IROUTER && offset < GICD_IROUTER_END) {
        unsigned id = (unsigned)(offset - GICD_IROUTER) / 8;
        if (id >= 32 && id < 32 + gic->spi_banks * 32)
            write_router(gic, id - 32, 0, value, ~0ull);
    } else if (size >= 4) {
        write32(gic, offset, (uint32_t)value);
        if (size == 8)
            write32(gic, offset + 4, (uint32_t)(value >> 32));
    }
    pthread_mutex_unlock(&gic->lock);
    return MEM_OK;
}

const struct mem_mmio_ops gicv3_dist_ops = {dist_read, dist_write, 1, 8};
