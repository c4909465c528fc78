// SPDX-License-Identifier: MIT
// Owns the making of a GICv2, its input lines, and the choice of what each CPU is offered (IHI 0048B chapter
// 3). An SPI pending at several targets is one interrupt: the CPU that acknowledges first has it (1-N
// model, 3.2.3). The register files are in gicv2_dist.c and gicv2_cpu.c.
#include "base/error.h"
#include "hw/intc/gicv2_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

unsigned gicv2_current(const struct gicv2 *gic)
{
    unsigned cpu = gic->current_cpu ? gic->current_cpu(gic->current_cpu_opaque) : 0;
    return cpu < gic->cpu_count ? cpu : 0;
}

struct gic_bank *gicv2_bank(struct gicv2 *gic, unsigned cpu, unsigned id)
{
    if (id < 32)
        return &gic->cpu[cpu].bank;
    return id < 32 + gic->spi_banks * 32 ? &gic->spi[id / 32 - 1] : NULL;
}

uint8_t gicv2_group_priority_mask(const struct gicv2_cpu *c, bool group1)
{
    return gic_group_priority_mask(group1 && !(c->ctlr & GICC_CTLR_CBPR) ? c->abpr - 1u : c->bpr);
}

bool gicv2_preempts(const struct gicv2_cpu *c)
{
    return gic_preempts(&c->best, c->pmr, c->apr, gicv2_group_priority_mask(c, c->best.group1));
}

static void choose_best(struct gicv2 *gic, unsigned cpu)
{
    struct gicv2_cpu *c = &gic->cpu[cpu];
    c->best = (struct gic_best){GIC_SPURIOUS, GIC_IDLE_PRIORITY, false};
    uint32_t enabled = gic->ctlr & c->ctlr; // both registers have EnableGrp0 and EnableGrp1 in bits 0 and 1
    if (!(enabled & (GICD_CTLR_EnableGrp0 | GICD_CTLR_EnableGrp1)))
        return;
    gic_best_of(&c->best, &c->bank, gic_bank_offered(&c->bank, enabled), 0, gic->private_priority[cpu]);
    for (unsigned n = 0; n < gic->spi_banks; n++) {
        const struct gic_bank *b = &gic->spi[n];
        uint32_t ready = gic_bank_offered(b, enabled), mine = 0;
        while (ready) {
            unsigned bit = (unsigned)__builtin_ctz(ready);
            ready &= ready - 1;
            if (gic->target[n * 32 + bit] >> cpu & 1)
                mine |= 1u << bit;
        }
        gic_best_of(&c->best, b, mine, 32 + n * 32, &gic->priority[n * 32]);
    }
}

void gicv2_update_cpu(struct gicv2 *gic, unsigned cpu)
{
    struct gicv2_cpu *c = &gic->cpu[cpu];
    choose_best(gic, cpu);
    bool taken = gicv2_preempts(c), as_fiq = !c->best.group1 && (c->ctlr & GICC_CTLR_FIQEn);
    bool irq = taken && !as_fiq, fiq = taken && as_fiq;
    if (irq != c->irq_level) {
        c->irq_level = irq;
        irq_set(&gic->irq[cpu], irq);
    }
    if (fiq != c->fiq_level) {
        c->fiq_level = fiq;
        irq_set(&gic->fiq[cpu], fiq);
    }
}

void gicv2_update_mask(struct gicv2 *gic, unsigned cpus)
{
    for (unsigned cpu = 0; cpu < gic->cpu_count; cpu++)
        if (cpus >> cpu & 1)
            gicv2_update_cpu(gic, cpu);
}

void gicv2_update_all(struct gicv2 *gic)
{
    gicv2_update_mask(gic, ~0u);
}

static void redrive(struct gicv2 *gic)
{
    for (unsigned cpu = 0; cpu < gic->cpu_count; cpu++) {
        gicv2_update_cpu(gic, cpu);
        irq_set(&gic->irq[cpu], gic->cpu[cpu].irq_level);
        irq_set(&gic->fiq[cpu], gic->cpu[cpu].fiq_level);
    }
}

void gicv2_set_sgi(struct gicv2 *gic, unsigned cpu, unsigned sgi, uint8_t sources)
{
    struct gic_bank *b = &gic->cpu[cpu].bank;
    gic->sgi_sources[cpu][sgi] = sources;
    b->pending = sources ? b->pending | 1u << sgi : b->pending & ~(1u << sgi);
}

