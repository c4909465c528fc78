// SPDX-License-Identifier: MIT
// GICv3 with one security state (GICD_CTLR.DS = 1) and affinity routing always on: distributor, one
// redistributor a CPU, and the CPU interfaces as system registers. LPIs where the board gives memory for their
// tables; the ITS that sends them is hw/intc/gicv3_its.h. No extended ranges. (IHI 0069)
//
// Thread: any, without the machine lock; the GIC has its own mutex (map its regions MEM_UNLOCKED). Outputs
// are driven with that mutex held, so their sinks must neither block nor call back. Inputs may be driven
// under any lock.
#ifndef HW_INTC_GICV3_H
#define HW_INTC_GICV3_H

#include "hw/core/device.h"

struct error;
struct gicv3;
struct mem_space;

enum {
    GICV3_MAX_CPUS = 512,
    GICV3_MAX_SPIS = 960,
    GICV3_DIST_SIZE = 0x10000,
    GICV3_REDIST_SIZE = 0x20000, // a CPU
    GICV3_REGIONS = 2,           // of redistributors
};

struct gicv3_config {
    const char *path;                    // instance path; CPU n's part is path/cpuN
    unsigned cpu_count;                  // 1..512
    unsigned spi_count;                  // a multiple of 32, at most 960
    const uint32_t *affinity;            // cpu_count of Aff3.Aff2.Aff1.Aff0, copied; NULL: 16 CPUs a cluster
    unsigned region_cpus[GICV3_REGIONS]; // redistributors in each region; both 0: all in the first
    const struct irq *irq, *fiq;         // cpu_count outputs each, copied; NULL: unconnected
    struct mem_space *mem;               // holds the tables of LPIs, borrowed; NULL: there are no LPIs
};

// 0, -EINVAL or -ENOMEM. The caller owns the GIC and destroys it through its device.
int gicv3_create(const struct gicv3_config *config, struct gicv3 **ret_gic, struct error *err);

// The distributor: its class has the registers; its reset and destroy cover the whole GIC, its state does
// not.
struct device *gicv3_device(struct gicv3 *gic);
// Redistributor and CPU interface of one CPU: a part of the saved state of its own, beside the distributor's.
// Owned by the GIC: never destroyed by itself.
struct device *gicv3_cpu_device(struct gicv3 *gic, unsigned cpu);

// What to map for a region of redistributors (size 0: the region is not used).
struct gicv3_redist_map {
    const struct mem_mmio_ops *ops;
    void *opaque;
    uint64_t size;
};
struct gicv3_redist_map gicv3_redist(struct gicv3 *gic, unsigned region);

// Input lines. spi 0 is INTID 32, ppi 0 is INTID 16.
struct irq gicv3_spi_irq(struct gicv3 *gic, unsigned spi);
struct irq gicv3_ppi_irq(struct gicv3 *gic, unsigned cpu, unsigned ppi);

// The CPU interface of the calling vCPU, registers by name; for hw/intc/arm_ports.
enum gicv3_icc {
    ICC_PMR,
    ICC_IAR0,
    ICC_EOIR0,
    ICC_HPPIR0,
    ICC_BPR0,
    ICC_AP0R0,
    ICC_AP1R0,
    ICC_DIR,
    ICC_RPR,
    ICC_SGI1R,
    ICC_ASGI1R,
    ICC_SGI0R,
    ICC_IAR1,
    ICC_EOIR1,
    ICC_HPPIR1,
    ICC_BPR1,
    ICC_CTLR,
    ICC_SRE,
    ICC_IGRPEN0,
    ICC_IGRPEN1,
};
// false: no such register in this direction.
bool gicv3_icc_read(struct gicv3 *gic, unsigned cpu, enum gicv3_icc reg, uint64_t *ret_value);
bool gicv3_icc_write(struct gicv3 *gic, unsigned cpu, enum gicv3_icc reg, uint64_t value);

#endif
