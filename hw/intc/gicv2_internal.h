// SPDX-License-Identifier: MIT
// Private to gicv2*.c: the state, under gicv2.lock, and what the parts call of one another. Invariant:
// outside the lock each CPU's best candidate and outputs agree with the state.
#ifndef HW_INTC_GICV2_INTERNAL_H
#define HW_INTC_GICV2_INTERNAL_H

#include "hw/intc/gic_bank.h"
#include "hw/intc/gicv2.h"

#include <pthread.h>

enum { GICV2_SPI_BANKS = GICV2_MAX_SPIS / 32, GICV2_SGIS = 16, GICV2_SGI_MASK = 0xffff };

enum {
    GICC_CTLR_EnableGrp0 = 1 << 0,
    GICC_CTLR_EnableGrp1 = 1 << 1,
    GICC_CTLR_AckCtl = 1 << 2,
    GICC_CTLR_FIQEn = 1 << 3,
    GICC_CTLR_CBPR = 1 << 4,
    GICC_CTLR_EOImode = 1 << 9,
    GICC_CTLR_MASK = 0x3ff, // with the four bypass bits, which do nothing
};
enum { GICC_MIN_BPR = 7 - GIC_PRIORITY_BITS, GICC_MIN_ABPR = GICC_MIN_BPR + 1 };

struct gicv2_cpu {
    struct gic_bank bank; // SGIs and PPIs; an SGI is pending while sgi_sources of it is not 0
    uint32_t ctlr;
    uint8_t pmr, bpr, abpr;
    uint32_t apr;
    // Derived:
    struct gic_best best;
    bool irq_level, fiq_level;
};

struct gicv2 {
    struct device dev;
    pthread_mutex_t lock;
    unsigned cpu_count, spi_banks;
    unsigned (*current_cpu)(void *opaque);
    void *current_cpu_opaque;
    struct irq irq[GICV2_MAX_CPUS], fiq[GICV2_MAX_CPUS];

    uint32_t ctlr;
    struct gic_bank spi[GICV2_SPI_BANKS];
    uint8_t priority[GICV2_MAX_SPIS];
    uint8_t target[GICV2_MAX_SPIS]; // GICD_ITARGETSR: bit n, CPU n
    struct gicv2_cpu cpu[GICV2_MAX_CPUS];
    uint8_t private_priority[GICV2_MAX_CPUS][32];
    uint8_t sgi_sources[GICV2_MAX_CPUS][GICV2_SGIS]; // bit n: from CPU n
};

extern const struct mem_mmio_ops gicv2_dist_ops;

unsigned gicv2_current(const struct gicv2 *gic);
void gicv2_update_cpu(struct gicv2 *gic, unsigned cpu);
void gicv2_update_mask(struct gicv2 *gic, unsigned cpus); // bit n: CPU n
void gicv2_update_all(struct gicv2 *gic);
bool gicv2_preempts(const struct gicv2_cpu *c);
uint8_t gicv2_group_priority_mask(const struct gicv2_cpu *c, bool group1);
// The bank an interrupt lives in, as cpu sees it, or NULL.
struct gic_bank *gicv2_bank(struct gicv2 *gic, unsigned cpu, unsigned id);
// Sets the sources from which an SGI is pending at cpu.
void gicv2_set_sgi(struct gicv2 *gic, unsigned cpu, unsigned sgi, uint8_t sources);

#endif
