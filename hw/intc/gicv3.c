// SPDX-License-Identifier: MIT
// Owns the making of a GICv3, its input lines, routing, and the choice of what each CPU is offered (IHI
// 0069 4.1 to 4.8). The register files are in gicv3_dist.c, gicv3_redist.c and gicv3_icc.c.
#include "base/error.h"
#include "hw/intc/gicv3_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- routing ---

struct gicv3_cpu *gicv3_cpu_by_affinity(struct gicv3 *gic, uint32_t affinity)
{
    unsigned guess =
        (affinity >> 8 & 0xffffff) * 16 + (affinity & 0xff); // right unless the board chose otherwise
    if (guess < gic->cpu_count && gic->cpus[guess].affinity == affinity)
        return &gic->cpus[guess];
    for (unsigned i = 0; i < gic->cpu_count; i++)
        if (gic->cpus[i].affinity == affinity)
            return &gic->cpus[i];
    return NULL;
}

void gicv3_route(struct gicv3 *gic, unsigned spi)
{
    uint64_t router = gic->irouter[spi];
    if (router & 1u << 31) {
        gic->target[spi] = GICV3_TARGET_ANY;
        return;
    }
    uint32_t affinity = (uint32_t)(router & 0xffffff) | (uint32_t)(router >> 32 << 24);
    struct gicv3_cpu *c = gicv3_cpu_by_affinity(gic, affinity);
    gic->target[spi] = c ? (int16_t)c->index : GICV3_TARGET_NONE;
}

void gicv3_choose_any(struct gicv3 *gic)
{
    int chosen = GICV3_TARGET_NONE;
    for (unsigned i = 0; i < gic->cpu_count; i++) {
        struct gicv3_cpu *c = &gic->cpus[i];
        if (!c->group1_enabled && !c->group0_enabled)
            continue;
        if (chosen < 0)
            chosen = (int)i;
        if (!c->asleep) {
            chosen = (int)i;
            break;
        }
    }
    if (chosen != gic->any_cpu) {
        gic->any_cpu = chosen;
        gicv3_update_all(gic);
    }
}

static int spi_target(const struct gicv3 *gic, unsigned spi)
{
    return gic->target[spi] == GICV3_TARGET_ANY ? gic->any_cpu : gic->target[spi];
}

// --- what a CPU is offered ---

uint8_t gicv3_group_priority_mask(const struct gicv3_cpu *c, bool group1)
{
    return gic_group_priority_mask(group1 && !(c->ctlr & ICC_CTLR_CBPR) ? c->bpr1 - 1u : c->bpr0);
}

bool gicv3_preempts(const struct gicv3_cpu *c)
{
    return gic_preempts(&c->best, c->pmr, c->ap0 | c->ap1, gicv3_group_priority_mask(c, c->best.group1));
}

static void choose_best(struct gicv3 *gic, struct gicv3_cpu *c)
{
    c->best = (struct gic_best){GIC_SPURIOUS, GIC_IDLE_PRIORITY, false};
    uint32_t enabled = gic->ctlr & ((c->group0_enabled ? GICD_CTLR_EnableGrp0 : 0) |
                                    (c->group1_enabled ? GICD_CTLR_EnableGrp1 : 0));
    if (!enabled)
        return;
    gic_best_of(&c->best, &c->bank[0], gic_bank_offered(&c->bank[0], enabled), 0, c->priority);
    for (unsigned n = 0; n < gic->spi_banks; n++) {
        const struct gic_bank *b = &gic->spi[n];
        uint32_t ready = gic_bank_offered(b, enabled), mine = 0;
        while (ready) {
            unsigned bit = (unsigned)__builtin_ctz(ready);
            ready &= ready - 1;
            if (spi_target(gic, n * 32 + bit) == (int)c->index)
                mine |= 1u << bit;
        }
        gic_best_of(&c->best, b, mine, 32 + n * 32, &gic->priority[n * 32]);
    }
    if ((enabled & GICD_CTLR_EnableGrp1) && c->lpi_best.priority < c->best.priority) // LPIs are in group 1
        c->best = c->lpi_best;
}

