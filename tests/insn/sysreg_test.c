// SPDX-License-Identifier: MIT
// The system-register table as a whole: order, and for every row and EL what MRS and MSR come to.
#include "frontends/a64/key.h"
#include "frontends/a64/sysreg.h"
#include "tests/insn/flat_accel.h"

#include <criterion/criterion.h>

enum { CODE = 0x10000, VECTORS = 0x20000 };

static uint32_t word_of(const struct a64_sysreg *r, bool read)
{
    uint32_t op0 = r->enc >> 14, rest = r->enc & 0x3fff;
    return 0xd5000000u | (uint32_t)read << 21 | op0 << 19 | rest << 5 | 1; // X1
}

// One machine an engine and configuration serves the whole test.
static struct flat *machine(enum runner_engine engine, unsigned el, bool gic)
{
    static struct flat *machines[RUNNER_ENGINES][2];
    struct flat_config config = {.engine = engine, .model = "cortex-a72", .base = CODE, .size = 0x60000,
                                 .gic_sysregs = gic, .normal_memory = true};
    struct flat *f = machines[engine][gic];
    if (!f)
        f = machines[engine][gic] = flat_create(&config);
    if (!f && engine == RUNNER_LLVM)
        return NULL;
    cr_assert_not_null(f);
    flat_reset(f);
    struct a64_cpu *cpu = f->cpu;
    // Everything that could trap is let through.
    cpu->sys[A64_SR_VBAR_EL1] = VECTORS;
    cpu->sys[A64_SR_CPACR_EL1] = 3u << 20;
    cpu->sys[A64_SR_SCTLR_EL1] |= 1u << 9 | 1u << 14 | 1u << 15 | 1u << 26;
    cpu->sys[A64_SR_CNTKCTL_EL1] = 0x303;
    cpu->sys[A64_SR_PMUSERENR_EL0] = 15;
    a64_set_el(cpu, el, el);
    a64_key_update(cpu);
    cpu->env.pc = CODE;
    cpu->x[1] = 0x30000;
    return f;
}

// 'o' the next instruction follows, 'u' UNDEFINED, 't' trapped to EL1, 'n' not built, '?' anything else.
static char outcome_on(enum runner_engine engine, unsigned el, bool gic, const struct a64_sysreg *r, bool read)
{
    struct flat *f = machine(engine, el, gic);
    uint32_t word = word_of(r, read);
    if (!f)
        return 'n';
    flat_code(f, CODE, &word, 1);
    int code = flat_run(f, 1, 1, CODE + 4);
    uint64_t pc = f->cpu->env.pc, esr = f->cpu->sys[A64_SR_ESR_EL1];
    char c = code < 0                               ? '?'
             : pc == CODE + 4                       ? 'o'
             : pc != VECTORS + (el ? 0x200u : 0x400u) ? '?'
             : esr == 0x02000000                    ? 'u'
             : esr >> 26 == 0x18                    ? 't'
                                                    : '?';
    return c;
}

// The outcome all engines come to; 'd' where they differ. The optimising tier, which compiles slowly, is asked about
// each register once.
static char outcome(unsigned el, bool gic, const struct a64_sysreg *r, bool read)
{
    char a = outcome_on(RUNNER_INTERPRETER, el, gic, r, read), b = outcome_on(RUNNER_X64, el, gic, r, read), c = 'n';
    if ((unsigned)(r - a64_sysregs) % 4 == 2 * el + read)
        c = outcome_on(RUNNER_LLVM, el, gic, r, read);
    return a == b && (c == a || c == 'n') ? a : 'd';
}

Test(sysreg, rows_are_in_order_of_encoding)
{
    for (unsigned n = 1; n < A64_SR_COUNT; n++)
        cr_expect(a64_sysregs[n - 1].enc < a64_sysregs[n].enc, "%s before %s", a64_sysregs[n - 1].name,
                  a64_sysregs[n].name);
}

Test(sysreg, access_by_el)
{
    for (unsigned n = 0; n < A64_SR_COUNT; n++) {
        const struct a64_sysreg *r = &a64_sysregs[n];
        for (unsigned el = 0; el < 2; el++)
            for (unsigned read = 0; read < 2; read++) {
                bool allowed = r->access & (read ? A64_EL0_R : A64_EL0_W) << 2 * el;
                char want = allowed && !(r->flags & A64_SRF_GIC) ? 'o' : 'u';
                if (el && !read && n == A64_SR_SPSel)
                    continue; // changes the vector
                char got = outcome(el, false, r, read);
                cr_expect(got == want, "%s %s at EL%u: %c, not %c", read ? "read of" : "write of", r->name,
                    el, got, want);
            }
    }
}

