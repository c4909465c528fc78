// SPDX-License-Identifier: MIT
// GICv3 scenarios: states of interrupts, routing, priorities, groups, SGIs, through registers and lines only;
// and save, load, save for its devices.
#include "hw/intc/gicv3.h"
#include "accel/ports.h"
#include "base/clock.h"
#include "base/error.h"
#include "hw/core/state.h"
#include "hw/intc/arm_ports.h"
#include "tests/hw/gic_script.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { CPUS = 18 }; // two clusters

struct bench {
    struct gicv3 *gic;
    struct arm_ports *ports;
    struct clock clock;
    bool irq[CPUS], fiq[CPUS];
    struct gic_script script;
};

static void set_output(void *opaque, unsigned line, bool level)
{
    ((bool *)opaque)[line] = level;
}

static const struct {
    const char *name;
    uint32_t reg;
} names[] = {
    {"PMR", VCPU_REG_A64(3, 0, 4, 6, 0)},       {"IAR0", VCPU_REG_A64(3, 0, 12, 8, 0)},
    {"EOIR0", VCPU_REG_A64(3, 0, 12, 8, 1)},    {"HPPIR0", VCPU_REG_A64(3, 0, 12, 8, 2)},
    {"BPR0", VCPU_REG_A64(3, 0, 12, 8, 3)},     {"AP0R0", VCPU_REG_A64(3, 0, 12, 8, 4)},
    {"AP1R0", VCPU_REG_A64(3, 0, 12, 9, 0)},    {"DIR", VCPU_REG_A64(3, 0, 12, 11, 1)},
    {"RPR", VCPU_REG_A64(3, 0, 12, 11, 3)},     {"SGI1R", VCPU_REG_A64(3, 0, 12, 11, 5)},
    {"SGI0R", VCPU_REG_A64(3, 0, 12, 11, 7)},   {"IAR1", VCPU_REG_A64(3, 0, 12, 12, 0)},
    {"EOIR1", VCPU_REG_A64(3, 0, 12, 12, 1)},   {"HPPIR1", VCPU_REG_A64(3, 0, 12, 12, 2)},
    {"BPR1", VCPU_REG_A64(3, 0, 12, 12, 3)},    {"CTLR", VCPU_REG_A64(3, 0, 12, 12, 4)},
    {"SRE", VCPU_REG_A64(3, 0, 12, 12, 5)},     {"IGRPEN0", VCPU_REG_A64(3, 0, 12, 12, 6)},
    {"IGRPEN1", VCPU_REG_A64(3, 0, 12, 12, 7)},
};

static bool access_reg(void *opaque, unsigned cpu, const char *name, bool write, uint64_t *value)
{
    const struct vcpu_ports *ports = opaque;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(names[i].name, name))
            return write ? ports->reg_write(ports->opaque, cpu, 1, names[i].reg, *value)
                         : ports->reg_read(ports->opaque, cpu, 1, names[i].reg, value);
    return false;
}

static struct irq spi_line(void *opaque, unsigned n)
{
    return gicv3_spi_irq(opaque, n);
}

static struct irq ppi_line(void *opaque, unsigned cpu, unsigned n)
{
    return gicv3_ppi_irq(opaque, cpu, n);
}

static void bench_make(struct bench *b)
{
    struct irq irq[CPUS], fiq[CPUS];
    memset(b, 0, sizeof *b);
    for (unsigned i = 0; i < CPUS; i++) {
        irq[i] = (struct irq){set_output, b->irq, i};
        fiq[i] = (struct irq){set_output, b->fiq, i};
    }
    struct gicv3_config config = {"/gic", CPUS, 256, NULL, {0}, irq, fiq};
    struct error err;
    cr_assert_eq(gicv3_create(&config, &b->gic, &err), 0);
    clock_init(&b->clock, NULL, NULL);
    struct arm_generic_timer *timers[CPUS] = {NULL};
    struct arm_ports_config ports = {CPUS, &b->clock, b->gic, timers, false};
    cr_assert_eq(arm_ports_create(&ports, &b->ports, &err), 0);
    struct gicv3_redist_map map = gicv3_redist(b->gic, 0);
    cr_assert_eq(map.size, CPUS * 0x20000);
    b->script = (struct gic_script){.dist = gicv3_device(b->gic),
                                    .cpu_ops = map.ops,
                                    .cpu_opaque = map.opaque,
                                    .cpu_stride = 0x20000,
                                    .reg = access_reg,
                                    .reg_opaque = (void *)arm_ports_vcpu(b->ports),
                                    .spi = spi_line,
                                    .ppi = ppi_line,
                                    .irq_opaque = b->gic,
                                    .irq_out = b->irq,
                                    .fiq_out = b->fiq};
}

