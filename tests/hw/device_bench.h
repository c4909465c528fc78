// SPDX-License-Identifier: MIT
// The devices that random guests try, each made alone with everything that it is wired to: a chardev, a clock
// that the test moves, an event loop, outputs whose levels are kept. What is done to them is the test's
// business.
#ifndef TESTS_HW_DEVICE_BENCH_H
#define TESTS_HW_DEVICE_BENCH_H

#include "accel/ports.h"
#include "base/clock.h"
#include "base/loop.h"
#include "host/chardev.h"
#include "hw/core/device.h"
#include "hw/intc/gicv3.h"

enum { BENCH_CPUS = 3, BENCH_DEVICES = BENCH_CPUS + 1, BENCH_REGIONS = 2, BENCH_LINES = 24 };

struct bench {
    struct chardev chardev;
    pthread_mutex_t lock; // held from bench_make to bench_free
    struct clock clock;
    struct loop *loop;
    int64_t now;
    unsigned cpu; // who accesses a GICv2
    bool irq[BENCH_CPUS], fiq[BENCH_CPUS];

    struct device *devs[BENCH_DEVICES]; // the first owns the others
    unsigned dev_count;
    struct {
        const struct mem_mmio_ops *ops;
        void *opaque;
        uint64_t size;
    } regions[BENCH_REGIONS];
    unsigned region_count;
    struct irq lines[BENCH_LINES]; // inputs
    unsigned line_count;
    struct arm_ports *ports; // or NULL
    struct arm_generic_timer *timers[BENCH_CPUS];
    struct gicv3 *gic; // or NULL
};

enum bench_kind {
    BENCH_PL011,
    BENCH_PL031,
    BENCH_GWDT,
    BENCH_PL061,
    BENCH_GICV2,
    BENCH_GICV3,
    BENCH_TIMER,
    BENCH_KINDS
};
void bench_make(struct bench *b, enum bench_kind kind);
void bench_free(struct bench *b);

// An access of a vCPU to a register that a device owns. which chooses one, about a register of every device
// there is.
void bench_access_ports(struct bench *b, unsigned which, unsigned cpu, bool write, uint64_t value);
// What always holds.
void bench_check(struct bench *b);

#endif
