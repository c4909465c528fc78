// SPDX-License-Identifier: MIT
// The system-register table: one row of sysreg.def per register or SYS operation, sorted by encoding.
// Translation looks rows up; helpers and the debugger get them by number (enum a64_sr).
#ifndef A64_SYSREG_H
#define A64_SYSREG_H

#include "frontends/a64/state.h"

enum a64_sr_access { A64_EL0_R = 1, A64_EL0_W = 2, A64_EL1_R = 4, A64_EL1_W = 8 };

// What may send an access to EL1 (from EL0, syndrome EC 0x18) although access allows it.
enum a64_sr_trap {
    A64_TRAP_NONE,
    A64_TRAP_FP,      // CPACR.FPEN, from either EL
    A64_TRAP_UMA, A64_TRAP_UCT, A64_TRAP_UCI, A64_TRAP_DZE, A64_TRAP_TDCC,
    A64_TRAP_PMU, A64_TRAP_PMU_SW, A64_TRAP_PMU_CR, A64_TRAP_PMU_ER,
    A64_TRAP_PCNT, A64_TRAP_VCNT, A64_TRAP_PTIMER, A64_TRAP_VTIMER,
};

enum a64_sr_flags {
    A64_SRF_KEY = 1,         // a write may change env.key or the context: the unit ends
    A64_SRF_GIC = 2,         // exists only with the GICv3 CPU interface
    A64_SRF_CORE = 4,        // exists only on models with core_sysregs
    A64_SRF_SPSEL_ONLY = 8,  // SP_EL0: UNDEFINED while it is the stack pointer in use
    A64_SRF_DAIF = 16,       // inline forms in tr_sys.c
    A64_SRF_NZCV = 32,
    A64_SRF_CONST_EL = 64,
    A64_SRF_OP = 128,        // a SYS operation, no state
};

struct a64_sysreg {
    const char *name;
    uint32_t enc;          // VCPU_REG_A64
    uint8_t access, trap, flags;
    int16_t field;         // IR field that is the register's storage, or -1
    uint16_t model_offset; // constant of struct a64_cpu_model, or 0
    // NULL: cpu->sys[number], masked by writable. An exit code is what a write's helper returns.
    uint64_t (*read)(struct a64_cpu *cpu, enum a64_sr sr);
    int (*write)(struct a64_cpu *cpu, enum a64_sr sr, uint64_t value);
    uint64_t reset, writable;
};

extern const struct a64_sysreg a64_sysregs[A64_SR_COUNT];

// NULL where this model has no such register.
const struct a64_sysreg *a64_sysreg_find(uint32_t enc, const struct a64_cpu_model *model);
// Unallocated encodings in the identification space read as zero at EL1.
bool a64_sysreg_is_raz(uint32_t enc);
void a64_sysreg_reset(struct a64_cpu *cpu);
// The value without side effects, for the debugger.
uint64_t a64_sysreg_peek(struct a64_cpu *cpu, enum a64_sr sr);

// Functions of rows, by file.
#define READ(name) uint64_t a64_read_##name(struct a64_cpu *cpu, enum a64_sr sr)
#define WRITE(name) int a64_write_##name(struct a64_cpu *cpu, enum a64_sr sr, uint64_t value)
READ(mpidr);
READ(ccsidr);
READ(isr);
READ(daif);
READ(fpcr);
READ(fpsr);
READ(sp_el0);
READ(zero);
READ(pfr0);
READ(spsel); READ(nzcv); READ(currentel); READ(ctr); READ(dczid);
WRITE(control);
WRITE(tcr);
WRITE(ignore);
WRITE(daif);
WRITE(fpcr);
WRITE(fpsr);
WRITE(sp_el0);
WRITE(spsel);
WRITE(nzcv);
READ(counter); READ(cntfrq); READ(port); WRITE(port);
READ(pmcr); WRITE(pmcr); READ(pmccntr); WRITE(pmccntr); WRITE(pm_set); WRITE(pm_clear); READ(pm_clear);
WRITE(pmcntenset); WRITE(pmcntenclr); READ(pmcntenclr); WRITE(pmovsclr); WRITE(pmovsset); READ(pmovsset);
WRITE(pmintenset); WRITE(pmintenclr); READ(pmintenclr); READ(pmxevtyper); WRITE(pmxevtyper);
WRITE(mdscr); WRITE(oslar); WRITE(dbg); WRITE(dbgclaimset); WRITE(dbgclaimclr); READ(dbgclaimset);
WRITE(tlbi); WRITE(at); WRITE(dc_zva); WRITE(dc_va); WRITE(ic_ivau);
#undef READ
#undef WRITE

#endif