static void bench_free(struct bench *b)
{
    arm_ports_destroy(b->ports);
    device_destroy(gicv3_device(b->gic));
    clock_destroy(&b->clock);
}

// CPUs 0 and 1 take group 1; SPIs 0-31 (INTIDs 32-63) in group 1 and enabled, priority 0xa0; SGIs and PPIs
// likewise.
#define START                                                                                                \
    "d:0=3 0.PMR=ff 0.IGRPEN1=1 1.PMR=ff 1.IGRPEN1=1 d:84=ffffffff d:104=ffffffff d:420=a0a0a0a0 "           \
    "d:424=a0a0a0a0 "                                                                                        \
    "r0:10080=ffffffff r0:10100=ffffffff r1:10080=ffffffff r1:10100=ffffffff r0:14=0 r1:14=0 "

static const struct {
    const char *name, *steps;
} scenarios[] = {
    {"reset values",
     "d:0?50 d:4?1780008 d:8?43b d:ffe8?3b d:fff0?d d:84?0 d:c08?0 r0:14?6 r0:8?0 r0:c?0 r1:8?100 "
     "r1:c?1 r17:8?1110 r17:c?101 r0:10c00?aaaaaaaa r0:10c04?0 r0:ffe8?3b 0.PMR?0 0.BPR0?2 0.BPR1?3 "
     "0.CTLR?8400 0.SRE?7 0.RPR?ff 0.IAR1?3ff 0.HPPIR1?3ff 0.IGRPEN1?0"},
    {"RAZ/WI",
     "d:80=ffffffff d:80?0 d:100=ffffffff d:100?0 d:400=ffffffff d:400?0 d:820=01010101 d:820?0 d:d00=1 "
     "d:d00?0 d:1a4=ffffffff d:0=ffffffff d:0?53 d:a4=ffffffff d:a4?0 d:420=ffffffff d:420?f8f8f8f8 "
     "d1:421=3f d:420?f8f838f8 d1:421?38 d1:100=1 d1:100?0 d8:100?0 r0:10c00=0 r0:10c00?aaaaaaaa "
     "r0:70=ffffffff r0:70?0 r0:0=1 r0:0?0"},
    {"level SPI",
     START "s0+ i0? !i1? d:204?1 0.HPPIR1?20 0.IAR1?20 !i0? d:304?1 d:204?1 0.RPR?a0 0.IAR1?3ff s0- "
           "d:204?0 0.EOIR1=20 d:304?0 !i0? 0.RPR?ff"},
    {"level SPI still high after EOI", START "s0+ 0.IAR1?20 0.EOIR1=20 i0? 0.IAR1?20 s0- 0.EOIR1=20 !i0?"},
    {"edge SPI",
     START "d:c08=2 s0+ s0- i0? d:204?1 0.IAR1?20 d:204?0 s0+ s0- d:204?1 !i0? 0.EOIR1=20 i0? 0.IAR1?20 "
           "0.EOIR1=20 !i0?"},
    {"edge held high fires once", START "d:c08=2 s0+ 0.IAR1?20 0.EOIR1=20 !i0? s0- s0+ i0?"},
    {"pending by software",
     START "d:204=8 i0? d:204?8 0.IAR1?23 d:204?0 0.EOIR1=23 !i0? d:204=8 d:284=8 !i0? s3+ d:284=8 "
           "d:204?8 i0? s3- !i0?"},
    {"active by software", START "s0+ d:304=1 !i0? 0.IAR1?3ff d:384=1 i0?"},
    {"disabled and enabled again",
     START "d:184=1 s0+ !i0? d:204?1 d:104=1 i0? d:0=0 !i0? 0.HPPIR1?3ff d:0=2 i0? "
           "0.IGRPEN1=0 !i0? 0.IGRPEN1=1 i0?"},
    {"priority mask", START "s0+ 0.PMR=a0 !i0? 0.HPPIR1?20 0.IAR1?3ff 0.PMR=a8 i0? 0.PMR=a7 !i0? 0.PMR?a0"},
    {"preemption by group priority",
     START "d1:421=98 d1:422=80 s0+ 0.IAR1?20 s1+ i0? s2+ 0.HPPIR1?22 0.IAR1?22 !i0? "
           "0.RPR?80 0.AP1R0?110000 s2- 0.EOIR1=22 0.RPR?a0 i0? 0.IAR1?21 0.RPR?98"},
    {"binary point stops preemption",
     START "0.BPR1=6 0.BPR1?6 d1:421=80 s0+ 0.IAR1?20 0.RPR?80 s1+ !i0? 0.BPR1=3 "
           "!i0? d1:421=78 i0? 0.IAR1?21 0.AP1R0?18000"},
    {"binary point moved while active",
     START "d1:420=88 d1:421=80 s0+ 0.IAR1?20 0.RPR?88 0.BPR1=6 s1+ !i0? 0.BPR1=3 i0?"},
    {"common binary point",
     START "0.BPR0=4 0.CTLR=1 0.BPR1?5 0.BPR1=7 0.BPR1?5 0.BPR0=7 0.BPR1?7 0.CTLR=0 0.BPR1?3 "
           "0.BPR0=0 0.BPR0?2 0.BPR1=0 0.BPR1?3"},
    {"equal priorities: lowest id", START "s5+ s4+ 0.IAR1?24 s4- 0.EOIR1=24 0.IAR1?25"},
    {"split end of interrupt",
     START "0.CTLR=2 s0+ 0.IAR1?20 0.EOIR1=20 0.RPR?ff d:304?1 !i0? 0.IAR1?3ff 0.DIR=20 "
           "d:304?0 i0?"},
    {"DIR without EOImode is ignored", START "s0+ 0.IAR1?20 0.DIR=20 d:304?1"},
    {"EOI of special and unknown ids",
     START "s0+ 0.IAR1?20 0.EOIR1=3ff 0.EOIR1=3fc 0.EOIR1=300 0.EOIR1=ffffff 0.RPR?a0 "
           "0.EOIR0=20 0.RPR?a0"},
    {"EOI on another CPU's interrupt",
     START "s0+ 0.IAR1?20 1.EOIR1=20 d:304?1 1.CTLR=2 1.DIR=20 d:304?0 !i0? 0.EOIR1=20 i0?"},
    {"routing by affinity",
     START "d:6100=1 s0+ !i0? i1? d8:6100?1 d8:6100=0 i0? !i1? d8:6100=7 !i0? !i1? d8:6100=101 "
           "17.PMR=f0 17.IGRPEN1=1 i17?"},
    {"1 of N", START
     "d8:6100=80000000 d8:6100?80000000 s0+ i0? 0.IGRPEN1=0 !i0? i1? 1.IAR1?20 0.IGRPEN1=1 !i0? 1.EOIR1=20 "
     "i0?"},
    {"PPI",
     START "p0.11+ i0? !i1? 0.IAR1?1b r0:10300?8000000 p0.11- 0.EOIR1=1b !i0? p1.14+ i1? !i0? 1.IAR1?1e"},
    {"SGI to a list",
     START "0.SGI1R=5000003 i0? i1? r1:10200?20 1.IAR1?5 0.IAR1?5 r0:10200?0 0.EOIR1=5 !i0? !i1?"},
    {"SGI to the other cluster",
     START "17.PMR=f0 17.IGRPEN1=1 r17:10080=ffff r17:10100=ffff 0.SGI1R=2010002 i17? !i0? !i1? "
           "17.IAR1?2 0.SGI1R=100002010002 17.EOIR1=2 !i17?"},
    {"SGI to all but self", START "0.SGI1R=10003000000 !i0? i1? 1.IAR1?3"},
    {"SGI of the other group is dropped",
     START "r1:10080=0 0.SGI1R=4000002 !i1? r1:10200?0 0.SGI0R=4000002 r1:10200?10"},
    {"SGIs cannot be level", START "r0:10c00=0 r0:10c00?aaaaaaaa r0:10200=1 i0? 0.IAR1?0 0.EOIR1=0 !i0?"},
    {"group 0 is FIQ",
     START "0.IGRPEN0=1 d:84=fffffffe s0+ f0? !i0? 0.HPPIR1?3ff 0.HPPIR0?20 0.IAR1?3ff 0.IAR0?20 !f0? "
           "0.AP0R0?100000 0.AP1R0?0 0.EOIR1=20 0.RPR?a0 0.EOIR0=20 f0? d:84=ffffffff i0? !f0?"},
    {"group 0 disabled at the CPU", START "d:84=fffffffe s0+ s1+ 0.IAR1?21"},
    {"active priorities written", START "0.AP1R0=8000 0.RPR?78 s0+ !i0? 0.AP1R0=0 i0?"},
    {"the last SPI", START "s255+ d:120=80000000 d:a0=80000000 i0? d8:68f8=1 !i0? i1? 1.IAR1?11f"},
};

