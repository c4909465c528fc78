// SPDX-License-Identifier: MIT
// A tiny language for GIC scenarios, so that the tests are tables of text. One step a word:
//   d:OFF=V  d:OFF?V     write or check a 32-bit distributor register (hex); d1: and d8: for bytes and
//   doublewords r0:OFF=V r0:OFF?V    redistributor of CPU 0 (GICv3);  c:OFF=V  the accessing CPU's interface
//   (GICv2)
//   @1                   CPU 1 makes the accesses from here on (GICv2)
//   0.NAME=V 0.NAME?V    CPU 0's system register (GICv3)
//   s5+ s5-              raise or lower SPI line 5;  p0.11+ PPI 11 of CPU 0
//   i0? f0? !i0? !f0?    the IRQ or FIQ output of CPU 0 is high (low)
#ifndef TESTS_HW_GIC_SCRIPT_H
#define TESTS_HW_GIC_SCRIPT_H

#include "hw/core/device.h"

struct gic_script {
    struct device *dist;
    const struct mem_mmio_ops *cpu_ops; // r0: or c:
    void *cpu_opaque;
    uint64_t cpu_stride;   // GICv3: from one CPU to the next
    unsigned *current_cpu; // @1
    bool (*reg)(void *opaque, unsigned cpu, const char *name, bool write, uint64_t *value); // NULL: none
    void *reg_opaque;
    struct irq (*spi)(void *opaque, unsigned n);
    struct irq (*ppi)(void *opaque, unsigned cpu, unsigned n);
    void *irq_opaque;
    const bool *irq_out, *fiq_out; // a CPU
};

// Runs the words of text; reports the first that fails with name. Returns whether all held.
bool gic_script_run(const struct gic_script *s, const char *name, const char *text);

#endif
