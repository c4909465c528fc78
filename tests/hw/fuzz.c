// SPDX-License-Identifier: MIT
// Random guests against every device: register accesses of all sizes, input lines, passing time, resets, and
// saved states with flipped bytes. Asserts, sanitizers and the few invariants checked here judge. The seed is
// fixed; give another, and a number of rounds, in FUZZ_SEED and FUZZ_ROUNDS.
#include "accel/ports.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/error.h"
#include "base/loop.h"
#include "host/chardev.h"
#include "hw/char/pl011.h"
#include "hw/core/state.h"
#include "hw/gpio/pl061.h"
#include "hw/misc/sbsa_gwdt.h"
#include "hw/intc/arm_ports.h"
#include "hw/intc/gicv2.h"
#include "hw/intc/gicv3.h"
#include "hw/rtc/pl031.h"
#include "hw/timer/arm_generic_timer.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { CPUS = 3, MAX_DEVICES = CPUS + 1, MAX_REGIONS = 2, MAX_LINES = 24 };

struct bench {
    struct chardev chardev;
    struct entropy random;
    pthread_mutex_t lock;
    struct clock clock;
    struct loop *loop;
    int64_t now;
    bool irq[CPUS], fiq[CPUS];

    struct device *devs[MAX_DEVICES]; // the first owns the others
    unsigned dev_count;
    struct {
        const struct mem_mmio_ops *ops;
        void *opaque;
        uint64_t size;
    } regions[MAX_REGIONS];
    unsigned region_count;
    struct irq lines[MAX_LINES];
    unsigned line_count;
    struct arm_ports *ports;
    struct arm_generic_timer *timers[CPUS];
    struct gicv3 *gic;
};

static uint64_t bench_random(struct bench *b, uint64_t below)
{
    uint64_t v;
    entropy_fill(&b->random, &v, sizeof v);
    return below ? v % below : v;
}

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

static unsigned some_cpu(void *opaque)
{
    return (unsigned)bench_random(opaque, CPUS + 1);
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
    struct sbsa_gwdt_config config = {"/watchdog", {set_output, b->irq, 0}, {set_output, b->fiq, 0}, &b->clock, b->loop};
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
    struct irq irq[CPUS], fiq[CPUS];
    for (unsigned i = 0; i < CPUS; i++)
        irq[i] = (struct irq){set_output, b->irq, i}, fiq[i] = (struct irq){set_output, b->fiq, i};
    struct gicv2 *gic;
    struct gicv2_config config = {"/gic", CPUS, 64, some_cpu, b, irq, fiq};
    cr_assert_eq(gicv2_create(&config, &gic, NULL), 0);
    add_device(b, gicv2_device(gic));
    add_region(b, &gicv2_cpu_ops, gic, GICV2_CPU_SIZE);
    for (unsigned i = 0; i < MAX_LINES; i++)
        b->lines[b->line_count++] = i < 20 ? gicv2_spi_irq(gic, i * 3) : gicv2_ppi_irq(gic, i % CPUS, i % 16);
}