Test(gicv3, scenarios)
{
    for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
        struct bench b;
        bench_make(&b);
        cr_expect(gic_script_run(&b.script, scenarios[i].name, scenarios[i].steps), "%s", scenarios[i].name);
        bench_free(&b);
    }
}

Test(gicv3, reset_covers_the_cpus)
{
    struct bench b;
    bench_make(&b);
    cr_assert(gic_script_run(&b.script, "before", START "s0+ p0.11+ 0.IAR1?1b 0.SGI1R=5000003 i1?"));
    device_reset(gicv3_device(b.gic));
    cr_expect(gic_script_run(&b.script, "after",
                             "!i0? !i1? 0.PMR?0 0.RPR?ff 0.IGRPEN1?0 r0:10300?0 r1:10200?0 d:0?50 "
                             "r0:10200?8000000 d:204?1"));
    bench_free(&b);
}

static uint64_t redist_read(struct gicv3_redist_map map, uint64_t offset)
{
    uint64_t value = 0;
    cr_assert_eq(map.ops->read(map.opaque, offset, 8, &value), MEM_OK);
    return value;
}

// Each region ends with a redistributor that says it is the last; the numbers go on.
Test(gicv3, two_regions_of_redistributors)
{
    struct gicv3 *gic;
    struct gicv3_config config = {.path = "/gic", .cpu_count = 200, .spi_count = 64, .region_cpus = {123, 77}};
    cr_assert_eq(gicv3_create(&config, &gic, NULL), 0);
    struct gicv3_redist_map low = gicv3_redist(gic, 0), high = gicv3_redist(gic, 1);
    cr_expect_eq(low.size, 123 * 0x20000);
    cr_expect_eq(high.size, 77 * 0x20000);
    cr_expect_eq(redist_read(low, 121 * 0x20000 + 8), 0x709ull << 32 | 121 << 8);
    cr_expect_eq(redist_read(low, 122 * 0x20000 + 8), 0x70aull << 32 | 122 << 8 | 1 << 4);
    cr_expect_eq(redist_read(high, 8), 0x70bull << 32 | 123 << 8);
    cr_expect_eq(redist_read(high, 76 * 0x20000 + 8), 0xc07ull << 32 | 199 << 8 | 1 << 4);
    uint64_t value;
    cr_expect_eq(low.ops->read(low.opaque, 123 * 0x20000, 4, &value), MEM_REFUSED);
    // An SGI reaches a CPU of the second region.
    cr_assert_eq(high.ops->write(high.opaque, 76 * 0x20000 + 0x10080, 4, 1), MEM_OK);
    cr_assert(gicv3_icc_write(gic, 0, ICC_SGI1R, 0xc0000 | 1 << 7));
    cr_expect_eq(redist_read(high, 76 * 0x20000 + 0x10200), 1);
    device_destroy(gicv3_device(gic));
}

