// SPDX-License-Identifier: MIT
// Implements accel/guest_api.h over a byte array for the frontend's tests.
#include "tests/insn/flat_accel.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct flat *flat_of(const struct ir_env *env)
{
    return env->vcpu;
}

void *flat_at(struct flat *f, uint64_t addr, uint64_t len)
{
    if (addr < f->config.base || len > f->config.size || addr - f->config.base > f->config.size - len)
        return NULL;
    return f->mem + (addr - f->config.base);
}

int vcpu_set_fault(struct ir_env *env, const struct guest_fault *fault)
{
    flat_of(env)->fault = *fault;
    return IR_EXIT_FAULT;
}

static int raise_fault(struct flat *f, enum guest_fault_kind kind, enum guest_access access, uint64_t va,
                       int level)
{
    struct guest_fault fault = {.kind = kind, .access = access, .va = va, .level = level};
    return vcpu_set_fault(&f->cpu->env, &fault);
}

void flat_flush(struct flat *f)
{
    for (unsigned mmu = 0; mmu < IR_MMU_INDICES; mmu++)
        for (unsigned n = 0; n < FLAT_TLB; n++) {
            struct ir_tlb_entry *e = &f->tlb[mmu][n];
            e->read = e->write = e->exec = IR_TLB_INVALID;
        }
}

static bool fill_due(struct flat *f)
{
    f->dice = f->dice * 6364136223846793005u + 1442695040888963407u;
    return f->fill_one_in <= 1 || (f->dice >> 33) % f->fill_one_in == 0;
}

// What lies behind one byte of an access.
struct found {
    uint8_t *host;
    bool device;
    uint32_t prot; // of the MMU index
};

static void fill(struct flat *f, uint64_t va, unsigned mmu, const struct found *found)
{
    uint64_t page = va & ~(uint64_t)(IR_PAGE_SIZE - 1), offset = va - page;
    struct ir_tlb_entry *e = &f->tlb[mmu][(va >> IR_PAGE_BITS) % FLAT_TLB];
    if (found->device || !fill_due(f))
        return;
    f->fills++;
    e->read = found->prot & GUEST_R ? page : IR_TLB_INVALID;
    e->write = found->prot & GUEST_W ? page : IR_TLB_INVALID;
    e->addend = (uint64_t)(uintptr_t)found->host - offset - page;
}

// One byte for an access, after walk and permission check.
static int byte_at(struct flat *f, uint64_t va, enum guest_access access, unsigned mmu, struct found *ret)
{
    struct guest_mapping map;
    if (!a64_isa.walk(&f->cpu->env, va, access, mmu, &map, &f->fault))
        return IR_EXIT_FAULT;
    ret->prot = map.prot >> 4 * mmu;
    if (!(ret->prot & 1u << access))
        return raise_fault(f, GUEST_FAULT_PERMISSION, access, va, map.level);
    uint64_t canonical = a64_isa.canonical(&f->cpu->env, va);
    ret->host = flat_at(f, map.pa.v + (canonical - map.va), 1);
    ret->device = map.device && !f->config.normal_memory;
    return ret->host ? IR_EXIT_NONE : raise_fault(f, GUEST_FAULT_EXTERNAL, access, va, 0);
}

static int bytes_at(struct flat *f, uint64_t va, uint32_t attr, enum guest_access access, uint8_t *ret[16])
{
    unsigned size = ir_mem_bytes(attr), align = 1u << ((attr & IR_MEM_ALIGN) >> IR_MEM_ALIGN_SHIFT);
    struct found found;
    if (va & (align - 1))
        return raise_fault(f, GUEST_FAULT_ALIGNMENT, access, va, 0);
    for (unsigned n = 0; n < size; n++) {
        if (n && (va + n) % IR_PAGE_SIZE) {
            ret[n] = ret[n - 1] + 1;
            continue;
        }
        int code = byte_at(f, va + n, access, ir_mem_mmu(attr), &found);
        if (code) {
            if (n) // the FAR of an access that crosses a page is in the second page
                f->fault.va = va + n;
            return code;
        }
        if (found.device && va & (size - 1))
            return raise_fault(f, GUEST_FAULT_ALIGNMENT, access, va, 0);
        ret[n] = found.host;
        fill(f, va + n, ir_mem_mmu(attr), &found);
    }
    return IR_EXIT_NONE;
}

static void get(uint8_t *const at[16], uint32_t attr, union ir_value *ret)
{
    unsigned size = ir_mem_bytes(attr);
    *ret = (union ir_value){0};
    for (unsigned n = 0; n < size; n++)
        ret->v.b[attr & IR_MEM_BE ? size - 1 - n : n] = *at[n];
    if (attr & IR_MEM_SIGNED && size < 8)
        ret->i = (uint64_t)bits_sext(ret->i, 8 * size);
}

static void put(uint8_t *const at[16], uint32_t attr, const union ir_value *value)
{
    unsigned size = ir_mem_bytes(attr);
    for (unsigned n = 0; n < size; n++)
        *at[n] = value->v.b[attr & IR_MEM_BE ? size - 1 - n : n];
}

