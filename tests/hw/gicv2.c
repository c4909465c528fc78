// SPDX-License-Identifier: MIT
// GICv2 scenarios: states of interrupts, targets, priorities, groups, SGIs with their sources, through
// registers and lines only; and save, load, save.
#include "hw/intc/gicv2.h"
#include "base/error.h"
#include "hw/core/state.h"
#include "tests/hw/gic_script.h"

#include <criterion/criterion.h>
#include <string.h>

enum { CPUS = 4 };

struct bench {
    struct gicv2 *gic;
    unsigned current;
    bool irq[CPUS], fiq[CPUS];
    struct gic_script script;
};

static void set_output(void *opaque, unsigned line, bool level)
{
    ((bool *)opaque)[line] = level;
}

static unsigned current_cpu(void *opaque)
{
    return ((struct bench *)opaque)->current;
}

static struct irq spi_line(void *opaque, unsigned n)
{
    return gicv2_spi_irq(opaque, n);
}

static struct irq ppi_line(void *opaque, unsigned cpu, unsigned n)
{
    return gicv2_ppi_irq(opaque, cpu, n);
}

static void bench_make(struct bench *b, unsigned cpus)
{
    struct irq irq[CPUS], fiq[CPUS];
    memset(b, 0, sizeof *b);
    for (unsigned i = 0; i < CPUS; i++) {
        irq[i] = (struct irq){set_output, b->irq, i};
        fiq[i] = (struct irq){set_output, b->fiq, i};
    }
    struct gicv2_config config = {"/gic", cpus, 256, current_cpu, b, irq, fiq};
    cr_assert_eq(gicv2_create(&config, &b->gic, NULL), 0);
    b->script = (struct gic_script){.dist = gicv2_device(b->gic),
                                    .cpu_ops = &gicv2_cpu_ops,
                                    .cpu_opaque = b->gic,
                                    .current_cpu = &b->current,
                                    .spi = spi_line,
                                    .ppi = ppi_line,
                                    .irq_opaque = b->gic,
                                    .irq_out = b->irq,
                                    .fiq_out = b->fiq};
}

// As Linux sets it up: everything in group 0; CPUs 0 and 1 on; SPIs 0-3 enabled, priority 0xa0, target CPU 0.
#define START                                                                                                \
    "@1 c:4=f0 c:0=1 d:400=a0a0a0a0 d:418=a0a0a0a0 @0 d:0=1 c:4=f0 c:0=1 d:104=f d:420=a0a0a0a0 "            \
    "d:820=01010101 "                                                                                        \
    "d:400=a0a0a0a0 d:418=a0a0a0a0 "

