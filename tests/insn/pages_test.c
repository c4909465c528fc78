// SPDX-License-Identifier: MIT
// Loops whose unaligned accesses run over pages, up and down, on every engine. Pages that are neighbours by address lie
// apart in memory, so that an access which takes both for one reads and writes elsewhere.
#include "frontends/a64/key.h"
#include "tests/insn/flat_accel.h"

#include <criterion/criterion.h>
#include <string.h>

enum {
    BASE = 0x100000, SIZE = 0x100000, TABLE_1 = BASE, TABLE_2 = BASE + 0x1000, TABLE_3 = BASE + 0x2000, CODE = BASE + 0x3000,
    PAGES = 6, FROM = 0x140000, TO = FROM + PAGES * IR_PAGE_SIZE, PHYSICAL = 0x180000, TURNS = 40, WORDS = 5,
};
#define ENTRY 3ull
#define AF (1ull << 10)
#define CONTROL 0x30d50999ull
#define TCR_4K (25ull | 25ull << 16 | 2ull << 30 | 5ull << 32)

// Where the page is that holds `va` of FROM or TO: the other way round, with room between.
static uint64_t physical(uint64_t va)
{
    uint64_t page = (va - FROM) / IR_PAGE_SIZE;
    return PHYSICAL + 2 * (2 * PAGES - 1 - page) * IR_PAGE_SIZE + va % IR_PAGE_SIZE;
}

static void put(struct flat *f, uint64_t at, uint64_t value)
{
    memcpy(flat_at(f, at, 8), &value, 8);
}

static struct flat *machine(enum runner_engine engine)
{
    struct flat *f = flat_create(&(struct flat_config){.engine = engine, .base = BASE, .size = SIZE});
    if (!f)
        return NULL;
    put(f, TABLE_1, TABLE_2 | ENTRY);
    put(f, TABLE_2, TABLE_3 | ENTRY);
    put(f, TABLE_3 + 8 * (CODE >> 12 & 511), CODE | ENTRY | AF);
    for (uint64_t va = FROM; va < FROM + 2 * PAGES * IR_PAGE_SIZE; va += IR_PAGE_SIZE)
        put(f, TABLE_3 + 8 * (va >> 12 & 511), physical(va) | ENTRY | AF);
    struct a64_cpu *cpu = f->cpu;
    cpu->sys[A64_SR_TCR_EL1] = TCR_4K;
    cpu->sys[A64_SR_SCTLR_EL1] = CONTROL & ~0xaull; // neither alignment check
    cpu->sys[A64_SR_TTBR0_EL1] = TABLE_1;
    cpu->sys[A64_SR_MAIR_EL1] = 0xff;
    cpu->sys[A64_SR_CPACR_EL1] = 3u << 20;
    a64_key_update(cpu);
    return f;
}

// load and store with the address moved afterwards
struct row {
    const char *name;
    uint32_t load, store;
    unsigned size;
};
static const struct row rows[] = {
    {"16 bits", 0x78400403, 0x78000483, 2},
    {"32 bits", 0xb8400403, 0xb8000483, 4},
    {"64 bits", 0xf8400403, 0xf8000483, 8},
    {"128 bits", 0x3cc00403, 0x3c800483, 16},
};

static uint8_t *byte_at(struct flat *f, uint64_t va)
{
    return flat_at(f, physical(va), 1);
}

static void check(struct flat *f, enum runner_engine engine, const struct row *row, int step, int64_t start)
{
    uint32_t moved = ((uint32_t)step & 0x1ff) << 12;
    const uint32_t code[WORDS] = {row->load | moved, row->store | moved, 0xf1000421, 0x54ffffa1, 0xd503201f};
    static uint8_t from[PAGES * IR_PAGE_SIZE], to[PAGES * IR_PAGE_SIZE];
    for (unsigned n = 0; n < sizeof from; n++) {
        from[n] = (uint8_t)(n * 7 + n / 251);
        to[n] = 0;
        *byte_at(f, FROM + n) = from[n];
        *byte_at(f, TO + n) = 0;
    }
    flat_flush(f);
    flat_code(f, CODE, code, WORDS);
    f->cpu->x[0] = FROM + (uint64_t)start;
    f->cpu->x[4] = TO + (uint64_t)start;
    f->cpu->x[1] = TURNS;
    f->cpu->env.pc = CODE;
    atomic_store(&f->cpu->env.budget, 1 << 20);
    for (unsigned units = 0; f->cpu->env.pc != CODE + 16 && units < 2 * TURNS; units++)
        cr_assert(flat_run(f, 4, 1, CODE + 16) == IR_EXIT_JUMP, "%s: exit %d", row->name, f->last_exit);
    for (int64_t n = 0, at = start; n < TURNS; n++, at += step)
        memcpy(to + at, from + at, row->size);
    unsigned wrong = 0;
    for (unsigned n = 0; n < sizeof to; n++)
        wrong += *byte_at(f, TO + n) != to[n] || *byte_at(f, FROM + n) != from[n];
    cr_expect_eq(wrong, 0, "engine %u, %s, steps of %d from %#lx: %u bytes differ", engine, row->name, step, (long)start, wrong);
}

Test(pages, loops_run_over_them)
{
    static const int steps[] = {-16, -7, -4, 3, 8, 16};
    for (unsigned engine = 0; engine < RUNNER_ENGINES; engine++) {
        struct flat *f = machine(engine);
        cr_assert(f || engine == RUNNER_LLVM);
        for (unsigned n = 0; f && n < ARRAY_SIZE(rows) * ARRAY_SIZE(steps); n++) {
            int step = steps[n % ARRAY_SIZE(steps)];
            check(f, engine, &rows[n / ARRAY_SIZE(steps)], step, 2 * IR_PAGE_SIZE - TURNS / 2 * step - 3);
        }
        if (f)
            flat_destroy(f);
    }
}