Test(gicv3, save_load_save)
{
    struct bench a, b;
    bench_make(&a);
    bench_make(&b);
    cr_assert(gic_script_run(&a.script, "setup",
                             START "0.CTLR=2 d:c08=2 d8:6108=101 d:430=88776655 s0+ p0.11+ 0.IAR1?1b "
                                   "s1+ s1- d:204=80 0.BPR1=5 1.PMR=77 1.SGI1R=5000002"));
    struct device *from[CPUS + 1], *to[CPUS + 1];
    struct state_buf one = {0}, two = {0};
    struct error err;
    for (unsigned i = 0; i <= CPUS; i++) {
        from[i] = i < CPUS ? gicv3_cpu_device(a.gic, i) : gicv3_device(a.gic);
        to[i] = i < CPUS ? gicv3_cpu_device(b.gic, i) : gicv3_device(b.gic);
        cr_assert_eq(state_save(from[i], 0, &one, &err), 0);
    }
    cr_assert_eq(state_load(to, CPUS + 1, 0, one.data, one.size, &err), 0, "%s", err.text);
    for (unsigned i = 0; i <= CPUS; i++) {
        cr_assert_eq(state_save(to[i], 0, &two, &err), 0);
        cr_assert_null(state_compare(from[i], to[i]));
    }
    cr_assert_eq(one.size, two.size);
    cr_assert_eq(memcmp(one.data, two.data, one.size), 0);
    cr_assert_arr_eq(a.irq, b.irq, sizeof a.irq);
    cr_assert(gic_script_run(&b.script, "goes on", "0.EOIR1=1b 0.DIR=1b 0.IAR1?1b"));
    state_buf_free(&one);
    state_buf_free(&two);
    bench_free(&a);
    bench_free(&b);
}
