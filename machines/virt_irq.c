// SPDX-License-Identifier: MIT
// Owns virt's interrupt wiring: GIC outputs to vCPU inputs, timer outputs to the GIC's private inputs, and
// the SPI lines that the device table hands out.
#include "hw/intc/arm_ports.h"
#include "hw/intc/gicv2.h"
#include "hw/intc/gicv3.h"
#include "hw/intc/gicv3_its.h"
#include "hw/timer/arm_generic_timer.h"
#include "machines/virt_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void set_cpu_irq(void *opaque, unsigned cpu, bool level)
{
    struct machine *m = opaque;
    if (m->accel)
        accel_set_irq(m->accel, cpu, VCPU_IRQ, level);
}

static void set_cpu_fiq(void *opaque, unsigned cpu, bool level)
{
    struct machine *m = opaque;
    if (m->accel)
        accel_set_irq(m->accel, cpu, VCPU_FIQ, level);
}

static unsigned current_cpu(void *opaque)
{
    struct machine *m = opaque;
    int cpu = m->accel ? accel_current_cpu(m->accel) : -1;
    return cpu < 0 ? 0 : (unsigned)cpu;
}

static int create_gicv2(struct machine *m, struct gicv2 **ret_gic, struct error *err)
{
    struct virt *v = virt_of(m);
    struct gicv2_config config = {.path = "/virt/gic",
                                  .cpu_count = m->config.cpu_count,
                                  .spi_count = VIRT_SPI_COUNT,
                                  .current_cpu = current_cpu,
                                  .current_cpu_opaque = m,
                                  .irq = v->cpu_irq,
                                  .fiq = v->cpu_fiq};
    struct gicv2 *gic;
    int r = gicv2_create(&config, &gic, err);
    if (!r)
        r = machine_add_device(m, gicv2_device(gic), err);
    if (r)
        return r;
    v->gic = gicv2_device(gic);
    r = mem_add_mmio(m->mem, "gic-dist", (struct gpa){virt_map[VIRT_GIC_DIST].base}, GICV2_DIST_SIZE,
                     v->gic->class->mmio, v->gic, MEM_UNLOCKED, err);
    if (!r)
        r = mem_add_mmio(m->mem, "gic-cpu", (struct gpa){virt_map[VIRT_GIC_CPU].base}, GICV2_CPU_SIZE,
                         &gicv2_cpu_ops, gic, MEM_UNLOCKED, err);
    for (unsigned i = 0; i < VIRT_SPI_COUNT; i++)
        v->spi[i] = gicv2_spi_irq(gic, i);
    *ret_gic = gic;
    return r;
}

static int create_its(struct machine *m, struct gicv3 *gic, struct error *err)
{
    struct virt *v = virt_of(m);
    const struct gicv3_its_config config = {.path = "/virt/its", .gic = gic};
    struct device *its;
    int r = gicv3_its_create(&config, &its, err);
    if (!r)
        r = machine_add_device(m, its, err);
    if (r)
        return r;
    v->its = its;
    return mem_add_mmio(m->mem, "its", (struct gpa){virt_map[VIRT_GIC_ITS].base}, GICV3_ITS_SIZE, its->class->mmio,
                        its, MEM_UNLOCKED, err);
}