static const struct {
    const char *name, *steps;
} scenarios[] = {
    {"reset values",
     "d:0?0 d:4?68 d:8?200143b d:fe8?2b d:ff0?d d:100?ffff d:104?0 d:c00?aaaaaaaa d:c04?0 d:800?1010101 "
     "@2 d:800?4040404 d:820?0 c:0?0 c:4?0 c:8?2 c:1c?3 c:c?3ff c:18?3ff c:14?ff c:fc?202143b"},
    {"RAZ/WI",
     "d:100=0 d:180=ffff d:100?ffff d:200=ffffffff d:200?ffff0000 d:c00=0 d:c00?aaaaaaaa d:124=ffffffff "
     "d:124?0 d:820=ffffffff d:820?f0f0f0f d1:821=2 d:820?f0f020f d1:800=f d:800?1010101 d:400=ffffffff "
     "d:400?f8f8f8f8 d1:401?f8 d2:402?f8f8 d:0=f d:0?3 c:0=ffffffff c:0?3ff c:4=ff c:4?f8"},
    {"level SPI",
     START "s0+ i0? !i1? d:204?1 c:18?20 c:c?20 !i0? d:304?1 c:14?a0 c:c?3ff s0- d:204?0 c:10=20 d:304?0 "
           "!i0? c:14?ff"},
    {"level SPI still high after EOI", START "s0+ c:c?20 c:10=20 i0? c:c?20 s0- c:10=20 !i0?"},
    {"edge SPI",
     START "d:c08=2 s0+ s0- i0? c:c?20 d:204?0 s0+ s0- d:204?1 !i0? c:10=20 i0? c:c?20 c:10=20 !i0?"},
    {"pending by software", START "d:204=8 i0? c:c?23 d:204?0 c:10=23 !i0? d:204=8 d:284=8 !i0?"},
    {"targets", START
     "d1:820=3 s0+ i0? i1? @1 c:c?20 !i0? !i1? @0 c:c?3ff @1 c:10=20 i0? i1? d1:820=0 !i0? !i1? d1:820=2 "
     "!i0? i1?"},
    {"priorities and preemption",
     START "d1:421=98 s0+ c:c?20 s1+ i0? c:c?21 c:14?98 c:d0?180000 c:10=21 c:14?a0 c:10=20 "
           "c:14?ff"},
    {"binary point", START "c:8=6 d1:421=80 s0+ c:c?20 s1+ !i0? c:14?80 d1:421=78 i0?"},
    {"binary point moved while active",
     START "d1:420=88 d1:421=80 s0+ c:c?20 c:14?88 c:8=5 s1+ !i0? c:8=2 i0?"},
    {"split end of interrupt", START "c:0=201 s0+ c:c?20 c:10=20 c:14?ff d:304?1 !i0? c:1000=20 d:304?0 i0?"},
    {"DIR without EOImode is ignored", START "s0+ c:c?20 c:1000=20 d:304?1"},
    {"EOI of special and unknown ids", START "s0+ c:c?20 c:10=3ff c:10=3fe c:10=3ef c:14?a0 c:10=20 c:14?ff"},
    {"PPI is banked",
     START "d:100=8000000 p0.11+ p1.11+ i0? !i1? c:c?1b d:300?8000000 @1 d:300?0 d:100?ffff d:100=8000000 "
           "i1? c:c?1b"},
    {"SGI with its source",
     START "d:f00=20003 i1? !i0? @1 c:18?3 c:c?3 !i1? c:10=3 @1 d:f00=20003 c:c?403 c:10=403 !i1?"},
    {"SGI from two sources",
     START "d:f00=20003 @1 d:f00=20003 d:f20?3000000 d:200?8 c:c?3 d:f20?2000000 !i1? c:c?3ff c:10=3 "
           "i1? c:c?403 c:10=403 !i1? d:200?0"},
    {"SGI filters", START "d:f00=1000001 !i0? i1? d:f00=2000002 i0? c:c?2 d:f00=3000003 d:200?0"},
    {"SGI set and cleared",
     START "d:f20=100 i0? d:f10?100 c:18?1 d:f10=100 !i0? d1:f22=2 i0? c:c?402 d:f20=f0 !i0? "
           "d:f20?0"},
    {"group 1 through AckCtl",
     START "d:0=3 c:0=3 d:84=1 s0+ i0? c:18?3fe c:c?3fe d:304?0 c:0=7 c:18?20 c:c?20 c:10=20 i0?"},
    {"group 1 through aliases",
     START "d:0=3 c:0=3 d:84=1 s0+ c:28?20 c:20?20 c:24=21 c:14?a0 c:24=20 c:14?ff s0- s1+ c:28?3ff "
           "c:20?3ff c:c?21"},
    {"group 0 as FIQ", START "c:0=9 s0+ f0? !i0? c:c?20 !f0? c:10=20 f0? c:0=1 !f0? i0?"},
    {"groups disabled", START "d:0=2 s0+ !i0? c:c?3ff d:0=1 i0? c:0=2 !i0? c:0=1 i0? d:184=1 !i0?"},
    {"active by software", START "s0+ d:304=1 !i0? d:384=1 i0?"},
};

Test(gicv2, scenarios)
{
    for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
        struct bench b;
        bench_make(&b, CPUS);
        cr_expect(gic_script_run(&b.script, scenarios[i].name, scenarios[i].steps), "%s", scenarios[i].name);
        device_destroy(gicv2_device(b.gic));
    }
}

Test(gicv2, one_cpu_needs_no_targets)
{
    struct bench b;
    bench_make(&b, 1);
    cr_expect(gic_script_run(&b.script, "one CPU",
                             "d:4?8 d:800?0 d:820=0 d:820?0 d:0=1 c:4=f0 c:0=1 d:104=1 s0+ i0? c:c?20"));
    device_destroy(gicv2_device(b.gic));
}

Test(gicv2, save_load_save)
{
    struct bench a, b;
    struct state_buf one = {0}, two = {0};
    struct error err;
    bench_make(&a, CPUS);
    bench_make(&b, CPUS);
    cr_assert(gic_script_run(&a.script, "setup",
                             START "d:c08=2 d1:821=2 s0+ s1+ s1- c:c?20 d:f00=20005 c:8=5 @1 c:4=c0 p0.3+"));
    struct device *from = gicv2_device(a.gic), *to = gicv2_device(b.gic);
    cr_assert_eq(state_save(from, 0, &one, &err), 0);
    cr_assert_eq(state_load(&to, 1, 0, one.data, one.size, &err), 0, "%s", err.text);
    cr_assert_eq(state_save(to, 0, &two, &err), 0);
    cr_assert_null(state_compare(from, to));
    cr_assert(one.size == two.size && !memcmp(one.data, two.data, one.size));
    cr_assert_arr_eq(a.irq, b.irq, sizeof a.irq);
    cr_assert(gic_script_run(&b.script, "goes on", "i1? @1 c:c?5 c:10=5 @0 c:10=20 !i0? s0- s0+ i0? c:c?20"));
    state_buf_free(&one);
    state_buf_free(&two);
    device_destroy(from);
    device_destroy(to);
}
