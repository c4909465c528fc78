// SPDX-License-Identifier: MIT
// Owns the system-register table, its lookup, access checks, and the two helpers through which MRS and MSR
// reach rows that are not plain fields. Arm ARM (DDI 0487) D17; traps: D1.3.5.
#include "frontends/a64/sysreg.h"

#include "accel/guest_api.h"
#include "base/log.h"
#include "frontends/a64/exception.h"
#include "frontends/a64/helpers.h"
#include "frontends/a64/key.h"
#include "frontends/a64/regs.h"

#include <inttypes.h>

#define a64_read_0 NULL
#define a64_write_0 NULL

const struct a64_sysreg a64_sysregs[A64_SR_COUNT] = {
#define R(nm, op0, op1, crn, crm, op2, acc, tr, fl, rd, wr, rst, wrt)                                       \
    {.name = #nm, .enc = VCPU_REG_A64(op0, op1, crn, crm, op2), .access = acc, .trap = A64_TRAP_##tr,       \
     .flags = fl,                                                                                           \
     .field = -1, .read = a64_read_##rd, .write = a64_write_##wr, .reset = rst, .writable = wrt},
#define F(nm, op0, op1, crn, crm, op2, acc, tr, fl, rd, wr, rst, wrt)                                       \
    {.name = #nm, .enc = VCPU_REG_A64(op0, op1, crn, crm, op2), .access = acc, .trap = A64_TRAP_##tr,       \
     .flags = fl,                                                                                           \
     .field = A64_F_##nm, .read = a64_read_##rd, .write = a64_write_##wr, .reset = rst, .writable = wrt},
#define M(nm, op0, op1, crn, crm, op2, member)                                                              \
    {.name = #nm, .enc = VCPU_REG_A64(op0, op1, crn, crm, op2), .access = A64_EL1_R, .field = -1,           \
     .model_offset = offsetof(struct a64_cpu_model, member)},
#include "frontends/a64/sysreg.def"
#undef R
#undef F
#undef M
};

const struct a64_sysreg *a64_sysreg_find(uint32_t enc, const struct a64_cpu_model *model)
{
    unsigned lo = 0, hi = A64_SR_COUNT;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (a64_sysregs[mid].enc < enc)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == A64_SR_COUNT || a64_sysregs[lo].enc != enc)
        return NULL;
    if (a64_sysregs[lo].flags & A64_SRF_CORE && !model->core_sysregs)
        return NULL;
    return &a64_sysregs[lo];
}

bool a64_sysreg_is_raz(uint32_t enc)
{
    return enc >= VCPU_REG_A64(3, 0, 0, 1, 0) && enc <= VCPU_REG_A64(3, 0, 0, 7, 7);
}

void a64_sysreg_reset(struct a64_cpu *cpu)
{
    for (unsigned n = 0; n < A64_SR_COUNT; n++)
        cpu->sys[n] = a64_sysregs[n].reset;
    cpu->sys[A64_SR_SCTLR_EL1] = cpu->model->sctlr_reset;
}

static uint64_t read_row(struct a64_cpu *cpu, enum a64_sr sr)
{
    const struct a64_sysreg *r = &a64_sysregs[sr];

    if (r->model_offset)
        return *(const uint64_t *)((const char *)cpu->model + r->model_offset);
    return r->read ? r->read(cpu, sr) : cpu->sys[sr];
}

uint64_t a64_sysreg_peek(struct a64_cpu *cpu, enum a64_sr sr)
{
    const struct a64_sysreg *r = &a64_sysregs[sr];

    return r->flags & A64_SRF_GIC || r->read == a64_read_port || r->flags & A64_SRF_OP ? 0 : read_row(cpu,
        sr);
}

// ---- access -----------------------------------------------------------------------------------------------

enum verdict { ALLOWED, TRAPPED, TRAPPED_FP, UNDEFINED };

static bool el0_allowed(const struct a64_cpu *cpu, enum a64_sr_trap trap, bool write)
{
    uint64_t sctlr = cpu->sys[A64_SR_SCTLR_EL1], kctl = cpu->sys[A64_SR_CNTKCTL_EL1];
    uint64_t user = cpu->sys[A64_SR_PMUSERENR_EL0];

    switch (trap) {
    case A64_TRAP_NONE:
    case A64_TRAP_FP: return true;
    case A64_TRAP_UMA: return sctlr & SCTLR_UMA;
    case A64_TRAP_UCT: return sctlr & SCTLR_UCT;
    case A64_TRAP_UCI: return sctlr & SCTLR_UCI;
    case A64_TRAP_DZE: return sctlr & SCTLR_DZE;
    case A64_TRAP_TDCC: return !(cpu->sys[A64_SR_MDSCR_EL1] & MDSCR_TDCC);
    case A64_TRAP_PMU: return user & PMUSERENR_EN;
    case A64_TRAP_PMU_SW: return user & (PMUSERENR_EN | PMUSERENR_SW);
    case A64_TRAP_PMU_CR: return user & (PMUSERENR_EN | (write ? 0 : PMUSERENR_CR));
    case A64_TRAP_PMU_ER: return user & (PMUSERENR_EN | PMUSERENR_ER);
    case A64_TRAP_PCNT: return kctl & CNTKCTL_EL0PCTEN;
    case A64_TRAP_VCNT: return kctl & (CNTKCTL_EL0VCTEN);
    case A64_TRAP_PTIMER: return kctl & CNTKCTL_EL0PTEN;
    case A64_TRAP_VTIMER: return kctl & CNTKCTL_EL0VTEN;
    }
    return false;
}

static enum verdict check(const struct a64_cpu *cpu, const struct a64_sysreg *r, bool write)
{
    if (r->flags & A64_SRF_GIC && !cpu->gic_sysregs)
        return UNDEFINED;
    if (r->trap == A64_TRAP_FP && cpu->env.key & A64_KEY_FP_TRAP)
        return TRAPPED_FP;
    if (cpu->el != 0)
        return ALLOWED;
    // CNTFRQ is readable with either counter enabled.
    if (r - a64_sysregs == A64_SR_CNTFRQ_EL0 && cpu->sys[A64_SR_CNTKCTL_EL1] & CNTKCTL_EL0PCTEN)
        return ALLOWED;
    return el0_allowed(cpu, r->trap, write) ? ALLOWED : TRAPPED;
}

static int refuse(struct a64_cpu *cpu, const struct a64_sysreg *r, enum verdict verdict, uint32_t iss)
{
    uint32_t esr = verdict == TRAPPED ? ESR(EC_SYSREG, iss)
                   : verdict == TRAPPED_FP ? ESR(EC_FP_ACCESS, ISS_COND_AL)
                                           : ESR(EC_UNKNOWN, 0);

    if (verdict == UNDEFINED)
        log_printf(cpu->log, LOG_UNIMP, "a64: %s is not there at %016" PRIx64 "\n", r->name, cpu->env.pc);
    cpu->env.pc = a64_exception(cpu, esr, cpu->env.pc);
    return IR_EXIT_STATE;
}

int a64_help_sysreg_read(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    enum a64_sr sr = (enum a64_sr)args[0].i;
    const struct a64_sysreg *r = &a64_sysregs[sr];
    enum verdict verdict = check(cpu, r, false);

    if (verdict == ALLOWED && r->read == a64_read_port &&
        !cpu->ports->reg_read(cpu->ports->opaque, cpu->index, cpu->el, r->enc, &ret->i))
        verdict = UNDEFINED;
    if (verdict != ALLOWED)
        return refuse(cpu, r, verdict, (uint32_t)args[1].i);
    if (r->read != a64_read_port)
        ret->i = read_row(cpu, sr);
    return IR_EXIT_NONE;
}

int a64_help_sysreg_write(struct ir_env *env, const union ir_value *args, union ir_value *ret)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    enum a64_sr sr = (enum a64_sr)args[0].i;
    const struct a64_sysreg *r = &a64_sysregs[sr];
    enum verdict verdict = check(cpu, r, true);

    if (verdict == ALLOWED && r->write == a64_write_port &&
        !cpu->ports->reg_write(cpu->ports->opaque, cpu->index, cpu->el, r->enc, args[1].i))
        verdict = UNDEFINED;
    if (verdict != ALLOWED)
        return refuse(cpu, r, verdict, (uint32_t)args[2].i);
    if (r->write)
        return r->write(cpu, sr, args[1].i);
    cpu->sys[sr] = (args[1].i & r->writable) | (r->reset & ~r->writable);
    return IR_EXIT_NONE;
}
