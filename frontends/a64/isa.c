// SPDX-License-Identifier: MIT
// The A64 guest as accel sees it: creation and reset of a vCPU, and the table of everything else.
// Arm ARM (DDI 0487) D1.2.6 (reset to AArch64 state).
#include "frontends/a64/isa.h"

#include "accel/guest_api.h"
#include "base/error.h"
#include "frontends/a64/cpu_state.h"
#include "frontends/a64/exception.h"
#include "frontends/a64/helpers.h"
#include "frontends/a64/key.h"
#include "frontends/a64/mmu.h"
#include "frontends/a64/state.h"
#include "frontends/a64/sysreg.h"
#include "frontends/a64/tr.h"

#include <errno.h>
#include <string.h>

// Into the reset state; configuration and what accel owns in env stay.
static void reset(struct ir_env *env)
{
    struct a64_cpu *cpu = a64_cpu_of(env);

    memset(cpu->x, 0, sizeof cpu->x);
    memset(cpu->v, 0, sizeof cpu->v);
    memset(cpu->sp_el, 0, sizeof cpu->sp_el);
    memset(&cpu->qc, 0, sizeof cpu->qc);
    cpu->sp = 0;
    cpu->nzcv = 0;
    cpu->daif = A64_DAIF;
    cpu->el = 1;
    cpu->spsel = 1;
    cpu->il = cpu->ss = cpu->stepped = cpu->event_local = 0;
    cpu->excl_size = A64_EXCL_NONE;
    cpu->tlbi_pending = 0;
    cpu->fpcr = 0;
    cpu->cycle_running = 0;
    cpu->cycle_offset = 0;
    env->fp_flags = 0;
    env->pc = 0;
    a64_sysreg_reset(cpu);
    cpu->context_dirty = 1;
    if (cpu->watching)
        vcpu_set_watch(env, VCPU_WATCH_GUEST, NULL, 0);
    cpu->watching = 0;
    a64_key_update(cpu);
}

// Options that users of other emulators give and that ask for nothing here: features that do not exist are
// off.
static int check_options(const char *options, struct error *err)
{
    static const char *const known[] = {"pauth", "pauth-impdef", "pauth-qarma3", "sve",           "sme",
                                        "lpa2",  "aarch64",      "pmu",          "kvm-steal-time"};

    for (const char *at = options; at && *at;) {
        size_t len = strcspn(at, ","), name = strcspn(at, "=,");
        bool found = false;
        for (unsigned n = 0; n < ARRAY_SIZE(known); n++)
            found |= name < len && strlen(known[n]) == name && !strncmp(at, known[n], name);
        if (!found)
            return error_set(err, -EINVAL, "-cpu does not know the option '%.*s'", (int)len, at);
        at += len + (at[len] == ',');
    }
    return 0;
}

static int create(struct ir_env *env, const struct guest_cpu_config *config, struct error *err)
{
    struct a64_cpu *cpu = a64_cpu_of(env);
    const struct a64_cpu_model *model = a64_cpu_model_find(config->model);

    if (!model)
        return error_set(err, -EINVAL, "no CPU model named '%s'; -cpu help lists them", config->model);
    int r = check_options(config->options, err);
    if (r)
        return r;
    cpu->model = model;
    cpu->ports = config->ports;
    cpu->hypercall = config->hypercall;
    cpu->semihost = config->semihost;
    cpu->log = config->log;
    cpu->index = config->index;
    cpu->count = config->count;
    cpu->gic_sysregs = config->gic_sysregs;
    reset(env);
    return 0;
}

static void destroy(struct ir_env *env) {}

static void start_at(struct ir_env *env, uint64_t entry, uint64_t arg)
{
    a64_cpu_of(env)->x[0] = arg;
    env->pc = entry;
}

static const void *cpu_model(const struct ir_env *env)
{
    return a64_cpu_const(env)->model;
}

const struct guest_isa a64_isa = {
    .ir = {"aarch64", &a64_layout, a64_helpers, A64_HELPER_COUNT},
    .mmu_count = A64_MMU_COUNT,
    .insn_align = 4,
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .start_at = start_at,
    .cpu_model = cpu_model,
    .translate = a64_isa_translate,
    .disassemble = a64_isa_disassemble,
    .walk = a64_isa_walk,
    .fetch_mmu = a64_isa_fetch_mmu,
    .canonical = a64_isa_canonical,
    .context = a64_isa_context,
    .deliver_fault = a64_isa_deliver_fault,
    .take_interrupt = a64_isa_take_interrupt,
    .wakes = a64_isa_wakes,
    .debug_regs = a64_debug_regs,
    .debug_reg_count = A64_DEBUG_REG_COUNT,
    .debug_get = a64_isa_debug_get,
    .debug_set = a64_isa_debug_set,
    .gdb_feature_prefix = "org.gnu.gdb.aarch64",
    .state_regs = a64_state_regs,
    .state_reg_count = A64_STATE_REG_COUNT,
    .state_has = a64_isa_state_has,
    .state_get = a64_isa_state_get,
    .state_set = a64_isa_state_set,
    .state_loaded = a64_isa_state_loaded,
    .cpu_names = a64_cpu_model_names,
};
