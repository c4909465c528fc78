// SPDX-License-Identifier: MIT
// GICv2 as a GIC-400 without the Security Extensions: distributor and CPU interfaces as memory-mapped
// registers for up to 8 CPUs. (IHI 0048B, DDI 0471)
//
// Registers are banked by the CPU that accesses them, which the board tells through current_cpu. Thread: any,
// without the machine lock; the GIC has its own mutex (map its regions MEM_UNLOCKED). Outputs are driven with
// that mutex held, so their sinks must neither block nor call back. Inputs may be driven under any lock.
#ifndef HW_INTC_GICV2_H
#define HW_INTC_GICV2_H

#include "hw/core/device.h"

struct error;
struct gicv2;

enum { GICV2_MAX_CPUS = 8, GICV2_MAX_SPIS = 960, GICV2_DIST_SIZE = 0x1000, GICV2_CPU_SIZE = 0x2000 };

struct gicv2_config {
    const char *path;
    unsigned cpu_count; // 1..8
    unsigned spi_count; // a multiple of 32, at most 960
    // Number of the vCPU whose thread this is; anything else (the debugger) counts as CPU 0. NULL: always CPU
    // 0.
    unsigned (*current_cpu)(void *opaque);
    void *current_cpu_opaque;
    const struct irq *irq, *fiq; // cpu_count outputs each, copied; NULL: unconnected
};

// 0, -EINVAL or -ENOMEM.
int gicv2_create(const struct gicv2_config *config, struct gicv2 **ret_gic, struct error *err);
// The whole GIC is one device; its class has the distributor's registers.
struct device *gicv2_device(struct gicv2 *gic);
// The CPU interface's registers, GICV2_CPU_SIZE bytes; opaque is the gicv2.
extern const struct mem_mmio_ops gicv2_cpu_ops;

// Input lines. spi 0 is INTID 32, ppi 0 is INTID 16.
struct irq gicv2_spi_irq(struct gicv2 *gic, unsigned spi);
struct irq gicv2_ppi_irq(struct gicv2 *gic, unsigned cpu, unsigned ppi);

#endif