// Leaves rubbish in every register that a C function may change: what translated code keeps in one over a slow path
// without saving it shows.
static void soil_registers(void)
{
#ifdef __x86_64__
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm1, %%xmm1; pcmpeqd %%xmm2, %%xmm2; pcmpeqd %%xmm3, %%xmm3;"
                     "pcmpeqd %%xmm4, %%xmm4; pcmpeqd %%xmm5, %%xmm5; pcmpeqd %%xmm6, %%xmm6; pcmpeqd %%xmm7, %%xmm7;"
                     "pcmpeqd %%xmm8, %%xmm8; pcmpeqd %%xmm9, %%xmm9; pcmpeqd %%xmm10, %%xmm10;"
                     "pcmpeqd %%xmm11, %%xmm11; pcmpeqd %%xmm12, %%xmm12; pcmpeqd %%xmm13, %%xmm13;"
                     "pcmpeqd %%xmm14, %%xmm14; pcmpeqd %%xmm15, %%xmm15;"
                     "movq $-0x123, %%rsi; movq $-0x234, %%rdi; movq $-0x345, %%r8; movq $-0x456, %%r9;"
                     "movq $-0x567, %%r10; movq $-0x678, %%r11; movq $-0x789, %%rcx; movq $-0x89a, %%rdx"
                     ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                     "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "rsi", "rdi", "r8", "r9", "r10", "r11", "rcx", "rdx",
                     "cc");
#endif
}

int vcpu_load(struct ir_env *env, uint64_t va, uint32_t attr, union ir_value *ret)
{
    uint8_t *at[16];
    int code = bytes_at(flat_of(env), va, attr, GUEST_READ, at);
    if (!code)
        get(at, attr, ret);
    soil_registers();
    return code;
}

int vcpu_store(struct ir_env *env, uint64_t va, uint32_t attr, const union ir_value *value)
{
    uint8_t *at[16];
    int code = bytes_at(flat_of(env), va, attr, GUEST_WRITE, at);
    if (!code)
        put(at, attr, value);
    soil_registers();
    return code;
}

static int flat_cas(struct ir_env *env, uint64_t va, uint32_t attr, const union ir_value *expected,
                    const union ir_value *desired, union ir_value *ret)
{
    uint8_t *at[16];
    int code = bytes_at(flat_of(env), va, attr, GUEST_WRITE, at);
    if (code)
        return code;
    get(at, attr, ret);
    if (!memcmp(ret, expected, ir_mem_bytes(attr)))
        put(at, attr, desired);
    soil_registers();
    return IR_EXIT_NONE;
}

static int flat_rmw(struct ir_env *env, uint64_t va, uint32_t attr, enum ir_rmw kind,
                    const union ir_value *operand, union ir_value *ret)
{
    abort(); // no instruction of v8.0 needs it
}

static const struct ir_runtime runtime = {vcpu_load, vcpu_store, flat_cas, flat_rmw};

int vcpu_zero(struct ir_env *env, uint64_t va, uint64_t len, unsigned mmu, bool *ret_done)
{
    struct found found = {0};
    int code = byte_at(flat_of(env), va, GUEST_WRITE, mmu, &found);
    *ret_done = !code && !found.device;
    if (*ret_done)
        memset(found.host, 0, len);
    return code;
}

enum mem_result vcpu_phys_read(struct ir_env *env, struct gpa addr, unsigned size, uint64_t *ret)
{
    void *at = flat_at(flat_of(env), addr.v, size);
    *ret = 0;
    if (!at)
        return MEM_NOTHING_THERE;
    memcpy(ret, at, size);
    return MEM_OK;
}

bool vcpu_walk_find(struct ir_env *env, uint64_t root, uint64_t va, struct guest_walk_step *ret_step)
{
    return false;
}

void vcpu_walk_keep(struct ir_env *env, const struct guest_walk_step *step) {}

void vcpu_context_pending(struct ir_env *env) { flat_flush(flat_of(env)); }

void vcpu_context_changed(struct ir_env *env)
{
    flat_of(env)->context_changes++;
    flat_flush(flat_of(env));
}

void vcpu_tlb_sync(struct ir_env *env) { flat_of(env)->tlb_syncs++; }
void vcpu_send_event(struct ir_env *env) { flat_of(env)->events_sent++; }
void vcpu_check_interrupts(struct ir_env *env) { flat_of(env)->interrupt_checks++; }

void vcpu_set_watch(struct ir_env *env, enum vcpu_watch_owner owner, const struct vcpu_watch *watch,
                    unsigned count)
{
    flat_of(env)->watches = count;
    if (count)
        flat_of(env)->last_watch = watch[count - 1];
}

void vcpu_tlbi(struct ir_env *env, const struct guest_tlbi *tlbi)
{
    flat_flush(flat_of(env));
    flat_of(env)->tlbis++;
    flat_of(env)->last_tlbi = *tlbi;
}

bool vcpu_test_event(struct ir_env *env)
{
    bool event = flat_of(env)->event;
    flat_of(env)->event = false;
    return event;
}

const struct log *vcpu_log(const struct ir_env *env) { return NULL; }

