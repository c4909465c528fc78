// SPDX-License-Identifier: MIT
// Owns the making of each device; see the header.
#include "tests/hw/device_bench.h"
#include "base/types.h"
#include "hw/char/pl011.h"
#include "hw/gpio/pl061.h"
#include "hw/intc/arm_ports.h"
#include "hw/intc/gicv2.h"
#include "hw/misc/sbsa_gwdt.h"
#include "hw/rtc/pl031.h"
#include "hw/timer/arm_generic_timer.h"

#include <criterion/criterion.h>
#include <string.h>

static int64_t bench_time(void *opaque)
{
    return ((struct bench *)opaque)->now;
}

static int bench_write(struct chardev *chardev, const void *buf, size_t len)
{
    return (int)len;
}

static const struct chardev_ops chardev_ops = {bench_write, NULL, NULL};

static void set_output(void *opaque, unsigned line, bool level)
{
    ((bool *)opaque)[line] = level;
}

static void add_device(struct bench *b, struct device *dev)
{
    b->devs[b->dev_count++] = dev;
    if (!dev->class->mmio)
        return;
    b->regions[b->region_count].ops = dev->class->mmio;
    b->regions[b->region_count].opaque = dev;
    b->regions[b->region_count++].size = dev->class->mmio_size;
}

static void add_region(struct bench *b, const struct mem_mmio_ops *ops, void *opaque, uint64_t size)
{
    b->regions[b->region_count].ops = ops;
    b->regions[b->region_count].opaque = opaque;
    b->regions[b->region_count++].size = size;
}

static unsigned accessing_cpu(void *opaque)
{
    return ((struct bench *)opaque)->cpu;
}

static void make_pl011(struct bench *b)
{
    struct device *dev;
    struct pl011_config config = {"/uart0", &b->chardev, {set_output, b->irq, 0}, &b->clock, b->loop};
    cr_assert_eq(pl011_create(&config, &dev, NULL), 0);
    add_device(b, dev);
}

static void make_pl031(struct bench *b)
{
    struct device *dev;
    struct pl031_config config = {"/rtc", 1u << 31, {set_output, b->irq, 0}, &b->clock, b->loop};
    cr_assert_eq(pl031_create(&config, &dev, NULL), 0);
    add_device(b, dev);
}

static void make_gwdt(struct bench *b)
{
    struct device *dev;
    struct sbsa_gwdt_config config = {
        "/watchdog", {set_output, b->irq, 0}, {set_output, b->fiq, 0}, &b->clock, b->loop};
    cr_assert_eq(sbsa_gwdt_create(&config, &dev, NULL), 0);
    add_device(b, dev);
}

static void make_pl061(struct bench *b)
{
    struct device *dev;
    struct pl061_config config = {"/gpio", {set_output, b->irq, 0}};
    cr_assert_eq(pl061_create(&config, &dev, NULL), 0);
    add_device(b, dev);
    for (unsigned i = 0; i < PL061_LINES; i++)
        b->lines[b->line_count++] = pl061_input(dev, i);
}

static void make_gicv2(struct bench *b)
{
    struct irq irq[BENCH_CPUS], fiq[BENCH_CPUS];
    for (unsigned i = 0; i < BENCH_CPUS; i++)
        irq[i] = (struct irq){set_output, b->irq, i}, fiq[i] = (struct irq){set_output, b->fiq, i};
    struct gicv2 *gic;
    struct gicv2_config config = {"/gic", BENCH_CPUS, 64, accessing_cpu, b, irq, fiq};
    cr_assert_eq(gicv2_create(&config, &gic, NULL), 0);
    add_device(b, gicv2_device(gic));
    add_region(b, &gicv2_cpu_ops, gic, GICV2_CPU_SIZE);
    for (unsigned i = 0; i < BENCH_LINES; i++)
        b->lines[b->line_count++] =
            i < 20 ? gicv2_spi_irq(gic, i * 3) : gicv2_ppi_irq(gic, i % BENCH_CPUS, i % 16);
}

