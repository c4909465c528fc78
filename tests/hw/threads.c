// SPDX-License-Identifier: MIT
// vCPU threads, a device thread and the event loop at once on a GICv3 with timers: no expiry, SGI or SPI may
// get lost, or a thread waits for ever and the test times out. Run it under ThreadSanitizer too.
#include "accel/ports.h"
#include "base/clock.h"
#include "base/loop.h"
#include "hw/intc/arm_ports.h"
#include "hw/intc/gicv3.h"
#include "hw/timer/arm_generic_timer.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

enum { CPUS = 3, ROUNDS = 300, SGI = 5, SPI = 3 };

#define ICC(crm, op2) VCPU_REG_A64(3, 0, 12, crm, op2)
#define CNTV(op2) VCPU_REG_A64(3, 3, 14, 3, op2)

struct machine {
    pthread_mutex_t lock;
    struct clock clock;
    struct loop *loop;
    struct gicv3 *gic;
    struct arm_generic_timer *timers[CPUS];
    struct arm_ports *ports;
    _Atomic bool irq[CPUS];
    _Atomic unsigned spis, running;
};

struct vcpu {
    struct machine *m;
    unsigned cpu, timers, sgis;
};

static void set_irq(void *opaque, unsigned line, bool level)
{
    atomic_store(&((struct machine *)opaque)->irq[line], level);
}

static void put(struct vcpu *v, uint32_t reg, uint64_t value)
{
    const struct vcpu_ports *p = arm_ports_vcpu(v->m->ports);
    cr_assert(p->reg_write(p->opaque, v->cpu, 1, reg, value));
}

static uint64_t get(struct vcpu *v, uint32_t reg)
{
    const struct vcpu_ports *p = arm_ports_vcpu(v->m->ports);
    uint64_t value = 0;
    cr_assert(p->reg_read(p->opaque, v->cpu, 1, reg, &value));
    return value;
}

// Takes one interrupt if there is one; says which.
static void take_interrupt(struct vcpu *v)
{
    if (!atomic_load(&v->m->irq[v->cpu])) {
        sched_yield();
        return;
    }
    uint64_t id = get(v, ICC(12, 0));
    if (id == 27) {
        v->timers++;
        put(v, CNTV(1), 3); // masked until the next round
    } else if (id == SGI) {
        v->sgis++;
    } else if (id == 32 + SPI) {
        struct irq line = gicv3_spi_irq(v->m->gic, SPI);
        irq_set(&line, false);
        atomic_fetch_add(&v->m->spis, 1);
    }
    if (id != 1023)
        put(v, ICC(12, 1), id);
}

static void *run_vcpu(void *opaque)
{
    struct vcpu *v = opaque;
    put(v, VCPU_REG_A64(3, 0, 4, 6, 0), 0xf0);
    put(v, ICC(12, 7), 1);
    for (unsigned n = 1; n <= ROUNDS; n++) {
        put(v, CNTV(2), get(v, VCPU_REG_A64(3, 3, 14, 0, 2)) + n * 7 % 1000);
        put(v, CNTV(1), 1);
        put(v, ICC(11, 5), SGI << 24 | 1u << v->cpu); // to itself: at least one a round
        put(v, ICC(11, 5), (uint64_t)SGI << 24 | 1ull << ((v->cpu + 1) % CPUS));
        while (v->timers < n || v->sgis < n)
            take_interrupt(v);
    }
    while (atomic_load(&v->m->spis) < ROUNDS)
        take_interrupt(v);
    if (atomic_fetch_sub(&v->m->running, 1) == 1)
        loop_quit(v->m->loop, 0);
    return NULL;
}

static void *run_device(void *opaque)
{
    struct machine *m = opaque;
    struct irq line = gicv3_spi_irq(m->gic, SPI);
    for (unsigned n = 0; n < ROUNDS; n++) {
        irq_set(&line, true);
        while (atomic_load(&m->spis) <= n)
            sched_yield();
    }
    return NULL;
}

static void setup_gic(struct machine *m)
{
    const struct mem_mmio_ops *dist = gicv3_device(m->gic)->class->mmio;
    struct gicv3_redist_map redist = gicv3_redist(m->gic, 0);
    dist->write(gicv3_device(m->gic), 0, 4, 2);
    dist->write(gicv3_device(m->gic), 0x84, 4, ~0u);
    dist->write(gicv3_device(m->gic), 0x104, 4, ~0u);
    dist->write(gicv3_device(m->gic), 0x6000 + 8 * (32 + SPI), 8, 1u << 31); // whoever listens
    for (unsigned i = 0; i < CPUS; i++) {
        redist.ops->write(redist.opaque, i * GICV3_REDIST_SIZE + 0x14, 4, 0);
        redist.ops->write(redist.opaque, i * GICV3_REDIST_SIZE + 0x10080, 4, ~0u);
        redist.ops->write(redist.opaque, i * GICV3_REDIST_SIZE + 0x10100, 4, ~0u);
    }
}

Test(threads, nothing_gets_lost, .timeout = 30)
{
    static struct machine m;
    struct irq irq[CPUS];
    struct vcpu vcpus[CPUS];
    pthread_t threads[CPUS], device;
    pthread_mutex_init(&m.lock, NULL);
    clock_init(&m.clock, NULL, NULL);
    clock_start(&m.clock);
    cr_assert_eq(loop_create(&m.lock, &m.loop, NULL), 0);
    for (unsigned i = 0; i < CPUS; i++)
        irq[i] = (struct irq){set_irq, &m, i};
    struct gicv3_config config = {.path = "/gic", .cpu_count = CPUS, .spi_count = 32, .irq = irq};
    cr_assert_eq(gicv3_create(&config, &m.gic, NULL), 0);
    for (unsigned i = 0; i < CPUS; i++) {
        struct arm_generic_timer_config timer = {.path = "timer", .clock = &m.clock, .loop = m.loop};
        timer.irq[ARM_TIMER_VIRT] = gicv3_ppi_irq(m.gic, i, arm_timer_ppi[ARM_TIMER_VIRT]);
        cr_assert_eq(arm_generic_timer_create(&timer, &m.timers[i], NULL), 0);
    }
    struct arm_ports_config ports = {CPUS, &m.clock, m.gic, m.timers, false};
    cr_assert_eq(arm_ports_create(&ports, &m.ports, NULL), 0);
    setup_gic(&m);
    m.running = CPUS;
    pthread_mutex_lock(&m.lock);
    for (unsigned i = 0; i < CPUS; i++) {
        vcpus[i] = (struct vcpu){&m, i, 0, 0};
        pthread_create(&threads[i], NULL, run_vcpu, &vcpus[i]);
    }
    pthread_create(&device, NULL, run_device, &m);
    loop_run(m.loop);
    pthread_mutex_unlock(&m.lock);
    for (unsigned i = 0; i < CPUS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(device, NULL);
    cr_assert_eq(m.spis, ROUNDS);
    arm_ports_destroy(m.ports);
    for (unsigned i = 0; i < CPUS; i++)
        device_destroy(arm_generic_timer_device(m.timers[i]));
    device_destroy(gicv3_device(m.gic));
    loop_destroy(m.loop);
}