static bool port_read(void *opaque, unsigned cpu, unsigned el, uint32_t reg, uint64_t *ret)
{
    struct flat *f = opaque;
    f->last_port_reg = reg;
    *ret = f->last_port_value;
    return true;
}

static bool port_write(void *opaque, unsigned cpu, unsigned el, uint32_t reg, uint64_t value)
{
    struct flat *f = opaque;
    f->last_port_reg = reg;
    f->last_port_value = value;
    return true;
}

static uint64_t port_counter(void *opaque)
{
    return ((struct flat *)opaque)->counter++;
}

// Function 0x84000000 answers 0x10000; everything else is unknown.
static bool hypercall(void *opaque, unsigned cpu, bool is_smc, uint64_t x[18])
{
    ((struct flat *)opaque)->hypercalls++;
    if (x[0] != 0x84000000u)
        return false;
    x[0] = 0x10000;
    return true;
}

const struct vcpu_ports *vcpu_ports(const struct ir_env *env) { return a64_cpu_const(env)->ports; }
const struct vcpu_hypercall *vcpu_hypercall(const struct ir_env *env)
{
    return a64_cpu_const(env)->hypercall;
}

struct flat *flat_create(const struct flat_config *config)
{
    struct flat *f = calloc(1, sizeof *f);
    struct error err;
    f->config = *config;
    struct runner_config runner = {.engine = config->engine, .runtime = &runtime, .features = config->features};
    f->runner = runner_create(&runner);
    if (!f->runner) {
        free(f);
        return NULL;
    }
    struct vcpu_ports *ports = calloc(1, sizeof *ports);
    struct vcpu_hypercall *calls = calloc(1, sizeof *calls);
    f->mem = aligned_alloc(IR_PAGE_SIZE, config->size);
    memset(f->mem, 0, config->size);
    f->cpu = aligned_alloc(64, (sizeof *f->cpu + 63) & ~63u);
    memset(f->cpu, 0, sizeof *f->cpu);
    f->cpu->env.vcpu = f;
    *ports = (struct vcpu_ports){f, port_read, port_write, port_counter, 62500000};
    *calls = (struct vcpu_hypercall){f, hypercall};
    struct guest_cpu_config c = {.model = config->model ? config->model : "max", .index = 0, .count = 1,
                                 .ports = ports, .hypercall = calls, .gic_sysregs = config->gic_sysregs};
    if (a64_isa.create(&f->cpu->env, &c, &err))
        abort();
    for (unsigned mmu = 0; mmu < IR_MMU_INDICES; mmu++)
        f->cpu->env.mmu[mmu] = (struct ir_tlb_table){f->tlb[mmu], (FLAT_TLB - 1) << 5};
    flat_flush(f);
    return f;
}

void flat_destroy(struct flat *f)
{
    runner_destroy(f->runner);
    free((void *)f->cpu->ports);
    free((void *)f->cpu->hypercall);
    free(f->cpu);
    free(f->mem);
    free(f);
}

void flat_reset(struct flat *f)
{
    a64_isa.reset(&f->cpu->env);
    flat_flush(f);
    f->tlbis = f->tlb_syncs = f->context_changes = f->events_sent = f->interrupt_checks = f->hypercalls = 0;
    f->event = false;
    f->faults = f->watches = 0;
}

void flat_code(struct flat *f, uint64_t addr, const uint32_t *words, unsigned count)
{
    memcpy(flat_at(f, addr, 4 * count), words, 4 * count);
}

static int run_unit(struct flat *f, const uint8_t *page, unsigned max_insns)
{
    struct ir_env *env = &f->cpu->env;
    struct guest_translate request = {.cpu_model = a64_isa.cpu_model(env),
                                      .key = env->key,
                                      .offset = env->pc & (IR_PAGE_SIZE - 1),
                                      .page = page,
                                      .max_insns = max_insns};
    env->pc_page = env->pc & ~(uint64_t)(IR_PAGE_SIZE - 1);
    int code = runner_run(f->runner, env, &request);
    if (code < 0)
        fprintf(stderr, "pc %#llx: %s\n", (unsigned long long)env->pc, runner_message(f->runner));
    return code;
}

int flat_run(struct flat *f, unsigned max_insns, unsigned units, uint64_t until)
{
    struct ir_env *env = &f->cpu->env;
    for (unsigned n = 0; n < units && env->pc != until; n++) {
        struct found page;
        int code = byte_at(f, env->pc & ~(uint64_t)(IR_PAGE_SIZE - 1), GUEST_EXEC, a64_isa.fetch_mmu(env->key),
                           &page);
        if (code)
            f->fault.va = env->pc;
        else
            code = run_unit(f, page.host, max_insns);
        f->last_exit = code;
        if (code == IR_EXIT_FAULT && f->config.stop_on_fault) {
            return code;
        } else if (code == IR_EXIT_FAULT) {
            f->faults++;
            a64_isa.deliver_fault(env, &f->fault);
        } else if (code != IR_EXIT_JUMP && code != IR_EXIT_POLL && code != IR_EXIT_STATE) {
            return code;
        }
    }
    return f->last_exit;
}
