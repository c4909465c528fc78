// SPDX-License-Identifier: MIT
// Owns the engines of engine.h. Ours translate, verify and optimise each stream as accel does, then
// interpret it or compile it. Unicorn runs each stream at an address of its own until its code area is full,
// so that it never sees code change.
#include "tests/insn/simd/engine.h"

#include "backends/backend.h"
#include "base/error.h"
#include "frontends/a64/isa.h"
#include "frontends/a64/key.h"
#include "frontends/a64/sysreg.h"
#include "ir/opt/passes.h"
#include "tests/insn/simd/qemu_record.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unicorn/unicorn.h>
#include <unistd.h>

enum {
    JIT_SIZE = 1 << 22,
    UC_CODE = 0x10000,
    UC_SIZE = 0x100000,
    PAGE_PC = 0x400000,
};

const char *const simd_engine_names[SIMD_ENGINES] = {"interpreter", "x64", "unicorn", "qemu"};

struct simd_engine {
    enum simd_engine_kind kind;
    char message[640];
    struct a64_cpu *cpu;
    uint8_t page[IR_PAGE_SIZE];
    struct ir_unit unit;
    struct ir_opt opt;
    union ir_value *slots;
    size_t slot_count;
    struct backend *backend;
    struct code_buffer code;
    size_t first_used; // what the backend's thunks take
    struct backend_exit exits[BACKEND_MAX_EXITS];
    struct ir_jump_entry jump; // an empty jump cache of one entry
    uc_engine *uc;
    uint64_t uc_next;
    pid_t qemu;
    int to_qemu, from_qemu;
};

// ---- ours ---------------------------------------------------------------------------------------

static const struct ir_runtime no_memory;

static struct a64_cpu *new_cpu(void)
{
    struct a64_cpu *cpu = aligned_alloc(64, (sizeof *cpu + 63) & ~(size_t)63);
    struct guest_cpu_config config = {.model = "max", .count = 1};
    struct error err;

    memset(cpu, 0, sizeof *cpu);
    if (a64_isa.create(&cpu->env, &config, &err))
        abort();
    cpu->sys[A64_SR_CPACR_EL1] = 3u << 20;
    return cpu;
}

