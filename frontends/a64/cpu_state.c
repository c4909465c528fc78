// SPDX-License-Identifier: MIT
// Owns the list of registers that are the architectural state of an A64 vCPU, as snapshots hold it and another way to
// run guests could fill it. Numbers stay for ever: general registers from 0x1000, vectors from 0x1100, and system
// registers at 0x10000 plus their encoding. Not in it: the exclusive monitors, which are clear after a load, what
// devices behind the ports hold, and what follows from the rest.
//
// A value from outside may be anything: bits that this vCPU cannot hold are dropped, as by a write, and a PSTATE that
// it cannot be in is refused. Arm ARM (DDI 0487) D1, D17.
#include "frontends/a64/cpu_state.h"

#include "frontends/a64/key.h"
#include "frontends/a64/regs.h"
#include "frontends/a64/sysreg.h"

#include <string.h>

enum {
    STATE_X = 0x1000,
    STATE_SP_EL0 = 0x1020,
    STATE_SP_EL1 = 0x1021,
    STATE_PC = 0x1022,
    STATE_PSTATE = 0x1023,
    STATE_FPCR = 0x1024,
    STATE_FPSR = 0x1025,
    STATE_EVENT_LOCAL = 0x1026, // SEVL
    STATE_STEPPED = 0x1027,     // enum a64_stepped
    STATE_V = 0x1100,
    STATE_SYS = 0x10000,
};

#define X(n) {STATE_X + (n), 8, "x" #n}
#define V(n) {STATE_V + (n), 16, "v" #n}
#define SYS(nm, op0, op1, crn, crm, op2) {STATE_SYS + VCPU_REG_A64(op0, op1, crn, crm, op2), 8, #nm},

// Each row of sysreg.def has its place; has_storage tells which of them are state.
const struct guest_state_reg a64_state_regs[A64_STATE_REG_COUNT] = {
    X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11), X(12), X(13), X(14), X(15), X(16), X(17),
    X(18), X(19), X(20), X(21), X(22), X(23), X(24), X(25), X(26), X(27), X(28), X(29), X(30),
    {STATE_SP_EL0, 8, "sp_el0"}, {STATE_SP_EL1, 8, "sp_el1"}, {STATE_PC, 8, "pc"}, {STATE_PSTATE, 4, "pstate"},
    {STATE_FPCR, 4, "fpcr"}, {STATE_FPSR, 4, "fpsr"}, {STATE_EVENT_LOCAL, 1, "event_local"},
    {STATE_STEPPED, 1, "stepped"},
    V(0), V(1), V(2), V(3), V(4), V(5), V(6), V(7), V(8), V(9), V(10), V(11), V(12), V(13), V(14), V(15), V(16), V(17),
    V(18), V(19), V(20), V(21), V(22), V(23), V(24), V(25), V(26), V(27), V(28), V(29), V(30), V(31),
#define R(nm, op0, op1, crn, crm, op2, ...) SYS(nm, op0, op1, crn, crm, op2)
#define F(nm, op0, op1, crn, crm, op2, ...) SYS(nm, op0, op1, crn, crm, op2)
#define M(nm, op0, op1, crn, crm, op2, ...) SYS(nm, op0, op1, crn, crm, op2)
#include "frontends/a64/sysreg.def"
#undef R
#undef F
#undef M
};

enum { FIRST_SYS = A64_STATE_REG_COUNT - A64_SR_COUNT };

// Whether the row is storage of its own: not an operation, a constant, a device's, or another view of something else.
static bool has_storage(const struct a64_cpu *cpu, enum a64_sr sr)
{
    const struct a64_sysreg *r = &a64_sysregs[sr];

    if (r->flags & (A64_SRF_OP | A64_SRF_GIC) || r->model_offset || !(r->access & (A64_EL1_R | A64_EL0_R)))
        return false;
    if (r->flags & A64_SRF_CORE && !cpu->model->core_sysregs)
        return false;
    return !r->read || sr == A64_SR_PMCR_EL0 || sr == A64_SR_PMCCNTR_EL0;
}

bool a64_isa_state_has(const struct ir_env *env, unsigned n)
{
    return n < FIRST_SYS || has_storage(a64_cpu_const(env), (enum a64_sr)(n - FIRST_SYS));
}

