// SPDX-License-Identifier: MIT
// Owns the table from A64 system registers to the devices that hold them (Arm ARM D19, IHI 0069 12.2). A
// register number finds its row through a byte index, so that the hot ones cost one load. Invariant: rows are
// in no order.
#include "hw/intc/arm_ports.h"
#include "base/error.h"
#include "base/types.h"
#include "hw/intc/gicv3.h"
#include "hw/timer/arm_generic_timer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum port_kind { PORT_NONE, PORT_ICC, PORT_ICC_SRE_EL2, PORT_TIMER, PORT_CNTPCT, PORT_CNTVCT, PORT_CNTVOFF };

struct port_row {
    uint16_t reg;
    uint8_t kind, arg; // arg: enum gicv3_icc, or which timer << 4 | register
    bool el2;
};

#define REG(op0, op1, crn, crm, op2) ((uint16_t)VCPU_REG_A64(op0, op1, crn, crm, op2))
#define TIMER(which, reg) (ARM_TIMER_##which << 4 | ARM_TIMER_##reg)

static const struct port_row rows[] = {
    {0, PORT_NONE, 0},
    {REG(3, 0, 4, 6, 0), PORT_ICC, ICC_PMR},
    {REG(3, 0, 12, 8, 0), PORT_ICC, ICC_IAR0},
    {REG(3, 0, 12, 8, 1), PORT_ICC, ICC_EOIR0},
    {REG(3, 0, 12, 8, 2), PORT_ICC, ICC_HPPIR0},
    {REG(3, 0, 12, 8, 3), PORT_ICC, ICC_BPR0},
    {REG(3, 0, 12, 8, 4), PORT_ICC, ICC_AP0R0}, // AP0R1-3, AP1R1-3: not with 5 bits of priority
    {REG(3, 0, 12, 9, 0), PORT_ICC, ICC_AP1R0},
    {REG(3, 0, 12, 11, 1), PORT_ICC, ICC_DIR},
    {REG(3, 0, 12, 11, 3), PORT_ICC, ICC_RPR},
    {REG(3, 0, 12, 11, 5), PORT_ICC, ICC_SGI1R},
    {REG(3, 0, 12, 11, 6), PORT_ICC, ICC_ASGI1R},
    {REG(3, 0, 12, 11, 7), PORT_ICC, ICC_SGI0R},
    {REG(3, 0, 12, 12, 0), PORT_ICC, ICC_IAR1},
    {REG(3, 0, 12, 12, 1), PORT_ICC, ICC_EOIR1},
    {REG(3, 0, 12, 12, 2), PORT_ICC, ICC_HPPIR1},
    {REG(3, 0, 12, 12, 3), PORT_ICC, ICC_BPR1},
    {REG(3, 0, 12, 12, 4), PORT_ICC, ICC_CTLR},
    {REG(3, 0, 12, 12, 5), PORT_ICC, ICC_SRE},
    {REG(3, 0, 12, 12, 6), PORT_ICC, ICC_IGRPEN0},
    {REG(3, 0, 12, 12, 7), PORT_ICC, ICC_IGRPEN1},
    {REG(3, 4, 12, 9, 5), PORT_ICC_SRE_EL2, 0, .el2 = true},
    {REG(3, 3, 14, 0, 1), PORT_CNTPCT, 0},
    {REG(3, 3, 14, 0, 2), PORT_CNTVCT, 0},
    {REG(3, 3, 14, 0, 5), PORT_CNTPCT, 0}, // CNTPCTSS_EL0
    {REG(3, 3, 14, 0, 6), PORT_CNTVCT, 0}, // CNTVCTSS_EL0
    {REG(3, 3, 14, 2, 0), PORT_TIMER, TIMER(PHYS, TVAL)},
    {REG(3, 3, 14, 2, 1), PORT_TIMER, TIMER(PHYS, CTL)},
    {REG(3, 3, 14, 2, 2), PORT_TIMER, TIMER(PHYS, CVAL)},
    {REG(3, 3, 14, 3, 0), PORT_TIMER, TIMER(VIRT, TVAL)},
    {REG(3, 3, 14, 3, 1), PORT_TIMER, TIMER(VIRT, CTL)},
    {REG(3, 3, 14, 3, 2), PORT_TIMER, TIMER(VIRT, CVAL)},
    {REG(3, 4, 14, 0, 3), PORT_CNTVOFF, 0, .el2 = true},
    {REG(3, 4, 14, 2, 0), PORT_TIMER, TIMER(HYP, TVAL), .el2 = true},
    {REG(3, 4, 14, 2, 1), PORT_TIMER, TIMER(HYP, CTL), .el2 = true},
    {REG(3, 4, 14, 2, 2), PORT_TIMER, TIMER(HYP, CVAL), .el2 = true},
};