void gicv3_update_cpu(struct gicv3 *gic, struct gicv3_cpu *c)
{
    // GICR_WAKER.ProcessorSleep does not hold interrupts back: firmware made for hypervisors' GICs never
    // clears it.
    choose_best(gic, c);
    bool taken = gicv3_preempts(c), irq = taken && c->best.group1, fiq = taken && !c->best.group1;
    if (irq != c->irq_level) {
        c->irq_level = irq;
        irq_set(&c->irq, irq);
    }
    if (fiq != c->fiq_level) {
        c->fiq_level = fiq;
        irq_set(&c->fiq, fiq);
    }
}

void gicv3_redrive(struct gicv3 *gic, struct gicv3_cpu *c)
{
    gicv3_update_cpu(gic, c);
    irq_set(&c->irq, c->irq_level);
    irq_set(&c->fiq, c->fiq_level);
}

void gicv3_update_all(struct gicv3 *gic)
{
    for (unsigned i = 0; i < gic->cpu_count; i++)
        gicv3_update_cpu(gic, &gic->cpus[i]);
}

void gicv3_update_spis(struct gicv3 *gic, unsigned bank, uint32_t bits)
{
    if (__builtin_popcount(bits) > 4) {
        gicv3_update_all(gic);
        return;
    }
    while (bits) {
        int cpu = spi_target(gic, bank * 32 + (unsigned)__builtin_ctz(bits));
        bits &= bits - 1;
        if (cpu >= 0)
            gicv3_update_cpu(gic, &gic->cpus[cpu]);
    }
}

// --- input lines ---

static void set_spi(void *opaque, unsigned line, bool level)
{
    struct gicv3 *gic = opaque;
    pthread_mutex_lock(&gic->lock);
    if (gic_bank_line(&gic->spi[line / 32], line % 32, level))
        gicv3_update_spis(gic, line / 32, 1u << (line % 32));
    pthread_mutex_unlock(&gic->lock);
}

static void set_ppi(void *opaque, unsigned line, bool level)
{
    struct gicv3 *gic = opaque;
    struct gicv3_cpu *c = &gic->cpus[line / 32];
    pthread_mutex_lock(&gic->lock);
    if (gic_bank_line(&c->bank[0], line % 32, level))
        gicv3_update_cpu(gic, c);
    pthread_mutex_unlock(&gic->lock);
}

struct irq gicv3_spi_irq(struct gicv3 *gic, unsigned spi)
{
    return spi < gic->spi_banks * 32 ? (struct irq){set_spi, gic, spi} : (struct irq){0};
}

struct irq gicv3_ppi_irq(struct gicv3 *gic, unsigned cpu, unsigned ppi)
{
    return cpu < gic->cpu_count && ppi < 16 ? (struct irq){set_ppi, gic, cpu * 32 + 16 + ppi}
                                            : (struct irq){0};
}

// --- the device ---

static void gicv3_reset(struct device *dev)
{
    struct gicv3 *gic = (struct gicv3 *)dev;
    pthread_mutex_lock(&gic->lock);
    gic->ctlr = 0;
    memset(gic->priority, 0, sizeof gic->priority);
    memset(gic->irouter, 0, sizeof gic->irouter);
    for (unsigned n = 0; n < GICV3_SPI_BANKS; n++)
        gic->spi[n] = (struct gic_bank){.level = gic->spi[n].level}; // lines belong to whoever drives them
    for (unsigned spi = 0; spi < GICV3_MAX_SPIS; spi++)
        gicv3_route(gic, spi);
    pthread_mutex_unlock(&gic->lock);
    for (unsigned i = 0; i < gic->cpu_count; i++)
        device_reset(&gic->cpus[i].dev);
}

static void gicv3_post_load(struct device *dev)
{
    struct gicv3 *gic = (struct gicv3 *)dev;
    pthread_mutex_lock(&gic->lock);
    gic->ctlr &= GICD_CTLR_EnableGrp0 | GICD_CTLR_EnableGrp1;
    for (unsigned n = gic->spi_banks; n < GICV3_SPI_BANKS; n++)
        gic->spi[n] = (struct gic_bank){0};
    for (unsigned spi = 0; spi < GICV3_MAX_SPIS; spi++) {
        gic->priority[spi] &= GIC_PRIORITY_MASK;
        gicv3_route(gic, spi);
    }
    for (unsigned i = 0; i < gic->cpu_count; i++)
        gicv3_redrive(gic, &gic->cpus[i]);
    pthread_mutex_unlock(&gic->lock);
}

