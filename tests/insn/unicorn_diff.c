// SPDX-License-Identifier: MIT
// Differential test of integer and load/store instructions against libunicorn: random streams from our own
// decode table run in both from equal states; registers, flags, memory and the PC must be equal after each
// stream.
//
//   unicorn_diff [streams] [seed]    the seed of a failing stream is printed and reruns it alone with streams = 1
#include "frontends/a64/decode.h"
#include "frontends/a64/key.h"
#include "tests/insn/flat_accel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicorn/unicorn.h>

enum {
    CODE = 0x10000, DATA = 0x40000, DATA_SIZE = 0x20000, BASE = CODE, SIZE = 0x60000,
    MAX_STREAM = 32, DATA_REGS = 0xffff | 1u << 30 | 1u << 31, BASE_REGS = 15u << 20, ALIGNED_BASE = 24,
        INDEX = 25,
};

static uint64_t random64(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

// Which rows the streams draw from, and operands that keep accesses inside the data.
static bool row_allowed(unsigned row)
{
    const struct a64_row_info *r = &a64_rows[row];
    if (r->status != A64_LIVE || (r->class != A64_CLASS_INTEGER && r->class != A64_CLASS_MEMORY))
        return row == A64_ROW_b_cond || row == A64_ROW_cbz || row == A64_ROW_cbnz || row == A64_ROW_tbz ||
               row == A64_ROW_tbnz || row == A64_ROW_b;
    return row != A64_ROW_ldr_lit && row != A64_ROW_ldrsw_lit && row != A64_ROW_ldr_lit_v;
}

static uint32_t with_field(uint32_t word, unsigned lsb, unsigned width, uint32_t value)
{
    return (uint32_t)bits_set(word, lsb, width, value);
}

static uint32_t tame(uint32_t word, uint64_t *s)
{
    struct a64_insn i;
    a64_decode(word, &i);
    uint32_t skip = 1 + random64(s) % 3;
    switch (i.row) {
    case A64_ROW_b: return with_field(word, 0, 26, skip);
    case A64_ROW_b_cond: case A64_ROW_cbz: case A64_ROW_cbnz: return with_field(word, 5, 19, skip);
    case A64_ROW_tbz: case A64_ROW_tbnz: return with_field(word, 5, 14, skip);
    case A64_ROW_stxr: case A64_ROW_stlxr: case A64_ROW_stxp: case A64_ROW_stlxp: case A64_ROW_ldxr:
    case A64_ROW_ldaxr: case A64_ROW_ldxp: case A64_ROW_ldaxp: case A64_ROW_ldar: case A64_ROW_stlr:
        return with_field(word, 5, 5, ALIGNED_BASE);
    case A64_ROW_str_reg: case A64_ROW_ldr_reg: case A64_ROW_ldrs_reg: case A64_ROW_str_reg_v:
    case A64_ROW_ldr_reg_v:
        return with_field(word, 16, 5, INDEX);
    default:
        // Structures: post-index by the register or by the size.
        if (i.p && a64_rows[i.row].feature == A64_FEATURE_SIMD)
            return with_field(word, 16, 5, random64(s) & 1 ? 31 : INDEX);
        return word;
    }
}

// Exclusives of one size and kind a stream: pairing different ones is CONSTRAINED UNPREDICTABLE.
static bool exclusive_of_another_kind(const struct a64_insn *i, unsigned kind)
{
    switch (i->row) {
    case A64_ROW_stxr: case A64_ROW_stlxr: case A64_ROW_ldxr: case A64_ROW_ldaxr: return kind != i->size;
    case A64_ROW_stxp: case A64_ROW_stlxp: case A64_ROW_ldxp: case A64_ROW_ldaxp: return kind != 4u + i->sf;
    default: return false;
    }
}

struct state {
    uint64_t x[31], sp, pc;
    uint32_t nzcv;
    union v128 v[32];
    uint8_t data[DATA_SIZE];
};

static void random_state(struct state *st, uint64_t *s)
{
    for (unsigned n = 0; n < 31; n++) {
        st->x[n] = random64(s);
        if (random64(s) % 4 == 0)
            st->x[n] = bits_sext(st->x[n], 1 + random64(s) % 64);
    }
    for (unsigned n = 20; n <= ALIGNED_BASE; n++)
        st->x[n] = DATA + DATA_SIZE / 2 + (n - 20) * 0x100 + (n == ALIGNED_BASE ? 0 : random64(s) % 16);
    st->x[INDEX] = random64(s) % 64;
    st->sp = random64(s) & ~15ull;
    st->pc = CODE;
    st->nzcv = (random64(s) & 15) << 28;
    for (unsigned n = 0; n < 32; n++)
        st->v[n] = (union v128){.d = {random64(s), random64(s)}};
    for (unsigned n = 0; n < DATA_SIZE; n += 8) {
        uint64_t r = random64(s);
        memcpy(st->data + n, &r, 8);
    }
}

static const int uc_core[34] = {
    UC_ARM64_REG_X0, UC_ARM64_REG_X1, UC_ARM64_REG_X2, UC_ARM64_REG_X3, UC_ARM64_REG_X4, UC_ARM64_REG_X5,
    UC_ARM64_REG_X6, UC_ARM64_REG_X7, UC_ARM64_REG_X8, UC_ARM64_REG_X9, UC_ARM64_REG_X10, UC_ARM64_REG_X11,
    UC_ARM64_REG_X12, UC_ARM64_REG_X13, UC_ARM64_REG_X14, UC_ARM64_REG_X15, UC_ARM64_REG_X16,
     UC_ARM64_REG_X17,
    UC_ARM64_REG_X18, UC_ARM64_REG_X19, UC_ARM64_REG_X20, UC_ARM64_REG_X21, UC_ARM64_REG_X22,
     UC_ARM64_REG_X23,
    UC_ARM64_REG_X24, UC_ARM64_REG_X25, UC_ARM64_REG_X26, UC_ARM64_REG_X27, UC_ARM64_REG_X28,
     UC_ARM64_REG_X29,
    UC_ARM64_REG_X30, UC_ARM64_REG_SP, UC_ARM64_REG_PC, UC_ARM64_REG_NZCV,
};

// A register list for uc_reg_*_batch over a state.
static void batch(struct state *st, void *ptr[66], int regs[66])
{
    for (unsigned n = 0; n < 34; n++)
        regs[n] = uc_core[n];
    for (unsigned n = 0; n < 31; n++)
        ptr[n] = &st->x[n];
    ptr[31] = &st->sp;
    ptr[32] = &st->pc;
    ptr[33] = &st->nzcv;
    for (unsigned n = 0; n < 32; n++) {
        regs[34 + n] = UC_ARM64_REG_V0 + n;
        ptr[34 + n] = &st->v[n];
    }
}

static bool run_unicorn(uc_engine *uc, const uint32_t *code, unsigned count, struct state *st)
{
    void *ptr[66];
    int regs[66];
    uint64_t fp_on = 3u << 20, nzcv = st->nzcv;
    batch(st, ptr, regs);
    ptr[33] = &nzcv;
    uc_reg_write(uc, UC_ARM64_REG_CPACR_EL1, &fp_on);
    uc_reg_write_batch(uc, regs, ptr, 66);
    uc_mem_write(uc, DATA, st->data, DATA_SIZE);
    uc_mem_write(uc, CODE, code, 4 * (count + 4));
    uc_ctl_remove_cache(uc, CODE, CODE + 4096);
    uc_err err = uc_emu_start(uc, CODE, CODE + 4 * count, 0, count);
    uc_reg_read_batch(uc, regs, ptr, 66);
    st->nzcv = (uint32_t)nzcv & 0xf0000000u;
    uc_mem_read(uc, DATA, st->data, DATA_SIZE);
    return err == UC_ERR_OK;
}

static bool run_ours(struct flat *f, const uint32_t *code, unsigned count, struct state *st,
    unsigned max_insns)
{
    struct a64_cpu *cpu = f->cpu;
    flat_reset(f);
    cpu->sys[A64_SR_CPACR_EL1] = 3u << 20;
    a64_key_update(cpu);
    memcpy(cpu->x, st->x, sizeof cpu->x);
    memcpy(cpu->v, st->v, sizeof cpu->v);
    cpu->sp = st->sp;
    cpu->nzcv = a64_nzcv_pack(st->nzcv);
    cpu->env.pc = CODE;
    memcpy(flat_at(f, DATA, DATA_SIZE), st->data, DATA_SIZE);
    flat_code(f, CODE, code, count + 4);
    int code_out = flat_run(f, max_insns, 200, CODE + 4 * count);
    memcpy(st->x, cpu->x, sizeof cpu->x);
    memcpy(st->v, cpu->v, sizeof cpu->v);
    st->sp = cpu->sp;
    st->pc = cpu->env.pc;
    st->nzcv = a64_nzcv_unpack(cpu->nzcv);
    memcpy(st->data, flat_at(f, DATA, DATA_SIZE), DATA_SIZE);
    if (st->pc != CODE + 4 * count)
        printf("exception: ESR %08" PRIx64 " ELR %" PRIx64 " fault at %" PRIx64 "\n",
            cpu->sys[A64_SR_ESR_EL1],
               cpu->sys[A64_SR_ELR_EL1], f->fault.va);
    return code_out >= 0;
}

static bool equal(const struct state *a, const struct state *b)
{
    return !memcmp(a->x, b->x, sizeof a->x) && !memcmp(a->v, b->v, sizeof a->v) && a->sp == b->sp &&
        a->pc == b->pc &&
           a->nzcv == b->nzcv && !memcmp(a->data, b->data, DATA_SIZE);
}

static void report(const struct state *a, const struct state *b, const uint32_t *code, unsigned count,
    uint64_t seed)
{
    printf("differs: seed %" PRIu64 "\n", seed);
    for (unsigned n = 0; n < count; n++) {
        char text[96];
        a64_disasm(code[n], CODE + 4 * n, text, sizeof text);
        printf("  %08" PRIx32 "  %s\n", code[n], text);
    }
    for (unsigned n = 0; n < 31; n++)
        if (a->x[n] != b->x[n])
            printf("  x%u: ours %016" PRIx64 " unicorn %016" PRIx64 "\n", n, a->x[n], b->x[n]);
    for (unsigned n = 0; n < 32; n++)
        if (memcmp(&a->v[n], &b->v[n], 16))
            printf("  v%u: ours %016" PRIx64 "%016" PRIx64 " unicorn %016" PRIx64 "%016" PRIx64 "\n", n,
                a->v[n].d[1],
                   a->v[n].d[0], b->v[n].d[1], b->v[n].d[0]);
    printf("  sp %" PRIx64 " %" PRIx64 ", pc %" PRIx64 " %" PRIx64 ", nzcv %08x %08x\n", a->sp, b->sp,
        a->pc, b->pc,
           a->nzcv, b->nzcv);
    for (unsigned n = 0; n < DATA_SIZE; n++)
        if (a->data[n] != b->data[n]) {
            printf("  data +%x: ours %02x unicorn %02x\n", n, a->data[n], b->data[n]);
            break;
        }
}

int main(int argc, char **argv)
{
    unsigned streams = argc > 1 ? (unsigned)atoi(argv[1]) : 3000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, covered = 0;
    uint8_t rows[A64_ROW_COUNT], seen[A64_ROW_COUNT] = {0};
    unsigned failures = 0, allowed = 0;
    struct flat *f = flat_create(&(struct flat_config){.base = BASE, .size = SIZE, .normal_memory = true,
        .stop_on_fault = true});
    struct state *before = malloc(sizeof *before), *ours = malloc(sizeof *ours),
        *theirs = malloc(sizeof *theirs);
    uc_engine *uc;
    if (uc_open(UC_ARCH_ARM64, UC_MODE_ARM, &uc) || uc_mem_map(uc, BASE, SIZE, UC_PROT_ALL)) {
        printf("cannot start libunicorn\n");
        return 1;
    }
    for (unsigned n = 0; n < A64_ROW_COUNT; n++)
        allowed += rows[n] = row_allowed(n);
    struct a64_random_options options = {.features = ~0u, .classes = ~0u, .gprs = DATA_REGS, .vregs = ~0u,
                                         .bases = BASE_REGS, .rows = rows};
    for (unsigned n = 0; n < streams && failures < 5; n++, seed++) {
        uint32_t code[MAX_STREAM + 8];
        uint64_t s = seed * 0x9e3779b97f4a7c15ull + 1;
        for (unsigned k = 0; k < 8; k++)
            random64(&s);
        unsigned count = 1 + random64(&s) % MAX_STREAM;
        for (unsigned k = 0; k < MAX_STREAM + 8; k++)
            code[k] = 0xd503201f;
        code[0] = 0xd5033f5f; // CLREX: libunicorn keeps its monitor from stream to stream
        for (unsigned k = 1; k < count; k++) {
            struct a64_insn insn;
            code[k] = tame(a64_random_insn(&s, &options), &s);
            a64_decode(code[k], &insn);
            if (a64_unpredictable(&insn) || exclusive_of_another_kind(&insn, seed % 6))
                code[k] = 0xd503201f;
            else
                seen[insn.row] = 1;
        }
        count += 3; // branches skip over at most two more
        code[count++] = 0xd5033fdf; // ISB ends the unit
        random_state(before, &s);
        memcpy(ours, before, sizeof *ours);
        memcpy(theirs, before, sizeof *theirs);
        bool ok = run_ours(f, code, count, ours, n & 1 ? 64 : 1 + n % 7);
        bool uc_ok = run_unicorn(uc, code, count, theirs);
        if (!ok || !uc_ok || !equal(ours, theirs)) {
            failures++;
            report(ours, theirs, code, count, seed);
            if (!uc_ok)
                printf("  libunicorn failed\n");
        }
    }
    for (unsigned n = 0; n < A64_ROW_COUNT; n++)
        covered += seen[n];
    printf("%u streams, %u rows allowed, %" PRIu64 " covered, %u differ\n", streams, allowed, covered,
        failures);
    uc_close(uc);
    flat_destroy(f);
    free(before);
    free(ours);
    free(theirs);
    return failures != 0;
}
