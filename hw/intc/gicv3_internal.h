// SPDX-License-Identifier: MIT
// Private to gicv3*.c: the state, and what the parts call of one another. Everything is under gicv3.lock.
//
// Invariant: outside the lock each CPU's best candidate and outputs agree with the state. Whoever changes
// state calls gicv3_update_* for every CPU that may be concerned before it unlocks.
#ifndef HW_INTC_GICV3_INTERNAL_H
#define HW_INTC_GICV3_INTERNAL_H

#include "hw/intc/gic_bank.h"
#include "hw/intc/gicv3.h"

#include <pthread.h>

enum {
    GICV3_SPI_BANKS = GICV3_MAX_SPIS / 32,
    GICV3_TARGET_NONE = -1, // IROUTER names no CPU of this machine
    GICV3_TARGET_ANY = -2,  // IROUTER.Interrupt_Routing_Mode: any participating CPU
};

enum {
    GICD_CTLR_ARE = 1 << 4,
    GICD_CTLR_DS = 1 << 6,
    GICR_WAKER_ProcessorSleep = 1 << 1,
    GICR_WAKER_ChildrenAsleep = 1 << 2,
    ICC_CTLR_CBPR = 1 << 0,
    ICC_CTLR_EOImode = 1 << 1,
};

struct gicv3_cpu {
    struct device dev;
    struct gicv3 *gic;
    unsigned index;
    uint32_t affinity;
    struct irq irq, fiq;

    struct gic_bank bank[1]; // SGIs and PPIs; LPI configuration and pending tables will join it here
    uint8_t priority[32];
    bool asleep; // GICR_WAKER.ProcessorSleep
    uint8_t pmr, bpr0, bpr1;
    uint8_t ctlr; // CBPR and EOImode
    bool group0_enabled, group1_enabled;
    uint32_t ap0, ap1;

    struct gic_best best; // derived: what the CPU interface would be offered
    bool irq_level, fiq_level;
};

struct gicv3_region {
    struct gicv3 *gic;
    unsigned first_cpu, cpus;
};

struct gicv3 {
    struct device dev;
    pthread_mutex_t lock;
    unsigned cpu_count, spi_banks;
    struct gicv3_cpu *cpus;
    struct gicv3_region regions[GICV3_REGIONS];

    uint32_t ctlr; // the two enable bits
    struct gic_bank spi[GICV3_SPI_BANKS];
    uint8_t priority[GICV3_MAX_SPIS];
    uint64_t irouter[GICV3_MAX_SPIS];

    int16_t target[GICV3_MAX_SPIS]; // derived from irouter: CPU number or GICV3_TARGET_*
    int any_cpu;                    // derived: who takes 1-of-N interrupts now
};

extern const struct device_class gicv3_cpu_class;
extern const struct mem_mmio_ops gicv3_dist_ops, gicv3_redist_ops;

// Recompute the candidate and the outputs of one CPU, of the target of an SPI, of the targets of the bits of
// a bank of SPIs, of all.
void gicv3_update_cpu(struct gicv3 *gic, struct gicv3_cpu *c);
void gicv3_update_spis(struct gicv3 *gic, unsigned bank, uint32_t bits);
void gicv3_update_all(struct gicv3 *gic);
// Drives both outputs whatever was driven before (after reset and restore).
void gicv3_redrive(struct gicv3 *gic, struct gicv3_cpu *c);
// Chooses any_cpu again; to be called when a CPU joins or leaves.
void gicv3_choose_any(struct gicv3 *gic);
void gicv3_route(struct gicv3 *gic, unsigned spi);
struct gicv3_cpu *gicv3_cpu_by_affinity(struct gicv3 *gic, uint32_t affinity);
// Group priority mask for an interrupt of the group (ICC_BPRn_EL1).
uint8_t gicv3_group_priority_mask(const struct gicv3_cpu *c, bool group1);
// The candidate has a high enough priority to be taken now.
bool gicv3_preempts(const struct gicv3_cpu *c);

// IPRIORITYR and identification registers, the same in each frame. Peripheral id part number differs.
uint32_t gicv3_read_id(uint64_t offset, unsigned part);
uint32_t gicv3_read_priorities(const uint8_t *priority);
void gicv3_write_priorities(uint8_t *priority, unsigned size, uint32_t value);

#endif