static bool open_jit(struct simd_engine *e)
{
    struct backend_config config = {.guest = &a64_isa.ir, .runtime = &no_memory, .feature_mask = ~0ull};
    struct error err;
    int fd = memfd_create("simd_jit", 0);

    if (fd < 0 || ftruncate(fd, JIT_SIZE))
        return false;
    e->code.size = JIT_SIZE;
    e->code.rw = mmap(NULL, JIT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    e->code.rx = mmap(NULL, JIT_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    close(fd);
    if (x64_backend.create(&config, &e->code, &e->backend, &err))
        return false;
    e->first_used = e->code.used;
    return true;
}

static void load_state(struct a64_cpu *cpu, const struct simd_state *state)
{
    memcpy(cpu->x, state->x, sizeof cpu->x);
    memcpy(cpu->v, state->v, sizeof cpu->v);
    cpu->nzcv = a64_nzcv_pack(state->nzcv);
    cpu->fpcr = state->fpcr;
    a64_write_fpsr(cpu, A64_SR_FPSR, state->fpsr);
    a64_key_update(cpu);
    cpu->env.budget = 1000;
    cpu->env.pc = cpu->env.pc_page = PAGE_PC;
}

static void save_state(struct a64_cpu *cpu, struct simd_state *state)
{
    memcpy(state->x, cpu->x, sizeof cpu->x);
    memcpy(state->v, cpu->v, sizeof cpu->v);
    state->nzcv = a64_nzcv_unpack(cpu->nzcv);
    state->fpsr = (uint32_t)a64_read_fpsr(cpu, A64_SR_FPSR);
}

static const char *build(struct simd_engine *e, const uint32_t *code, unsigned count)
{
    struct guest_translate request = {.cpu_model = a64_isa.cpu_model(&e->cpu->env), .key = e->cpu->env.key,
                                      .page = e->page, .max_insns = count};
    struct error err;

    memcpy(e->page, code, count * sizeof *code);
    ir_unit_reset(&e->unit, &a64_isa.ir);
    a64_isa.translate(&request, &e->unit);
    int bad = ir_verify(&e->unit, &err);
    if (!bad) {
        ir_optimise(&e->unit, &e->opt);
        bad = ir_verify(&e->unit, &err);
    }
    if (bad) {
        snprintf(e->message, sizeof e->message, "unit does not verify: %s", err.text);
        return e->message;
    }
    return NULL;
}

static int interpret(struct simd_engine *e)
{
    if (e->slot_count < e->unit.insn_count) {
        e->slot_count = 2 * e->unit.insn_count;
        e->slots = realloc(e->slots, e->slot_count * sizeof *e->slots);
    }
    return ir_interpret(&e->unit, &e->cpu->env, &no_memory, e->slots);
}

static int compile_and_run(struct simd_engine *e)
{
    struct backend_unit unit;

    e->code.used = e->first_used;
    int r = x64_backend.compile(e->backend, &e->unit, &e->code, e->exits, &unit);
    return r ? r : x64_backend.enter(e->backend, &e->cpu->env, unit.entry);
}

static const char *run_ours(struct simd_engine *e, const uint32_t *code, unsigned count,
                            struct simd_state *state)
{
    load_state(e->cpu, state);
    const char *wrong = build(e, code, count);
    if (wrong)
        return wrong;
    int r = e->kind == SIMD_X64 ? compile_and_run(e) : interpret(e);
    if (r != IR_EXIT_JUMP || e->cpu->env.pc != PAGE_PC + 4 * count) {
        snprintf(e->message, sizeof e->message, "left with %d at +%lld (ESR %llx)", r,
                 (long long)(e->cpu->env.pc - PAGE_PC), (unsigned long long)e->cpu->sys[A64_SR_ESR_EL1]);
        return e->message;
    }
    save_state(e->cpu, state);
    return NULL;
}

const char *simd_engine_trap(struct simd_engine *e, uint32_t word, uint32_t esr)
{
    struct simd_state before, after;
    uint64_t *sys = e->cpu->sys;

    memset(&before, 0x5a, sizeof before);
    before.nzcv &= 0xf0000000u;
    before.fpsr = before.fpcr = 0;
    after = before;
    sys[A64_SR_CPACR_EL1] = sys[A64_SR_ESR_EL1] = 0;
    load_state(e->cpu, &before);
    const char *wrong = build(e, &word, 1);
    if (!wrong)
        e->kind == SIMD_X64 ? compile_and_run(e) : interpret(e);
    save_state(e->cpu, &after);
    sys[A64_SR_CPACR_EL1] = 3u << 20;
    if (!wrong && (sys[A64_SR_ESR_EL1] != esr || sys[A64_SR_ELR_EL1] != PAGE_PC ||
                   memcmp(&before, &after, sizeof before))) {
        snprintf(e->message, sizeof e->message, "ESR %llx ELR %llx", (unsigned long long)sys[A64_SR_ESR_EL1],
                 (unsigned long long)sys[A64_SR_ELR_EL1]);
        wrong = e->message;
    }
    return wrong;
}

int simd_engine_exit(struct simd_engine *e, uint32_t word)
{
    struct simd_state state;

    memset(&state, 0, sizeof state);
    load_state(e->cpu, &state);
    if (build(e, &word, 1))
        return -1;
    return e->kind == SIMD_X64 ? compile_and_run(e) : interpret(e);
}

// ---- unicorn ------------------------------------------------------------------------------------

enum { UC_REGS = 31 + 32 + 3 };

static void registers(struct simd_state *state, uint64_t special[3], int ids[UC_REGS], void *values[UC_REGS])
{
    for (unsigned n = 0; n < 31; n++) {
        ids[n] = n < 29 ? UC_ARM64_REG_X0 + (int)n : UC_ARM64_REG_X29 + (int)n - 29;
        values[n] = &state->x[n];
    }
    for (unsigned n = 0; n < 32; n++) {
        ids[31 + n] = UC_ARM64_REG_V0 + (int)n;
        values[31 + n] = &state->v[n];
    }
    ids[63] = UC_ARM64_REG_NZCV;
    ids[64] = UC_ARM64_REG_FPCR;
    ids[65] = UC_ARM64_REG_FPSR;
    for (unsigned n = 0; n < 3; n++)
        values[63 + n] = &special[n];
}

static bool open_unicorn(struct simd_engine *e)
{
    uint64_t fp_on = 3u << 20;

    if (uc_open(UC_ARCH_ARM64, UC_MODE_ARM, &e->uc) || uc_ctl_set_cpu_model(e->uc, UC_CPU_ARM64_MAX) ||
        uc_mem_map(e->uc, UC_CODE, UC_SIZE, UC_PROT_ALL) ||
        uc_reg_write(e->uc, UC_ARM64_REG_CPACR_EL1, &fp_on))
        return false;
    e->uc_next = UC_CODE;
    return true;
}

static const char *run_unicorn(struct simd_engine *e, const uint32_t *code, unsigned count,
                               struct simd_state *state)
{
    uint64_t special[3] = {state->nzcv, state->fpcr, state->fpsr};
    int ids[UC_REGS];
    void *values[UC_REGS];
    uint64_t at = e->uc_next;

    if (at + 4 * count + 64 > UC_CODE + UC_SIZE) {
        uc_ctl_remove_cache(e->uc, UC_CODE, UC_CODE + UC_SIZE);
        at = UC_CODE;
    }
    e->uc_next = at + 4 * count + 16;
    registers(state, special, ids, values);
    uc_reg_write_batch(e->uc, ids, values, UC_REGS);
    uc_mem_write(e->uc, at, code, 4 * count);
    uc_err err = uc_emu_start(e->uc, at, at + 4 * count, 0, 0);
    uc_reg_read_batch(e->uc, ids, values, UC_REGS);
    state->nzcv = (uint32_t)special[0] & 0xf0000000u;
    state->fpsr = (uint32_t)special[2];
    return err ? uc_strerror(err) : NULL;
}

// ---- qemu ---------------------------------------------------------------------------------------

static bool open_qemu(struct simd_engine *e)
{
    const char *guest = getenv("ISOMER_SIMD_GUEST");
    int to[2], from[2];

    if (!guest || pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
        return false;
    e->qemu = fork();
    if (e->qemu == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execlp("qemu-aarch64-static", "qemu-aarch64-static", "-cpu", "max", guest, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    e->to_qemu = to[1];
    e->from_qemu = from[0];
    return e->qemu > 0;
}

static const char *run_qemu(struct simd_engine *e, const uint32_t *code, unsigned count,
                            struct simd_state *state)
{
    struct simd_record record = {
        .nzcv = state->nzcv, .fpcr = state->fpcr, .fpsr = state->fpsr, .count = count};
    size_t have = 0;

    memcpy(record.x, state->x, sizeof state->x);
    memcpy(record.v, state->v, sizeof state->v);
    memcpy(record.code, code, count * sizeof *code);
    if (write(e->to_qemu, &record, sizeof record) != sizeof record)
        return "qemu does not listen";
    while (have < sizeof record) {
        ssize_t n = read(e->from_qemu, (char *)&record + have, sizeof record - have);
        if (n <= 0)
            return "qemu has ended";
        have += (size_t)n;
    }
    memcpy(state->x, record.x, sizeof state->x);
    memcpy(state->v, record.v, sizeof state->v);
    state->nzcv = (uint32_t)record.nzcv & 0xf0000000u;
    state->fpsr = (uint32_t)record.fpsr;
    return NULL;
}

// ---- all ----------------------------------------------------------------------------------------

struct simd_engine *simd_engine_open(enum simd_engine_kind kind)
{
    struct simd_engine *e = calloc(1, sizeof *e);

    e->kind = kind;
    e->jump.va = 1;
    if (kind < SIMD_UNICORN) {
        e->cpu = new_cpu();
        e->cpu->env.jump_cache = &e->jump;
    }
    if ((kind == SIMD_UNICORN && !open_unicorn(e)) || (kind == SIMD_QEMU && !open_qemu(e)) ||
        (kind == SIMD_X64 && !open_jit(e))) {
        simd_engine_close(e);
        return NULL;
    }
    return e;
}

void simd_engine_close(struct simd_engine *e)
{
    if (e->backend)
        x64_backend.destroy(e->backend);
    if (e->code.rw)
        munmap(e->code.rw, e->code.size);
    if (e->code.rx)
        munmap((void *)(uintptr_t)e->code.rx, e->code.size);
    if (e->uc)
        uc_close(e->uc);
    if (e->qemu > 0) {
        close(e->to_qemu);
        close(e->from_qemu);
        waitpid(e->qemu, NULL, 0);
    }
    ir_opt_free(&e->opt);
    ir_unit_free(&e->unit);
    free(e->slots);
    free(e->cpu);
    free(e);
}

const char *simd_engine_run(struct simd_engine *e, const uint32_t *code, unsigned count,
                            struct simd_state *state)
{
    switch (e->kind) {
    case SIMD_UNICORN: return run_unicorn(e, code, count, state);
    case SIMD_QEMU: return run_qemu(e, code, count, state);
    default: return run_ours(e, code, count, state);
    }
}