static void make_gicv3(struct bench *b)
{
    struct irq irq[BENCH_CPUS], fiq[BENCH_CPUS];
    for (unsigned i = 0; i < BENCH_CPUS; i++)
        irq[i] = (struct irq){set_output, b->irq, i}, fiq[i] = (struct irq){set_output, b->fiq, i};
    struct gicv3_config config = {"/gic", BENCH_CPUS, 64, NULL, {0}, irq, fiq};
    cr_assert_eq(gicv3_create(&config, &b->gic, NULL), 0);
    add_device(b, gicv3_device(b->gic));
    for (unsigned i = 0; i < BENCH_CPUS; i++)
        add_device(b, gicv3_cpu_device(b->gic, i));
    struct gicv3_redist_map map = gicv3_redist(b->gic, 0);
    add_region(b, map.ops, map.opaque, map.size);
    for (unsigned i = 0; i < BENCH_LINES; i++)
        b->lines[b->line_count++] =
            i < 20 ? gicv3_spi_irq(b->gic, i * 3) : gicv3_ppi_irq(b->gic, i % BENCH_CPUS, i % 16);
    struct arm_ports_config ports = {BENCH_CPUS, &b->clock, b->gic, b->timers, true};
    for (unsigned i = 0; i < BENCH_CPUS; i++) {
        struct arm_generic_timer_config timer = {.path = "t", .clock = &b->clock, .loop = b->loop};
        for (unsigned t = 0; t < ARM_TIMERS; t++)
            timer.irq[t] = gicv3_ppi_irq(b->gic, i, arm_timer_ppi[t]);
        cr_assert_eq(arm_generic_timer_create(&timer, &b->timers[i], NULL), 0);
    }
    cr_assert_eq(arm_ports_create(&ports, &b->ports, NULL), 0);
}

static void make_timer(struct bench *b)
{
    struct arm_generic_timer_config config = {.path = "/timer", .clock = &b->clock, .loop = b->loop};
    for (unsigned t = 0; t < ARM_TIMERS; t++)
        config.irq[t] = (struct irq){set_output, b->irq, t % BENCH_CPUS};
    cr_assert_eq(arm_generic_timer_create(&config, &b->timers[0], NULL), 0);
    b->timers[2] = b->timers[1] = b->timers[0];
    add_device(b, arm_generic_timer_device(b->timers[0]));
    struct arm_ports_config ports = {BENCH_CPUS, &b->clock, NULL, b->timers, true};
    cr_assert_eq(arm_ports_create(&ports, &b->ports, NULL), 0);
}

void bench_make(struct bench *b, enum bench_kind kind)
{
    static void (*const makers[BENCH_KINDS])(struct bench * b) = {
        make_pl011, make_pl031, make_gwdt, make_pl061, make_gicv2, make_gicv3, make_timer};
    memset(b, 0, sizeof *b);
    b->chardev.ops = &chardev_ops;
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_lock(&b->lock);
    clock_init(&b->clock, bench_time, b);
    clock_start(&b->clock);
    cr_assert_eq(loop_create(&b->lock, &b->loop, NULL), 0);
    makers[kind](b);
}

void bench_free(struct bench *b)
{
    arm_ports_destroy(b->ports);
    if (b->gic)
        for (unsigned i = 0; i < BENCH_CPUS; i++)
            device_destroy(arm_generic_timer_device(b->timers[i]));
    device_destroy(b->devs[0]);
    loop_destroy(b->loop);
    clock_destroy(&b->clock);
    pthread_mutex_unlock(&b->lock);
    pthread_mutex_destroy(&b->lock);
}

void bench_access_ports(struct bench *b, unsigned which, unsigned cpu, bool write, uint64_t value)
{
    static const uint32_t bases[] = {VCPU_REG_A64(3, 0, 4, 6, 0), VCPU_REG_A64(3, 0, 12, 8, 0),
                                     VCPU_REG_A64(3, 0, 12, 12, 0), VCPU_REG_A64(3, 3, 14, 0, 0), 0};
    const struct vcpu_ports *p = arm_ports_vcpu(b->ports);
    uint32_t reg = bases[which / 32 % ARRAY_SIZE(bases)] + which % 32;
    if (write)
        p->reg_write(p->opaque, cpu, 1, reg, value);
    else
        p->reg_read(p->opaque, cpu, 1, reg, &value);
}

void bench_check(struct bench *b)
{
    for (unsigned cpu = 0; b->gic && cpu < BENCH_CPUS; cpu++) {
        uint64_t id1, id0;
        gicv3_icc_read(b->gic, cpu, ICC_HPPIR1, &id1);
        gicv3_icc_read(b->gic, cpu, ICC_HPPIR0, &id0);
        cr_assert(!b->irq[cpu] || id1 != 1023, "IRQ without a pending group 1 interrupt");
        cr_assert(!b->fiq[cpu] || id0 != 1023, "FIQ without a pending group 0 interrupt");
    }
}