static int create_gicv3(struct machine *m, struct gicv3 **ret_gic, struct error *err)
{
    struct virt *v = virt_of(m);
    unsigned count = m->config.cpu_count;
    unsigned first = (unsigned)(virt_map[VIRT_GIC_REDIST].size / GICV3_REDIST_SIZE);
    uint32_t affinity[VIRT_MAX_CPUS];
    for (unsigned i = 0; i < count; i++)
        affinity[i] = (uint32_t)v->mpidr[i];
    struct gicv3_config config = {
        .path = "/virt/gic",
        .cpu_count = count,
        .spi_count = VIRT_SPI_COUNT,
        .affinity = affinity,
        .region_cpus = {count < first ? count : first, count < first ? 0 : count - first},
        .irq = v->cpu_irq,
        .fiq = v->cpu_fiq,
        .mem = v->its_wanted ? m->mem : NULL};
    struct gicv3 *gic;
    int r = gicv3_create(&config, &gic, err);
    if (r)
        return r;
    r = machine_add_device(m, gicv3_device(gic), err);
    if (r)
        return r;
    for (unsigned i = 0; !r && i < count; i++)
        r = machine_add_device(m, gicv3_cpu_device(gic, i), err);
    if (r)
        return r;
    v->gic = gicv3_device(gic);
    const enum virt_slot region_slot[GICV3_REGIONS] = {VIRT_GIC_REDIST, VIRT_GIC_REDIST2};
    r = mem_add_mmio(m->mem, "gic-dist", (struct gpa){virt_map[VIRT_GIC_DIST].base}, GICV3_DIST_SIZE,
                     v->gic->class->mmio, v->gic, MEM_UNLOCKED, err);
    for (unsigned i = 0; !r && i < GICV3_REGIONS; i++) {
        struct gicv3_redist_map map = gicv3_redist(gic, i);
        if (map.size)
            r = mem_add_mmio(m->mem, virt_map[region_slot[i]].name,
                             (struct gpa){virt_map[region_slot[i]].base}, map.size, map.ops, map.opaque,
                             MEM_UNLOCKED, err);
    }
    for (unsigned i = 0; i < VIRT_SPI_COUNT; i++)
        v->spi[i] = gicv3_spi_irq(gic, i);
    *ret_gic = gic;
    return r || !v->its_wanted ? r : create_its(m, gic, err);
}

// Exactly one of the GICs is there.
static int create_timer(struct machine *m, struct gicv2 *v2, struct gicv3 *v3, unsigned cpu,
                        struct error *err)
{
    char path[48];
    snprintf(path, sizeof path, "/virt/timer%u", cpu);
    struct arm_generic_timer_config config = {.path = path, .clock = &m->clock, .loop = m->loop};
    for (unsigned i = 0; i < ARM_TIMERS; i++)
        config.irq[i] =
            v2 ? gicv2_ppi_irq(v2, cpu, arm_timer_ppi[i]) : gicv3_ppi_irq(v3, cpu, arm_timer_ppi[i]);
    struct virt *v = virt_of(m);
    int r = arm_generic_timer_create(&config, &v->timers[cpu], err);
    return r ? r : machine_add_device(m, arm_generic_timer_device(v->timers[cpu]), err);
}

int virt_create_interrupts(struct machine *m, struct error *err)
{
    struct virt *v = virt_of(m);
    unsigned count = m->config.cpu_count;
    v->cpu_irq = calloc(count, sizeof *v->cpu_irq);
    v->cpu_fiq = calloc(count, sizeof *v->cpu_fiq);
    v->timers = calloc(count, sizeof(struct arm_generic_timer *));
    if (!v->cpu_irq || !v->cpu_fiq || !v->timers)
        return error_set(err, -ENOMEM, "out of memory");
    for (unsigned i = 0; i < count; i++) {
        v->cpu_irq[i] = (struct irq){.set = set_cpu_irq, .opaque = m, .line = i};
        v->cpu_fiq[i] = (struct irq){.set = set_cpu_fiq, .opaque = m, .line = i};
    }
    struct gicv2 *v2 = NULL;
    struct gicv3 *v3 = NULL;
    int r = v->gic_version == 2 ? create_gicv2(m, &v2, err) : create_gicv3(m, &v3, err);
    for (unsigned i = 0; !r && i < count; i++)
        r = create_timer(m, v2, v3, i, err);
    if (r)
        return r;
    const struct arm_ports_config ports = {
        .cpu_count = count, .clock = &m->clock, .gic = v3, .timers = v->timers};
    return arm_ports_create(&ports, &v->ports, err);
}
