// SPDX-License-Identifier: MIT
// Owns the functions of generic timer and PMU registers. Timers belong to a device behind vcpu_ports; the
// counter is read from it directly. The PMU has its cycle counter only (PMCR.N = 0): it counts
// nanosecond-like ticks of the system counter scaled to cycles, since no other clock is deterministic. Arm
// ARM (DDI 0487) D11, D13.
#include "frontends/a64/helpers.h"
#include "frontends/a64/sysreg.h"

#define READ(name) uint64_t a64_read_##name(struct a64_cpu *cpu, enum a64_sr sr)
#define WRITE(name) int a64_write_##name(struct a64_cpu *cpu, enum a64_sr sr, uint64_t value)

enum {
    PMCR_E = 1 << 0, PMCR_P = 1 << 1, PMCR_C = 1 << 2,
    CYCLES_PER_TICK = 16,
};
#define PMU_CYCLE (1ull << 31) // the cycle counter in set and clear registers

// ---- generic timer ----------------------------------------------------------------------------------------

static uint64_t counter(const struct a64_cpu *cpu)
{
    return cpu->ports && cpu->ports->counter ? cpu->ports->counter(cpu->ports->opaque) : 0;
}

READ(counter) { return counter(cpu); }
READ(cntfrq) { return cpu->ports ? cpu->ports->counter_hz : 0; }

int a64_help_counter(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    ret->i = counter(a64_cpu_of(env));
    return IR_EXIT_NONE;
}

// Markers of the table: a64_help_sysreg_read and _write call the port themselves, since it may refuse.
READ(port) { return 0; }
WRITE(port) { return IR_EXIT_NONE; }

// ---- PMU --------------------------------------------------------------------------------------------------

static uint64_t cycles(const struct a64_cpu *cpu)
{
    return cpu->cycle_running ? counter(cpu) * CYCLES_PER_TICK - cpu->cycle_offset : cpu->cycle_offset;
}

static void set_cycles(struct a64_cpu *cpu, uint64_t value)
{
    cpu->cycle_offset = cpu->cycle_running ? counter(cpu) * CYCLES_PER_TICK - value : value;
}

// Starts or stops the counter as PMCR.E and PMCNTENSET say, keeping its value.
static void update_running(struct a64_cpu *cpu)
{
    uint64_t value = cycles(cpu);

    cpu->cycle_running = cpu->sys[A64_SR_PMCR_EL0] & PMCR_E && cpu->sys[A64_SR_PMCNTENSET_EL0] & PMU_CYCLE;
    set_cycles(cpu, value);
}

READ(pmcr)
{
    // IMP and IDCODE as in MIDR's implementer and part; N = 0.
    return cpu->sys[sr] | bits_get(cpu->model->midr, 24, 8) << 24 | bits_get(cpu->model->midr, 4, 8) << 16;
}

WRITE(pmcr)
{
    if (value & PMCR_C)
        set_cycles(cpu, 0);
    cpu->sys[sr] = value & a64_sysregs[sr].writable;
    update_running(cpu);
    return IR_EXIT_NONE;
}

READ(pmccntr) { return cycles(cpu); }

WRITE(pmccntr)
{
    set_cycles(cpu, value);
    return IR_EXIT_NONE;
}

// Set and clear registers share the storage of the set (for overflow flags: of the clear) register.
static int change(struct a64_cpu *cpu, enum a64_sr storage, uint64_t value, bool set)
{
    value &= PMU_CYCLE;
    cpu->sys[storage] = set ? cpu->sys[storage] | value : cpu->sys[storage] & ~value;
    update_running(cpu);
    return IR_EXIT_NONE;
}

WRITE(pmcntenset) { return change(cpu, A64_SR_PMCNTENSET_EL0, value, true); }
WRITE(pmcntenclr) { return change(cpu, A64_SR_PMCNTENSET_EL0, value, false); }
READ(pmcntenclr) { return cpu->sys[A64_SR_PMCNTENSET_EL0]; }
WRITE(pmintenset) { return change(cpu, A64_SR_PMINTENSET_EL1, value, true); }
WRITE(pmintenclr) { return change(cpu, A64_SR_PMINTENSET_EL1, value, false); }
READ(pmintenclr) { return cpu->sys[A64_SR_PMINTENSET_EL1]; }
WRITE(pmovsset) { return change(cpu, A64_SR_PMOVSCLR_EL0, value, true); }
WRITE(pmovsclr) { return change(cpu, A64_SR_PMOVSCLR_EL0, value, false); }
READ(pmovsset) { return cpu->sys[A64_SR_PMOVSCLR_EL0]; }

// PMSELR = 31 selects the cycle counter's filter; there are no event counters.
READ(pmxevtyper)
{
    return cpu->sys[A64_SR_PMSELR_EL0] == 31 ? cpu->sys[A64_SR_PMCCFILTR_EL0] : 0;
}

WRITE(pmxevtyper)
{
    if (cpu->sys[A64_SR_PMSELR_EL0] == 31)
        cpu->sys[A64_SR_PMCCFILTR_EL0] = value & a64_sysregs[A64_SR_PMCCFILTR_EL0].writable;
    return IR_EXIT_NONE;
}