static void make_gicv3(struct bench *b)
{
    struct irq irq[CPUS], fiq[CPUS];
    for (unsigned i = 0; i < CPUS; i++)
        irq[i] = (struct irq){set_output, b->irq, i}, fiq[i] = (struct irq){set_output, b->fiq, i};
    struct gicv3_config config = {"/gic", CPUS, 64, NULL, {0}, irq, fiq};
    cr_assert_eq(gicv3_create(&config, &b->gic, NULL), 0);
    add_device(b, gicv3_device(b->gic));
    for (unsigned i = 0; i < CPUS; i++)
        add_device(b, gicv3_cpu_device(b->gic, i));
    struct gicv3_redist_map map = gicv3_redist(b->gic, 0);
    add_region(b, map.ops, map.opaque, map.size);
    for (unsigned i = 0; i < MAX_LINES; i++)
        b->lines[b->line_count++] =
            i < 20 ? gicv3_spi_irq(b->gic, i * 3) : gicv3_ppi_irq(b->gic, i % CPUS, i % 16);
    struct arm_ports_config ports = {CPUS, &b->clock, b->gic, b->timers, true};
    for (unsigned i = 0; i < CPUS; i++) {
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
        config.irq[t] = (struct irq){set_output, b->irq, t % CPUS};
    cr_assert_eq(arm_generic_timer_create(&config, &b->timers[0], NULL), 0);
    b->timers[2] = b->timers[1] = b->timers[0];
    add_device(b, arm_generic_timer_device(b->timers[0]));
    struct arm_ports_config ports = {CPUS, &b->clock, NULL, b->timers, true};
    cr_assert_eq(arm_ports_create(&ports, &b->ports, NULL), 0);
}

// Values a guest might write: small, one bit, all ones, anything.
static uint64_t some_value(struct bench *b)
{
    switch (bench_random(b, 5)) {
    case 0: return bench_random(b, 64);
    case 1: return 1ull << bench_random(b, 64);
    case 2: return -bench_random(b, 3);
    case 3: return bench_random(b, 0) & bench_random(b, 0);
    default: return bench_random(b, 0);
    }
}

static void access_mmio(struct bench *b)
{
    unsigned r = (unsigned)bench_random(b, b->region_count), size = 1u << bench_random(b, 4);
    uint64_t size_of = b->regions[r].size, offset = bench_random(b, size_of), value = some_value(b);
    if (bench_random(b, 4))
        offset = (offset & 0x1f000) | (offset & 0xfff & bench_random(b, 0)); // registers crowd at the low end
    offset = offset % size_of & ~(size - 1ull);
    const struct mem_mmio_ops *ops = b->regions[r].ops;
    if (size < ops->min_size || size > ops->max_size)
        size = 4, offset &= ~3ull;
    if (size < 8)
        value &= (1ull << size * 8) - 1;
    if (bench_random(b, 3)) {
        ops->write(b->regions[r].opaque, offset, size, value);
    } else {
        value = 0;
        if (ops->read(b->regions[r].opaque, offset, size, &value) == MEM_OK && size < 8)
            cr_assert_eq(value >> size * 8, 0, "a read of %u bytes gives more", size);
    }
}

static void access_ports(struct bench *b)
{
    static const uint32_t bases[] = {VCPU_REG_A64(3, 0, 4, 6, 0), VCPU_REG_A64(3, 0, 12, 8, 0),
                                     VCPU_REG_A64(3, 0, 12, 12, 0), VCPU_REG_A64(3, 3, 14, 0, 0), 0};
    const struct vcpu_ports *p = arm_ports_vcpu(b->ports);
    uint32_t reg = bases[bench_random(b, 5)] + (uint32_t)bench_random(b, 32);
    unsigned cpu = (unsigned)bench_random(b, CPUS + 1);
    uint64_t value = some_value(b);
    if (bench_random(b, 2))
        p->reg_write(p->opaque, cpu, 1, reg, value);
    else
        p->reg_read(p->opaque, cpu, 1, reg, &value);
}

static void save_and_load(struct bench *b)
{
    struct state_buf buf = {0};
    struct error err;
    for (unsigned i = 0; i < b->dev_count; i++)
        cr_assert_eq(state_save(b->devs[i], clock_now(&b->clock), &buf, &err), 0);
    unsigned flips = (unsigned)bench_random(b, 4);
    for (unsigned i = 0; i < flips; i++)
        buf.data[bench_random(b, buf.size)] ^= (uint8_t)(1u << bench_random(b, 8));
    size_t size = bench_random(b, 8) ? buf.size : bench_random(b, buf.size);
    int code = state_load(b->devs, b->dev_count, clock_now(&b->clock), buf.data, size, &err);
    cr_assert(code == 0 || flips || size < buf.size, "%s", err.text);
    state_buf_free(&buf);
    if (code)
        for (unsigned i = 0; i < b->dev_count; i++)
            device_reset(b->devs[i]);
}

static void check(struct bench *b)
{
    if (!b->gic)
        return;
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        uint64_t id1, id0;
        gicv3_icc_read(b->gic, cpu, ICC_HPPIR1, &id1);
        gicv3_icc_read(b->gic, cpu, ICC_HPPIR0, &id0);
        cr_assert(!b->irq[cpu] || id1 != 1023, "IRQ without a pending group 1 interrupt");
        cr_assert(!b->fiq[cpu] || id0 != 1023, "FIQ without a pending group 0 interrupt");
    }
}

static void round_of(struct bench *b)
{
    switch (bench_random(b, 64)) {
    case 0:
        if (!bench_random(b, 16))
            device_reset(b->devs[bench_random(b, b->dev_count)]);
        break;
    case 1:
        if (!bench_random(b, 8))
            save_and_load(b);
        break;
    case 2 ... 7:
        b->now += (int64_t)(1ull << bench_random(b, 40));
        b->now &= INT64_MAX >> 1;
        loop_once(b->loop, 0);
        break;
    case 8 ... 11: {
        uint8_t text[40];
        size_t room = chardev_can_deliver(&b->chardev);
        entropy_fill(&b->random, text, sizeof text);
        chardev_deliver(&b->chardev, text, room < sizeof text ? room : sizeof text);
        chardev_notify(&b->chardev, (enum chardev_event)bench_random(b, 3));
        break;
    }
    case 12 ... 23:
        if (b->line_count)
            irq_set(&b->lines[bench_random(b, b->line_count)], bench_random(b, 2));
        break;
    default:
        if (b->ports && (!b->region_count || bench_random(b, 2)))
            access_ports(b);
        else
            access_mmio(b);
        break;
    }
    check(b);
}

static void fuzz(void (*make)(struct bench *))
{
    const char *seed = getenv("FUZZ_SEED"), *rounds = getenv("FUZZ_ROUNDS");
    struct bench b = {.chardev.ops = &chardev_ops};
    entropy_init_seeded(&b.random, seed ? strtoull(seed, NULL, 0) : 1);
    pthread_mutex_init(&b.lock, NULL);
    pthread_mutex_lock(&b.lock);
    clock_init(&b.clock, bench_time, &b);
    clock_start(&b.clock);
    cr_assert_eq(loop_create(&b.lock, &b.loop, NULL), 0);
    make(&b);
    for (unsigned long n = rounds ? strtoul(rounds, NULL, 0) : 30000; n; n--)
        round_of(&b);
    arm_ports_destroy(b.ports);
    if (b.gic)
        for (unsigned i = 0; i < CPUS; i++)
            device_destroy(arm_generic_timer_device(b.timers[i]));
    device_destroy(b.devs[0]);
    loop_destroy(b.loop);
}

Test(fuzz, pl011)
{
    fuzz(make_pl011);
}
Test(fuzz, pl031)
{
    fuzz(make_pl031);
}
Test(fuzz, watchdog)
{
    fuzz(make_gwdt);
}

Test(fuzz, pl061)
{
    fuzz(make_pl061);
}
Test(fuzz, gicv2)
{
    fuzz(make_gicv2);
}
Test(fuzz, gicv3)
{
    fuzz(make_gicv3);
}
Test(fuzz, generic_timer)
{
    fuzz(make_timer);
}
