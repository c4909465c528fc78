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
    GIC_FIRST_LPI = 8192,
    GICV3_ID_COUNT = 65536, // GICD_TYPER.IDbits
    GICV3_SPI_BANKS = GICV3_MAX_SPIS / 32,
    GICV3_TARGET_NONE = -1, // IROUTER names no CPU of this machine
    GICV3_TARGET_ANY = -2,  // IROUTER.Interrupt_Routing_Mode: any participating CPU
};

enum {
    GICD_CTLR_ARE = 1 << 4,
    GICD_CTLR_DS = 1 << 6,
    GICR_CTLR = 0x0000,
    GICR_PROPBASER = 0x0070,
    GICR_PENDBASER = 0x0078,
    GICR_INVLPIR = 0x00a0,
    GICR_INVALLR = 0x00b0,
    GICR_CTLR_EnableLPIs = 1 << 0,
    GICR_CTLR_CES = 1 << 1, // EnableLPIs can be cleared
    GICR_CTLR_IR = 1 << 2,  // GICR_INVLPIR, INVALLR and SYNCR are there
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

    struct gic_bank bank[1]; // SGIs and PPIs
    uint8_t priority[32];
    bool asleep; // GICR_WAKER.ProcessorSleep
    uint8_t pmr, bpr0, bpr1;
    uint8_t ctlr; // CBPR and EOImode
    bool group0_enabled, group1_enabled;
    uint32_t ap0, ap1;
    bool lpis_enabled; // GICR_CTLR.EnableLPIs
    uint64_t propbaser, pendbaser;

    struct gic_best lpi_best; // derived from the LPIs' tables
    bool lpi_stale;           // lpi_best must be chosen again; never left so outside the lock
    struct gic_best best;     // derived: what the CPU interface would be offered
    bool irq_level, fiq_level;
};

struct gicv3_region {
    struct gicv3 *gic;
    unsigned first_cpu, cpus;
};

struct gicv3 {
    struct device dev;
    pthread_mutex_t lock;
    struct mem_space *mem; // NULL: no LPIs
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

// LPIs (gicv3_lpi.c). An id or a CPU that has none is ignored. set and move leave the CPU's outputs right; clear, and
// moves at the CPU they come from, only say that lpi_best is stale: gicv3_lpi_settle makes up for that, for all CPUs.
void gicv3_lpi_set(struct gicv3_cpu *c, unsigned id);
bool gicv3_lpi_clear(struct gicv3_cpu *c, unsigned id); // whether it was pending
void gicv3_lpi_move(struct gicv3_cpu *from, struct gicv3_cpu *to, unsigned id);
void gicv3_lpi_move_all(struct gicv3_cpu *from, struct gicv3_cpu *to);
void gicv3_lpi_settle(struct gicv3 *gic);
// Looks at the tables again, then at the outputs.
void gicv3_lpi_refresh(struct gicv3_cpu *c);
// GICR_CTLR, PROPBASER, PENDBASER and the invalidation registers, by offset.
uint32_t gicv3_lpi_read(const struct gicv3_cpu *c, uint64_t offset);
void gicv3_lpi_write(struct gicv3_cpu *c, uint64_t offset, uint32_t value);
// After the registers were loaded or reset.
void gicv3_lpi_sanitise(struct gicv3_cpu *c);

// IPRIORITYR and identification registers, the same in each frame. Peripheral id part number differs.
uint32_t gicv3_read_id(uint64_t offset, unsigned part);
uint32_t gicv3_read_priorities(const uint8_t *priority);
void gicv3_write_priorities(uint8_t *priority, unsigned size, uint32_t value);

#endif