static void gicv3_destroy(struct device *dev)
{
    struct gicv3 *gic = (struct gicv3 *)dev;
    pthread_mutex_destroy(&gic->lock);
    free(gic->cpus);
    free(gic);
}

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_U32, gicv3, ctlr),
    STATE_EACH(2, STATE_U32, gicv3, spi, group, GICV3_SPI_BANKS),
    STATE_EACH(3, STATE_U32, gicv3, spi, enabled, GICV3_SPI_BANKS),
    STATE_EACH(4, STATE_U32, gicv3, spi, pending, GICV3_SPI_BANKS),
    STATE_EACH(5, STATE_U32, gicv3, spi, active, GICV3_SPI_BANKS),
    STATE_EACH(6, STATE_U32, gicv3, spi, level, GICV3_SPI_BANKS),
    STATE_EACH(7, STATE_U32, gicv3, spi, edge, GICV3_SPI_BANKS),
    STATE_ARRAY(8, STATE_BYTES, gicv3, priority, GICV3_MAX_SPIS),
    STATE_ARRAY(9, STATE_U64, gicv3, irouter, GICV3_MAX_SPIS),
};

static const struct device_class gicv3_class = DEVICE_CLASS("gicv3", 1, fields, gicv3_reset, gicv3_post_load,
                                                            gicv3_destroy, &gicv3_dist_ops, GICV3_DIST_SIZE);

int gicv3_create(const struct gicv3_config *config, struct gicv3 **ret_gic, struct error *err)
{
    unsigned in_regions = config->region_cpus[0] + config->region_cpus[1];
    if (!config->cpu_count || config->cpu_count > GICV3_MAX_CPUS)
        return error_set(err, -EINVAL, "a GICv3 serves 1 to %d CPUs, not %u", GICV3_MAX_CPUS,
                         config->cpu_count);
    if (config->spi_count > GICV3_MAX_SPIS || config->spi_count % 32)
        return error_set(err, -EINVAL, "a GICv3 has 32 to %d SPIs in steps of 32, not %u", GICV3_MAX_SPIS,
                         config->spi_count);
    if (in_regions && in_regions != config->cpu_count)
        return error_set(err, -EINVAL, "%u CPUs do not fill the redistributor regions of %u",
                         config->cpu_count, in_regions);
    struct gicv3 *gic = calloc(1, sizeof *gic);
    struct gicv3_cpu *cpus = calloc(config->cpu_count, sizeof *cpus);
    if (!gic || !cpus) {
        free(gic);
        free(cpus);
        return error_set(err, -ENOMEM, "no memory for a GICv3");
    }
    pthread_mutex_init(&gic->lock, NULL);
    device_init(&gic->dev, &gicv3_class, config->path);
    gic->cpu_count = config->cpu_count;
    gic->spi_banks = config->spi_count / 32;
    gic->mem = config->mem;
    gic->cpus = cpus;
    gic->any_cpu = GICV3_TARGET_NONE;
    unsigned first = in_regions ? config->region_cpus[0] : config->cpu_count;
    gic->regions[0] = (struct gicv3_region){gic, 0, first};
    gic->regions[1] = (struct gicv3_region){gic, first, config->cpu_count - first};
    for (unsigned i = 0; i < config->cpu_count; i++) {
        char path[sizeof gic->dev.path];
        snprintf(path, sizeof path, "%.32s/cpu%u", gic->dev.path, i);
        device_init(&cpus[i].dev, &gicv3_cpu_class, path);
        cpus[i].gic = gic;
        cpus[i].index = i;
        cpus[i].affinity = config->affinity ? config->affinity[i] : (i / 16) << 8 | i % 16;
        cpus[i].irq = config->irq ? config->irq[i] : (struct irq){0};
        cpus[i].fiq = config->fiq ? config->fiq[i] : (struct irq){0};
    }
    device_reset(&gic->dev);
    *ret_gic = gic;
    return 0;
}

struct device *gicv3_device(struct gicv3 *gic)
{
    return &gic->dev;
}

struct device *gicv3_cpu_device(struct gicv3 *gic, unsigned cpu)
{
    return cpu < gic->cpu_count ? &gic->cpus[cpu].dev : NULL;
}

struct gicv3_redist_map gicv3_redist(struct gicv3 *gic, unsigned region)
{
    if (region >= GICV3_REGIONS)
        return (struct gicv3_redist_map){0};
    return (struct gicv3_redist_map){&gicv3_redist_ops, &gic->regions[region],
                                     (uint64_t)gic->regions[region].cpus * GICV3_REDIST_SIZE};
}
