// SPDX-License-Identifier: MIT
// Owns the engines of engine.h. Ours run in the flat accel. Unicorn runs each stream at an address of its own until
// its code area is full, so that it never sees code change. QEMU is the oracle of tests/insn/streams.
#include "tests/insn/simd/engine.h"

#include "frontends/a64/key.h"
#include "frontends/a64/sysreg.h"
#include "tests/insn/flat_accel.h"
#include "tests/insn/streams/engines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicorn/unicorn.h>

enum {
    UC_CODE = 0x10000,
    UC_SIZE = 0x100000,
    PAGE_PC = 0x400000,
};

const char *const simd_engine_names[SIMD_ENGINES] = {"interpreter", "x64", "unicorn", "qemu"};

struct simd_engine {
    enum simd_engine_kind kind;
    char message[160];
    struct flat *flat;
    struct oracle *qemu;
    uc_engine *uc;
    uint64_t uc_next;
};

// ---- ours ---------------------------------------------------------------------------------------

static bool open_ours(struct simd_engine *e)
{
    struct flat_config config = {.engine = e->kind == SIMD_X64 ? RUNNER_X64 : RUNNER_INTERPRETER, .base = PAGE_PC,
                                 .size = IR_PAGE_SIZE, .stop_on_fault = true};

    e->flat = flat_create(&config);
    if (!e->flat)
        return false;
    e->flat->cpu->sys[A64_SR_CPACR_EL1] = 3u << 20;
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
    cpu->env.pc = PAGE_PC;
}

static void save_state(struct a64_cpu *cpu, struct simd_state *state)
{
    memcpy(state->x, cpu->x, sizeof cpu->x);
    memcpy(state->v, cpu->v, sizeof cpu->v);
    state->nzcv = a64_nzcv_unpack(cpu->nzcv);
    state->fpsr = (uint32_t)a64_read_fpsr(cpu, A64_SR_FPSR);
}

// One unit of count instructions. Returns how it was left, or -1.
static int run_unit(struct simd_engine *e, const uint32_t *code, unsigned count)
{
    flat_code(e->flat, PAGE_PC, code, count);
    return flat_run(e->flat, count, 1, PAGE_PC + 4 * count);
}

static const char *run_ours(struct simd_engine *e, const uint32_t *code, unsigned count, struct simd_state *state)
{
    struct a64_cpu *cpu = e->flat->cpu;

    load_state(cpu, state);
    int r = run_unit(e, code, count);
    if (r != IR_EXIT_JUMP || cpu->env.pc != PAGE_PC + 4 * count) {
        snprintf(e->message, sizeof e->message, "left with %d at +%lld (ESR %llx)", r,
                 (long long)(cpu->env.pc - PAGE_PC), (unsigned long long)cpu->sys[A64_SR_ESR_EL1]);
        return e->message;
    }
    save_state(cpu, state);
    return NULL;
}

const char *simd_engine_trap(struct simd_engine *e, uint32_t word, uint32_t esr)
{
    struct simd_state before, after;
    uint64_t *sys = e->flat->cpu->sys;

    memset(&before, 0x5a, sizeof before);
    before.nzcv &= 0xf0000000u;
    before.fpsr = before.fpcr = 0;
    after = before;
    sys[A64_SR_CPACR_EL1] = sys[A64_SR_ESR_EL1] = 0;
    load_state(e->flat->cpu, &before);
    run_unit(e, &word, 1);
    save_state(e->flat->cpu, &after);
    sys[A64_SR_CPACR_EL1] = 3u << 20;
    if (sys[A64_SR_ESR_EL1] == esr && sys[A64_SR_ELR_EL1] == PAGE_PC && !memcmp(&before, &after, sizeof before))
        return NULL;
    snprintf(e->message, sizeof e->message, "ESR %llx ELR %llx", (unsigned long long)sys[A64_SR_ESR_EL1],
             (unsigned long long)sys[A64_SR_ELR_EL1]);
    return e->message;
}

int simd_engine_exit(struct simd_engine *e, uint32_t word)
{
    struct simd_state state;

    memset(&state, 0, sizeof state);
    load_state(e->flat->cpu, &state);
    return run_unit(e, &word, 1);
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

static const char *run_qemu(struct simd_engine *e, const uint32_t *code, unsigned count,
                            struct simd_state *state)
{
    struct stream_batch *batch = oracle_batch(e->qemu);
    struct stream *stream = &batch->streams[0];

    batch->count = 1;
    *stream = (struct stream){.count = count};
    memcpy(stream->code, code, count * sizeof *code);
    stream->code[count] = STREAM_EXIT;
    stream->state = (struct stream_state){
        .pc = stream_address(stream, 0), .nzcv = state->nzcv, .fpcr = state->fpcr, .fpsr = state->fpsr};
    memcpy(stream->state.x, state->x, sizeof state->x);
    memcpy(stream->state.v, state->v, sizeof state->v);
    if (!oracle_run(e->qemu))
        return "qemu has ended";
    if (stream->state.end != STREAM_FELL_OFF)
        return "qemu did not reach the end";
    memcpy(state->x, stream->state.x, sizeof state->x);
    memcpy(state->v, stream->state.v, sizeof state->v);
    state->nzcv = stream->state.nzcv;
    state->fpsr = stream->state.fpsr;
    return NULL;
}

static bool open_qemu(struct simd_engine *e)
{
    const char *guest = getenv("ISOMER_STREAM_GUEST");

    e->qemu = guest ? oracle_open(guest) : NULL;
    return e->qemu;
}

// ---- all ----------------------------------------------------------------------------------------

struct simd_engine *simd_engine_open(enum simd_engine_kind kind)
{
    static bool (*const opens[SIMD_ENGINES])(struct simd_engine *) = {open_ours, open_ours, open_unicorn, open_qemu};
    struct simd_engine *e = calloc(1, sizeof *e);

    e->kind = kind;
    if (opens[kind](e))
        return e;
    simd_engine_close(e);
    return NULL;
}

void simd_engine_close(struct simd_engine *e)
{
    if (e->flat)
        flat_destroy(e->flat);
    if (e->uc)
        uc_close(e->uc);
    if (e->qemu)
        oracle_close(e->qemu);
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