enum { REG_COUNT = 1 << 14, OP0_3 = 3 << 14, ICC_SRE_EL2_VALUE = 0xf };
_Static_assert(ARRAY_SIZE(rows) <= 256, "a row's number is a byte");

struct arm_ports {
    struct vcpu_ports vcpu;
    unsigned cpu_count;
    const struct clock *clock;
    struct gicv3 *gic;
    struct arm_generic_timer **timers;
    uint8_t row_of[REG_COUNT]; // by the number without op0, which is 3 in every row
};

static const struct port_row *find(const struct arm_ports *p, unsigned cpu, uint32_t reg)
{
    return cpu < p->cpu_count && reg - OP0_3 < REG_COUNT ? &rows[p->row_of[reg - OP0_3]] : &rows[0];
}

static bool reg_read(void *opaque, unsigned cpu, unsigned el, uint32_t reg, uint64_t *ret_value)
{
    const struct arm_ports *p = opaque;
    const struct port_row *row = find(p, cpu, reg);
    switch ((enum port_kind)row->kind) {
    case PORT_NONE: return false;
    case PORT_ICC: return gicv3_icc_read(p->gic, cpu, (enum gicv3_icc)row->arg, ret_value);
    case PORT_ICC_SRE_EL2: *ret_value = ICC_SRE_EL2_VALUE; return true;
    case PORT_TIMER:
        *ret_value = arm_generic_timer_read(p->timers[cpu], row->arg >> 4, row->arg & 15);
        return true;
    case PORT_CNTPCT: *ret_value = arm_counter(p->clock); return true;
    case PORT_CNTVCT: *ret_value = arm_generic_timer_virtual_count(p->timers[cpu]); return true;
    case PORT_CNTVOFF: *ret_value = arm_generic_timer_offset(p->timers[cpu]); return true;
    }
    return false;
}

static bool reg_write(void *opaque, unsigned cpu, unsigned el, uint32_t reg, uint64_t value)
{
    const struct arm_ports *p = opaque;
    const struct port_row *row = find(p, cpu, reg);
    switch ((enum port_kind)row->kind) {
    case PORT_ICC: return gicv3_icc_write(p->gic, cpu, (enum gicv3_icc)row->arg, value);
    case PORT_ICC_SRE_EL2: return true;
    case PORT_TIMER:
        arm_generic_timer_write(p->timers[cpu], row->arg >> 4, row->arg & 15, value);
        return true;
    case PORT_CNTVOFF: arm_generic_timer_set_offset(p->timers[cpu], value); return true;
    default: return false;
    }
}

static uint64_t counter(void *opaque)
{
    return arm_counter(((const struct arm_ports *)opaque)->clock);
}

int arm_ports_create(const struct arm_ports_config *config, struct arm_ports **ret_ports, struct error *err)
{
    struct arm_ports *p = calloc(1, sizeof *p);
    struct arm_generic_timer **timers = calloc(config->cpu_count, sizeof *timers);
    if (!p || !timers) {
        free(p);
        free(timers);
        return error_set(err, -ENOMEM, "no memory for the CPUs' ports");
    }
    memcpy(timers, config->timers, config->cpu_count * sizeof *timers);
    p->cpu_count = config->cpu_count;
    p->clock = config->clock;
    p->gic = config->gic;
    p->timers = timers;
    p->vcpu = (struct vcpu_ports){p, reg_read, reg_write, counter, ARM_COUNTER_HZ};
    for (unsigned i = 1; i < ARRAY_SIZE(rows); i++) {
        assert(rows[i].reg >= OP0_3 && !p->row_of[rows[i].reg - OP0_3]);
        bool icc = rows[i].kind == PORT_ICC || rows[i].kind == PORT_ICC_SRE_EL2;
        if ((icc && !p->gic) || (rows[i].el2 && !config->has_el2))
            continue;
        p->row_of[rows[i].reg - OP0_3] = (uint8_t)i;
    }
    *ret_ports = p;
    return 0;
}

void arm_ports_destroy(struct arm_ports *ports)
{
    if (ports)
        free(ports->timers);
    free(ports);
}

const struct vcpu_ports *arm_ports_vcpu(const struct arm_ports *ports)
{
    return &ports->vcpu;
}