// --- input lines ---

static void set_spi(void *opaque, unsigned line, bool level)
{
    struct gicv2 *gic = opaque;
    pthread_mutex_lock(&gic->lock);
    if (gic_bank_line(&gic->spi[line / 32], line % 32, level))
        gicv2_update_mask(gic, gic->target[line]);
    pthread_mutex_unlock(&gic->lock);
}

static void set_ppi(void *opaque, unsigned line, bool level)
{
    struct gicv2 *gic = opaque;
    pthread_mutex_lock(&gic->lock);
    if (gic_bank_line(&gic->cpu[line / 32].bank, line % 32, level))
        gicv2_update_cpu(gic, line / 32);
    pthread_mutex_unlock(&gic->lock);
}

struct irq gicv2_spi_irq(struct gicv2 *gic, unsigned spi)
{
    return spi < gic->spi_banks * 32 ? (struct irq){set_spi, gic, spi} : (struct irq){0};
}

struct irq gicv2_ppi_irq(struct gicv2 *gic, unsigned cpu, unsigned ppi)
{
    return cpu < gic->cpu_count && ppi < 16 ? (struct irq){set_ppi, gic, cpu * 32 + 16 + ppi}
                                            : (struct irq){0};
}

// --- the device ---

static void gicv2_reset(struct device *dev)
{
    struct gicv2 *gic = (struct gicv2 *)dev;
    pthread_mutex_lock(&gic->lock);
    gic->ctlr = 0;
    for (unsigned n = 0; n < GICV2_SPI_BANKS; n++)
        gic->spi[n] = (struct gic_bank){.level = gic->spi[n].level}; // lines belong to whoever drives them
    memset(gic->priority, 0, sizeof gic->priority);
    memset(gic->target, gic->cpu_count == 1, sizeof gic->target); // a single CPU is every SPI's target
    memset(gic->private_priority, 0, sizeof gic->private_priority);
    memset(gic->sgi_sources, 0, sizeof gic->sgi_sources);
    for (unsigned cpu = 0; cpu < GICV2_MAX_CPUS; cpu++) {
        struct gicv2_cpu *c = &gic->cpu[cpu];
        uint32_t level = c->bank.level;
        *c = (struct gicv2_cpu){.bank = {.level = level, .enabled = GICV2_SGI_MASK, .edge = GICV2_SGI_MASK},
                                .bpr = GICC_MIN_BPR,
                                .abpr = GICC_MIN_ABPR};
    }
    redrive(gic);
    pthread_mutex_unlock(&gic->lock);
}

static uint8_t clamp_bpr(uint8_t bpr, uint8_t least)
{
    return (bpr & 7) < least ? least : bpr & 7;
}

static void gicv2_post_load(struct device *dev)
{
    struct gicv2 *gic = (struct gicv2 *)dev;
    pthread_mutex_lock(&gic->lock);
    for (unsigned n = gic->spi_banks; n < GICV2_SPI_BANKS; n++)
        gic->spi[n] = (struct gic_bank){0};
    for (unsigned i = 0; i < GICV2_MAX_SPIS; i++) {
        gic->priority[i] &= GIC_PRIORITY_MASK;
        gic->target[i] &= (1u << gic->cpu_count) - 1;
    }
    for (unsigned cpu = 0; cpu < GICV2_MAX_CPUS; cpu++) {
        struct gicv2_cpu *c = &gic->cpu[cpu];
        for (unsigned i = 0; i < 32; i++)
            gic->private_priority[cpu][i] &= GIC_PRIORITY_MASK;
        c->bank.edge |= GICV2_SGI_MASK;
        c->bank.enabled |= GICV2_SGI_MASK;
        c->ctlr &= GICC_CTLR_MASK;
        c->pmr &= GIC_PRIORITY_MASK;
        c->bpr = clamp_bpr(c->bpr, GICC_MIN_BPR);
        c->abpr = clamp_bpr(c->abpr, GICC_MIN_ABPR);
        for (unsigned sgi = 0; sgi < GICV2_SGIS; sgi++)
            gicv2_set_sgi(gic, cpu, sgi, gic->sgi_sources[cpu][sgi]);
    }
    redrive(gic);
    pthread_mutex_unlock(&gic->lock);
}