Test(sysreg, the_gic_interface_exists_where_configured)
{
    for (unsigned n = 0; n < A64_SR_COUNT; n++)
        if (a64_sysregs[n].flags & A64_SRF_GIC)
            for (unsigned read = 0; read < 2; read++) {
                bool allowed = a64_sysregs[n].access & (read ? A64_EL1_R : A64_EL1_W);
                cr_expect_eq(outcome(1, true, &a64_sysregs[n], read), allowed ? 'o' : 'u', "%s",
                    a64_sysregs[n].name);
            }
}

Test(sysreg, el0_traps)
{
    static const struct {
        enum a64_sr sr, control;
        uint64_t bits; // of control, cleared
        bool read;
    } rows[] = {
        {A64_SR_CTR_EL0, A64_SR_SCTLR_EL1, 1u << 15, true},      {A64_SR_DAIF, A64_SR_SCTLR_EL1, 1u << 9,
         true},
        {A64_SR_DAIF, A64_SR_SCTLR_EL1, 1u << 9, false},         {A64_SR_DC_ZVA, A64_SR_SCTLR_EL1,
         1u << 14, false},
        {A64_SR_DC_CVAU, A64_SR_SCTLR_EL1, 1u << 26, false},     {A64_SR_DC_CIVAC, A64_SR_SCTLR_EL1,
         1u << 26, false},
        {A64_SR_IC_IVAU, A64_SR_SCTLR_EL1, 1u << 26, false},     {A64_SR_CNTPCT_EL0, A64_SR_CNTKCTL_EL1, 1,
         true},
        {A64_SR_CNTVCT_EL0, A64_SR_CNTKCTL_EL1, 2, true},        {A64_SR_CNTFRQ_EL0, A64_SR_CNTKCTL_EL1, 3,
         true},
        {A64_SR_CNTV_CTL_EL0, A64_SR_CNTKCTL_EL1, 1u << 8, true}, {A64_SR_CNTP_CVAL_EL0,
         A64_SR_CNTKCTL_EL1, 1u << 9, false},
        {A64_SR_PMCCNTR_EL0, A64_SR_PMUSERENR_EL0, 5, true},     {A64_SR_PMCR_EL0, A64_SR_PMUSERENR_EL0, 1,
         true},
        {A64_SR_PMSWINC_EL0, A64_SR_PMUSERENR_EL0, 3, false},
    };
    for (unsigned k = 0; k < 2 * ARRAY_SIZE(rows); k++) {
        unsigned n = k / 2;
        const struct a64_sysreg *r = &a64_sysregs[rows[n].sr];
        struct flat *f = machine(k & 1, 0, false);
        uint32_t word = word_of(r, rows[n].read);
        uint32_t op0 = r->enc >> 14, op1 = r->enc >> 11 & 7, crn = r->enc >> 7 & 15, crm = r->enc >> 3 & 15;
        uint32_t iss = op0 << 20 | (r->enc & 7) << 17 | op1 << 14 | crn << 10 | 1 << 5 | crm << 1 | rows[n].read;
        f->cpu->sys[rows[n].control] &= ~rows[n].bits;
        a64_key_update(f->cpu);
        flat_code(f, CODE, &word, 1);
        flat_run(f, 1, 1, 1);
        cr_expect(f->cpu->env.pc == VECTORS + 0x400 && f->cpu->sys[A64_SR_ESR_EL1] == (0x62000000 | iss),
                  "%s: pc %#lx ESR %#lx", r->name, f->cpu->env.pc, f->cpu->sys[A64_SR_ESR_EL1]);
    }
}

Test(sysreg, writable_bits)
{
    for (unsigned k = 0; k < 2 * A64_SR_COUNT; k++) {
        const struct a64_sysreg *r = &a64_sysregs[k / 2];
        if (r->write || r->trap || !(r->access & A64_EL1_W) || r->flags & A64_SRF_SPSEL_ONLY ||
            r->writable == 0)
            continue;
        struct flat *f = machine(k & 1, 1, false);
        uint32_t words[2] = {word_of(r, false), word_of(r, true)};
        f->cpu->x[1] = ~0ull;
        flat_code(f, CODE, words, 2);
        flat_run(f, 1, 2, CODE + 8);
        if (r->access & A64_EL1_R)
            cr_expect_eq(f->cpu->x[1], r->writable | (r->reset & ~r->writable), "%s: %#lx", r->name,
                f->cpu->x[1]);
    }
}

Test(sysreg, later_models_lack_the_core_registers)
{
    uint32_t l2ctlr = VCPU_REG_A64(3, 1, 11, 0, 2);
    cr_expect_not_null(a64_sysreg_find(l2ctlr, a64_cpu_model_find("cortex-a53")));
    cr_expect_null(a64_sysreg_find(l2ctlr, a64_cpu_model_find("max")));
}