void a64_isa_state_get(struct ir_env *env, unsigned n, void *ret_value)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    const struct guest_state_reg *reg = &a64_state_regs[n];
    uint64_t value = 0;

    if (reg->bytes == 16) {
        memcpy(ret_value, &cpu->v[reg->id - STATE_V], 16);
        return;
    }
    switch (reg->id) {
    case STATE_SP_EL0: value = *a64_sp_slot(cpu, 0); break;
    case STATE_SP_EL1: value = *a64_sp_slot(cpu, 1); break;
    case STATE_PC: value = env->pc; break;
    case STATE_PSTATE: value = a64_pstate(cpu); break;
    case STATE_FPCR: value = cpu->fpcr; break;
    case STATE_FPSR: value = a64_read_fpsr(cpu, A64_SR_FPSR); break;
    case STATE_EVENT_LOCAL: value = cpu->event_local; break;
    case STATE_STEPPED: value = cpu->stepped; break;
    case STATE_SYS + VCPU_REG_A64(3, 3, 9, 13, 0): value = a64_read_pmccntr(cpu, A64_SR_PMCCNTR_EL0); break;
    default: value = n >= FIRST_SYS ? cpu->sys[n - FIRST_SYS] : cpu->x[reg->id - STATE_X];
    }
    memcpy(ret_value, &value, reg->bytes);
}

static bool set_pstate(struct a64_cpu *cpu, uint64_t v)
{
    unsigned el = v >> 2 & 3;

    if (el >= A64_EL_COUNT || (!el && v & 1) || v & 0x12)
        return false;
    cpu->nzcv = a64_nzcv_pack((uint32_t)v);
    cpu->daif = v & A64_DAIF;
    cpu->ss = v & PSTATE_SS ? 1 : 0;
    cpu->il = v & PSTATE_IL ? 1 : 0;
    cpu->el = (uint8_t)el;
    cpu->spsel = v & 1;
    return true;
}

static void set_system(struct a64_cpu *cpu, enum a64_sr sr, uint64_t v)
{
    uint64_t writable = a64_sysregs[sr].writable;

    switch (sr) {
    case A64_SR_OSLSR_EL1: writable = OSLSR_OSLK; break;
    case A64_SR_TCR_EL1: writable &= ~(bits_get(cpu->model->mmfr2, 60, 4) ? 0 : TCR_E0PD0 | TCR_E0PD1); break;
    case A64_SR_PMCCNTR_EL0: cpu->cycle_offset = v; return; // while it stands; state_loaded starts it
    default: break;
    }
    cpu->sys[sr] = (v & writable) | (cpu->sys[sr] & ~writable);
}

bool a64_isa_state_set(struct ir_env *env, unsigned n, const void *bytes)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    const struct guest_state_reg *reg = &a64_state_regs[n];
    uint64_t value = 0;

    if (reg->bytes == 16) {
        memcpy(&cpu->v[reg->id - STATE_V], bytes, 16);
        return true;
    }
    memcpy(&value, bytes, reg->bytes);
    switch (reg->id) {
    case STATE_SP_EL0: cpu->sp_el[0] = value; return true;
    case STATE_SP_EL1: cpu->sp_el[1] = value; return true;
    case STATE_PC: env->pc = value; return true;
    case STATE_PSTATE: return set_pstate(cpu, value);
    case STATE_FPCR: a64_write_fpcr(cpu, A64_SR_FPCR, value); return true;
    case STATE_FPSR: a64_write_fpsr(cpu, A64_SR_FPSR, value); return true;
    case STATE_EVENT_LOCAL: cpu->event_local = value & 1; return true;
    case STATE_STEPPED: cpu->stepped = (uint8_t)value; return value <= A64_STEPPED_EXCLUSIVE;
    default: break;
    }
    if (n >= FIRST_SYS)
        set_system(cpu, (enum a64_sr)(n - FIRST_SYS), value);
    else
        cpu->x[reg->id - STATE_X] = value;
    return true;
}

void a64_isa_state_loaded(struct ir_env *env)
{
    struct a64_cpu *cpu = a64_cpu_of(env);

    cpu->sp = cpu->sp_el[cpu->spsel ? cpu->el : 0];
    a64_write_pmcntenset(cpu, A64_SR_PMCNTENSET_EL0, 0);
    a64_write_mdscr(cpu, A64_SR_MDSCR_EL1, cpu->sys[A64_SR_MDSCR_EL1]); // watchpoints and the key
    cpu->context_dirty = 1;
}