static void gicv2_destroy(struct device *dev)
{
    struct gicv2 *gic = (struct gicv2 *)dev;
    pthread_mutex_destroy(&gic->lock);
    free(gic);
}

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_U32, gicv2, ctlr),
    STATE_EACH(2, STATE_U32, gicv2, spi, group, GICV2_SPI_BANKS),
    STATE_EACH(3, STATE_U32, gicv2, spi, enabled, GICV2_SPI_BANKS),
    STATE_EACH(4, STATE_U32, gicv2, spi, pending, GICV2_SPI_BANKS),
    STATE_EACH(5, STATE_U32, gicv2, spi, active, GICV2_SPI_BANKS),
    STATE_EACH(6, STATE_U32, gicv2, spi, level, GICV2_SPI_BANKS),
    STATE_EACH(7, STATE_U32, gicv2, spi, edge, GICV2_SPI_BANKS),
    STATE_ARRAY(8, STATE_BYTES, gicv2, priority, GICV2_MAX_SPIS),
    STATE_ARRAY(9, STATE_BYTES, gicv2, target, GICV2_MAX_SPIS),
    STATE_EACH(10, STATE_U32, gicv2, cpu, bank.group, GICV2_MAX_CPUS),
    STATE_EACH(11, STATE_U32, gicv2, cpu, bank.enabled, GICV2_MAX_CPUS),
    STATE_EACH(12, STATE_U32, gicv2, cpu, bank.pending, GICV2_MAX_CPUS),
    STATE_EACH(13, STATE_U32, gicv2, cpu, bank.active, GICV2_MAX_CPUS),
    STATE_EACH(14, STATE_U32, gicv2, cpu, bank.level, GICV2_MAX_CPUS),
    STATE_EACH(15, STATE_U32, gicv2, cpu, bank.edge, GICV2_MAX_CPUS),
    STATE_EACH(16, STATE_U32, gicv2, cpu, ctlr, GICV2_MAX_CPUS),
    STATE_EACH(17, STATE_U8, gicv2, cpu, pmr, GICV2_MAX_CPUS),
    STATE_EACH(18, STATE_U8, gicv2, cpu, bpr, GICV2_MAX_CPUS),
    STATE_EACH(19, STATE_U8, gicv2, cpu, abpr, GICV2_MAX_CPUS),
    STATE_EACH(20, STATE_U32, gicv2, cpu, apr, GICV2_MAX_CPUS),
    STATE_ARRAY(21, STATE_BYTES, gicv2, private_priority, GICV2_MAX_CPUS * 32),
    STATE_ARRAY(22, STATE_BYTES, gicv2, sgi_sources, GICV2_MAX_CPUS *GICV2_SGIS),
};

static const struct device_class gicv2_class = DEVICE_CLASS("gicv2", 1, fields, gicv2_reset, gicv2_post_load,
                                                            gicv2_destroy, &gicv2_dist_ops, GICV2_DIST_SIZE);

int gicv2_create(const struct gicv2_config *config, struct gicv2 **ret_gic, struct error *err)
{
    if (!config->cpu_count || config->cpu_count > GICV2_MAX_CPUS)
        return error_set(err, -EINVAL, "a GICv2 serves 1 to %d CPUs, not %u", GICV2_MAX_CPUS,
                         config->cpu_count);
    if (config->spi_count > GICV2_MAX_SPIS || config->spi_count % 32)
        return error_set(err, -EINVAL, "a GICv2 has 32 to %d SPIs in steps of 32, not %u", GICV2_MAX_SPIS,
                         config->spi_count);
    struct gicv2 *gic = calloc(1, sizeof *gic);
    if (!gic)
        return error_set(err, -ENOMEM, "no memory for a GICv2");
    pthread_mutex_init(&gic->lock, NULL);
    device_init(&gic->dev, &gicv2_class, config->path);
    gic->cpu_count = config->cpu_count;
    gic->spi_banks = config->spi_count / 32;
    gic->current_cpu = config->current_cpu;
    gic->current_cpu_opaque = config->current_cpu_opaque;
    for (unsigned cpu = 0; cpu < config->cpu_count; cpu++) {
        gic->irq[cpu] = config->irq ? config->irq[cpu] : (struct irq){0};
        gic->fiq[cpu] = config->fiq ? config->fiq[cpu] : (struct irq){0};
    }
    device_reset(&gic->dev);
    *ret_gic = gic;
    return 0;
}

struct device *gicv2_device(struct gicv2 *gic)
{
    return &gic->dev;
}
